"""Everything a study decides, in one TOML file (study_file.py) that is frozen once serving starts.

`Study` and the models inside it are the only list of settings; the file that `init` writes and the table in
docs/collecting.md are made from them.
"""

import hashlib
import json
import re
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializeAsAny,
    StringConstraints,
    create_model,
    field_validator,
    model_validator,
)

from bapps_builder.answers.exclusions import parse_rule
from collection_app.database.personal import told_list
from collection_app.platforms import platform_of
from collection_app.platforms.local import Local
from collection_app.platforms.platform import Platform
from collection_app.tasks import task_of, tasks
from collection_app.tasks.task_module import TaskModule
from collection_app.tasks.words import SentinelName, TaskName, sentinel_meanings, training_settings

# Stands where a preset cannot know what to write.
FILL_IN = "FILL IN"
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\r\n]+$")]
Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{0,64}$")]
Told = Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000)]
Money = Annotated[float, Field(ge=0, le=1_000_000)]
_HTML = re.compile(r"<[A-Za-z/!?]")


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class AnswersPerItem(_Settings):
    """How many people answer each item."""

    train: int = Field(default=2, ge=1, le=1000, description="2AFC items of the split train")
    val: int = Field(default=5, ge=1, le=1000, description="2AFC items of the split val")
    jnd: int = Field(default=3, ge=1, le=1000, description="JND items")


class SentinelRule(_Settings):
    """How many sentinels of one check a session holds, and how many must be answered as expected."""

    check: SentinelName = Field(description=sentinel_meanings())
    count: int = Field(ge=1, le=500, description="sentinels in each session")
    at_least: int = Field(ge=0, le=500, description="answered as expected, for the answers of a session to be used")

    @model_validator(mode="after")
    def _can_be_passed(self) -> Self:
        if self.at_least > self.count:
            raise ValueError(f"at_least must not exceed count, got {self.at_least} of {self.count}")
        return self


class Sentinels(_Settings):
    """Items with a known answer, mixed among the others."""

    rules: tuple[SentinelRule, ...] = Field(
        default=(), description="how many sentinels of each check a session holds, and how many must be right"
    )
    pool: int = Field(default=4, ge=1, le=100, description="how many times a session's count of them is made")
    apart: bool = Field(
        default=False,
        description="nobody sees a reference in a test item that they see in a sentinel or in training; "
        "training is then drawn from a pool too",
    )
    as_often: bool = Field(
        default=False,
        description="enough are made, and each session draws those that were shown as often as its test items: how "
        "often a picture comes again then tells nobody who compares notes what it is",
    )
    little_noise: float = Field(
        default=4.0, ge=0, le=255, description="sigma in levels of the better patch of `obvious`"
    )
    much_noise: float = Field(default=40.0, gt=0, le=255, description="sigma of the worse one, and of `noise`")


if TYPE_CHECKING:
    Training = _Settings
else:
    # The checks of all tasks that can be trained, a number each.
    Training = create_model(
        "Training",
        __base__=_Settings,
        __doc__="Items with feedback before the first session of a person.",
        **{
            name: (int, Field(default=0, ge=0, le=50, description=meaning))
            for name, meaning in training_settings().items()
        },
    )


class Exposure(_Settings):
    """JND: how long patches are shown, and what counts as shown wrongly."""

    first_ms: float = Field(default=1000, ge=16, le=10_000, description="first patch")
    gap_ms: float = Field(default=250, ge=0, le=10_000, description="between the two")
    second_ms: float = Field(default=1000, ge=16, le=10_000, description="second patch")
    tolerance_frames: float = Field(
        default=1.5, gt=0, le=10, description="a time further off than this is a bad exposure"
    )
    most_dropped: int = Field(
        default=6, ge=0, le=1000, description="with more frames dropped while patches are shown, it is a bad exposure"
    )


class Display(_Settings):
    """How patches are drawn: always a whole number of device pixels for each of theirs."""

    size: int = Field(
        default=256, ge=64, le=2048, description="CSS pixels that a patch fills, as nearly as the screen allows"
    )
    layout: Literal["auto", "side-by-side", "in-place"] = Field(
        default="auto",
        description="2AFC: all three pictures side by side, or one at a time in place, where keys 1, 2 and 3 or a tap "
        "change it; auto: side by side where three have room, else in place",
    )
    least_look_ms: float = Field(
        default=200,
        ge=0,
        le=10_000,
        description="2AFC in place: how long each of the three must have been looked at before an answer counts",
    )
    least_hz: float = Field(default=50, ge=0, le=1000, description="JND: a screen with fewer frames is unsuitable")


class Question(_Settings):
    """A question of the comprehension check, asked after the instructions; two tries at all of them."""

    question: Line = Field(description="what is asked")
    choices: tuple[Line, ...] = Field(min_length=2, max_length=8, description="what can be chosen")
    right: int = Field(ge=1, description="number of the right choice, the first being 1")

    @model_validator(mode="after")
    def _is_there(self) -> Self:
        if self.right > len(self.choices):
            raise ValueError(f"right must be one of the {len(self.choices)} choices, got {self.right}")
        return self


class Outcomes(_Settings):
    """Completion code of each outcome; an empty one is made at random for each session."""

    complete: Code = Field(default="", description="all answers are committed, and enough of them count")
    incomplete: Code = Field(
        default="",
        description="the end was reached with too few valid answers or sentinels right; empty: the code of complete",
    )
    no_consent: Code = Field(default="", description="consent was declined")
    failed_checks: Code = Field(default="", description="the comprehension check was failed twice")
    no_work: Code = Field(default="", description="nothing was left to do")
    unsuitable_device: Code = Field(default="", description="the screen cannot show the patches")
    withdrawn: Code = Field(default="", description="the person withdrew")

    def code(self, outcome: str) -> str:
        """The code of an outcome, or nothing if one is to be made."""
        return getattr(self, outcome) or (self.complete if outcome == "incomplete" else "")

    def needed(self) -> dict[str, str]:
        """The codes by outcome, without one that need not be filled in and is not."""
        return {name: code for name, code in self.model_dump().items() if code or name != "incomplete"}


class Terms(_Settings):
    """What people are told and promised; `bapps-collect serve` refuses a study in which any of it is missing."""

    controller: Told = Field(
        default="",
        description="who answers for the data: institution and address, and its data protection officer if it has one",
    )
    ethics: Told = Field(default="", description="the approval, its board and number; or why none is needed")
    minutes: float = Field(default=0, ge=0, le=1440, description="how long a session takes")
    pay: Money = Field(default=0, description="for a complete session, in `currency`")
    currency: Annotated[str, StringConstraints(pattern=r"^([A-Z]{3})?$")] = Field(
        default="", description="such as GBP or USD; amounts have two decimals"
    )
    least_per_hour: Money = Field(default=0, description="`pay` for `minutes` must come to at least this an hour")
    turned_away_pay: Money = Field(
        default=0, description="for who fails the comprehension check, has the wrong screen or finds no work"
    )
    adults_only: bool = Field(default=False, description="only people of 18 and over are asked")
    retention: Told = Field(default="", description="how long what is kept")
    publishing: Told = Field(default="", description="that pseudonymous answers will be published, and where")
    purposes: Told = Field(default="", description="what the data are for")
    legal_basis: Told = Field(default="", description="why they may be processed, such as consent: GDPR, Article 6")
    recipients: Told = Field(default="", description="who gets data besides the controller, the platform among them")
    transfer: Told = Field(default="", description="whether data leave the European Union, and on what grounds")
    stored: Told = Field(
        default="",
        description="what is stored of a person; empty: the list of what the database holds, in English or German",
    )
    rights: Told = Field(default="", description="to access, correction, erasure, restriction, portability, objection")
    withdrawing: Told = Field(default="", description="how to withdraw while taking part and later, and until when")
    complaint: Told = Field(default="", description="the authority that people may complain to, with address")

    @property
    def per_hour(self) -> float:
        """Pay for an hour; 0 if `minutes` is not filled in."""
        return self.pay * 60 / self.minutes if self.minutes else 0.0


class Rules(_Settings):
    """Rules about conduct beside the sentinels, such as `fast<=0.2`; see `bapps-consistency --help`."""

    use: tuple[str, ...] = Field(
        default=(), description="who breaks one: answers are kept, but not used, and asked again"
    )
    pay: tuple[str, ...] = Field(
        default=(), description="who breaks one: a person looks before paying; nobody is rejected"
    )
    keep_unfinished: bool = Field(
        default=False,
        description="use the answers of sessions that never finish, up to the last sentinel passed, "
        "if chance would hardly have passed as many",
    )
    least_valid: float = Field(
        default=0.8, ge=0, le=1, description="share of valid answers without which a session is incomplete"
    )
    most_bad: int = Field(
        default=8, ge=0, le=1000, description="so many bad answers in a row end it as unsuitable_device; 0: never"
    )
    server_time: bool = Field(
        default=True,
        description="by the server's clock, answers come after their pictures and take the time they say; "
        "false is for programs that look at no picture",
    )

    @field_validator("use", "pay")
    @classmethod
    def _parse(cls, rules: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(parse_rule(rule)) for rule in rules)


class Study(_Settings):
    """A study."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")] = Field(
        description="short name, in lower case, digits and dashes"
    )
    version: int = Field(default=1, ge=1, le=10_000, description="raise it to change a study that has been served")
    title: Line = Field(description="what people see")
    contact: Line = Field(description="whom people can ask, with address")
    consent: str = Field(
        min_length=1,
        max_length=50_000,
        description="what people agree to; Markdown without HTML; {controller}, {ethics}, {purposes}, {legal_basis}, "
        "{stored}, {recipients}, {transfer}, {publishing}, {retention}, {rights}, {withdrawing}, {complaint}, "
        "{minutes}, {pay}, {contact} and {erasure_days} are filled in from the settings of that "
        "name, which may name the last two",
    )
    language: Annotated[str, StringConstraints(pattern=r"^([a-z]{2,3})?$")] = Field(
        default="", description="of consent and pages, such as en or de, for everybody; empty: en"
    )
    task: TaskName = Field(description=" ".join(f"{name}: {task.question}" for name, task in tasks().items()))
    answers_per_item: AnswersPerItem = Field(default_factory=AnswersPerItem)
    items_per_session: int = Field(ge=1, le=2000, description="test items in a session")
    fewest_items: int = Field(default=1, ge=1, le=2000, description="with fewer test items left, a person is told so")
    sessions_per_person: int = Field(default=1, ge=1, le=1000, description="sessions one person may take part in")
    lease_minutes: float = Field(
        default=30, gt=0, le=1440, description="items of a silent person go to others after this"
    )
    lapse_hours: float = Field(default=24, gt=0, le=8760, description="a silent session is judged as it is after this")
    seed: int = Field(default=0, ge=0, lt=2**63, description="from which sentinels and training items are drawn")
    erasure_days: int = Field(
        default=30, ge=0, le=3650, description="after `close`, how long people can still be erased by id"
    )
    platform: SerializeAsAny[Platform] = Field(
        default_factory=Local, description="where people come from, with the platform's own settings"
    )
    sentinels: Sentinels = Field(default_factory=Sentinels)
    training: Training = Field(default_factory=Training)
    exposure: Exposure = Field(default_factory=Exposure)
    display: Display = Field(default_factory=Display)
    comprehension: tuple[Question, ...] = Field(default=(), max_length=20, description="asked after the instructions")
    terms: Terms = Field(default_factory=Terms)
    outcomes: Outcomes = Field(default_factory=Outcomes)
    rules: Rules = Field(default_factory=Rules)

    @field_validator("platform", mode="before")
    @classmethod
    def _of_its_kind(cls, settings: object) -> Platform:
        return platform_of(settings)

    @field_validator("consent")
    @classmethod
    def _no_html(cls, text: str) -> str:
        if match := _HTML.search(text):
            raise ValueError(f"needs Markdown without HTML, got {text[match.start() : match.start() + 20]!r}")
        return text

    @model_validator(mode="after")
    def _of_one_task(self) -> Self:
        checks = [rule.check for rule in self.sentinels.rules]
        if len(set(checks)) < len(checks):
            raise ValueError(f"sentinels.rules must name each check once, got {', '.join(checks)}")
        own = self.task_module.checks
        names = [check.name for check in own if check.sentinel]
        if wrong := [check for check in checks if check not in names]:
            raise ValueError(f"the task {self.task} has the checks {', '.join(names)}, got {wrong[0]}")
        if {name for name, count in self.training if count} - {check.training for check in own}:
            raise ValueError(f"training items of another task: the task is {self.task}")
        if self.display.layout != "auto" and not self.task_module.looked:
            raise ValueError(f"the task {self.task} has one layout; leave display.layout at auto")
        if self.fewest_items > self.items_per_session:
            raise ValueError("fewest_items must not exceed items_per_session")
        if self.sessions_per_person > self.sentinels.pool:
            raise ValueError("sentinels.pool must be at least sessions_per_person: nobody sees one twice")
        return self

    def quota(self, split: str) -> int:
        """How many people answer a test item of a split."""
        return getattr(self.answers_per_item, self.task_module.quotas[split])

    @property
    def checks(self) -> int:
        """How many sentinels and training items the first session of a person holds."""
        return sum(rule.count for rule in self.sentinels.rules) + sum(self.practice.values())

    @property
    def practice(self) -> dict[str, int]:
        """How many training items there are of each check, in the order in which they are made."""
        counts = dict(self.training)
        return {check.name: counts[check.training] for check in self.task_module.checks if check.training}

    @property
    def task_module(self) -> TaskModule:
        """What its task is."""
        return task_of(self.task)

    def canonical(self) -> str:
        """All settings as JSON in one fixed form."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False, separators=(",", ":"))

    def digest(self) -> str:
        """SHA-256 of `canonical`."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()

    @property
    def told(self) -> dict[str, str]:
        """What a consent text may name in braces."""
        terms = self.terms
        texts = {name: value for name, value in terms.model_dump().items() if isinstance(value, str)}
        texts["stored"] = terms.stored or told_list(self.language)
        del texts["currency"]
        numbers = {"minutes": f"{terms.minutes:g}", "pay": f"{terms.pay:.2f} {terms.currency}"}
        return {**texts, **numbers, "contact": self.contact, "erasure_days": f"{self.erasure_days}"}

    @property
    def consent_text(self) -> str:
        """The consent with everything filled in: what people read and agree to."""
        text = self.consent
        for name, value in self.told.items():
            text = text.replace(f"{{{name}}}", value)
        return text

    @property
    def consent_digest(self) -> str:
        """SHA-256 of `consent_text`: what a person's consent is stored with."""
        return hashlib.sha256(self.consent_text.encode()).hexdigest()
