"""The road context in a trip's figure: a strip on top and pale fields behind the plots."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from dashboard.timeaxis import axis_ms, window_of
from offline.results.display import SCENE_COLOURS, SCENE_SYMBOLS, SCENE_TITLES
from offline.results.downsampling import runs
from offline.results.lanes import scenes

STRIP: Final = (0.955, 1.0)
"""Part of the figure's height that the strip takes."""
_STRETCHES: Final = 240
"""Most stretches drawn at once: one every four pixels of a wide screen."""


def strip(window: pd.DataFrame, width_s: float) -> list[dict[str, Any]]:
    """Build one filled trace a scene, and its symbol wherever a stretch has room for it.

    The order is that of the vocabulary, whatever the window holds.
    """
    stretches = _scene_runs(window)
    drawn: list[dict[str, Any]] = []
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


def tints(timeline: pd.DataFrame, start_s: float, end_s: float) -> list[dict[str, Any]]:
    """Build the pale road context behind the traces, as the shapes of a layout."""
    window, _ = window_of(timeline, start_s, end_s)
    return [
        {
            "type": "rect",
            "layer": "below",
            "xref": "x",
            "yref": "paper",
            "x0": axis_ms(left),
            "x1": axis_ms(right),
            "y0": 0,
            "y1": STRIP[0] - 0.01,
            "line": {"width": 0},
            "fillcolor": SCENE_COLOURS[name],
            "opacity": 0.17,
        }
        for left, right, name in _scene_runs(window)
        # The usual road carries no tint, so that the rest stands out.
        if name in SCENE_COLOURS and name not in ("straight", "undetermined")
    ]


def _scene_runs(window: pd.DataFrame) -> list[tuple[float, float, str]]:
    return runs(window["t_s"].to_numpy(np.float64), scenes(window), _STRETCHES)
