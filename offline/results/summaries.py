"""Keeps the summary tables equal to what the trips say, and scores periods from them.

A summary row is never counted up: it is computed anew from the trips of its day (and a month
from its days), so that scoring a trip twice, replacing or erasing it cannot make it drift.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from pydantic import ValidationError

from offline.policy import Policy
from offline.results.schema import (
    EXPOSURE_OF,
    FULL_POINTS_OF,
    POINTS_OF,
    STANDARD,
    driver_days,
    driver_months,
    events,
    exposure,
    policies,
    trips,
    vehicle_days,
    vehicle_months,
)
from offline.verdicts import Score

if TYPE_CHECKING:
    from offline.score import Totals

Touched = tuple[str, str, date]
"""A summary row: `driver` or `vehicle`, its name, the day."""

_TABLES = (("driver", driver_days, driver_months), ("vehicle", vehicle_days, vehicle_months))
_SUMS = tuple(column.name for column in driver_days.columns if column.name not in ("day", "driver"))


def refresh(connection: sa.Connection, touched: set[Touched]) -> None:
    """Compute the rows of some driver-days or vehicle-days anew, and their months.

    Parameters
    ----------
    touched : set of Touched
        A driver without a name has no summary.
    """
    periods = PeriodScores(connection)
    for who, days, months in _TABLES:
        own = sorted({(name, day) for kind, name, day in touched if kind == who and name})
        for name, day in own:
            t = trips.c
            connection.execute(sa.delete(days).where(days.c.day == day, days.c[who] == name))
            _insert_days(connection, who, days, sa.and_(t[who] == name, t.day == day))
        for name, month in sorted({(name, day.replace(day=1)) for name, day in own}):
            after = date(month.year + month.month // 12, month.month % 12 + 1, 1)
            row = connection.execute(
                sa.select(*sums(days))
                .where(days.c[who] == name, days.c.day >= month, days.c.day < after)
                .having(sa.func.count() > 0)
            ).first()
            connection.execute(
                sa.delete(months).where(months.c.month == month, months.c[who] == name)
            )
            if row is not None:
                values = row._asdict()
                connection.execute(
                    months.insert(), {"month": month, who: name} | values | periods.columns(values)
                )


def rebuild(connection: sa.Connection) -> None:
    """Compute all summary tables from the trips."""
    periods = PeriodScores(connection)
    for who, days, months in _TABLES:
        connection.execute(sa.delete(days))
        connection.execute(sa.delete(months))
        _insert_days(connection, who, days, sa.and_(trips.c[who] != "", trips.c.day.is_not(None)))
        month: sa.ColumnElement = (
            sa.func.strftime("%Y-%m-01", days.c.day)
            if connection.dialect.name == "sqlite"
            else sa.func.to_char(days.c.day, "YYYY-MM-01")
        )
        rows = connection.execute(
            sa.select(month.label("month"), days.c[who], *sums(days)).group_by(month, days.c[who])
        ).fetchall()
        made = [
            row._asdict()
            | {"month": date.fromisoformat(row.month)}
            | periods.columns(row._asdict())
            for row in rows
        ]
        if made:
            connection.execute(months.insert(), made)


def sums(table: sa.Table) -> list[sa.ColumnElement]:
    """Return the columns of a summary table, each added up over the rows of a period."""
    return [
        (sa.func.max if name == "latest_policy" else sa.func.sum)(table.c[name]).label(name)
        for name in _SUMS
    ]


class PeriodScores:
    """Scores sums of trips by the formula that scores a trip, under the policies in a store."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._policies: dict[str, Policy | None] = {}

    def scores(self, row: Mapping[str, Any]) -> tuple[Score, Score]:
        """Score the sums in a row of a summary table, with and without road context.

        The policy is that of the latest trip: points of trips that were scored under another
        one are added as they are.
        """
        sha256 = row["latest_policy"].rpartition(" ")[2]
        policy = self._policy(sha256)
        if policy is None:
            reason = f"the store lacks the policy {sha256[:12]}: score a trip with it"
            missing = Score(None, None, None, None, reason)
            return missing, missing
        # SciPy is behind it, which the dashboard's pages of trips and months do without.
        from offline.score import score_from_totals

        return (
            score_from_totals(_totals(row, POINTS_OF, row["judged_s"]), policy),
            # Without road context nothing is left undetermined.
            score_from_totals(_totals(row, FULL_POINTS_OF, row["moving_s"]), policy),
        )

    def columns(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the scores of a row as columns of a table of months."""
        score, without = self.scores(row)
        return {
            "score": score.value,
            "band": score.band,
            "low": score.low,
            "high": score.high,
            "reason": score.reason,
            "score_without_context": without.value,
        }

    def _policy(self, sha256: str) -> Policy | None:
        if sha256 not in self._policies:
            document = self._connection.execute(
                sa.select(policies.c.document).where(policies.c.policy_sha256 == sha256)
            ).scalar()
            try:
                # Absent, or written by software whose policies had other keys.
                self._policies[sha256] = Policy.model_validate(document)
            except ValidationError:
                self._policies[sha256] = None
        return self._policies[sha256]


def _totals(row: Mapping[str, Any], points: Mapping[str, str], judged_s: float) -> Totals:
    from offline.score import Totals

    return Totals(
        points={kind: row[column] for kind, column in points.items()},
        exposure={kind: row[column] for kind, column in EXPOSURE_OF.items()},
        distance_km=row["distance_km"],
        duration_s=row["duration_s"],
        speed_known_s=row["speed_known_s"],
        moving_s=row["moving_s"],
        judged_s=judged_s,
    )


def _insert_days(
    connection: sa.Connection, who: str, days: sa.Table, condition: sa.ColumnElement[bool]
) -> None:
    """Add up the trips that a condition names, by day."""
    t, x, e = trips.c, exposure.c, events.c
    standard = sa.and_(t.variant == STANDARD, condition)
    by_kind = {
        column: sa.func.sum(sa.case((e.kind == kind, points), else_=0.0))
        for columns, points in ((POINTS_OF, e.points), (FULL_POINTS_OF, e.points + e.points_spared))
        for kind, column in columns.items()
    }
    # Two questions, for a trip's row must not be repeated by its events.
    cost = (
        sa.select(t.day, t[who], *(value.label(column) for column, value in by_kind.items()))
        .join_from(trips, events, e.trip == t.id)
        .where(standard)
        .group_by(t.day, t[who])
        .subquery()
    )
    latest = sa.func.max(sa.cast(t.started_utc_ns, sa.Text) + " " + t.policy_sha256)
    driven = {
        "trips": sa.func.count(),
        "scored_trips": sa.func.sum(sa.case((t.score.is_not(None), 1), else_=0)),
        "distance_km": sa.func.sum(t.distance_km),
        "duration_s": sa.func.sum(x.duration_s),
        "speed_known_s": sa.func.sum(x.speed_coverage * x.duration_s),
        "moving_s": sa.func.sum(x.moving_s),
        "judged_s": sa.func.sum(x.judged * x.moving_s),
        "engine_on_s": sa.func.sum(x.engine_on_s),
        "events_kept": sa.func.sum(t.events_kept),
        "events_exonerated": sa.func.sum(t.events_exonerated),
        "events_undetermined": sa.func.sum(t.events_undetermined),
        "points": sa.func.sum(t.points),
        "points_spared": sa.func.sum(t.points_spared),
        "simulated_trips": sa.func.sum(sa.case((t.simulated, 1), else_=0)),
        "latest_policy": latest,
    } | {column: sa.func.coalesce(sa.func.sum(x[column]), 0.0) for column in EXPOSURE_OF.values()}
    sums_of_trips = (
        sa.select(t.day, t[who], *(value.label(column) for column, value in driven.items()))
        .join_from(trips, exposure, x.trip == t.id)
        .where(standard)
        .group_by(t.day, t[who])
        .subquery()
    )
    columns = [
        sums_of_trips.c[name] if name in driven else sa.func.coalesce(cost.c[name], 0.0)
        for name in _SUMS
    ]
    same = sa.and_(cost.c.day == sums_of_trips.c.day, cost.c[who] == sums_of_trips.c[who])
    connection.execute(
        days.insert().from_select(
            ["day", who, *_SUMS],
            sa.select(sums_of_trips.c.day, sums_of_trips.c[who], *columns).join_from(
                sums_of_trips, cost, same, isouter=True
            ),
        )
    )
