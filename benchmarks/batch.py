"""How fast trips are scored, beside the naive pipeline, and what the engine itself costs.

    python benchmarks/batch.py [--quick] [--only PART] [--json FILE]

Throughput is measured by the CPU time of the process that does the work ("core second"), which
other programs on the machine disturb little, and in one run in which the ways take turns. Engine
and workers are measured by the clock: they need an idle machine. Every part runs in a process of
its own, as a batch does, for the workers of one process share what it has preloaded. The naive
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
from synthetictrips import RealDrive, record_trip

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
    # Fixed costs weigh little on a trip of usual length; the naive way has none to speak of.
    stills_s, film_s = seconds * 60, 120.0
    progress("recording trips")
    # A camera that moves, long enough to show its mounting: without one, the survey is spared most
    # of its work.
    drive = RealDrive()
    stills = record_trip(folder / "stills", 1, seconds=stills_s, drive=drive)
    plain = record_trip(folder / "plain", 4, seconds=stills_s, motion_stills=False, drive=drive)
    film = record_trip(folder / "film", 2, seconds=film_s, stills=False, video_fps=fps, drive=drive)
    short = record_trip(
        folder / "short", 3, seconds=seconds, stills=False, video_fps=fps, drive=drive
    )
    model = models.locate("road_scene").as_posix()
    results = str(folder / "results")
    tasks = [ScoreTask(str(path), "f", results, model, "car") for path in (stills, film, plain)]
    for task in tasks:
        score_task(task)  # imports, and the interpreter that a worker makes once
    naive = subprocess.Popen(
        [sys.executable, "-c", NAIVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert naive.stdin is not None
    assert naive.stdout is not None
    assert naive.stdout.readline().strip() == "ready"
    with Trip.open(short) as trip:
        video = trip.video_files()[0]
    rates: dict[str, list[float]] = {"stills": [], "keyframes": [], "plain": [], "naive": []}
    for round_ in range(rounds):
        progress(f"stills, keyframes and naive, round {round_ + 1} of {rounds}")
        rates["stills"].append(stills_s / core_seconds(lambda: score_task(tasks[0])))
        rates["keyframes"].append(film_s / core_seconds(lambda: score_task(tasks[1])))
        rates["plain"].append(stills_s / core_seconds(lambda: score_task(tasks[2])))
        naive.stdin.write(f"{video}\t{round(fps / 2)}\n")
        naive.stdin.flush()
        rates["naive"].append(seconds / float(naive.stdout.readline()))
    naive.stdin.close()
    naive.wait()
    median = {name: statistics.median(found) for name, found in rates.items()}
    figures |= {
        "video_s_per_s_core_stills": median["stills"],
        "video_s_per_s_core_keyframes": median["keyframes"],
        "video_s_per_s_core_without_motion_stills": median["plain"],
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
        seen = [frame for frame in frames if not frame.between]
        chunks: list[Any] = []
        stack = core_seconds(lambda: chunks.extend(labelling._stacked(iter(seen), source.odometer)))
        stacks = [stacked for _, stacked in chunks if len(stacked)]
        infer = core_seconds(lambda: [classifier.predict(one) for one in stacks])
        labelled: list[Any] = []
        survey = max(0.0, core_seconds(lambda: labelling._motions(source, None)) - decode)
        whole = core_seconds(
            lambda: labelled.append(score_trip(path, classifier=classifier, policy=policy))
        )
        store = core_seconds(
            lambda: stage(labelled[0], files, ((s.frame_index, s.jpeg) for s in trip.stills()))
        )
    read_only = core_seconds(lambda: [np.frombuffer(one, np.uint8).sum() for one in jpeg])
    fusion = max(0.0, whole - decode - survey - stack - infer)
    total = decode + survey + stack + infer + fusion + store
    for name, value in (("decode", decode), ("survey", survey), ("preprocessing", stack),
                        ("inference", infer),
                        ("timeline_fusion_score", fusion), ("store", store)):  # fmt: skip
        figures[f"share_{name}"] = value / total
    count = len(seen)
    figures["decode_ms_per_frame"] = 1000 * decode / count
    figures["survey_ms_per_frame"] = 1000 * survey / count
    figures["inference_ms_per_frame"] = 1000 * infer / count
    # Were nothing but the network, or nothing but the decoder, to run.
    figures["of_inference_limit"] = infer / total
    figures["of_decode_limit"] = (decode - read_only) / total


def two_workers(folder: Path, quick: bool, figures: dict[str, float]) -> None:
    """The same trips on one worker and on two, in turns; memory of a worker over 200 trips."""
    number, seconds = (8, 5.0) if quick else (48, 60.0)
    progress(f"recording {number} trips")
    trips = [record_trip(folder / "fleet", n, seconds=seconds) for n in range(number)]
    model, results = models.locate("road_scene").as_posix(), str(folder / "results2")
    tasks = [ScoreTask(str(path), "f", results, model, "car") for path in trips]
    walls: dict[int, list[float]] = {1: [], 2: []}
    # The process that workers are forked from starts with the first pool.
    for _ in LocalPool(1, Limits(), ("offline.batch.scoring",)).run(score_task, tasks[:1]):
        pass
    for round_ in range(1 if quick else 3):
        for workers in (1, 2):
            progress(f"{workers} workers, round {round_ + 1}")
            pool = LocalPool(workers, Limits(), ("offline.batch.scoring",))
            started = time.perf_counter()
            for outcome in pool.run(score_task, tasks):
                assert outcome.failure is None, outcome.failure
            walls[workers].append(time.perf_counter() - started)
    one, two = (statistics.median(walls[workers]) for workers in (1, 2))
    figures["two_worker_speedup"] = one / two
    figures["cores"] = float(len(os.sched_getaffinity(0)))
    repeats = 20 if quick else 200
    progress(f"memory of a worker over {repeats} trips")
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
    program = Path(__file__).with_name("batch_engine.py")
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "engine.json"
        subprocess.run(
            [sys.executable, program, "--json", target, *(["--quick"] if quick else [])],
            stdout=subprocess.DEVNULL, check=True,
        )  # fmt: skip
        figures |= json.loads(target.read_text(encoding="utf-8"))["figures"]


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


def progress(what: str) -> None:
    """Say on stderr what is under way."""
    print(f"[{time.strftime('%H:%M:%S')}] {what}", file=sys.stderr, flush=True)


PARTS: dict[str, Callable[[Path, bool, dict[str, float]], None]] = {
    "overhead": lambda _, quick, figures: overhead(quick, figures),
    "start": lambda folder, _, figures: warm_start(folder, figures),
    "throughput": throughput,
    "workers": two_workers,
}


def run_part(part: str, quick: bool) -> dict[str, float]:
    """Measure one part in this process."""
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="gradewise-batch-") as name:
        PARTS[part](Path(name), quick, figures)
    return figures


def in_own_process(part: str, quick: bool) -> dict[str, float]:
    """Measure one part in a process of its own; empty if it failed, which it has said by then."""
    with tempfile.TemporaryDirectory(prefix="gradewise-part-") as name:
        found = Path(name) / "figures.json"
        command = [sys.executable, __file__, "--only", part, "--json", str(found)]
        subprocess.run([*command, "--quick"] if quick else command, stdout=subprocess.DEVNULL)
        return json.loads(found.read_text())["figures"] if found.exists() else {}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="short trips, one round")
    parser.add_argument("--only", choices=PARTS, help="one part, in this process")
    parser.add_argument("--json", type=Path, metavar="FILE",
                        help="written after each part, so that nothing found is lost")  # fmt: skip
    parser.add_argument("--seed", type=int, default=1, help="(the trips are always the same)")
    options = parser.parse_args()
    figures: dict[str, float] = {}
    missing = []
    for part in [options.only] if options.only else PARTS:
        progress(part)
        load = os.getloadavg()[0]
        found = (run_part if options.only else in_own_process)(part, options.quick)
        if not found:
            missing.append(part)
        for figure, value in found.items():
            print(f"{figure:32} {value:10.3f}   {GOALS.get(figure, '')}", flush=True)
        figures |= found | {f"load_average_before_{part}": load}
        if options.json:
            options.json.write_text(json.dumps({"figures": figures}, indent=1) + "\n")
    if missing:
        print(f"not measured: {', '.join(missing)}", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
