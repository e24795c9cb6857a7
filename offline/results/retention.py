"""Takes old or personal data out of the store, and says what it took."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from offline.errors import StoreError
from offline.results import schema, summaries
from offline.results.rows import Period, TripFilter
from offline.results.store import ResultStore
from offline.results.writing import delete_trips, touched_by

MARK: Final = "purged.json"
"""Mark in a trip's folder whose video a purge took: scored again it would lose its context."""


@dataclass
class Removed:
    """What was removed, or would be.

    Attributes
    ----------
    trips : int
        Trips that something was taken from.
    files : int
        In the results and in the trips' folders.
    bytes : int
        Their size.
    folders : int
        Whole trip folders.
    """

    trips: int = 0
    files: int = 0
    bytes: int = 0
    folders: int = 0


def purge(
    store: ResultStore,
    before: date,
    *,
    video: bool = False,
    timelines: bool = False,
    personal: bool = False,
    dry_run: bool = False,
) -> Removed:
    """Remove data of trips that started before a day (UTC). Scores and events stay.

    Parameters
    ----------
    video : bool
        The trips' video files and the camera stills in the store. The trip's own folder keeps
        its sensor log and is marked, so that it is not scored again without its pictures.
    timelines : bool
        Timelines and labels: all that was stored by the second.
    personal : bool
        Who drove, in the store and its history, and the whole trip folder, which names the
        driver and may hold places.
    dry_run : bool
        Count only.
    """
    removed = Removed()
    t = schema.trips.c
    with store.transaction() as connection:
        rows = connection.execute(
            sa.select(schema.trips).where(t.day < before).order_by(t.id)
        ).fetchall()
    for row in rows:
        before_this = (removed.files, removed.folders)
        gone: dict[str, Any] = {}
        if video:
            gone["stills_file"] = None
            _drop_video(Path(row.trip_path), removed, dry_run)
        if timelines:
            gone |= {"timeline_file": None, "labels_file": None}
        names = [getattr(row, column) for column in gone if getattr(row, column)]
        if personal:
            gone["driver"] = ""
            _drop_folder(Path(row.trip_path), removed, dry_run)
        if gone and not dry_run:
            _forget(store, row, gone)
        for name in names:
            removed.bytes += store.files.size(name) if dry_run else store.files.remove(name)
            removed.files += 1
        anonymous = personal and row.driver != ""
        removed.trips += anonymous or before_this != (removed.files, removed.folders)
    return removed


def _forget(store: ResultStore, row: Any, gone: dict[str, Any]) -> None:
    t, h = schema.trips.c, schema.history.c
    with store.transaction() as connection:
        connection.execute(sa.update(schema.trips).where(t.id == row.id).values(**gone))
        if "driver" in gone:
            if row.variant == schema.STANDARD:
                summaries.refresh(connection, touched_by(row))
            _drop_unused_drivers(connection)
            # The folder is gone: its path says no more than the trip's name.
            connection.execute(
                sa.delete(schema.failed_trips).where(
                    schema.failed_trips.c.trip_path == row.trip_path
                )
            )
            connection.execute(sa.delete(schema.history).where(h.trip_id == row.trip_id))


def _drop_unused_drivers(connection: sa.Connection) -> None:
    used = sa.select(schema.trips.c.driver)
    connection.execute(sa.delete(schema.drivers).where(schema.drivers.c.driver.not_in(used)))


def _drop_video(folder: Path, removed: Removed, dry_run: bool) -> None:
    videos = [path for path in sorted((folder / "video").glob("*")) if path.is_file()]
    stills = (folder / "trip.sqlite").is_file()
    if not videos and not stills:
        return
    mark = folder / MARK
    if mark.exists():
        return
    removed.files += len(videos)
    removed.bytes += sum(path.stat().st_size for path in videos)
    if dry_run:
        return
    # The mark first: a trip without video and without mark would be scored without road.
    mark.write_text(
        json.dumps({"purged_utc": datetime.now(UTC).isoformat(), "what": ["video"]}) + "\n"
    )
    for path in videos:
        path.unlink()
    _drop_stills(folder / "trip.sqlite")


def _drop_stills(database: Path) -> None:
    """Delete the stills in a trip's own database; it is read by nobody any more."""
    if not database.is_file():
        return
    connection = sqlite3.connect(database, isolation_level=None)
    try:
        connection.execute("DELETE FROM stills")
        # Trips of older loggers have no such table.
        if connection.execute(
            "SELECT 1 FROM sqlite_master WHERE name = 'motion_stills'"
        ).fetchone():
            connection.execute("DELETE FROM motion_stills")
        connection.execute("VACUUM")
    except sqlite3.Error as problem:
        raise StoreError(f"cannot remove the stills in {database}: {problem}") from problem
    finally:
        connection.close()


def _drop_folder(folder: Path, removed: Removed, dry_run: bool) -> None:
    if not folder.is_dir() or not (folder / "trip.sqlite").is_file():
        return
    files = [path for path in folder.rglob("*") if path.is_file()]
    removed.folders += 1
    removed.files += len(files)
    removed.bytes += sum(path.stat().st_size for path in files)
    if not dry_run:
        shutil.rmtree(folder)


def person_document(store: ResultStore, driver: str) -> dict[str, Any]:
    """Gather all that is stored about a driver, as values that JSON knows.

    Raises
    ------
    StoreError
        If nothing is.
    """
    rows = store.trips(TripFilter(driver=driver), "started", limit=None)
    rows += store.trips(
        TripFilter(driver=driver, variant=schema.NO_ROAD_CONTEXT), "started", limit=None
    )
    if not rows:
        raise StoreError(f"nothing is stored about a driver {driver!r}")
    return {
        "driver": driver,
        "exported_utc": datetime.now(UTC).isoformat(),
        "months": [
            asdict(month)
            for year in sorted({_year(r.started_utc_ns) for r in rows if r.started_utc_ns})
            for month in store.by_month("driver", driver, Period.year(year))
        ],
        "trips": [
            asdict(store.trip(row.trip_id, row.variant))
            | {
                "events": [asdict(v) for v in store.events(row.trip_id, row.variant)],
                "replaced_results": [asdict(p) for p in store.history(row.trip_id, row.variant)],
            }
            for row in rows
        ],
    }


def _year(utc_ns: int) -> int:
    return datetime.fromtimestamp(utc_ns // 10**9, UTC).year


def erase_person(
    store: ResultStore, driver: str, *, recordings: bool, dry_run: bool = False
) -> Removed:
    """Erase a driver: trips, events, scores, history, timelines, stills, summaries.

    The hash of each trip stays, so that a copy of its recording is not scored again.

    Parameters
    ----------
    recordings : bool
        Also the recorded trips' folders, where this machine can reach them.

    Raises
    ------
    StoreError
        If nothing is stored about that driver.
    """
    t, h, f = schema.trips.c, schema.history.c, schema.failed_trips.c
    removed = Removed()
    with store.transaction() as connection:
        rows = connection.execute(sa.select(schema.trips).where(t.driver == driver)).fetchall()
        if not rows:
            raise StoreError(f"nothing is stored about a driver {driver!r}")
        if not dry_run:
            delete_trips(connection, [row.id for row in rows])
            connection.execute(
                sa.delete(schema.history).where(h.trip_id.in_({row.trip_id for row in rows}))
            )
            connection.execute(
                sa.delete(schema.failed_trips).where(
                    f.trip_path.in_({row.trip_path for row in rows})
                )
            )
            _remember_hashes(connection, sorted({row.trip_sha256 for row in rows}))
            summaries.refresh(connection, set().union(*(touched_by(row) for row in rows)))
            _drop_unused_drivers(connection)
    removed.trips = len({row.trip_id for row in rows})
    for row in rows:
        for name in (row.timeline_file, row.labels_file, row.stills_file):
            if name:
                removed.bytes += store.files.size(name) if dry_run else store.files.remove(name)
                removed.files += 1
    if recordings:
        for path in sorted({row.trip_path for row in rows}):
            _drop_folder(Path(path), removed, dry_run)
    return removed


def _remember_hashes(connection: sa.Connection, hashes: Sequence[str]) -> None:
    known = set(connection.execute(sa.select(schema.erased.c.trip_sha256)).scalars())
    fresh = [
        {"trip_sha256": one, "erased_utc_ns": time.time_ns()} for one in hashes if one not in known
    ]
    if fresh:
        connection.execute(schema.erased.insert(), fresh)
