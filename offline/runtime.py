"""One way to run a TFLite network, whichever interpreter the machine has.

`litert` (package ai-edge-litert) is the default. `tflite-runtime` is its predecessor with the
same interface, for machines that hold an older NumPy; its results differ by at most 2 steps of
the int8 output. `openvino` is an optional accelerator for x86; it reads the same file, but not
the scales of quantized outputs, which it takes from one of the other two.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from offline.errors import ModelError, RuntimeMissingError

LITERT: Final = "litert"
TFLITE_RUNTIME: Final = "tflite-runtime"
OPENVINO: Final = "openvino"
RUNTIMES: Final = (LITERT, TFLITE_RUNTIME, OPENVINO)
"""In the order in which `auto` tries them."""
AUTO: Final = "auto"

_INTERPRETERS: Final = {
    LITERT: ("ai_edge_litert.interpreter", "ai-edge-litert"),
    TFLITE_RUNTIME: ("tflite_runtime.interpreter", "tflite-runtime"),
}


class Engine(Protocol):
    """A loaded network. Not for several threads at once.

    Attributes
    ----------
    runtime : str
        Which of `RUNTIMES` runs it.
    input_shape : tuple of int
        Height, width and channels of one stack.
    outputs : dict of str to int
        Width of every output by its tensor name.
    """

    runtime: str
    input_shape: tuple[int, ...]
    outputs: dict[str, int]

    def run(self, stacks: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Dequantized outputs by tensor name, one row a stack, shapes (n, width)."""
        ...


def load(path: Path, *, runtime: str = AUTO, threads: int = 1) -> Engine:
    """Load a network.

    Parameters
    ----------
    path : Path
        A .tflite file with one input, int8 (scale 1/255, zero point -128) or float32 (0..1).
    runtime : str
        One of `RUNTIMES`, or `auto` for the first that is installed.
    threads : int
        Threads of one inference.

    Raises
    ------
    ModelError
        The file is no TFLite model, or not one with an input of that kind.
    RuntimeMissingError
        The runtime asked for is not installed, or none is.
    """
    if runtime == OPENVINO:
        return _OpenVinoEngine(path, threads)
    if runtime in _INTERPRETERS:
        return _InterpreterEngine(path, threads, runtime)
    if runtime != AUTO:
        raise RuntimeMissingError(
            f"unknown runtime {runtime!r}: choose {AUTO}, {', '.join(RUNTIMES)}"
        )
    return _InterpreterEngine(path, threads, _first_installed())


def _first_installed() -> str:
    for name in _INTERPRETERS:
        if _interpreter_class(name) is not None:
            return name
    raise RuntimeMissingError(
        "no runtime for TFLite networks is installed: pip install ai-edge-litert"
    )


def _interpreter_class(runtime: str) -> Callable[..., Any] | None:
    module, _ = _INTERPRETERS[runtime]
    try:
        return importlib.import_module(module).Interpreter
    except ModuleNotFoundError:
        return None


def _interpreter(path: Path, threads: int, runtime: str) -> Any:
    make = _interpreter_class(runtime)
    if make is None:
        package = _INTERPRETERS[runtime][1]
        raise RuntimeMissingError(f"runtime {runtime!r} is not installed: pip install {package}")
    try:
        with _silent_stderr():
            interpreter = make(model_path=str(path), num_threads=threads)
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as problem:
        reason = str(problem).strip().splitlines()[0] if str(problem).strip() else "unreadable"
        raise ModelError(f"{path} is no usable TFLite model: {reason}") from problem
    return interpreter


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """Hide what the C++ library says to stderr about its delegates; errors still raise.

    It has no setting for that, and an error of ours must stay the only line.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _input_of(path: Path, interpreter: Any) -> dict[str, Any]:
    inputs = interpreter.get_input_details()
    if len(inputs) != 1 or len(inputs[0]["shape"]) != 4:
        raise ModelError(f"{path} has other inputs than one stack of pictures")
    entry: dict[str, Any] = inputs[0]
    scale, zero_point = entry["quantization"]
    quantized = entry["dtype"] == np.int8 and abs(scale - 1 / 255) < 1e-6 and zero_point == -128
    if not quantized and entry["dtype"] != np.float32:
        raise ModelError(
            f"{path} takes {np.dtype(entry['dtype']).name} of scale {scale:.6g} and zero point "
            f"{zero_point}; expected int8 of scale 1/255 and zero point -128, or float32"
        )
    return entry


def _as_input(stacks: NDArray[np.uint8], dtype: Any) -> NDArray[Any]:
    if dtype == np.int8:
        # uint8 - 128 is the same byte with its highest bit flipped.
        return (stacks ^ np.uint8(0x80)).view(np.int8)
    return stacks.astype(np.float32) * np.float32(1 / 255)


def _dequantized(raw: NDArray[Any], quantization: tuple[float, int]) -> NDArray[np.float32]:
    scale, zero_point = quantization
    values = raw.astype(np.float32)
    return (values - np.float32(zero_point)) * np.float32(scale) if scale else values


class _InterpreterEngine:
    """Engine on ai-edge-litert or tflite-runtime, which share one interface."""

    def __init__(self, path: Path, threads: int, runtime: str) -> None:
        self.runtime = runtime
        self._interpreter = _interpreter(path, threads, runtime)
        self._entry = _input_of(path, self._interpreter)
        self._exits = self._interpreter.get_output_details()
        self.input_shape = tuple(int(size) for size in self._entry["shape"][1:])
        self.outputs = {exit_["name"]: int(exit_["shape"][-1]) for exit_ in self._exits}

    def run(self, stacks: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        values = _as_input(stacks, self._entry["dtype"])
        index = self._entry["index"]
        raw = {
            exit_["name"]: np.empty((len(stacks), int(exit_["shape"][-1])), exit_["dtype"])
            for exit_ in self._exits
        }
        for row in range(len(stacks)):
            self._interpreter.set_tensor(index, values[row : row + 1])
            self._interpreter.invoke()
            for exit_ in self._exits:
                raw[exit_["name"]][row] = self._interpreter.get_tensor(exit_["index"])[0]
        return {
            exit_["name"]: _dequantized(raw[exit_["name"]], exit_["quantization"])
            for exit_ in self._exits
        }


class _OpenVinoEngine:
    """Engine on OpenVINO's CPU plugin."""

    def __init__(self, path: Path, threads: int) -> None:
        try:
            openvino = importlib.import_module("openvino")
        except ModuleNotFoundError as missing:
            raise RuntimeMissingError(
                "runtime 'openvino' is not installed: pip install openvino"
            ) from missing
        self.runtime = OPENVINO
        reader = _interpreter(path, 1, _first_installed())
        entry = _input_of(path, reader)
        self._dtype = entry["dtype"]
        self._quantization = {d["name"]: d["quantization"] for d in reader.get_output_details()}
        self.input_shape = tuple(int(size) for size in entry["shape"][1:])
        self.outputs = {d["name"]: int(d["shape"][-1]) for d in reader.get_output_details()}
        compiled = openvino.Core().compile_model(
            str(path),
            "CPU",
            {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"},
        )
        self._request = compiled.create_infer_request()
        names = {name: port for port in compiled.outputs for name in port.get_names()}
        self._ports = {name: names[name] for name in self.outputs}

    def run(self, stacks: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        values = _as_input(stacks, self._dtype)
        result = {
            name: np.empty((len(stacks), width), np.float32) for name, width in self.outputs.items()
        }
        for row in range(len(stacks)):
            answer = self._request.infer({0: values[row : row + 1]})
            for name, port in self._ports.items():
                result[name][row] = _dequantized(answer[port][0], self._quantization[name])
        return result
