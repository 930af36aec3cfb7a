"""How many people declined, of whom nothing else is kept; and payments under keys that no table of answers can make.

The key of a payment was a hash of the session's name in exports. The payments that are there get a random one.
"""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0008"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_DECLINED = "SELECT id FROM session WHERE outcome = 'no_consent' AND id NOT IN (SELECT session_id FROM payment)"
_WITHOUT_SESSION = "SELECT id FROM participant WHERE id NOT IN (SELECT participant_id FROM session)"


def upgrade() -> None:
    """Add the count, and forget those who declined until now."""
    op.add_column("study", sa.Column("declined", INTEGER, server_default="0", nullable=False))
    op.execute(
        "UPDATE study SET declined = (SELECT count(*) FROM session JOIN participant ON participant.id = participant_id "
        f"WHERE participant.study_id = study.id AND session.id IN ({_DECLINED}))"
    )
    for table in ("event", "decision", "pace"):
        op.execute(f"DELETE FROM {table} WHERE session_id IN ({_DECLINED})")
    op.execute(f"DELETE FROM session WHERE id IN ({_DECLINED})")
    for table in ("webhook_event", "identity"):
        op.execute(f"DELETE FROM {table} WHERE participant_id IN ({_WITHOUT_SESSION})")
    op.execute(f"DELETE FROM participant WHERE id IN ({_WITHOUT_SESSION})")
    connection = op.get_bind()
    payment = sa.table("payment", sa.column("idempotency_key"))
    for key in connection.scalars(sa.select(payment.c.idempotency_key)).all():
        connection.execute(
            sa.update(payment).where(payment.c.idempotency_key == key).values(idempotency_key=secrets.token_hex(32))
        )
