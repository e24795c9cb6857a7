"""Tables of the store for spreadsheets and other programs."""

from __future__ import annotations

import uuid
from dataclasses import asdict
from pathlib import Path
from typing import Final

import pandas as pd
import sqlalchemy as sa

from offline.errors import StoreError
from offline.results import schema
from offline.results.rows import Period, Standing
from offline.results.store import ResultStore

SUBJECTS: Final = ("trips", "events", "drivers", "vehicles")
FORMATS: Final = ("csv", "parquet", "xlsx")
XLSX_ROWS: Final = 1_048_575
"""Rows of a sheet below its header; a limit of the format."""

_TRIP_COLUMNS: Final = (
    "trip_id", "vehicle", "driver", "score", "band", "score_without_context", "distance_km",
    "events_kept", "events_exonerated", "events_undetermined", "points", "points_spared",
    "road_context", "simulated", "model_name", "model_sha256", "policy_name", "policy_sha256",
    "software", "trip_sha256",
)  # fmt: skip
_EVENT_COLUMNS: Final = (
    "kind", "start_s", "end_s", "peak", "threshold", "unit", "severity", "outcome", "rule",
    "context", "probability", "frames_agree", "sensors_agree", "points", "points_spared",
    "sentence",
)  # fmt: skip


def table_of(store: ResultStore, subject: str, period: Period) -> pd.DataFrame:
    """Return one of `SUBJECTS` in a period, in order of time or of name; times are UTC."""
    if subject == "trips":
        return _trips(store, period)
    if subject == "events":
        return _events(store, period)
    standings = store.drivers(period) if subject == "drivers" else store.vehicles(period)
    columns = [name for name in Standing.__dataclass_fields__ if name != "month"]
    rows = [asdict(standing) for standing in sorted(standings, key=lambda one: one.name)]
    return pd.DataFrame(rows, columns=columns).rename(columns={"name": subject[:-1]})


def _trips(store: ResultStore, period: Period) -> pd.DataFrame:
    t = schema.trips.c
    query = sa.select(t.started_utc_ns, *(t[name] for name in _TRIP_COLUMNS))
    return _read(store, query.where(t.variant == schema.STANDARD), t.started_utc_ns, period)


def _events(store: ResultStore, period: Period) -> pd.DataFrame:
    e, t = schema.events.c, schema.trips.c
    query = (
        sa.select(
            e.started_utc_ns, t.trip_id, t.vehicle, t.driver, *(e[name] for name in _EVENT_COLUMNS)
        )
        .join_from(schema.events, schema.trips, t.id == e.trip)
        .where(e.variant == schema.STANDARD)
    )
    return _read(store, query, e.started_utc_ns, period)


def _read(
    store: ResultStore, query: sa.Select, when: sa.ColumnElement, period: Period
) -> pd.DataFrame:
    low, high = period.utc_ns()
    if low is not None:
        query = query.where(when >= low)
    if high is not None:
        query = query.where(when < high)
    with store.transaction() as connection:
        rows = connection.execute(query.order_by(when, schema.trips.c.trip_id))
        table = pd.DataFrame(rows.fetchall(), columns=list(rows.keys()))
    started = pd.to_datetime(table.pop("started_utc_ns").astype("Int64"), unit="ns", utc=True)
    table.insert(0, "started_utc", started)
    return table


def write_table(table: pd.DataFrame, path: Path, file_format: str) -> None:
    """Write a table as one of `FORMATS`, whole or not at all.

    Raises
    ------
    StoreError
        If the file cannot be written, or the table has more rows than the format holds.
    """
    if file_format == "xlsx" and len(table) > XLSX_ROWS:
        raise StoreError(
            f"{len(table)} rows do not fit on a sheet: shorten the period or use csv or parquet"
        )
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        if file_format == "csv":
            table.to_csv(temporary, index=False)
        elif file_format == "parquet":
            table.to_parquet(temporary, index=False)
        else:
            _write_xlsx(table, temporary)
        temporary.replace(path)
    except OSError as problem:
        raise StoreError(f"cannot write {path}: {problem}") from None
    finally:
        temporary.unlink(missing_ok=True)


def _write_xlsx(table: pd.DataFrame, path: Path) -> None:
    flat = table.copy()
    for name in flat.columns:
        if isinstance(flat[name].dtype, pd.DatetimeTZDtype):
            # Sheets know no time zones; the column's name says UTC.
            flat[name] = flat[name].dt.tz_localize(None)
    with pd.ExcelWriter(
        path, engine="xlsxwriter", datetime_format="yyyy-mm-dd hh:mm:ss",
        # A driver called =1+1 is a name and no formula.
        engine_kwargs={"options": {"strings_to_formulas": False, "strings_to_urls": False}},
    ) as book:  # fmt: skip
        flat.to_excel(book, index=False, sheet_name="gradewise", freeze_panes=(1, 0))
