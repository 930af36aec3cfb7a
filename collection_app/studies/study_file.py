"""Study files: how they are read and checked, and in which settings two of them differ."""

import re
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from collection_app.errors import StudyError
from collection_app.studies.study import Study

# How sure it is who arrives may change while a study is served: nobody is asked anything else by it.
ABOUT_ARRIVALS = frozenset({"platform.signed_for", "platform.unsigned_reason"})


def read_study(path: Path) -> Study:
    """Read a study file.

    Raises
    ------
    StudyError
        If it is missing, no TOML, or a setting is unknown, missing or out of range: the message names the first.
    """
    try:
        with path.open("rb") as file:
            return study_of(tomllib.load(file), name=str(path))
    except FileNotFoundError as error:
        raise StudyError(f"{path}: no such study file; make one with `bapps-collect init`") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StudyError(f"{path}: not readable as TOML: {error}") from error


def name_for(file: Path) -> str:
    """A name for the study of a file that does not have one yet: `My study.toml` is `my-study`."""
    return re.sub(r"[^a-z0-9]+", "-", file.stem.lower()).strip("-")[:63] or "study"


def study_of(settings: dict[str, Any], *, name: str) -> Study:
    """Check settings; `name` is what an error calls them."""
    try:
        return Study.model_validate(settings)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "settings"
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        message = first["msg"].removeprefix("Value error, ")
        raise StudyError(f"{name}: {where}: {message}, got {str(first['input'])[:80]!r}{more}") from error


def changes(old: Study, new: Study) -> list[str]:
    """Names of the settings in which two studies differ, but for those that may change at any time."""
    before, after = _flat(old.model_dump(mode="json")), _flat(new.model_dump(mode="json"))
    names = (before.keys() | after.keys()) - ABOUT_ARRIVALS
    return sorted(name for name in names if before.get(name) != after.get(name))


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in settings.items():
        values |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return values
