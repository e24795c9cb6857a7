"""A model folder: the quantized network and the `model.json` that says how to read it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from offline import preprocessing
from offline.training import quantization

MODEL_FILE: Final = "model.json"


@dataclass(frozen=True)
class HeadRelease:
    """What `model.json` says about one head.

    Attributes
    ----------
    classes : sequence of str
        In output order.
    temperature : float
        Divides the logits before the softmax (Guo et al., "On calibration of modern neural
        networks", 2017).
    undetermined_below : float
        A frame whose best probability is below is undetermined for this head.
    prior : sequence of float
        Share of each class among the frames that the temperature was fitted on: what the
        probabilities say before anything is seen. Fusion divides by it.
    needs_sensors : bool
        The head exonerates only where a sensor agrees.
    """

    classes: Sequence[str]
    temperature: float
    undetermined_below: float
    prior: Sequence[float]
    needs_sensors: bool = False


def write_model(
    folder: Path, content: bytes, heads: Mapping[str, HeadRelease], *, name: str, version: str
) -> Path:
    """Write the network and its `model.json`; the latter last and each in one step.

    Returns
    -------
    Path
        The `model.json` written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = f"{name}.tflite"
    outputs = quantization.outputs_by_head(
        content, {head: list(release.classes) for head, release in heads.items()}
    )
    description = {
        "name": name,
        "version": version,
        "file": file,
        "sha256": hashlib.sha256(content).hexdigest(),
        "preprocessing": preprocessing.VERSION,
        "input": {
            "height": preprocessing.PLANE_HEIGHT,
            "width": preprocessing.PLANE_WIDTH,
            "channels": len(preprocessing.STACK_DISTANCES_M) + 1,
        },
        "heads": [
            {
                "name": head,
                "classes": list(release.classes),
                "output": outputs[head],
                "temperature": round(float(release.temperature), 4),
                "undetermined_below": round(float(release.undetermined_below), 4),
                "prior": [round(float(share), 4) for share in release.prior],
                "needs_sensors": release.needs_sensors,
            }
            for head, release in heads.items()
        ],
    }
    replace(folder / file, content)
    target = folder / MODEL_FILE
    replace(target, (json.dumps(description, indent=2) + "\n").encode())
    return target


def replace(path: Path, content: bytes) -> None:
    """Write a file so that it is either the old one or the whole new one."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)
