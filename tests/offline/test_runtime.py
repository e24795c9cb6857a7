from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import models
from offline import runtime
from offline.errors import ModelError, RuntimeMissingError

FOLDER = models.locate("road_scene")
NETWORK = FOLDER / json.loads((FOLDER / "model.json").read_text())["file"]


def stacks() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (4, 96, 160, 6), dtype=np.uint8)


def compare(ours: dict[str, np.ndarray], others: dict[str, np.ndarray]) -> None:
    """At most 6 of the output's 256 steps apart on noise: kernels round in different places."""
    assert ours.keys() == others.keys()
    for name in ours:
        step = np.unique(np.abs(np.diff(np.sort(ours[name].ravel()))))
        smallest = step[step > 1e-6].min()
        assert np.abs(ours[name] - others[name]).max() <= 6 * smallest + 1e-6


def test_auto_takes_litert() -> None:
    engine = runtime.load(NETWORK)
    assert engine.runtime == runtime.LITERT
    assert engine.input_shape == (96, 160, 6)
    assert sorted(engine.outputs.values()) == [3, 4]


def test_input_is_luma_less_128() -> None:
    # Signed bytes and unsigned pixels must be the same picture: black, grey and white differ.
    engine = runtime.load(NETWORK)
    flat = np.stack([np.full((96, 160, 6), v, np.uint8) for v in (0, 127, 255)])
    for values in engine.run(flat).values():
        assert np.isfinite(values).all()
    assert np.array_equal(
        runtime._as_input(np.array([0, 127, 128, 255], np.uint8), np.int8),
        np.array([-128, -1, 0, 127], np.int8),
    )


def test_two_threads_say_the_same() -> None:
    one, two = (runtime.load(NETWORK, threads=n).run(stacks()) for n in (1, 2))
    for name in one:
        assert np.array_equal(one[name], two[name])


def test_openvino_agrees_with_litert() -> None:
    pytest.importorskip("openvino", reason="the optional accelerator is not installed")
    compare(
        runtime.load(NETWORK).run(stacks()),
        runtime.load(NETWORK, runtime=runtime.OPENVINO).run(stacks()),
    )


@pytest.mark.skipif(
    "GRADEWISE_TFLITE_RUNTIME_PYTHON" not in os.environ,
    reason="tflite-runtime needs numpy<2, so a Python of its own; name it in "
    "GRADEWISE_TFLITE_RUNTIME_PYTHON",
)
def test_tflite_runtime_agrees_with_litert(tmp_path: Path) -> None:
    np.save(tmp_path / "stacks.npy", stacks())
    program = (
        "import sys, numpy as np; from pathlib import Path; from offline import runtime\n"
        "engine = runtime.load(Path(sys.argv[1]))\n"
        "assert engine.runtime == 'tflite-runtime'\n"
        "np.savez(sys.argv[3], **engine.run(np.load(sys.argv[2])))"
    )
    subprocess.run(
        [os.environ["GRADEWISE_TFLITE_RUNTIME_PYTHON"], "-c", program, str(NETWORK),
         str(tmp_path / "stacks.npy"), str(tmp_path / "out.npz")],
        check=True, env={**os.environ, "PYTHONPATH": str(FOLDER.parents[1])},
    )  # fmt: skip
    with np.load(tmp_path / "out.npz") as held:
        compare(runtime.load(NETWORK).run(stacks()), dict(held))


def test_unknown_and_missing_runtimes_are_named() -> None:
    with pytest.raises(RuntimeMissingError, match="choose auto, litert"):
        runtime.load(NETWORK, runtime="onnx")
    if "tflite_runtime" not in sys.modules:
        with pytest.raises(RuntimeMissingError, match="pip install tflite-runtime"):
            runtime.load(NETWORK, runtime=runtime.TFLITE_RUNTIME)


@pytest.mark.parametrize("content", [b"", b"not a model", NETWORK.read_bytes()[:1000]])
def test_foreign_and_cut_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="no usable TFLite model"):
        runtime.load(path)


def test_the_library_keeps_silent(capfd: pytest.CaptureFixture[str]) -> None:
    runtime.load(NETWORK).run(stacks()[:1])
    assert capfd.readouterr().err == ""
