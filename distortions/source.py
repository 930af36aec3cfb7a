"""Where the code of a distortion from outside lies, and a hash by which it is known again."""

import hashlib
import importlib.metadata
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Source:
    """The code of a distortion that is not one of this project's.

    Attributes
    ----------
    module : str
        Where the function is defined.
    sha256 : str
        Of the module's file as it was when the function was defined, or, if it lies in a package, of all Python
        files of that package; "" if there is no file.
    version : str
        Of the distribution that it belongs to; "" if it belongs to none.
    folder : str
        Which must be on the search path for the module to be found. It does not decide on anything.
    """

    module: str
    sha256: str
    version: str = ""
    folder: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.module}{f' {self.version}' if self.version else ''}, SHA-256 {self.sha256[:12]}…"


def source_of(module: str) -> Source:
    """Find the source of a module that is imported, or is just being so."""
    files, folder = _files(module)
    try:
        digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    except OSError:  # within a zip file, or typed into a notebook
        digests = []
    if len(digests) > 1:
        names = [path.relative_to(files[0].parent).as_posix() for path in files]
        lines = "".join(f"{name}\0{digest}\n" for name, digest in zip(names, digests, strict=True))
        digests = [hashlib.sha256(lines.encode()).hexdigest()]
    return Source(module, digests[0] if digests else "", _version(module), str(folder))


def _files(module: str) -> tuple[Sequence[Path], Path]:
    """The files to hash, those of a package beginning with its `__init__`, and the folder that it is found from."""
    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        file = getattr(sys.modules.get(".".join(parts[:depth])), "__file__", None)
        if file is None:  # a folder without __init__.py
            continue
        path = Path(file).resolve()
        if path.stem != "__init__":
            return [path], path.parents[depth - 1]
        others = sorted(other for other in path.parent.rglob("*.py") if other != path)
        return [path, *others], path.parents[depth]
    return [], Path()


def _version(module: str) -> str:
    top = module.partition(".")[0]
    stated = getattr(sys.modules.get(top), "__version__", None)
    if isinstance(stated, str):
        return stated
    try:
        return importlib.metadata.version(top)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return ""
