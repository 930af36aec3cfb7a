"""Distortions by name: the name that a list prints is the name that a recipe parses.

    gaussian-blur           a distortion of this project
    my_module:posterise     one of your own: a function under `@distortion(...)` in a module that can be imported
    any other name          whatever an installed distribution offers in the entry-point group `bapps.distortions`

A distortion of this project declares itself where it is defined; importing every file of `distortions.traditional` is
all that finding them takes. A name of this project always means this project's distortion.
"""

import difflib
import importlib
import pkgutil
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from bapps_builder.errors import DistortionError
from bapps_builder.packages import hidden_file, why_hidden
from distortions.distortion import OURS, Distortion, declared, declared_here

ENTRY_POINTS = "bapps.distortions"
# What a recipe can hold as the name of a plug-in, less what means something else there.
_PLUGIN_NAME = re.compile(r"(?!(?:identity|cnn-\d+)$)[\w-]+")


def distortions() -> dict[str, Distortion]:
    """Give all distortions of this project by name, in the order of the paper's families."""
    return dict(_ours())


@cache
def _ours() -> Mapping[str, Distortion]:
    wing = importlib.import_module(OURS)
    for module in pkgutil.iter_modules(wing.__path__, f"{OURS}."):
        importlib.import_module(module.name)
    order = {name: place for place, name in enumerate(wing.TWENTY)}
    return dict(sorted(declared_here().items(), key=lambda item: order.get(item[0], len(order))))


def find(name: str) -> Distortion:
    """Give the distortion of a name.

    Parameters
    ----------
    name : str
        In one of the forms at the top of this file. The distortion's own name is its shortest spelling.

    Raises
    ------
    DistortionError
        If there is none; the message has the nearest names.
    """
    entries = _ours()
    if name in entries:
        return entries[name]
    if ":" in name:
        return _of_module(name)
    points = _entry_points()
    if name in points:
        return _of_plugin(points[name])
    close = difflib.get_close_matches(name, [*entries, *points], n=2, cutoff=0.45)
    hint = f"did you mean {' or '.join(close)}?" if close else f"known are {', '.join([*entries, *points])}"
    raise DistortionError(f"unknown distortion {name!r}; {hint} (one of your own is written my_module:name)")


def plugins() -> tuple[dict[str, Distortion], list[str]]:
    """Give the distortions of installed distributions by name, and what is wrong with those that cannot be used."""
    entries, wrong = {}, []
    for name in _entry_points():
        try:
            entries[name] = find(name)
        except DistortionError as error:
            wrong.append(str(error))
    taken = [point for point in entry_points(group=ENTRY_POINTS) if point.name in _ours()]
    wrong += [f"{_publisher(point)} publishes {point.name!r}, which is a name of this project" for point in taken]
    return entries, wrong


@cache
def _entry_points() -> dict[str, list[EntryPoint]]:
    """What is published under each name that is not one of this project's."""
    points: dict[str, list[EntryPoint]] = {}
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name):
        if point.name not in _ours():
            points.setdefault(point.name, []).append(point)
    return points


def _of_module(name: str) -> Distortion:
    module_name, _, attribute = name.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), *attribute.split("."))):
        raise DistortionError(
            f"{name!r} is not of the form module:distortion; both are written as Python imports them, such as "
            "my_module:posterise "
            "or my_package.tones:posterise, without folders and without .py"
        )
    if module_name == "__main__":
        raise DistortionError(f"{name!r}: other processes cannot import __main__; put the distortion into a file")
    if hidden := hidden_file(module_name):
        raise DistortionError(f"distortion {name!r}: {why_hidden(hidden, 'distortion')}")
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # the user's own code runs here
        raise DistortionError(
            f"distortion {name!r}: {type(error).__name__}: {error}; expected module:distortion with a module that can "
            "be imported (the current folder is searched last)"
        ) from error
    value: object = module
    for part in attribute.split("."):
        value = getattr(value, part, None)
    if value is None:
        place = getattr(module, "__file__", None) or "no file"
        raise DistortionError(
            f"distortion {name!r}: the module {module_name}, from {place}, has no {attribute!r}; if that is not your "
            "file, give yours a name that no installed module has"
        )
    return _adopted(name, value)


def _of_plugin(points: list[EntryPoint]) -> Distortion:
    point, *others = points
    if different := [other for other in others if other.value != point.value]:
        raise DistortionError(
            f"{_publisher(point)} and {_publisher(different[0])} both publish a distortion {point.name!r}; remove one"
        )
    if not _PLUGIN_NAME.fullmatch(point.name):
        raise DistortionError(f"{_publisher(point)} publishes {point.name!r}, which cannot stand in a recipe")
    try:
        loaded = point.load()
    except (Exception, SystemExit) as error:  # the plug-in's own code runs here
        raise DistortionError(
            f"distortion {point.name!r} of {_publisher(point)} does not load: {type(error).__name__}: {error}"
        ) from error
    entry = _adopted(point.name, loaded)
    if entry.source and point.dist:
        entry = replace(entry, source=replace(entry.source, version=point.dist.version))
    return entry


def _publisher(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value


_ADOPTED: dict[str, Distortion] = {}


def _adopted(name: str, value: object) -> Distortion:
    """The distortion that an object was declared as, under the name by which it was asked for."""
    before = _ADOPTED.get(name)
    if before and before.function is value:  # not so after the module was loaded anew
        return before
    entry = declared(value)
    if entry is None:
        raise DistortionError(
            f"{name!r} is a {type(value).__name__} and no distortion; expected a function under "
            "@distortion(...) from distortions.distortion"
        )
    if entry.source is None:
        return entry
    if not entry.source.sha256:
        raise DistortionError(f"{name!r}: the source of {entry.source.module} cannot be read; put it into a .py file")
    _ADOPTED[name] = replace(entry, name=name)
    return _ADOPTED[name]
