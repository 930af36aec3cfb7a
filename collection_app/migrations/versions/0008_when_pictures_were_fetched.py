"""When the server gave out the pictures that an answer is about: none can be older than what it answers."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it. Sessions that began before are not guarded, and need none."""
    kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("answer", sa.Column("fetched_at", kind, nullable=True))
