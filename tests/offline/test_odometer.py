from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from offline.odometer import Odometer
from offline.preprocessing import ASSUMED_SPEED_MPS
from onboard.trip import Trip, TripWriter

S = 1_000_000_000


def test_metres_are_the_integral_of_speed_in_any_order_of_samples() -> None:
    odometer = Odometer([4 * S, 0, 2 * S, 3 * S], [8.0, 0.0, 4.0, np.nan])
    driven = odometer.driven_m([0, S, 2 * S, 4 * S])
    assert driven - driven[0] == pytest.approx([0.0, 2.0, 4.0, 16.0])


def test_where_no_speed_is_known_the_assumed_one_counts() -> None:
    odometer = Odometer([0, 2 * S, 42 * S, 44 * S], [5.0, 5.0, 5.0, 5.0])
    driven = odometer.driven_m([-14 * S, -4 * S, 0, 2 * S, 42 * S, 44 * S, 48 * S, 58 * S])
    assumed = ASSUMED_SPEED_MPS
    assert np.diff(driven) == pytest.approx(
        [10 * assumed, 20.0, 10.0, 40 * assumed, 10.0, 20.0, 10 * assumed]
    )
    nothing = Odometer([], []).driven_m([-S, 0, 100 * S])
    assert np.diff(nothing) == pytest.approx([assumed, 100 * assumed])


def test_a_short_gap_is_driven_as_its_ends_are() -> None:
    driven = Odometer([0, 5 * S, 25 * S], [30.0, 30.0, 20.0]).driven_m([0, 5 * S, 25 * S])
    assert np.diff(driven) == pytest.approx([150.0, 500.0])


def test_a_missing_or_backward_reading_never_drives_back() -> None:
    odometer = Odometer([0, S, 2 * S], [-3.0, np.nan, 3.0])
    assert (np.diff(odometer.driven_m(np.arange(-5 * S, 8 * S, S // 10))) >= 0).all()


def test_a_trip_is_counted_by_its_vehicle_speed(tmp_path: Path) -> None:
    writer = TripWriter.create(tmp_path, vehicle="v", driver="d")
    for second in range(11):
        writer.add_sample(7 * S + second * S, "speed_kmh", 36.0)
        writer.add_sample(7 * S + second * S, "rpm", 2000.0)
    path = writer.path
    writer.close("end")
    with Trip.open(path) as trip:
        assert list(trip.samples("speed_kmh", "fuel_rate_lph")) == ["speed_kmh"]
        driven = Odometer.of_trip(trip).driven_m([7 * S, 17 * S])
    assert driven[1] - driven[0] == pytest.approx(100.0)
