"""The grade of the road from the sensors alone.

From the powertrain: on the level, acceleration follows from engine load times overall gearing,
less rolling and air resistance. The four coefficients are learned on the vehicle's own level
stretches by robust regression; what the acceleration then lacks, or has to spare, is gravity.
From altitude, where a trip has GPS or a barometer: its slope over the distance. From an
inertial sensor: forward acceleration felt, less acceleration driven.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, uniform_filter1d

from offline.events.motion import grid_rate_hz
from offline.fusion.places import Cells
from offline.timeline import column

GRAVITY_MPS2 = 9.80665
MIN_SPEED_MPS = 5.0
PULLING_LOAD_PERCENT = 22.0
"""Below it an engine may be dragged, and the brakes may be on."""
THROTTLE_OPEN_PERCENT = 88.0
"""What a throttle reads fully open (75 to 95 % by make)."""
MAX_LOAD_STEP_PERCENT = 12.0
"""Load that moves faster within a second lags or leads what the wheels feel."""
MIN_LEARNING_S = 90.0
LEVEL_SCALE_MPS2 = 0.2
"""Residual that is still level road: a grade of 2 %."""
ROLLING_MPS2, ROLLING_SD = -0.13, 0.04
"""Rolling resistance of road tyres, 0.009 to 0.017 g (Gillespie 1992), any road vehicle's."""
DRAG_PER_M, DRAG_SD = -4.0e-4, 2.0e-4
"""Air drag over mass, 1/m: cars 3e-4, vans and lorries up to 6e-4 (Gillespie 1992)."""
MODEL_SD_PERCENT = 1.3
"""What the four coefficients leave unexplained: wind, surface, payload of the day."""
DRAGGED_SD_PERCENT = 1.8
"""More, where the engine drags: the coefficients were learned while it pulled."""
ALTITUDE_SD_M = {"gps_altitude_m": 3.0, "baro_pressure_kpa": 0.7}
METRES_PER_KPA = 84.3
"""Altitude lost for a kilopascal gained near sea level (standard atmosphere)."""
ALTITUDE_WINDOW_M = 60.0
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


@dataclass(frozen=True)
class Powertrain:
    """What a vehicle does on the level: acceleration = coefficients · features.

    Attributes
    ----------
    coefficients : ndarray, shape (4,)
        Of load times gearing, gearing, 1, and speed squared.
    covariance : ndarray, shape (4, 4)
        Of the coefficients: large where the level stretches did not show the vehicle enough.
    noise_mps2 : float
        Robust spread of the acceleration around it.
    signal : str
        Which signal stood for the engine's torque.
    """

    coefficients: NDArray[np.float64]
    covariance: NDArray[np.float64]
    noise_mps2: float
    signal: str


def estimate_grade(
    timeline: pd.DataFrame, cells: Cells, p_level: NDArray[np.float64] | None
) -> GradeEstimate:
    """Estimate the grade from the best source that the trip has.

    Parameters
    ----------
    timeline : DataFrame
        From `build_timeline`.
    cells : Cells
        Of the same timeline.
    p_level : ndarray, shape (n,), optional
        Chance that each point is level as far as is known, NaN where nothing is.
    """
    for measured in (_from_altitude, _from_inertia):
        estimate = measured(timeline, cells)
        if estimate is not None:
            return estimate
    powertrain = learn_powertrain(timeline, p_level)
    if powertrain is None:
        nothing = np.full(len(cells), np.nan)
        return GradeEstimate(nothing, nothing.copy(), np.zeros(len(cells), dtype=bool), "")
    return _from_powertrain(timeline, cells, powertrain)


def learn_powertrain(
    timeline: pd.DataFrame, p_level: NDArray[np.float64] | None
) -> Powertrain | None:
    """Learn what the vehicle does on the level, or None where its signals do not suffice."""
    drive = _drive_features(timeline)
    if drive is None:
        return None
    features, load, steady, signal = drive
    accel = column(timeline, "accel_mps2")
    learn = steady & (load >= PULLING_LOAD_PERCENT) & (np.abs(accel) < 2.5)
    if learn.sum() / grid_rate_hz(timeline) < MIN_LEARNING_S:
        return None
    x, y = features[learn], accel[learn]
    level = np.ones(y.size) if p_level is None else np.nan_to_num(p_level[learn], nan=0.5)
    # A point every 0.2 s is no independent measurement: about one a second is.
    prior = np.diag([0.0, 0.0, 1.0 / ROLLING_SD**2, 1.0 / DRAG_SD**2])
    target = np.array([0.0, 0.0, ROLLING_MPS2, DRAG_PER_M])
    independent = 1.0 / grid_rate_hz(timeline) / LEVEL_SCALE_MPS2**2
    weight = 0.05 + level**2
    beta, normal = np.zeros(4), prior
    for _ in range(12):
        w = weight * independent
        normal = x.T @ (x * w[:, None]) + prior + np.diag([1e-6, 1e-6, 0.0, 0.0])
        beta = np.linalg.solve(normal, x.T @ (w * y) + prior @ target)
        residual = y - x @ beta
        weight = (0.05 + level**2) / (1.0 + (residual / LEVEL_SCALE_MPS2) ** 2)
    if beta[0] <= 0:
        return None  # more load, less acceleration: the signal is not what it claims to be
    centre = np.abs(residual) * np.where(level > 0.5, 1.0, np.nan)
    noise = float(1.4826 * np.nanmedian(centre)) if np.isfinite(centre).any() else LEVEL_SCALE_MPS2
    return Powertrain(beta, np.linalg.inv(normal), noise, signal)


def engine_load(timeline: pd.DataFrame) -> NDArray[np.float64]:
    """Engine load (%) as it was read or, failing that, as the throttle shows it; else NaN."""
    for _, load in _loads(timeline):
        if np.isfinite(load).any():
            return load
    return np.full(len(timeline), np.nan)


def _loads(timeline: pd.DataFrame) -> Iterator[tuple[str, NDArray[np.float64]]]:
    yield "load_percent", column(timeline, "load_percent")
    throttle = column(timeline, "throttle_percent")
    if np.isfinite(throttle).any():
        # A closed throttle reads 10 to 20 %, and the first half of its way gives most of the
        # torque: load grows with a power under 1 of the opening.
        closed = float(np.nanpercentile(throttle, 2))
        opened = np.clip((throttle - closed) / max(THROTTLE_OPEN_PERCENT - closed, 1.0), 0.0, 1.0)
        yield "throttle_percent", 100.0 * opened**0.7


def _drive_features(
    timeline: pd.DataFrame,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_], str] | None:
    """Features, load, and where they hold: in one gear, on the move, load steady."""
    speed = column(timeline, "speed_smooth_kmh") / 3.6
    rpm = column(timeline, "rpm")
    rate_hz = grid_rate_hz(timeline)
    for signal, load in _loads(timeline):
        if np.isfinite(load).sum() / rate_hz < MIN_LEARNING_S:
            continue
        with np.errstate(divide="ignore", invalid="ignore"):
            gearing = np.where(speed >= MIN_SPEED_MPS, rpm / (speed * 3.6), np.nan)
        reach = max(int(rate_hz), 1)
        filled = np.nan_to_num(load, nan=-1e3)
        late = np.abs(filled - np.roll(filled, reach)) > MAX_LOAD_STEP_PERCENT
        late[:reach] = True
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.nan_to_num(np.log(gearing), nan=9.0)
        shifting = np.abs(ratio - np.roll(ratio, reach)) > 0.06
        in_gear = timeline["gear"].notna().to_numpy()
        features = np.stack([load / 100.0 * gearing, gearing, np.ones(load.size), speed**2], axis=1)
        steady = np.isfinite(features).all(axis=1) & in_gear & ~late & ~shifting
        steady &= np.isfinite(column(timeline, "accel_mps2"))
        return features, load, steady, signal
    return None


def _from_powertrain(timeline: pd.DataFrame, cells: Cells, powertrain: Powertrain) -> GradeEstimate:
    drive = _drive_features(timeline)
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
        if np.isfinite(raw).sum() < 10:
            continue
        altitude = -METRES_PER_KPA * raw if signal == "baro_pressure_kpa" else raw
        by_cell = cells.mean(altitude, np.isfinite(altitude))
        known = np.isfinite(by_cell)
        if known.sum() < 5:
            continue
        cell_m = float(np.nanmax(column(timeline, "distance_m"))) / max(len(cells), 1)
        width = max(ALTITUDE_WINDOW_M / max(cell_m, 0.1), 1.0)
        weight = gaussian_filter1d(known.astype(float), width)
        smooth = gaussian_filter1d(np.where(known, by_cell, 0.0), width) / np.maximum(weight, 1e-9)
        percent = np.gradient(smooth) / max(cell_m, 0.1) * 100.0
        # Derivative of a Gaussian-smoothed series: sd = noise / (1.88 width^1.5 cell).
        sd = noise_m / (1.88 * width**1.5 * cell_m) * 100.0
        near = uniform_filter1d(known.astype(float), int(2 * width) + 1) > 0.2
        percent = np.where(near, percent, np.nan)
        return GradeEstimate(
            percent,
            np.where(near, np.hypot(sd, 0.5), np.nan),
            np.zeros(len(cells), dtype=bool),
            "altitude",
        )
    return None


def _from_inertia(timeline: pd.DataFrame, cells: Cells) -> GradeEstimate | None:
    """Forward acceleration felt, less that driven; the mounting's tilt is the median."""
    felt = column(timeline, "accel_forward_m_s2")
    accel = column(timeline, "accel_mps2")
    both = np.isfinite(felt) & np.isfinite(accel)
    if both.sum() < 50:
        return None
    gravity = felt - accel
    percent = cells.mean((gravity - np.median(gravity[both])) / GRAVITY_MPS2 * 100.0, both)
    sd = np.where(np.isfinite(percent), INERTIAL_SD_PERCENT, np.nan)
    return GradeEstimate(percent, sd, np.zeros(len(cells), dtype=bool), "inertial")
