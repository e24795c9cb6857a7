"""Where along the road things are: cells of equal length, and the place a frame shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offline.roadscene import HEADING_WINDOW_M, LOOK_AHEAD_M
from offline.scenelabels import SceneLabels
from offline.timeline import column

SLOPE_AHEAD_M = LOOK_AHEAD_M / 2
"""The slope head judges the next 15 m: on average the vehicle is there after half of them."""
COURSE_AHEAD_M = HEADING_WINDOW_M / 2


@dataclass(frozen=True)
class Cells:
    """The road in cells of equal length.

    Attributes
    ----------
    of_point : ndarray of int64, shape (n,)
        Cell of every grid point, never falling; -1 in gaps of the speed.
    after_gap : ndarray of bool, shape (k,)
        Cells that do not join the one before: nobody knows the road between.
    """

    of_point: NDArray[np.int64]
    after_gap: NDArray[np.bool_]

    def __len__(self) -> int:
        return int(self.after_gap.size)

    def mean(self, values: NDArray[np.float64], use: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Average over the points of each cell that are to be used; NaN where there is none."""
        use = use & (self.of_point >= 0)
        count = np.bincount(self.of_point[use], minlength=len(self))
        total = np.bincount(self.of_point[use], weights=values[use], minlength=len(self))
        with np.errstate(invalid="ignore"):
            return total / np.where(count, count, np.nan)

    def count(self, use: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Count the points of each cell that are to be used."""
        use = use & (self.of_point >= 0)
        return np.bincount(self.of_point[use], minlength=len(self))

    def to_points(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Spread cell values, shape (k, ...), over the grid; NaN in gaps."""
        spread = values[np.maximum(self.of_point, 0)]
        spread[self.of_point < 0] = np.nan
        return spread


def cut_into_cells(timeline: pd.DataFrame, cell_m: float) -> Cells:
    """Cut the driven road into cells; a gap in the speed starts a new one."""
    known = ~np.isnan(column(timeline, "speed_smooth_kmh"))
    resumed = known & ~np.concatenate([[True], known[:-1]])
    raw = (column(timeline, "distance_m") // cell_m).astype(np.int64) + np.cumsum(resumed)
    # Number the cells one by one: a long jump within a step would leave empty numbers.
    of_point = np.full(len(timeline), -1, dtype=np.int64)
    if not known.any():
        return Cells(of_point, np.zeros(0, dtype=bool))
    values = raw[known]
    of_point[known] = np.cumsum(np.diff(values, prepend=values[0]) > 0)
    after_gap = np.zeros(int(of_point.max()) + 1, dtype=bool)
    after_gap[of_point[resumed]] = True
    return Cells(of_point, after_gap)


def points_shown(timeline: pd.DataFrame, labels: SceneLabels, ahead_m: float) -> NDArray[np.int64]:
    """Find for every labelled frame the grid point at which the vehicle reaches its place.

    Parameters
    ----------
    timeline : DataFrame
        With `t_mono_ns`, `speed_smooth_kmh` and `distance_m`.
    labels : SceneLabels
        Frames in order of time.
    ahead_m : float
        How far ahead of the camera the label holds.

    Returns
    -------
    ndarray of int64, shape (len(labels),)
        -1 where the vehicle never gets there, or a gap lies between.
    """
    if not len(labels):
        return np.empty(0, dtype=np.int64)
    grid_ns = timeline["t_mono_ns"].to_numpy(dtype=np.int64)
    distance = column(timeline, "distance_m")
    known = ~np.isnan(column(timeline, "speed_smooth_kmh"))
    segment = np.cumsum(~known)
    here = np.clip(np.searchsorted(grid_ns, labels.t_mono_ns, side="right") - 1, 0, None)
    place = distance[here] + ahead_m
    reached = np.searchsorted(distance, place, side="left")
    there = np.minimum(reached, len(timeline) - 1)
    good = known[here] & known[there] & (reached < len(timeline))
    good &= segment[here] == segment[there]
    return np.where(good, there, -1)
