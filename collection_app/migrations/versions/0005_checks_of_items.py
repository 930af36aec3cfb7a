"""An index of the few items with a known answer: drawing them no longer looks at every item of a study."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make it."""
    known = sa.text("role <> 'test'")
    op.create_index(
        "ix_item_check",
        "item",
        ["study_id", "check_name"],
        unique=False,
        sqlite_where=known,
        postgresql_where=known,
    )
