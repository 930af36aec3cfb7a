"""Metrics by name: the name that a table prints parses back to the same metric.

    ssim                    a metric of this package
    lpips-vgg@0.0           one in a variant
    lpips:runs/mine.pth     an LPIPS of your own, from a file in the official key names
    my_module:my_distance   a function of your own: two uint8 batches (N, H, W, 3) to N distances
    any other name          whatever an installed distribution offers in the entry-point group `bapps.metrics`

A metric of this package registers itself where it is defined; importing every module of the wings `classic` and
`deep` is all that finding them takes.
"""

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from bapps_builder.errors import MetricError
from bapps_builder.packages import hidden_file, why_hidden
from metrics.metric import Metric, Setup, from_function

ENTRY_POINTS = "bapps.metrics"
# Where metrics register themselves. Named, not imported: the wings import this file.
WINGS = ("metrics.classic", "metrics.deep")


@dataclass(frozen=True)
class Entry:
    """A registered name.

    Attributes
    ----------
    name : str
    summary : str
        One line for listings; the made metric's description has all parameters.
    make : callable
        (variant, setup) to Metric; variant is "" for the plain name.
    variants : tuple of str
        What may stand behind the "@".
    default : str
        The variant that the plain name stands for; its long form is printed as the plain name.
    open_ended : callable or None
        Tells whether a variant that is not listed is acceptable too, such as a seed.
    has_loss : bool
        Whether the plain name has gradients too, as a loss.
    """

    name: str
    summary: str
    make: Callable[[str, Setup], Metric]
    variants: tuple[str, ...] = ()
    default: str = ""
    open_ended: Callable[[str], bool] | None = None
    has_loss: bool = False


_ENTRIES: dict[str, Entry] = {}
_SCHEMES: dict[str, Callable[[str, Setup], Metric]] = {}


def register(entry: Entry) -> None:
    """Add an entry.

    Raises
    ------
    ValueError
        If the name is taken, or could not be parsed back.
    """
    if entry.name in _ENTRIES:
        raise ValueError(f"two metrics have the name {entry.name!r}")
    if not entry.name or set(entry.name) & set("@: ,"):
        raise ValueError(f"a metric's name must not be empty or hold '@', ':', ',' or spaces: {entry.name!r}")
    _ENTRIES[entry.name] = entry


def register_scheme(prefix: str, make: Callable[[str, Setup], Metric]) -> None:
    """Let names of the form `prefix:REST` be made by `make(REST, setup)`.

    Raises
    ------
    ValueError
        If the prefix is taken.
    """
    if prefix in _SCHEMES:
        raise ValueError(f"two kinds of metric have the prefix {prefix!r}")
    _SCHEMES[prefix] = make


def register_metric(metric: Metric, *variants: Metric) -> Metric:
    """Add a metric that needs neither weights nor a device, and give it back.

    Parameters
    ----------
    metric : Metric
    *variants : Metric
        The same in other settings, each named `metric.name@VARIANT`.

    Raises
    ------
    ValueError
        If the name is taken, or a variant is named otherwise.
    """
    by_variant = {"": metric}
    for other in variants:
        base, _, variant = other.name.partition("@")
        if base != metric.name or not variant or variant in by_variant:
            raise ValueError(f"a variant of {metric.name} must have a name of its own, {metric.name}@…: {other.name!r}")
        by_variant[variant] = other

    def make(variant: str, setup: Setup) -> Metric:
        return by_variant[variant]

    variants_of = tuple(by_variant)[1:]
    register(Entry(metric.name, metric.description, make, variants_of, has_loss=metric.make_loss is not None))
    return metric


def entries() -> dict[str, Entry]:
    """Give every registered metric of this package by name, sorted."""
    _import_all()
    return dict(sorted(_ENTRIES.items()))


def load(name: str, setup: Setup | None = None) -> Metric:
    """Make the metric of a name.

    Parameters
    ----------
    name : str
        In one of the forms at the top of this file. `metric.name` is its shortest spelling.
    setup : Setup, optional
        Device, precision and source of weights for those metrics that have them.

    Raises
    ------
    MetricError
        If the name is unknown; the message says what is close to it.
    WeightsError
        If its weights cannot be obtained.
    """
    setup = setup or Setup()
    _import_all()
    base, at, variant = name.partition("@")
    if base in _ENTRIES:
        return _ENTRIES[base].make(_known_variant(_ENTRIES[base], variant, explicit=bool(at)), setup)
    prefix, colon, rest = name.partition(":")
    if colon and prefix in _SCHEMES:
        return _SCHEMES[prefix](rest, setup)
    if colon:
        return _from_module(name)
    plugins = _plugins()
    if name in plugins:
        return _adopt(name, _load_entry_point(plugins[name]))
    raise MetricError(_unknown(name, plugins))


def as_metric(metric: str | Metric | Callable[..., object], setup: Setup | None = None) -> Metric:
    """The metric that is meant: one by its name, one that is made already, or a function as `module:function` has it.

    Raises
    ------
    MetricError, WeightsError
        As `load`, and if it is none of these.
    """
    if isinstance(metric, str):
        return load(metric, setup)
    if isinstance(metric, Metric):
        return metric
    module, name = getattr(metric, "__module__", ""), getattr(metric, "__qualname__", type(metric).__name__)
    return _adopt(f"{module}:{name}", metric)


def load_all(names: Sequence[str], setup: Setup | None = None) -> list[Metric]:
    """Make several metrics; a name given twice, in whatever spelling, is one metric."""
    by_name: dict[str, Metric] = {}
    for name in names:
        metric = load(name, setup)
        by_name.setdefault(metric.name, metric)
    return list(by_name.values())


@cache
def _import_all() -> None:
    for wing in WINGS:
        for module in pkgutil.iter_modules(importlib.import_module(wing).__path__, f"{wing}."):
            importlib.import_module(module.name)


def _known_variant(entry: Entry, variant: str, *, explicit: bool) -> str:
    if not explicit or (variant and variant == entry.default):
        return ""
    if variant in entry.variants or (entry.open_ended and entry.open_ended(variant)):
        return variant
    allowed = ", ".join(f"{entry.name}@{v}" for v in entry.variants) or "it has none"
    raise MetricError(f"unknown variant {entry.name}@{variant}; its variants: {allowed}")


def _from_module(name: str) -> Metric:
    module_name, _, attribute = name.partition(":")
    if hidden := hidden_file(module_name):
        raise MetricError(f"metric {name!r}: {why_hidden(hidden, 'metric')}")
    try:
        value: object = importlib.import_module(module_name)
        for part in attribute.split("."):
            value = getattr(value, part)
    except Exception as error:  # the user's own code runs here
        raise MetricError(
            f"metric {name!r}: {type(error).__name__}: {error}; expected module:callable with an importable module "
            "(the current folder is searched last)"
        ) from error
    return _adopt(name, value)


def _adopt(name: str, value: object) -> Metric:
    if isinstance(value, Metric):
        return replace(value, name=name)  # the name that parses back
    if not callable(value):
        raise MetricError(f"metric {name!r} is a {type(value).__name__}, expected a function of two image batches")
    lines = (getattr(value, "__doc__", None) or "").strip().splitlines()
    return from_function(name, value, lines[0] if lines else "user's function")


@cache
def _plugins() -> dict[str, EntryPoint]:
    points: dict[str, EntryPoint] = {}
    for point in entry_points(group=ENTRY_POINTS):
        first = points.setdefault(point.name, point)
        if first.value != point.value:
            raise MetricError(
                f"two distributions publish a metric {point.name!r}: {_publisher(first)} and {_publisher(point)}; "
                "remove one"
            )
    return points


def _publisher(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value


def _load_entry_point(point: EntryPoint) -> object:
    try:
        return point.load()
    except Exception as error:  # the plug-in's own code runs here
        raise MetricError(f"metric {point.name!r} of {_publisher(point)} does not load: {error}") from error


def _unknown(name: str, plugins: dict[str, EntryPoint]) -> str:
    spellings = list(plugins)
    for entry in _ENTRIES.values():
        spellings += [entry.name, *(f"{entry.name}@{variant}" for variant in entry.variants)]
    close = difflib.get_close_matches(name, spellings, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(close)}?" if close else f"known: {', '.join(sorted(spellings))}"
    return f"unknown metric {name!r}; {hint}"
