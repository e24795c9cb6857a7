"""Closes trips that were cut short: nothing that reached the disk is lost."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from onboard.errors import TripError
from onboard.manifest import read_manifest
from onboard.tripreader import check_database
from onboard.tripschema import DATABASE, MANIFEST, TS_TICKS_PER_S, VIDEO, open_recordings
from onboard.tripwriter import finish, lock_folder, open_for_writing


@dataclass(frozen=True, slots=True)
class RecoveryReport:
    """What recovery found.

    Attributes
    ----------
    path : Path
    was_closed : bool
        True where there was nothing to do.
    samples, frames : int
        Rows the trip now holds.
    frames_restored : int
        Frames that were in the video and not yet in the database.
    unreadable : tuple of str
        Video files that could not be read; they are kept, with `.unreadable` in their name.
    """

    path: Path
    was_closed: bool
    samples: int = 0
    frames: int = 0
    frames_restored: int = 0
    unreadable: tuple[str, ...] = ()


def recover(path: Path | str, *, progress: Callable[[Path], None] | None = None) -> RecoveryReport:
    """Close a trip that was cut short; a closed one is left as it is.

    Frames that reached the video but not the database get their rows back: their time is the
    segment's start plus their presentation time, exact to 1/90000 s.

    Raises
    ------
    TripError
        If it is no trip, is damaged beyond reading, or is still being recorded.
    """
    folder = Path(path)
    check_database(folder)
    try:
        read_manifest(folder)
        return RecoveryReport(folder, was_closed=True)
    except FileNotFoundError:
        pass
    except TripError:
        # Written whole or not at all by us; damaged since, so it is made anew.
        (folder / MANIFEST).unlink()
    lock = lock_folder(folder)
    try:
        connection = open_for_writing(folder)
        try:
            return _close(folder, connection, progress)
        except sqlite3.Error as problem:
            if getattr(problem, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
                raise TripError(f"{folder} cannot be closed: the disk is full") from problem
            raise TripError(f"{folder} is damaged: {DATABASE}: {problem}") from problem
        finally:
            connection.close()
    finally:
        os.close(lock)


def _close(
    folder: Path, connection: sqlite3.Connection, progress: Callable[[Path], None] | None
) -> RecoveryReport:
    (sound,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if sound != "ok":
        raise TripError(f"{folder} is damaged: {DATABASE}: {sound}")
    for stray in (folder / VIDEO).glob(".*.new"):
        stray.unlink()
    restored = 0
    for recording in open_recordings(folder):
        # A file that cannot be read is set aside, and noted, when the trip is finished.
        with suppress(TripError):
            restored += _restore_frames(recording, connection)
    (last,) = connection.execute(
        "SELECT max(t) FROM (SELECT max(t_mono_ns) t FROM samples UNION ALL "
        "SELECT max(t_mono_ns) FROM frames UNION ALL SELECT max(t_mono_ns) FROM clock)"
    ).fetchone()
    (why,) = connection.execute("SELECT ended_why FROM trip").fetchone()
    if why is None:
        connection.execute(
            "INSERT INTO journal VALUES (?, 'recovery', ?)",
            (last or 0, f"cut short; {restored} frames restored from the video"),
        )
        why = "cut short"
    (samples,) = connection.execute("SELECT count(*) FROM samples").fetchone()
    (frames,) = connection.execute("SELECT count(*) FROM frames").fetchone()
    finish(folder, connection, why, progress)
    unreadable = tuple(sorted(file.name for file in (folder / VIDEO).glob("*.unreadable")))
    return RecoveryReport(folder, False, samples, frames, restored, unreadable)


def _restore_frames(recording: Path, connection: sqlite3.Connection) -> int:
    # PyAV is needed for video only, and takes 0.2 s to import.
    from onboard.remux import presentation_times, start_of_recording_ns

    segment = int(recording.stem)
    start_ns = start_of_recording_ns(recording)
    known, newest = connection.execute(
        'SELECT coalesce(max("index"), -1), '
        "(SELECT max(pts) FROM frames WHERE segment = ?) FROM frames",
        (segment,),
    ).fetchone()
    times = presentation_times(recording)
    if start_ns is None:
        return 0
    missing = [pts for pts in times if newest is None or pts > newest]
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO frames VALUES (?, ?, ?, ?)",
        [
            (known + 1 + i, segment, pts, start_ns + round(pts * 1e9 / TS_TICKS_PER_S))
            for i, pts in enumerate(missing)
        ],
    )
    connection.execute("COMMIT")
    return len(missing)
