"""Who declines leaves a count, and nothing else: no id, no session, no event."""

from sqlalchemy import Connection, Row, delete, exists, select, update

from collection_app.database.models import Base, Participant, Session
from collection_app.database.models import Study as StudyRow
from collection_app.database.personal import PERSONAL

NO_CONSENT = "no_consent"


def forget_declined(connection: Connection, study_id: int, session: Row) -> None:
    """Count a session that ended without consent and delete it, with the person if it was their only one."""
    connection.execute(update(StudyRow).where(StudyRow.id == study_id).values(declined=StudyRow.declined + 1))
    for name in PERSONAL:
        table = Base.metadata.tables[name]
        if "session_id" in table.c:
            connection.execute(delete(table).where(table.c.session_id == session.id))
    connection.execute(delete(Session).where(Session.id == session.id))
    person = session.participant_id
    if connection.scalar(select(exists().where(Session.participant_id == person))):
        return
    for name in PERSONAL:
        table = Base.metadata.tables[name]
        if "participant_id" in table.c:
            connection.execute(delete(table).where(table.c.participant_id == person))
    connection.execute(delete(Participant).where(Participant.id == person))
