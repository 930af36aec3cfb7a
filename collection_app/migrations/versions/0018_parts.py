"""How much was seen of pictures that are larger than their window, and how far they were enlarged."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add both, empty."""
    op.add_column("answer", sa.Column("most_scale", INTEGER, nullable=True))
    op.add_column("answer", sa.Column("part_seen", sa.Double(), nullable=True))
