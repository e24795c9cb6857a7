"""A trainable network from a released one: its int8 weights, with batch normalization put back.

A release folds batch normalization into the convolutions. To be trained on, the network gets a
normalization that changes nothing: it takes out the mean and the spread that a convolution's output
has on training frames, and puts both in again.
"""

from __future__ import annotations

import logging
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from offline.classifier import Classifier
from offline.errors import InputError, ModelError
from offline.training import trainer
from offline.training.config import TrainingConfig

log = logging.getLogger(__name__)

NORMALIZED: Final = "_bn"
"""Ends the name of the normalization that follows a convolution (`network.build`)."""
LEAST_SPREAD: Final = 1e-3
"""Of a channel that training frames hardly move, as a share of its layer's mean spread."""
SPREAD_FRAMES: Final = 256
BATCH: Final = 32

Array = NDArray[np.float32]


def started(config: TrainingConfig, data: trainer.TrainingData, start_from: Path) -> keras.Model:
    """The first stage's network with the weights of a released model or of an earlier run.

    Parameters
    ----------
    start_from : Path
        A model folder, or a file of weights.

    Raises
    ------
    InputError
        The file holds no weights of this network.
    ModelError
        The folder holds no model, or one that does not fit.
    """
    shrink = config.stages[0].shrink
    model = trainer.build_model(config, shrink)
    if start_from.is_dir():
        sampler = trainer.Sampler(config, data, shrink)
        batch = sampler.batch(np.random.default_rng([config.seed, 98]), SPREAD_FRAMES)
        stacks, codes = (
            tf.cast(batch[name], tf.float32) * trainer.INPUT_SCALE for name in ("pictures", "codes")
        )
        anew = take_over(model, start_from, config.heads, stacks, codes)
        if anew:
            log.info("begin anew: %s", ", ".join(anew))
        return model
    try:
        model.load_weights(start_from)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{start_from}: no weights of this network ({str(error).splitlines()[0]})"
        ) from error
    return model


def released_weights(
    folder: Path, layers: Sequence[str]
) -> tuple[dict[str, tuple[Array, Array]], dict[str, list[str]]]:
    """Kernels and biases of a released network's layers, as far as it has them, and its classes.

    Parameters
    ----------
    folder : Path
        A model folder as `gradewise-offline train` writes it.
    layers : sequence of str
        Names of convolutions and dense layers (`network.build`).

    Returns
    -------
    tuple of dict of str to tuple of ndarray, and of dict of str to list of str
        Kernel, its outputs last, and bias, by layer; classes by head.

    Raises
    ------
    ModelError
        The folder holds no model, a damaged one, or one for another preprocessing.
    """
    # It checks all that can be wrong with a model.
    classifier = Classifier(folder)
    classes = {name: list(head.classes) for name, head in classifier.heads.items()}
    interpreter = Interpreter(
        model_path=str(classifier.network),
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    found = {}
    constants = [d for d in interpreter.get_tensor_details() if _is_weight(d)]
    for layer in layers:
        own = re.compile(rf"/{re.escape(layer)}_\d+/")
        kernel, bias = (
            [d for d in constants if (d["dtype"] == kind) and own.search(str(d["name"]))]
            for kind in (np.int8, np.int32)
        )
        if len(kernel) == 1 and len(bias) == 1:
            # Outputs come first in the file, last in Keras.
            values = np.moveaxis(_values(interpreter, kernel[0]), 0, -1)
            found[layer] = (np.ascontiguousarray(values), _values(interpreter, bias[0]))
    return found, classes


def _is_weight(detail: dict[str, Any]) -> bool:
    """Constants that are scaled by output: kernels are int8, biases int32."""
    outputs = int(detail["shape"][0]) if len(detail["shape"]) else 0
    scales = detail["quantization_parameters"]["scales"].size
    rank = len(detail["shape"])
    return scales == outputs > 1 and (
        (detail["dtype"] == np.int32 and rank == 1) or (detail["dtype"] == np.int8 and rank > 1)
    )


def _values(interpreter: Interpreter, detail: dict[str, Any]) -> Array:
    raw = interpreter.get_tensor(detail["index"]).astype(np.float32)
    scales = np.asarray(detail["quantization_parameters"]["scales"], np.float32)
    return np.asarray(raw * scales.reshape(-1, *[1] * (raw.ndim - 1)), np.float32)


def take_over(
    model: keras.Model,
    folder: Path,
    classes_of_head: Mapping[str, Sequence[str]],
    stacks: Any,
    codes: Any,
) -> list[str]:
    """Give a network the weights of a released one, whose stacks may have been of another size.

    Parameters
    ----------
    model : keras.Model
        Built by `network.build`.
    folder : Path
        The released model.
    classes_of_head : mapping of str to sequence of str
        Of the network; a head that the released model does not have, or with other classes,
        begins anew.
    stacks, codes : tensor of float32, shapes (n, rows, columns, 5) and (n, 12)
        Training frames as the network takes them, some hundred: normalizations are set by their
        spread.

    Returns
    -------
    list of str
        Heads that begin anew, those of training only included.

    Raises
    ------
    ModelError
        The released network is of another kind or width.
    """
    weighted = [
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense)
    ]
    held, classes = released_weights(folder, [layer.name for layer in weighted])
    normalized, anew = [], []
    for layer in weighted:
        if layer.name in model.output_names and classes.get(layer.name) != list(
            classes_of_head.get(layer.name, ())
        ):
            anew.append(layer.name)
            continue
        kernel, bias = held.get(layer.name, (None, None))
        if kernel is None or bias is None or kernel.shape != tuple(layer.kernel.shape):
            raise ModelError(
                f"{folder}: its layer {layer.name} does not fit: start from a model of the same "
                "width_multiplier, or from none"
            )
        if layer.use_bias:
            layer.set_weights([kernel, bias])
        else:
            layer.set_weights([kernel])
            follows = model.get_layer(layer.name + NORMALIZED)
            _normalize(follows, bias, np.zeros_like(bias), np.ones_like(bias))
            normalized.append((layer, follows, bias))
    seen = keras.Model(model.inputs, [layer.output for layer, _, _ in normalized])
    # Some at a time: at full size a frame takes 16 MB.
    parts = [
        [_moments(values) for values in seen({"stack": s, "codes": c}, training=False)]
        for s, c in zip(_batches(stacks), _batches(codes), strict=True)
    ]
    for k, (_, follows, bias) in enumerate(normalized):
        count = sum(part[k][0] for part in parts)
        mean = np.sum([part[k][1] for part in parts], axis=0) / count
        squares = np.sum([part[k][2] for part in parts], axis=0) / count
        spread = np.sqrt(np.maximum(squares - mean**2, 0.0))
        spread = np.maximum(spread, LEAST_SPREAD * spread.mean())
        _normalize(follows, bias, mean, spread**2)
    return anew


def _batches(values: Any) -> list[Any]:
    return [values[start : start + BATCH] for start in range(0, len(values), BATCH)]


def _moments(values: Any) -> tuple[int, NDArray[np.float64], NDArray[np.float64]]:
    flat = np.asarray(values, np.float64)
    flat = flat.reshape(-1, flat.shape[-1])
    return flat.shape[0], flat.sum(axis=0), (flat**2).sum(axis=0)


def _normalize(layer: Any, bias: Array, mean: NDArray[Any], variance: NDArray[Any]) -> None:
    """Have a normalization add a bias and nothing else."""
    layer.set_weights([np.sqrt(variance + layer.epsilon), bias + mean, mean, variance])
