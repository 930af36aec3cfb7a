"""Where people come from: one file a platform, found by the name that a study file gives."""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import ValidationError

from collection_app.platforms.platform import Platform


@cache
def platforms() -> dict[str, type[Platform]]:
    """Every platform by its name: the subclasses of `Platform` in the files of this folder."""
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        importlib.import_module(module.name)
    kinds = {kind.model_fields["name"].default: kind for kind in Platform.__subclasses__()}
    return dict(sorted(kinds.items()))


def platform_of(settings: Any) -> Platform:
    """Make a platform of its settings, or of its name alone where all its settings have defaults.

    Raises
    ------
    ValueError
        If there is no such platform, or a setting is unknown, missing or out of range.
    """
    if isinstance(settings, Platform):
        return settings
    values = {"name": settings} if isinstance(settings, str) else settings
    name = values.get("name") if isinstance(values, Mapping) else None
    if not isinstance(name, str) or name not in platforms():
        raise ValueError(f"unknown platform {name!r}; there are {', '.join(platforms())}")
    try:
        return platforms()[name].model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"{where}: {message}" if where else message) from error
