"""The tables of the result store, for SQLite and PostgreSQL alike.

Names carry units. A trip may be stored in two variants: `standard`, which is what everybody
sees, and `no_road_context`, scored on request as if nothing of the road were known; only the
standard variant counts in the summary tables.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from offline.verdicts import EventKind

SCHEMA_VERSION: Final = "0002"
"""Alembic revision that this code reads and writes."""

STANDARD: Final = "standard"
NO_ROAD_CONTEXT: Final = "no_road_context"

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)

EXPOSURE_OF: Final = {kind.value: f"exposure_{kind.value}" for kind in EventKind}
POINTS_OF: Final = {kind.value: f"points_{kind.value}" for kind in EventKind}
FULL_POINTS_OF: Final = {kind.value: f"full_points_{kind.value}" for kind in EventKind}
"""Columns by kind of event: exposure in the policy's reference exposures, penalty points, and
penalty points without road context."""

# SQLite numbers rows by itself only where the key is called INTEGER.
RowId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

drivers = sa.Table(
    "drivers",
    metadata,
    sa.Column("driver", sa.Text, primary_key=True),
    sa.Column("first_stored_utc_ns", sa.BigInteger, nullable=False),
)

vehicles = sa.Table(
    "vehicles",
    metadata,
    sa.Column("vehicle", sa.Text, primary_key=True),
    sa.Column("vehicle_class", sa.Text, nullable=False),
    sa.Column("first_stored_utc_ns", sa.BigInteger, nullable=False),
)

policies = sa.Table(
    "policies",
    metadata,
    # What trips were scored with, so that a period of them can be scored.
    sa.Column("policy_sha256", sa.Text, primary_key=True),
    sa.Column("document", sa.JSON, nullable=False),
)

trips = sa.Table(
    "trips",
    metadata,
    sa.Column("id", RowId, primary_key=True),
    sa.Column("trip_id", sa.Text, nullable=False),
    sa.Column("variant", sa.Text, nullable=False),
    sa.Column("trip_path", sa.Text, nullable=False),
    sa.Column("vehicle", sa.Text, sa.ForeignKey("vehicles.vehicle"), nullable=False),
    sa.Column("driver", sa.Text, nullable=False),  # empty: unknown, or taken out by a purge
    sa.Column("started_utc_ns", sa.BigInteger),  # NULL: the trip has no usable clock
    sa.Column("day", sa.Date),  # UTC day of the start
    sa.Column("origin", sa.JSON, nullable=False),
    sa.Column("simulated", sa.Boolean, nullable=False),  # any part of it is not measured
    sa.Column("road_context", sa.Text, nullable=False),
    # Columns of the score with road context, repeated here so that lists need no join.
    sa.Column("score", sa.Float),
    sa.Column("band", sa.Text),
    sa.Column("score_without_context", sa.Float),
    sa.Column("distance_km", sa.Float, nullable=False),
    sa.Column("events_kept", sa.Integer, nullable=False),
    sa.Column("events_exonerated", sa.Integer, nullable=False),
    sa.Column("events_undetermined", sa.Integer, nullable=False),
    sa.Column("points", sa.Float, nullable=False),
    sa.Column("points_spared", sa.Float, nullable=False),
    # Provenance.
    sa.Column("trip_sha256", sa.Text, nullable=False),
    sa.Column("model_name", sa.Text, nullable=False),
    sa.Column("model_sha256", sa.Text, nullable=False),
    sa.Column("policy_name", sa.Text, nullable=False),
    sa.Column("policy_sha256", sa.Text, nullable=False),
    sa.Column("software", sa.Text, nullable=False),
    sa.Column("profile_sha256", sa.Text, nullable=False, server_default=""),
    sa.Column("scored_utc_ns", sa.BigInteger, nullable=False),
    # Files below the results folder; NULL where there is none or it was purged.
    sa.Column("timeline_file", sa.Text),
    sa.Column("labels_file", sa.Text),
    sa.Column("stills_file", sa.Text),
    sa.UniqueConstraint("trip_id", "variant"),
    sa.Index("ix_trips_variant_started", "variant", "started_utc_ns"),
    sa.Index("ix_trips_driver_day", "driver", "day"),
    sa.Index("ix_trips_vehicle_day", "vehicle", "day"),
    sa.Index("ix_trips_score", "variant", "score"),
)

exposure = sa.Table(
    "exposure",
    metadata,
    sa.Column("trip", RowId, sa.ForeignKey("trips.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("distance_km", sa.Float, nullable=False),
    sa.Column("duration_s", sa.Float, nullable=False),
    sa.Column("moving_s", sa.Float, nullable=False),
    sa.Column("engine_on_s", sa.Float, nullable=False),
    sa.Column("speed_coverage", sa.Float, nullable=False),
    sa.Column("scene_coverage", sa.Float, nullable=False),
    sa.Column("judged", sa.Float, nullable=False),
    sa.Column("coolant_start_c", sa.Float),
    sa.Column("cold_s", sa.Float, nullable=False),
    # NULL: the kind was not looked for.
    *(sa.Column(name, sa.Float) for name in EXPOSURE_OF.values()),
)

scores = sa.Table(
    "scores",
    metadata,
    sa.Column("trip", RowId, sa.ForeignKey("trips.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("with_road_context", sa.Boolean, primary_key=True),
    sa.Column("value", sa.Float),
    sa.Column("band", sa.Text),
    sa.Column("low", sa.Float),
    sa.Column("high", sa.Float),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("parts", sa.JSON, nullable=False),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("trip", RowId, sa.ForeignKey("trips.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),  # 0, 1, … in order of time
    sa.Column("variant", sa.Text, nullable=False),
    sa.Column("vehicle", sa.Text, nullable=False),
    sa.Column("started_utc_ns", sa.BigInteger),  # of the event
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("start_s", sa.Float, nullable=False),
    sa.Column("end_s", sa.Float, nullable=False),
    sa.Column("peak", sa.Float, nullable=False),
    sa.Column("threshold", sa.Float, nullable=False),
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("severity", sa.Float, nullable=False),
    # The verdict on it.
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("context", sa.Text, nullable=False),
    sa.Column("probability", sa.Float),
    sa.Column("frames_agree", sa.Float),
    sa.Column("frames", sa.JSON, nullable=False),
    sa.Column("sensors_agree", sa.Boolean),
    sa.Column("points", sa.Float, nullable=False),
    sa.Column("points_spared", sa.Float, nullable=False),
    sa.Column("sentence", sa.Text, nullable=False),
    sa.Index("ix_events_vehicle_started", "vehicle", "started_utc_ns"),
)


def _summary_columns() -> list[sa.Column]:
    return [
        sa.Column("trips", sa.Integer, nullable=False),
        sa.Column("scored_trips", sa.Integer, nullable=False),
        sa.Column("distance_km", sa.Float, nullable=False),
        sa.Column("duration_s", sa.Float, nullable=False),
        sa.Column("speed_known_s", sa.Float, nullable=False),
        sa.Column("moving_s", sa.Float, nullable=False),
        sa.Column("judged_s", sa.Float, nullable=False),
        sa.Column("engine_on_s", sa.Float, nullable=False),
        sa.Column("events_kept", sa.Integer, nullable=False),
        sa.Column("events_exonerated", sa.Integer, nullable=False),
        sa.Column("events_undetermined", sa.Integer, nullable=False),
        sa.Column("points", sa.Float, nullable=False),
        sa.Column("points_spared", sa.Float, nullable=False),
        sa.Column("simulated_trips", sa.Integer, nullable=False),
        *(
            sa.Column(name, sa.Float, nullable=False)
            for columns in (EXPOSURE_OF, POINTS_OF, FULL_POINTS_OF)
            for name in columns.values()
        ),
        # Of the latest trip: its start in UTC nanoseconds, a space, the policy's hash. The start
        # has 19 digits from 2001 to 2286, so that the greatest text is the latest trip's.
        sa.Column("latest_policy", sa.Text, nullable=False),
    ]


def _score_columns() -> list[sa.Column]:
    return [
        sa.Column("score", sa.Float),
        sa.Column("band", sa.Text),
        sa.Column("low", sa.Float),
        sa.Column("high", sa.Float),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("score_without_context", sa.Float),
    ]


def _summary(name: str, who: str, since: str) -> sa.Table:
    return sa.Table(
        name,
        metadata,
        # The period first: a leaderboard reads one contiguous stretch.
        sa.Column(since, sa.Date, primary_key=True),
        sa.Column(who, sa.Text, primary_key=True),
        *_summary_columns(),
        # A day says too little to be scored; a month's score is what a leaderboard reads.
        *(_score_columns() if since == "month" else ()),
        sa.Index(f"ix_{name}_{who}", who, since),
        sqlite_with_rowid=False,
    )


driver_days = _summary("driver_days", "driver", "day")
driver_months = _summary("driver_months", "driver", "month")
vehicle_days = _summary("vehicle_days", "vehicle", "day")
vehicle_months = _summary("vehicle_months", "vehicle", "month")

history = sa.Table(
    "history",
    metadata,
    sa.Column("id", RowId, primary_key=True),
    sa.Column("trip_id", sa.Text, nullable=False),
    sa.Column("variant", sa.Text, nullable=False),
    sa.Column("scored_utc_ns", sa.BigInteger, nullable=False),
    sa.Column("replaced_utc_ns", sa.BigInteger, nullable=False),
    sa.Column("result", sa.JSON, nullable=False),  # scores, verdicts, exposure, provenance
    sa.Column("changes", sa.JSON, nullable=False),  # sentences
    sa.Index("ix_history_trip_id", "trip_id"),
)

failed_trips = sa.Table(
    "failed_trips",
    metadata,
    sa.Column("trip_path", sa.Text, primary_key=True),
    sa.Column("variant", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("failed_utc_ns", sa.BigInteger, nullable=False),
    sa.Column("fingerprint", sa.Text, nullable=False),  # of the trip, model, policy, software
)

erased = sa.Table(
    "erased",
    metadata,
    # Only the hash stays, so that a copy of an erased trip is not scored again.
    sa.Column("trip_sha256", sa.Text, primary_key=True),
    sa.Column("erased_utc_ns", sa.BigInteger, nullable=False),
)
