"""Trips, scores, events, summaries, history and failures."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the store to this revision."""
    op.create_table(
        "driver_days",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("driver", sa.Text(), nullable=False),
        sa.Column("trips", sa.Integer(), nullable=False),
        sa.Column("scored_trips", sa.Integer(), nullable=False),
        sa.Column("distance_km", sa.Float(), nullable=False),
        sa.Column("scored_km", sa.Float(), nullable=False),
        sa.Column("score_km", sa.Float(), nullable=False),
        sa.Column("score_without_context_km", sa.Float(), nullable=False),
        sa.Column("duration_s", sa.Float(), nullable=False),
        sa.Column("moving_s", sa.Float(), nullable=False),
        sa.Column("engine_on_s", sa.Float(), nullable=False),
        sa.Column("events_kept", sa.Integer(), nullable=False),
        sa.Column("events_exonerated", sa.Integer(), nullable=False),
        sa.Column("events_undetermined", sa.Integer(), nullable=False),
        sa.Column("points", sa.Float(), nullable=False),
        sa.Column("points_spared", sa.Float(), nullable=False),
        sa.Column("simulated_trips", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", "driver", name=op.f("pk_driver_days")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_driver_days_driver", "driver_days", ["driver", "day"], unique=False)
    op.create_table(
        "driver_months",
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("driver", sa.Text(), nullable=False),
        sa.Column("trips", sa.Integer(), nullable=False),
        sa.Column("scored_trips", sa.Integer(), nullable=False),
        sa.Column("distance_km", sa.Float(), nullable=False),
        sa.Column("scored_km", sa.Float(), nullable=False),
        sa.Column("score_km", sa.Float(), nullable=False),
        sa.Column("score_without_context_km", sa.Float(), nullable=False),
        sa.Column("duration_s", sa.Float(), nullable=False),
        sa.Column("moving_s", sa.Float(), nullable=False),
        sa.Column("engine_on_s", sa.Float(), nullable=False),
        sa.Column("events_kept", sa.Integer(), nullable=False),
        sa.Column("events_exonerated", sa.Integer(), nullable=False),
        sa.Column("events_undetermined", sa.Integer(), nullable=False),
        sa.Column("points", sa.Float(), nullable=False),
        sa.Column("points_spared", sa.Float(), nullable=False),
        sa.Column("simulated_trips", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("month", "driver", name=op.f("pk_driver_months")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_driver_months_driver", "driver_months", ["driver", "month"], unique=False)
    op.create_table(
        "drivers",
        sa.Column("driver", sa.Text(), nullable=False),
        sa.Column("first_stored_utc_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("driver", name=op.f("pk_drivers")),
    )
    op.create_table(
        "erased",
        sa.Column("trip_sha256", sa.Text(), nullable=False),
        sa.Column("erased_utc_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("trip_sha256", name=op.f("pk_erased")),
    )
    op.create_table(
        "failed_trips",
        sa.Column("trip_path", sa.Text(), nullable=False),
        sa.Column("variant", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("failed_utc_ns", sa.BigInteger(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("trip_path", "variant", name=op.f("pk_failed_trips")),
    )
    op.create_table(
        "history",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("trip_id", sa.Text(), nullable=False),
        sa.Column("variant", sa.Text(), nullable=False),
        sa.Column("scored_utc_ns", sa.BigInteger(), nullable=False),
        sa.Column("replaced_utc_ns", sa.BigInteger(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("changes", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_history")),
    )
    op.create_index("ix_history_trip_id", "history", ["trip_id"], unique=False)
    op.create_table(
        "vehicle_days",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("vehicle", sa.Text(), nullable=False),
        sa.Column("trips", sa.Integer(), nullable=False),
        sa.Column("scored_trips", sa.Integer(), nullable=False),
        sa.Column("distance_km", sa.Float(), nullable=False),
        sa.Column("scored_km", sa.Float(), nullable=False),
        sa.Column("score_km", sa.Float(), nullable=False),
        sa.Column("score_without_context_km", sa.Float(), nullable=False),
        sa.Column("duration_s", sa.Float(), nullable=False),
        sa.Column("moving_s", sa.Float(), nullable=False),
        sa.Column("engine_on_s", sa.Float(), nullable=False),
        sa.Column("events_kept", sa.Integer(), nullable=False),
        sa.Column("events_exonerated", sa.Integer(), nullable=False),
        sa.Column("events_undetermined", sa.Integer(), nullable=False),
        sa.Column("points", sa.Float(), nullable=False),
        sa.Column("points_spared", sa.Float(), nullable=False),
        sa.Column("simulated_trips", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", "vehicle", name=op.f("pk_vehicle_days")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_vehicle_days_vehicle", "vehicle_days", ["vehicle", "day"], unique=False)
    op.create_table(
        "vehicle_months",
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("vehicle", sa.Text(), nullable=False),
        sa.Column("trips", sa.Integer(), nullable=False),
        sa.Column("scored_trips", sa.Integer(), nullable=False),
        sa.Column("distance_km", sa.Float(), nullable=False),
        sa.Column("scored_km", sa.Float(), nullable=False),
        sa.Column("score_km", sa.Float(), nullable=False),
        sa.Column("score_without_context_km", sa.Float(), nullable=False),
        sa.Column("duration_s", sa.Float(), nullable=False),
        sa.Column("moving_s", sa.Float(), nullable=False),
        sa.Column("engine_on_s", sa.Float(), nullable=False),
        sa.Column("events_kept", sa.Integer(), nullable=False),
        sa.Column("events_exonerated", sa.Integer(), nullable=False),
        sa.Column("events_undetermined", sa.Integer(), nullable=False),
        sa.Column("points", sa.Float(), nullable=False),
        sa.Column("points_spared", sa.Float(), nullable=False),
        sa.Column("simulated_trips", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("month", "vehicle", name=op.f("pk_vehicle_months")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_vehicle_months_vehicle", "vehicle_months", ["vehicle", "month"], unique=False
    )
    op.create_table(
        "vehicles",
        sa.Column("vehicle", sa.Text(), nullable=False),
        sa.Column("vehicle_class", sa.Text(), nullable=False),
        sa.Column("first_stored_utc_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("vehicle", name=op.f("pk_vehicles")),
    )
    op.create_table(
        "trips",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("trip_id", sa.Text(), nullable=False),
        sa.Column("variant", sa.Text(), nullable=False),
        sa.Column("trip_path", sa.Text(), nullable=False),
        sa.Column("vehicle", sa.Text(), nullable=False),
        sa.Column("driver", sa.Text(), nullable=False),
        sa.Column("started_utc_ns", sa.BigInteger(), nullable=True),
        sa.Column("day", sa.Date(), nullable=True),
        sa.Column("origin", sa.JSON(), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column("road_context", sa.Text(), nullable=False),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("band", sa.Text(), nullable=True),
        sa.Column("score_without_context", sa.Float(), nullable=True),
        sa.Column("distance_km", sa.Float(), nullable=False),
        sa.Column("events_kept", sa.Integer(), nullable=False),
        sa.Column("events_exonerated", sa.Integer(), nullable=False),
        sa.Column("events_undetermined", sa.Integer(), nullable=False),
        sa.Column("points", sa.Float(), nullable=False),
        sa.Column("points_spared", sa.Float(), nullable=False),
        sa.Column("trip_sha256", sa.Text(), nullable=False),
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column("model_sha256", sa.Text(), nullable=False),
        sa.Column("policy_name", sa.Text(), nullable=False),
        sa.Column("policy_sha256", sa.Text(), nullable=False),
        sa.Column("software", sa.Text(), nullable=False),
        sa.Column("scored_utc_ns", sa.BigInteger(), nullable=False),
        sa.Column("timeline_file", sa.Text(), nullable=True),
        sa.Column("labels_file", sa.Text(), nullable=True),
        sa.Column("stills_file", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["vehicle"], ["vehicles.vehicle"], name=op.f("fk_trips_vehicle")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trips")),
        sa.UniqueConstraint("trip_id", "variant", name=op.f("uq_trips_trip_id_variant")),
    )
    op.create_index("ix_trips_driver_day", "trips", ["driver", "day"], unique=False)
    op.create_index("ix_trips_score", "trips", ["variant", "score"], unique=False)
    op.create_index(
        "ix_trips_variant_started", "trips", ["variant", "started_utc_ns"], unique=False
    )
    op.create_index("ix_trips_vehicle_day", "trips", ["vehicle", "day"], unique=False)
    op.create_table(
        "events",
        sa.Column("trip", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("variant", sa.Text(), nullable=False),
        sa.Column("vehicle", sa.Text(), nullable=False),
        sa.Column("started_utc_ns", sa.BigInteger(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("start_s", sa.Float(), nullable=False),
        sa.Column("end_s", sa.Float(), nullable=False),
        sa.Column("peak", sa.Float(), nullable=False),
        sa.Column("threshold", sa.Float(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("severity", sa.Float(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("context", sa.Text(), nullable=False),
        sa.Column("probability", sa.Float(), nullable=True),
        sa.Column("frames_agree", sa.Float(), nullable=True),
        sa.Column("frames", sa.JSON(), nullable=False),
        sa.Column("sensors_agree", sa.Boolean(), nullable=True),
        sa.Column("points", sa.Float(), nullable=False),
        sa.Column("points_spared", sa.Float(), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["trip"], ["trips.id"], name=op.f("fk_events_trip"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("trip", "number", name=op.f("pk_events")),
    )
    op.create_index(
        "ix_events_vehicle_started", "events", ["vehicle", "started_utc_ns"], unique=False
    )
    op.create_table(
        "exposure",
        sa.Column("trip", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("distance_km", sa.Float(), nullable=False),
        sa.Column("duration_s", sa.Float(), nullable=False),
        sa.Column("moving_s", sa.Float(), nullable=False),
        sa.Column("engine_on_s", sa.Float(), nullable=False),
        sa.Column("speed_coverage", sa.Float(), nullable=False),
        sa.Column("scene_coverage", sa.Float(), nullable=False),
        sa.Column("judged", sa.Float(), nullable=False),
        sa.Column("by_kind", sa.JSON(), nullable=False),
        sa.Column("coolant_start_c", sa.Float(), nullable=True),
        sa.Column("cold_s", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["trip"], ["trips.id"], name=op.f("fk_exposure_trip"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("trip", name=op.f("pk_exposure")),
    )
    op.create_table(
        "scores",
        sa.Column("trip", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("with_road_context", sa.Boolean(), nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("band", sa.Text(), nullable=True),
        sa.Column("low", sa.Float(), nullable=True),
        sa.Column("high", sa.Float(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("parts", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["trip"], ["trips.id"], name=op.f("fk_scores_trip"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("trip", "with_road_context", name=op.f("pk_scores")),
    )
