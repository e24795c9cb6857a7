"""Small pieces that several pages show: score, origin, swatches, notices."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import dash_mantine_components as dmc
from dash import html

from offline.results.display import (
    BAND_COLOURS,
    BAND_TEXT_COLOURS,
    MISSING,
    OUTCOME_COLOURS,
    OUTCOME_SYMBOLS,
    OUTCOME_TITLES,
    SCENE_COLOURS,
    SCENE_SYMBOLS,
    SCENE_TITLES,
    origin_text,
)


def aria(**attributes: str) -> Any:
    """Attributes for assistive technology; Python has no name for `aria-label`."""
    return {f"aria-{name}": value for name, value in attributes.items()}


def trip_href(trip_id: str) -> str:
    """Address of a trip's page."""
    return f"/trips/{quote(trip_id)}"


def still_href(trip_id: str, frame: int) -> str:
    """Address of a camera still."""
    return f"/media/stills/{quote(trip_id)}/{frame}.jpg"


def scorecard_href(trip_id: str) -> str:
    """Address of a trip's PDF scorecard."""
    return f"/media/scorecards/{quote(trip_id)}.pdf"


def band_badge(band: str | None, size_px: int = 28) -> Any:
    """Letter of a score band on its colour; `–` in a frame where there is no score."""
    known = band is not None and band in BAND_COLOURS
    style: dict[str, Any] = {
        "width": size_px,
        "height": size_px,
        "fontSize": round(size_px * 0.62),
    }
    if known:
        style |= {"background": BAND_COLOURS[band or ""], "color": BAND_TEXT_COLOURS[band or ""]}
    return html.Span(
        band if known else MISSING,
        className="band" if known else "band band-none",
        style=style,
    )


def origin_badge(origin: dict[str, str]) -> Any:
    """What of a trip is not a vehicle's own recording; nothing for a genuine one."""
    text = origin_text(origin)
    if not text:
        return None
    return dmc.Badge(text, className="origin", variant="outline", tt="none", size="lg")


def outcome_text(outcome: str) -> Any:
    """Symbol and word of a verdict."""
    return html.Span(
        [
            html.Span(
                OUTCOME_SYMBOLS[outcome],
                style={"color": OUTCOME_COLOURS[outcome]},
                className="symbol",
                **aria(hidden="true"),
            ),
            OUTCOME_TITLES[outcome],
        ],
        className="outcome",
    )


def scene_swatch(scene: str) -> Any:
    """Colour, symbol and name of a road scene, as in a legend."""
    return html.Span(
        [
            html.Span(
                SCENE_SYMBOLS[scene],
                className="swatch",
                style={"background": SCENE_COLOURS[scene]},
                **aria(hidden="true"),
            ),
            SCENE_TITLES[scene],
        ],
        className="legend-item",
    )


def notice(title: str, *text: Any) -> Any:
    """Sentence in the place of what is not there."""
    return dmc.Paper(
        [dmc.Title(title, order=2, size="h3"), *(dmc.Text(part, mt="sm") for part in text)],
        p="xl",
        withBorder=True,
        className="notice",
    )
