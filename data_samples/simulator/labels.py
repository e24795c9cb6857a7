"""A stand-in for the network: labels from truth through a confusion matrix, with its habits.

Three things make a real network's mistakes worse than coin tosses: they follow the classes'
confusion, they last (the next frame shows almost the same picture), and the confidence does not
always give them away. Each is modelled. A hidden uniform number decides, through the confusion
matrix's row of the true class (for a slope, where that was measured, of the true grade), what is
answered. Some frames draw their own, the others share one that is drawn anew only after some
metres: so a burst of frames is wrong in the same way, as often as measured, while the share of
every answer stays exactly the matrix's.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_samples.simulator.drive import Drive
from data_samples.simulator.road import STEP_M, Road
from data_samples.simulator.sensors import START_NS
from offline.scenelabels import SceneLabels
from offline.training.persistence import Persistence

STAND_IN_PERSISTENCE = Persistence(share=0.45, length_m=50.0)
"""About as long as the released networks' mistakes about slopes last: 0.45 and 50 m of version
0.12, 0.45 and 30 m of 0.13, 0.50 and 45 m of 0.15, 0.40 and 60 m of 0.15.1."""


@dataclass(frozen=True)
class Confidence:
    """How sure a head is, and how well that tells right answers from wrong ones.

    Attributes
    ----------
    mean : tuple of float
        Mean confidence of each answer before the exponent; of a calibrated head its precision.
    spread : float
        Small: sure or lost, and knows which; large: always the same confidence.
    overconfidence : float
        Exponent on the odds: 1 is calibrated, more claims more than it knows.
    """

    mean: tuple[float, ...]
    spread: float = 4.0
    overconfidence: float = 1.2


@dataclass(frozen=True)
class NetworkModel:
    """How a network answers.

    Attributes
    ----------
    slope_confusion : ndarray, shape (3, 3)
        Share of each answer (column) by true slope (row).
    course_confusion : ndarray, shape (4, 4)
        The same for the course.
    slope_confidence, course_confidence : Confidence
    slope_persistence, course_persistence : Persistence
        How long mistakes last.
    fps : float
        Labelled frames a second.
    slope_threshold, course_threshold : float
        Confidence under which a head is undetermined.
    slope_prior, course_prior : tuple of float
        Class shares under which it is calibrated; empty for equal shares.
    slope_needs_sensors : bool
        Its slopes alone exonerate nothing.
    grade_percent : ndarray, shape (b,)
        Ascending; empty where answers follow the class alone.
    slope_by_grade : ndarray, shape (b, 3)
        Share of each answer by true grade: a hill of 8 % is seen where one of 3 % is not.
    """

    slope_confusion: NDArray[np.float64]
    course_confusion: NDArray[np.float64]
    slope_confidence: Confidence
    course_confidence: Confidence
    slope_persistence: Persistence = STAND_IN_PERSISTENCE
    course_persistence: Persistence = STAND_IN_PERSISTENCE
    fps: float = 2.0
    slope_threshold: float = 0.65
    course_threshold: float = 0.65
    slope_prior: tuple[float, ...] = ()
    course_prior: tuple[float, ...] = ()
    slope_needs_sensors: bool = False
    grade_percent: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    slope_by_grade: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 3)))


MEASURED_ON = "Synthetic roads never seen"
"""Section of a model's card that knows every class, hills above all."""
FIT_FRAMES = 4000


@cache
def network_of_card(folder: Path, *, fps: float = 2.0) -> NetworkModel:
    """Return a network that answers as often right and as sure as a released model's card says.

    Parameters
    ----------
    folder : Path
        Holds `model.json` and `card.json`.
    """
    model = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    heads = {head["name"]: head for head in model["heads"]}
    measured = card["figures"][MEASURED_ON]["heads"]
    counts = {
        name: np.array(measured[name]["confusion"], np.float64) for name in ("slope", "course")
    }
    slope, course = (counts[name] / counts[name].sum(axis=1, keepdims=True) for name in counts)
    graded = [row for row in measured["slope"].get("by_grade", []) if sum(row["answers"])]
    answered = np.array([row["answers"] for row in graded], np.float64).reshape(-1, 3)
    return NetworkModel(
        slope,
        course,
        fit_confidence(counts["slope"], measured["slope"]["abstention"]),
        fit_confidence(counts["course"], measured["course"]["abstention"]),
        slope_persistence=Persistence(**measured["slope"]["persistence"]),
        course_persistence=Persistence(**measured["course"]["persistence"]),
        fps=fps,
        slope_threshold=heads["slope"]["undetermined_below"],
        course_threshold=heads["course"]["undetermined_below"],
        slope_prior=tuple(heads["slope"]["prior"]),
        course_prior=tuple(heads["course"]["prior"]),
        slope_needs_sensors=heads["slope"]["needs_sensors"],
        grade_percent=np.array([(r["from_percent"] + r["to_percent"]) / 2.0 for r in graded]),
        slope_by_grade=answered / answered.sum(axis=1, keepdims=True),
    )


def network_of_accuracy(accuracy: float, *, fps: float = 2.0) -> NetworkModel:
    """Return a network with the given balanced accuracy in both heads.

    Mistakes fall mostly on the neighbouring class, as real confusion matrices have them:
    slopes are taken for level and level for a slope, rarely uphill for downhill.
    """
    wrong = 1.0 - accuracy
    slope = np.array(
        [
            [accuracy, wrong / 2, wrong / 2],
            [0.8 * wrong, accuracy, 0.2 * wrong],
            [0.8 * wrong, 0.2 * wrong, accuracy],
        ]
    )
    course = np.array(
        [
            [accuracy, 0.8 * wrong, 0.1 * wrong, 0.1 * wrong],
            [0.7 * wrong, accuracy, 0.15 * wrong, 0.15 * wrong],
            [0.2 * wrong, 0.7 * wrong, accuracy, 0.1 * wrong],
            [0.2 * wrong, 0.7 * wrong, 0.1 * wrong, accuracy],
        ]
    )
    return NetworkModel(
        slope, course, Confidence((accuracy,) * 3), Confidence((accuracy,) * 4), fps=fps
    )


def fit_confidence(counts: NDArray[np.float64], abstention: list[dict[str, float]]) -> Confidence:
    """Find the confidence that abstains as often, and is as right where it does not, as measured.

    Parameters
    ----------
    counts : ndarray, shape (classes, classes)
        Frames by true class (row) and answer (column).
    abstention : list of dict
        `threshold`, and the share `answered` and their `accuracy` at it.
    """
    shares = counts.sum(axis=1) / counts.sum()
    truth = np.random.default_rng(1).choice(len(counts), FIT_FRAMES, p=shares)
    confusion = counts / counts.sum(axis=1, keepdims=True)
    precision = np.diag(counts) / counts.sum(axis=0)
    each = np.arange(FIT_FRAMES)

    def misfit(confidence: Confidence) -> float:
        p = answers(truth, confusion, each, confidence, np.random.default_rng(2))
        sure, right = p.max(axis=1), p.argmax(axis=1) == truth
        total = 0.0
        for row in abstention:
            above = sure >= row["threshold"]
            answered = float(above.mean())
            accuracy = float(right[above].mean()) if above.any() else 0.0
            # How right the few surest are matters as little as they are few.
            off = row["answered"] * (accuracy - row["accuracy"]) ** 2
            total += (answered - row["answered"]) ** 2 + off
        return total

    tried = (
        Confidence(tuple((precision + more).clip(0.05, 0.95).tolist()), spread, over)
        for more in (-0.1, -0.05, 0.0, 0.05, 0.1)
        for spread in (2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
        for over in (0.5, 0.75, 1.0, 1.5, 2.0)
    )
    return min(tried, key=misfit)


def label_drive(
    drive: Drive,
    road: Road,
    network: NetworkModel,
    rng: np.random.Generator,
    *,
    start_ns: int = START_NS,
) -> SceneLabels:
    """Label a drive as the network would."""
    n = max(int(drive.t_s[-1] * network.fps), 1)
    t_s = np.arange(n) / network.fps
    place = np.interp(t_s, drive.t_s, drive.distance_m)
    step = np.minimum((place / STEP_M).astype(np.int64), road.grade_percent.size - 1)
    graded = None
    if network.grade_percent.size:
        here = road.grade_percent[step]
        graded = np.stack(
            [np.interp(here, network.grade_percent, share) for share in network.slope_by_grade.T],
            axis=1,
        )
    draw = draws(place, network.slope_persistence, rng)
    p_slope = answers(
        road.slope[step], network.slope_confusion, draw, network.slope_confidence, rng, graded
    )
    draw = draws(place, network.course_persistence, rng)
    p_course = answers(
        road.course[step], network.course_confusion, draw, network.course_confidence, rng
    )
    return SceneLabels(
        t_mono_ns=start_ns + np.round(t_s * 1e9).astype(np.int64),
        frame=np.arange(n, dtype=np.int64),
        p_slope=p_slope,
        p_course=p_course,
        slope_threshold=network.slope_threshold,
        course_threshold=network.course_threshold,
        model_name="simulated",
        model_sha256="",
        slope_prior=network.slope_prior,
        course_prior=network.course_prior,
        slope_needs_sensors=network.slope_needs_sensors,
    )


def draws(
    place_m: NDArray[np.float64], persistence: Persistence, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Which frames answer by the same draw: a number a frame, shape (n,).

    Two frames of one place both answer by the lasting one with the measured share's chance.
    """
    n = place_m.size
    moved = np.diff(place_m, prepend=place_m[0])
    run = np.cumsum(rng.random(n) < -np.expm1(-moved / persistence.length_m))
    own = rng.random(n) >= np.sqrt(persistence.share)
    return np.where(own, n + np.arange(n), run)


def answers(
    truth: NDArray[np.int64],
    confusion: NDArray[np.float64],
    draw: NDArray[np.int64],
    how_sure: Confidence,
    rng: np.random.Generator,
    shares: NDArray[np.float64] | None = None,
) -> NDArray[np.float32]:
    """Probabilities that a head gives, a row a frame.

    Frames with one number of `draw` answer alike. `shares` of each answer, a row a frame, go
    before those of the true class.
    """
    shares = confusion[truth] if shares is None else shares
    n, classes = truth.size, confusion.shape[0]
    _, first, run = np.unique(draw, return_index=True, return_inverse=True)
    hidden = rng.random(first.size)[run]
    answer = (hidden[:, None] > np.cumsum(shares, axis=1)).sum(axis=1)
    answer = np.minimum(answer, classes - 1)
    right = answer == truth
    # Of calibrated answers with confidence c a share c is right: where the confidence is drawn
    # from Beta(a, b), the right ones follow Beta(a + 1, b) and the wrong ones Beta(a, b + 1).
    mean = np.asarray(how_sure.mean)[answer[first]]
    a, b = how_sure.spread * mean, how_sure.spread * (1 - mean)
    sure = rng.beta(a + 1.0, b)[run]
    unsure = rng.beta(a, b + 1.0)[run]
    confidence = np.where(right, sure, unsure)
    jitter = rng.normal(0.0, 0.3, n)
    odds = np.log(np.clip(confidence, 0.01, 0.995) / (1 - np.clip(confidence, 0.01, 0.995)))
    confidence = 1.0 / (1.0 + np.exp(-(how_sure.overconfidence * odds + jitter)))
    confidence = np.clip(confidence, 1.02 / classes, 0.999)
    # The rest goes to the other classes as this answer's column says they were meant.
    others = confusion[:, answer].T.copy()
    others[np.arange(n), answer] = 0.0
    others += 1e-3
    others[np.arange(n), answer] = 0.0
    others /= others.sum(axis=1, keepdims=True)
    p = others * (1.0 - confidence)[:, None]
    p[np.arange(n), answer] = confidence
    # A confidence under one half must still be the largest of the row.
    top = p.max(axis=1)
    p[np.arange(n), answer] = np.maximum(p[np.arange(n), answer], top + 1e-6)
    return (p / p.sum(axis=1, keepdims=True)).astype(np.float32)
