"""Receipts: what a person saves, and sends us, when their browser could not deliver answers for two minutes.

A receipt names its session by a proof signed here, so nobody can make one up; its answers are stored as if
they had come over the network, which is harmless for those that did.
"""

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import Connection

from collection_app.errors import StudyError
from collection_app.sessions.answering import given_of, lock_session, record
from collection_app.signing import PictureNames, Tokens
from collection_app.studies.study import Study
from collection_app.web.messages import Answer


class Receipt(BaseModel):
    """The file that static/study/receipt.js writes."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    proof: str
    answers: list[Answer] = Field(max_length=10_000)


@dataclass(frozen=True)
class Received:
    """How many answers were stored now and before, and why others were refused."""

    stored: int
    known: int
    refused: tuple[str, ...]


def read_receipt(path: Path) -> Receipt:
    """Read a receipt.

    Raises
    ------
    StudyError
        If there is no such file, or it is no receipt.
    """
    try:
        return Receipt.model_validate_json(path.read_bytes())
    except OSError as error:
        raise StudyError(f"{path}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "file"
        raise StudyError(f"{path}: not a receipt of a study: {where}: {first['msg']}") from error


def receive(
    connection: Connection, study: Study, receipt: Receipt, *, tokens: Tokens, pictures: PictureNames, now: int
) -> Received:
    """Store the answers of a receipt.

    Raises
    ------
    StudyError
        If the proof was not signed with this study's key, or its session is not in this database.
    """
    public_id = tokens.proven(receipt.proof)
    session = lock_session(connection, public_id) if public_id else None
    if session is None:
        raise StudyError("the receipt's proof was not signed by this study's server; was its key replaced?")
    contents = [given_of(answer.model_dump()) for answer in receipt.answers]
    outcomes = [record(connection, study, session=session, given=one, now=now, pictures=pictures) for one in contents]
    statuses = [one.status for one in outcomes]
    problems = tuple(one.problem for one in outcomes if one.status == "refused")
    return Received(statuses.count("stored"), statuses.count("known"), problems)
