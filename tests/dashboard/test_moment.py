"""Everything known at one moment."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from dashboard.moment import moment, row_at
from offline.results.staging import labels_frame
from offline.verdicts import Outcome, TripResult

MakeTrip = Callable[..., TripResult]


@pytest.fixture
def trip(make_trip: MakeTrip) -> TripResult:
    return make_trip()


def labels_of(trip: TripResult) -> pd.DataFrame:
    assert trip.labels is not None
    return labels_frame(trip.labels)


def test_a_moment_tells_signals_road_and_event(trip: TripResult) -> None:
    row = row_at(trip.timeline, 125.0)
    now = moment(trip.timeline, row, labels_of(trip), trip.verdicts)

    assert now.time == "2:05.0"
    assert now.utc.endswith("UTC")
    signals = {reading.title: reading for reading in now.signals}
    assert set(signals) == {"Engine speed", "Vehicle speed", "Coolant temperature", "Engine load"}
    assert signals["Coolant temperature"].value == "70\u00a0°C"
    assert signals["Coolant temperature"].remark == "2.5\u00a0s ago"
    assert now.scene == "Uphill"
    assert now.frame == 250
    slope = {belief.title: belief for belief in now.slope}
    assert slope["Uphill"].fused == pytest.approx(0.93)
    assert slope["Uphill"].network == pytest.approx(0.71, abs=1e-6)
    assert [belief.title for belief in now.course] == [
        "Straight", "Curve", "Left turn", "Right turn"
    ]  # fmt: skip
    assert [verdict.outcome for verdict in now.events] == [Outcome.EXONERATED]


def test_a_missing_reading_is_a_dash_with_its_age(trip: TripResult) -> None:
    timeline = trip.timeline.copy()
    timeline.loc[timeline["t_s"].between(200, 212), "rpm_age_s"] = 7.5
    timeline.loc[0, ["rpm", "rpm_age_s"]] = np.nan
    now = moment(timeline, row_at(timeline, 206.0), labels_of(trip), ())
    rpm = next(reading for reading in now.signals if reading.title == "Engine speed")
    assert (rpm.value, rpm.remark) == ("–", "missing, last read 7.5\u00a0s ago")
    smoothed = next(reading for reading in now.estimates if reading.title == "Acceleration")
    assert smoothed.value == "–"
    start = moment(timeline, 0, labels_of(trip), ())
    assert start.signals[0].remark == "not read yet"


def test_without_camera_there_is_no_road_and_no_frame(trip: TripResult) -> None:
    bare = trip.timeline[[c for c in trip.timeline.columns if not c.startswith(("p_", "scene"))]]
    bare = bare.drop(columns=["frame", "utc_ns"])
    now = moment(bare, 10, pd.DataFrame(columns=["frame"]), ())
    assert (now.slope, now.course, now.scene, now.frame, now.utc) == ((), (), "", None, "–")


def test_the_first_and_the_last_row_of_an_event_belong_to_it(trip: TripResult) -> None:
    for t_s, inside in ((117.8, False), (118.0, True), (131.0, True), (131.2, False)):
        row = row_at(trip.timeline, t_s)
        now = moment(trip.timeline, row, labels_of(trip), trip.verdicts)
        assert bool(now.events) is inside, t_s


@pytest.mark.parametrize("row", [-1, 1500])
def test_a_row_that_is_not_there_is_refused(row: int, trip: TripResult) -> None:
    with pytest.raises(IndexError, match="1500 rows"):
        moment(trip.timeline, row, labels_of(trip), ())


@pytest.mark.parametrize(("measured", "how"), [(True, "measured"), (False, "from the engine")])
def test_a_grade_says_how_it_is_known(measured: bool, how: str, trip: TripResult) -> None:
    timeline = trip.timeline.assign(grade_is_measured=measured)

    def grade_at(t_s: float) -> tuple[str, str]:
        now = moment(timeline, row_at(timeline, t_s), labels_of(trip), ())
        grade = next(reading for reading in now.estimates if reading.title == "Grade")
        return grade.value, grade.remark

    assert grade_at(125.0) == ("6.5\u202f%", f"± 1.5\u202f%, {how}")
    assert grade_at(5.0) == ("–", "")
    timeline = timeline.drop(columns="grade_is_measured")
    assert grade_at(125.0) == ("6.5\u202f%", "± 1.5\u202f%")
