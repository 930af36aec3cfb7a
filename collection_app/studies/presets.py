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
from collection_app.studies.consent import CONSENT, TERMS
from collection_app.studies.study import FILL_IN, Study
from collection_app.studies.study_file import study_of
from collection_app.tasks import tasks

_SHARED: dict[str, Any] = {
    "name": "my-study",
    "language": "en",
    "title": "How similar are these pictures?",
    "contact": f"{FILL_IN}: name and address",
    "consent": CONSENT,
    "terms": TERMS,
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
