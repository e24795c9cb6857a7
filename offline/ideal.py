"""Ideal traces beside the raw ones: how the same road could have been driven.

Ideal speed is the fastest profile over the same road that is nowhere faster than the driven
one and keeps to the policy's comfort limits: whatever a driver slowed for stays slowed for,
and only the way there changes. It is given at the place, so beside the raw trace at the time
the vehicle was there. The band of ideal engine speed is that of the highest gear in which the
engine still pulls without labouring, a little higher uphill.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import grey_closing

from offline.events.motion import grid_rate_hz
from offline.policy import Policy
from offline.timeline import column, is_true

BAND = 0.12
"""Half width of the band about the careful gear's engine speed: between two gears' steps."""
IDLE_RPM = (600.0, 1000.0)
"""Band at a standstill with a running engine."""
UNBOUND = 1e4
"""(m/s)²: more than any speed, so that nothing before a gap binds what comes after."""
HELD_S = 4.0
"""Nobody changes up for less."""
TYPICAL_UPHILL_PERCENT = 5.0
"""Grade taken where the road climbs and no sensor says how much."""


def add_ideal(timeline: pd.DataFrame, policy: Policy) -> pd.DataFrame:
    """Add the columns `ideal_speed_kmh` to `ideal_coolant_high_c` to a fused timeline."""
    speed_mps, accel = ideal_speed(timeline, policy)
    low, high = _ideal_rpm(timeline, speed_mps, policy)
    comfort = policy.comfort
    warm = column(timeline, "coolant_temp_c")
    known = np.isfinite(warm)
    added = pd.DataFrame(
        {
            "ideal_speed_kmh": speed_mps * 3.6,
            "ideal_accel_mps2": accel,
            "ideal_rpm_low": low,
            "ideal_rpm_high": high,
            "ideal_coolant_low_c": np.where(known, comfort.coolant_low_c, np.nan),
            "ideal_coolant_high_c": np.where(known, comfort.coolant_high_c, np.nan),
        },
        index=timeline.index,
    )
    return pd.concat([timeline, added], axis=1)


def ideal_speed(
    timeline: pd.DataFrame, policy: Policy
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ideal speed (m/s) and acceleration (m/s²), shape (n,), NaN in gaps.

    Over distance s the limits bound the slope of v²: d(v²)/ds = 2a. The largest profile below
    the driven one with bounded slope is a running minimum from either side.
    """
    driven = column(timeline, "speed_smooth_kmh") / 3.6
    known = np.isfinite(driven)
    limit = policy.events.speeding.limit_kmh / 3.6
    square = np.minimum(np.where(known, driven, 0.0), limit) ** 2
    step_m = np.where(known, driven, 0.0) / grid_rate_hz(timeline)
    # Beyond a gap nothing binds: the road between is not known.
    resumed = known & ~np.concatenate([[True], known[:-1]])
    climb = 2.0 * policy.comfort.accel_mps2 * step_m + np.where(resumed, UNBOUND, 0.0)
    rise = np.cumsum(climb)
    reachable = np.minimum.accumulate(np.where(known, square - rise, np.inf)) + rise
    drop = 2.0 * policy.comfort.brake_mps2 * step_m + np.where(resumed, UNBOUND, 0.0)
    # Step i leads from point i - 1 to i: from the far side it counts before the point.
    fall = np.cumsum(drop[::-1])
    fall = np.concatenate([[0.0], fall[:-1]])
    backward = np.where(known, np.minimum(square, reachable), np.inf)[::-1]
    ideal = (np.minimum.accumulate(backward - fall) + fall)[::-1]
    ideal = np.where(known, np.clip(ideal, 0.0, square), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        accel = np.diff(ideal, prepend=np.nan) / (2.0 * step_m)
    accel = np.where(step_m > 0.02, accel, 0.0)
    accel = np.clip(accel, -policy.comfort.brake_mps2, policy.comfort.accel_mps2)
    return np.sqrt(ideal), np.where(known, np.nan_to_num(accel), np.nan)


def _ideal_rpm(
    timeline: pd.DataFrame, ideal_mps: NDArray[np.float64], policy: Policy
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    comfort = policy.comfort
    rpm, speed = column(timeline, "rpm"), column(timeline, "speed_smooth_kmh")
    n = rpm.size
    grade = column(timeline, "grade_percent")
    climbs = column(timeline, "p_uphill") > 0.5
    grade = np.where(np.isfinite(grade), grade, np.where(climbs, TYPICAL_UPHILL_PERCENT, 0.0))
    least = comfort.ideal_rpm_low + comfort.uphill_rpm_per_percent * np.maximum(grade, 0.0)
    most = comfort.ideal_rpm_high + comfort.uphill_rpm_per_percent * np.maximum(grade, 0.0)
    low, high = least.copy(), most.copy()
    ratios = _ratios(timeline, rpm, speed)
    if ratios.size:
        in_gear = ratios[:, None] * (ideal_mps * 3.6)[None, :]
        pulls = in_gear >= least
        # Of the gears in which the engine does not labour the slowest turning one.
        ratio = np.where(pulls, ratios[:, None], np.inf).min(axis=0)
        ratio = np.where(np.isfinite(ratio), ratio, ratios.max())
        held = min(2 * int(HELD_S * grid_rate_hz(timeline) / 2.0) + 1, 2 * (n // 2) - 1)
        careful = grey_closing(ratio, max(held, 1)) * ideal_mps * 3.6
        usable = np.isfinite(careful) & (careful <= most)
        low = np.where(usable, careful * (1 - BAND), low)
        high = np.where(usable, careful * (1 + BAND), high)
    standing = np.nan_to_num(speed, nan=99.0) < 5.0
    low, high = np.where(standing, IDLE_RPM[0], low), np.where(standing, IDLE_RPM[1], high)
    running = is_true(timeline, "engine_on") & np.isfinite(ideal_mps)
    nan = np.full(n, np.nan)
    return np.where(running, low, nan), np.where(running, high, nan)


def _ratios(
    timeline: pd.DataFrame, rpm: NDArray[np.float64], speed_kmh: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The gears' ratios (rpm per km/h) behind the timeline's gear numbers."""
    gear = timeline["gear"].to_numpy(dtype=np.float64, na_value=np.nan)
    numbers = np.unique(gear[np.isfinite(gear)])
    return np.array([np.nanmedian(rpm[gear == k] / speed_kmh[gear == k]) for k in numbers])
