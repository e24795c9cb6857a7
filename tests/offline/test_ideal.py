"""Ideal traces: what a careful driver would have done on the same road."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from offline.ideal import add_ideal
from offline.policy import load_policy
from offline.timeline import RATE_HZ, build_timeline

from .recordings import ramp, recording

CAR = load_policy("car")


def idealised(seconds: float, grade_percent: np.ndarray | float = 0.0, **signals) -> pd.DataFrame:
    timeline = build_timeline(recording(seconds, **signals), None)
    timeline["grade_percent"] = grade_percent
    timeline["p_uphill"] = np.nan
    return add_ideal(timeline, CAR)


def two_gears(t_s: np.ndarray) -> np.ndarray:
    """Engine speed of 50 km/h: first in a gear that turns at 2,000 rpm, then at 1,500."""
    return np.where(t_s < 60.0, 2000.0, 1500.0)


def test_the_ideal_speed_keeps_to_comfort_and_is_nowhere_faster() -> None:
    kmh = ramp((0, 0), (10, 80), (60, 80), (66, 0), (80, 0))
    found = idealised(80, speed_kmh=kmh, rpm=2000.0)
    driven, ideal = (found[c].to_numpy() for c in ("speed_smooth_kmh", "ideal_speed_kmh"))
    assert (ideal <= driven + 1e-6).all()
    accel = found["ideal_accel_mps2"].to_numpy()
    assert accel.max() <= CAR.comfort.accel_mps2 + 1e-9
    assert accel.min() >= -CAR.comfort.brake_mps2 - 1e-9
    # In its middle, where nobody hurried, it is what was driven.
    middle = slice(int(30 * RATE_HZ), int(40 * RATE_HZ))
    assert ideal[middle] == pytest.approx(driven[middle])


def test_the_band_is_that_of_the_highest_gear_that_pulls() -> None:
    found = idealised(120, speed_kmh=50.0, rpm=two_gears)
    level = found["ideal_rpm_low"].to_numpy()[300]
    assert level == pytest.approx(1500.0 * 0.88, rel=0.02)
    steep = idealised(120, 4.0, speed_kmh=50.0, rpm=two_gears)["ideal_rpm_low"].to_numpy()[300]
    assert steep == pytest.approx(2000.0 * 0.88, rel=0.02)


def test_a_grade_that_wavers_does_not_have_anybody_change_gears_to_and_fro() -> None:
    # 1,300 rpm and 150 a percent: the gear of 1,500 rpm pulls up to 1.3 %.
    t_s = np.arange(int(120 * RATE_HZ)) / RATE_HZ
    hill = (t_s > 40) & (t_s < 80)
    wavering = np.where(hill, 1.33 + 0.6 * np.sin(2.0 * np.pi * t_s / 2.5), 0.0)
    plain = idealised(120, speed_kmh=50.0, rpm=two_gears)
    found = idealised(120, wavering[: len(plain)], speed_kmh=50.0, rpm=two_gears)
    low = found["ideal_rpm_low"].to_numpy()[5:-5]
    assert np.count_nonzero(np.abs(np.diff(low)) > 100.0) == 2


def test_a_trip_of_a_moment_has_a_band() -> None:
    for seconds in (0.4, 1.0, 3.0):
        found = idealised(seconds, speed_kmh=50.0, rpm=2000.0)
        assert found["ideal_rpm_low"].notna().all()
        assert (found["ideal_rpm_low"] < found["ideal_rpm_high"]).all()
