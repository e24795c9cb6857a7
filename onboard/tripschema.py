"""The layout of `trip.sqlite` and of a trip's folder, and how both are told from anything else."""

from __future__ import annotations

from pathlib import Path
from typing import Final

SCHEMA_VERSION: Final = 1
APPLICATION_ID: Final = 0x47575450
"""`GWTP` in the SQLite header: tells a trip from any other database."""

DATABASE: Final = "trip.sqlite"
MANIFEST: Final = "manifest.json"
VIDEO: Final = "video"
SENT_MARK: Final = "sent.json"
"""Written beside the manifest by `offload` once every file has been verified at the far end."""
LOCK_MARK: Final = "locked"
"""A trip that holds a file of this name is never deleted to make room."""

TS_TICKS_PER_S: Final = 90_000
"""Time base of recorded video: MPEG-TS counts in 1/90000 s, and so does the MP4 made from it."""

RECORDINGS: Final = (".ts", ".nut")
"""What video is recorded as, H.264 and MJPEG; both turn into `.mp4` when the trip closes."""
START_MARK: Final = "t_mono_ns="
"""What a recording says in its first bytes, before CLOCK_MONOTONIC at presentation time 0 and a
semicolon, since the byte that follows in the file may happen to be a digit."""

TABLES: Final = """
CREATE TABLE trip (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    trip_id TEXT NOT NULL,
    vehicle TEXT NOT NULL,
    vehicle_class TEXT NOT NULL,
    vin TEXT NOT NULL DEFAULT '',
    driver TEXT NOT NULL,
    camera TEXT NOT NULL,
    software TEXT NOT NULL,
    started_utc_ns INTEGER NOT NULL,
    ended_why TEXT,
    origin TEXT NOT NULL,
    fov_deg REAL
);
CREATE TABLE clock (
    t_mono_ns INTEGER PRIMARY KEY,
    boottime_ns INTEGER NOT NULL,
    utc_ns INTEGER NOT NULL,
    boot_id TEXT NOT NULL
);
CREATE TABLE frames (
    "index" INTEGER PRIMARY KEY,
    segment INTEGER NOT NULL,
    pts INTEGER NOT NULL,
    t_mono_ns INTEGER NOT NULL
);
CREATE TABLE stills (
    frame_index INTEGER PRIMARY KEY,
    jpeg BLOB NOT NULL
);
CREATE TABLE motion_stills (
    frame_index INTEGER PRIMARY KEY,
    jpeg BLOB NOT NULL
);
CREATE TABLE samples (
    t_mono_ns INTEGER NOT NULL,
    signal TEXT NOT NULL,
    value REAL,
    status TEXT NOT NULL,
    round_trip_ms REAL
);
CREATE TABLE journal (
    t_mono_ns INTEGER NOT NULL,
    source TEXT NOT NULL,
    message TEXT NOT NULL
);
"""


def open_recordings(trip: Path) -> list[Path]:
    """Video files of a trip that have not been turned into MP4, in order."""
    return sorted(file for file in (trip / VIDEO).glob("*.*") if file.suffix in RECORDINGS)
