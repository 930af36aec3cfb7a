"""Whether the packages that Python finds under our names are ours: another file of such a name may be in the way."""

import sys
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path

# Names that other people's files may have, too.
PACKAGES = ("analysis", "bapps_builder", "collection_app", "distortions", "metrics")
_HOME = Path(__file__).resolve().parents[1]


class ForeignPackage(ImportError):
    """Somebody else's file or package has the name of one of ours, and is found first."""


def check_packages() -> None:
    """Raise ForeignPackage, naming the file and what to do, if one of the five packages is not ours."""
    for name in PACKAGES:
        place = _place(find_spec(name))
        if place is None or place.parent != _HOME:
            raise ForeignPackage(
                f"the package {name!r} is loaded from {place or 'nowhere'}, not from {_HOME / name}: {_advice(place)}"
            )


def hidden_file(module: str) -> Path | None:
    """The user's file or folder that cannot be imported as `module` since its first part is a name of ours, or None."""
    name = module.partition(".")[0]
    if name not in (*PACKAGES, "bapps"):
        return None
    places = (_place(PathFinder.find_spec(name, [folder])) for folder in sys.path)
    return next((place for place in places if place is not None and place.parent != _HOME), None)


def why_hidden(file: Path, what: str) -> str:
    """Say in an error about something of the user's, a "metric" for one, why its file is not found and what to do."""
    return (
        f"{file} is hidden by the package {file.stem!r} of bapps, which has the same name; rename yours, such as "
        f"my_{file.name}, and the {what} with it"
    )


def _place(spec: ModuleSpec | None) -> Path | None:
    """The file of a module, or the folder of a package."""
    if spec is None or not spec.origin:
        return None
    origin = Path(spec.origin).resolve()
    return origin.parent if origin.stem == "__init__" else origin


def _advice(place: Path | None) -> str:
    if place is None:
        return "install bapps anew"
    if {"site-packages", "dist-packages"} & set(place.parts):
        return "another distribution uses this name; remove it or use an environment of its own"
    return "rename it, or keep the folder it is in off the search path, as `python -P` does for that of a script"
