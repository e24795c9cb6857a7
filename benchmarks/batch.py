"""How fast trips are scored, beside the naive pipeline, and what the engine itself costs.

    python benchmarks/batch.py [--quick] [--json FILE] [--seed N] [--skip NAIVE,…]

All is measured by the CPU time of the processes that do the work ("core second"), which other
programs on the machine disturb little, and in one run in which the ways take turns. The naive
pipeline reads every frame with OpenCV and runs a float VGG-19 at 224x224 twice a second with
TensorFlow, one thread; only this benchmark needs TensorFlow.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

# One core for each way; set before any library reads it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from synthetictrips import record_trip

import models
from offline import labelling
from offline.batch.attempt import Limits
from offline.batch.localpool import LocalPool
from offline.batch.scoring import ScoreTask, score_task
from offline.classifier import Classifier
from offline.frames import of_trip
from offline.pipeline import score_trip
from offline.policy import load_policy
from offline.results import ResultStore
from offline.results.files import ResultFiles
from offline.results.staging import stage
from onboard.trip import Trip

GOALS = {
    "video_s_per_s_core_stills": ">= 100",
    "ratio_to_naive": ">= 60",
    "video_s_per_s_core_keyframes": ">= 30",
    "two_worker_speedup": ">= 1.8",
    "worker_mb": "<= 400",
    "worker_mb_growth_200_trips": "about 0",
    "engine_overhead": "<= 0.03",
    "engine_start_s": "<= 2",
}
NAIVE = """
import os, sys, time, resource
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
import cv2, numpy as np, tensorflow as tf
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
cv2.setNumThreads(1)
network = tf.keras.applications.VGG19(weights=None, classes=6, input_shape=(224, 224, 3))
run = tf.function(lambda x: network(x, training=False))
run(tf.zeros((1, 224, 224, 3)))
print("ready", flush=True)
for line in sys.stdin:
    path, every = line.split("\\t")
    before = resource.getrusage(resource.RUSAGE_SELF)
    video, index = cv2.VideoCapture(path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1]), 0
    while True:
        good, frame = video.read()
        if not good:
            break
        if index % int(every) == 0:
            small = cv2.resize(frame, (224, 224), interpolation=cv2.INTER_AREA)
            run(tf.constant(small[None].astype(np.float32)))
        index += 1
    after = resource.getrusage(resource.RUSAGE_SELF)
    print(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, flush=True)
"""


def core_seconds(function: Callable[[], Any]) -> float:
    """CPU time of this process, all its threads."""
    before = time.process_time()
    function()
    return time.process_time() - before


def throughput(folder: Path, quick: bool, figures: dict[str, float]) -> None:
    """Stills, keyframes and the naive pipeline on the same drive, in turns."""
    seconds, rounds, fps = (5.0, 1, 30.0) if quick else (10.0, 3, 30.0)
    stills = record_trip(folder / "stills", 1, seconds=seconds * 10)
    film = record_trip(folder / "film", 2, seconds=seconds, stills=False, video_fps=fps)
    model = models.locate("road_scene").as_posix()
    results = str(folder / "results")
    tasks = [ScoreTask(str(path), "f", results, model, "car") for path in (stills, film)]
    for task in tasks:
        score_task(task)  # imports, and the interpreter that a worker makes once
    naive = subprocess.Popen(
        [sys.executable, "-c", NAIVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert naive.stdin is not None
    assert naive.stdout is not None
    assert naive.stdout.readline().strip() == "ready"
    with Trip.open(film) as trip:
        video = trip.video_files()[0]
    rates: dict[str, list[float]] = {"stills": [], "keyframes": [], "naive": []}
    for _ in range(rounds):
        rates["stills"].append(seconds * 10 / core_seconds(lambda: score_task(tasks[0])))
        rates["keyframes"].append(seconds / core_seconds(lambda: score_task(tasks[1])))
        naive.stdin.write(f"{video}\t{round(fps / 2)}\n")
        naive.stdin.flush()
        rates["naive"].append(seconds / float(naive.stdout.readline()))
    naive.stdin.close()
    naive.wait()
    median = {name: statistics.median(found) for name, found in rates.items()}
    figures |= {
        "video_s_per_s_core_stills": median["stills"],
        "video_s_per_s_core_keyframes": median["keyframes"],
        "video_s_per_s_core_naive": median["naive"],
        "ratio_to_naive": median["stills"] / median["naive"],
        "ratio_to_naive_keyframes": median["keyframes"] / median["naive"],
    }
    shares(stills, folder, figures)


def shares(path: Path, folder: Path, figures: dict[str, float]) -> None:
    """Where the core's time goes on a trip with stills, step by step."""
    classifier, policy = Classifier(models.locate("road_scene")), load_policy("car")
    files = ResultFiles(folder / "results")
    with Trip.open(path) as trip:
        source = of_trip(trip)
        assert source is not None
        frames: list[Any] = []
        decode = core_seconds(lambda: frames.extend(source.frames()))
        jpeg = [still.jpeg for still in trip.stills()]
        chunks: list[Any] = []
        stack = core_seconds(lambda: chunks.extend(labelling._stacked(iter(frames))))
        stacks = [stacked for _, stacked in chunks if len(stacked)]
        infer = core_seconds(lambda: [classifier.predict(one) for one in stacks])
        labelled: list[Any] = []
        whole = core_seconds(
            lambda: labelled.append(score_trip(path, classifier=classifier, policy=policy))
        )
        store = core_seconds(
            lambda: stage(labelled[0], files, ((s.frame_index, s.jpeg) for s in trip.stills()))
        )
    read_only = core_seconds(lambda: [np.frombuffer(one, np.uint8).sum() for one in jpeg])
    fusion = max(0.0, whole - decode - stack - infer)
    total = decode + stack + infer + fusion + store
    for name, value in (("decode", decode), ("preprocessing", stack), ("inference", infer),
                        ("timeline_fusion_score", fusion), ("store", store)):  # fmt: skip
        figures[f"share_{name}"] = value / total
    count = len(frames)
    figures["decode_ms_per_frame"] = 1000 * decode / count
    figures["inference_ms_per_frame"] = 1000 * infer / count
    # Were nothing but the network, or nothing but the decoder, to run.
    figures["of_inference_limit"] = infer / total
    figures["of_decode_limit"] = (decode - read_only) / total


def two_workers(folder: Path, quick: bool, figures: dict[str, float]) -> None:
    """The same trips on one worker and on two, in turns; memory of a worker over 200 trips."""
    number, seconds = (8, 5.0) if quick else (16, 20.0)
    trips = [record_trip(folder / "fleet", n, seconds=seconds) for n in range(number)]
    model, results = models.locate("road_scene").as_posix(), str(folder / "results2")
    tasks = [ScoreTask(str(path), "f", results, model, "car") for path in trips]
    walls: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(1 if quick else 3):
        for workers in (1, 2):
            pool = LocalPool(workers, Limits(), ("offline.batch.scoring",))
            started, first = time.perf_counter(), 0.0
            for outcome in pool.run(score_task, tasks):
                assert outcome.failure is None, outcome.failure
                first = first or time.perf_counter() - started
            walls[workers].append(time.perf_counter() - started)
    one, two = (statistics.median(walls[workers]) for workers in (1, 2))
    figures["two_worker_speedup"] = one / two
    figures["cores"] = float(len(os.sched_getaffinity(0)))
    repeats = 20 if quick else 200
    pool = LocalPool(1, Limits(), ("offline.batch.scoring",))
    memory = [
        outcome.value
        for outcome in pool.run(score_and_weigh, [tasks[n % number] for n in range(repeats)])
    ]
    figures["worker_mb"] = max(memory)
    figures["worker_mb_growth_200_trips"] = memory[-1] - memory[len(memory) // 4]


def score_and_weigh(task: ScoreTask) -> float:
    """Score a trip and return the resident memory of this worker in MB."""
    staged = score_task(task)
    for name in staged.files:
        ResultFiles(task.results_root).remove(name)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def sleep_50_ms(_: int) -> float:
    """Spend a task's time; returns what it really took."""
    started = time.perf_counter()
    time.sleep(0.05)
    return time.perf_counter() - started


def overhead(quick: bool, figures: dict[str, float]) -> None:
    """400 tasks of 50 ms on two workers: what of the time is not the tasks' own."""
    number = 80 if quick else 400
    found, starts = [], []
    for _ in range(1 if quick else 3):
        pool = LocalPool(2, Limits())
        begun = time.perf_counter()
        first_end, slept = 0.0, 0.0
        for outcome in pool.run(sleep_50_ms, range(number)):
            slept += outcome.value
            first_end = first_end or time.perf_counter()
        wall = time.perf_counter() - begun
        start_s = first_end - begun - 0.05
        starts.append(start_s)
        found.append((wall - start_s) / (slept / 2) - 1)
    figures["engine_overhead"] = statistics.median(found)
    figures["engine_start_s"] = statistics.median(starts)


def warm_start(folder: Path, figures: dict[str, float]) -> None:
    """From the start of a pool with the real task's libraries to its first running task."""
    pool = LocalPool(2, Limits(), ("offline.batch.scoring",))
    started = time.perf_counter()
    for _ in pool.run(sleep_50_ms, range(2)):
        figures["scoring_start_s"] = time.perf_counter() - started - 0.05
        break
    with ResultStore.open(None, folder / "results3") as store:
        figures["commit_ms"] = 1000 * min(
            _timed(partial(store.set_aside, _failed(n))) for n in range(10)
        )


def _timed(function: Callable[[], Any]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def _failed(number: int) -> Any:
    from offline.results import FailedTrip

    return FailedTrip(f"/trips/{number}", "standard", "input", "", 1, 0, "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="short trips, one round")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--seed", type=int, default=1, help="(the trips are always the same)")
    options = parser.parse_args()
    figures: dict[str, float] = {"load_average_before": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory(prefix="gradewise-batch-") as name:
        folder = Path(name)
        for measure in (
            lambda: overhead(options.quick, figures),
            lambda: warm_start(folder, figures),
            lambda: throughput(folder, options.quick, figures),
            lambda: two_workers(folder, options.quick, figures),
        ):
            before = set(figures)
            measure()
            for figure, value in figures.items():
                if figure not in before:
                    print(f"{figure:32} {value:10.3f}   {GOALS.get(figure, '')}", flush=True)
    figures["load_average_after"] = os.getloadavg()[0]
    print(f"load average {figures['load_average_before']:.1f} to {os.getloadavg()[0]:.1f}")
    if options.json:
        options.json.write_text(json.dumps({"figures": figures}, indent=1) + "\n")


if __name__ == "__main__":
    main()
