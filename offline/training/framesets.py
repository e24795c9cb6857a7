"""Labelled frames in memory: planes once, stacks by index, soft targets a head."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from offline import preprocessing
from offline.errors import InputError


@dataclass(frozen=True)
class FrameSet:
    """Frames of one source and one split.

    Attributes
    ----------
    name : str
        Where the frames are from.
    planes : ndarray of uint8, shape (p, 96, 160)
    stacks : ndarray of int64, shape (n, 5)
        Planes of every labelled frame, its own first (`preprocessing.STACK_DISTANCES_M`).
    targets : dict of str to ndarray of float32, shape (n, classes)
        Probability of each class by head; rows of an unlabelled frame are zero.
    weights : dict of str to ndarray of float32, shape (n,)
        Trust in a head's label, 0 where it has none.
    codes : ndarray of uint8, shape (n, 12), optional
        The camera's motion (`offline.motion`), all zero where it is not known. Planes of a known
        mounting are levelled.
    reals : dict of str to ndarray of float32, shape (n,)
        Auxiliary targets, NaN where unknown.
    groups : list of str
        Manoeuvre, road or sequence a frame belongs to.
    names : list of str
        How to find a frame again: file or time.
    driven_m : ndarray, shape (n,), optional
        Distance along the frame's group, where it is a drive.
    """

    name: str
    planes: NDArray[np.uint8]
    stacks: NDArray[np.int64]
    targets: dict[str, NDArray[np.float32]]
    weights: dict[str, NDArray[np.float32]]
    codes: NDArray[np.uint8] | None = None
    reals: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    groups: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    driven_m: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return int(self.stacks.shape[0])

    def pictures(
        self, index: NDArray[np.int64], *, single_frame: bool = False
    ) -> NDArray[np.uint8]:
        """Stacks of the frames at `index`, shape (n, 96, 160, 5)."""
        chosen = self.stacks[index]
        if single_frame:
            chosen = np.repeat(chosen[:, :1], chosen.shape[1], axis=1)
        return np.ascontiguousarray(np.moveaxis(self.planes[chosen], 1, -1))

    def motion(self, index: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Bytes of motion of the frames at `index`, shape (n, 12)."""
        if self.codes is None:
            return np.zeros((index.size, preprocessing.CODE_BYTES), np.uint8)
        return self.codes[index]

    def shrunk(self, factor: int) -> FrameSet:
        """The same frames with planes averaged down by a factor."""
        if factor == 1:
            return self
        count, rows, columns = self.planes.shape
        small = np.empty((count, rows // factor, columns // factor), np.uint8)
        for start in range(0, count, 1024):
            part = self.planes[start : start + 1024]
            blocks = part.reshape(-1, rows // factor, factor, columns // factor, factor)
            small[start : start + 1024] = blocks.mean(axis=(2, 4), dtype=np.float32) + 0.5
        return replace(self, planes=small)

    def labels(self, head: str) -> NDArray[np.int64]:
        """Most probable class of every frame, -1 where the head has no label."""
        best = self.targets[head].argmax(axis=1)
        return np.where(self.weights[head] > 0, best, -1)

    def subset(self, index: NDArray[np.int64]) -> FrameSet:
        """The frames at `index`, sharing planes."""
        return FrameSet(
            self.name,
            self.planes,
            self.stacks[index],
            {head: values[index] for head, values in self.targets.items()},
            {head: values[index] for head, values in self.weights.items()},
            None if self.codes is None else self.codes[index],
            {name: values[index] for name, values in self.reals.items()},
            [self.groups[i] for i in index] if self.groups else [],
            [self.names[i] for i in index] if self.names else [],
            None if self.driven_m is None else self.driven_m[index],
        )


def one_hot(
    labels: Sequence[str | None], classes: Sequence[str], where: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Targets and weights from names; None and "" are unlabelled.

    Raises
    ------
    InputError
        A label is none of the classes.
    """
    targets = np.zeros((len(labels), len(classes)), np.float32)
    weights = np.zeros(len(labels), np.float32)
    place = {name: i for i, name in enumerate(classes)}
    for row, label in enumerate(labels):
        if label is None or label == "":
            continue
        if label not in place:
            raise InputError(
                f"{where}: label {label!r} (row {row + 1}) is not one of the classes "
                f"{', '.join(classes)}"
            )
        targets[row, place[label]] = 1.0
        weights[row] = 1.0
    return targets, weights


def require_every_class(
    sets: Sequence[FrameSet], classes_of_head: Mapping[str, Sequence[str]], split: str
) -> None:
    """Check that every class of every head has frames.

    Raises
    ------
    InputError
        A class is empty; the message names it.
    """
    for head, classes in classes_of_head.items():
        present: set[int] = set()
        for frames in sets:
            present |= set(np.unique(frames.labels(head)).tolist())
        empty = [name for i, name in enumerate(classes) if i not in present]
        if empty:
            raise InputError(
                f"no {split} frame is labelled {', '.join(empty)} (head {head}): add frames of it "
                "or take the class out of the configuration"
            )


def frame_counts(sets: Sequence[FrameSet]) -> dict[str, int]:
    """Frames by the name of their set; two sets of one name are one, a frame held twice is one."""
    counted: Counter[str] = Counter()
    for frames in sets:
        counted[frames.name] += len(set(frames.names))
    return dict(counted)
