"""Room on the disk: which closed trips go first, and when video must stop."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from onboard.errors import TripError
from onboard.trip import find_trips
from onboard.tripschema import LOCK_MARK, MANIFEST, SENT_MARK


@dataclass(frozen=True, slots=True)
class StoredTrip:
    """A closed trip as retention sees it."""

    path: Path
    closed_s: float
    size: int
    sent: bool
    locked: bool


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is kept; all in bytes and seconds."""

    keep_s: float
    keep_bytes: float
    delete_below_bytes: float


def stored_trips(folder: Path) -> list[StoredTrip]:
    """Closed trips, oldest first; open ones are not touched by retention."""
    found = []
    for path in find_trips(folder):
        manifest = path / MANIFEST
        try:
            closed_s = manifest.stat().st_mtime
            size = sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
        except FileNotFoundError:
            continue
        found.append(
            StoredTrip(
                path, closed_s, size, (path / SENT_MARK).exists(), (path / LOCK_MARK).exists()
            )
        )
    return sorted(found, key=lambda trip: (trip.closed_s, trip.path.name))


def to_delete(
    trips: list[StoredTrip], limits: Limits, free_bytes: float, now_s: float
) -> Iterator[tuple[StoredTrip, str]]:
    """Choose trips to delete, with the reason.

    Sent trips go first, oldest first; unsent ones only when no sent one is left and room is
    needed (by size or free space, never by age alone); locked ones never.
    """
    candidates = sorted(
        (trip for trip in trips if not trip.locked), key=lambda t: (not t.sent, t.closed_s)
    )
    total = sum(trip.size for trip in trips)
    for trip in candidates:
        if free_bytes < limits.delete_below_bytes:
            why = "little room on the disk"
        elif total > limits.keep_bytes:
            why = "more than `keep_gb`"
        elif trip.sent and now_s - trip.closed_s > limits.keep_s:
            why = "older than `keep_days`"
        else:
            continue
        total -= trip.size
        free_bytes += trip.size
        yield trip, why if trip.sent else f"{why}, NOT SENT YET"


def make_room(folder: Path, limits: Limits) -> list[str]:
    """Delete what retention says; returns a line for each trip deleted."""
    lines = []
    try:
        trips = stored_trips(folder)
    except TripError:
        # There is no folder before the first trip.
        return []
    for trip, why in to_delete(trips, limits, free_bytes(folder), time.time()):
        # The manifest goes last: half deleted, a trip must not pass for whole; hidden, it is
        # not found any more, and what is left of it goes at the next start.
        hidden = trip.path.with_name(f".{trip.path.name}.deleted")
        trip.path.rename(hidden)
        shutil.rmtree(hidden, ignore_errors=True)
        lines.append(f"deleted {trip.path.name} ({trip.size / 1e6:.0f} MB): {why}")
    return lines


def sweep(folder: Path) -> None:
    """Remove what was left of half-made and half-deleted trips."""
    for pattern in (".*.deleted", ".*.new"):
        for left in folder.glob(f"*/{pattern}"):
            shutil.rmtree(left, ignore_errors=True)


def free_bytes(folder: Path) -> int:
    """Bytes an ordinary user may still write on the disk of a folder."""
    while not folder.exists():
        folder = folder.parent
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
