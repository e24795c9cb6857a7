"""Class activation maps of a released model: where in the picture a class's evidence lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from offline.errors import ModelError


@dataclass(frozen=True)
class _Layer:
    """A head's linear layer inside the quantized network."""

    kernel: NDArray[np.float64]
    output: str


class ActivationMaps:
    """Reads a model's last feature map and heads.

    Each head reads the last feature map through one linear layer, so its logits are sums over
    places (Zhou et al., "Learning deep features for discriminative localization", 2016).

    Raises
    ------
    ModelError
        The network does not end in linear heads on one feature map.
    """

    def __init__(self, network: Path, outputs: dict[str, str]) -> None:
        # The plain kernels keep every tensor readable; a delegate would fuse them away.
        self._interpreter = Interpreter(
            str(network),
            experimental_preserve_all_tensors=True,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        self._interpreter.allocate_tensors()
        tensors = {d["index"]: d for d in self._interpreter.get_tensor_details()}
        operations = self._interpreter._get_ops_details()
        self._layers: dict[str, _Layer] = {}
        flat: set[int] = set()
        for operation in operations:
            if operation["op_name"] != "FULLY_CONNECTED":
                continue
            name = tensors[int(operation["outputs"][0])]["name"]
            head = next((h for h, output in outputs.items() if output == name), None)
            if head is None:
                continue
            flat.add(int(operation["inputs"][0]))
            kernel = self._dequantized(tensors[int(operation["inputs"][1])])
            self._layers[head] = _Layer(kernel.T, name)
        for operation in operations:
            # The motion joins the flattened feature map before the heads.
            if operation["op_name"] == "CONCATENATION" and int(operation["outputs"][0]) in flat:
                flat.add(int(operation["inputs"][0]))
        source = [
            int(operation["inputs"][0])
            for operation in operations
            if operation["op_name"] == "RESHAPE" and int(operation["outputs"][0]) in flat
        ]
        if len(source) != 1 or set(self._layers) != set(outputs):
            raise ModelError(f"{network} does not end in linear heads on one feature map")
        self._features = tensors[source[0]]

    def _dequantized(self, detail: dict[str, Any]) -> NDArray[np.float64]:
        raw = self._interpreter.get_tensor(detail["index"]).astype(np.float64)
        scales = np.asarray(detail["quantization_parameters"]["scales"], np.float64)
        zeros = np.asarray(detail["quantization_parameters"]["zero_points"], np.float64)
        if scales.size == 0:
            return np.asarray(raw)
        if scales.size > 1:
            shape = [-1] + [1] * (raw.ndim - 1)
            scales, zeros = scales.reshape(shape), zeros.reshape(shape)
        return np.asarray((raw - zeros) * scales)

    def evidence(self, stack: NDArray[np.uint8], head: str) -> NDArray[np.float64]:
        """Evidence for each class, place by place.

        Parameters
        ----------
        stack : ndarray of uint8, shape (96, 160, 6)
            See `preprocessing.joined`.

        Returns
        -------
        ndarray, shape (rows, columns, classes)
            Sums over places give the logits less the bias and the motion's share.
        """
        entry = self._interpreter.get_input_details()[0]
        value = (stack.astype(np.int16) - 128).astype(np.int8)[None]
        self._interpreter.set_tensor(entry["index"], value)
        self._interpreter.invoke()
        features = self._dequantized(self._features)[0]
        kernel = self._layers[head].kernel[: features.size].reshape(*features.shape, -1)
        return np.asarray(np.einsum("rcf,rcfk->rck", features, kernel))


def overlay(plane: NDArray[np.uint8], evidence: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Colour a plane by evidence: warm for, cool against; returns BGR at twice the size."""
    height, width = plane.shape
    limit = max(float(np.abs(evidence).max()), 1e-6)
    scaled = cv2.resize(evidence.astype(np.float32) / limit, (2 * width, 2 * height),
                        interpolation=cv2.INTER_CUBIC)  # fmt: skip
    grey = cv2.resize(plane, (2 * width, 2 * height), interpolation=cv2.INTER_LINEAR)
    picture = np.repeat(grey[..., None].astype(np.float32), 3, axis=2)
    weight = np.clip(np.abs(scaled), 0, 1)[..., None] * 0.55
    tint = np.where(scaled[..., None] > 0, (40.0, 90.0, 255.0), (255.0, 120.0, 40.0))
    return np.asarray(np.clip(picture * (1 - weight) + tint * weight, 0, 255), np.uint8)
