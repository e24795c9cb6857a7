"""The figure of a trip: raw beside ideal, over the road it was driven on.

A figure is a plain dict, as plotly.js takes it: no validation on the way, and a zoom sends only
what changed. The order of the traces never depends on the data, so that a zoom can address them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dashboard.roadstrip import STRIP, strip, tints
from dashboard.themes import FONTS, THEMES, Theme
from dashboard.timeaxis import cursor, milliseconds, time_axis, window_of
from offline.results.display import (
    EVENT_TITLES,
    OUTCOME_COLOURS,
    OUTCOME_TITLES,
)
from offline.results.downsampling import MAX_POINTS, thin
from offline.results.lanes import LANES, Lane, peak_row, values
from offline.verdicts import Outcome, Verdict

Figure = dict[str, Any]

_SYMBOLS: Final[dict[str, str]] = {
    Outcome.KEPT: "triangle-down",
    Outcome.EXONERATED: "circle",
    Outcome.UNDETERMINED: "square-open",
}

_MARKED: Final = (Outcome.KEPT, Outcome.EXONERATED, Outcome.UNDETERMINED)


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
        Columns as in `docs/timeline.md`; one that is absent is drawn as not recorded.
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
        "xaxis": time_axis(end_s, shown, colours),
        "yaxis": {
            "domain": list(STRIP),
            "range": [0, 1],
            "fixedrange": True,
            "showgrid": False,
            "zeroline": False,
            "tickvals": [0.5],
            "ticktext": ["Road"],
        },
    }
    height = (STRIP[0] - 0.02) / len(LANES)
    for number, lane in enumerate(LANES):
        top = STRIP[0] - 0.02 - number * height
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
    window, first = window_of(timeline, start_s, end_s)
    drawn: list[Figure] = strip(window, end_s - start_s)
    for number, lane in enumerate(LANES):
        axis = f"y{number + 2}"
        if len(lane.ideal) == 1:
            # Broad and below: it stays in sight where the driver keeps to it.
            drawn.append(
                _line(
                    window,
                    lane.ideal[0],
                    first,
                    axis,
                    f"ideal {lane.title.lower()}",
                    lane,
                    {"color": colours.ideal, "width": 4.5},
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
                {"color": colours.raw, "width": 1.4},
            )
        )
    return drawn


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
