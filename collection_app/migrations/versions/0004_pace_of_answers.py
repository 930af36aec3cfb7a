"""How many answers each session gave in each minute, counted by the database itself, and what progress walks along.

Triggers count, in the transaction of the answer, so that a server of the version before, which knows nothing of
them, counts too while both run. A session's rows are only ever changed by who holds the session: nobody waits.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_MINUTE_MS = 60_000

_UNCOUNT = f"""
    UPDATE pace SET answers = answers - 1, failed = failed - CASE WHEN OLD.valid THEN 0 ELSE 1 END
        WHERE minute = OLD.submitted_at / {_MINUTE_MS}
        AND session_id = (SELECT session_id FROM assignment WHERE id = OLD.assignment_id);
    DELETE FROM pace WHERE answers = 0 AND minute = OLD.submitted_at / {_MINUTE_MS};
"""
_COUNT = f"""
    INSERT INTO pace (minute, session_id, answers, failed)
        SELECT NEW.submitted_at / {_MINUTE_MS}, session_id, 1, CASE WHEN NEW.valid THEN 0 ELSE 1 END
        FROM assignment WHERE id = NEW.assignment_id
    ON CONFLICT (minute, session_id) DO UPDATE
        SET answers = pace.answers + 1, failed = pace.failed + excluded.failed;
"""
_TRIGGERS = {
    "sqlite": (
        f"CREATE TRIGGER answer_counted AFTER INSERT ON answer BEGIN {_COUNT} END",
        f"CREATE TRIGGER answer_uncounted AFTER DELETE ON answer BEGIN {_UNCOUNT} END",
    ),
    "postgresql": (
        f"CREATE FUNCTION answer_counted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {_COUNT} RETURN NULL; END $$",
        "CREATE FUNCTION answer_uncounted() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN {_UNCOUNT} RETURN NULL; END $$",
        "CREATE TRIGGER answer_counted AFTER INSERT ON answer FOR EACH ROW EXECUTE FUNCTION answer_counted()",
        "CREATE TRIGGER answer_uncounted AFTER DELETE ON answer FOR EACH ROW EXECUTE FUNCTION answer_uncounted()",
    ),
}


def upgrade() -> None:
    """Make the table and count what is there."""
    op.create_table(
        "pace",
        sa.Column("minute", INTEGER, nullable=False),
        sa.Column("session_id", INTEGER, nullable=False),
        sa.Column("answers", INTEGER, nullable=False),
        sa.Column("failed", INTEGER, nullable=False),
        sa.ForeignKeyConstraint(["session_id"], ["session.id"], name=op.f("fk_pace_session_id")),
        sa.PrimaryKeyConstraint("minute", "session_id", name=op.f("pk_pace")),
    )
    op.create_index(op.f("ix_pace_session_id"), "pace", ["session_id"], unique=False)
    op.create_index("ix_item_progress", "item", ["study_id", "role", "set_name", "quota", "filled"], unique=False)
    failed = sa.text("NOT valid")
    op.create_index(
        "ix_answer_failed", "answer", ["submitted_at"], unique=False, sqlite_where=failed, postgresql_where=failed
    )
    spoiled = sa.text("state = 'spoiled'")
    op.create_index(
        "ix_assignment_spoiled",
        "assignment",
        ["session_id"],
        unique=False,
        sqlite_where=spoiled,
        postgresql_where=spoiled,
    )
    # The triggers first: on PostgreSQL they keep writers waiting until all that is there is counted.
    for statement in _TRIGGERS[op.get_bind().dialect.name]:
        op.execute(statement)
    op.execute(
        "INSERT INTO pace (minute, session_id, answers, failed) "
        f"SELECT answer.submitted_at / {_MINUTE_MS}, assignment.session_id, count(*), "
        "sum(CASE WHEN answer.valid THEN 0 ELSE 1 END) "
        "FROM answer JOIN assignment ON assignment.id = answer.assignment_id GROUP BY 1, 2"
    )
