"""The ledger of payments, messages of platforms, and answers by time."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables, and the index for the rate of answers."""
    op.create_table(
        "webhook_event",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("platform", sa.String(length=32), nullable=False),
        sa.Column("participant_id", INTEGER, nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("at", INTEGER, nullable=False),
        sa.ForeignKeyConstraint(["participant_id"], ["participant.id"], name=op.f("fk_webhook_event_participant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_event")),
    )
    op.create_index(op.f("ix_webhook_event_participant_id"), "webhook_event", ["participant_id"], unique=False)
    op.create_table(
        "payment",
        sa.Column("idempotency_key", sa.String(length=64), nullable=False),
        sa.Column("session_id", INTEGER, nullable=False),
        sa.Column("amount_minor", INTEGER, nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("state", sa.String(length=9), nullable=False),
        sa.Column("at", INTEGER, nullable=False),
        sa.ForeignKeyConstraint(["session_id"], ["session.id"], name=op.f("fk_payment_session_id")),
        sa.PrimaryKeyConstraint("idempotency_key", name=op.f("pk_payment")),
    )
    op.create_index(op.f("ix_payment_session_id"), "payment", ["session_id"], unique=False)
    op.create_index(op.f("ix_answer_submitted_at"), "answer", ["submitted_at"], unique=False)
