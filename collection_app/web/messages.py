"""What goes over the wire, as models: they check requests, make replies, and describe both in OpenAPI."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, create_model
from pydantic.config import JsonDict

from bapps_builder.answers.columns import Column, Measured, measured_columns
from collection_app.tasks.words import Choice, TaskName


def _whole(value: object) -> object:
    """JSON knows one kind of number: 2.0 is the whole number 2."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


# Nothing that may be any text holds a NUL, which PostgreSQL cannot store; `refused_at_the_door` sees to it everywhere.
_NO_NUL = r"^[^\u0000]*$"
Text = Annotated[str, StringConstraints(max_length=500, pattern=_NO_NUL)]
# A platform may sign what it sends, in some 1,000 characters.
Parameter = Annotated[str, StringConstraints(max_length=4000, pattern=_NO_NUL)]
# A pattern of names would not be described as one.
Name = Annotated[str, StringConstraints(max_length=64)]
_NAMES: JsonDict = {"propertyNames": {"maxLength": 64, "pattern": _NO_NUL}}
Key = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32,64}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
AnswerId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")]
PictureProof = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{48}$")]
Whole = BeforeValidator(_whole)  # comes after the bounds, which would else be missing in the description
Slot = Annotated[int, Field(ge=0, le=100_000), Whole]
Attempt = Annotated[int, Field(ge=1, le=2), Whole]
Clock = Annotated[int, Field(ge=0, le=2**53), Whole]
# As far as a browser's numbers go that are exact; one larger than any float could not be computed with.
_BOUNDS = Field(ge=-(2**53), le=2**53)
Number = Annotated[int, _BOUNDS] | Annotated[float, _BOUNDS]


Parameters = dict[Name, Parameter]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class Arrival(_Message):
    """Somebody opens the study's address."""

    key: Key = Field(description="made at random by the browser and kept there; the same key is the same arrival")
    browser: Key | None = Field(
        default=None, description="made at random by the browser too, and the same for all who come with it"
    )
    parameters: Parameters = Field(
        default={}, max_length=32, json_schema_extra=_NAMES, description="of the address, such as the platform's ids"
    )


class ExposureTimes(_Message):
    """JND: how long to show what, in milliseconds."""

    first_ms: float
    gap_ms: float
    second_ms: float
    tolerance_frames: float


class Form(_Message):
    """A form that the page posts in the browser to leave: one hidden input for each field."""

    action: str
    fields: dict[str, str]


class Size(_Message):
    """The size of a picture, in its own pixels."""

    width: int
    height: int


class Display(_Message):
    """How large to draw patches, in CSS pixels, and JND: how few frames a second are too few."""

    size: int
    layout: Literal["auto", "side-by-side", "in-place"]
    least_look_ms: float = Field(description="2AFC in place: how long each picture must have been looked at")
    least_hz: float
    largest: list[Size] = Field(description="sizes of pictures: a screen that has room for these has room for all")


class Question(_Message):
    """A question of the comprehension check."""

    question: str
    choices: list[str]


class Comprehension(_Message):
    """The comprehension check, where the study has one, and how far the session is with it."""

    questions: list[Question]
    passed: bool
    tries_left: int


class Chosen(_Message):
    """A try at the comprehension check."""

    choices: list[Annotated[int, Field(ge=1, le=8), Whole]] = Field(
        max_length=20, description="number of each question's choice, the first being 1"
    )


class SessionState(_Message):
    """A session, and what its pages need to know of the study.

    In the state `preview` there is no session: the platform shows the study to somebody who has not accepted it.
    The token is empty, and the first page is shown with everything on it disabled.

    With an outcome come the code and the way back: `redirect`, or `submit`, or neither, and then the code is for
    the person to copy.
    """

    token: str = Field(description="speaks for the session: send it as `Authorization: Bearer TOKEN`")
    state: Literal["preview", "arrived", "started", "lapsed", "complete", "withdrawn", "turned away", "incomplete"]
    outcome: str | None
    code: str | None = Field(description="completion code, once there is an outcome")
    redirect: str | None = Field(description="where the platform sends its people then")
    submit: Form | None = Field(description="or the form that it needs from them")
    title: str
    contact: str
    consent: str = Field(description="Markdown without HTML")
    consent_sha256: str
    task: TaskName
    trials: int = Field(description="of the session, once it has started")
    answered: int = Field(description="trials that are done")
    exposure: ExposureTimes
    display: Display
    comprehension: Comprehension | None
    proof: str = Field(description="names the session, signed: shown when answers cannot be delivered; no key")


class Start(_Message):
    """Consent, and what the browser is."""

    consent_sha256: Sha256
    consented_at: Clock | None = Field(default=None, description="when, by the browser's clock")
    device: dict[Name, bool | Number | Text] = Field(
        default={},
        max_length=32,
        json_schema_extra=_NAMES,
        description="what the device check found, such as refresh_hz",
    )


class Device(_Message):
    """What the device check found when it was repeated, since the display had changed."""

    device: dict[Name, bool | Number | Text] = Field(max_length=32, json_schema_extra=_NAMES)


class Trial(_Message):
    """One trial; images are addresses below /images/."""

    slot: int
    attempt: Attempt
    training: bool
    reference: str | None = Field(description="2AFC: in the middle")
    left: str = Field(description="2AFC: on the left; JND: shown first")
    right: str = Field(description="2AFC: on the right; JND: shown second")
    width: int = Field(description="of each of its pictures, in pixels")
    height: int


class Trials(_Message):
    """The next trials in their order: new ones, then those to repeat."""

    trials: list[Trial]


class _Given(_Message):
    id: AnswerId = Field(description="made at random by the browser; the same id is the same answer")
    slot: Slot
    attempt: Attempt = 1
    choice: Choice


def _field(column: Column, measured: Measured) -> tuple[Any, Any]:
    """The type of a column that the browser measures, and its range, default and description."""
    if column.kind == "truth":
        return bool, Field(default=False, description=column.meaning)
    if column.kind == "text":
        of_kind: Any = Literal[measured.words]  # pyrefly: ignore[invalid-literal]
    else:
        within = Field(ge=measured.at_least, gt=measured.above, le=measured.at_most)
        of_kind = Annotated[int, within, Whole] if measured.whole else Annotated[float, within]
    if measured.needed:
        return of_kind, Field(description=column.meaning)
    return of_kind | None, Field(default=None, description=column.meaning)


if TYPE_CHECKING:
    _Measured = _Given
else:
    _fields = {column.name: _field(column, measured) for column, measured in measured_columns().items()}
    _Measured = create_model("_Measured", __base__=_Given, **_fields)


class Answer(_Measured):
    """An answer, with what the browser measured."""

    pictures: list[PictureProof] = Field(
        default=[], max_length=3, description="the header Picture-Proof of each of the trial's pictures"
    )


class Answers(_Message):
    """Some answers, stored together."""

    answers: list[Answer] = Field(min_length=1, max_length=100)


class AnswerReceipt(_Message):
    """What became of an answer; sent after it was committed."""

    id: str
    status: Literal["stored", "known", "refused"]
    problem: str
    repeat: bool = Field(description="the exposure was bad: show the item once more, as attempt 2")
    expected: str = Field(description="the right choice of a training item")


class Receipts(_Message):
    """A receipt for each answer, in their order."""

    receipts: list[AnswerReceipt]
    over: bool = Field(default=False, description="the session has ended with these answers: ask for it")


class Spoiled(_Message):
    """Trials whose pictures the browser cannot have; nobody has answered them."""

    slots: list[Slot] = Field(min_length=1, max_length=1000)


class Withdrawal(_Message):
    """Why a session ends without its answers."""

    reason: Literal["withdrawn", "no_consent", "failed_checks", "unsuitable_device"] = "withdrawn"
    parameters: Parameters = Field(
        default={},
        max_length=32,
        json_schema_extra=_NAMES,
        description="of the address, for who declines: nothing of them is kept that leads back to the platform if they "
        "have to say it again",
    )


class Problem(_Message):
    """Why a request was not done."""

    error: str = Field(description="for programs")
    message: str = Field(description="for people")
    contact: str = Field(description="whom to ask")
    slots: list[int] = Field(default=[], description="the trials that lack an answer")


class Taken(_Message):
    """A platform's message was taken, now or before."""

    status: Literal["taken", "known"]


class Health(_Message):
    """Whether the server can keep what it is given."""

    status: Literal["ok", "failing"]
    problems: list[str]
    seconds_ago: float = Field(description="when this was found: looking takes a write, so it is not done each time")
