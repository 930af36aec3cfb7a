"""Which sessions began since the names of pictures are opaque: those before go on with the names that they know."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it. A server of the version before begins sessions that are not guarded."""
    op.add_column("session", sa.Column("guarded", sa.Boolean(), server_default=sa.false(), nullable=False))
