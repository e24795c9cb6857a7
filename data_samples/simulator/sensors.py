"""What the vehicle's sensors say of a drive: rates, rounding, delays, dropouts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_samples.simulator.drive import Drive
from data_samples.simulator.road import STEP_M, Road
from onboard.signals import Status
from onboard.trip import Samples

START_NS = 1_000_000_000_000
"""Monotonic time at which simulated drives begin."""

RESOLUTION = {
    "rpm": 0.25,
    "speed_kmh": 1.0,
    "coolant_temp_c": 1.0,
    "load_percent": 100.0 / 255.0,
    "throttle_percent": 100.0 / 255.0,
    "gps_altitude_m": 0.1,
    "baro_pressure_kpa": 0.001,
}
"""Steps of the readings (SAE J1979)."""


@dataclass(frozen=True)
class SensorSuite:
    """What is recorded, and how well.

    Attributes
    ----------
    rate_hz : float
        Polls a second of engine speed and vehicle speed.
    slow_rate_hz : float
        Polls a second of load, throttle and coolant.
    signals : tuple of str
        What the vehicle answers.
    jitter_s : float
        Spread of the time between asking and the value's own time.
    dropout_share : float
        Share of single replies that are missing.
    outages : int
        Times when nothing answers for some seconds.
    load_noise_percent, load_lag_s : float
        Engine load is an estimate of the engine's computer, and late.
    altitude_noise_m : float
        Noise of GPS altitude, where recorded.
    """

    rate_hz: float = 5.0
    slow_rate_hz: float = 1.0
    signals: tuple[str, ...] = (
        "rpm",
        "speed_kmh",
        "coolant_temp_c",
        "load_percent",
        "throttle_percent",
    )
    jitter_s: float = 0.02
    dropout_share: float = 0.01
    outages: int = 0
    load_noise_percent: float = 2.0
    load_lag_s: float = 0.3
    altitude_noise_m: float = 3.0


def sample_drive(
    drive: Drive,
    suite: SensorSuite,
    rng: np.random.Generator,
    *,
    road: Road | None = None,
    start_ns: int = START_NS,
) -> dict[str, Samples]:
    """Sample a drive as a logger would.

    Parameters
    ----------
    drive : Drive
        The truth.
    suite : SensorSuite
        What is recorded.
    rng : Generator
        Noise.
    road : Road, optional
        Needed for altitude.
    start_ns : int
        Monotonic time of the drive's start.

    Returns
    -------
    dict of str to Samples
        As `onboard.trip.Trip.samples` gives them.
    """
    end_s = float(drive.t_s[-1])
    away = [
        (at, at + float(rng.uniform(5.0, 20.0)))
        for at in rng.uniform(0.0, max(end_s - 20.0, 1.0), suite.outages)
    ]
    found = {}
    for name in suite.signals:
        fast = name in ("rpm", "speed_kmh")
        rate_hz = suite.rate_hz if fast else min(suite.slow_rate_hz, suite.rate_hz)
        n = max(int(end_s * rate_hz), 1)
        t = (np.arange(n, dtype=np.float64) + rng.random()) / rate_hz
        t = np.sort(np.clip(t + rng.normal(0.0, suite.jitter_s, n), 0.0, end_s))
        value = _reading(drive, road, name, t, suite, rng)
        step = RESOLUTION[name]
        value = np.round(value / step) * step
        missing = rng.random(n) < suite.dropout_share
        for first, last in away:
            missing |= (t >= first) & (t < last)
        value[missing] = np.nan
        status = np.where(missing, Status.TIMEOUT.value, Status.OK.value).tolist()
        found[name] = Samples(
            t_mono_ns=start_ns + np.round(t * 1e9).astype(np.int64),
            value=value,
            status=status,
            round_trip_ms=np.full(n, 30.0),
        )
    return found


def _reading(
    drive: Drive,
    road: Road | None,
    name: str,
    t_s: NDArray[np.float64],
    suite: SensorSuite,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    def at(values: NDArray[np.float64], late_s: float = 0.0) -> NDArray[np.float64]:
        return np.interp(t_s - late_s, drive.t_s, values)

    match name:
        case "rpm":
            return at(drive.rpm) + rng.normal(0.0, 8.0, t_s.size)
        case "speed_kmh":
            return at(drive.speed_mps) * 3.6
        case "coolant_temp_c":
            return at(drive.coolant_temp_c)
        case "load_percent":
            noise = rng.normal(0.0, suite.load_noise_percent, t_s.size)
            return np.clip(at(drive.load_percent, suite.load_lag_s) + noise, 0.0, 100.0)
        case "throttle_percent":
            noise = rng.normal(0.0, 1.0, t_s.size)
            return np.clip(at(drive.throttle_percent, suite.load_lag_s) + noise, 0.0, 100.0)
    if road is None:
        raise ValueError(f"{name} needs the road's altitude")
    altitude = np.interp(
        at(drive.distance_m), np.arange(road.altitude_m.size) * STEP_M, road.altitude_m
    )
    # GPS errors wander: noise with a memory of about 30 s.
    steps = rng.normal(0.0, 1.0, t_s.size)
    keep = np.exp(-np.median(np.diff(t_s, prepend=0.0)) / 30.0)
    wander = np.empty(t_s.size)
    state = 0.0
    for i, step in enumerate(steps):
        state = keep * state + np.sqrt(1 - keep**2) * step
        wander[i] = state
    if name == "gps_altitude_m":
        return altitude + suite.altitude_noise_m * wander
    return 101.3 - altitude / 84.3 + rng.normal(0.0, 0.005, t_s.size)
