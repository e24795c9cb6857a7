"""The road's heading along a drive: summed from how the camera turned.

A vehicle heads where the road led at its rear axle, which comes to a place after its camera. So the
turn measured between two pictures is that of the road `corners.REAR_AXLE_M` behind them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from offline.corners import REAR_AXLE_M
from offline.mounting import APART_M
from offline.rotation import Rotation

LOST_M: Final = 20.0
"""A turn is filled in over no more than this."""

Array = NDArray[np.float64]


class RoadHeading:
    """Heading of the road at places along it, and how much of it was measured.

    Between pictures the heading has no kink (Fritsch and Carlson, "Monotone piecewise cubic
    interpolation", 1980): at 80 km/h they are 11 m apart. From the last picture's rear axle to its
    camera the road bends on as it did.

    Parameters
    ----------
    driven_m : ndarray, shape (n,)
        Distance driven at each picture, ascending.
    steps : sequence of Rotation or None, length n - 1
        Turns between the pictures; None where one could not be measured.
    focal_ratio : float
        True focal length over that taken for the turns: seen through a longer one, they were less.
    """

    def __init__(
        self, driven_m: Array, steps: Sequence[Rotation | None], focal_ratio: float = 1.0
    ) -> None:
        apart = np.diff(driven_m)
        known = np.array([step is not None for step in steps], np.bool_)
        sure = np.array([step.sure if step is not None else 0.0 for step in steps])
        yaw = np.array([step.yaw_deg if step is not None else 0.0 for step in steps]) / focal_ratio
        # Where a turn was lost the road goes on as measured before and after.
        bent = np.flatnonzero(known & (apart >= APART_M[0]))
        if bent.size:
            lost = np.flatnonzero(~known)
            bend = np.interp(driven_m[lost] + apart[lost] / 2.0, driven_m[bent] + apart[bent] / 2.0,
                             yaw[bent] / apart[bent], left=0.0, right=0.0)  # fmt: skip
            yaw[lost] = bend * np.minimum(apart[lost], LOST_M)
        self._driven_m = driven_m
        self._measured_m = np.concatenate([[0.0], np.cumsum(apart * known)])
        self._sure_m = np.concatenate([[0.0], np.cumsum(apart * sure)])
        turned = np.concatenate([[0.0], np.cumsum(yaw)])
        # While a vehicle stands it has one heading, the last.
        place, last = np.unique(driven_m[::-1], return_index=True)
        turned = turned[::-1][last]
        bend = turned[-1] - np.interp(place[-1] - REAR_AXLE_M, place, turned)
        self._curve = PchipInterpolator(
            np.append(place - REAR_AXLE_M, place[-1]), np.append(turned, turned[-1] + bend)
        )
        self._ends_m = place[0] - REAR_AXLE_M, place[-1]

    def deg(self, place_m: Array) -> Array:
        """Heading to the left of that at the drive's begin; beyond its ends as there."""
        return np.asarray(self._curve(np.clip(place_m, *self._ends_m)))

    def change_deg(self, start_m: Array, end_m: Array) -> Array:
        """How far the road turns to the left between places."""
        return self.deg(end_m) - self.deg(start_m)

    def measured_m(self, start_m: Array, end_m: Array) -> Array:
        """How many of the metres between places were measured."""
        return self._counted_m(self._measured_m, start_m, end_m)

    def sure_m(self, start_m: Array, end_m: Array) -> Array:
        """The same, each metre counted by how far its turn may be trusted."""
        return self._counted_m(self._sure_m, start_m, end_m)

    def _counted_m(self, counted_m: Array, start_m: Array, end_m: Array) -> Array:
        start, end = (
            # To the last camera's place the axle did not come.
            np.interp(np.minimum(place_m, self._ends_m[1] - REAR_AXLE_M) + REAR_AXLE_M,
                      self._driven_m, counted_m)
            for place_m in (start_m, end_m)
        )  # fmt: skip
        return np.asarray(end - start)
