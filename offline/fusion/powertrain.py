"""What a vehicle does on the level: how its acceleration follows from engine load and gear.

On the level, acceleration follows from engine load times overall gearing, less friction of the
engine, rolling and air resistance. The six coefficients are learned from the vehicle's own
driving by robust regression, with the grade that the camera lets expect.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offline.events.motion import grid_rate_hz
from offline.timeline import column

GRAVITY_MPS2 = 9.80665
MIN_SPEED_MPS = 5.0
PULLING_LOAD_PERCENT = 22.0
"""Below it an engine may be dragged, and the brakes may be on."""
THROTTLE_OPEN_PERCENT = 88.0
"""What a throttle reads fully open (75 to 95 % by make)."""
MAX_LOAD_STEP_PERCENT = 12.0
"""Load that moves faster within a second lags or leads what the wheels feel."""
MAX_ACCEL_STEP_MPS2 = 0.5
"""So does an acceleration: the load that goes with it may have been read before or after."""
MIN_LEARNING_S = 40.0
MODEL_SCALE_MPS2 = 0.12
"""Residual that wind, surface and the readings leave where the grade is known."""
WITHIN_FACTOR = 2.0
"""Points within a stretch count as if the grade spread by so much more than it does between
stretches: a driver answers a change of grade with the pedal, which would pass for the engine's."""
STRETCH_S = 6.0
"""Time over which the grade stays much the same: what differs within it is the engine's doing."""
LEVEL_SD_PERCENT = 1.0
"""Level is what lies within 2.5 %; most of it lies well within."""
HILL_PERCENT, HILL_SD_PERCENT = 5.5, 5.0
"""What is called a hill has 2.5 % and more, usually twice that. The spread is as wide as the mean:
a hill proves little, or many climbs would outvote the level road."""
ANY_ROAD_SD_PERCENT = 2.0
"""Of a road that nobody has looked at; what is steeper is an outlier."""
ROLLING_MPS2, ROLLING_SD = -0.13, 0.04
"""Rolling resistance of road tyres, 0.009 to 0.017 g (Gillespie 1992), any road vehicle's."""
DRAG_PER_M, DRAG_SD = -4.0e-4, 2.0e-4
"""Air drag over mass, 1/m: cars 3e-4, vans and lorries up to 6e-4 (Gillespie 1992)."""
FRICTION_SHARE = (0.0746, 0.0115, 0.0038)
"""Friction of an engine as a share of its full load over thousands of rpm, quadratic: 0.97, 0.15
and 0.05 bar (Heywood, Internal Combustion Engine Fundamentals, 1988, eq. 13.6, spark ignition)
of some 13 bar at full load. Load as OBD-II reads it counts from the torque that overcomes it."""
TORQUE_RPM = 3000.0
TORQUE, TORQUE_SD = 2e-3, 2e-3
"""Full torque changes by some twentieth over a thousand rpm, mostly up: engines that are revved
past 3,000 run on petrol and give most near 4,000; diesels give most at 2,000,"""
HOLLOW, HOLLOW_SD = -1.5e-3, 1.5e-3
"""and falls off to both sides (Heywood 1988, figures 15-4 and 15-5)."""
FRICTION_SD = 1.5e-3
"""By how much a vehicle's own differs, in m/s² per unit of gearing: a third of a car's."""
PAYLOAD_SHARE = 0.15
"""By how much load and tyres change a vehicle from one trip to the next."""
PULL, PULL_SD = 0.035, 0.015
"""Full torque over mass, times 0.377 (rpm per km/h to ratio over radius): 0.019 for a lorry of 40 t
with 2,000 Nm, 0.05 for a strong car."""
PRIOR_MEAN = (PULL, 0.0, ROLLING_MPS2, DRAG_PER_M, TORQUE, HOLLOW)
PRIOR_SD = (PULL_SD, FRICTION_SD, ROLLING_SD, DRAG_SD, TORQUE_SD, HOLLOW_SD)


@dataclass(frozen=True)
class Powertrain:
    """What a vehicle does on the level: acceleration = coefficients · features.

    Attributes
    ----------
    coefficients : ndarray, shape (6,)
        Of load less friction times gearing, gearing, 1, speed squared, and load times gearing
        times thousands of rpm from `TORQUE_RPM` on and their square.
    covariance : ndarray, shape (6, 6)
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


@dataclass(frozen=True)
class LearningPoints:
    """Steady pulling on one trip.

    Attributes
    ----------
    features : ndarray, shape (n, 6)
        As the coefficients of `Powertrain` count them.
    accel_mps2 : ndarray, shape (n,)
    grade_percent, grade_sd_percent : ndarray, shape (n,)
        Grade to expect from what the camera saw, and how far the true one may be from it.
    stretch : ndarray of int64, shape (n,)
        Which stretch of road, `STRETCH_S` long, each point lies on.
    rate_hz : float
        Points a second.
    signal : str
        Which signal stood for the engine's torque.
    """

    features: NDArray[np.float64]
    accel_mps2: NDArray[np.float64]
    grade_percent: NDArray[np.float64]
    grade_sd_percent: NDArray[np.float64]
    stretch: NDArray[np.int64]
    rate_hz: float
    signal: str

    @property
    def seconds(self) -> float:
        return self.accel_mps2.size / self.rate_hz


def learning_points(
    timeline: pd.DataFrame, p_slope: NDArray[np.float64] | None = None
) -> LearningPoints | None:
    """Pick the points of a trip to learn from; None without engine load, throttle and air flow.

    Parameters
    ----------
    timeline : DataFrame
        From `offline.timeline.build_timeline`.
    p_slope : ndarray, shape (n, 3), optional
        Chances of `roadscene.SLOPES` at each point, NaN where unknown.
    """
    drive = drive_features(timeline)
    if drive is None:
        return None
    features, load, steady, signal = drive
    accel = column(timeline, "accel_mps2")
    learn = steady & (load >= PULLING_LOAD_PERCENT) & (np.abs(accel) < 2.5)
    grade, sd = expected_grade(p_slope, len(timeline))
    rate_hz = grid_rate_hz(timeline)
    stretch = (np.arange(len(timeline)) / rate_hz / STRETCH_S).astype(np.int64)
    return LearningPoints(
        features[learn], accel[learn], grade[learn], sd[learn], stretch[learn], rate_hz, signal
    )


def expected_grade(
    p_slope: NDArray[np.float64] | None, n: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and spread (%) of the grade, given the chances of level, uphill and downhill.

    Without them a road is level on the whole. Hills count with the grade that hills have: left out,
    they would be missing where the engine works hardest, and taken for level they would make it
    look weak.
    """
    mean, sd = np.zeros(n), np.full(n, ANY_ROAD_SD_PERCENT)
    if p_slope is None:
        return mean, sd
    seen = np.isfinite(p_slope).all(axis=1)
    level, up, down = p_slope[seen].T
    mean[seen] = HILL_PERCENT * (up - down)
    square = level * LEVEL_SD_PERCENT**2 + (up + down) * (HILL_PERCENT**2 + HILL_SD_PERCENT**2)
    sd[seen] = np.sqrt(square - mean[seen] ** 2)
    return mean, sd


def learn_powertrain(
    trips: Sequence[LearningPoints], known: Powertrain | None = None
) -> Powertrain | None:
    """Learn a vehicle by robust regression, or None where too little was driven.

    Parameters
    ----------
    trips : sequence of LearningPoints
        Of one vehicle, and of one signal.
    known : Powertrain, optional
        What its other trips taught; it then needs no more than these.
    """
    signal = trips[0].signal if trips else ""
    if known is not None and known.signal != signal:
        known = None
    if known is None and sum(points.seconds for points in trips) < MIN_LEARNING_S:
        return None
    if known is None:
        mean: NDArray[np.float64] = np.array(PRIOR_MEAN)
        precision: NDArray[np.float64] = np.diag(np.array(PRIOR_SD) ** -2.0)
    else:
        payload = np.diag((PAYLOAD_SHARE * known.coefficients) ** 2)
        mean = known.coefficients
        precision = np.asarray(np.linalg.inv(known.covariance + payload), np.float64)
    beta, normal = mean, precision
    evidence = [_Stretches(points) for points in trips]
    # From what is known of vehicles on, surprises are outliers from the first step: a fit that
    # began with all points would take a long climb for a weak engine.
    for _ in range(12):
        parts = [stretches.normal_equations(beta) for stretches in evidence]
        normal = precision + np.sum([left for left, _ in parts], axis=0)
        right = precision @ mean + np.sum([right for _, right in parts], axis=0)
        beta = np.asarray(np.linalg.solve(normal, right), np.float64)
    if beta[0] <= 0:
        return None  # more load, less acceleration: the signal is not what it claims to be
    residual = np.concatenate([stretches.unbiased(beta) for stretches in evidence])
    noise = float(1.4826 * np.median(np.abs(residual))) if residual.size else MODEL_SCALE_MPS2
    return Powertrain(beta, np.asarray(np.linalg.inv(normal), np.float64), noise, signal)


class _Stretches:
    """A trip's learning points, split into what differs between stretches and within them.

    A random effect a stretch (Laird and Ware, 1982): its grade is unknown, so that the engine
    working harder there and gaining less proves little, while within it load and gear change
    and the grade hardly does.
    """

    def __init__(self, points: LearningPoints) -> None:
        names, self._of = np.unique(points.stretch, return_inverse=True)
        self._count = np.bincount(self._of, minlength=names.size).astype(float)
        # A point every 0.2 s is no independent measurement: about one a second is.
        self._seconds = self._count / points.rate_hz
        expected = points.accel_mps2 + GRAVITY_MPS2 / 100.0 * points.grade_percent
        self._x_mean = np.stack([self._mean(x) for x in points.features.T], axis=1)
        self._y_mean = self._mean(expected)
        self._x = points.features - self._x_mean[self._of]
        self._y = points.accel_mps2 - self._mean(points.accel_mps2)[self._of]
        self._rate_hz = points.rate_hz
        grade = GRAVITY_MPS2 / 100.0 * self._mean(points.grade_sd_percent)
        # Where the road is hilly the grade changes within a stretch as well.
        self._scale = np.hypot(MODEL_SCALE_MPS2, WITHIN_FACTOR * grade)[self._of]
        self._variance = grade**2 + MODEL_SCALE_MPS2**2 / np.maximum(self._seconds, 1.0)

    def _mean(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(self._of, weights=values) / self._count

    def within(self, beta: NDArray[np.float64]) -> NDArray[np.float64]:
        """Residual of every point against its stretch's own mean."""
        return np.asarray(self._y - self._x @ beta)

    def unbiased(self, beta: NDArray[np.float64]) -> NDArray[np.float64]:
        """The same, widened by what the mean has taken; stretches of one point say nothing."""
        count = self._count[self._of]
        several = count > 1
        widened = np.sqrt(count[several] / (count[several] - 1.0))
        return np.asarray(self.within(beta)[several] * widened)

    def normal_equations(
        self, beta: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Left and right side, robustly weighted by the residuals of `beta`."""
        scale = self._scale
        inner = 1.0 / (1.0 + (self.within(beta) / scale) ** 2) / scale**2 / self._rate_hz
        between = self._y_mean - self._x_mean @ beta
        outer = 1.0 / (1.0 + between**2 / self._variance) / self._variance
        return (
            self._x.T @ (self._x * inner[:, None])
            + self._x_mean.T @ (self._x_mean * outer[:, None]),
            self._x.T @ (inner * self._y) + self._x_mean.T @ (outer * self._y_mean),
        )


def engine_load(timeline: pd.DataFrame) -> NDArray[np.float64]:
    """Engine load (%) as read or, failing that, as the throttle shows it; else NaN.

    Air flow is left out: a diesel breathes freely while it is dragged, and verdicts tell dragging
    from pulling by the load itself.
    """
    for signal, load in _loads(timeline):
        if signal != "maf_g_s" and np.isfinite(load).any():
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
    flow = column(timeline, "maf_g_s")
    if np.isfinite(flow).any():
        # Air a revolution is what OBD-II's calculated load divides by its largest value (SAE
        # J1979, PID 04); that of the trip stands in for it.
        with np.errstate(divide="ignore", invalid="ignore"):
            charge = flow / column(timeline, "rpm")
        charge[~np.isfinite(charge)] = np.nan
        largest = float(np.nanpercentile(charge, 99)) if np.isfinite(charge).any() else 0.0
        if largest > 0:  # else the sensor is dead
            yield "maf_g_s", np.clip(100.0 * charge / largest, 0.0, 100.0)


def drive_features(
    timeline: pd.DataFrame,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_], str] | None:
    """Features, load, and where they hold: in one gear, on the move, load steady."""
    speed = column(timeline, "speed_smooth_kmh") / 3.6
    rpm = column(timeline, "rpm")
    rate_hz = grid_rate_hz(timeline)
    for signal, load in _loads(timeline):
        if np.isfinite(load).sum() < min(MIN_LEARNING_S * rate_hz, 0.5 * load.size):
            continue
        with np.errstate(divide="ignore", invalid="ignore"):
            gearing = np.where(speed >= MIN_SPEED_MPS, rpm / (speed * 3.6), np.nan)
        reach = max(int(rate_hz), 1)
        late = _moved(load, reach, MAX_LOAD_STEP_PERCENT)
        late |= _moved(column(timeline, "accel_mps2"), reach, MAX_ACCEL_STEP_MPS2)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.nan_to_num(np.log(gearing), nan=9.0)
        shifting = np.abs(ratio - np.roll(ratio, reach)) > 0.06
        in_gear = timeline["gear"].notna().to_numpy()
        friction = np.polynomial.polynomial.polyval(rpm / 1000.0, FRICTION_SHARE)
        torque = (load / 100.0 - friction) * gearing
        off = (rpm - TORQUE_RPM) / 1000.0
        full = load / 100.0 * gearing
        features = np.stack(
            [torque, gearing, np.ones(load.size), speed**2, full * off, full * off**2], axis=1
        )
        steady = np.isfinite(features).all(axis=1) & in_gear & ~late & ~shifting
        steady &= np.isfinite(column(timeline, "accel_mps2"))
        return features, load, steady, signal
    return None


def _moved(values: NDArray[np.float64], reach: int, most: float) -> NDArray[np.bool_]:
    """Where values differ by more than `most` from those `reach` points before or after."""
    step = np.abs(values[reach:] - values[:-reach]) <= most  # NaN is no steadiness
    moved = np.ones(values.size, dtype=bool)
    moved[reach:-reach] = ~(step[:-reach] & step[reach:])
    return moved
