"""The timeline: smoothing, gaps, ages, gears, UTC."""

from __future__ import annotations

import numpy as np
import pytest

from offline.errors import InputError
from offline.smoothing import ACCEL_DENSITY, QUANTIZATION_VARIANCE, WEAK, smooth_speed
from offline.timeline import build_timeline, column, is_true

from .recordings import START_NS, ramp, recording, series, without


def textbook_smoother(z: np.ndarray, rate_hz: float) -> tuple[np.ndarray, np.ndarray]:
    """Rauch-Tung-Striebel as in the textbook, for samples on every grid point."""
    dt = 1.0 / rate_hz
    step = np.array([[1.0, dt], [0.0, 1.0]])
    noise = ACCEL_DENSITY * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
    r = QUANTIZATION_VARIANCE * rate_hz
    m, p = np.zeros(2), np.eye(2) / WEAK
    filtered, predicted = [], []
    for i, value in enumerate(z):
        if i:
            m, p = step @ m, step @ p @ step.T + noise
        predicted.append((m, p))
        gain = p[:, 0] / (p[0, 0] + r)
        m, p = m + gain * (value - m[0]), p - np.outer(gain, p[0])
        filtered.append((m, p))
    means, covariances = [filtered[-1][0]], [filtered[-1][1]]
    for i in range(len(z) - 2, -1, -1):
        m, p = filtered[i]
        ahead_m, ahead_p = predicted[i + 1]
        gain = p @ step.T @ np.linalg.inv(ahead_p)
        means.append(m + gain @ (means[-1] - ahead_m))
        covariances.append(p + gain @ (covariances[-1] - ahead_p) @ gain.T)
    return np.array(means[::-1]), np.array(covariances[::-1])


def test_banded_solution_is_the_textbook_smoother():
    rng = np.random.default_rng(3)
    t = np.arange(0, 80, 0.2)
    kmh = np.round(40 + 20 * np.sin(t / 6) + rng.normal(0, 0.3, t.size))
    means, covariances = textbook_smoother(kmh / 3.6, 5.0)
    found = smooth_speed(t, kmh, t, rate_hz=5.0, max_gap_s=4.0)
    np.testing.assert_allclose(found.speed_mps, means[:, 0], atol=2e-4)
    np.testing.assert_allclose(found.accel_mps2, means[:, 1], atol=2e-4)
    np.testing.assert_allclose(found.speed_sd_mps, np.sqrt(covariances[:, 0, 0]), rtol=1e-3)
    np.testing.assert_allclose(found.accel_sd_mps2, np.sqrt(covariances[:, 1, 1]), rtol=1e-3)


@pytest.mark.parametrize(("rate_hz", "most"), [(0.5, 0.30), (1.0, 0.16), (5.0, 0.10), (20.0, 0.08)])
def test_acceleration_error_at_the_rates_of_real_adapters(rate_hz: float, most: float):
    speed = lambda t: 50 + 25 * np.sin(2 * np.pi * t / 25)  # noqa: E731
    timeline = build_timeline(recording(300, rate_hz, speed_kmh=speed))
    t = timeline["t_s"].to_numpy()
    truth = 25 / 3.6 * 2 * np.pi / 25 * np.cos(2 * np.pi * t / 25)
    inner = (t > 5) & (t < 290)
    error = column(timeline, "accel_mps2")[inner] - truth[inner]
    assert np.sqrt(np.mean(error**2)) < most


def test_a_gap_stays_a_gap():
    samples = without(recording(60, speed_kmh=50.0, rpm=2000.0), 20, 35)
    timeline = build_timeline(samples)
    t = timeline["t_s"].to_numpy()
    inside = (t > 20.2) & (t < 34.8)
    for name in ("speed_smooth_kmh", "accel_mps2", "speed_sd_kmh"):
        assert np.isnan(column(timeline, name)[inside]).all()
    # The latest reading still counts for its largest age, and then no more.
    assert np.isnan(column(timeline, "rpm")[(t > 24.2) & (t < 34.8)]).all()
    assert column(timeline, "rpm_age_s")[np.searchsorted(t, 30.0)] == pytest.approx(10.2, abs=0.3)
    assert timeline["moving"][inside].isna().all()
    driven = timeline["distance_m"].to_numpy()
    assert driven[np.searchsorted(t, 34)] == pytest.approx(driven[np.searchsorted(t, 20.4)], abs=1)


def test_a_missing_reading_is_missing():
    samples = recording(30, speed_kmh=30.0, rpm=1500.0)
    samples["rpm"].value[50:] = np.nan
    timeline = build_timeline(samples)
    assert timeline["engine_on"].iloc[-1] is not False
    assert timeline["engine_on"].isna().iloc[-1]
    assert is_true(timeline, "engine_on")[40]


def test_distance_is_the_integral_of_speed():
    timeline = build_timeline(recording(100, 2.0, speed_kmh=72.0))
    assert timeline["distance_m"].iloc[-1] == pytest.approx(2000, rel=0.01)


def test_a_lorry_that_cruises_below_a_thousand_has_a_top_gear():
    ratios = np.array([40.0, 28.0, 19.0, 11.5])
    gear = np.repeat(np.tile([0, 1, 2, 3, 3, 3], 7), 50)
    rpm = np.where(gear == 3, 950.0, 1350.0) + 60 * np.sin(np.arange(gear.size) / 30)
    t = np.arange(gear.size) / 5
    samples = {"speed_kmh": series(t, np.round(rpm / ratios[gear])), "rpm": series(t, rpm)}
    found = build_timeline(samples)["gear"].to_numpy(dtype=float, na_value=np.nan)[: gear.size]
    assert np.mean(found[gear == 3] == 4) > 0.9


def test_gears_are_found_from_the_driving_alone():
    rng = np.random.default_rng(0)
    ratios = np.array([110.0, 62.0, 42.0, 31.0])
    gear = np.repeat(rng.integers(0, 4, 40), 50)
    kmh = 3000 / ratios[gear] * (0.7 + 0.2 * np.sin(np.arange(gear.size) / 30))
    t = np.arange(gear.size) / 5
    samples = {"speed_kmh": series(t, np.round(kmh)), "rpm": series(t, ratios[gear] * kmh)}
    found = build_timeline(samples)["gear"].to_numpy(dtype=float, na_value=np.nan)[: gear.size]
    changes = np.diff(gear, prepend=gear[0]) != 0
    settled = np.convolve(changes, np.ones(21), "same") == 0
    assert np.mean(found[settled] == gear[settled] + 1) > 0.95


def test_utc_comes_from_the_clock_and_is_missing_without():
    class Clock:
        def utc_ns(self, t_mono_ns):
            return t_mono_ns + 1_700_000_000_000_000_000

    samples = recording(5, speed_kmh=10.0)
    with_clock = build_timeline(samples, Clock())
    assert with_clock["utc_ns"].iloc[0] == START_NS + 1_700_000_000_000_000_000
    assert build_timeline(samples)["utc_ns"].isna().all()


def test_the_timeline_starts_with_the_first_frame():
    frames = np.array([START_NS - 3_000_000_000], dtype=np.int64)
    timeline = build_timeline(recording(5, speed_kmh=10.0), frame_t_mono_ns=frames)
    assert timeline["t_mono_ns"].iloc[0] == frames[0]
    assert np.isnan(column(timeline, "speed_kmh")[0])


def test_nothing_to_score_is_an_error():
    with pytest.raises(InputError, match="nothing to score"):
        build_timeline({})


def test_approaching_a_stop_is_never_negative_speed():
    timeline = build_timeline(recording(40, speed_kmh=ramp((0, 60), (15, 60), (20, 0), (40, 0))))
    assert np.nanmin(column(timeline, "speed_smooth_kmh")) >= 0.0


def test_a_repeated_row_of_a_slow_log_is_no_new_reading():
    t = np.arange(0, 60, 1.8)
    kmh = np.round(30 + 4.0 * t / 1.8)
    rpm = kmh * 40 + 0.25
    kmh[10], rpm[10] = kmh[9], rpm[9]
    samples = {"speed_kmh": series(t, kmh), "rpm": series(t, rpm)}
    accel = column(build_timeline(samples), "accel_mps2")
    true = 4.0 / 3.6 / 1.8
    assert np.nanmax(accel[20:-20]) < true + 0.15
