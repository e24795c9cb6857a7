"""From a trained network to a full int8 TFLite model, and the proof that little was lost.

Post-training quantization: weights per channel and activations per tensor, both int8, with
ranges taken from training frames; batch normalization is folded by the converter. The input is
exactly ``uint8 - 128`` (scale 1/255, zero point -128), so that preprocessing needs no arithmetic
beyond a subtraction.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any, Final

import keras
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from offline.errors import ModelError

INPUT_SCALE: Final = 1.0 / 255.0
INPUT_ZERO_POINT: Final = -128


def convert_float(model: keras.Model) -> bytes:
    """Convert to a float32 TFLite model, for comparison."""
    import tensorflow as tf

    return bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())


def convert_int8(model: keras.Model, representative: NDArray[np.uint8]) -> bytes:
    """Convert to a full int8 TFLite model.

    Parameters
    ----------
    model : keras.Model
        Only the released heads as outputs; input is luma / 255.
    representative : ndarray of uint8, shape (n, height, width, channels)
        Training frames that set the ranges of the activations.

    Raises
    ------
    ModelError
        The converter chose another input scale than 1/255 with zero point -128.
    """
    import tensorflow as tf

    def frames() -> Iterator[list[NDArray[np.float32]]]:
        # One frame that spans black to white pins the input's range to exactly 0..1.
        spanning = representative[0].copy()
        spanning[0, 0], spanning[-1, -1] = 0, 255
        yield [spanning[None].astype(np.float32) * np.float32(INPUT_SCALE)]
        for frame in representative:
            yield [frame[None].astype(np.float32) * np.float32(INPUT_SCALE)]

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = frames
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    with warnings.catch_warnings():
        # Asks for statistics of inputs that are quantized already; ours come from the frames.
        warnings.filterwarnings("ignore", message="Statistics for quantized inputs")
        content = bytes(converter.convert())
    scale, zero_point = Interpreter(model_content=content).get_input_details()[0]["quantization"]
    if abs(scale - INPUT_SCALE) > 1e-6 or zero_point != INPUT_ZERO_POINT:
        raise ModelError(
            f"quantized input has scale {scale} and zero point {zero_point}, not 1/255 and -128: "
            "the representative frames must be luma / 255"
        )
    return content


def outputs_by_head(content: bytes, classes_of_head: dict[str, Sequence[str]]) -> dict[str, str]:
    """Name of the TFLite output tensor of every head.

    The converter renames outputs and may reorder them, so each head's output is found by running
    its signature and the plain outputs on one input and comparing.

    Raises
    ------
    ModelError
        An output cannot be told apart or has a width other than the head's classes.
    """
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    names: dict[str, str] = {}
    signature = interpreter.get_signature_list()["serving_default"]
    details = {d["name"]: d for d in interpreter.get_output_details()}
    runner = interpreter.get_signature_runner("serving_default")
    by_signature = runner.get_output_details()
    for head, classes in classes_of_head.items():
        if head not in signature["outputs"]:
            raise ModelError(f"converted model has no output for head {head!r}")
        detail = by_signature[head]
        name = detail["name"]
        if name not in details or int(detail["shape"][-1]) != len(classes):
            raise ModelError(f"output {name!r} of head {head!r} does not fit its classes")
        names[head] = name
    return names


def run(content: bytes, stacks: NDArray[np.uint8], threads: int = 1) -> list[NDArray[np.float32]]:
    """Run a TFLite model, int8 or float, and dequantize its outputs.

    Parameters
    ----------
    content : bytes
    stacks : ndarray of uint8, shape (n, height, width, channels)

    Returns
    -------
    list of ndarray of float32, shape (n, classes)
        One a plain output, in the model's own order.
    """
    interpreter = Interpreter(model_content=content, num_threads=threads)
    interpreter.allocate_tensors()
    entry: dict[str, Any] = interpreter.get_input_details()[0]
    exits = interpreter.get_output_details()
    collected: list[list[NDArray[np.float32]]] = [[] for _ in exits]
    for stack in stacks:
        if entry["dtype"] == np.int8:
            value = (stack.astype(np.int16) - 128).astype(np.int8)
        else:
            value = stack.astype(np.float32) * np.float32(INPUT_SCALE)
        interpreter.set_tensor(entry["index"], value[None])
        interpreter.invoke()
        for column, detail in zip(collected, exits, strict=True):
            raw = interpreter.get_tensor(detail["index"])[0].astype(np.float32)
            scale, zero_point = detail["quantization"]
            column.append((raw - zero_point) * scale if scale else raw)
    return [np.asarray(column, np.float32) for column in collected]


def run_heads(
    content: bytes, stacks: NDArray[np.uint8], outputs: dict[str, str], threads: int = 1
) -> dict[str, NDArray[np.float32]]:
    """Run a TFLite model and name its logits by head (see `outputs_by_head`)."""
    interpreter = Interpreter(model_content=content)
    order = [detail["name"] for detail in interpreter.get_output_details()]
    values = run(content, stacks, threads)
    return {head: values[order.index(name)] for head, name in outputs.items()}
