"""Periods are scored by the formula of a trip: sums by kind of event, and the policies.

Trips name the vehicle's profile that they were scored with.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

KINDS = (
    "harsh_acceleration",
    "harsh_braking",
    "over_revving",
    "sustained_pull",
    "idling",
    "speeding",
    "cold_engine_revving",
    "overheating",
    "coasting",
)


def upgrade() -> None:
    """Bring the store to this revision; the summaries are computed anew afterwards."""
    op.create_table(
        "policies",
        sa.Column("policy_sha256", sa.Text(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("policy_sha256", name=op.f("pk_policies")),
    )
    op.add_column(
        "trips", sa.Column("profile_sha256", sa.Text(), server_default="", nullable=False)
    )
    connection = op.get_bind()
    for kind in KINDS:
        op.add_column("exposure", sa.Column(f"exposure_{kind}", sa.Float(), nullable=True))
    value = (
        "json_extract(by_kind, '$.{0}')"
        if connection.dialect.name == "sqlite"
        else "CAST(by_kind ->> '{0}' AS double precision)"
    )
    values = ", ".join(f"exposure_{kind} = {value.format(kind)}" for kind in KINDS)
    connection.exec_driver_sql(f"UPDATE exposure SET {values}")
    op.drop_column("exposure", "by_kind")
    for who in ("driver", "vehicle"):
        for since in ("day", "month"):
            op.drop_table(f"{who}_{since}s")
            _create_summary(f"{who}_{since}s", who, since)


def _create_summary(name: str, who: str, since: str) -> None:
    score = (
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("band", sa.Text(), nullable=True),
        sa.Column("low", sa.Float(), nullable=True),
        sa.Column("high", sa.Float(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("score_without_context", sa.Float(), nullable=True),
    )
    op.create_table(
        name,
        sa.Column(since, sa.Date(), nullable=False),
        sa.Column(who, sa.Text(), nullable=False),
        sa.Column("trips", sa.Integer(), nullable=False),
        sa.Column("scored_trips", sa.Integer(), nullable=False),
        sa.Column("distance_km", sa.Float(), nullable=False),
        sa.Column("duration_s", sa.Float(), nullable=False),
        sa.Column("speed_known_s", sa.Float(), nullable=False),
        sa.Column("moving_s", sa.Float(), nullable=False),
        sa.Column("judged_s", sa.Float(), nullable=False),
        sa.Column("engine_on_s", sa.Float(), nullable=False),
        sa.Column("events_kept", sa.Integer(), nullable=False),
        sa.Column("events_exonerated", sa.Integer(), nullable=False),
        sa.Column("events_undetermined", sa.Integer(), nullable=False),
        sa.Column("points", sa.Float(), nullable=False),
        sa.Column("points_spared", sa.Float(), nullable=False),
        sa.Column("simulated_trips", sa.Integer(), nullable=False),
        *(
            sa.Column(f"{prefix}_{kind}", sa.Float(), nullable=False)
            for prefix in ("exposure", "points", "full_points")
            for kind in KINDS
        ),
        sa.Column("latest_policy", sa.Text(), nullable=False),
        *(score if since == "month" else ()),
        sa.PrimaryKeyConstraint(since, who, name=op.f(f"pk_{name}")),
        sqlite_with_rowid=False,
    )
    op.create_index(f"ix_{name}_{who}", name, [who, since], unique=False)
