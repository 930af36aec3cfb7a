"""What a format is: a module of this folder with three functions."""

from typing import Protocol

from bapps_builder.images.picture import Picture


class Format(Protocol):
    """A module that reads files of some format. What goes wrong is an ImageError that begins with `name`."""

    def claims(self, data: bytes, name: str) -> bool:
        """Whether a file is of this format, by its first bytes or, for raw files, its name."""
        ...

    def size(self, data: bytes, *, name: str) -> tuple[int, int]:
        """Width and height as stored, without decoding."""
        ...

    def read(self, data: bytes, *, name: str) -> Picture:
        """The picture, upright."""
        ...
