"""Writes a trip so that whatever reached the disk survives a kill or a power cut.

Rows wait in memory for at most half a second, then go to `trip.sqlite` in one transaction. The
database runs in WAL mode with `synchronous=FULL`: every commit is synced, twice a second, which
is cheap, and so a power cut costs half a second at most (`NORMAL` would sync only at checkpoints
and lose minutes). Video packets are the recorder's business (`onboard.videofile`).
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import re
import secrets
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import onboard
from onboard.errors import OnboardError, TripError
from onboard.manifest import sync_folder, write_manifest
from onboard.signals import SIGNALS, Status, checked
from onboard.tripschema import (
    APPLICATION_ID,
    DATABASE,
    SCHEMA_VERSION,
    TABLES,
    VIDEO,
    open_recordings,
)

COMMIT_EVERY_S: Final = 0.4
MOST_PENDING_ROWS: Final = 200_000
"""Rows kept while the disk refuses them (about an hour of sensors); then the oldest go."""
RECORDED: Final[Mapping[str, str]] = {"video": "recorded", "obd": "measured", "note": ""}
"""Origin of a trip that a vehicle really drove."""

_STATEMENTS: Final = {
    "clock": "INSERT INTO clock VALUES (?, ?, ?, ?)",
    "frames": "INSERT INTO frames VALUES (?, ?, ?, ?)",
    "stills": "INSERT INTO stills VALUES (?, ?)",
    "motion_stills": "INSERT INTO motion_stills VALUES (?, ?)",
    "samples": "INSERT INTO samples VALUES (?, ?, ?, ?, ?)",
    "journal": "INSERT INTO journal VALUES (?, ?, ?)",
    "driver": "UPDATE trip SET driver = ?",
    "vin": "UPDATE trip SET vin = ?",
    "origin": "UPDATE trip SET origin = ?",
}
"""What waits in memory, and how it is written."""


class TripWriteError(OnboardError, OSError):
    """The disk refused rows of a trip; they stay in memory and the next commit tries again."""


class TripWriter:
    """A trip being recorded. All methods may be called from any thread."""

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: int, trip_id: str):
        self.path: Final = path
        self.trip_id: Final = trip_id
        self._connection = connection
        self._folder_lock = lock
        self._pending: dict[str, list[tuple[Any, ...]]] = {table: [] for table in _STATEMENTS}
        self._pending_rows = 0
        self._rows_mutex = threading.Lock()
        self._database_mutex = threading.Lock()
        self._committed_at = time.monotonic()
        self._closed = False
        self.committed_elsewhere = False
        """Set where another thread calls `commit` all the time, so that whoever adds a row need
        not wait for the disk."""

    @classmethod
    def create(
        cls,
        root: Path | str,
        *,
        vehicle: str,
        driver: str,
        camera: str = "",
        fov_deg: float | None = None,
        vehicle_class: str = "car",
        origin: Mapping[str, str] = RECORDED,
        started_utc_ns: int | None = None,
        trip_id: str | None = None,
    ) -> TripWriter:
        """Make a new trip under `root/<vehicle>/` and open it for writing.

        Parameters
        ----------
        root : Path
            Folder of all trips; made where it is missing.
        vehicle, driver : str
            As people call them; characters a folder name cannot hold are replaced in the
            folder's name only. An empty driver means nobody signed in.
        camera : str
            What the camera is, for people.
        fov_deg : float, optional
            Horizontal field of view of the middle 16:9 of its pictures, where somebody knows.
        vehicle_class : str
            Name of the class whose limits a scoring policy applies, such as `car` or `van`.
        origin : mapping
            Where `video` and `obd` come from, and a `note`; anything not really measured must
            say so here.
        started_utc_ns : int, optional
            UTC at the start; now, if not given.
        trip_id : str, optional
            Unique name; made from the start and a random part if not given.

        Raises
        ------
        TripError
            If a trip of that name exists or the folder cannot be written.
        """
        if not vehicle.strip():
            raise TripError("a trip needs the name of its vehicle")
        started = time.time_ns() if started_utc_ns is None else started_utc_ns
        if trip_id is None:
            stamp = datetime.fromtimestamp(started / 1e9, tz=UTC).strftime("%Y%m%dT%H%M%SZ")
            trip_id = f"{stamp}-{secrets.token_hex(3)}"
        path = Path(root) / _folder_name(vehicle) / _folder_name(trip_id)
        # Made under a hidden name and renamed whole: a folder that shows always holds a trip.
        beside = path.with_name(f".{path.name}.new")
        try:
            if path.exists():
                raise TripError(f"{path} exists already")
            shutil.rmtree(beside, ignore_errors=True)
            (beside / VIDEO).mkdir(parents=True)
            database = sqlite3.connect(beside / DATABASE, isolation_level=None)
            try:
                database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
                database.executescript(f"BEGIN; {TABLES} COMMIT;")
                database.execute(
                    "INSERT INTO trip VALUES (1, ?, ?, ?, '', ?, ?, ?, ?, NULL, ?, ?)",
                    (
                        trip_id,
                        vehicle,
                        vehicle_class,
                        driver,
                        camera,
                        f"gradewise {onboard.__version__}",
                        started,
                        json.dumps({**RECORDED, **origin}),
                        fov_deg,
                    ),
                )
            finally:
                database.close()
            lock = lock_folder(beside)
            beside.rename(path)
            sync_folder(path.parent)
        except (OSError, sqlite3.Error) as problem:
            if isinstance(problem, TripError):
                raise
            raise TripError(f"cannot make a trip in {path.parent}: {problem}") from problem
        return cls(path, open_for_writing(path), lock, trip_id)

    def add_clock(self, t_mono_ns: int, boottime_ns: int, utc_ns: int, boot_id: str) -> None:
        """Add one reading of the three clocks, taken at the same moment."""
        self._add("clock", (int(t_mono_ns), int(boottime_ns), int(utc_ns), boot_id))

    def add_frame(self, index: int, segment: int, pts: int, t_mono_ns: int) -> None:
        """Add one video frame.

        Parameters
        ----------
        index : int
            Counts frames from 0 over the whole trip.
        segment : int
            Names the video file, `video/{segment:04d}.*`.
        pts : int
            The frame's presentation time stamp in that file, in its stream's time base
            (1/90000 s in everything the recorder writes).
        t_mono_ns : int
            When the camera took it.
        """
        self._add("frames", (int(index), int(segment), int(pts), int(t_mono_ns)))

    def add_still(self, frame_index: int, jpeg: bytes) -> None:
        """Add the 320x180 JPEG of a frame that `add_frame` added."""
        self._add("stills", (int(frame_index), bytes(jpeg)))

    def add_motion_still(self, frame_index: int, jpeg: bytes) -> None:
        """Add the grey 160x90 JPEG of a frame that `add_frame` added, between two stills."""
        self._add("motion_stills", (int(frame_index), bytes(jpeg)))

    def add_sample(
        self,
        t_mono_ns: int,
        signal: str,
        value: float | None,
        status: Status | str = Status.OK,
        round_trip_ms: float | None = None,
    ) -> None:
        """Add one reading of a signal of `onboard.signals`, or the lack of it.

        A value that is NaN, or outside what a vehicle can send, is stored as missing.

        Raises
        ------
        KeyError
            If there is no such signal.
        ValueError
            If there is no such status.
        """
        status = Status(status)
        if status is Status.OK:
            value, status = checked(signal, value)
        elif signal not in SIGNALS:
            raise KeyError(signal)
        else:
            value = None
        if round_trip_ms is not None and not math.isfinite(round_trip_ms):
            round_trip_ms = None
        number = None if value is None else float(value)
        self._add("samples", (int(t_mono_ns), signal, number, status.value, round_trip_ms))

    def add_journal(self, t_mono_ns: int, source: str, message: str) -> None:
        """Note something that went wrong, or that a reader of the trip should know."""
        self._add("journal", (int(t_mono_ns), source, message))

    def set_driver(self, driver: str) -> None:
        """Change who drives; for a sign-in while recording."""
        self._add("driver", (driver,))

    def set_vin(self, vin: str) -> None:
        """Note the vehicle identification number that the vehicle itself gave."""
        self._add("vin", (vin,))

    def set_origin(self, origin: Mapping[str, str]) -> None:
        """Say where `video` and `obd` come from, once it is known; `note` says more."""
        self._add("origin", (json.dumps({**RECORDED, **origin}),))

    def video_path(self, segment: int, suffix: str = ".ts") -> Path:
        """Where the video file of a segment belongs."""
        return self.path / VIDEO / f"{segment:04d}{suffix}"

    def commit(self) -> None:
        """Write all waiting rows to the disk and sync them.

        Raises
        ------
        TripWriteError
            If the disk refuses; the rows stay and the next commit tries again.
        """
        with self._database_mutex:
            with self._rows_mutex:
                rows, self._pending = self._pending, {table: [] for table in _STATEMENTS}
                self._pending_rows = 0
                self._committed_at = time.monotonic()
            if not any(rows.values()):
                return
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                for table, waiting in rows.items():
                    self._connection.executemany(_STATEMENTS[table], waiting)
                self._connection.execute("COMMIT")
            except sqlite3.Error as problem:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                self._put_back(rows)
                raise TripWriteError(f"{self.path / DATABASE}: {problem}") from problem

    def close(self, why: str, *, progress: Callable[[Path], None] | None = None) -> None:
        """End the trip: all rows written, video remuxed, one plain database, manifest last.

        Parameters
        ----------
        why : str
            Why it ended, for people, such as `ignition off`.
        progress : callable, optional
            Called with each video file before it is remuxed.

        Raises
        ------
        OSError
            If the disk refuses; `abandon` it then, and recovery closes it later.
        """
        if self._closed:
            return
        self.commit()
        try:
            finish(self.path, self._connection, why, progress)
        except sqlite3.Error as problem:
            raise TripWriteError(f"{self.path / DATABASE}: {problem}") from problem
        self._closed = True
        os.close(self._folder_lock)

    def abandon(self) -> None:
        """Let go of a trip that cannot be finished now; recovery closes it later."""
        if not self._closed:
            self._closed = True
            self._connection.close()
            os.close(self._folder_lock)

    def __enter__(self) -> TripWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if problem is None:
            self.close("finished")
        else:
            self.abandon()

    def _add(self, table: str, row: tuple[Any, ...]) -> None:
        with self._rows_mutex:
            self._pending[table].append(row)
            self._pending_rows += 1
            due = self._pending_rows >= MOST_PENDING_ROWS // 10 or (
                not self.committed_elsewhere
                and time.monotonic() - self._committed_at >= COMMIT_EVERY_S
            )
        if due:
            # The rows are kept and the next commit tries again; whoever commits on purpose hears
            # of it, whoever adds a row is not stopped by it.
            with suppress(TripWriteError):
                self.commit()

    def _put_back(self, rows: dict[str, list[tuple[Any, ...]]]) -> None:
        with self._rows_mutex:
            for table, waiting in rows.items():
                self._pending[table] = (waiting + self._pending[table])[-MOST_PENDING_ROWS:]
            self._pending_rows = sum(map(len, self._pending.values()))


def lock_folder(folder: Path) -> int:
    """Hold a trip's folder for this process until the descriptor is closed or the process dies.

    Raises
    ------
    TripError
        If another process records or recovers this trip.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as problem:
        os.close(descriptor)
        raise TripError(f"{folder} is still being recorded by another process") from problem
    return descriptor


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Open a trip's database in WAL mode, every commit synced."""
    connection = sqlite3.connect(
        path / DATABASE, isolation_level=None, check_same_thread=False, timeout=10
    )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def finish(
    path: Path,
    connection: sqlite3.Connection,
    why: str,
    progress: Callable[[Path], None] | None = None,
) -> None:
    """Remux the video, fold the write-ahead log in, write the manifest; closes the connection."""
    recordings = open_recordings(path)
    if recordings:
        # PyAV is needed for video only, and takes 0.2 s to import.
        from onboard.remux import remux_segment

        for recording in recordings:
            if progress is not None:
                progress(recording)
            try:
                remux_segment(recording)
            except TripError as problem:
                # Kept under another name for people who may know better.
                recording.rename(recording.with_name(f"{recording.name}.unreadable"))
                connection.execute(
                    "INSERT INTO journal VALUES (?, 'video', ?)",
                    (time.monotonic_ns(), str(problem)),
                )
    connection.execute("UPDATE trip SET ended_why = ?", (why,))
    (trip_id,) = connection.execute("SELECT trip_id FROM trip").fetchone()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()
    write_manifest(path, trip_id)


def _folder_name(name: str) -> str:
    safe = re.sub(r"[^\w.-]+", "_", name.strip()).lstrip(".")
    return safe[:100] or "_"
