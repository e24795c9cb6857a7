"""What each source says about each cell of road, as log-likelihoods.

Neighbouring frames repeat each other's mistakes, and so do neighbouring grades: evidence is
tempered by the length over which it repeats, so that a second of frames counts as the one
independent look it is.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr

from offline.fusion.grade import GradeEstimate
from offline.fusion.places import COURSE_AHEAD_M, SLOPE_AHEAD_M, Cells, points_shown
from offline.policy import FusionRule
from offline.roadscene import (
    COURSES,
    CURVE_HEADING_CHANGE_DEG,
    HEADING_WINDOW_M,
    SLOPE_THRESHOLD_PERCENT,
    SLOPES,
    TURN_CURVATURE_PER_M,
    TURN_HEADING_CHANGE_DEG,
)
from offline.scenelabels import SceneLabels
from offline.timeline import column

STEEPEST_PERCENT = 12.0
"""Grades beyond are rare on public roads; the classes' priors are flat up to here."""
OUTLIER = 0.02
"""Share of grades that are wrong altogether: a clutch slips, a load reading lags."""
BRAKED = 0.5
"""Chance that the brakes are on while the engine does not pull."""
TURN_GRADE_SD_FACTOR = 2.0
"""Tyre scrub and clutch work make the powertrain's grade worse in turns."""
YAW_SD_DEG = 5.0
"""Error of the heading change that a yaw rate gives over the heading window."""
YAW_MIN_SPEED_MPS = 3.0
MOST_LATERAL_MPS2, LATERAL_SD_MPS2 = 5.0, 0.7
"""Nobody corners harder with a load, and few at all: half of gravity slides on a wet road."""


def camera(
    timeline: pd.DataFrame, labels: SceneLabels, cells: Cells, rule: FusionRule
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Log-likelihood of the slopes, shape (k, 3), and of the courses, shape (k, 4).

    By Bayes' rule a picture's likelihood is the network's probability over the class's share
    where it was calibrated: a network that only repeats those shares says nothing. A frame
    below its head's threshold is undetermined and says nothing either.
    """
    distance = column(timeline, "distance_m")
    heads = []
    for p, names, ahead_m, shares, threshold in (
        (labels.p_slope, SLOPES, SLOPE_AHEAD_M, labels.slope_prior, labels.slope_threshold),
        (labels.p_course, COURSES, COURSE_AHEAD_M, labels.course_prior, labels.course_threshold),
    ):
        total = np.zeros((len(cells), len(names)))
        point = points_shown(timeline, labels, ahead_m)
        # The maximum of an unreadable picture's row is NaN, which is at least nothing.
        use = (point >= 0) & (p.max(axis=1) >= threshold)
        if use.any():
            point, p_used = point[use], p[use].astype(np.float64)
            moved = np.diff(distance[point], prepend=-np.inf)
            weight = np.minimum(moved / rule.frame_correlation_m, 1.0)
            n = len(names)
            if names is COURSES:
                p_used = _turns_at_speed(p_used, column(timeline, "speed_smooth_kmh")[point])
            if shares:
                p_used = p_used / np.asarray(shares)
                p_used /= p_used.sum(axis=1, keepdims=True)
            trusted = rule.camera_trust * p_used + (1 - rule.camera_trust) / n
            log_likelihood = weight[:, None] * np.log(n * trusted)
            cell = cells.of_point[point]
            for state in range(n):
                total[:, state] = np.bincount(
                    cell, weights=log_likelihood[:, state], minlength=len(cells)
                )
        heads.append(total)
    return heads[0], heads[1]


def _turns_at_speed(
    p_course: NDArray[np.float64], speed_kmh: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Take for a curve what looks like a turn but is driven faster than any turn can be.

    A third of KITTI's curves is called a turn, even with planes chosen by distance; the speed tells
    them apart. A turn of `TURN_CURVATURE_PER_M` takes v² times it across.
    """
    lateral = (speed_kmh / 3.6) ** 2 * TURN_CURVATURE_PER_M
    too_fast = np.nan_to_num(ndtr((lateral - MOST_LATERAL_MPS2) / LATERAL_SD_MPS2))
    curve = COURSES.index("curve")
    turns = [i for i, name in enumerate(COURSES) if name.endswith("_turn")]
    found = p_course.copy()
    found[:, curve] += too_fast * p_course[:, turns].sum(axis=1)
    found[:, turns] *= 1.0 - too_fast[:, None]
    return found


def slope_from_grade(
    grade: GradeEstimate, rule: FusionRule, *, in_turn: bool
) -> NDArray[np.float64]:
    """Log-likelihood of the slopes, shape (k, 3), from the sensors' grade."""
    worse = in_turn and grade.source == "powertrain"
    sd = grade.sd_percent * (TURN_GRADE_SD_FACTOR if worse else 1.0)
    steps = (
        (-SLOPE_THRESHOLD_PERCENT, SLOPE_THRESHOLD_PERCENT),
        (SLOPE_THRESHOLD_PERCENT, STEEPEST_PERCENT),
        (-STEEPEST_PERCENT, -SLOPE_THRESHOLD_PERCENT),
    )
    span = 2 * STEEPEST_PERCENT
    found = np.zeros((grade.percent.size, 3))
    for state, (low, high) in enumerate(steps):
        e = grade.percent
        exact = (ndtr((e - low) / sd) - ndtr((e - high) / sd)) / (high - low)
        # With the brakes on the true grade may be anything below what the deceleration shows.
        below = _mean_cdf(e, low, high, sd) / span
        likelihood = np.where(grade.upper_bound, (1 - BRAKED) * exact + BRAKED * below, exact)
        found[:, state] = np.log((1 - OUTLIER) * likelihood + OUTLIER / span)
    weight = np.minimum(rule.cell_m / rule.sensor_correlation_m, 1.0)
    return np.where(np.isnan(found), 0.0, weight * found)


def _mean_cdf(
    e: NDArray[np.float64], low: float, high: float, sd: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Chance that a true grade, uniform between `low` and `high`, lies below the shown one."""

    def integral(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return x * ndtr(x) + np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi)

    return np.asarray(sd * (integral((e - low) / sd) - integral((e - high) / sd)) / (high - low))


def course_from_yaw(timeline: pd.DataFrame, cells: Cells, rule: FusionRule) -> NDArray[np.float64]:
    """Log-likelihood of the courses, shape (k, 4), from a measured yaw rate.

    The heading change over the heading window is yaw rate over speed times its length.
    """
    yaw = column(timeline, "yaw_rate_rad_s")
    speed_mps = column(timeline, "speed_smooth_kmh") / 3.6
    with np.errstate(divide="ignore", invalid="ignore"):
        heading = np.degrees(yaw / speed_mps * HEADING_WINDOW_M)
    use = ~np.isnan(heading) & (speed_mps >= YAW_MIN_SPEED_MPS)
    if not use.any():
        return np.zeros((len(cells), len(COURSES)))
    turn = cells.mean(heading, use)
    sd = YAW_SD_DEG
    curve, sharp, sharpest = CURVE_HEADING_CHANGE_DEG, TURN_HEADING_CHANGE_DEG, 120.0

    def between(low: float, high: float) -> NDArray[np.float64]:
        return np.asarray((ndtr((turn - low) / sd) - ndtr((turn - high) / sd)) / (high - low))

    likelihood = np.stack(
        [
            between(-curve, curve),
            0.5 * (between(curve, sharp) + between(-sharp, -curve)),
            between(sharp, sharpest),
            between(-sharpest, -sharp),
        ],
        axis=1,
    )
    log_likelihood = np.log((1 - OUTLIER) * likelihood + OUTLIER / (2 * sharpest))
    weight = np.minimum(rule.cell_m / HEADING_WINDOW_M, 1.0)
    return np.where(np.isnan(log_likelihood), 0.0, weight * log_likelihood)
