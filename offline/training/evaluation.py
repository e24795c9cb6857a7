"""How good a model is on labelled frames: by class, by manoeuvre, by confidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from offline import roadscene
from offline.classifier import Classifier
from offline.errors import InputError
from offline.training import calibration, roadset, sources, tables
from offline.training.framesets import FrameSet
from offline.training.persistence import Persistence, persistence

ABSTENTION_THRESHOLDS: Final = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
GRADE_EDGES_PERCENT: Final = (-12.5, -8.0, -6.0, -4.5, -3.5, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5,
                              4.5, 6.0, 8.0, 12.5)  # fmt: skip
"""A hill of 8 % is seen where one of 3 % is not."""


@dataclass(frozen=True)
class HeadScores:
    """One head on one set of frames.

    Attributes
    ----------
    classes : tuple of str
    confusion : ndarray of int64, shape (classes, classes)
        Rows are the truth.
    macro_f1 : float
        Mean F1 over classes that occur in the truth.
    reliability : calibration.Reliability
    abstention : list of dict
        Per threshold: share of frames answered, and accuracy on them.
    manoeuvres : list of dict
        Per group and true class: frames, answer by majority, right or not.
    by_grade : list of dict
        Of slopes whose true grade is known, per `from_percent` and `to_percent`: answers by class.
    persistence : Persistence or None
        How long mistakes last, where frames are of drives.
    """

    classes: tuple[str, ...]
    confusion: NDArray[np.int64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    macro_f1: float
    accuracy: float
    reliability: calibration.Reliability
    abstention: list[dict[str, float]]
    manoeuvres: list[dict[str, Any]]
    by_grade: list[dict[str, Any]] = field(default_factory=list)
    persistence: Persistence | None = None

    @property
    def frames(self) -> int:
        return int(self.confusion.sum())

    def as_json(self) -> dict[str, Any]:
        """Plain figures, NaN as None."""

        def figure(value: float) -> float | None:
            return None if np.isnan(value) else round(float(value), 4)

        found = {
            "frames": self.frames,
            "classes": list(self.classes),
            "confusion": self.confusion.tolist(),
            "per_class": {
                name: {
                    "frames": int(self.confusion[k].sum()),
                    "precision": figure(self.precision[k]),
                    "recall": figure(self.recall[k]),
                    "f1": figure(self.f1[k]),
                }
                for k, name in enumerate(self.classes)
            },
            "macro_f1": figure(self.macro_f1),
            "accuracy": figure(self.accuracy),
            "calibration_error": figure(self.reliability.error),
            "abstention": self.abstention,
            "manoeuvres": self.manoeuvres,
            "manoeuvres_right": sum(bool(m["right"]) for m in self.manoeuvres),
        }
        if self.by_grade:
            found["by_grade"] = self.by_grade
        if self.persistence is not None:
            found["persistence"] = self.persistence.as_json()
        return found


def score_head(
    classes: Sequence[str],
    truth: NDArray[np.int64],
    probabilities: NDArray[np.floating],
    groups: Sequence[str] = (),
) -> HeadScores:
    """Score one head.

    Parameters
    ----------
    truth : ndarray of int64, shape (n,)
        -1 where a frame has no label for this head; such frames are left out.
    probabilities : ndarray, shape (n, classes)
    groups : sequence of str, optional
        Manoeuvre, road or sequence of each frame.
    """
    known = np.flatnonzero(truth >= 0)
    guess = np.asarray(probabilities).argmax(axis=1)
    size = len(classes)
    confusion = np.zeros((size, size), np.int64)
    np.add.at(confusion, (truth[known], guess[known]), 1)
    diagonal = np.diag(confusion).astype(float)
    present, called = confusion.sum(axis=1), confusion.sum(axis=0)
    nan = np.full(size, np.nan)
    recall = np.divide(diagonal, present, out=nan.copy(), where=present > 0)
    precision = np.divide(diagonal, called, out=nan.copy(), where=called > 0)
    total = (present + called).astype(float)
    f1 = np.divide(2 * diagonal, total, out=nan.copy(), where=present > 0)
    chosen = np.asarray(probabilities)[known]
    right = guess[known] == truth[known]
    best = chosen.max(axis=1) if known.size else np.zeros(0)
    abstention = []
    for threshold in ABSTENTION_THRESHOLDS:
        answered = best >= threshold
        abstention.append(
            {
                "threshold": threshold,
                "answered": round(float(answered.mean()), 4) if known.size else 0.0,
                "accuracy": round(float(right[answered].mean()), 4) if answered.any() else 1.0,
            }
        )
    return HeadScores(
        classes=tuple(classes),
        confusion=confusion,
        precision=precision,
        recall=recall,
        f1=f1,
        macro_f1=float(np.nanmean(f1)) if known.size else float("nan"),
        accuracy=float(right.mean()) if known.size else float("nan"),
        reliability=calibration.reliability(chosen, truth[known]),
        abstention=abstention,
        manoeuvres=_by_manoeuvre(classes, truth, guess, groups),
    )


def answers_by_grade(
    grade_percent: NDArray[np.floating], guess: NDArray[np.int64], classes: int
) -> list[dict[str, Any]]:
    """How often each class was answered, by the true grade.

    Parameters
    ----------
    grade_percent : ndarray, shape (n,)
        NaN where it is not known.
    guess : ndarray of int64, shape (n,)
    """
    known = ~np.isnan(grade_percent)
    of_row = _grade_row(grade_percent[known])
    answers = np.zeros((len(GRADE_EDGES_PERCENT) - 1, classes), np.int64)
    np.add.at(answers, (of_row, guess[known]), 1)
    return [
        {"from_percent": low, "to_percent": high, "answers": row.tolist()}
        for (low, high), row in zip(pairwise(GRADE_EDGES_PERCENT), answers, strict=True)
    ]


def _grade_row(grade_percent: NDArray[np.floating]) -> NDArray[np.int64]:
    # What is steeper than the steepest counts with it.
    return np.searchsorted(GRADE_EDGES_PERCENT[1:-1], grade_percent, side="right")


def _by_manoeuvre(
    classes: Sequence[str],
    truth: NDArray[np.int64],
    guess: NDArray[np.int64],
    groups: Sequence[str],
) -> list[dict[str, Any]]:
    """The answer of most frames of every group and true class."""
    found: dict[tuple[str, int], list[int]] = {}
    for group, true, answer in zip(groups, truth, guess, strict=False):
        if true >= 0:
            found.setdefault((group, int(true)), []).append(int(answer))
    rows = []
    for (group, true), answers in found.items():
        votes = np.bincount(answers, minlength=len(classes))
        majority = int(votes.argmax())
        rows.append(
            {
                "group": group,
                "truth": classes[true],
                "frames": len(answers),
                "majority": classes[majority],
                "share_right": round(votes[true] / len(answers), 4),
                "right": majority == true,
            }
        )
    return rows


def read_evaluation_data(
    data: Path,
    heads: Mapping[str, Sequence[str]],
    split: str,
    only: str | None = None,
    *,
    ended: bool = False,
) -> list[FrameSet]:
    """Frames to evaluate on: a synthetic set, a CSV of pictures or of a video, a folder a class.

    A CSV with a `file` column lists pictures; one with `t_s` and no `file` labels the video of
    the same name beside it. Frames of a road scene CSV whose labels are runs of time are grouped
    into manoeuvres.

    Parameters
    ----------
    ended : bool
        Of a synthetic set, only frames as they would be had the recording ended soon after them.

    Raises
    ------
    InputError
        The data are none of these, or a label is no class of the model.
    """
    if ended and not (data / roadset.SET_FILE).exists():
        raise InputError(
            f"{data} is no synthetic set, so how its roads go on is not known: leave out --ended"
        )
    if data.is_dir():
        if (data / roadset.SET_FILE).exists():
            found = sources.read_synth(data, heads, split, ended="only" if ended else "left out")
            if not found:
                raise InputError(f"{data} holds no road of the split {split}")
            return found
        if len(heads) != 1:
            raise InputError(
                f"{data}: a folder a class fits a model with one head; this one has "
                f"{', '.join(heads)}: give a CSV instead"
            )
        return [sources.read_pictures(sources.list_folders(data, heads), data, heads, str(data))]
    table = tables.read_csv(data)
    if "file" in table:
        if only is not None and "source" in table:
            table = table[table["source"].astype(str).str.contains(only, regex=False)]
        if table.empty:
            raise InputError(f"{data}: no row{f' of {only}' if only else ''}")
        table = tables.with_manoeuvres(table)
        return [sources.read_pictures(table, data.parent, heads, str(data))]
    raise InputError(f"{data}: no column file; to evaluate a video's labels give --video as well")


def evaluate(
    classifier: Classifier, sets: Sequence[FrameSet]
) -> tuple[dict[str, HeadScores], dict[str, NDArray[np.float32]]]:
    """Score a model; returns scores and the probabilities of all frames by head."""
    pieces: dict[str, list[NDArray[np.float32]]] = {head: [] for head in classifier.heads}
    for frames in sets:
        for start in range(0, len(frames), 256):
            index = np.arange(start, min(start + 256, len(frames)))
            found = classifier.predict(frames.pictures(index), frames.motion(index))
            for head, values in found.items():
                pieces[head].append(values)
    probabilities = {head: np.concatenate(values) for head, values in pieces.items()}
    scores = {}
    for name, card in classifier.heads.items():
        truth = np.concatenate([frames.labels(name) for frames in sets])
        groups = [group for frames in sets for group in frames.groups]
        if (truth >= 0).any():
            scores[name] = score_head(card.classes, truth, probabilities[name], groups)
    strata: dict[str, NDArray[np.int64]] = {}
    if "slope" in scores and all("grade" in frames.reals for frames in sets):
        grade = sources.GRADE_UNIT_PERCENT * np.concatenate([f.reals["grade"] for f in sets])
        guess = probabilities["slope"].argmax(axis=1)
        by_grade = answers_by_grade(grade, guess, len(scores["slope"].classes))
        scores["slope"] = replace(scores["slope"], by_grade=by_grade)
        strata["slope"] = np.where(np.isnan(grade), -1, _grade_row(grade))
    for name, scored in scores.items():
        lasts = _persistence(name, sets, probabilities[name], strata.get(name))
        scores[name] = replace(scored, persistence=lasts)
    return scores, probabilities


def _persistence(
    head: str,
    sets: Sequence[FrameSet],
    probabilities: NDArray[np.float32],
    stratum: NDArray[np.int64] | None,
) -> Persistence | None:
    """How long a head's mistakes last, where all frames are of drives."""
    driven = [frames.driven_m for frames in sets if frames.driven_m is not None]
    truth = np.concatenate([frames.labels(head) for frames in sets])
    if len(driven) != len(sets) or (truth < 0).any():
        return None
    groups = [group for frames in sets for group in frames.groups]
    wrong = probabilities.argmax(axis=1) != truth
    expected = truth if stratum is None else stratum * (int(truth.max()) + 1) + truth
    return persistence(wrong, expected, groups, np.concatenate(driven))


def six_class_scores(
    sets: Sequence[FrameSet], probabilities: Mapping[str, NDArray[np.float32]]
) -> HeadScores | None:
    """The road scene heads joined to six classes; None where no frame has both labels."""
    if set(probabilities) != {"slope", "course"}:
        return None
    slope = np.concatenate([frames.labels("slope") for frames in sets])
    course = np.concatenate([frames.labels("course") for frames in sets])
    # A bend is named by its course, whatever its slope; a straight road needs both labels.
    truth = np.where(course > 0, course + 2, np.where((course == 0) & (slope >= 0), slope, -1))
    if not (truth >= 0).any():
        return None
    joined = np.zeros((truth.size, len(roadscene.CLASSES)))
    names, confidence = roadscene.labels(probabilities["slope"], probabilities["course"])
    for row, (name, p) in enumerate(zip(names, confidence, strict=True)):
        joined[row] = (1.0 - p) / (len(roadscene.CLASSES) - 1)
        joined[row, roadscene.CLASSES.index(name)] = max(float(p), 0.51)
    return score_head(roadscene.CLASSES, truth, joined)
