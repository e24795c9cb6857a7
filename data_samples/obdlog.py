"""What an OBD-II adapter would have logged on a simulated drive."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from data_samples.simulator.drive import Drive

ROUND_TRIP_MS: Final = 45.0
PERIOD_S: Final = {
    "rpm": 0.2,
    "speed_kmh": 0.2,
    "load_percent": 0.5,
    "throttle_percent": 0.5,
    "coolant_temp_c": 5.0,
    "run_time_s": 10.0,
}
"""How often each signal is asked for: a fast adapter, several parameters a request."""
STEP: Final = {
    "rpm": 0.25,
    "speed_kmh": 1.0,
    "load_percent": 100 / 255,
    "throttle_percent": 100 / 255,
    "coolant_temp_c": 1.0,
    "run_time_s": 1.0,
}
"""Resolution of each parameter on the wire (SAE J1979)."""
RPM_NOISE: Final = 12.0
LOAD_NOISE_PERCENT: Final = 1.5


def log_of(
    drive: Drive, rng: np.random.Generator, end_s: float
) -> Iterator[tuple[float, str, float, float]]:
    """Readings of a drive: time (s), signal, value, round trip (ms); in order of time."""
    truth = {
        "rpm": drive.rpm,
        "speed_kmh": drive.speed_mps * 3.6,
        "load_percent": drive.load_percent,
        "throttle_percent": drive.throttle_percent,
        "coolant_temp_c": drive.coolant_temp_c,
        "run_time_s": drive.t_s,
    }
    noise = {"rpm": RPM_NOISE, "load_percent": LOAD_NOISE_PERCENT}
    rows = []
    for signal, period in PERIOD_S.items():
        t_s = np.arange(0.02, end_s, period)
        t_s = t_s + rng.uniform(0.0, 0.04, t_s.size)
        value = np.interp(t_s, drive.t_s, truth[signal])
        value = value + rng.normal(0.0, noise.get(signal, 0.0), t_s.size)
        # Parameters are cut to their step, not rounded; nothing here is ever below zero.
        value = np.maximum(np.floor(value / STEP[signal]) * STEP[signal], 0.0)
        trip_ms = rng.normal(ROUND_TRIP_MS, 6.0, t_s.size).clip(20.0)
        rows += list(
            zip(t_s.tolist(), [signal] * t_s.size, value.tolist(), trip_ms.tolist(), strict=True)
        )
    yield from sorted(rows)
