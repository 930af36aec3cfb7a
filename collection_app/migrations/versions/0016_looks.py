"""How the pictures of an answer were laid out, and how often and how long each was looked at."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add all of it, empty."""
    op.add_column("answer", sa.Column("layout", sa.String(length=12), nullable=True))
    for name in ("reference", "left", "right"):
        op.add_column("answer", sa.Column(f"{name}_looks", INTEGER, nullable=True))
        op.add_column("answer", sa.Column(f"{name}_look_ms", sa.Double(), nullable=True))
