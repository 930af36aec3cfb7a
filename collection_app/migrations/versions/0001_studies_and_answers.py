"""Studies, people, sessions and answers."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "image",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_image")),
    )
    op.create_table(
        "study",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("version", INTEGER, nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("settings_sha256", sa.String(length=64), nullable=False),
        sa.Column("items_sha256", sa.String(length=64), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=True),
        sa.Column("frozen_at", INTEGER, nullable=True),
        sa.Column("closed_at", INTEGER, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_study")),
        sa.UniqueConstraint("name", "version", name=op.f("uq_study_name_version")),
    )
    op.create_table(
        "item",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("study_id", INTEGER, nullable=False),
        sa.Column("role", sa.String(length=8), nullable=False),
        sa.Column("set_name", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("check_name", sa.String(length=16), nullable=False),
        sa.Column("expected", sa.String(length=9), nullable=False),
        sa.Column("ref", sa.String(length=64), nullable=True),
        sa.Column("p0", sa.String(length=64), nullable=False),
        sa.Column("p1", sa.String(length=64), nullable=False),
        sa.Column("quota", INTEGER, nullable=True),
        sa.Column("filled", INTEGER, nullable=False),
        sa.Column("p1_left", INTEGER, nullable=False),
        sa.Column("priority", INTEGER, nullable=False),
        sa.CheckConstraint("filled >= 0 AND filled <= quota", name=op.f("ck_item_filled")),
        sa.CheckConstraint(
            "p1_left >= 0 AND 2 * p1_left <= quota + 1 AND p1_left <= filled AND 2 * (filled - p1_left) <= quota + 1",
            name=op.f("ck_item_sides"),
        ),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_item_study_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_item")),
        sa.UniqueConstraint("study_id", "role", "set_name", "name", name=op.f("uq_item_study_id_role_set_name_name")),
    )
    op.create_index(
        "ix_item_wanted",
        "item",
        ["study_id", "filled", "priority"],
        unique=False,
        sqlite_where=sa.text("filled < quota"),
        postgresql_where=sa.text("filled < quota"),
    )
    op.create_table(
        "participant",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("study_id", INTEGER, nullable=False),
        sa.Column("pseudonym", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_participant_study_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_participant")),
        sa.UniqueConstraint("study_id", "pseudonym", name=op.f("uq_participant_study_id_pseudonym")),
    )
    op.create_table(
        "identity",
        sa.Column("participant_id", INTEGER, nullable=False),
        sa.Column("platform", sa.String(length=32), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["participant_id"], ["participant.id"], name=op.f("fk_identity_participant_id")),
        sa.PrimaryKeyConstraint("participant_id", name=op.f("pk_identity")),
    )
    op.create_index(op.f("ix_identity_external_id"), "identity", ["external_id"], unique=False)
    op.create_table(
        "session",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("public_id", sa.String(length=32), nullable=False),
        sa.Column("participant_id", INTEGER, nullable=False),
        sa.Column("number", INTEGER, nullable=False),
        sa.Column("platform", sa.String(length=32), nullable=False),
        sa.Column("submission_id", sa.Text(), nullable=True),
        sa.Column("arrival_sha256", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("excluded", sa.Text(), nullable=True),
        sa.Column("outcome", sa.String(length=24), nullable=True),
        sa.Column("code", sa.String(length=64), nullable=True),
        sa.Column("seed", INTEGER, nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column("consent_sha256", sa.String(length=64), nullable=True),
        sa.Column("device", sa.Text(), nullable=True),
        sa.Column("arrived_at", INTEGER, nullable=False),
        sa.Column("started_at", INTEGER, nullable=True),
        sa.Column("finished_at", INTEGER, nullable=True),
        sa.Column("seen_at", INTEGER, nullable=False),
        sa.Column("lease_until", INTEGER, nullable=True),
        sa.ForeignKeyConstraint(["participant_id"], ["participant.id"], name=op.f("fk_session_participant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_session")),
        sa.UniqueConstraint("arrival_sha256", name=op.f("uq_session_arrival_sha256")),
        sa.UniqueConstraint("participant_id", "number", name=op.f("uq_session_participant_id_number")),
        sa.UniqueConstraint("public_id", name=op.f("uq_session_public_id")),
    )
    op.create_index("ix_session_state_lease_until", "session", ["state", "lease_until"], unique=False)
    op.create_index("ix_session_state_seen_at", "session", ["state", "seen_at"], unique=False)
    op.create_table(
        "assignment",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("session_id", INTEGER, nullable=False),
        sa.Column("participant_id", INTEGER, nullable=False),
        sa.Column("item_id", INTEGER, nullable=False),
        sa.Column("slot", INTEGER, nullable=False),
        sa.Column("side", sa.String(length=5), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("holds", sa.Boolean(), nullable=False),
        sa.CheckConstraint("side IN ('left', 'right')", name=op.f("ck_assignment_side")),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_assignment_item_id")),
        sa.ForeignKeyConstraint(["participant_id"], ["participant.id"], name=op.f("fk_assignment_participant_id")),
        sa.ForeignKeyConstraint(["session_id"], ["session.id"], name=op.f("fk_assignment_session_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assignment")),
        sa.UniqueConstraint("participant_id", "item_id", name=op.f("uq_assignment_participant_id_item_id")),
        sa.UniqueConstraint("session_id", "slot", name=op.f("uq_assignment_session_id_slot")),
    )
    op.create_index(op.f("ix_assignment_item_id"), "assignment", ["item_id"], unique=False)
    op.create_table(
        "decision",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("session_id", INTEGER, nullable=False),
        sa.Column("tier", sa.String(length=3), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("verdict", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", INTEGER, nullable=False),
        sa.ForeignKeyConstraint(["session_id"], ["session.id"], name=op.f("fk_decision_session_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decision")),
    )
    op.create_index(op.f("ix_decision_session_id"), "decision", ["session_id"], unique=False)
    op.create_table(
        "event",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("session_id", INTEGER, nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("at", INTEGER, nullable=False),
        sa.ForeignKeyConstraint(["session_id"], ["session.id"], name=op.f("fk_event_session_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
    )
    op.create_index(op.f("ix_event_session_id"), "event", ["session_id"], unique=False)
    op.create_table(
        "answer",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("assignment_id", INTEGER, nullable=False),
        sa.Column("attempt", INTEGER, nullable=False),
        sa.Column("choice", sa.String(length=9), nullable=False),
        sa.Column("valid", sa.Boolean(), nullable=False),
        sa.Column("use", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("reaction_ms", sa.Double(), nullable=False),
        sa.Column("first_ms", sa.Double(), nullable=True),
        sa.Column("gap_ms", sa.Double(), nullable=True),
        sa.Column("second_ms", sa.Double(), nullable=True),
        sa.Column("frame_ms", sa.Double(), nullable=True),
        sa.Column("frames", INTEGER, nullable=True),
        sa.Column("dropped_frames", INTEGER, nullable=True),
        sa.Column("device_pixel_ratio", sa.Double(), nullable=True),
        sa.Column("scale", INTEGER, nullable=True),
        sa.Column("input", sa.String(length=8), nullable=False),
        sa.Column("focus_lost", sa.Boolean(), nullable=False),
        sa.Column("answered_at", INTEGER, nullable=False),
        sa.Column("submitted_at", INTEGER, nullable=False),
        sa.CheckConstraint("attempt IN (1, 2)", name=op.f("ck_answer_attempt")),
        sa.ForeignKeyConstraint(["assignment_id"], ["assignment.id"], name=op.f("fk_answer_assignment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_answer")),
        sa.UniqueConstraint("assignment_id", "attempt", name=op.f("uq_answer_assignment_id_attempt")),
    )
