"""A released scene network and the probabilities it gives."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from offline import preprocessing, roadscene
from offline.errors import ModelError
from offline.runtime import AUTO, load

MODEL_FILE: Final = "model.json"


@dataclass(frozen=True)
class Head:
    """One question the network answers.

    Attributes
    ----------
    name : str
    classes : tuple of str
        In output order.
    output : str
        Name of the output tensor that holds the logits.
    temperature : float
        Divides the logits before the softmax (Guo et al., "On calibration of modern neural
        networks", 2017).
    undetermined_below : float
        A frame whose best probability is below is undetermined for this head.
    prior : tuple of float
        Class shares of the frames that the temperature was fitted on; empty for equal shares.
    needs_sensors : bool
        On real roads the head is not right often enough to exonerate by itself.
    """

    name: str
    classes: tuple[str, ...]
    output: str
    temperature: float
    undetermined_below: float
    prior: tuple[float, ...] = ()
    needs_sensors: bool = False


class Classifier:
    """Runs a released scene network.

    Parameters
    ----------
    model_folder : str or Path
        Folder with `model.json` and the network it names.
    threads : int
        Threads of one inference.
    runtime : str
        `auto`, or one of `offline.runtime.RUNTIMES`.

    Attributes
    ----------
    name, version, sha256 : str
        The hash is that of `model.json`: it holds the network file's own, which is checked, and
        the temperatures and thresholds, on which results depend as much.
    heads : dict of str to Head
        In the order of the card.
    network : Path
        The network's file.
    runtime : str
        What runs the network.

    Raises
    ------
    ModelError
        The folder is missing or incomplete, the network is damaged or was replaced, it was made
        for another preprocessing, or it is no network of this form.
    RuntimeMissingError
        The runtime is not installed.
    """

    def __init__(self, model_folder: str | Path, threads: int = 1, runtime: str = AUTO) -> None:
        folder = Path(model_folder)
        card = _read_card(folder)
        self.name: str = card["name"]
        self.version: str = card["version"]
        self.sha256 = hashlib.sha256((folder / MODEL_FILE).read_bytes()).hexdigest()
        self.heads: dict[str, Head] = {head.name: head for head in card["heads"]}
        self.network = folder / card["file"]
        _check_content(self.network, card["sha256"])
        self._engine = load(self.network, runtime=runtime, threads=threads)
        self.runtime = self._engine.runtime
        self._check_form(self.network)

    def _check_form(self, path: Path) -> None:
        expected = (
            preprocessing.PLANE_HEIGHT,
            preprocessing.PLANE_WIDTH,
            len(preprocessing.STACK_DISTANCES_M) + 1,
        )
        if self._engine.input_shape != expected:
            raise ModelError(
                f"{path} reads stacks of shape {self._engine.input_shape}, not {expected}: "
                "it was made for another preprocessing"
            )
        for head in self.heads.values():
            if self._engine.outputs.get(head.output) != len(head.classes):
                raise ModelError(
                    f"{path} has no output {head.output!r} with {len(head.classes)} values for "
                    f"head {head.name!r}: model.json belongs to another network"
                )

    def predict(
        self, stacks: NDArray[np.uint8], codes: NDArray[np.uint8] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """Calibrated probabilities by head.

        Parameters
        ----------
        stacks : ndarray of uint8, shape (n, 96, 160, 5)
            See `offline.preprocessing`; levelled where the camera's mounting is known.
        codes : ndarray of uint8, shape (n, 12), optional
            The camera's motion, see `offline.motion`; not known where missing.

        Returns
        -------
        dict of str to ndarray of float32, shape (n, classes of the head)
            Rows sum to 1.

        Raises
        ------
        ValueError
            The stacks have another shape or type.
        """
        rows, columns, planes = self._engine.input_shape
        if stacks.dtype != np.uint8 or stacks.shape[1:] != (rows, columns, planes - 1):
            raise ValueError(
                f"stacks are {stacks.dtype} of shape {stacks.shape}, not uint8 of shape "
                f"(n, {rows}, {columns}, {planes - 1})"
            )
        logits = self._engine.run(preprocessing.joined(stacks, codes))
        return {
            head.name: _softmax(logits[head.output] / np.float32(head.temperature))
            for head in self.heads.values()
        }

    @property
    def reads_road_scene(self) -> bool:
        """Whether the heads are those that fusion understands."""
        return {name: head.classes for name, head in self.heads.items()} == _ROAD_SCENE_HEADS

    def require_road_scene(self) -> None:
        """Refuse a network that fusion does not understand.

        Raises
        ------
        ModelError
            The heads are not slope and course with the classes of `offline.roadscene`.
        """
        if not self.reads_road_scene:
            found = "; ".join(f"{h.name}: {', '.join(h.classes)}" for h in self.heads.values())
            wanted = "; ".join(f"{n}: {', '.join(c)}" for n, c in _ROAD_SCENE_HEADS.items())
            raise ModelError(
                f"model {self.name!r} predicts ({found}); scoring needs ({wanted}), in that order"
            )


_ROAD_SCENE_HEADS: Final = {"slope": roadscene.SLOPES, "course": roadscene.COURSES}


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


def _check_content(path: Path, sha256: str) -> None:
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as problem:
        raise ModelError(f"cannot read the network {path}: {problem.strerror}") from problem
    if found != sha256:
        raise ModelError(
            f"{path} is damaged or was replaced: its SHA-256 is not the one in {MODEL_FILE}; "
            "fetch the model again"
        )


def _read_card(folder: Path) -> dict[str, Any]:
    path = folder / MODEL_FILE
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise ModelError(f"no model in {folder}: cannot read {MODEL_FILE} there") from problem
    except ValueError as problem:
        raise ModelError(f"{path} is damaged: it is no JSON") from problem
    try:
        if card["preprocessing"] != preprocessing.VERSION:
            raise ModelError(
                f"{path}: made for preprocessing {card['preprocessing']!r}, this software does "
                f"{preprocessing.VERSION!r}; train or fetch a model for it"
            )
        heads = [
            Head(
                name=str(entry["name"]),
                classes=tuple(str(name) for name in entry["classes"]),
                output=str(entry["output"]),
                temperature=float(entry["temperature"]),
                undetermined_below=float(entry["undetermined_below"]),
                prior=tuple(float(share) for share in entry.get("prior", ())),
                needs_sensors=bool(entry.get("needs_sensors", False)),
            )
            for entry in card["heads"]
        ]
        result = {key: str(card[key]) for key in ("name", "version", "file", "sha256")}
    except (KeyError, TypeError, ValueError) as problem:
        if isinstance(problem, ModelError):
            raise
        raise ModelError(f"{path} is damaged or foreign: {_what(problem)}") from problem
    if not heads or any(not head.classes or not head.temperature > 0 for head in heads):
        raise ModelError(f"{path} is damaged: a head without classes or temperature")
    if any(
        head.prior and (len(head.prior) != len(head.classes) or min(head.prior) <= 0)
        for head in heads
    ):
        raise ModelError(f"{path} is damaged: a head's prior needs a share above 0 for every class")
    if Path(result["file"]).name != result["file"]:
        raise ModelError(f"{path} names a network outside its folder: {result['file']!r}")
    return {**result, "heads": heads}


def _what(problem: Exception) -> str:
    return f"no entry {problem}" if isinstance(problem, KeyError) else str(problem)
