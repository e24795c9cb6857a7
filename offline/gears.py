"""Gears from clusters of engine speed over vehicle speed.

In gear, engine speed over vehicle speed is a constant of the gear; the constants are learned
from the driving itself, so no vehicle's data sheet is needed.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

MIN_SPEED_KMH = 12.0
"""Slower, the clutch slips and one km/h is too coarse for a ratio."""
MIN_RPM_SHARE, MIN_RPM_RANGE = 0.4, (600.0, 1000.0)
"""Slower, the engine may idle out of gear: share of the speed it is driven at, so that a lorry
that cruises at 1,000 rpm has a top gear. Engines idle at 550 to 900 rpm."""
BIN = 0.02
"""Width of a bin of log ratio: 2 %, less than a tenth of the step between two gears."""
SMOOTHING_BINS = 2.0
MIN_STEP = 0.16
"""Least distance of two gears in log ratio: the closest gears of heavy gearboxes."""
MIN_SHARE = 0.02
"""Share of the time in gear below which a peak is a change of gear, not a gear."""
TOLERANCE = 0.07
MAX_GEARS = 12


def learn_ratios(
    rpm: NDArray[np.float64], speed_kmh: NDArray[np.float64], accel_mps2: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Find the gears' ratios (rpm per km/h), lowest gear (largest ratio) first.

    Parameters
    ----------
    rpm, speed_kmh, accel_mps2 : ndarray, shape (n,)
        On the grid, NaN where unknown; of one trip, or of a vehicle's trips put together.

    Returns
    -------
    ndarray, shape (g,)
        Empty where fewer than 60 points are in gear.
    """
    log_ratio = _log_ratio(rpm, speed_kmh)
    # Ratios hold still in gear; in a change of gear they move within one or two points.
    steady = np.abs(np.diff(log_ratio, prepend=np.nan)) < BIN * 2
    values = log_ratio[steady & (np.abs(accel_mps2) < 2.0)]
    if values.size < 60:
        return np.empty(0)
    low, high = float(values.min()) - 0.2, float(values.max()) + 0.2
    counts, edges = np.histogram(values, bins=max(int((high - low) / BIN), 8), range=(low, high))
    reach = np.arange(-6, 7)
    kernel = np.exp(-0.5 * (reach / SMOOTHING_BINS) ** 2)
    density = np.convolve(counts, kernel / kernel.sum(), mode="same")
    centre = 0.5 * (edges[:-1] + edges[1:])
    inner = density[1:-1]
    peaks = np.flatnonzero((inner >= density[:-2]) & (inner > density[2:])) + 1
    chosen: list[float] = []
    for peak in peaks[np.argsort(-density[peaks], kind="stable")]:
        share = np.mean(np.abs(values - centre[peak]) < TOLERANCE)
        far = all(abs(centre[peak] - other) >= MIN_STEP for other in chosen)
        if share >= MIN_SHARE and far and len(chosen) < MAX_GEARS:
            chosen.append(float(centre[peak]))
    refined = [float(np.median(values[np.abs(values - c) < TOLERANCE])) for c in chosen]
    return np.exp(np.sort(np.array(refined))[::-1])


def estimate_gears(
    rpm: NDArray[np.float64],
    speed_kmh: NDArray[np.float64],
    accel_mps2: NDArray[np.float64],
    ratios: NDArray[np.float64] | None = None,
) -> pd.arrays.IntegerArray:
    """Number the gear at every point, missing in neutral, in a change and where unknown.

    Parameters
    ----------
    rpm, speed_kmh, accel_mps2 : ndarray, shape (n,)
        On the grid, NaN where unknown.
    ratios : ndarray, optional
        Ratios of the vehicle from `learn_ratios` over its trips; learned from this trip if
        not given. Gears never driven in cannot be counted: the lowest seen is number 1.
    """
    if ratios is None or not ratios.size:
        ratios = learn_ratios(rpm, speed_kmh, accel_mps2)
    log_ratio = _log_ratio(rpm, speed_kmh)
    if not ratios.size:
        return pd.arrays.IntegerArray(
            np.zeros(rpm.size, dtype=np.int64), np.ones(rpm.size, dtype=bool)
        )
    distance = np.abs(log_ratio[:, None] - np.log(ratios)[None, :])
    known = np.nan_to_num(distance.min(axis=1), nan=np.inf) <= TOLERANCE
    gear = np.where(np.isnan(distance), np.inf, distance).argmin(axis=1) + 1
    return pd.arrays.IntegerArray(gear.astype(np.int64), ~known)


def _log_ratio(rpm: NDArray[np.float64], speed_kmh: NDArray[np.float64]) -> NDArray[np.float64]:
    moving = speed_kmh >= MIN_SPEED_KMH
    driven = rpm[moving & np.isfinite(rpm)]
    usual = float(np.percentile(driven, 98)) if driven.size else 0.0
    least = np.clip(MIN_RPM_SHARE * usual, *MIN_RPM_RANGE)
    with np.errstate(divide="ignore", invalid="ignore"):
        in_gear = (rpm >= least) & moving
        return np.where(in_gear, np.log(rpm / speed_kmh), np.nan)
