"""UTC from monotonic time, through drift, steps and sleep."""

from __future__ import annotations

import numpy as np
import pytest

from onboard.trip import Clock

SECOND = 1_000_000_000
T0 = 1_700_000_000 * SECOND


def clock(utc_ns: np.ndarray, mono_ns: np.ndarray, boottime_ns: np.ndarray | None = None) -> Clock:
    boot = mono_ns if boottime_ns is None else boottime_ns
    return Clock(mono_ns, boot, utc_ns, ["boot"] * mono_ns.size)


def test_drift_and_jitter_are_fitted() -> None:
    mono = np.arange(600) * SECOND
    truth = T0 + mono + mono * 20 // 1_000_000
    jitter = np.random.default_rng(7).normal(0, 2e6, 600).astype(np.int64)
    fitted = clock(truth + jitter, mono).utc_ns(mono)
    assert fitted is not None
    assert np.abs(fitted - truth).max() < 1_000_000


@pytest.mark.parametrize("step_h", [1, -1])
def test_a_step_of_an_hour_moves_no_sample(step_h: int) -> None:
    mono = np.arange(300) * SECOND
    stepped = np.where(mono > 200 * SECOND, step_h * 3600 * SECOND, 0)
    fitted = clock(T0 + mono + stepped, mono).utc_ns(mono)
    assert fitted is not None
    assert np.abs(fitted - (T0 + mono)).max() < 1_000


def test_a_clock_that_starts_in_1970_counts_once_it_is_set() -> None:
    mono = np.arange(300) * SECOND
    utc = np.where(mono < 250 * SECOND, mono, T0 + mono)
    fitted = clock(utc, mono).utc_ns(mono)
    assert fitted is not None
    assert np.abs(fitted - (T0 + mono)).max() < 1_000
    assert clock(mono, mono).utc_ns(mono) is None


def test_sleep_is_no_step() -> None:
    mono = np.arange(100) * SECOND
    slept = np.where(mono >= 50 * SECOND, 600 * SECOND, 0)
    fitted = clock(T0 + mono + slept, mono, mono + slept).utc_ns(mono)
    assert fitted is not None
    assert np.abs(fitted - (T0 + mono + slept)).max() < 1_000


def test_no_reading_no_utc() -> None:
    nothing = np.zeros(0, dtype=np.int64)
    assert clock(nothing, nothing).utc_ns([1, 2]) is None
