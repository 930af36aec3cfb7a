"""How long somebody waits between tries at the password: longer with each wrong one, and each source by itself.

A source is an address, or a browser that has logged in before and shows a cookie for it: whatever others try, from
whatever address, nobody makes that browser wait. Sources are kept as HMACs, those of addresses under a key of the day.
"""

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from collection_app.database.models import LoginTry

FREE_TRIES = 5
_LONGEST_MS = 300_000
_FORGOTTEN_MS = 86_400_000


def delay_ms(tries: int) -> int:
    """How long to wait after so many wrong tries: nothing after four, then a second, doubling up to five minutes."""
    beyond = tries - FREE_TRIES
    return 0 if beyond < 0 else min(1000 * 2 ** min(beyond, 20), _LONGEST_MS)


def count_try(connection: Connection, source: str, *, now: int) -> int:
    """Count a try, before the password is looked at; gives how many milliseconds are left to wait, and 0 if none."""
    row = connection.execute(select(LoginTry).where(LoginTry.source == source).with_for_update()).one_or_none()
    if row is not None and now < row.next_at <= now + _LONGEST_MS:  # a clock that was set back keeps nobody out
        return row.next_at - now
    connection.execute(delete(LoginTry).where(LoginTry.next_at < now - _FORGOTTEN_MS))
    tries = 1 if row is None else row.tries + 1
    of_dialect = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    values = {"tries": tries, "next_at": now + delay_ms(tries)}
    connection.execute(
        of_dialect(LoginTry)
        .values(source=source, **values)
        .on_conflict_do_update(index_elements=[LoginTry.source], set_=values)
    )
    return 0


def forget_tries(connection: Connection, source: str | None = None) -> int:
    """Forget the wrong tries of a source, or of all; gives of how many."""
    tries = delete(LoginTry) if source is None else delete(LoginTry).where(LoginTry.source == source)
    return connection.execute(tries).rowcount
