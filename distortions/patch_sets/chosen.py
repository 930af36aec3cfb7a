"""The distortions that a patch set is drawn from by choice: which they are, whether they can be relied on, and the
record by which those from outside are known again.
"""

import importlib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bapps_builder.errors import DistortionError, PatchSetError
from bapps_builder.images.enlargement import PATCH_SIDE
from bapps_builder.patch_sets.patch_set import PatchSet
from distortions.cnn.variants import find_variant, is_variant
from distortions.distortion import MARGIN, Distortion, Patch
from distortions.registry import find
from distortions.source import Source

# Keys of a patch set's settings and findings.
SOURCES, FOLDERS = "sources", "source_folders"
_SEVERITIES = (0.0, 0.5, 1.0)


def chosen(names: Iterable[str]) -> tuple[str, ...]:
    """Give each name in its shortest spelling, once, or raise DistortionError for one that cannot be drawn."""
    spellings = []
    for name in names:
        if "(" in name or "+" in name:
            raise DistortionError(
                f"{name!r} is a recipe; what is drawn are names, such as gaussian-blur, whose values come from a "
                "severity and whose compositions of two are drawn too"
            )
        spellings.append(find_variant(name).name if is_variant(name) else find(name).name)
    return tuple(dict.fromkeys(spellings))


def sources_of(names: Iterable[str]) -> dict[str, Source]:
    """Give the source of each distortion from outside, by name."""
    sources = {name: find(name).source for name in names if not is_variant(name)}
    return {name: source for name, source in sources.items() if source}


def try_out(names: Iterable[str]) -> None:
    """Run distortions from outside a few times, so that one that does not work fails before anything is made.

    Raises
    ------
    DistortionError
        If one fails, returns no patch, gives something else when it is asked again with the same rng, or changes
        nothing at full severity.
    """
    noise, slope = _trial_patches()
    for name in sources_of(names):
        entry = find(name)
        for severity in _SEVERITIES:
            once, again = (_outputs(entry, severity, (noise, slope)) for _ in range(2))
            for what, before, after in zip(("values", "pixels", "pixels"), once, again, strict=True):
                if not np.array_equal(before, after):
                    raise DistortionError(
                        f"{name} gives other {what} when it is asked again with the same rng, so no patch could be "
                        "made again; take all chance from the rng that it is given"
                    )
        _, *outputs = _outputs(entry, 1.0, (noise, slope))
        if np.array_equal(outputs, (noise, slope)):
            raise DistortionError(f"{name} changes nothing at severity 1, neither a patch of noise nor a slope of grey")


def _trial_patches() -> tuple[Patch, Patch]:
    """Noise, and a slope of grey, of the size that `generate` distorts."""
    side = PATCH_SIDE + 2 * MARGIN
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return noise, np.broadcast_to(np.arange(side, dtype=np.uint8)[:, None, None], noise.shape).copy()


def _outputs(entry: Distortion, severity: float, patches: Sequence[Patch]) -> list[Any]:
    """Values of a severity, and what they make of each patch."""
    values = entry.at(severity, np.random.default_rng(1))
    return [list(values.values()), *(entry.apply(patch, np.random.default_rng(2), values) for patch in patches)]


@dataclass(frozen=True)
class Outside:
    """What a worker, perhaps in another process, needs to know of distortions from outside.

    Attributes
    ----------
    sources : mapping of name to Source
        As they are where the work comes from.
    """

    sources: Mapping[str, Source]

    def check(self) -> None:
        """Make their modules importable here, and see that they are the same, or raise DistortionError."""
        for name, source in self.sources.items():
            if source.folder not in sys.path:
                sys.path.append(source.folder)
            if find(name).source != source:
                _forget(name.partition(":")[0], source.module)  # a cluster's workers live for long
            if (here := find(name).source) != source:
                raise DistortionError(
                    f"{name}: a worker has another source of it, {here}, than the process that it works for, {source}; "
                    "its file was changed meanwhile. Run the command again, with new workers if it is a cluster's"
                )

    @property
    def settings(self) -> dict[str, Any]:
        """For a patch set's settings."""
        told = {
            name: {"module": source.module, "version": source.version, "sha256": source.sha256}
            for name, source in self.sources.items()
        }
        return {SOURCES: told} if told else {}

    @property
    def findings(self) -> dict[str, Any]:
        """For a patch set's findings: the folder that each was found from."""
        told = {name: source.folder for name, source in self.sources.items()}
        return {FOLDERS: told} if told else {}


def check_again(patch_set: PatchSet, *, warn: Callable[[str], None]) -> None:
    """See that the distortions from outside that a set was made with are here, and whether they are still the same.

    Raises
    ------
    PatchSetError
        If one cannot be obtained.
    """
    before: Mapping[str, Mapping[str, str]] = patch_set.description.settings.get(SOURCES, {})
    folders: Mapping[str, str] = patch_set.description.findings.get(FOLDERS, {})
    for name, told in before.items():
        source = Source(told["module"], told["sha256"], told["version"])
        try:
            here = find(name).source
        except DistortionError as error:
            raise PatchSetError(
                f"{patch_set.folder}: made with {name} ({source}), which cannot be loaded here: {error}; when "
                f"the set was made it was found from {folders.get(name, 'a folder that is not known')}: work there, or "
                "name a folder that has it in PYTHONPATH"
            ) from error
        if here is None or here.sha256 != source.sha256:
            warn(
                f"{name} has changed since {patch_set.folder} was made, and its patches may differ: its source was "
                f"{source} and is {here or 'this project'}"
            )


def _forget(*modules: str) -> None:
    """Have the packages of some modules imported anew the next time."""
    tops = {module.partition(".")[0] for module in modules}
    for loaded in [name for name in sys.modules if name.partition(".")[0] in tops]:
        del sys.modules[loaded]
    importlib.invalidate_caches()
