"""Where people come from: one file a platform, found by the name a study file gives."""

from collection_app.platforms.local import LocalLink
from collection_app.platforms.visitor import Platform
from collection_app.study import StudyError

PLATFORMS: dict[str, Platform] = {found.name: found for found in (LocalLink(),)}


def platform(name: str) -> Platform:
    """Give the platform of a name, or raise StudyError with the names there are."""
    if name not in PLATFORMS:
        raise StudyError(f"unknown platform {name!r}; there are {', '.join(PLATFORMS)}")
    return PLATFORMS[name]
