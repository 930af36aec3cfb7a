"""Ready studies of every task, and the study file written with the meaning of every setting beside it.

`2afc` and `jnd` are for studies that pay people whom nobody knows: their sentinels look as test items do, and are so
many that who answers by chance passes in less than 2% of cases, and who lapses now and then in more than 99%.

`paper-2afc` and `paper-jnd` are for replication: their sentinels can be told from test items by their noise, and the
few there are become known to people who compare notes.
"""

import json
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from collection_app.errors import StudyError
from collection_app.studies.study import FILL_IN, Study
from collection_app.studies.study_file import study_of
from collection_app.tasks import tasks

# Everything that GDPR, Article 13, asks for.
_CONSENT = """\
You will be asked about small pictures. There are no right or wrong opinions.

It takes about {minutes} minutes, and you are paid {pay}; if you stop early, for the part you did. You must be 18 or
older. Taking part is voluntary: nothing obliges you to tell us anything, and you can stop at any time with the button
on every page.

**Who is responsible:** {controller} Questions: {contact} Ethics: {ethics}

**What for:** {purposes} {legal_basis}

**What we store of you** (who you are apart from all else, which knows you by a pseudonym):

{stored}

**Who gets it:** {recipients} {transfer} {publishing}

**How long:** {retention}

**Your rights:** {rights} {complaint}

**If you change your mind:** {withdrawing}

Programs check answers and decide which of them are used. They never decide that you are not paid.
"""
_TERMS = {
    "controller": f"{FILL_IN}: institution and address, and its data protection officer if it has one.",
    "ethics": f"{FILL_IN}: approval with board and number, or why none is needed.",
    "purposes": "We study how alike pictures look to people, and build and test programs that predict it.",
    "legal_basis": f"{FILL_IN}: such as: The legal basis is your consent (GDPR, Article 6(1)(a)).",
    "recipients": f"{FILL_IN}: such as: The research team and the host of our server. The platform that you come from "
    "learns how you ended and what you are paid.",
    "transfer": f"{FILL_IN}: such as: Nothing that says who you are leaves the European Union.",
    "publishing": "Your answers will be published under a pseudonym, without anything that says who you are.",
    "retention": f"{FILL_IN}: how long what is kept, such as: Who you are is deleted 30 days after the study.",
    "rights": "You may ask us what we have stored of you and for a copy, have it corrected or deleted, have its use "
    "restricted, object to it, or take it elsewhere. Write to {contact}.",
    "withdrawing": "Stop with the button on every page, and the answers given until then are not used. Until "
    "{erasure_days} days after the study is closed you can also withdraw later: write to {contact} and name your id on "
    "the platform that you come from; we then delete what leads to you and, if you wish, your answers. What was done "
    "until then stays lawful, and what was published cannot be called back.",
    "complaint": f"{FILL_IN}: such as: You may complain to a data protection authority, ours is ... with its address.",
}

_SHARED: dict[str, Any] = {
    "name": "my-study",
    "language": "en",
    "title": "How similar are these pictures?",
    "contact": f"{FILL_IN}: name and address",
    "consent": _CONSENT,
    "terms": _TERMS,
}
# The presets of all tasks, by name.
PRESETS = dict(sorted((name, made) for task in tasks().values() for name, made in task.presets.items()))
# What a preset is open to, where it is open to something: `init` says so.
OPEN_TO = {name: danger for task in tasks().values() for name, danger in task.open_to.items()}


def preset(name: str, /, **settings: Any) -> Study:
    """Give a ready study, with top-level settings of your own in place of its own."""
    if name not in PRESETS:
        raise StudyError(f"unknown preset {name!r}; there are {', '.join(PRESETS)}")
    return study_of({**_SHARED, **PRESETS[name], **settings}, name=f"preset {name}")


def as_toml(study: Study) -> str:
    """Write a study as a commented file that `read_study` reads back as the same."""
    return "\n".join(_table(study, "")).strip() + "\n"


def _table(settings: BaseModel, path: str) -> list[str]:
    lines, tables = [], []
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            about = (type(value).__doc__ or "").strip()
            tables += ["", f"# {about}", f"[{path}{name}]", *_table(value, f"{path}{name}.")]
        elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
            for entry in value:
                tables += ["", f"[[{path}{name}]]", *_table(entry, f"{path}{name}.")]
        elif isinstance(value, tuple) and _of_models(field):
            continue  # an empty list of tables is written by leaving it out
        else:
            lines += [f"# {field.description}", f"{name} = {_value(value)}"]
    return lines + tables


def _of_models(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is tuple and isinstance(get_args(field.annotation)[0], type(BaseModel))


def _value(value: Any) -> str:
    if isinstance(value, str) and value.count("\n") > 1 and "'''" not in value and "\r" not in value:
        return f"'''\n{value}'''"
    # JSON's escapes of strings, numbers, truths and lists of them are TOML's too.
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False).replace("\x7f", "\\u007f")
