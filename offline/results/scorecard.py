"""A trip's scorecard: one A4 page, tagged for screen readers, the same bytes every time."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import typst
from numpy.typing import NDArray

from offline.errors import StoreError
from offline.results.display import (
    BAND_COLOURS,
    BAND_TEXT_COLOURS,
    EVENT_TITLES,
    MISSING,
    OUTCOME_COLOURS,
    OUTCOME_SYMBOLS,
    OUTCOME_TITLES,
    PART_TITLES,
    SCENE_COLOURS,
    SCENE_SYMBOLS,
    SCENE_TITLES,
    clock_text,
    duration_text,
    number,
    origin_text,
    utc_text,
)
from offline.results.downsampling import runs, thin
from offline.results.lanes import (
    ACCELERATION,
    COOLANT,
    ENGINE_SPEED,
    SPEED,
    Lane,
    peak_row,
    scenes,
    times,
    values,
)
from offline.verdicts import EventKind, Outcome, Verdict, has_road_context

TEMPLATE: Final = Path(__file__).with_name("scorecard.typ")
_POINTS: Final = 500
"""Points of a printed trace: two a millimetre are more than a printer shows."""
_EVENTS: Final = 40
"""More rows than this never fit on the page; the template decides how many do."""
_BANDS: Final = 160
_FONT_PROBLEM: Final = re.compile(r'the text `"(.+?)"` could not be displayed', re.DOTALL)


def scorecard_pdf(trip: Any, verdicts: Sequence[Verdict], timeline: pd.DataFrame) -> bytes:
    """Set the scorecard of a stored trip as PDF/UA-1.

    Fonts that typst carries come first, so that the page is the same on every machine; only for
    letters they lack (Chinese, Japanese, Arabic) the system's fonts are asked. A letter that no
    font has is printed as its code point, such as `[U+738B]`.

    Raises
    ------
    StoreError
        If the page cannot be set.
    """
    document = json.dumps(_document(trip, verdicts, timeline), ensure_ascii=False, sort_keys=True)
    own_fonts_only = True
    while True:
        try:
            return typst.compile(
                TEMPLATE.read_bytes(),
                format="pdf",
                pdf_standards=["ua-1"],
                ignore_system_fonts=own_fonts_only,
                sys_inputs={"scorecard": document},
                timestamp=0,
            )
        except typst.TypstError as problem:
            lacking = _FONT_PROBLEM.search(str(problem))
            if lacking is None:
                raise StoreError(f"the scorecard cannot be set: {problem}") from problem
            if own_fonts_only:
                own_fonts_only = False
                continue
            replaced = document
            for letter in set(lacking.group(1)):
                if not letter.isascii():
                    replaced = replaced.replace(letter, f"[U+{ord(letter):04X}]")
            if replaced == document:
                raise StoreError(f"the scorecard cannot be set: {problem}") from problem
            document = replaced


def _document(trip: Any, verdicts: Sequence[Verdict], timeline: pd.DataFrame) -> dict[str, Any]:
    t_s = times(timeline)
    end_s = float(t_s[-1]) if t_s.size and t_s[-1] > 0 else 1.0
    bands = runs(t_s, scenes(timeline), _BANDS)
    present = {name for *_, name in bands}
    origin = origin_text(trip.origin)
    kept = sum(verdict.outcome == Outcome.KEPT for verdict in verdicts)
    exonerated = sum(verdict.outcome == Outcome.EXONERATED for verdict in verdicts)
    undetermined = len(verdicts) - kept - exonerated
    provenance = trip.provenance
    return {
        "title": f"Gradewise scorecard of {trip.trip_id}",
        "trip_id": trip.trip_id,
        "driver": trip.driver or "Driver not signed in",
        "vehicle": f"{trip.vehicle} ({trip.vehicle_class})",
        "started": utc_text(trip.started_utc_ns)
        if trip.started_utc_ns is not None
        else "start time not known",
        "distance": number(trip.exposure.distance_km, 1, "km"),
        "duration": duration_text(trip.exposure.duration_s),
        "origin": origin,
        "origin_note": trip.origin.get("note", ""),
        "score": _score(trip),
        "parts": [
            {
                "title": title,
                "fraction": None if value is None else min(max(value / 100.0, 0.0), 1.0),
                "value": number(value),
            }
            for key, title in PART_TITLES.items()
            for value in [trip.score.parts.get(key)]
        ],
        "bands": [
            {
                "start": start_s / end_s,
                "end": min(stop_s, end_s) / end_s,
                "colour": SCENE_COLOURS[name],
                "symbol": SCENE_SYMBOLS[name],
                "tint": name not in ("straight", "undetermined"),
            }
            for start_s, stop_s, name in bands
            if name in SCENE_COLOURS
        ],
        "legend": [
            {"title": title, "colour": SCENE_COLOURS[name], "symbol": SCENE_SYMBOLS[name]}
            for name, title in SCENE_TITLES.items()
            if name in present
        ],
        "no_context": "Road context: none"
        + ("." if has_road_context(trip.road_context) else f" ({trip.road_context})."),
        "x_ticks": [
            {"at": tick / end_s, "text": _tick_time(tick)}
            for tick in _ticks(
                0.0,
                end_s,
                8,
                (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800),
            )
        ],
        "charts": [
            # What has no chart of its own is marked on the one it shows in most.
            _chart(timeline, end_s, verdicts, SPEED, (*SPEED.events, *ACCELERATION.events)),
            _chart(
                timeline, end_s, verdicts, ENGINE_SPEED, (*ENGINE_SPEED.events, *COOLANT.events)
            ),
        ],
        "events_title": f"Events: {kept} kept, {exonerated} exonerated, "
        f"{undetermined} undetermined",
        "events_total": len(verdicts),
        "events": _events(verdicts),
        "no_events": "No event: nothing on this trip passed a limit of the policy."
        if trip.score.value is not None
        else "No event was found in what was recorded.",
        "overflow": "listed in the dashboard and in `gradewise-offline export`.",
        "hashes": [
            {"title": "Trip", "value": provenance.trip_sha256, "name": ""},
            {"title": "Model", "value": provenance.model_sha256, "name": provenance.model_name},
            {"title": "Policy", "value": provenance.policy_sha256, "name": provenance.policy_name},
        ],
        "verify": f"SHA-256 hashes. Scored by {provenance.software}; "
        "gradewise-offline verify recomputes this result bit for bit.",
    }


def _score(trip: Any) -> dict[str, Any]:
    score, without = trip.score, trip.score_without_context
    if not has_road_context(trip.road_context):
        beside = f"No road context: {trip.road_context}."
    elif without.value is None:
        beside = f"Without road context: no score. {without.reason}".strip()
    else:
        beside = f"Without road context it would be {number(without.value)} ({without.band})."
    return {
        "value": None if score.value is None else number(score.value),
        "band": score.band,
        "colour": BAND_COLOURS.get(score.band or "", "#ffffff"),
        "text_colour": BAND_TEXT_COLOURS.get(score.band or "", "#000000"),
        "interval": f"likely between {number(score.low)} and {number(score.high)}",
        "without": beside,
        "reason": score.reason,
    }


def _events(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Rows in order of time, each with its rank: what cost or spared most comes first."""
    order = {Outcome.KEPT: 0, Outcome.EXONERATED: 1, Outcome.UNDETERMINED: 2}
    ranked = sorted(
        verdicts,
        key=lambda verdict: (
            order[verdict.outcome],
            -(verdict.points + verdict.points_spared),
            verdict.event.start_s,
        ),
    )[:_EVENTS]
    rank = {id(verdict): place for place, verdict in enumerate(ranked)}
    return [
        {
            "rank": rank[id(verdict)],
            "time": clock_text(verdict.event.start_s),
            "kind": EVENT_TITLES[verdict.event.kind],
            "outcome": OUTCOME_TITLES[verdict.outcome],
            "symbol": OUTCOME_SYMBOLS[verdict.outcome],
            "colour": OUTCOME_COLOURS[verdict.outcome],
            "points": _points(verdict),
            "sentence": _shortened(verdict.sentence),
        }
        for verdict in sorted(ranked, key=lambda verdict: verdict.event.start_s)
    ]


def _points(verdict: Verdict) -> str:
    if verdict.outcome == Outcome.KEPT:
        return number(verdict.points, 1)
    return f"{number(verdict.points_spared, 1)} spared" if verdict.points_spared > 0 else MISSING


def _shortened(sentence: str, limit: int = 260) -> str:
    return sentence if len(sentence) <= limit else sentence[: limit - 1].rstrip() + "…"


def _chart(
    timeline: pd.DataFrame,
    end_s: float,
    verdicts: Sequence[Verdict],
    lane: Lane,
    marked: Sequence[EventKind],
) -> dict[str, Any]:
    t_s = times(timeline)
    driven = values(timeline, lane.raw)
    nothing = np.full(t_s.size, np.nan)
    if len(lane.ideal) == 1:
        line, low, high = values(timeline, lane.ideal[0]), nothing, nothing
    else:
        line, low, high = nothing, *(values(timeline, edge) for edge in lane.ideal)
    shown = [trace[np.isfinite(trace)] for trace in (driven, line, high)]
    top = max((float(trace.max()) for trace in shown if trace.size), default=1.0) * 1.08
    top = max(top, 1.0)
    steps = [step * 10**power for power in range(5) for step in (1, 2, 5)]
    measured = shown[0]
    told = (
        f"driven {number(measured.mean())} {lane.unit} on average, at most "
        f"{number(measured.max())} {lane.unit}"
        if measured.size
        else "not recorded"
    )
    beside = ""
    if shown[1].size:
        beside = f"; ideal at most {number(shown[1].max())} {lane.unit}"
    elif shown[2].size:
        inside = np.isfinite(driven) & np.isfinite(low) & np.isfinite(high)
        share = float(((driven >= low) & (driven <= high))[inside].mean()) if inside.any() else None
        beside = (
            f"; {number(None if share is None else share * 100, 0, '%')} of the time "
            "within the ideal band"
        )
    return {
        "title": f"{lane.title}, {lane.unit}",
        "key": "thin: driven, broad: ideal"
        if len(lane.ideal) == 1
        else "line: driven, area: ideal band",
        "alt": f"{lane.title} over time: {told}{beside}.",
        "empty": f"{lane.title} was not recorded.",
        "y_ticks": [
            {"at": tick / top, "text": number(tick)} for tick in _ticks(0.0, top, 4, steps)
        ],
        "raw": _segments(t_s, driven, end_s, top),
        "ideal": _segments(t_s, line, end_s, top),
        "areas": _areas(t_s, low, high, end_s, top),
        "marks": _marks(
            timeline,
            driven,
            end_s,
            top,
            [v for v in verdicts if t_s.size and v.event.kind in marked],
        ),
    }


def _segments(
    t_s: NDArray[np.float64], values: NDArray[np.float64], end_s: float, top: float
) -> list[list[list[float]]]:
    """Points as fractions of the chart, one list an unbroken stretch."""
    chosen = thin(t_s, values, _POINTS)
    x, y = t_s[chosen] / end_s, values[chosen] / top
    return [
        [[round(float(a), 5), round(float(b), 4)] for a, b in zip(x[s:e], y[s:e], strict=True)]
        for s, e in _stretches(np.isfinite(y))
    ]


def _areas(
    t_s: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    end_s: float,
    top: float,
) -> list[list[list[float]]]:
    both = np.where(np.isfinite(high), low, np.nan)
    chosen = np.union1d(
        thin(t_s, both, _POINTS // 2),
        thin(t_s, np.where(np.isfinite(low), high, np.nan), _POINTS // 2),
    ).astype(np.int64)
    areas = []
    for start, end in _stretches(np.isfinite(both[chosen]) & np.isfinite(high[chosen])):
        part = chosen[start:end]
        x = t_s[part] / end_s
        upper, lower = high[part] / top, low[part] / top
        outline = [*zip(x, upper, strict=True), *zip(x[::-1], lower[::-1], strict=True)]
        areas.append([[round(float(a), 5), round(float(b), 4)] for a, b in outline])
    return areas


def _stretches(known: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(known.astype(np.int8), prepend=0, append=0))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _marks(
    timeline: pd.DataFrame,
    driven: NDArray[np.float64],
    end_s: float,
    top: float,
    verdicts: Sequence[Verdict],
) -> list[dict[str, Any]]:
    marks = []
    for verdict in verdicts:
        row = peak_row(timeline, verdict.event)
        y = float(driven[row]) if np.isfinite(driven[row]) else 0.0
        marks.append(
            {
                "at": float(timeline["t_s"].iloc[row]) / end_s,
                "y": y / top,
                "symbol": OUTCOME_SYMBOLS[verdict.outcome],
                "colour": OUTCOME_COLOURS[verdict.outcome],
            }
        )
    return marks


def _ticks(low: float, high: float, most: int, steps: Sequence[float]) -> list[float]:
    """Round values between `low` and `high`, at most `most` intervals."""
    step = next((step for step in steps if (high - low) / step <= most), steps[-1])
    return [low + step * count for count in range(int((high - low) / step + 1e-9) + 1)]


def _tick_time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
    return f"{minutes}:{rest:02d}"
