"""What the road scene network said along a trip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

UNSEEN_THRESHOLD = 0.7
"""Where there is no model to say it: posterior from which a measured slope names the scene."""


@dataclass(frozen=True)
class SceneLabels:
    """The heads' calibrated probabilities, one row a labelled frame, in order of time.

    Attributes
    ----------
    t_mono_ns : ndarray of int64, shape (n,)
        Capture times (CLOCK_MONOTONIC of the trip).
    frame : ndarray of int64, shape (n,)
        Index of the frame in the trip's video.
    p_slope : ndarray of float32, shape (n, 3)
        In the order of `roadscene.SLOPES`. NaN where the picture was unreadable.
    p_course : ndarray of float32, shape (n, 4)
        In the order of `roadscene.COURSES`.
    slope_threshold, course_threshold : float
        Confidence under which the model's card says that a head is undetermined.
    model_name, model_sha256 : str
        Which network spoke.
    slope_prior, course_prior : tuple of float, optional
        Class shares under which the probabilities are calibrated; what a frame says is its
        probabilities over these. Empty for equal shares.
    slope_needs_sensors : bool
        The model's card says that its slopes are right too seldom on real roads to exonerate
        where no sensor agrees.
    """

    t_mono_ns: NDArray[np.int64]
    frame: NDArray[np.int64]
    p_slope: NDArray[np.float32]
    p_course: NDArray[np.float32]
    slope_threshold: float
    course_threshold: float
    model_name: str
    model_sha256: str
    slope_prior: tuple[float, ...] = ()
    course_prior: tuple[float, ...] = ()
    slope_needs_sensors: bool = False

    def __len__(self) -> int:
        return int(self.t_mono_ns.size)


def nothing_seen() -> SceneLabels:
    """Labels of a trip without pictures."""
    return SceneLabels(
        t_mono_ns=np.empty(0, np.int64),
        frame=np.empty(0, np.int64),
        p_slope=np.empty((0, 3), np.float32),
        p_course=np.empty((0, 4), np.float32),
        slope_threshold=UNSEEN_THRESHOLD,
        course_threshold=UNSEEN_THRESHOLD,
        model_name="",
        model_sha256="",
        slope_needs_sensors=True,
    )
