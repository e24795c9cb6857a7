"""How long the scoring of an already classified trip takes, and how much memory.

A simulated trip with road context goes through timeline, fusion, events, verdicts and score in
a process of its own on one core; the same with a trip four times as long shows whether the cost
grows in step. Prints `seconds_per_trip_hour` (median of the runs) and `peak_mb`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

GOALS = {"seconds_per_trip_hour": "< 1", "peak_mb": "< 300", "linearity": "about 1"}


def measure(hours: float, runs: int, seed: int, rate_hz: float) -> dict[str, float]:
    """Score a trip of so many hours some times over, in this process."""
    from data_samples.simulator.drive import drive
    from data_samples.simulator.driver import driver_of_harshness, mood_along
    from data_samples.simulator.labels import label_drive, network_of_accuracy
    from data_samples.simulator.road import make_road
    from data_samples.simulator.sensors import SensorSuite, sample_drive
    from data_samples.simulator.vehicle import CAR
    from offline.pipeline import score_samples
    from offline.policy import load_policy

    rng = np.random.default_rng(seed)
    driver = driver_of_harshness(0.5)
    road = make_road(rng, "hilly", hours * 42_000.0)
    real = drive(road, CAR, mood_along(driver, road, rng), coolant_start_c=15.0)
    suite = SensorSuite(rate_hz=rate_hz, slow_rate_hz=2.0, outages=2)
    samples = sample_drive(real, suite, rng)
    labels = label_drive(real, road, network_of_accuracy(0.85), rng)
    policy = load_policy("car")
    simulated_hours = float(real.t_s[-1]) / 3600.0
    before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    wall, cpu = [], []
    for _ in range(runs + 1):
        start, cpu_start = time.perf_counter(), time.process_time()
        score_samples(samples, None, labels, policy)
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - cpu_start)
    return {
        "hours": simulated_hours,
        # The first run pays for what Python and numpy load lazily.
        "seconds_per_hour": statistics.median(wall[1:]) / simulated_hours,
        "cpu_seconds_per_hour": statistics.median(cpu[1:]) / simulated_hours,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0,
        "before_mb": before_mb,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--rate-hz", type=float, default=10.0, help="of rpm and speed")
    parser.add_argument("--quick", action="store_true", help="2 runs")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child-hours", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    runs = 2 if options.quick else options.runs
    if options.child_hours:
        print(json.dumps(measure(options.child_hours, runs, options.seed, options.rate_hz)))
        return
    rows = []
    for hours in (1.0, 4.0):
        arguments = [sys.executable, __file__, "--child-hours", str(hours), "--runs", str(runs)]
        arguments += ["--seed", str(options.seed), "--rate-hz", str(options.rate_hz)]
        one_core = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(arguments, check=True, capture_output=True, text=True, env=one_core)
        rows.append(json.loads(done.stdout))
    one, four = rows
    result = {
        "seconds_per_trip_hour": one["seconds_per_hour"],
        "cpu_seconds_per_trip_hour": one["cpu_seconds_per_hour"],
        "peak_mb": one["peak_mb"],
        "linearity": four["cpu_seconds_per_hour"] / one["cpu_seconds_per_hour"],
    }
    print(f"trips of {one['hours']:.2f} and {four['hours']:.2f} h, {runs} runs each")
    print(f"{'figure':28} {'measured':>9}  goal")
    for name, value in result.items():
        print(f"{name:28} {value:9.3f}  {GOALS.get(name, '')}")
    print(f"(of the memory {one['before_mb']:.0f} MB are Python, its packages and the input)")
    if options.json:
        options.json.write_text(json.dumps({"figures": result}, indent=1))


if __name__ == "__main__":
    main()
