"""What the local engine costs beside its tasks: 400 of 50 ms on two workers.

    python benchmarks/batch_engine.py [--quick] [--json FILE]

It is a part of `benchmarks/batch.py`, which runs it as it stands.
Worker processes import the program's main module, so this one is as light as the product's.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

from offline.batch.attempt import Limits
from offline.batch.localpool import LocalPool

TASK_S = 0.05


def sleep(_: int) -> float:
    """Spend a task's time; returns what it really took."""
    started = time.perf_counter()
    time.sleep(TASK_S)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="80 tasks, once")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    tasks, rounds = (80, 1) if options.quick else (400, 3)
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
    for name, value in figures.items():
        print(f"{name:20} {value:9.3f}")
    if options.json:
        options.json.write_text(json.dumps({"figures": figures}, indent=1))


if __name__ == "__main__":
    main()
