"""The columns of an answer: the one list from which messages, database, export, releases and documentation follow."""

from dataclasses import dataclass
from typing import Literal

from bapps_builder.tasks import JUDGED

Kind = Literal["text", "number", "truth"]


@dataclass(frozen=True)
class Measured:
    """What a browser may say of a column that it measures.

    Attributes
    ----------
    at_least, above, at_most : float, optional
        Where a number lies.
    whole : bool
        Whether it is a whole number.
    words : tuple of str
        The only texts.
    needed : bool
        Whether every answer says it. Else a number or text is not given, or a truth false, where none is said.
    """

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    whole: bool = False
    words: tuple[str, ...] = ()
    needed: bool = False


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes
    ----------
    name : str
    kind : "text", "number" or "truth"
    meaning : str
        For the data dictionary and the description of the interface.
    required : bool
        Whether a table of answers must have it.
    values : tuple of str
        The only texts allowed in a table; an optional column may also be empty.
    measured : Measured, optional
        Where the browser measures it: it is a part of the message, and of the database.
    published : bool, optional
        Whether it is in a release, as it is or coarser; nothing until somebody has decided.
    """

    name: str
    kind: Kind
    meaning: str
    required: bool = False
    values: tuple[str, ...] = ()
    measured: Measured | None = None
    published: bool | None = None


TASK_BY_CHOICE = {choice: task for task, judging in JUDGED.items() for choice in judging.choices}
_CHOICE_WORDS = tuple(TASK_BY_CHOICE)
_DAY_MS = 86_400_000
_EXPOSURE = Measured(at_least=0, at_most=_DAY_MS)
# How the pictures of a 2AFC item can be shown.
LAYOUTS = ("side-by-side", "in-place")
_COUNT = Measured(at_least=0, at_most=1_000_000, whole=True)

# In the order in which tables have them.
COLUMNS = (
    Column("study", "text", "The study's name and version", published=False),
    Column("set", "text", "The set the item belongs to, as split/name", published=True),
    Column("item", "text", "The item that was shown", required=True, published=True),
    Column(
        "task",
        "text",
        "2afc: which is closer to the reference? jnd: same or different?",
        values=tuple(JUDGED),
        published=True,
    ),
    Column("participant", "text", "Pseudonym of the person", required=True, published=True),
    Column("session", "text", "One sitting of one person", published=False),
    Column("trial", "number", "Position in the session, from 0", published=True),
    Column("attempt", "number", "1, or 2 where a bad exposure was repeated", published=False),
    Column(
        "choice", "text", "What the person chose, sides decoded", required=True, values=_CHOICE_WORDS, published=True
    ),
    Column(
        "expected",
        "text",
        "The right choice of a sentinel, a training item or an identical pair",
        values=_CHOICE_WORDS,
        published=False,
    ),
    Column("side", "text", "2AFC: the side on which p1 was shown", values=("left", "right"), published=True),
    Column(
        "reaction_ms",
        "number",
        "From the question to the answer, in milliseconds",
        measured=Measured(at_least=0, at_most=_DAY_MS, needed=True),
        published=True,
    ),
    Column("first_ms", "number", "JND: measured exposure of the first patch", measured=_EXPOSURE, published=False),
    Column("gap_ms", "number", "JND: measured gap between the patches", measured=_EXPOSURE, published=False),
    Column("second_ms", "number", "JND: measured exposure of the second patch", measured=_EXPOSURE, published=False),
    Column("frames", "number", "JND: frames shown, both exposures together", measured=_COUNT, published=False),
    Column(
        "dropped_frames", "number", "Frames the browser left out during the trial", measured=_COUNT, published=False
    ),
    Column(
        "device_pixel_ratio",
        "number",
        "Device pixels per CSS pixel",
        measured=Measured(above=0, at_most=100),
        published=False,
    ),
    Column(
        "scale",
        "number",
        "Device pixels per patch pixel",
        measured=Measured(at_least=1, at_most=1000, whole=True),
        published=False,
    ),
    Column(
        "layout",
        "text",
        "2AFC: whether the three pictures were shown side by side, or one at a time in place",
        measured=Measured(words=LAYOUTS),
        published=False,
    ),
    *(
        Column(f"{name}{what}", "number", f"2AFC in place: {meaning}", measured=measured, published=False)
        for name, picture in (("reference", "the reference"), ("left", "the left patch"), ("right", "the right patch"))
        for what, meaning, measured in (
            ("_looks", f"how often {picture} was looked at", _COUNT),
            ("_look_ms", f"how long {picture} was looked at, in milliseconds", _EXPOSURE),
        )
    ),
    Column(
        "most_scale",
        "number",
        "2AFC, where only a part of the pictures had room: the largest scale they were enlarged to",
        measured=Measured(at_least=1, at_most=1000, whole=True),
        published=False,
    ),
    Column(
        "part_seen",
        "number",
        "2AFC, where only a part of the pictures had room: the share of their area that came into view",
        measured=Measured(at_least=0, at_most=1),
        published=False,
    ),
    Column(
        "input",
        "text",
        "mouse, touch, pen or keyboard",
        measured=Measured(words=("mouse", "touch", "pen", "keyboard"), needed=True),
        published=True,
    ),
    Column("focus_lost", "truth", "Whether the page lost focus during the trial", measured=Measured(), published=False),
    Column("role", "text", "What the item was for", values=("test", "sentinel", "training"), published=False),
    Column("use", "truth", "Whether the answer counts under the study's own rules", published=True),
    Column("reason", "text", "Why it does not", published=False),
    Column("simulated", "truth", "Whether a program answered", published=True),
    Column("submitted_at", "text", "When the server had it, ISO 8601, UTC", published=False),
)
# What the browser measures and the database keeps, but no table of answers has.
UNEXPORTED = (
    Column("frame_ms", "number", "JND: measured time between frames", measured=_EXPOSURE),
    Column(
        "answered_at",
        "number",
        "When, by the browser's clock, in milliseconds since 1970",
        measured=Measured(at_least=0, at_most=2**53, whole=True, needed=True),
    ),
)


def measured_columns() -> dict[Column, Measured]:
    """The columns that a browser measures, exported or not, each with what may be said of it."""
    return {column: column.measured for column in (*COLUMNS, *UNEXPORTED) if column.measured}
