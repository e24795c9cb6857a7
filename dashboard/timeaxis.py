"""The time axis of a trip's figure: places on it, windows of it, the chosen moment."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dashboard.themes import Theme
from offline.results.lanes import LANES

_EPOCH_MS: Final = 86_400_000.0
"""Where a trip starts on plotly's date axis, which takes numbers under 10,000 for years."""


def axis_ms(t_s: float) -> float:
    """Place of a time on the figure's axis, in milliseconds."""
    return _EPOCH_MS + t_s * 1000.0


def milliseconds(t_s: NDArray[np.float64]) -> list[float]:
    """Places of many times on the figure's axis."""
    return (_EPOCH_MS + np.round(t_s * 1000.0, 1)).tolist()


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


def window_of(timeline: pd.DataFrame, start_s: float, end_s: float) -> tuple[pd.DataFrame, int]:
    """Rows of the window and half of it on either side, and the number of the first."""
    t_s = timeline["t_s"].to_numpy(np.float64)
    margin_s = 0.5 * (end_s - start_s)
    first, last = np.searchsorted(t_s, [start_s - margin_s, end_s + margin_s])
    first = max(int(first) - 1, 0)
    return timeline.iloc[first : int(last) + 1], first


def cursor(timeline: pd.DataFrame, row: int | None) -> dict[str, Any]:
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


def time_axis(end_s: float, shown: tuple[float, float], colours: Theme) -> dict[str, Any]:
    """Lay out the axis that all plots share: minutes and seconds since the start."""
    return {
        "type": "date",
        "range": [axis_ms(shown[0]), axis_ms(shown[1])],
        "minallowed": axis_ms(-0.02 * end_s),
        "maxallowed": axis_ms(1.02 * end_s),
        "anchor": f"y{len(LANES) + 1}",
        "gridcolor": colours.grid,
        "zeroline": False,
        "ticks": "outside",
        "ticklen": 7,
        "tickcolor": "rgba(0,0,0,0)",
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
