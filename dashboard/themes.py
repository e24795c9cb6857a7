"""Faces and colours of figures, light and dark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FONTS: Final = "Segoe UI, Roboto, Helvetica Neue, Arial, Liberation Sans, sans-serif"
"""Of the whole dashboard: each system's own plain face, nothing is fetched."""


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
    "light": Theme("#343a40", "#e3e6ea", "#0b4a91", "#33a67f", "rgba(0,158,115,0.20)", "#ffffff"),
    "dark": Theme("#d5d9de", "#3b4046", "#8cc8f7", "#1f8f6b", "rgba(63,208,165,0.22)", "#1f2226"),
}
