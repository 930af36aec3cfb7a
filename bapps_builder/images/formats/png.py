"""PNG, by decoders of our own that notice every damage."""

from bapps_builder.images.formats.pillow_files import orientation_of_block
from bapps_builder.images.picture import Picture
from bapps_builder.images.png_encoding import SIGNATURE
from bapps_builder.images.png_forms import png_size, read_png


def claims(data: bytes, name: str) -> bool:
    """Whether it begins as PNG does."""
    return data.startswith(SIGNATURE)


def size(data: bytes, *, name: str) -> tuple[int, int]:
    """Width and height as stored."""
    return png_size(data, name=name)


def read(data: bytes, *, name: str) -> Picture:
    """Decode any form of PNG, upright."""
    picture = read_png(data, name=name)
    if not picture.exif:
        return picture.picture
    return picture.picture.turned(orientation_of_block(picture.exif))
