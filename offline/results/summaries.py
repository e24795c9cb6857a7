"""Keeps the summary tables equal to what the trips say.

A summary row is never counted up: it is computed anew from the trips of its day (and a month
from its days), so that scoring a trip twice, replacing or erasing it cannot make it drift.
"""

from __future__ import annotations

from datetime import date

import sqlalchemy as sa

from offline.results.schema import (
    STANDARD,
    driver_days,
    driver_months,
    exposure,
    trips,
    vehicle_days,
    vehicle_months,
)

_TABLES = (("driver", driver_days, driver_months), ("vehicle", vehicle_days, vehicle_months))
_SUMS = tuple(column.name for column in driver_days.columns if column.name not in ("day", "driver"))


def refresh(connection: sa.Connection, touched: set[tuple[str, str, date]]) -> None:
    """Compute the rows of some driver-days or vehicle-days anew, and their months.

    Parameters
    ----------
    touched : set of (`driver` or `vehicle`, its name, day)
        A driver without a name has no summary.
    """
    months: set[tuple[str, str, date]] = set()
    for who, name, day in sorted(touched):
        if not name:
            continue
        _, days_table, _ = next(t for t in _TABLES if t[0] == who)
        _replace(
            connection, days_table, who, name, "day", day, _of_trips(trips.c[who] == name, who, day)
        )
        months.add((who, name, day.replace(day=1)))
    for who, name, month in sorted(months):
        _, days_table, months_table = next(t for t in _TABLES if t[0] == who)
        days = days_table.c
        after = date(month.year + month.month // 12, month.month % 12 + 1, 1)
        rows = sa.select(
            sa.literal(month), sa.literal(name), *(sa.func.sum(days[c]) for c in _SUMS)
        ).where(days[who] == name, days.day >= month, days.day < after)
        _replace(
            connection, months_table, who, name, "month", month, rows.having(sa.func.count() > 0)
        )


def rebuild(connection: sa.Connection) -> None:
    """Compute all summary tables from the trips."""
    for who, days_table, months_table in _TABLES:
        connection.execute(sa.delete(days_table))
        connection.execute(sa.delete(months_table))
        named = sa.and_(trips.c[who] != "", trips.c.day.is_not(None))
        select = _sums_of_trips(trips.c.day, trips.c[who]).where(named)
        connection.execute(
            days_table.insert().from_select(
                ["day", who, *_SUMS], select.group_by(trips.c.day, trips.c[who])
            )
        )
        days = days_table.c
        month: sa.ColumnElement = (
            sa.func.strftime("%Y-%m-01", days.day, type_=sa.Date)
            if connection.dialect.name == "sqlite"
            else sa.cast(sa.func.date_trunc("month", days.day), sa.Date)
        )
        connection.execute(
            months_table.insert().from_select(
                ["month", who, *_SUMS],
                sa.select(month, days[who], *(sa.func.sum(days[c]) for c in _SUMS)).group_by(
                    month, days[who]
                ),
            )
        )


def _replace(
    connection: sa.Connection,
    table: sa.Table,
    who: str,
    name: str,
    since: str,
    start: date,
    rows: sa.Select,
) -> None:
    connection.execute(sa.delete(table).where(table.c[since] == start, table.c[who] == name))
    connection.execute(table.insert().from_select([since, who, *_SUMS], rows))


def _of_trips(condition: sa.ColumnElement[bool], who: str, day: date) -> sa.Select:
    return (
        _sums_of_trips(trips.c.day, trips.c[who])
        .where(condition, trips.c.day == day)
        .group_by(trips.c.day, trips.c[who])
    )


def _sums_of_trips(*keys: sa.ColumnElement) -> sa.Select:
    t, e = trips.c, exposure.c
    scored = t.score.is_not(None)

    def scored_only(value: sa.ColumnElement) -> sa.ColumnElement:
        return sa.func.sum(sa.case((scored, value), else_=0.0))

    sums = {
        "trips": sa.func.count(),
        "scored_trips": sa.func.sum(sa.case((scored, 1), else_=0)),
        "distance_km": sa.func.sum(t.distance_km),
        "scored_km": scored_only(t.distance_km),
        "score_km": scored_only(t.score * t.distance_km),
        # Without a score of its own there, a trip counts the same in both columns.
        "score_without_context_km": scored_only(
            sa.func.coalesce(t.score_without_context, t.score) * t.distance_km
        ),
        "duration_s": sa.func.sum(e.duration_s),
        "moving_s": sa.func.sum(e.moving_s),
        "engine_on_s": sa.func.sum(e.engine_on_s),
        "events_kept": sa.func.sum(t.events_kept),
        "events_exonerated": sa.func.sum(t.events_exonerated),
        "events_undetermined": sa.func.sum(t.events_undetermined),
        "points": sa.func.sum(t.points),
        "points_spared": sa.func.sum(t.points_spared),
        "simulated_trips": sa.func.sum(sa.case((t.simulated, 1), else_=0)),
    }
    return (
        sa.select(*keys, *(sums[name] for name in _SUMS))
        .select_from(trips.join(exposure, exposure.c.trip == trips.c.id))
        .where(t.variant == STANDARD)
    )
