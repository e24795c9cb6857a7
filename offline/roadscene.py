"""The road scene vocabulary: two heads, six classes and the rule that joins them.

A road can climb and bend at once, so the network answers two questions: the slope and the
course. Everything after the network works with the heads' probabilities; the six-class label
is for people and for CSV files.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

SLOPES: Final = ("level", "uphill", "downhill")
COURSES: Final = ("straight", "curve", "left_turn", "right_turn")
CLASSES: Final = ("straight", "uphill", "downhill", "curve", "left_turn", "right_turn")
UNDETERMINED: Final = "undetermined"

LOOK_AHEAD_M: Final = 15.0
"""Stretch of road ahead over which slope and curvature are judged."""
SLOPE_THRESHOLD_PERCENT: Final = 2.5
TURN_HEADING_CHANGE_DEG: Final = 35.0
"""Heading change within `HEADING_WINDOW_M` that makes a turn; left is positive."""
TURN_CURVATURE_PER_M: Final = 0.06
"""A turn is made at a junction: somewhere in the window its radius is under about 17 m. Ramps and
hairpins also swing by 35 degrees in 25 m, but on wider arcs, and stay curves."""
CURVE_HEADING_CHANGE_DEG: Final = 10.0
CURVE_CURVATURE_PER_M: Final = 0.008
HEADING_WINDOW_M: Final = 25.0


def slope_of_grade(grade_percent: float) -> str:
    """Name the slope head's class for a mean grade over the look-ahead stretch."""
    if grade_percent > SLOPE_THRESHOLD_PERCENT:
        return "uphill"
    if grade_percent < -SLOPE_THRESHOLD_PERCENT:
        return "downhill"
    return "level"


def course_of_heading(heading_change_deg: float, curvature_per_m: float) -> str:
    """Name the course head's class.

    Parameters
    ----------
    heading_change_deg : float
        Signed heading change over the next `HEADING_WINDOW_M`, left (counter-clockwise seen
        from above) positive.
    curvature_per_m : float
        Signed mean curvature over the next `LOOK_AHEAD_M`.
    """
    if abs(heading_change_deg) >= TURN_HEADING_CHANGE_DEG:
        return "left_turn" if heading_change_deg > 0 else "right_turn"
    if (
        abs(curvature_per_m) >= CURVE_CURVATURE_PER_M
        or abs(heading_change_deg) >= CURVE_HEADING_CHANGE_DEG
    ):
        return "curve"
    return "straight"


def class_probabilities(
    p_slope: NDArray[np.floating], p_course: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Probabilities of the six classes from those of the two heads.

    A scene is named by its course if it bends, else by its slope if it climbs or falls, else
    `straight`: a bend asks more of the driver than a slope. The heads are treated as
    independent, so the six values of a frame sum to 1.

    Parameters
    ----------
    p_slope : ndarray, shape (n, 3)
        In the order of `SLOPES`.
    p_course : ndarray, shape (n, 4)
        In the order of `COURSES`.

    Returns
    -------
    ndarray, shape (n, 6)
        In the order of `CLASSES`.
    """
    slope = np.asarray(p_slope, dtype=np.float64)
    course = np.asarray(p_course, dtype=np.float64)
    straight_on = course[:, :1] * slope
    return np.concatenate([straight_on, course[:, 1:]], axis=1)


def labels(
    p_slope: NDArray[np.floating], p_course: NDArray[np.floating]
) -> tuple[list[str], NDArray[np.float64]]:
    """Six-class label and its confidence for every frame.

    The label follows the heads' own decisions (a head's most probable class), so that it never
    contradicts them: the course where it is not straight, else the slope where it is not level,
    else `straight`. The confidence is the probability of the decisions that made the label.

    Returns
    -------
    tuple of list of str and ndarray, shape (n,)
    """
    slope = np.asarray(p_slope, dtype=np.float64)
    course = np.asarray(p_course, dtype=np.float64)
    slope_index = slope.argmax(axis=1)
    course_index = course.argmax(axis=1)
    names: list[str] = []
    for s, c in zip(slope_index, course_index, strict=True):
        if c != 0:
            names.append(COURSES[c])
        elif s != 0:
            names.append(SLOPES[s])
        else:
            names.append("straight")
    p_course_best = course.max(axis=1)
    confidence = np.where(course_index != 0, p_course_best, p_course_best * slope.max(axis=1))
    return names, confidence
