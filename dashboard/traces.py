"""The figure of a trip: raw beside ideal, over the road it was driven on.

A figure is a plain dict, as plotly.js takes it: no validation on the way, and a zoom sends only
what changed. The order of the traces never depends on the data, so that a zoom can address them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offline.results.display import (
    EVENT_TITLES,
    OUTCOME_COLOURS,
    OUTCOME_TITLES,
    SCENE_COLOURS,
    SCENE_SYMBOLS,
    SCENE_TITLES,
)
from offline.results.downsampling import MAX_POINTS, runs, thin
from offline.results.lanes import LANES, Lane, peak_row, scenes, values
from offline.verdicts import Outcome, Verdict

Figure = dict[str, Any]

FONTS: Final = "Segoe UI, Roboto, Helvetica Neue, Arial, Liberation Sans, sans-serif"
"""Of the whole dashboard: each system's own plain face, nothing is fetched."""


FIGURE_COLUMNS: Final = ("t_s", "scene", *(column for lane in LANES for column in lane.columns))
"""What a figure needs of the timeline."""

_SYMBOLS: Final[dict[str, str]] = {
    Outcome.KEPT: "triangle-down",
    Outcome.EXONERATED: "circle",
    Outcome.UNDETERMINED: "square-open",
}

_MARKED: Final = (Outcome.KEPT, Outcome.EXONERATED, Outcome.UNDETERMINED)
_STRIP: Final = (0.955, 1.0)
_BANDS_MOST: Final = 240
_EPOCH_MS: Final = 86_400_000.0
"""Where a trip starts on plotly's date axis, which takes numbers under 10,000 for years."""


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of the figure's paper; the traces read on either."""

    text: str
    grid: str
    raw: str
    ideal: str
    ideal_fill: str
    paper: str


THEMES: Final = {
    "light": Theme("#343a40", "#e3e6ea", "#0b5cad", "#00795a", "rgba(0,158,115,0.20)", "#ffffff"),
    "dark": Theme("#d5d9de", "#3b4046", "#6bb8f2", "#3fd0a5", "rgba(63,208,165,0.22)", "#1f2226"),
}


def figure(
    timeline: pd.DataFrame,
    verdicts: Sequence[Verdict],
    *,
    theme: str = "light",
    window: tuple[float, float] | None = None,
    row: int | None = None,
) -> Figure:
    """Build the whole figure of a trip.

    Parameters
    ----------
    timeline : DataFrame
        Columns of `FIGURE_COLUMNS`; one that is absent is drawn as not recorded.
    verdicts : sequence of Verdict
    theme : str
        `light` or `dark`.
    window : tuple of float, optional
        Seconds to show; the whole trip if not given.
    row : int, optional
        The chosen moment.
    """
    colours = THEMES[theme]
    t_s = timeline["t_s"].to_numpy(np.float64)
    end_s = float(t_s[-1]) if t_s.size else 1.0
    shown = window or (0.0, end_s)
    layout: Figure = {
        "autosize": True,
        "margin": {"l": 64, "r": 12, "t": 28, "b": 36},
        "modebar": {
            "bgcolor": "rgba(0,0,0,0)",
            "color": colours.text,
            "activecolor": colours.raw,
        },
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {
            "color": colours.text,
            "size": 13,
            "family": FONTS,
        },
        "showlegend": False,
        "hovermode": "x unified",
        "hoversubplots": "axis",
        "hoverlabel": {"bgcolor": colours.paper, "font": {"color": colours.text}},
        "dragmode": "zoom",
        "uirevision": "trip",
        "shapes": [cursor(timeline, row), *tints(timeline, *shown)],
        "annotations": [],
        "xaxis": _time_axis(end_s, shown, colours),
        "yaxis": {
            "domain": list(_STRIP),
            "range": [0, 1],
            "fixedrange": True,
            "showgrid": False,
            "zeroline": False,
            "tickvals": [0.5],
            "ticktext": ["Road"],
        },
    }
    height = (_STRIP[0] - 0.02) / len(LANES)
    for number, lane in enumerate(LANES):
        top = _STRIP[0] - 0.02 - number * height
        layout[f"yaxis{number + 2}"] = {
            "domain": [top - height + 0.03, top],
            "title": {"text": f"{lane.title}<br>{lane.unit}", "font": {"size": 12}},
            "fixedrange": True,
            "gridcolor": colours.grid,
            "zeroline": lane.raw == "accel_mps2",
            "zerolinecolor": colours.grid,
            "zerolinewidth": 2,
            "nticks": 5,
            "rangemode": "normal" if lane.raw == "accel_mps2" else "tozero",
        }
        if not _recorded(timeline, lane.raw):
            layout["annotations"].append(
                {
                    "text": f"{lane.title} was not recorded on this trip",
                    "xref": "paper",
                    "yref": f"y{number + 2} domain",
                    "x": 0.5,
                    "y": 0.5,
                    "showarrow": False,
                }
            )
    data = traces(timeline, *shown, theme=theme) + _markers(timeline, verdicts)
    return {"data": data, "layout": layout}


def traces(
    timeline: pd.DataFrame, start_s: float, end_s: float, *, theme: str = "light"
) -> list[Figure]:
    """Build the traces that a zoom replaces, thinned to what a screen can show.

    The window is widened by half on either side, so that a small pan shows no blank edge.
    """
    colours = THEMES[theme]
    window, first = _window(timeline, start_s, end_s)
    drawn: list[Figure] = _strip(window, end_s - start_s)
    for number, lane in enumerate(LANES):
        axis = f"y{number + 2}"
        if len(lane.ideal) == 1:
            drawn.append(
                _line(
                    window,
                    lane.ideal[0],
                    first,
                    axis,
                    f"ideal {lane.title.lower()}",
                    lane,
                    {"color": colours.ideal, "width": 1.8, "dash": "5px,3px"},
                )
            )
        else:
            drawn.append(_band(window, lane.ideal[0], lane.ideal[1], axis, colours))
        drawn.append(
            _line(
                window,
                lane.raw,
                first,
                axis,
                lane.title.lower(),
                lane,
                {"color": colours.raw, "width": 1.6},
            )
        )
    return drawn


def tints(timeline: pd.DataFrame, start_s: float, end_s: float) -> list[Figure]:
    """Build the pale road context behind the traces, as the shapes of a layout."""
    window, _ = _window(timeline, start_s, end_s)
    return [
        {
            "type": "rect",
            "layer": "below",
            "xref": "x",
            "yref": "paper",
            "x0": axis_ms(left),
            "x1": axis_ms(right),
            "y0": 0,
            "y1": _STRIP[0] - 0.01,
            "line": {"width": 0},
            "fillcolor": SCENE_COLOURS[name],
            "opacity": 0.17,
        }
        for left, right, name in _scene_runs(window)
        # The usual road carries no tint, so that the rest stands out.
        if name in SCENE_COLOURS and name not in ("straight", "undetermined")
    ]


def cursor(timeline: pd.DataFrame, row: int | None) -> Figure:
    """Build the line at the chosen moment: always the first shape, so that a patch finds it."""
    at = None
    if row is not None and 0 <= row < len(timeline):
        at = axis_ms(float(timeline["t_s"].iloc[row]))
    return {
        "type": "line",
        "xref": "x",
        "yref": "paper",
        "x0": at or _EPOCH_MS,
        "x1": at or _EPOCH_MS,
        "y0": 0,
        "y1": 1,
        "visible": at is not None,
        "line": {"width": 2, "color": "#e69f00"},
    }


def zoom_window(
    change: dict[str, Any] | None, timeline: pd.DataFrame
) -> tuple[float, float] | None:
    """Read the window, in seconds, out of plotly's `relayoutData`.

    Returns
    -------
    tuple of float or None
        None where the change was of something else, such as the size of the page.
    """
    if not change or timeline.empty:
        return None
    if change.get("xaxis.autorange"):
        return 0.0, float(timeline["t_s"].iloc[-1])
    edges = change.get("xaxis.range") or [
        change.get("xaxis.range[0]"),
        change.get("xaxis.range[1]"),
    ]
    if None in edges:
        return None
    try:
        start, end = (
            # Plotly names an instant by its UTC date, in text, once the reader has zoomed.
            ((pd.Timestamp(edge).value / 1e6 if isinstance(edge, str) else edge) - _EPOCH_MS) / 1e3
            for edge in edges
        )
    except (TypeError, ValueError):
        return None
    return (start, end) if end > start else None


def axis_ms(t_s: float) -> float:
    """Place of a time on the figure's axis, in milliseconds."""
    return _EPOCH_MS + t_s * 1000.0


def milliseconds(t_s: NDArray[np.float64]) -> list[float]:
    """Places of many times on the figure's axis."""
    return (_EPOCH_MS + np.round(t_s * 1000.0, 1)).tolist()


def _window(timeline: pd.DataFrame, start_s: float, end_s: float) -> tuple[pd.DataFrame, int]:
    """Rows of the window and half of it on either side, and the number of the first."""
    t_s = timeline["t_s"].to_numpy(np.float64)
    margin_s = 0.5 * (end_s - start_s)
    first, last = np.searchsorted(t_s, [start_s - margin_s, end_s + margin_s])
    first = max(int(first) - 1, 0)
    return timeline.iloc[first : int(last) + 1], first


def _time_axis(end_s: float, shown: tuple[float, float], colours: Theme) -> Figure:
    return {
        "type": "date",
        "range": [axis_ms(shown[0]), axis_ms(shown[1])],
        "minallowed": axis_ms(-0.02 * end_s),
        "maxallowed": axis_ms(1.02 * end_s),
        "anchor": f"y{len(LANES) + 1}",
        "gridcolor": colours.grid,
        "zeroline": False,
        "tickformatstops": [
            {"dtickrange": [None, 999], "value": "%M:%S.%1f"},
            {"dtickrange": [999, None], "value": "%-H:%M:%S" if end_s >= 3600 else "%M:%S"},
        ],
        "hoverformat": "%-H:%M:%S.%1f",
        "title": {"text": "Time since the start of the trip", "font": {"size": 12}},
        "showspikes": True,
        "spikemode": "across",
        "spikethickness": 1,
        "spikedash": "solid",
        "spikecolor": colours.text,
    }


def _recorded(timeline: pd.DataFrame, column: str) -> bool:
    return column in timeline.columns and bool(timeline[column].notna().any())


def _listed(values: NDArray[np.float64], digits: int) -> list[float | None]:
    """Values for JSON: rounded to what the unit carries, None where missing."""
    rounded = np.round(values, digits)
    return [
        None if missing else value
        for value, missing in zip(rounded.tolist(), np.isnan(rounded).tolist(), strict=True)
    ]


def _line(
    window: pd.DataFrame, column: str, first: int, axis: str, name: str, lane: Lane, line: Figure
) -> Figure:
    t_s = window["t_s"].to_numpy(np.float64)
    measured = values(window, column)
    chosen = thin(t_s, measured)
    raw = column == lane.raw
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": milliseconds(t_s[chosen]),
        "y": _listed(measured[chosen], lane.digits + 1),
        # A list, for an array's values would not come back with a click.
        "customdata": (chosen + first).tolist() if raw else [],
        "yaxis": axis,
        "xaxis": "x",
        "line": line,
        "connectgaps": False,
        "hovertemplate": f"%{{y:.{lane.digits}f}} {lane.unit}",
    }


def _band(window: pd.DataFrame, low: str, high: str, axis: str, colours: Theme) -> Figure:
    t_s = window["t_s"].to_numpy(np.float64)
    lows, highs = values(window, low), values(window, high)
    both = np.where(np.isfinite(highs), lows, np.nan)
    # Either edge may jump where the other does not: the points of both are drawn.
    chosen = np.union1d(
        thin(t_s, both, MAX_POINTS // 2),
        thin(t_s, np.where(np.isfinite(lows), highs, np.nan), MAX_POINTS // 2),
    ).astype(np.int64)
    x: list[float | None] = []
    y: list[float | None] = []
    known = np.isfinite(both[chosen]) & np.isfinite(highs[chosen])
    edges = np.flatnonzero(np.diff(known.astype(np.int8), prepend=0, append=0))
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        part = chosen[start:end]
        times = milliseconds(t_s[part])
        x += [*times, *times[::-1], None]
        y += [*np.round(lows[part], 1).tolist(), *np.round(highs[part], 1).tolist()[::-1], None]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "ideal band",
        "x": x,
        "y": y,
        "customdata": [],
        "yaxis": axis,
        "xaxis": "x",
        "fill": "toself",
        "fillcolor": colours.ideal_fill,
        "line": {"width": 0.8, "color": colours.ideal},
        "hoverinfo": "skip",
    }


def _scene_runs(window: pd.DataFrame) -> list[tuple[float, float, str]]:
    return runs(window["t_s"].to_numpy(np.float64), scenes(window), _BANDS_MOST)


def _strip(window: pd.DataFrame, width_s: float) -> list[Figure]:
    """One filled trace a scene, and its symbol wherever a stretch has room for it."""
    stretches = _scene_runs(window)
    drawn: list[Figure] = []
    for scene, colour in SCENE_COLOURS.items():
        x: list[float | None] = []
        y: list[float | None] = []
        for start_s, end_s, name in stretches:
            if name == scene:
                left, right = axis_ms(start_s), axis_ms(end_s)
                x += [left, right, right, left, None]
                y += [0, 0, 1, 1, None]
        drawn.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": SCENE_TITLES[scene],
                "x": x,
                "y": y,
                "customdata": [],
                "yaxis": "y",
                "xaxis": "x",
                "fill": "toself",
                "fillcolor": colour,
                "line": {"width": 0},
                "hoverinfo": "skip",
            }
        )
    roomy = [run for run in stretches if run[1] - run[0] >= 0.016 * width_s]
    drawn.append(
        {
            "type": "scatter",
            "mode": "text",
            "name": "road",
            "x": [axis_ms(0.5 * (start_s + end_s)) for start_s, end_s, _ in roomy],
            "y": [0.5] * len(roomy),
            "text": [SCENE_SYMBOLS.get(name, "") for *_, name in roomy],
            "textfont": {"color": "#000000", "size": 14},
            "customdata": [],
            "yaxis": "y",
            "xaxis": "x",
            "hoverinfo": "skip",
        }
    )
    return drawn


def _markers(timeline: pd.DataFrame, verdicts: Sequence[Verdict]) -> list[Figure]:
    """One trace a lane and outcome, at the event's worst moment on the raw trace."""
    t_s = timeline["t_s"].to_numpy(np.float64)
    drawn: list[Figure] = []
    for number, lane in enumerate(LANES):
        measured = values(timeline, lane.raw)
        for outcome in _MARKED:
            found = [v for v in verdicts if v.outcome == outcome and v.event.kind in lane.events]
            rows = [peak_row(timeline, verdict.event) for verdict in found]
            at = np.asarray(rows, dtype=np.int64)
            drawn.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": OUTCOME_TITLES[outcome].lower(),
                    "x": milliseconds(t_s[at]),
                    "y": _listed(np.nan_to_num(measured[at]), lane.digits + 1),
                    "text": [EVENT_TITLES[verdict.event.kind] for verdict in found],
                    "customdata": rows,
                    "yaxis": f"y{number + 2}",
                    "xaxis": "x",
                    "marker": {
                        "symbol": _SYMBOLS[outcome],
                        "size": 12,
                        "color": OUTCOME_COLOURS[outcome],
                        "line": {
                            "width": 2 if outcome == Outcome.UNDETERMINED else 1,
                            "color": OUTCOME_COLOURS[outcome]
                            if outcome == Outcome.UNDETERMINED
                            else "#ffffff",
                        },
                    },
                    "hovertemplate": "%{text}",
                }
            )
    return drawn
