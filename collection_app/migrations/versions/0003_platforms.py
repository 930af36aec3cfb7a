"""What platforms send and need: kept parameters, states of submissions, and what became of payments."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the columns. None needs a table written anew, so it is quick however much is stored."""
    op.add_column("session", sa.Column("kept", sa.Text(), nullable=True))
    op.add_column("session", sa.Column("platform_state", sa.String(length=32), nullable=True))
    op.add_column("session", sa.Column("platform_state_at", INTEGER, nullable=True))
    op.create_index(op.f("ix_session_submission_id"), "session", ["submission_id"], unique=False)
    # Nobody was paid through these tables before.
    op.drop_table("payment")
    op.create_table(
        "payment",
        sa.Column("idempotency_key", sa.String(length=64), nullable=False),
        sa.Column("session_id", INTEGER, nullable=False),
        sa.Column("amount_minor", INTEGER, nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("state", sa.String(length=9), nullable=False),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("at", INTEGER, nullable=False),
        sa.ForeignKeyConstraint(["session_id"], ["session.id"], name=op.f("fk_payment_session_id")),
        sa.PrimaryKeyConstraint("idempotency_key", name=op.f("pk_payment")),
    )
    op.create_index(op.f("ix_payment_session_id"), "payment", ["session_id"], unique=False)
