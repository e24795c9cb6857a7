"""JPEG pictures as cameras send them: whether one is whole, and how large it is, undecoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_START: Final = b"\xff\xd8"
_END: Final = b"\xff\xd9"
_SIZES: Final = frozenset({0xC0, 0xC1, 0xC2})
"""Start of frame: baseline, extended, progressive (ITU-T T.81, table B.1)."""
_SCAN: Final = 0xDA


@dataclass(frozen=True, slots=True)
class Jpeg:
    """A picture as the camera encoded it.

    Attributes
    ----------
    data : bytes
    width, height : int
        Pixels, from its own header.
    """

    data: bytes
    width: int
    height: int


def whole_jpeg(data: bytes) -> Jpeg | None:
    """Take in a picture a camera sent; None where it is cut short or no JPEG.

    What a camera fills its buffer up with after the picture's end is cut off.
    """
    # In a scan, 0xFF is followed by 0 or a restart marker: the end cannot stand within one.
    end = data.rfind(_END)
    if not data.startswith(_START) or end < 0:
        return None
    at = len(_START)
    while at + 9 <= end and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _SIZES:
            height = int.from_bytes(data[at + 5 : at + 7], "big")
            width = int.from_bytes(data[at + 7 : at + 9], "big")
            return Jpeg(data[: end + len(_END)], width, height) if width and height else None
        if marker == _SCAN:
            return None
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None
