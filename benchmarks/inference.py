"""Frames a second on one core, for every runtime, beside a float VGG-19 at 224x224.

    python benchmarks/inference.py [--quick] [--json FILE] [--tflite-runtime PYTHON]

All contenders take turns in one run, a few inferences each a round, so that a busy machine slows
all of them alike; times are CPU seconds of the process, one thread, and the median over rounds
counts. The core's int8 peak is measured in the same rounds: a loop of register-resident VNNI
instructions, compiled here with cc; where that cannot be (no compiler, no VNNI), the fastest
contender's rate stands for it, and the table says so.

    frames_per_s_core     int8 network, stacks of the released size, LiteRT
    share_of_peak         its multiply-accumulates a second over the core's int8 peak
    ratio_to_float_vgg19  its frames a second over those of a float32 VGG-19 at 224x224 on LiteRT

and the same with `_openvino`, `_tflite_runtime` and `_float32` (the same topology in float32 on
LiteRT). The float networks are built here with TensorFlow (`pip install .[train]`); without it,
and without a Python that has tflite-runtime (it needs numpy<2), their rows are left out.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import models
from offline import runtime

HERE = Path(__file__).resolve().parent.parent
GOAL_FRAMES_PER_S = 300.0
GOAL_PEAK_GMAC_S = 302.0
VGG19_SIDE = 224

PEAK_SOURCE = r"""
#include <immintrin.h>
/* Twelve independent accumulators hide the latency of VPDPBUSD; nothing leaves the registers. */
#define TWELVE(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#if defined(__AVX512VNNI__)
typedef __m512i vector;
#define SET8 _mm512_set1_epi8
#define SET32 _mm512_set1_epi32
#define MULTIPLY "vpdpbusd %2, %1, %0"
#define CLASS "v"
#elif defined(__AVXVNNI__)
typedef __m256i vector;
#define SET8 _mm256_set1_epi8
#define SET32 _mm256_set1_epi32
#define MULTIPLY "{vex} vpdpbusd %2, %1, %0"
#define CLASS "x"
#endif
long long run(long long rounds) {
#ifdef CLASS
    vector a = SET8(3), b = SET8(1);
#define DECLARE(i) vector c##i = SET32(i);
#define ONCE(i) __asm__ volatile(MULTIPLY : "+" CLASS(c##i) : CLASS(a), CLASS(b));
    TWELVE(DECLARE)
    for (long long r = 0; r < rounds; ++r) { TWELVE(ONCE) }
    return 12 * sizeof(vector);
#else
    return 0;
#endif
}
"""

FLOAT_NETWORKS = """
import sys
import keras, tensorflow as tf
from pathlib import Path
from offline import preprocessing, roadscene
from offline.training import network
folder, multiplier = Path(sys.argv[1]), float(sys.argv[2])
height, width, channels, shrink = map(int, sys.argv[3:])
heads = {"slope": roadscene.SLOPES, "course": roadscene.COURSES}
ours = network.build(heads, height=height // shrink, width=width // shrink,
                     channels=channels - 1, width_multiplier=multiplier,
                     codes=preprocessing.CODE_BYTES)
ours = network.released(ours, list(heads), shrink)
for name, model in (("float32", ours), ("vgg19", keras.applications.VGG19(weights=None))):
    (folder / f"{name}.tflite").write_bytes(
        tf.lite.TFLiteConverter.from_keras_model(model).convert())
"""

WORKER = """
import sys, time
import numpy as np
from pathlib import Path
from offline import runtime
engine = runtime.load(Path(sys.argv[1]), runtime="tflite-runtime")
stack = np.resize(np.arange(256, dtype=np.uint8), (1, *engine.input_shape))
for line in sys.stdin:
    began = time.process_time()
    for _ in range(int(line)):
        engine.run(stack)
    print(time.process_time() - began, flush=True)
"""


@dataclass
class Contender:
    """Something measured in turn.

    Attributes
    ----------
    name : str
        Suffix of its figures.
    title : str
    gmac : float
        Work of one turn's unit.
    seconds : callable
        CPU seconds for a number of units.
    repeats : int
        Units a round.
    times : list of float
        CPU seconds a unit, one a round.
    """

    name: str
    title: str
    gmac: float
    seconds: Callable[[int], float]
    repeats: int
    times: list[float] = field(default_factory=list)

    @property
    def per_s(self) -> float:
        return 1.0 / statistics.median(self.times)


def multiply_accumulates(path: Path) -> float:
    """Giga multiply-accumulates of one inference, from the file's own layers."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    shapes = {d["index"]: d["shape"] for d in interpreter.get_tensor_details()}
    total = 0
    for layer in interpreter._get_ops_details():
        weights = shapes[layer["inputs"][1]] if len(layer["inputs"]) > 1 else ()
        out = shapes[layer["outputs"][0]] if len(layer["outputs"]) else ()
        if layer["op_name"] == "CONV_2D":
            total += int(np.prod(out)) * int(np.prod(weights[1:]))
        elif layer["op_name"] == "FULLY_CONNECTED":
            total += int(np.prod(weights))
    return total / 1e9


def engine_seconds(path: Path, name: str) -> Callable[[int], float]:
    engine = runtime.load(path, runtime=name)
    stack = np.resize(np.arange(256, dtype=np.uint8), (1, *engine.input_shape))

    def seconds(count: int) -> float:
        began = time.process_time()
        for _ in range(count):
            engine.run(stack)
        return time.process_time() - began

    return seconds


def worker_seconds(python: str, path: Path) -> Callable[[int], float]:
    worker = subprocess.Popen(
        [python, "-c", WORKER, str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={**os.environ, "PYTHONPATH": str(HERE)},
    )  # fmt: skip

    def seconds(count: int) -> float:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write(f"{count}\n")
        worker.stdin.flush()
        answer = worker.stdout.readline()
        if not answer:
            sys.exit(f"{python} cannot run tflite-runtime")
        return float(answer)

    return seconds


def peak_seconds(folder: Path) -> tuple[Callable[[int], float], float] | None:
    """The compiled loop, and the giga multiply-accumulates of one unit of it."""
    compiler = shutil.which("cc")
    if compiler is None or platform.machine() != "x86_64":
        return None
    source, library = folder / "peak.c", folder / "peak.so"
    source.write_text(PEAK_SOURCE)
    done = subprocess.run(
        [compiler, "-O3", "-march=native", "-funroll-loops", "-shared", "-fPIC", "-o", library,
         source],
        capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode:
        return None
    run = ctypes.CDLL(str(library)).run
    run.restype, run.argtypes = ctypes.c_longlong, [ctypes.c_longlong]
    macs_a_round = run(1)
    if not macs_a_round:
        return None
    rounds = 2_000_000

    def seconds(count: int) -> float:
        began = time.process_time()
        run(count * rounds)
        return time.process_time() - began

    return seconds, macs_a_round * rounds / 1e9


def form(path: Path) -> tuple[float, int]:
    """Width multiplier of a network, and by how much its first layer shrinks the picture."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    details = {d["index"]: d for d in interpreter.get_tensor_details()}
    height = int(interpreter.get_input_details()[0]["shape"][1])
    first = next(o for o in interpreter._get_ops_details() if o["op_name"] == "CONV_2D")
    # VGG-19's first layer has 64 channels and keeps the picture's size.
    shape = details[first["outputs"][0]]["shape"]
    return float(shape[3]) / 64.0, height // int(shape[1])


def contenders(folder: Path, network: Path, tflite_python: str | None) -> list[Contender]:
    gmac = multiply_accumulates(network)
    found = [
        Contender("", "int8, LiteRT", gmac, engine_seconds(network, runtime.LITERT), 20),
    ]
    if importlib.util.find_spec("openvino"):
        seconds = engine_seconds(network, runtime.OPENVINO)
        found.append(Contender("openvino", "int8, OpenVINO", gmac, seconds, 20))
    if tflite_python:
        seconds = worker_seconds(tflite_python, network)
        found.append(Contender("tflite_runtime", "int8, tflite-runtime", gmac, seconds, 5))
    if importlib.util.find_spec("tensorflow"):
        print("building the float networks", file=sys.stderr)
        multiplier, shrink = form(network)
        arguments = [folder, multiplier, *runtime.load(network).input_shape, shrink]
        subprocess.run(
            [sys.executable, "-c", FLOAT_NETWORKS, *map(str, arguments)],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(HERE), "TF_CPP_MIN_LOG_LEVEL": "3"},
        )  # fmt: skip
        path = folder / "float32.tflite"
        seconds = engine_seconds(path, runtime.LITERT)
        found.append(
            Contender("float32", "float32, LiteRT", multiply_accumulates(path), seconds, 5)
        )
        path = folder / "vgg19.tflite"
        seconds = engine_seconds(path, runtime.LITERT)
        title = f"float32 VGG-19 at {VGG19_SIDE}, LiteRT"
        found.append(Contender("vgg19", title, multiply_accumulates(path), seconds, 1))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--model", type=Path, default=models.locate("road_scene"))
    parser.add_argument(
        "--tflite-runtime", metavar="PYTHON", help="a Python that has tflite-runtime and numpy<2"
    )
    given = parser.parse_args()
    card = json.loads((given.model / "model.json").read_text())
    rounds = 5 if given.quick else 25
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        running = contenders(folder, given.model / card["file"], given.tflite_runtime)
        loop = peak_seconds(folder)
        if loop is not None:
            running.append(Contender("peak", "register-resident loop", loop[1], loop[0], 1))
        for contender in running:
            contender.seconds(1)
        for _ in range(rounds):
            for contender in running:
                contender.times.append(contender.seconds(contender.repeats) / contender.repeats)
    report(running, given.json, card)


def report(running: list[Contender], target: Path | None, card: dict[str, object]) -> None:
    rates = {contender.name: contender.gmac * contender.per_s for contender in running}
    basis = "VNNI loop" if "peak" in rates else "fastest contender"
    peak = rates.get("peak") or max(rates.values())
    baseline = next((c.per_s for c in running if c.name == "vgg19"), None)
    figures: dict[str, float] = {"peak_gmac_s": peak}
    print(f"model {card['name']} {card['version']}, {running[0].gmac * 1e3:.0f} MMAC a frame")
    print(f"int8 peak of the core: {peak:.0f} GMAC/s ({basis})\n")
    print(f"{'contender':34}{'ms':>9}{'frames/s':>10}{'of peak':>9}{'to VGG-19':>11}")
    for contender in running:
        if contender.name == "peak":
            continue
        suffix = f"_{contender.name}" if contender.name else ""
        figures[f"frames_per_s_core{suffix}"] = contender.per_s
        figures[f"share_of_peak{suffix}"] = rates[contender.name] / peak
        ratio = ""
        if baseline is not None:
            figures[f"ratio_to_float_vgg19{suffix}"] = contender.per_s / baseline
            ratio = f"{contender.per_s / baseline:.1f}"
        print(
            f"{contender.title:34}{1e3 / contender.per_s:9.2f}{contender.per_s:10.1f}"
            f"{rates[contender.name] / peak:9.0%}{ratio:>11}"
        )
    goal = GOAL_FRAMES_PER_S * peak / GOAL_PEAK_GMAC_S
    best = max(c.per_s for c in running if c.name in ("", "openvino"))
    print(
        f"\ngoal: {GOAL_FRAMES_PER_S:.0f} frames a second a core at a peak of "
        f"{GOAL_PEAK_GMAC_S:.0f} GMAC/s, so {goal:.0f} here; measured: LiteRT "
        f"{running[0].per_s:.0f}, best {best:.0f}"
    )
    if target is not None:
        target.write_text(json.dumps({"figures": figures}, indent=2) + "\n")


if __name__ == "__main__":
    main()
