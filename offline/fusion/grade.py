"""The grade of the road from the sensors alone.

From the powertrain: what the acceleration lacks of what the engine gives on the level, or has to
spare, is gravity. From altitude, where a trip has GPS or a barometer: its slope over the distance.
From an inertial sensor: forward acceleration felt, less acceleration driven.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, uniform_filter1d

from offline.events.motion import grid_rate_hz
from offline.fusion.places import Cells
from offline.fusion.powertrain import (
    GRAVITY_MPS2,
    PULLING_LOAD_PERCENT,
    Powertrain,
    drive_features,
    learn_powertrain,
    learning_points,
)
from offline.timeline import column

MODEL_SD_PERCENT = 0.8
"""What the six coefficients leave unexplained: wind, surface, payload of the day."""
DRAGGED_SD_PERCENT = 1.5
"""More, where the engine drags: the coefficients were learned while it pulled."""
ALTITUDE_SD_M = {"gps_altitude_m": 3.0, "baro_pressure_kpa": 0.7}
ALTITUDE_FLOOR_PERCENT = {"gps_altitude_m": 1.5, "baro_pressure_kpa": 0.5}
"""Errors of altitude that last longer than the window do not average out: a GPS wanders by metres
within a minute (1.46 % were measured on comma2k19, see `docs/scoring.md`)."""
WORST_SD_PERCENT = 3.0
"""An altitude that tells the grade no better than this measures nothing."""
IMPOSSIBLE_PERCENT = 15.0
"""Roads that are steeper are errors of the altitude."""
METRES_PER_KPA = 84.3
"""Altitude lost for a kilopascal gained near sea level (standard atmosphere)."""
ALTITUDE_WINDOW_M = 60.0
INERTIAL_SIGNAL = "accel_forward_m_s2"
MEASURED_BY = (*ALTITUDE_SD_M, INERTIAL_SIGNAL)
"""Signals that measure the slope, best first."""
INERTIAL_SD_PERCENT = 1.5


@dataclass(frozen=True)
class GradeEstimate:
    """Grade by cell of road, NaN where it cannot be told; all of shape (k,).

    Attributes
    ----------
    upper_bound : ndarray of bool
        The brakes may be on: the true grade may be lower.
    source : str
        `altitude`, `inertial`, `powertrain` or empty.
    """

    percent: NDArray[np.float64]
    sd_percent: NDArray[np.float64]
    upper_bound: NDArray[np.bool_]
    source: str


def measured_grade(timeline: pd.DataFrame, cells: Cells) -> GradeEstimate | None:
    """Grade from altitude, else from inertia; None where the trip has neither."""
    estimate = _from_altitude(timeline, cells)
    return _from_inertia(timeline, cells) if estimate is None else estimate


def powertrain_grade(
    timeline: pd.DataFrame,
    cells: Cells,
    p_slope: NDArray[np.float64] | None,
    known: Powertrain | None = None,
) -> GradeEstimate:
    """Estimate the grade from what the engine does; NaN where it cannot be told.

    Parameters
    ----------
    timeline : DataFrame
        From `build_timeline`.
    cells : Cells
        Of the same timeline.
    p_slope : ndarray, shape (n, 3), optional
        Chances of the slopes at each point as far as is known, NaN where nothing is.
    known : Powertrain, optional
        What the vehicle's other trips taught.
    """
    points = learning_points(timeline, p_slope)
    powertrain = None if points is None else learn_powertrain([points], known)
    if powertrain is None:
        nothing = np.full(len(cells), np.nan)
        return GradeEstimate(nothing, nothing.copy(), np.zeros(len(cells), dtype=bool), "")
    return _from_powertrain(timeline, cells, powertrain)


def _from_powertrain(timeline: pd.DataFrame, cells: Cells, powertrain: Powertrain) -> GradeEstimate:
    drive = drive_features(timeline)
    assert drive is not None
    features, load, steady, _ = drive
    accel = column(timeline, "accel_mps2")
    percent = (features @ powertrain.coefficients - accel) / GRAVITY_MPS2 * 100.0
    spread = np.einsum("ij,jk,ik->i", features, powertrain.covariance, features)
    learned_sd = np.sqrt(spread) / GRAVITY_MPS2 * 100.0
    pulling = steady & (load >= PULLING_LOAD_PERCENT)
    dragged = steady & (load < PULLING_LOAD_PERCENT)
    pulled = cells.mean(percent, pulling)
    bound = cells.mean(percent, dragged)
    n_pulling, n_dragged = cells.count(pulling), cells.count(dragged)
    use_bound = n_dragged > n_pulling
    noise = powertrain.noise_mps2 / GRAVITY_MPS2 * 100.0
    seconds = np.maximum(np.where(use_bound, n_dragged, n_pulling), 1) / grid_rate_hz(timeline)
    random_sd = noise / np.sqrt(np.maximum(seconds, 1.0))
    unlearned = np.where(
        use_bound, cells.mean(learned_sd, dragged), cells.mean(learned_sd, pulling)
    )
    fixed = np.where(use_bound, DRAGGED_SD_PERCENT, MODEL_SD_PERCENT)
    sd = np.sqrt(random_sd**2 + unlearned**2 + fixed**2)
    value = np.where(use_bound, bound, pulled)
    sd[np.isnan(value)] = np.nan
    return GradeEstimate(value, sd, use_bound, "powertrain")


def _from_altitude(timeline: pd.DataFrame, cells: Cells) -> GradeEstimate | None:
    """Slope of altitude over distance, smoothed over `ALTITUDE_WINDOW_M`."""
    for signal, noise_m in ALTITUDE_SD_M.items():
        raw = column(timeline, signal)
        known = np.isfinite(raw)
        if known.sum() < 10:
            continue
        to_metres = -METRES_PER_KPA if signal == "baro_pressure_kpa" else 1.0
        steps = np.abs(np.diff(np.unique(raw[known])))
        if steps.size == 0:
            # One value all the time is a level road, a frozen receiver or whole kilopascals.
            continue
        # Some logs hold whole kilopascals: 84 m.
        coarse_m = abs(to_metres) * float(steps.min()) / np.sqrt(12.0)
        by_cell = cells.mean(to_metres * raw, known)
        if np.isfinite(by_cell).sum() < 5:
            continue
        cell_m = float(np.nanmax(column(timeline, "distance_m"))) / max(len(cells), 1)
        width = max(ALTITUDE_WINDOW_M / max(cell_m, 0.1), 1.0)
        percent = np.full(len(cells), np.nan)
        # Nobody knows how far a gap in the speed reaches, so nothing is compared across it.
        for part in np.split(np.arange(len(cells)), np.flatnonzero(cells.after_gap)):
            if part.size >= 2:
                percent[part] = _slope_percent(by_cell[part], width, cell_m)
        percent[np.abs(percent) > IMPOSSIBLE_PERCENT] = np.nan
        # Derivative of a Gaussian-smoothed series: sd = noise / (1.88 width^1.5 cell).
        sd = np.hypot(noise_m, coarse_m) / (1.88 * width**1.5 * cell_m) * 100.0
        sd_percent = float(np.hypot(sd, ALTITUDE_FLOOR_PERCENT[signal]))
        if sd_percent > WORST_SD_PERCENT:
            continue
        return GradeEstimate(
            percent,
            np.where(np.isfinite(percent), sd_percent, np.nan),
            np.zeros(len(cells), dtype=bool),
            "altitude",
        )
    return None


def _slope_percent(
    altitude_m: NDArray[np.float64], width: float, cell_m: float
) -> NDArray[np.float64]:
    known = np.isfinite(altitude_m)
    weight = gaussian_filter1d(known.astype(float), width)
    smooth = gaussian_filter1d(np.where(known, altitude_m, 0.0), width) / np.maximum(weight, 1e-9)
    percent = np.gradient(smooth) / max(cell_m, 0.1) * 100.0
    near = uniform_filter1d(known.astype(float), int(2 * width) + 1) > 0.2
    return np.where(near, percent, np.nan)


def _from_inertia(timeline: pd.DataFrame, cells: Cells) -> GradeEstimate | None:
    """Forward acceleration felt, less that driven; the mounting's tilt is the median."""
    felt = column(timeline, INERTIAL_SIGNAL)
    accel = column(timeline, "accel_mps2")
    both = np.isfinite(felt) & np.isfinite(accel)
    if both.sum() < 50:
        return None
    gravity = felt - accel
    percent = cells.mean((gravity - np.median(gravity[both])) / GRAVITY_MPS2 * 100.0, both)
    sd = np.where(np.isfinite(percent), INERTIAL_SD_PERCENT, np.nan)
    return GradeEstimate(percent, sd, np.zeros(len(cells), dtype=bool), "inertial")
