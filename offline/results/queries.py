"""Reads the tables. Fleet questions read summary rows, never one trip at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import date
from typing import Any

import sqlalchemy as sa

from offline.errors import StoreError
from offline.results import schema, summaries
from offline.results.rows import (
    ORDERS,
    FailedTrip,
    PastResult,
    Period,
    Standing,
    StoredTrip,
    TripFilter,
    TripRow,
    VehicleEvent,
)
from offline.verdicts import Event, EventKind, Exposure, Outcome, Provenance, Score, Verdict

_TRIP_ROW = [schema.trips.c[field.name] for field in fields(TripRow)]
_PROVENANCE = [field.name for field in fields(Provenance)]
_EXPOSURE = [field.name for field in fields(Exposure) if field.name != "by_kind"]
_STANDING = [field.name for field in fields(Standing) if field.name not in ("name", "month")]
_SORT = {
    "started": schema.trips.c.started_utc_ns,
    "score": schema.trips.c.score,
    "distance": schema.trips.c.distance_km,
    "driver": schema.trips.c.driver,
    "vehicle": schema.trips.c.vehicle,
    "spared": schema.trips.c.points_spared,
}


def list_trips(
    connection: sa.Connection, wanted: TripFilter, order: str, limit: int | None, offset: int
) -> list[TripRow]:
    """List trips; those without the value that sorts come last.

    Raises
    ------
    StoreError
        If `order` is none of `ORDERS`, with or without a leading `-`.
    """
    name = order.removeprefix("-")
    if name not in _SORT:
        raise StoreError(f"trips cannot be sorted by {order!r}: use one of {', '.join(ORDERS)}")
    column: sa.ColumnElement = _SORT[name]
    direction = column.desc() if order.startswith("-") else column.asc()
    conditions = _conditions(wanted)
    # Two questions and no NULLS LAST: PostgreSQL would sort the whole table for that.
    valued = [*conditions, column.is_not(None)]
    found = (
        sa.select(*_TRIP_ROW)
        .where(*valued)
        .order_by(direction, schema.trips.c.trip_id)
        .limit(limit)
        .offset(offset)
    )
    rows = [TripRow(**row._mapping) for row in connection.execute(found)]
    if limit is not None and len(rows) >= limit:
        return rows
    if not rows and offset:
        count = sa.select(sa.func.count()).select_from(schema.trips).where(*valued)
        offset -= int(connection.execute(count).scalar_one())
    else:
        offset = 0
    rest = (
        sa.select(*_TRIP_ROW)
        .where(*conditions, column.is_(None))
        .order_by(schema.trips.c.trip_id)
        .limit(None if limit is None else limit - len(rows))
        .offset(max(0, offset))
    )
    return rows + [TripRow(**row._mapping) for row in connection.execute(rest)]


def count_trips(connection: sa.Connection, wanted: TripFilter) -> int:
    """Count the trips that a filter leaves."""
    query = sa.select(sa.func.count()).select_from(schema.trips).where(*_conditions(wanted))
    return int(connection.execute(query).scalar_one())


def _conditions(wanted: TripFilter) -> list[sa.ColumnElement[bool]]:
    t = schema.trips.c
    found: list[sa.ColumnElement[bool]] = [t.variant == wanted.variant]
    low, high = wanted.period.utc_ns()
    if low is not None:
        found.append(t.started_utc_ns >= low)
    if high is not None:
        found.append(t.started_utc_ns < high)
    if wanted.driver is not None:
        found.append(t.driver == wanted.driver)
    if wanted.vehicle is not None:
        found.append(t.vehicle == wanted.vehicle)
    if wanted.band is not None:
        found.append(t.band == wanted.band)
    if wanted.scored is not None:
        found.append(t.score.is_not(None) if wanted.scored else t.score.is_(None))
    if wanted.text:
        found.append(
            sa.or_(
                t.trip_id.icontains(wanted.text, autoescape=True),
                t.driver.icontains(wanted.text, autoescape=True),
            )
        )
    if wanted.with_event is not None:
        e = schema.events.c
        found.append(sa.exists(sa.select(1).where(e.trip == t.id, e.kind == wanted.with_event)))
    return found


def stored_trip(connection: sa.Connection, trip_id: str, variant: str) -> StoredTrip:
    """Return one trip.

    Raises
    ------
    StoreError
        If the store has no such trip.
    """
    row = trip_row(connection, trip_id, variant)
    exposure = connection.execute(
        sa.select(schema.exposure).where(schema.exposure.c.trip == row.id)
    ).one()
    vehicle_class = connection.execute(
        sa.select(schema.vehicles.c.vehicle_class).where(schema.vehicles.c.vehicle == row.vehicle)
    ).scalar_one()
    scores = {
        score.with_road_context: Score(
            score.value, score.band, score.low, score.high, score.reason, score.parts
        )
        for score in connection.execute(
            sa.select(schema.scores).where(schema.scores.c.trip == row.id)
        )
    }
    return StoredTrip(
        trip_id=row.trip_id,
        variant=row.variant,
        trip_path=row.trip_path,
        vehicle=row.vehicle,
        vehicle_class=vehicle_class,
        driver=row.driver,
        started_utc_ns=row.started_utc_ns,
        origin=row.origin,
        simulated=row.simulated,
        road_context=row.road_context,
        exposure=Exposure(
            **{name: getattr(exposure, name) for name in _EXPOSURE},
            by_kind={
                kind: getattr(exposure, column)
                for kind, column in schema.EXPOSURE_OF.items()
                if getattr(exposure, column) is not None
            },
        ),
        score=scores[True],
        score_without_context=scores[False],
        provenance=Provenance(**{name: getattr(row, name) for name in _PROVENANCE}),
        scored_utc_ns=row.scored_utc_ns,
        has_timeline=row.timeline_file is not None,
        has_labels=row.labels_file is not None,
        has_stills=row.stills_file is not None,
    )


def trip_row(connection: sa.Connection, trip_id: str, variant: str) -> Any:
    """Return the row of `trips`, or raise `StoreError`."""
    t = schema.trips.c
    row = connection.execute(
        sa.select(schema.trips).where(t.trip_id == trip_id, t.variant == variant)
    ).first()
    if row is None:
        raise StoreError(f"the store has no trip {trip_id!r}: `gradewise-offline score` stores one")
    return row


def load_verdicts(connection: sa.Connection, trip: int) -> tuple[Verdict, ...]:
    """Return the verdicts of a row of `trips` in order of time."""
    e = schema.events.c
    rows = connection.execute(sa.select(schema.events).where(e.trip == trip).order_by(e.number))
    return tuple(_verdict(row) for row in rows)


def vehicle_events(
    connection: sa.Connection, vehicle: str, period: Period, limit: int | None
) -> list[VehicleEvent]:
    """Return the events of a vehicle, latest first."""
    e, t = schema.events.c, schema.trips.c
    low, high = period.utc_ns()
    query = (
        sa.select(schema.events, t.trip_id, t.driver)
        .join_from(schema.events, schema.trips, t.id == e.trip)
        .where(e.vehicle == vehicle, e.variant == schema.STANDARD)
        .order_by(e.started_utc_ns.desc())
        .limit(limit)
    )
    if low is not None:
        query = query.where(e.started_utc_ns >= low)
    if high is not None:
        query = query.where(e.started_utc_ns < high)
    return [
        VehicleEvent(row.trip_id, row.driver, row.number, row.started_utc_ns, _verdict(row))
        for row in connection.execute(query)
    ]


def standings(
    connection: sa.Connection,
    who: str,
    period: Period,
    *,
    name: str | None = None,
    by_month: bool = False,
    min_km: float = 0.0,
    limit: int | None = None,
) -> list[Standing]:
    """Add up a period by driver or vehicle, best score first, those without one last.

    Parameters
    ----------
    who : str
        `driver` or `vehicle`.
    name : str, optional
        Only this one.
    by_month : bool
        One row a calendar month, in order of time; the period must be whole months.
    min_km : float
        Distance under which nobody is ranked with others.
    """
    months = period.whole_months()
    if by_month and not months:
        raise StoreError("a division by months needs a period of whole months")
    table = {
        ("driver", True): schema.driver_months,
        ("driver", False): schema.driver_days,
        ("vehicle", True): schema.vehicle_months,
        ("vehicle", False): schema.vehicle_days,
    }[who, months]
    c = table.c
    when = c.month if months else c.day
    conditions = []
    if period.first is not None:
        conditions.append(when >= period.first)
    if period.last is not None:
        conditions.append(when <= period.last)
    if name is not None:
        conditions.append(c[who] == name)
    if by_month or period.one_month():
        # Scored when it was stored.
        ranked = (c.month,) if by_month else (c.score.desc().nulls_last(), c[who])
        query = (
            sa.select(*(c[column] for column in (who, "month", *_STANDING)))
            .where(*conditions, c.distance_km >= min_km)
            .order_by(*ranked)
            .limit(limit)
        )
        rows = [row._asdict() for row in connection.execute(query)]
        return [_standing(row, who, row["month"] if by_month else None) for row in rows]
    query = (
        sa.select(c[who], *summaries.sums(table))
        .where(*conditions)
        .group_by(c[who])
        .having(sa.func.sum(c.distance_km) >= min_km)
    )
    periods = summaries.PeriodScores(connection)
    found = [
        _standing(row._asdict() | periods.columns(row._asdict()), who, None)
        for row in connection.execute(query)
    ]
    found.sort(key=lambda one: (one.score is None, -(one.score or 0.0), one.name))
    return found[:limit]


def _standing(values: Mapping[str, Any], who: str, month: date | None) -> Standing:
    return Standing(name=values[who], month=month, **{field: values[field] for field in _STANDING})


def _verdict(row: Any) -> Verdict:
    return Verdict(
        event=Event(
            EventKind(row.kind),
            row.start_s,
            row.end_s,
            row.peak,
            row.threshold,
            row.unit,
            row.severity,
        ),
        outcome=Outcome(row.outcome),
        rule=row.rule,
        context=row.context,
        probability=row.probability,
        frames_agree=row.frames_agree,
        frames=tuple(row.frames),
        sensors_agree=row.sensors_agree,
        points=row.points,
        points_spared=row.points_spared,
        sentence=row.sentence,
    )


def list_history(connection: sa.Connection, trip_id: str, variant: str) -> list[PastResult]:
    """Return the results that were replaced, latest first."""
    h = schema.history.c
    rows = connection.execute(
        sa.select(schema.history)
        .where(h.trip_id == trip_id, h.variant == variant)
        .order_by(h.id.desc())
    )
    return [
        PastResult(**{f.name: getattr(row, f.name) for f in fields(PastResult)}) for row in rows
    ]


def list_changes(
    connection: sa.Connection, since_utc_ns: int, variant: str
) -> dict[str, list[str]]:
    """Return by trip what its results that were replaced since then differed in."""
    h = schema.history.c
    rows = connection.execute(
        sa.select(h.trip_id, h.changes)
        .where(h.replaced_utc_ns >= since_utc_ns, h.variant == variant)
        .order_by(h.trip_id, h.id)
    )
    found: dict[str, list[str]] = {}
    for trip_id, sentences in rows:
        found.setdefault(trip_id, []).extend(sentences)
    return found


def list_failed(connection: sa.Connection) -> list[FailedTrip]:
    """Return the trips set aside, in order of their paths."""
    rows = connection.execute(
        sa.select(schema.failed_trips).order_by(schema.failed_trips.c.trip_path)
    )
    return [FailedTrip(**row._mapping) for row in rows]


def days_of_trips(connection: sa.Connection) -> tuple[date | None, date | None]:
    """Return the first and the last day with a trip."""
    t = schema.trips.c
    row = connection.execute(
        sa.select(sa.func.min(t.day), sa.func.max(t.day)).where(t.variant == schema.STANDARD)
    ).one()
    return row[0], row[1]
