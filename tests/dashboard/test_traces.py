"""The figure of a trip: what is drawn, where, and how little of it travels."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from dashboard.roadstrip import tints
from dashboard.timeaxis import axis_ms, zoom_window
from dashboard.traces import figure, traces
from offline.results.downsampling import MAX_POINTS
from offline.verdicts import Event, EventKind, Outcome, TripResult, Verdict

MakeTrip = Callable[..., TripResult]


def drawn(shown: dict, name: str) -> dict:
    return next(trace for trace in shown["data"] if trace["name"] == name)


def test_raw_and_ideal_stand_side_by_side_and_a_gap_stays_a_gap(make_trip: MakeTrip) -> None:
    trip = make_trip()
    shown = figure(trip.timeline, trip.verdicts)

    raw, ideal = drawn(shown, "speed"), drawn(shown, "ideal speed")
    assert raw["yaxis"] == ideal["yaxis"] == "y2"
    # Told apart by more than colour, and the ideal never hides what was driven.
    assert ideal["line"]["width"] > 2 * raw["line"]["width"]
    assert shown["data"].index(ideal) < shown["data"].index(raw)
    assert raw["connectgaps"] is False
    in_gap = [y for x, y in zip(raw["x"], raw["y"], strict=True)
              if axis_ms(201) < x < axis_ms(211)]  # fmt: skip
    assert in_gap
    assert set(in_gap) == {None}
    assert 0 not in in_gap


def test_every_raw_point_names_its_row(make_trip: MakeTrip) -> None:
    trip = make_trip()
    for name in ("speed", "engine speed", "acceleration", "coolant"):
        trace = drawn(figure(trip.timeline, trip.verdicts), name)
        rows = trace["customdata"]
        assert len(rows) == len(trace["x"])
        assert all(type(row) is int for row in rows)  # an array's values do not come with clicks
        assert trace["x"][-1] == pytest.approx(axis_ms(trip.timeline["t_s"].iloc[rows[-1]]))


def test_the_ideal_band_is_closed_and_broken_by_the_gap(make_trip: MakeTrip) -> None:
    trip = make_trip()
    band = next(
        t for t in figure(trip.timeline, trip.verdicts)["data"]
        if t["name"] == "ideal band" and t["yaxis"] == "y3"
    )  # fmt: skip
    assert band["fill"] == "toself"
    assert band["x"].count(None) == 2  # before and after the gap
    assert 1200.0 in band["y"]
    assert 3400.0 in band["y"]


def test_road_context_is_drawn_as_coloured_bands(make_trip: MakeTrip) -> None:
    trip = make_trip()
    shown = figure(trip.timeline, trip.verdicts)
    uphill = drawn(shown, "Uphill")
    assert uphill["x"][0] == pytest.approx(axis_ms(100.2), abs=1)
    assert uphill["x"][1] == pytest.approx(axis_ms(160.0), abs=1)
    assert drawn(shown, "Right turn")["x"] == []
    assert "↗" in drawn(shown, "road")["text"]
    tinted = tints(trip.timeline, 0, 300)
    assert len(tinted) == 4  # climb, left turn, curve, descent; not straight, not undetermined
    assert len({shape["fillcolor"] for shape in tinted}) == 4


def test_events_are_marked_where_they_were_worst(make_trip: MakeTrip) -> None:
    trip = make_trip()
    shown = figure(trip.timeline, trip.verdicts)
    marker = next(t for t in shown["data"] if t["name"] == "exonerated" and t["x"])
    assert marker["text"] == ["Over-revving"]
    assert marker["yaxis"] == "y3"
    row = marker["customdata"][0]
    during = trip.timeline[trip.timeline["t_s"].between(118, 131)]
    assert trip.timeline["rpm"].iloc[row] == during["rpm"].max()
    kept = next(t for t in shown["data"] if t["name"] == "kept" and t["x"])
    braking = trip.timeline[trip.timeline["t_s"].between(289, 291.2)]
    assert trip.timeline["accel_mps2"].iloc[kept["customdata"][0]] == braking["accel_mps2"].min()


def test_three_outcomes_differ_by_symbol_not_only_by_colour(make_trip: MakeTrip) -> None:
    shown = figure(make_trip().timeline, ())
    symbols = {t["marker"]["symbol"] for t in shown["data"] if t["mode"] == "markers"}
    assert len(symbols) == 3


def test_what_was_not_recorded_is_said_and_not_drawn(make_trip: MakeTrip) -> None:
    timeline = make_trip().timeline.drop(columns=["coolant_temp_c", "scene"])
    shown = figure(timeline, ())
    assert [a["text"] for a in shown["layout"]["annotations"]] == [
        "Coolant was not recorded on this trip"
    ]
    assert all(y is None for y in drawn(shown, "coolant")["y"])
    assert shown["layout"]["shapes"][1:] == []


def long_timeline(rows: int) -> pd.DataFrame:
    t_s = np.arange(rows) / 5.0
    rng = np.random.default_rng(3)
    rpm = 1500 + rng.normal(0, 60, rows)
    rpm[rows // 3] = 6100.0
    scene = np.where((t_s // 7) % 2 == 0, "uphill", "curve").astype(object)
    return pd.DataFrame({"t_s": t_s, "rpm": rpm, "speed_kmh": 50 + rng.normal(0, 1, rows),
                         "scene": scene})  # fmt: skip


def test_a_long_trip_sends_few_points_and_keeps_the_extreme() -> None:
    timeline = long_timeline(180_000)
    shown = figure(timeline, ())
    assert all(len(trace["x"]) <= 2 * MAX_POINTS for trace in shown["data"])
    assert len(drawn(shown, "engine speed")["x"]) <= MAX_POINTS
    assert max(drawn(shown, "engine speed")["y"]) == 6100.0
    assert len(json.dumps(shown)) < 400_000
    assert len(shown["layout"]["shapes"]) <= 241


def test_a_zoom_brings_every_point_of_the_window() -> None:
    timeline = long_timeline(180_000)
    whole = traces(timeline, 0, 36_000)
    near = traces(timeline, 12_000, 12_060)
    assert [t["name"] for t in near] == [t["name"] for t in whole]  # patches go by place
    rpm = next(t for t in near if t["name"] == "engine speed")
    inside = [row for row in rpm["customdata"] if 12_000 <= row / 5 <= 12_060]
    assert inside == list(range(60_000, 60_301))
    assert rpm["y"][rpm["customdata"].index(60_000)] == 6100.0


@pytest.mark.parametrize(
    ("change", "window"),
    [
        ({"xaxis.range[0]": "1970-01-02 00:01:00", "xaxis.range[1]": "1970-01-02 00:02:00.5"},
         (60.0, 120.5)),
        ({"xaxis.range": ["1970-01-02", "1970-01-02 00:00:09.2500"]}, (0.0, 9.25)),
        ({"xaxis.autorange": True}, (0.0, 299.8)),
        ({"autosize": True}, None),
        ({"xaxis.range[0]": "never", "xaxis.range[1]": "ever"}, None),
        (None, None),
    ],
)  # fmt: skip
def test_a_zoom_is_read_in_seconds(
    change: dict | None, window: tuple[float, float] | None, make_trip: MakeTrip
) -> None:
    found = zoom_window(change, make_trip().timeline)
    assert found == (window if window is None else pytest.approx(window))


def test_an_event_over_a_gap_is_still_marked(make_trip: MakeTrip) -> None:
    trip = make_trip()
    event = Event(EventKind.OVER_REVVING, 203.0, 205.0, 4000.0, 3500.0, "rpm", 1.0)
    verdict = Verdict(event, Outcome.KEPT, "", "", None, None, (), None, 1.0, 0.0, "")
    shown = figure(trip.timeline, [verdict])
    marker = next(t for t in shown["data"] if t["name"] == "kept" and t["x"])
    assert marker["x"] == [pytest.approx(axis_ms(204.0))]
