"""Recordings made of formulas, for tests of timeline, events and verdicts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from offline.scenelabels import SceneLabels
from onboard.trip import Samples

START_NS = 5_000_000_000_000

Signal = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def series(t_s: NDArray[np.float64], value: NDArray[np.float64]) -> Samples:
    """Samples at given seconds after `START_NS`."""
    return Samples(
        t_mono_ns=START_NS + np.round(t_s * 1e9).astype(np.int64),
        value=np.asarray(value, dtype=np.float64),
        status=["ok"] * t_s.size,
        round_trip_ms=np.full(t_s.size, 20.0),
    )


def recording(
    seconds: float, rate_hz: float = 5.0, **signals: Signal | float
) -> dict[str, Samples]:
    """Sample each signal, a formula of time or a constant; speed in whole km/h."""
    t_s = np.arange(0.0, seconds, 1.0 / rate_hz)
    found = {}
    for name, signal in signals.items():
        value = signal(t_s) if callable(signal) else np.full(t_s.size, float(signal))
        found[name] = series(t_s, np.round(value) if name == "speed_kmh" else value)
    return found


def ramp(*points: tuple[float, float]) -> Signal:
    """Straight lines through (second, value) points."""
    t, v = zip(*points, strict=True)
    return lambda at: np.interp(at, t, v)


def without(samples: dict[str, Samples], first_s: float, last_s: float) -> dict[str, Samples]:
    """Cut a gap into every signal."""
    found = {}
    for name, one in samples.items():
        t_s = (one.t_mono_ns - START_NS) / 1e9
        keep = (t_s < first_s) | (t_s > last_s)
        found[name] = series(t_s[keep], one.value[keep])
    return found


def labels(
    seconds: float,
    slope: Callable[[float], int] | int = 0,
    course: Callable[[float], int] | int = 0,
    *,
    confidence: float = 0.9,
    fps: float = 2.0,
) -> SceneLabels:
    """Labels that give one class at each moment, with one confidence."""
    t_s = np.arange(0.0, seconds, 1.0 / fps)

    def head(classes: int, which: Callable[[float], int] | int) -> NDArray[np.float32]:
        p = np.full((t_s.size, classes), (1 - confidence) / (classes - 1), dtype=np.float32)
        for i, t in enumerate(t_s):
            p[i, which(t) if callable(which) else which] = confidence
        return p

    return SceneLabels(
        t_mono_ns=START_NS + np.round(t_s * 1e9).astype(np.int64),
        frame=np.arange(t_s.size, dtype=np.int64) * 15,
        p_slope=head(3, slope),
        p_course=head(4, course),
        slope_threshold=0.55,
        course_threshold=0.55,
        model_name="test",
        model_sha256="0" * 64,
    )
