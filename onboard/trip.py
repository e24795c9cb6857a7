"""The trip format: what one drive leaves on disk, written by `TripWriter`, read by `Trip`.

    <vehicle>/<UTC start>-<id>/
      trip.sqlite      write-ahead log while open, one plain file once closed
      video/0000.ts    while recording (0000.nut: MJPEG); remuxed to 0000.mp4 on close
      manifest.json    written last: schema version, file sizes, SHA-256

All times are CLOCK_MONOTONIC nanoseconds of the recording computer.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from onboard.errors import TripError
from onboard.tripclock import Clock
from onboard.tripreader import Frames, Samples, Still, Trip, TripInfo
from onboard.tripschema import DATABASE, SCHEMA_VERSION
from onboard.tripwriter import RECORDED, TripWriter

__all__ = [
    "RECORDED",
    "SCHEMA_VERSION",
    "Clock",
    "Frames",
    "Samples",
    "Still",
    "Trip",
    "TripInfo",
    "TripWriter",
    "find_trips",
]


def find_trips(root: Path | str) -> Iterator[Path]:
    """Yield every trip folder under `root` (itself included) at any depth, in name order.

    Trips that were cut short or are still being recorded are yielded too; half-made and hidden
    folders are not.

    Raises
    ------
    TripError
        If `root` is no folder.
    """
    start = Path(root)
    if not start.is_dir():
        raise TripError(f"{start} is no folder")
    for folder, subfolders, files in os.walk(start):
        if DATABASE in files:
            subfolders.clear()
            yield Path(folder)
        else:
            subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
