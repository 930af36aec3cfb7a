"""Room for the longest verdict about pay, "ask to return", which PostgreSQL refused."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let verdicts be longer; SQLite has never looked at their length."""
    if op.get_context().dialect.name == "postgresql":
        op.alter_column("decision", "verdict", type_=sa.String(16))
