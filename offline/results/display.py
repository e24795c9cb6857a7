"""How results are named, coloured and printed for people, in the PDF and in the dashboard.

The colours are told apart by readers with any common colour blindness (Okabe and Ito 2008,
Tol 2021, "muted"); no meaning rests on colour alone, each also has a letter, a word or a symbol.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Final

from offline.roadscene import UNDETERMINED
from offline.verdicts import EventKind, Outcome
from onboard.signals import SIGNALS

MISSING: Final = "–"
"""Stands wherever a value is not known; a missing value is never printed as 0."""

EVENT_TITLES: Final[dict[str, str]] = {
    EventKind.HARSH_ACCELERATION: "Harsh acceleration",
    EventKind.HARSH_BRAKING: "Harsh braking",
    EventKind.OVER_REVVING: "Over-revving",
    EventKind.SUSTAINED_PULL: "Sustained pull",
    EventKind.IDLING: "Idling",
    EventKind.SPEEDING: "Speeding",
    EventKind.COLD_ENGINE_REVVING: "Cold engine revving",
    EventKind.OVERHEATING: "Overheating",
    EventKind.COASTING: "Coasting",
}

OUTCOME_TITLES: Final[dict[str, str]] = {
    Outcome.KEPT: "Kept",
    Outcome.EXONERATED: "Exonerated",
    Outcome.UNDETERMINED: "Undetermined",
}

OUTCOME_COLOURS: Final[dict[str, str]] = {
    Outcome.KEPT: "#d55e00",
    Outcome.EXONERATED: "#009e73",
    Outcome.UNDETERMINED: "#7f7f7f",
}

OUTCOME_SYMBOLS: Final[dict[str, str]] = {
    Outcome.KEPT: "▼",
    Outcome.EXONERATED: "●",
    Outcome.UNDETERMINED: "□",
}

SCENE_TITLES: Final[dict[str, str]] = {
    "straight": "Straight",
    "uphill": "Uphill",
    "downhill": "Downhill",
    "curve": "Curve",
    "left_turn": "Left turn",
    "right_turn": "Right turn",
    UNDETERMINED: "Undetermined",
}

SCENE_COLOURS: Final[dict[str, str]] = {
    "straight": "#c3c7cc",
    "uphill": "#dda01d",
    "downhill": "#5b8fd0",
    "curve": "#aa4499",
    "left_turn": "#cc6677",
    "right_turn": "#44aa99",
    UNDETERMINED: "#f0f0f0",
}

SCENE_SYMBOLS: Final[dict[str, str]] = {
    "straight": "↑",
    "uphill": "↗",
    "downhill": "↘",
    "curve": "~",
    "left_turn": "↰",
    "right_turn": "↱",
    UNDETERMINED: "?",
}

BAND_COLOURS: Final[dict[str, str]] = {
    "A": "#0072b2",
    "B": "#56b4e9",
    "C": "#f0e442",
    "D": "#e69f00",
    "E": "#d55e00",
}

BAND_TEXT_COLOURS: Final[dict[str, str]] = {
    "A": "#ffffff",
    "B": "#000000",
    "C": "#000000",
    "D": "#000000",
    "E": "#000000",
}
"""Black or white, whichever reads better on the band's colour (contrast at least 4.5)."""

PART_TITLES: Final[dict[str, str]] = {
    "smoothness": "Smoothness",
    "engine_care": "Engine care",
    "economy": "Economy",
    "speed": "Speed",
}

_DERIVED_TITLES: Final[dict[str, tuple[str, str]]] = {
    "speed_smooth_kmh": ("Speed, smoothed", "km/h"),
    "accel_mps2": ("Acceleration", "m/s²"),
    "distance_m": ("Distance driven", "m"),
    "gear": ("Gear, estimated", ""),
    "grade_percent": ("Grade", "%"),
    "ideal_speed_kmh": ("Ideal speed", "km/h"),
    "ideal_accel_mps2": ("Ideal acceleration", "m/s²"),
}


def column_title(column: str) -> tuple[str, str]:
    """Name and unit of a timeline column for people; the column's own name where none is known."""
    if column in SIGNALS:
        return SIGNALS[column].title, SIGNALS[column].unit
    return _DERIVED_TITLES.get(column, (column, ""))


def number(value: float | None, digits: int = 0, unit: str = "") -> str:
    """Print a number with its unit, or `–` where it is missing."""
    if value is None or not math.isfinite(value):
        return MISSING
    text = f"{value:.{digits}f}"
    # A rounded -0.0 would read as a signed nothing.
    text = text.removeprefix("-") if float(text) == 0 else text.replace("-", "\u2212")
    if unit in ("%", "°"):
        return f"{text}\u202f{unit}" if unit == "%" else f"{text}{unit}"
    return f"{text}\u00a0{unit}" if unit else text


def peak_text(value: float, unit: str) -> str:
    """Print an event's peak or limit with the decimals that its unit carries."""
    return number(value, 0 if unit in ("rpm", "km/h", "°C", "s") else 1, unit)


def clock_text(seconds: float | None) -> str:
    """Print seconds since the trip's start as `m:ss.s` or `h:mm:ss.s`."""
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{head}:{rest // 10:02d}.{rest % 10}"


def duration_text(seconds: float | None) -> str:
    """Print a duration as `35 s`, `12 min` or `3 h 05 min`."""
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    if seconds < 120:
        return f"{seconds:.0f}\u00a0s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes}\u00a0min"
    return f"{minutes // 60}\u00a0h\u00a0{minutes % 60:02d}\u00a0min"


def utc_text(utc_ns: int | None, *, seconds: bool = False) -> str:
    """Print a UTC instant to the minute, or to the second, or `–` where no clock was known."""
    if utc_ns is None:
        return MISSING
    shape = "%Y-%m-%d %H:%M:%S UTC" if seconds else "%Y-%m-%d %H:%M UTC"
    return datetime.fromtimestamp(utc_ns // 1_000_000_000, UTC).strftime(shape)


def origin_text(origin: dict[str, str]) -> str:
    """Say in a few words which of a trip's data did not come from a vehicle as it was driven.

    Returns
    -------
    str
        Empty for a trip whose video was recorded and whose OBD log was measured.
    """
    said = []
    for source, title, genuine in (
        ("video", "video", {"recorded", "measured", ""}),
        ("obd", "OBD", {"measured", "recorded", ""}),
    ):
        kind = origin.get(source, "")
        if kind == "none":
            said.append(f"no {title}")
        elif kind not in genuine:
            said.append(f"{title} {kind}")
    text = ", ".join(said)
    return text[:1].upper() + text[1:]
