"""JPEG XL of 8 bits by libjxl, with the extra `jxl`.

Its plug-in for Pillow cuts more bits to 8 and decodes when it opens, so size and depth are read here, from the header
of the codestream (ISO/IEC 18181-1).
"""

from dataclasses import dataclass

from bapps_builder.errors import ImageError
from bapps_builder.images.formats import pillow_files
from bapps_builder.images.formats.boxes import boxes
from bapps_builder.images.formats.extra import JXL
from bapps_builder.images.picture import Picture

_CODESTREAM, _CONTAINER = b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"
_PLUGIN = "JXL"  # its name in Pillow
# Width by height, for each number in the header but 0.
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
_HEADER = 64  # bytes that it fits into


def claims(data: bytes, name: str) -> bool:
    """Whether it begins as JPEG XL does, in a container or as a bare codestream."""
    return data.startswith((_CODESTREAM, _CONTAINER))


def size(data: bytes, *, name: str) -> tuple[int, int]:
    """Width and height as stored."""
    header = _header(data, name)
    return header.width, header.height


def read(data: bytes, *, name: str) -> Picture:
    """Decode the first frame; libjxl turns it."""
    header = _header(data, name)
    if header.bits != 8:
        raise ImageError(f"{name}: a JPEG XL of {header.bits} bits a channel; convert it to 8 bits first")
    if not JXL.is_installed():
        raise JXL.lacking(name)
    import pillow_jxl  # noqa: F401 - which makes itself known to Pillow

    with pillow_files.opened(data, name, formats=(_PLUGIN,)) as image:
        return pillow_files.picture_of(image, name, turned=False)


@dataclass(frozen=True)
class _Header:
    width: int
    height: int
    bits: int


def _header(data: bytes, name: str) -> _Header:
    codestream = data if data.startswith(_CODESTREAM) else _in_container(data)
    if not codestream.startswith(_CODESTREAM):
        raise ImageError(
            f"{name}: not a readable image: a JPEG XL without a codestream, or cut off ({len(data)} bytes)"
        )
    bits = _Bits(codestream[2:_HEADER])
    width, height = _size(bits)
    return _Header(width, height, _depth(bits))


def _in_container(data: bytes) -> bytes:
    for kind, content in boxes(data):
        if kind in (b"jxlc", b"jxlp"):
            return content if kind == b"jxlc" else content[4:]
    return b""


class _Bits:
    """Reads numbers from bits, the lowest of each byte first; zeros behind the end."""

    def __init__(self, data: bytes) -> None:
        self._number = int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        value = self._number & ((1 << count) - 1)
        self._number >>= count
        return value

    def one_of(self, *choices: tuple[int, int]) -> int:
        """A number and how many more bits are added to it, one of four pairs, told by two bits."""
        start, count = choices[self.take(2)]
        return start + self.take(count)


_LENGTHS = ((1, 9), (1, 13), (1, 18), (1, 30))


def _size(bits: _Bits) -> tuple[int, int]:
    small = bits.take(1)

    def side() -> int:
        return 8 * (1 + bits.take(5)) if small else bits.one_of(*_LENGTHS)

    height = side()
    ratio = bits.take(3)
    if not ratio:
        return side(), height
    across, down = _RATIOS[ratio]
    return height * across // down, height


def _depth(bits: _Bits) -> int:
    """Bits a channel; 32 for floats, whatever they have."""
    if bits.take(1):  # everything as is usual
        return 8
    if bits.take(1):  # further fields
        bits.take(3)  # orientation
        if bits.take(1):
            _size(bits)  # intended for display
        if bits.take(1):
            return 0  # a preview, behind which nobody here looks
        if bits.take(1):  # an animation
            bits.one_of((100, 0), (1000, 0), (1, 10), (1, 30))
            bits.one_of((1, 0), (1001, 0), (1, 8), (1, 10))
            bits.one_of((0, 0), (0, 3), (0, 16), (0, 32))
            bits.take(1)
    return 32 if bits.take(1) else bits.one_of((8, 0), (10, 0), (12, 0), (1, 6))
