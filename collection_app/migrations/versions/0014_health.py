"""Which images were found damaged, and when a check of health last wrote."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add both, empty."""
    op.add_column("study", sa.Column("written_at", INTEGER, nullable=True))
    op.add_column("image", sa.Column("damaged_at", INTEGER, nullable=True))
    found = sa.text("damaged_at IS NOT NULL")
    op.create_index("ix_image_damaged", "image", ["damaged_at"], sqlite_where=found, postgresql_where=found)
