"""What shows that two sessions may be one person's, whether the platform knows a submission, and tries to log in."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0014"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add them. Sessions of the version before have no marks, and nobody asks for them."""
    op.add_column("session", sa.Column("block", sa.String(32), nullable=True))
    op.add_column("session", sa.Column("browser", sa.String(32), nullable=True))
    op.add_column("session", sa.Column("vouched", sa.String(12), nullable=True))
    op.add_column("session", sa.Column("vouched_at", INTEGER, nullable=True))
    op.create_index(op.f("ix_session_block"), "session", ["block"], unique=False)
    op.create_index(op.f("ix_session_browser"), "session", ["browser"], unique=False)
    op.create_table(
        "login_try",
        sa.Column("source", sa.String(32), nullable=False),
        sa.Column("tries", INTEGER, nullable=False),
        sa.Column("next_at", INTEGER, nullable=False),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_login_try")),
    )
