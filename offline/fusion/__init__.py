"""Road context: what the camera showed and the sensors felt, joined along the road."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from offline.fusion import evidence, markov
from offline.fusion.grade import GradeEstimate, measured_grade, powertrain_grade
from offline.fusion.places import SLOPE_AHEAD_M, Cells, cut_into_cells, points_shown
from offline.fusion.powertrain import Powertrain
from offline.policy import Policy
from offline.roadscene import COURSES, SLOPE_THRESHOLD_PERCENT, SLOPES, UNDETERMINED
from offline.scenelabels import SceneLabels, nothing_seen

SLOPE_COLUMNS = tuple(f"p_{slope}" for slope in SLOPES)
COURSE_COLUMNS = tuple(f"p_course_{course}" for course in COURSES)
SEEN_WITHIN_M = 60.0
"""A place with no evidence this near has no posterior: the prior alone is no knowledge."""
GRADE_WINDOW_M = 50.0


def fuse(
    timeline: pd.DataFrame,
    labels: SceneLabels | None,
    policy: Policy,
    powertrain: Powertrain | None = None,
    *,
    road_context: bool = True,
) -> pd.DataFrame:
    """Add the road context to a timeline.

    Parameters
    ----------
    timeline : DataFrame
        From `offline.timeline.build_timeline`.
    labels : SceneLabels or None
        What the network said of the course, and of the slope where neither altitude nor inertia
        measured it. Without labels the road context is what was measured; where the trip has
        neither the columns are there, and empty.
    policy : Policy
        Lengths and trust.
    powertrain : Powertrain, optional
        What the vehicle's other trips taught.
    road_context : bool
        False leaves the columns empty whatever was measured.

    Returns
    -------
    DataFrame
        A new frame with the columns `p_level` to `grade_is_measured` of `docs/timeline.md`.
    """
    rule = policy.fusion
    cells = cut_into_cells(timeline, rule.cell_m)
    n = len(timeline)
    slope = np.full((n, len(SLOPES)), np.nan)
    course = np.full((n, len(COURSES)), np.nan)
    grade, grade_sd = np.full(n, np.nan), np.full(n, np.nan)
    grade_bound = np.zeros(n, dtype=bool)
    scene = np.full(n, "", dtype=object)
    frame = pd.array(np.zeros(n, dtype=np.int64), dtype="Int64")
    frame[:] = pd.NA
    measured = measured_grade(timeline, cells) if road_context and len(cells) else None
    if not road_context:
        labels = None
    elif labels is None and measured is not None:
        labels = nothing_seen()
    if labels is not None and len(cells):
        camera_slope, camera_course = evidence.camera(timeline, labels, cells, rule)
        course_evidence = camera_course + evidence.course_from_yaw(timeline, cells, rule)
        estimate = measured
        if estimate is None:
            joint = _joint(camera_slope, course_evidence)
            first, _ = markov.heads(markov.posterior(joint, cells.after_gap, rule))
            estimate = powertrain_grade(timeline, cells, cells.to_points(first), powertrain)
        along, across = (
            evidence.slope_from_grade(estimate, rule, in_turn=turn) for turn in (False, True)
        )
        joint = _joint(camera_slope, course_evidence, along, across)
        p_slope, p_course = markov.heads(markov.posterior(joint, cells.after_gap, rule))
        if measured is not None:
            # What was measured replaces what was guessed from pictures, those around it included.
            joint = _joint(np.zeros_like(camera_slope), course_evidence, along, across)
            blind, _ = markov.heads(markov.posterior(joint, cells.after_gap, rule))
            p_slope = np.where(np.isfinite(measured.percent)[:, None], blind, p_slope)
        p_slope[~_near((camera_slope != 0) | (along != 0), rule.cell_m)] = np.nan
        p_course[~_near(course_evidence != 0, rule.cell_m)] = np.nan
        slope, course = cells.to_points(p_slope), cells.to_points(p_course)
        grade, grade_sd = _grade_by_point(estimate, cells, rule.cell_m)
        grade_bound = (cells.to_points(estimate.upper_bound.astype(float)) == 1.0) & ~np.isnan(
            grade
        )
        scene = _scenes(slope, course, labels)
        frame = _frames(timeline, labels)
    added: dict[str, object] = {name: slope[:, i] for i, name in enumerate(SLOPE_COLUMNS)}
    added |= {name: course[:, i] for i, name in enumerate(COURSE_COLUMNS)}
    added |= {
        "scene": pd.array(scene, dtype="str"),
        "frame": frame,
        "grade_percent": grade,
        "grade_sd_percent": grade_sd,
        "grade_is_bound": grade_bound,
        "grade_is_measured": np.isfinite(grade) & (measured is not None),
    }
    return pd.concat([timeline, pd.DataFrame(added, index=timeline.index)], axis=1)


def _joint(
    slope: NDArray[np.float64],
    course: NDArray[np.float64],
    along: NDArray[np.float64] | None = None,
    across: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Log-likelihoods of the joint states; `along` is for straights and curves, `across` turns."""
    joint = slope[:, :, None] + course[:, None, :]
    if along is not None and across is not None:
        joint[:, :, :2] += along[:, :, None]
        joint[:, :, 2:] += across[:, :, None]
    return joint.reshape(len(slope), -1)


def _near(has_evidence: NDArray[np.bool_], cell_m: float) -> NDArray[np.bool_]:
    reach = 2 * int(SEEN_WITHIN_M / cell_m) + 1
    seen = has_evidence.any(axis=1).astype(float)
    return np.asarray(uniform_filter1d(seen, reach, mode="constant") > 1e-9)


def _grade_by_point(
    estimate: GradeEstimate, cells: Cells, cell_m: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Smooth the sensors' grade over the road.

    Where the brakes may be on only a bound is known: it counts where it already proves a
    descent, and hides what the neighbours say where it does not.
    """
    known = np.isfinite(estimate.percent)
    known &= ~estimate.upper_bound | (estimate.percent < -SLOPE_THRESHOLD_PERCENT)
    reach = max(int(GRADE_WINDOW_M / cell_m) | 1, 1)
    share = uniform_filter1d(known.astype(float), reach, mode="constant")
    total = uniform_filter1d(np.where(known, estimate.percent, 0.0), reach, mode="constant")
    variance = uniform_filter1d(
        np.where(known, estimate.sd_percent, 0.0) ** 2, reach, mode="constant"
    )
    enough = (share > 0.5 / reach) & (known | ~estimate.upper_bound)
    safe = np.where(enough, share, 1.0)
    percent = np.where(enough, total / safe, np.nan)
    sd = np.where(enough, np.sqrt(np.maximum(variance, 0.0) / safe), np.nan)
    return cells.to_points(percent), cells.to_points(sd)


def _scenes(
    slope: NDArray[np.float64], course: NDArray[np.float64], labels: SceneLabels
) -> NDArray[np.object_]:
    """Six-class name of every point; undetermined where a head that it rests on is in doubt."""
    known = np.isfinite(slope).all(axis=1)
    if len(labels):
        known &= np.isfinite(course).all(axis=1)
    safe_slope, safe_course = np.nan_to_num(slope), np.nan_to_num(course)
    slope_index, course_index = safe_slope.argmax(axis=1), safe_course.argmax(axis=1)
    slope_sure = safe_slope.max(axis=1) >= labels.slope_threshold
    course_sure = safe_course.max(axis=1) >= labels.course_threshold
    bends = course_index != 0
    name = np.where(
        bends,
        np.array(COURSES, dtype=object)[course_index],
        np.array(["straight", *SLOPES[1:]], dtype=object)[slope_index],
    )
    # Without pictures a hill is named for what it is; that level road goes straight on, nobody saw.
    straight_on = course_sure if len(labels) else slope_index != 0
    sure = np.where(bends, course_sure, straight_on & slope_sure)
    return np.where(known & sure, name, UNDETERMINED)


def _frames(timeline: pd.DataFrame, labels: SceneLabels) -> pd.arrays.IntegerArray:
    """Latest labelled frame whose place has been reached, for a while."""
    if not len(labels):
        missing = np.ones(len(timeline), dtype=bool)
        return pd.arrays.IntegerArray(np.zeros(len(timeline), np.int64), missing)
    point = points_shown(timeline, labels, SLOPE_AHEAD_M)
    shown = np.full(len(timeline), -1, dtype=np.int64)
    use = point >= 0
    shown[point[use]] = np.flatnonzero(use)
    held = np.maximum.accumulate(np.where(shown >= 0, np.arange(shown.size), -1))
    distance = timeline["distance_m"].to_numpy()
    row = shown[np.maximum(held, 0)]
    good = (held >= 0) & (distance - distance[np.maximum(held, 0)] <= SEEN_WITHIN_M)
    return pd.arrays.IntegerArray(np.where(good, labels.frame[row], 0), ~good)


__all__ = ["COURSE_COLUMNS", "SLOPE_COLUMNS", "fuse"]
