"""Formats whose libraries come with an extra of the package."""

import importlib.util
from dataclasses import dataclass

from bapps_builder.errors import ImageError


@dataclass(frozen=True)
class Extra:
    """An extra, such as `raw`.

    Attributes
    ----------
    name : str
    library : str
        Name of the module that it brings.
    what : str
        What it reads, in the plural.
    suffixes : frozenset of str
        Of files that need it, in small letters.
    """

    name: str
    library: str
    what: str
    suffixes: frozenset[str]

    def is_installed(self) -> bool:
        """Whether its library is there."""
        return importlib.util.find_spec(self.library) is not None

    def lacking(self, name: str) -> ImageError:
        """The error of a file that cannot be read without it."""
        return ImageError(f'{name}: {self.what} need the extra `{self.name}`: pip install "bapps[{self.name}]"')


RAW = Extra(
    "raw",
    "rawpy",
    "raw files",
    frozenset({".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".pef", ".raf", ".rw2", ".srw"}),
)
HEIC = Extra("heic", "pillow_heif", "HEIC files", frozenset({".heic", ".heif", ".hif"}))
JXL = Extra("jxl", "pillow_jxl", "JPEG XL files", frozenset({".jxl"}))
EXTRAS = (RAW, HEIC, JXL)
