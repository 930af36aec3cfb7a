"""The tables. Times are whole milliseconds since 1970, UTC.

study ─┬─ item ──────────────────────┐
       └─ participant ─┬─ session ─┬─ assignment ── answer
                       └─ identity ├─ pace
                                   ├─ event
                                   ├─ decision
                                   └─ payment     image, webhook_event, login_try stand alone

`identity` alone knows who somebody is. An assignment that `holds` occupies one of its item's `quota` places,
and `item.filled` counts them, `item.p1_left` those that show p1 on the left: the database itself refuses more
than the quota, and more than half of it (rounded up) on one side.
"""

from typing import Any, cast

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    column,
    false,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedColumn, mapped_column

from bapps_builder.answers.columns import Column, Measured, measured_columns

Hash = String(64)  # SHA-256 in hex
# SQLite numbers rows by itself only where the type is INTEGER, which has 64 bits there anyway.
WHOLE = BigInteger().with_variant(Integer, "sqlite")


class Base(DeclarativeBase):
    """What all tables share: whole numbers of 64 bits, and the names of constraints."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {int: WHOLE}  # noqa: RUF012


class Study(Base):
    """One version of a study, with its settings as they were frozen."""

    __tablename__ = "study"
    __table_args__ = (UniqueConstraint("name", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(63))
    version: Mapped[int]
    settings: Mapped[str] = mapped_column(Text)
    settings_sha256: Mapped[str] = mapped_column(Hash)
    items_sha256: Mapped[str] = mapped_column(Hash)
    # Key of the pseudonyms; deleted some time after the study is closed.
    salt: Mapped[bytes | None]
    frozen_at: Mapped[int | None]
    closed_at: Mapped[int | None]
    # When a process last asked the platform who left; none asks again for some minutes.
    polled_at: Mapped[int | None]
    # People who declined, of whom nothing else is kept.
    declined: Mapped[int] = mapped_column(default=0, server_default="0")
    # A number that every check of health raises, to see whether the database takes a write.
    written_at: Mapped[int | None]


class Image(Base):
    """Where the PNG file with these pixels is."""

    __tablename__ = "image"
    __table_args__ = (
        Index(
            "ix_image_damaged",
            "damaged_at",
            sqlite_where=text("damaged_at IS NOT NULL"),
            postgresql_where=text("damaged_at IS NOT NULL"),
        ),
    )

    sha256: Mapped[str] = mapped_column(Hash, primary_key=True)
    path: Mapped[str] = mapped_column(Text)
    # When the file was found not to hold these pixels; nothing once it is sound again.
    damaged_at: Mapped[int | None]


class Item(Base):
    """A question: test items have a quota; sentinels and training items have a check and an expected choice."""

    __tablename__ = "item"
    __table_args__ = (
        UniqueConstraint("study_id", "role", "set_name", "name"),
        CheckConstraint("filled >= 0 AND filled <= quota", name="filled"),
        CheckConstraint(
            "p1_left >= 0 AND 2 * p1_left <= quota + 1 AND p1_left <= filled AND 2 * (filled - p1_left) <= quota + 1",
            name="sides",
        ),
        # What the allocator walks along: only items that still need answers.
        Index(
            "ix_item_wanted",
            "study_id",
            "filled",
            "priority",
            sqlite_where=column("filled") < column("quota"),
            postgresql_where=column("filled") < column("quota"),
        ),
        # What progress is summed along, without looking at the items.
        Index("ix_item_progress", "study_id", "role", "set_name", "quota", "filled"),
        # The few with a known answer, which every session draws some of.
        Index(
            "ix_item_check",
            "study_id",
            "check_name",
            sqlite_where=text("role <> 'test'"),
            postgresql_where=text("role <> 'test'"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"))
    role: Mapped[str] = mapped_column(String(8))
    set_name: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    check_name: Mapped[str] = mapped_column(String(16))
    expected: Mapped[str] = mapped_column(String(9))
    ref: Mapped[str | None] = mapped_column(Hash)
    p0: Mapped[str] = mapped_column(Hash)
    p1: Mapped[str] = mapped_column(Hash)
    # Of its pictures, which are of one size; nothing until a study from before is served, see `picture_sizes`.
    width: Mapped[int | None]
    height: Mapped[int | None]
    # Nothing for sentinels and training items, which are asked as often as there are sessions.
    quota: Mapped[int | None]
    filled: Mapped[int] = mapped_column(default=0)
    p1_left: Mapped[int] = mapped_column(default=0)
    # Random, drawn anew at each allocation, so that items do not travel in fixed groups.
    priority: Mapped[int] = mapped_column(default=0)


class Participant(Base):
    """A person, known by a pseudonym."""

    __tablename__ = "participant"
    __table_args__ = (UniqueConstraint("study_id", "pseudonym"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"))
    pseudonym: Mapped[str] = mapped_column(String(32))


class Identity(Base):
    """Who a participant is on their platform; the row that erasing removes."""

    __tablename__ = "identity"

    participant_id: Mapped[int] = mapped_column(ForeignKey("participant.id"), primary_key=True)
    platform: Mapped[str] = mapped_column(String(32))
    external_id: Mapped[str] = mapped_column(Text, index=True)


class Session(Base):
    """One sitting of one person; `state` is arrived, started, lapsed, (in)complete, withdrawn or turned away."""

    __tablename__ = "session"
    __table_args__ = (
        UniqueConstraint("participant_id", "number"),
        Index("ix_session_state_lease_until", "state", "lease_until"),
        Index("ix_session_state_seen_at", "state", "seen_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    participant_id: Mapped[int] = mapped_column(ForeignKey("participant.id"))
    number: Mapped[int]
    platform: Mapped[str] = mapped_column(String(32))
    submission_id: Mapped[str | None] = mapped_column(Text, index=True)
    # Parameters of the address that the platform needs when the session ends, as JSON.
    kept: Mapped[str | None] = mapped_column(Text)
    # What the platform last said of the submission, in its own words, and when it said so.
    platform_state: Mapped[str | None] = mapped_column(String(32))
    platform_state_at: Mapped[int | None]
    # Whether the platform knows the submission: known, unknown, or unreachable; nothing while nobody has asked. And
    # when somebody asked last.
    vouched: Mapped[str | None] = mapped_column(String(12))
    vouched_at: Mapped[int | None]
    # HMACs of the network that the visitor came from, and of what their browser calls itself before all studies here.
    block: Mapped[str | None] = mapped_column(String(32), index=True)
    browser: Mapped[str | None] = mapped_column(String(32), index=True)
    # Hash of the key that the browser made before it arrived: arriving with it again is the same arrival.
    arrival_sha256: Mapped[str] = mapped_column(Hash, unique=True)
    state: Mapped[str] = mapped_column(String(12))
    # Why no answer of this session is used; nothing if they are.
    excluded: Mapped[str | None] = mapped_column(Text)
    outcome: Mapped[str | None] = mapped_column(String(24))
    code: Mapped[str | None] = mapped_column(String(64))
    seed: Mapped[int]
    simulated: Mapped[bool]
    consent_sha256: Mapped[str | None] = mapped_column(Hash)
    device: Mapped[str | None] = mapped_column(Text)
    arrived_at: Mapped[int]
    started_at: Mapped[int | None]
    finished_at: Mapped[int | None]
    seen_at: Mapped[int]
    # Until when the session's open assignments hold their places; nothing once they were given up.
    lease_until: Mapped[int | None]
    # Begun since names of pictures are opaque and the server looks at time; those before go on as they began.
    guarded: Mapped[bool] = mapped_column(default=False, server_default=false())


class Assignment(Base):
    """An item given to a session as trial `slot`; `state` is open, answered or spoiled (no valid exposure)."""

    __tablename__ = "assignment"
    __table_args__ = (
        UniqueConstraint("session_id", "slot"),
        UniqueConstraint("participant_id", "item_id"),
        CheckConstraint("side IN ('left', 'right')", name="side"),
        Index(None, "item_id"),
        Index(
            "ix_assignment_spoiled",
            "session_id",
            sqlite_where=text("state = 'spoiled'"),
            postgresql_where=text("state = 'spoiled'"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    session_id: Mapped[int] = mapped_column(ForeignKey("session.id"))
    participant_id: Mapped[int] = mapped_column(ForeignKey("participant.id"))
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
    slot: Mapped[int]
    # Where p1 is shown: left or right of the reference; in JND "left" is first.
    side: Mapped[str] = mapped_column(String(5))
    state: Mapped[str] = mapped_column(String(8))
    holds: Mapped[bool]


class Answer(Base):
    """What a person answered, with all that the browser measured; never changed but for `use` and `reason`.

    What was measured follows from `bapps_builder.answers.columns`.
    """

    __tablename__ = "answer"
    __table_args__ = (
        UniqueConstraint("assignment_id", "attempt"),
        CheckConstraint("attempt IN (1, 2)", name="attempt"),
        Index("ix_answer_failed", "submitted_at", sqlite_where=text("NOT valid"), postgresql_where=text("NOT valid")),
    )

    # Made by the browser, so that sending it again is harmless.
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    assignment_id: Mapped[int] = mapped_column(ForeignKey("assignment.id"))
    attempt: Mapped[int]
    choice: Mapped[str] = mapped_column(String(9))
    valid: Mapped[bool]
    use: Mapped[bool]
    reason: Mapped[str] = mapped_column(Text)
    # When the server had given out the last of the trial's pictures; nothing if the answer did not prove that it had.
    fetched_at: Mapped[int | None]
    submitted_at: Mapped[int] = mapped_column(index=True)


def _kept(column: Column, measured: Measured) -> MappedColumn[Any]:
    """A column for what the browser measures."""
    if column.kind == "number":
        return mapped_column(WHOLE if measured.whole else Double(), nullable=not measured.needed)
    if column.kind == "truth":
        return mapped_column(Boolean, nullable=False)
    return mapped_column(String(max(map(len, measured.words))), nullable=not measured.needed)


for _column, _measured in measured_columns().items():
    setattr(Answer, _column.name, _kept(_column, _measured))


class Pace(Base):
    """How many answers a session gave in a minute (since 1970), and how many of them to a bad exposure.

    Triggers of the database keep it, in the transaction of the answer; see the migration that made them.
    """

    __tablename__ = "pace"

    minute: Mapped[int] = mapped_column(primary_key=True)
    session_id: Mapped[int] = mapped_column(ForeignKey("session.id"), primary_key=True, index=True)
    answers: Mapped[int]
    failed: Mapped[int]


class Event(Base):
    """What happened to a session, for the people who run the study."""

    __tablename__ = "event"

    id: Mapped[int] = mapped_column(primary_key=True)
    session_id: Mapped[int] = mapped_column(ForeignKey("session.id"), index=True)
    kind: Mapped[str] = mapped_column(String(24))
    detail: Mapped[str] = mapped_column(Text)
    at: Mapped[int]


class Decision(Base):
    """What a rule found about a session, or a person decided; of one tier and rule the last counts."""

    __tablename__ = "decision"

    id: Mapped[int] = mapped_column(primary_key=True)
    session_id: Mapped[int] = mapped_column(ForeignKey("session.id"), index=True)
    tier: Mapped[str] = mapped_column(String(3))
    rule: Mapped[str] = mapped_column(Text)
    # SQLite takes any length.
    verdict: Mapped[str] = mapped_column(String(16).with_variant(String(12), "sqlite"))
    reason: Mapped[str] = mapped_column(Text)
    at: Mapped[int]


class Payment(Base):
    """A payment; `state` is created, sent or confirmed, `kind` is approve or bonus."""

    __tablename__ = "payment"

    idempotency_key: Mapped[str] = mapped_column(String(64), primary_key=True)
    session_id: Mapped[int] = mapped_column(ForeignKey("session.id"), index=True)
    amount_minor: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3))
    kind: Mapped[str] = mapped_column(String(8))
    state: Mapped[str] = mapped_column(String(9))
    # The platform's own name of the payment, and what last became of it.
    reference: Mapped[str | None] = mapped_column(Text)
    detail: Mapped[str] = mapped_column(Text)
    at: Mapped[int]


class LoginTry(Base):
    """Wrong tries at the password of the admin pages from one source, an HMAC, and when it may try again."""

    __tablename__ = "login_try"

    source: Mapped[str] = mapped_column(String(32), primary_key=True)
    tries: Mapped[int]
    next_at: Mapped[int]


class WebhookEvent(Base):
    """A message from a platform, kept once."""

    __tablename__ = "webhook_event"

    id: Mapped[str] = mapped_column(String(128), primary_key=True)
    platform: Mapped[str] = mapped_column(String(32))
    participant_id: Mapped[int | None] = mapped_column(ForeignKey("participant.id"), index=True)
    body: Mapped[str] = mapped_column(Text)
    at: Mapped[int]


def table_of(model: type[Base]) -> Table:
    """The table of a model: statements on it skip what the models' own go through."""
    return cast(Table, model.__table__)
