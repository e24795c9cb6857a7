"""Distance driven at any instant of a drive, by which the planes of a stack are chosen."""

from __future__ import annotations

from typing import Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offline.preprocessing import ASSUMED_SPEED_MPS
from onboard.signals import KMH_PER_MPS
from onboard.trip import Trip

BRIDGED_S: Final = 30.0
"""Longest time between two speeds over which their mean is better than an assumed one."""
HELD_S: Final = 4.0
"""How long the first and the last speed hold beyond the log: two polls of the slowest adapters."""


class Odometer:
    """Counts metres from a speed signal.

    Gaps of the speed are bridged, long ones by the assumed speed: planes a few metres off show more
    than none. So these metres choose pictures and are no measurement; the distance of the timeline,
    which the score uses, has none in a gap.

    Parameters
    ----------
    t_ns : array_like of int, shape (n,)
        Times of the samples, in any order.
    speed_mps : array_like of float, shape (n,)
        NaN where missing.
    """

    def __init__(self, t_ns: ArrayLike, speed_mps: ArrayLike) -> None:
        t, speed = np.asarray(t_ns, np.float64) / 1e9, np.asarray(speed_mps, np.float64)
        known = ~np.isnan(speed) & ~np.isnan(t)
        order = np.argsort(t[known], kind="stable")
        t, speed = t[known][order], np.maximum(speed[known][order], 0.0)
        if t.size == 0:
            t, speed = np.zeros(1), np.full(1, ASSUMED_SPEED_MPS)
        t = np.concatenate([t[:1] - HELD_S, t, t[-1:] + HELD_S])
        speed = np.concatenate([speed[:1], speed, speed[-1:]])
        step = np.diff(t)
        mean = np.where(step <= BRIDGED_S, (speed[1:] + speed[:-1]) / 2.0, ASSUMED_SPEED_MPS)
        self._t_s = t
        self._s_m = np.concatenate([[0.0], np.cumsum(step * mean)])

    @classmethod
    def of_trip(cls, trip: Trip) -> Self:
        """Take the vehicle speed of a trip."""
        speed = trip.samples("speed_kmh").get("speed_kmh")
        if speed is None:
            return cls([], [])
        return cls(speed.t_mono_ns, speed.value / KMH_PER_MPS)

    def driven_m(self, t_ns: ArrayLike) -> NDArray[np.float64]:
        """Metres driven at instants, from an arbitrary start; they never fall over time."""
        t = np.asarray(t_ns, np.float64) / 1e9
        inside = np.interp(t, self._t_s, self._s_m)
        before = np.minimum(t - self._t_s[0], 0.0)
        after = np.maximum(t - self._t_s[-1], 0.0)
        return inside + (before + after) * ASSUMED_SPEED_MPS
