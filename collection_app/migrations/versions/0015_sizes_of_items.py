"""How large the pictures of an item are; those that are there are read from the files when the study is served."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0009"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add both sides, empty."""
    for name in ("width", "height"):
        op.add_column("item", sa.Column(name, INTEGER, nullable=True))
