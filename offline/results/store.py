"""The result store: what the scoring stage writes and the dashboard and reports read."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from datetime import date
from pathlib import Path

import pandas as pd
import sqlalchemy as sa

from offline.errors import StoreError
from offline.policy import Policy
from offline.results import queries, schema, summaries, writing
from offline.results.engine import connect, default_url, shown
from offline.results.files import ResultFiles
from offline.results.rows import (
    ALL_TIME,
    FailedTrip,
    KnownResult,
    PastResult,
    Period,
    Standing,
    StoredTrip,
    TripFilter,
    TripRow,
    VehicleEvent,
)
from offline.results.schema import STANDARD
from offline.results.staging import StagedResult, stage
from offline.verdicts import Provenance, TripResult, Verdict

ANY_TRIP = TripFilter()


class ResultStore:
    """Scored trips in a database, their timelines, labels and stills in files beside it.

    Any number of readers, one writer. Close it, or use it in a `with` statement.
    """

    def __init__(self, engine: sa.Engine, files: ResultFiles, *, read_only: bool) -> None:
        self.engine = engine
        self.files = files
        self.read_only = read_only

    @classmethod
    def open(
        cls,
        url: str | None,
        results_dir: str | Path,
        *,
        read_only: bool = False,
        create: bool = True,
    ) -> ResultStore:
        """Open a store, and unless `read_only` make it where there is none.

        Parameters
        ----------
        url : str or None
            SQLAlchemy URL, `sqlite:///FILE` or `postgresql://…`; None for the SQLite file in
            `results_dir`.
        results_dir : str or Path
            Folder of timelines, labels and stills, or an fsspec URL.
        create : bool
            False refuses a store that is not there yet, which a reader does anyway.

        Raises
        ------
        StoreError
            One clear line, if it cannot be opened or has a schema this program does not know.
        """
        files = ResultFiles(results_dir)
        if url is None:
            if files.folder is None:
                raise StoreError("results in an object store need a database: give its --store URL")
            address: str | sa.URL = default_url(files.folder)
        else:
            address = url
        engine = connect(address, read_only=read_only, create=create)
        if not read_only and files.folder is not None:
            try:
                files.folder.mkdir(parents=True, exist_ok=True)
            except OSError as problem:
                engine.dispose()
                raise StoreError(f"cannot make {files.folder}: {problem}") from None
        return cls(engine, files, read_only=read_only)

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()

    def __enter__(self) -> ResultStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """Give a connection whose changes are stored together or not at all."""
        try:
            with self.engine.begin() as connection:
                yield connection
        except sa.exc.DBAPIError as problem:
            raise StoreError(f"store {shown(self.engine)}: {problem.orig}") from problem

    # Writing.

    def put(
        self,
        result: TripResult,
        stills: Iterable[tuple[int, bytes]] = (),
        policy: Policy | None = None,
    ) -> None:
        """Store a result with its timeline, labels and stills, in the place of an older one.

        Parameters
        ----------
        stills : iterable of (frame index, JPEG)
        policy : Policy, optional
            What it was scored with. Periods are scored under it: they have no score under a
            policy that the store never saw.
        """
        self.commit([stage(result, self.files, stills, policy)])

    def commit(self, staged: Sequence[StagedResult]) -> None:
        """Store staged results, all or none; then remove the files they replace."""
        now_ns = time.time_ns()
        replaced: list[str] = []
        touched: set[summaries.Touched] = set()
        try:
            with self.transaction() as connection:
                for one in staged:
                    files, periods = writing.write_result(connection, one, now_ns)
                    replaced += files
                    touched |= periods
                summaries.refresh(connection, touched)
        except BaseException:
            self.discard(staged)
            raise
        for name in replaced:
            self.files.remove(name)

    def discard(self, staged: Iterable[StagedResult]) -> None:
        """Remove the files of staged results that will not be stored."""
        for one in staged:
            for name in one.files:
                self.files.remove(name)

    def set_aside(self, failed: FailedTrip) -> None:
        """Note that a trip could not be scored, and why."""
        f = schema.failed_trips
        with self.transaction() as connection:
            connection.execute(
                sa.delete(f).where(f.c.trip_path == failed.trip_path, f.c.variant == failed.variant)
            )
            connection.execute(
                f.insert(), {column.name: getattr(failed, column.name) for column in f.columns}
            )

    def forget_failed(self, trip_path: str | None = None) -> int:
        """Let the next run try again what was set aside; returns how many trips that are."""
        query = sa.delete(schema.failed_trips)
        if trip_path is not None:
            query = query.where(schema.failed_trips.c.trip_path == trip_path)
        with self.transaction() as connection:
            return int(connection.execute(query).rowcount)

    def rebuild_summaries(self) -> None:
        """Compute all summary tables from the trips."""
        with self.transaction() as connection:
            summaries.rebuild(connection)

    def sweep(self) -> int:
        """Remove files that no trip names, left by a crash; only the one writer may."""
        t = schema.trips.c
        with self.transaction() as connection:
            rows = connection.execute(sa.select(t.timeline_file, t.labels_file, t.stills_file))
            named = {name for row in rows for name in row if name is not None}
        return self.files.sweep(named)

    # Reading.

    def trips(
        self,
        filters: TripFilter = ANY_TRIP,
        order: str = "-started",
        limit: int | None = 100,
        offset: int = 0,
    ) -> list[TripRow]:
        """List trips; `order` is one of `rows.ORDERS`, with a leading `-` for descending."""
        with self.transaction() as connection:
            return queries.list_trips(connection, filters, order, limit, offset)

    def count_trips(self, filters: TripFilter = ANY_TRIP) -> int:
        """Count the trips that a filter leaves."""
        with self.transaction() as connection:
            return queries.count_trips(connection, filters)

    def trip(self, trip_id: str, variant: str = STANDARD) -> StoredTrip:
        """Return one trip; raises `StoreError` if it is not there."""
        with self.transaction() as connection:
            return queries.stored_trip(connection, trip_id, variant)

    def events(self, trip_id: str, variant: str = STANDARD) -> tuple[Verdict, ...]:
        """Return the verdicts on a trip's events, in order of time."""
        with self.transaction() as connection:
            row = queries.trip_row(connection, trip_id, variant)
            return queries.load_verdicts(connection, row.id)

    def timeline(
        self, trip_id: str, columns: Sequence[str] | None = None, variant: str = STANDARD
    ) -> pd.DataFrame:
        """Return a trip's timeline, empty where it was purged; or those of some columns it has.

        A signal that a trip does not have has no column.
        """
        return self._frame(trip_id, variant, "timeline_file", columns)

    def labels(self, trip_id: str, variant: str = STANDARD) -> pd.DataFrame:
        """Return what the network said of each frame (`staging.labels_frame`), or no rows."""
        return self._frame(trip_id, variant, "labels_file", None)

    def still(self, trip_id: str, frame: int, variant: str = STANDARD) -> bytes | None:
        """Return the JPEG of a frame, None where there is none."""
        name = self._file(trip_id, variant, "stills_file")
        return None if name is None else self.files.still(name, frame)

    def still_frames(self, trip_id: str, variant: str = STANDARD) -> list[int]:
        """Return the frames of a trip that have a still, in order."""
        name = self._file(trip_id, variant, "stills_file")
        return [] if name is None else self.files.still_frames(name)

    def drivers(self, period: Period = ALL_TIME) -> list[Standing]:
        """Add up a period by driver, best score first."""
        with self.transaction() as connection:
            return queries.standings(connection, "driver", period)

    def vehicles(self, period: Period = ALL_TIME) -> list[Standing]:
        """Add up a period by vehicle, best score first."""
        with self.transaction() as connection:
            return queries.standings(connection, "vehicle", period)

    def leaderboard(
        self, year: int, month: int, *, min_km: float = 0.0, limit: int | None = 100
    ) -> list[Standing]:
        """Rank the drivers of a calendar month."""
        with self.transaction() as connection:
            return queries.standings(
                connection, "driver", Period.month(year, month), min_km=min_km, limit=limit
            )

    def driver_year(self, driver: str, year: int) -> list[Standing]:
        """Return one driver's year, a row a month with trips."""
        return self.by_month("driver", driver, Period.year(year))

    def by_month(self, who: str, name: str, period: Period) -> list[Standing]:
        """Return the months of one `driver` or `vehicle` in a period of whole months."""
        with self.transaction() as connection:
            return queries.standings(connection, who, period, name=name, by_month=True)

    def vehicle_events(
        self, vehicle: str, period: Period = ALL_TIME, limit: int | None = 200
    ) -> list[VehicleEvent]:
        """Return the events of a vehicle, latest first."""
        with self.transaction() as connection:
            return queries.vehicle_events(connection, vehicle, period, limit)

    def changes_since(self, utc_ns: int, variant: str = STANDARD) -> dict[str, list[str]]:
        """Return by trip what the scorings since an instant changed, in sentences."""
        with self.transaction() as connection:
            return queries.list_changes(connection, utc_ns, variant)

    def history(self, trip_id: str, variant: str = STANDARD) -> list[PastResult]:
        """Return the results of a trip that were replaced, latest first, and what changed."""
        with self.transaction() as connection:
            return queries.list_history(connection, trip_id, variant)

    def failed(self) -> list[FailedTrip]:
        """Return the trips that were set aside."""
        with self.transaction() as connection:
            return queries.list_failed(connection)

    def days(self) -> tuple[date | None, date | None]:
        """Return the first and the last day with a trip."""
        with self.transaction() as connection:
            return queries.days_of_trips(connection)

    def known_results(self, variant: str = STANDARD) -> dict[str, KnownResult]:
        """Return by the trip's SHA-256 what every stored result was made from."""
        t, v = schema.trips.c, schema.vehicles.c
        names = [field.name for field in fields(Provenance)]
        query = (
            sa.select(t.trip_id, v.vehicle_class, *(t[name] for name in names))
            .join_from(schema.trips, schema.vehicles, v.vehicle == t.vehicle)
            .where(t.variant == variant)
        )
        with self.transaction() as connection:
            rows = connection.execute(query)
            known = (KnownResult(row[0], row[1], Provenance(*row[2:])) for row in rows)
            return {one.provenance.trip_sha256: one for one in known}

    def erased(self) -> set[str]:
        """Return the SHA-256 of every trip erased at a person's request."""
        with self.transaction() as connection:
            return set(connection.execute(sa.select(schema.erased.c.trip_sha256)).scalars())

    def _file(self, trip_id: str, variant: str, column: str) -> str | None:
        with self.transaction() as connection:
            name: str | None = getattr(queries.trip_row(connection, trip_id, variant), column)
            return name

    def _frame(
        self, trip_id: str, variant: str, column: str, columns: Sequence[str] | None
    ) -> pd.DataFrame:
        name = self._file(trip_id, variant, column)
        if name is None:
            return pd.DataFrame(columns=list(columns or []))
        try:
            return self.files.read_parquet(name, columns)
        except StoreError:
            # Replaced between the two reads: the row names another file now.
            again = self._file(trip_id, variant, column)
            if again is None or again == name:
                raise
            return self.files.read_parquet(again, columns)
