"""What the local engine costs beside its tasks; run by `benchmarks/batch.py`.

    python benchmarks/batch_engine.py TASKS ROUNDS

Worker processes import the program's main module, so this one is as light as the product's.
"""

from __future__ import annotations

import json
import statistics
import sys
import time

from offline.batch.attempt import Limits
from offline.batch.localpool import LocalPool

TASK_S = 0.05


def sleep(_: int) -> float:
    """Spend a task's time; returns what it really took."""
    started = time.perf_counter()
    time.sleep(TASK_S)
    return time.perf_counter() - started


def main() -> None:
    tasks, rounds = int(sys.argv[1]), int(sys.argv[2])
    overheads, starts = [], []
    for _ in range(rounds):
        pool = LocalPool(2, Limits())
        begun = time.perf_counter()
        first_end, slept = 0.0, 0.0
        for outcome in pool.run(sleep, range(tasks)):
            slept += outcome.value
            first_end = first_end or time.perf_counter()
        wall_s = time.perf_counter() - begun
        start_s = first_end - begun - TASK_S
        starts.append(start_s)
        overheads.append((wall_s - start_s) / (slept / 2) - 1)
    # The first start is the one that a batch pays.
    figures = {"engine_overhead": statistics.median(overheads), "engine_start_s": starts[0]}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
