"""Making probabilities mean what they say, and measuring whether they do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

BINS: Final = 10
RIGHT_SHARE: Final = 0.8
"""Share of decided frames that must be right for a head's answers to be used."""
UNSURE_THRESHOLD: Final = 0.95
"""Threshold of a head that reaches `RIGHT_SHARE` nowhere: it nearly always abstains."""
FEWEST_DECIDED: Final = 20
"""Frames below which a share says nothing."""

Array = NDArray[np.float64]


def softmax(logits: NDArray[np.floating], temperature: float = 1.0) -> Array:
    """Probabilities from logits divided by a temperature, shape (n, classes)."""
    scaled = np.asarray(logits, np.float64) / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    exponential = np.exp(scaled)
    return np.asarray(exponential / exponential.sum(axis=1, keepdims=True))


def fit_temperature(logits: NDArray[np.floating], targets: NDArray[np.floating]) -> float:
    """Temperature that makes validation targets most likely.

    Guo et al., "On calibration of modern neural networks" (2017), section 4.2.

    Parameters
    ----------
    logits, targets : ndarray, shape (n, classes)
    """

    def loss(log_temperature: float) -> float:
        p = softmax(logits, float(np.exp(log_temperature)))
        return float(-(targets * np.log(np.maximum(p, 1e-12))).sum(axis=1).mean())

    found = minimize_scalar(loss, bounds=(np.log(0.1), np.log(10.0)), method="bounded")
    return float(np.exp(found.x))


def decision_threshold(probabilities: NDArray[np.floating], truth: NDArray[np.int64]) -> float:
    """Confidence below which a head's answer should not be used.

    The smallest threshold at which, on validation frames, the answers left are right for most of
    every class (mean recall over classes) or each answer given is right that often; where none
    is, `UNSURE_THRESHOLD`.

    Parameters
    ----------
    probabilities : ndarray, shape (n, classes)
    truth : ndarray of int64, shape (n,)
        Class of every frame; none may be -1.
    """
    best = np.asarray(probabilities).max(axis=1)
    guess = np.asarray(probabilities).argmax(axis=1)
    classes = np.unique(truth)
    for threshold in np.arange(0.5, UNSURE_THRESHOLD, 0.01):
        kept = best >= threshold
        if kept.sum() < FEWEST_DECIDED:
            break
        recalls = [
            float((guess[kept & (truth == k)] == k).mean()) if (kept & (truth == k)).any() else 0.0
            for k in classes
        ]
        precisions = [float((truth[kept & (guess == k)] == k).mean())
                      for k in np.unique(guess[kept])]  # fmt: skip
        # A head that gives one answer only is right often by saying nothing: it decides nothing.
        several = len(precisions) > 1
        if np.mean(recalls) >= RIGHT_SHARE or (several and min(precisions) >= RIGHT_SHARE):
            return round(float(threshold), 2)
    return UNSURE_THRESHOLD


@dataclass(frozen=True)
class Reliability:
    """Confidence against accuracy in bins of equal width.

    Attributes
    ----------
    confidence, accuracy : ndarray, shape (BINS,)
        Means within a bin, NaN where it is empty.
    count : ndarray of int64, shape (BINS,)
    error : float
        Expected calibration error: mean gap weighted by frames.
    """

    confidence: Array
    accuracy: Array
    count: NDArray[np.int64]
    error: float


def reliability(probabilities: NDArray[np.floating], truth: NDArray[np.int64]) -> Reliability:
    """Measure calibration on labelled frames.

    Parameters
    ----------
    probabilities : ndarray, shape (n, classes)
    truth : ndarray of int64, shape (n,)
        Class of every frame; none may be -1.
    """
    best = np.asarray(probabilities).max(axis=1)
    right = np.asarray(probabilities).argmax(axis=1) == truth
    place = np.minimum((best * BINS).astype(int), BINS - 1)
    confidence, accuracy = np.full(BINS, np.nan), np.full(BINS, np.nan)
    count = np.bincount(place, minlength=BINS).astype(np.int64)
    error = 0.0
    for k in np.flatnonzero(count):
        inside = place == k
        confidence[k], accuracy[k] = best[inside].mean(), right[inside].mean()
        error += count[k] / best.size * abs(confidence[k] - accuracy[k])
    return Reliability(confidence, accuracy, count, float(error))


def draw_reliability(diagrams: dict[str, Reliability]) -> bytes:
    """Draw reliability diagrams side by side as one PNG."""
    size, border = 300, 40
    panels = []
    for name, diagram in diagrams.items():
        panel = np.full((size + 2 * border, size + 2 * border, 3), 255, np.uint8)

        def at(x: float, y: float) -> tuple[int, int]:
            return round(border + x * size), round(border + (1.0 - y) * size)

        cv2.rectangle(panel, at(0, 0), at(1, 1), (120, 120, 120), 1)
        for k in np.flatnonzero(diagram.count):
            cv2.rectangle(panel, at(k / BINS, 0), at((k + 1) / BINS, diagram.accuracy[k]),
                          (190, 140, 70), -1)  # fmt: skip
            cv2.rectangle(panel, at(k / BINS, 0), at((k + 1) / BINS, diagram.accuracy[k]),
                          (120, 80, 30), 1)  # fmt: skip
        cv2.line(panel, at(0, 0), at(1, 1), (60, 60, 200), 1, cv2.LINE_AA)
        title = f"{name}: calibration error {diagram.error:.3f}"
        cv2.putText(panel, title, (border, border - 14), 0, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
        cv2.putText(panel, "confidence (across), share right (up)", (border, size + border + 22),
                    0, 0.42, (0, 0, 0), 1, cv2.LINE_AA)  # fmt: skip
        panels.append(panel)
    _, data = cv2.imencode(".png", np.hstack(panels))
    return bytes(data)
