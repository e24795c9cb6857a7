"""Reads closed trips, and says clearly what is wrong with anything else."""

from __future__ import annotations

import json
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from onboard.errors import TripError
from onboard.manifest import Manifest, file_sha256, newer, read_manifest
from onboard.tripclock import Clock
from onboard.tripschema import (
    APPLICATION_ID,
    DATABASE,
    MANIFEST,
    SCHEMA_VERSION,
    VIDEO,
)


@dataclass(frozen=True, slots=True)
class TripInfo:
    """What a trip says about itself.

    Attributes
    ----------
    driver : str
        Empty where nobody signed in.
    vin : str
        As the vehicle gave it; empty where it did not.
    ended_why : str
        Empty where the trip has not ended.
    origin : dict
        Where `video` and `obd` come from, and a `note`.
    fov_deg : float or None
        Horizontal field of view of the stills; None where nobody told.
    """

    trip_id: str
    vehicle: str
    vehicle_class: str
    vin: str
    driver: str
    camera: str
    software: str
    started_utc_ns: int
    ended_why: str
    schema_version: int
    origin: dict[str, str]
    fov_deg: float | None = None


@dataclass(frozen=True, slots=True)
class Samples:
    """Readings of one signal in order of time.

    Attributes
    ----------
    t_mono_ns : ndarray of int64, shape (n,)
        Midpoint of the query.
    value : ndarray of float64, shape (n,)
        In the signal's native unit; NaN where the reading is missing.
    status : list of str
        Of `onboard.signals.Status`; why a reading is missing.
    round_trip_ms : ndarray of float64, shape (n,)
        How long the query took; NaN where unknown.
    """

    t_mono_ns: NDArray[np.int64]
    value: NDArray[np.float64]
    status: list[str]
    round_trip_ms: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Frames:
    """Video frames in order; arrays of int64, shape (n,).

    `pts` is in the time base of the file `video/{segment:04d}.*`. After a power cut the last
    frames of a segment may have a row and no picture.
    """

    index: NDArray[np.int64]
    segment: NDArray[np.int64]
    pts: NDArray[np.int64]
    t_mono_ns: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Still:
    """A 320x180 JPEG of one frame."""

    frame_index: int
    t_mono_ns: int
    jpeg: bytes


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """Something that went wrong, or that a reader should know."""

    t_mono_ns: int
    source: str
    message: str


class Trip:
    """A closed trip, opened for reading; leaves nothing behind.

    Attributes
    ----------
    path : Path
    info : TripInfo
    manifest : Manifest
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, manifest: Manifest):
        self.path: Final = path
        self.manifest: Final = manifest
        self._connection = connection
        self.info: Final = read_info(path, connection)

    @classmethod
    def open(cls, path: Path | str) -> Trip:
        """Open a closed trip.

        Raises
        ------
        TripError
            One clear line: no folder, no trip, empty, truncated, foreign, written by newer
            software, or not closed.
        """
        folder = Path(path)
        check_database(folder)
        try:
            manifest = read_manifest(folder)
        except FileNotFoundError:
            raise TripError(
                f"{folder} is not closed: it was cut short or is still being recorded; "
                f"run `gradewise-onboard recover {folder}`"
            ) from None
        for name, entry in manifest.files.items():
            file = folder / name
            if not file.is_file():
                raise TripError(f"{folder} is damaged: {name} is missing")
            size = file.stat().st_size
            if size != entry.size:
                raise TripError(
                    f"{folder} is damaged: {name} has {size} bytes, its {MANIFEST} says "
                    f"{entry.size}"
                )
        # `immutable` needs no lock and no side files; a closed trip never changes.
        address = f"file:{quote(str((folder / DATABASE).absolute()))}?mode=ro&immutable=1"
        connection = sqlite3.connect(address, uri=True, check_same_thread=False)
        try:
            return cls(folder, connection, manifest)
        except sqlite3.Error as problem:
            connection.close()
            raise TripError(f"{folder} is damaged: {DATABASE}: {problem}") from problem
        except TripError:
            connection.close()
            raise

    def samples(self, *signals: str) -> dict[str, Samples]:
        """Readings by signal name, of the named signals or of all.

        Signals that were never asked for are absent.
        """
        names = signals or [row[0] for row in self._query("SELECT DISTINCT signal FROM samples")]
        result = {}
        for name in sorted(names):
            rows = self._query(
                "SELECT t_mono_ns, value, status, round_trip_ms FROM samples "
                "WHERE signal = ? ORDER BY t_mono_ns, rowid",
                name,
            )
            if not rows:
                continue
            result[name] = Samples(
                np.array([row[0] for row in rows], dtype=np.int64),
                np.array([row[1] for row in rows], dtype=np.float64),
                [row[2] for row in rows],
                np.array([row[3] for row in rows], dtype=np.float64),
            )
        return result

    def clock(self) -> Clock:
        """The readings of the three clocks."""
        rows = self._query(
            "SELECT t_mono_ns, boottime_ns, utc_ns, boot_id FROM clock ORDER BY t_mono_ns"
        )
        numbers = np.array([row[:3] for row in rows], dtype=np.int64).reshape(-1, 3)
        return Clock(numbers[:, 0], numbers[:, 1], numbers[:, 2], [row[3] for row in rows])

    def frames(self) -> Frames:
        """The rows of all video frames."""
        rows = self._query('SELECT "index", segment, pts, t_mono_ns FROM frames ORDER BY 1')
        columns = np.array(rows, dtype=np.int64).reshape(-1, 4).T
        return Frames(*(np.ascontiguousarray(column) for column in columns))

    def stills(self) -> Iterator[Still]:
        """Stills in order of time, one in memory at a time."""
        cursor = self._connection.execute(
            "SELECT frame_index, t_mono_ns, jpeg FROM stills "
            'JOIN frames ON frames."index" = stills.frame_index ORDER BY frame_index'
        )
        for frame_index, t_mono_ns, jpeg in cursor:
            yield Still(frame_index, t_mono_ns, jpeg)

    def motion_stills(self) -> Iterator[Still]:
        """Grey 160x90 pictures between the stills, in order of time.

        None in a trip of a logger that kept none.
        """
        held = self._query("SELECT 1 FROM sqlite_master WHERE name = 'motion_stills'")
        if not held:
            return
        cursor = self._connection.execute(
            "SELECT frame_index, t_mono_ns, jpeg FROM motion_stills "
            'JOIN frames ON frames."index" = motion_stills.frame_index ORDER BY frame_index'
        )
        for frame_index, t_mono_ns, jpeg in cursor:
            yield Still(frame_index, t_mono_ns, jpeg)

    def still(self, frame_index: int) -> bytes | None:
        """The JPEG of one frame, or None where that frame has none."""
        rows = self._query("SELECT jpeg FROM stills WHERE frame_index = ?", int(frame_index))
        return rows[0][0] if rows else None

    def video_files(self) -> list[Path]:
        """Video files in order; frames' `segment` is the number in a file's name."""
        names = [name for name in self.manifest.files if name.startswith(f"{VIDEO}/")]
        return [self.path / name for name in sorted(names)]

    def journal(self) -> list[JournalEntry]:
        """Everything that went wrong, in order of time."""
        rows = self._query(
            "SELECT t_mono_ns, source, message FROM journal ORDER BY t_mono_ns, rowid"
        )
        return [JournalEntry(*row) for row in rows]

    def sha256(self) -> str:
        """One hash of the whole trip, from the hashes in its manifest."""
        return self.manifest.sha256()

    def verify(self) -> None:
        """Compare every file with its SHA-256 in the manifest.

        Raises
        ------
        TripError
            If one differs.
        """
        for name, entry in self.manifest.files.items():
            if file_sha256(self.path / name) != entry.sha256:
                raise TripError(f"{self.path} is damaged: {name} differs from its SHA-256")

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def __enter__(self) -> Trip:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # `__init__` may have failed before there was a connection.
        with suppress(AttributeError, sqlite3.Error):
            self._connection.close()

    def _query(self, statement: str, *values: object) -> list[tuple]:
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as problem:
            raise TripError(f"{self.path} is damaged: {DATABASE}: {problem}") from problem


def check_database(folder: Path) -> None:
    """Look at a trip's database from outside, before SQLite may change anything.

    Raises
    ------
    TripError
        If there is no folder, no trip in it, or an empty, truncated, foreign or newer one.
    """
    if not folder.exists():
        raise TripError(f"{folder} does not exist")
    if not folder.is_dir():
        raise TripError(f"{folder} is no trip: a trip is a folder")
    file = folder / DATABASE
    if not file.is_file():
        raise TripError(f"{folder} is no trip: it holds no {DATABASE}")
    with file.open("rb") as opened:
        header = opened.read(100)
    size = file.stat().st_size
    if size == 0:
        raise TripError(f"{folder} is empty: {DATABASE} has no content")
    if not header.startswith(b"SQLite format 3\0"):
        raise TripError(f"{folder} is no trip: its {DATABASE} is no SQLite database")
    if len(header) < 100:
        raise TripError(f"{folder} is truncated: {DATABASE} has {size} bytes")
    # https://www.sqlite.org/fileformat2.html#the_database_header
    (page_size,) = struct.unpack(">H", header[16:18])
    page_size = 65536 if page_size == 1 else page_size
    (pages,) = struct.unpack(">I", header[28:32])
    (version,) = struct.unpack(">I", header[60:64])
    (application,) = struct.unpack(">I", header[68:72])
    if application != APPLICATION_ID:
        raise TripError(f"{folder} is no trip: its {DATABASE} belongs to another program")
    if version > SCHEMA_VERSION:
        raise TripError(newer(folder, version))
    # While a write-ahead log exists, the header may be ahead of the file.
    if size < page_size * pages and not (folder / f"{DATABASE}-wal").exists():
        raise TripError(
            f"{folder} is truncated: {DATABASE} has {size} of {page_size * pages} bytes"
        )


def read_info(path: Path, connection: sqlite3.Connection) -> TripInfo:
    """Read the trip's own row."""
    found = connection.execute("SELECT * FROM trip")
    values = found.fetchone()
    if values is None:
        raise TripError(f"{path} is empty: its database has no trip in it")
    row = dict(zip((name for name, *_ in found.description), values, strict=True))
    return TripInfo(
        trip_id=row["trip_id"],
        vehicle=row["vehicle"],
        vehicle_class=row["vehicle_class"],
        vin=row["vin"],
        driver=row["driver"],
        camera=row["camera"],
        software=row["software"],
        started_utc_ns=row["started_utc_ns"],
        ended_why=row["ended_why"] or "",
        schema_version=SCHEMA_VERSION,
        origin=json.loads(row["origin"]),
        # Trips recorded before the column was added have none.
        fov_deg=row.get("fov_deg"),
    )
