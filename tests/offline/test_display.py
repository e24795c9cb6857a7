"""How values are printed for people."""

from __future__ import annotations

import math

import pytest

from offline.results.display import (
    BAND_COLOURS,
    BAND_TEXT_COLOURS,
    EVENT_TITLES,
    OUTCOME_COLOURS,
    OUTCOME_SYMBOLS,
    OUTCOME_TITLES,
    SCENE_COLOURS,
    SCENE_SYMBOLS,
    SCENE_TITLES,
    clock_text,
    column_title,
    duration_text,
    number,
    origin_text,
    utc_text,
)
from offline.roadscene import CLASSES, UNDETERMINED
from offline.verdicts import EventKind, Outcome


@pytest.mark.parametrize(
    ("value", "digits", "unit", "text"),
    [
        (None, 0, "km/h", "–"),
        (math.nan, 1, "", "–"),
        (math.inf, 1, "", "–"),
        (0.0, 0, "km/h", "0\u00a0km/h"),
        (-0.04, 1, "m/s²", "0.0\u00a0m/s²"),
        (-3.6, 1, "m/s²", "−3.6\u00a0m/s²"),
        (96.2, 0, "%", "96\u202f%"),
        (12.5, 1, "", "12.5"),
    ],
)
def test_a_missing_number_is_a_dash_and_never_zero(
    value: float | None, digits: int, unit: str, text: str
) -> None:
    assert number(value, digits, unit) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0:00.0"), (59.96, "1:00.0"), (125.2, "2:05.2"), (3725.0, "1:02:05.0"), (None, "–")],
)
def test_a_moment_is_printed_in_minutes(seconds: float | None, text: str) -> None:
    assert clock_text(seconds) == text


def test_durations_and_instants() -> None:
    assert duration_text(79.0) == "79\u00a0s"
    assert duration_text(3599.0) == "1\u00a0h\u00a000\u00a0min"
    assert duration_text(math.nan) == "–"
    assert utc_text(1_780_000_000_123_456_789, seconds=True) == "2026-05-28 20:26:40 UTC"
    assert utc_text(None) == "–"


@pytest.mark.parametrize(
    ("origin", "text"),
    [
        ({"video": "recorded", "obd": "measured", "note": "x"}, ""),
        ({"video": "recorded", "obd": "simulated"}, "OBD simulated"),
        ({"video": "rendered", "obd": "simulated"}, "Video rendered, OBD simulated"),
        ({"video": "none", "obd": "measured"}, "No video"),
        ({"video": "measured", "obd": "none"}, "No OBD"),
    ],
)
def test_what_was_not_recorded_in_a_vehicle_is_said(origin: dict[str, str], text: str) -> None:
    assert origin_text(origin) == text


def test_every_kind_outcome_and_scene_has_its_name_and_mark() -> None:
    assert set(EVENT_TITLES) == set(EventKind)
    for table in (OUTCOME_TITLES, OUTCOME_COLOURS, OUTCOME_SYMBOLS):
        assert set(table) == set(Outcome)
    for table in (SCENE_TITLES, SCENE_COLOURS, SCENE_SYMBOLS):
        assert list(table) == [*CLASSES, UNDETERMINED]
        assert len(set(table.values())) == 7
    assert column_title("rpm") == ("Engine speed", "rpm")
    assert column_title("not_a_signal") == ("not_a_signal", "")


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_band_letters_are_readable() -> None:
    for band, background in BAND_COLOURS.items():
        dark, bright = sorted((luminance(background), luminance(BAND_TEXT_COLOURS[band])))
        assert (bright + 0.05) / (dark + 0.05) >= 4.5, band
