"""When a process last asked the platform of a study who left: of several, only one is to ask."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it."""
    op.add_column("study", sa.Column("polled_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True))
