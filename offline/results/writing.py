"""Puts a staged result into the tables, in one transaction with all that follows from it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from offline.results import schema
from offline.results.queries import load_verdicts, stored_trip
from offline.results.staging import StagedResult, variant_of
from offline.results.summaries import Touched
from offline.verdicts import Exposure, Outcome, Score, TripResult, Verdict

NOT_SIMULATED = ("measured", "recorded", "none", "")
"""Values of `TripResult.origin` under which nothing of a trip is simulated."""


def write_result(
    connection: sa.Connection, staged: StagedResult, now_ns: int
) -> tuple[list[str], set[Touched]]:
    """Insert a result or put it in the place of an older one of the same trip and variant.

    Returns
    -------
    list of str
        Files that no row names any more once the transaction is committed.
    set of Touched
        Summary rows to refresh in the same transaction.
    """
    result, variant = staged.result, variant_of(staged.result)
    t = schema.trips.c
    touched: set[Touched] = set()
    replaced: list[str] = []
    old = connection.execute(
        sa.select(schema.trips).where(t.trip_id == result.trip_id, t.variant == variant)
    ).first()
    if old is not None:
        replaced = [f for f in (old.timeline_file, old.labels_file, old.stills_file) if f]
        touched |= touched_by(old)
        _keep_history(connection, old, staged.result, now_ns)
        delete_trips(connection, [old.id])
    _insert_if_absent(
        connection,
        schema.vehicles,
        vehicle=result.vehicle,
        vehicle_class=result.vehicle_class,
        first_stored_utc_ns=now_ns,
    )
    if result.driver:
        _insert_if_absent(
            connection, schema.drivers, driver=result.driver, first_stored_utc_ns=now_ns
        )
    if staged.policy is not None:
        _insert_if_absent(
            connection,
            schema.policies,
            policy_sha256=staged.policy.sha256,
            document=staged.policy.model_dump(mode="json"),
        )
    row = trip_values(staged, now_ns)
    inserted = connection.execute(schema.trips.insert().returning(t.id, t.day), row).one()
    if inserted.day is not None and variant == schema.STANDARD:
        touched |= {(who, row[who], inserted.day) for who in ("driver", "vehicle")}
    connection.execute(
        schema.exposure.insert(),
        {"trip": inserted.id} | _exposure_values(result.exposure),
    )
    connection.execute(
        schema.scores.insert(),
        [
            _score_values(inserted.id, True, result.score),
            _score_values(inserted.id, False, result.score_without_context),
        ],
    )
    if result.verdicts:
        connection.execute(
            schema.events.insert(),
            [
                event_values(inserted.id, number, variant, result, verdict)
                for number, verdict in enumerate(result.verdicts)
            ],
        )
    f = schema.failed_trips.c
    connection.execute(
        sa.delete(schema.failed_trips).where(f.trip_path == result.trip_path, f.variant == variant)
    )
    return replaced, touched


def touched_by(row: Any) -> set[Touched]:
    """Name the summary rows that depend on a row of `trips`."""
    if row.day is None or row.variant != schema.STANDARD:
        return set()
    return {("driver", row.driver, row.day), ("vehicle", row.vehicle, row.day)}


def delete_trips(connection: sa.Connection, ids: list[int]) -> None:
    """Delete rows of `trips` with all that hangs on them."""
    for table in (schema.events, schema.scores, schema.exposure):
        connection.execute(sa.delete(table).where(table.c.trip.in_(ids)))
    connection.execute(sa.delete(schema.trips).where(schema.trips.c.id.in_(ids)))


def utc_day(started_utc_ns: int | None) -> date | None:
    """Return the UTC day of an instant."""
    if started_utc_ns is None:
        return None
    return datetime.fromtimestamp(started_utc_ns // 1_000_000_000, UTC).date()


def trip_values(staged: StagedResult, now_ns: int) -> dict[str, Any]:
    """Lay a result out as a row of `trips`."""
    result = staged.result
    outcomes = [verdict.outcome for verdict in result.verdicts]
    return {
        "trip_id": result.trip_id,
        "variant": variant_of(result),
        "trip_path": result.trip_path,
        "vehicle": result.vehicle,
        "driver": result.driver,
        "started_utc_ns": result.started_utc_ns,
        "day": utc_day(result.started_utc_ns),
        "origin": result.origin,
        "simulated": any(
            value not in NOT_SIMULATED for key, value in result.origin.items() if key != "note"
        ),
        "road_context": result.road_context,
        "score": result.score.value,
        "band": result.score.band,
        "score_without_context": result.score_without_context.value,
        "distance_km": finite_or_zero(result.exposure.distance_km),
        "events_kept": outcomes.count(Outcome.KEPT),
        "events_exonerated": outcomes.count(Outcome.EXONERATED),
        "events_undetermined": outcomes.count(Outcome.UNDETERMINED),
        "points": math.fsum(v.points for v in result.verdicts),
        "points_spared": math.fsum(v.points_spared for v in result.verdicts),
        **asdict(result.provenance),
        "scored_utc_ns": now_ns,
        "timeline_file": staged.timeline_file,
        "labels_file": staged.labels_file,
        "stills_file": staged.stills_file,
    }


def event_values(
    trip: int, number: int, variant: str, result: TripResult, verdict: Verdict
) -> dict[str, Any]:
    """Lay a verdict out as a row of `events`."""
    event = verdict.event
    started = result.started_utc_ns
    return {
        "trip": trip,
        "number": number,
        "variant": variant,
        "vehicle": result.vehicle,
        "started_utc_ns": None if started is None else started + round(event.start_s * 1e9),
        "kind": str(event.kind),
        "start_s": float(event.start_s),
        "end_s": float(event.end_s),
        "peak": float(event.peak),
        "threshold": float(event.threshold),
        "unit": event.unit,
        "severity": float(event.severity),
        "outcome": str(verdict.outcome),
        "rule": verdict.rule,
        "context": verdict.context,
        "probability": _number(verdict.probability),
        "frames_agree": _number(verdict.frames_agree),
        "frames": [int(frame) for frame in verdict.frames],
        "sensors_agree": None if verdict.sensors_agree is None else bool(verdict.sensors_agree),
        "points": float(verdict.points),
        "points_spared": float(verdict.points_spared),
        "sentence": verdict.sentence,
    }


def _score_values(trip: int, with_road_context: bool, score: Score) -> dict[str, Any]:
    return {
        "trip": trip,
        "with_road_context": with_road_context,
        "value": _number(score.value),
        "band": score.band,
        "low": _number(score.low),
        "high": _number(score.high),
        "reason": score.reason,
        "parts": {name: _number(value) for name, value in score.parts.items()},
    }


def _exposure_values(exposure: Exposure) -> dict[str, Any]:
    values = asdict(exposure)
    for name in ("distance_km", "duration_s", "moving_s", "engine_on_s", "cold_s"):
        values[name] = finite_or_zero(values[name])
    by_kind = values.pop("by_kind")
    for kind, column in schema.EXPOSURE_OF.items():
        values[column] = finite_or_zero(by_kind[kind]) if kind in by_kind else None
    return values


def _number(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else float(value)


def finite_or_zero(value: float) -> float:
    """Return an exposure as a number that sums: nothing measured is no exposure."""
    return float(value) if math.isfinite(value) else 0.0


def _insert_if_absent(connection: sa.Connection, table: sa.Table, **values: Any) -> None:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    connection.execute(dialect.insert(table).values(**values).on_conflict_do_nothing())


def _keep_history(connection: sa.Connection, old: Any, new: TripResult, now_ns: int) -> None:
    before = stored_trip(connection, old.trip_id, old.variant)
    verdicts = load_verdicts(connection, old.id)
    connection.execute(
        schema.history.insert(),
        {
            "trip_id": old.trip_id,
            "variant": old.variant,
            "scored_utc_ns": old.scored_utc_ns,
            "replaced_utc_ns": now_ns,
            "result": {
                "score": asdict(before.score),
                "score_without_context": asdict(before.score_without_context),
                "exposure": asdict(before.exposure),
                "provenance": asdict(before.provenance),
                "verdicts": [asdict(verdict) for verdict in verdicts],
            },
            "changes": changes(before.score, new.score, verdicts, new.verdicts),
        },
    )


def changes(
    old_score: Score, new_score: Score, old: Iterable[Verdict], new: Iterable[Verdict]
) -> list[str]:
    """Say what another scoring changed, in sentences.

    Events are the same where their kind is and they overlap in time.
    """
    said: list[str] = []
    if old_score.value != new_score.value:
        said.append(f"score {_shown(old_score)} is now {_shown(new_score)}")
    unmatched = list(new)
    for before in old:
        same = [
            verdict
            for verdict in unmatched
            if verdict.event.kind == before.event.kind
            and verdict.event.start_s < before.event.end_s
            and verdict.event.end_s > before.event.start_s
        ]
        if not same:
            said.append(f"{_where(before)} is no event any more (was {before.outcome})")
            continue
        unmatched.remove(same[0])
        if same[0].outcome != before.outcome:
            said.append(f"{_where(before)} was {before.outcome}, is now {same[0].outcome}")
        elif abs(same[0].points - before.points) >= 0.005:
            said.append(
                f"{_where(before)} cost {before.points:.2f} points, now costs {same[0].points:.2f}"
            )
    said += [f"{_where(verdict)} is new ({verdict.outcome})" for verdict in unmatched]
    return said


def _where(verdict: Verdict) -> str:
    kind = str(verdict.event.kind).replace("_", " ")
    return f"{kind} at {verdict.event.start_s:.0f} s"


def _shown(score: Score) -> str:
    return "none" if score.value is None else f"{score.value:.1f}"
