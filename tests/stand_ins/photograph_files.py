"""Small files of every kind that the reader of photographs claims, with what other libraries see in them.

    python tests/stand_ins/photograph_files.py COUNT SEED

damages them in COUNT ways and prints a line for each that the reader does not take as it should: right pixels or one
line, and neither a crash, a hang, a word of a library's own nor more memory than a few pictures take.
"""

import io
import os
import re
import resource
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
import png as pypng
import tifffile
from numpy.typing import NDArray
from PIL import Image

from bapps_builder.errors import ImageError
from bapps_builder.images.photographs import decode_photo

Levels = NDArray[Any]

_ROWS, _COLUMNS = np.mgrid[:23, :37]
_NOISE = np.random.default_rng(0).integers(0, 30, (23, 37, 4))
EIGHT = (
    (np.stack([_COLUMNS * 6, _ROWS * 9, 200 - _COLUMNS * 3, _ROWS * 5 + 60], 2) + _NOISE).clip(0, 255).astype(np.uint8)
)
DEEP = EIGHT.astype(np.uint16) * np.uint16(256) + EIGHT[::-1]
_PIXELS = 1_000_000  # that a damaged file may claim
_SECONDS = 20
_GIGABYTES = 3
_LIBTIFF = re.compile(rb"^(_?[A-Za-z]+|tempfile\.tif): ")


@dataclass(frozen=True)
class Kind:
    """A file, and how another library decodes files of its kind: (H, W) or (H, W, C), uint8 or uint16."""

    name: str
    data: bytes
    other: Callable[[bytes], Levels]
    form: Callable[[bytes], object] = lambda data: None  # what must stay as it was for the two to mean the same

    def shown(self, data: bytes) -> NDArray[np.uint8]:
        """What the other library sees, as the reader gives photographs."""
        levels = np.asarray(self.other(data))
        levels = levels[..., None] if levels.ndim == 2 else levels
        exact = levels.astype(np.float64) / (257 if levels.dtype == np.uint16 else 1)
        colours = np.rint(exact[..., :-1] if levels.shape[2] in (2, 4) else exact)
        if levels.shape[2] in (2, 4):
            alpha = np.rint(exact[..., -1:])
            colours = np.floor((colours * alpha + 255 * (255 - alpha) + 127) / 255)
        return np.broadcast_to(colours, (*colours.shape[:2], 3)).astype(np.uint8)


def kinds() -> list[Kind]:
    """Every kind."""
    return [*_pngs(), *_tiffs(), *_jpegs(), *_webps()]


# --- PNG, by pypng -----------------------------------------------------------------------------------


def _pngs() -> Iterator[Kind]:
    for interlace in (False, True):
        order = ", interlaced" if interlace else ""
        for depth in (1, 2, 4, 8, 16):
            grey = (DEEP[..., :1] >> (16 - depth)).astype(np.uint16)
            yield _png(f"PNG grey {depth}{order}", grey, greyscale=True, bitdepth=depth, interlace=interlace)
            clear = int(grey[5, 5, 0])
            yield _png(
                f"PNG grey {depth}, one clear{order}",
                grey,
                greyscale=True,
                bitdepth=depth,
                transparent=clear,
                interlace=interlace,
            )
        for depth in (1, 2, 4, 8):
            palette = [(k * 37 % 256, k * 101 % 256, 255 - k) for k in range(1 << depth)]
            for alphas, said in ((palette, ""), ([(*c, 40 + k % 200) for k, c in enumerate(palette)], ", clear ones")):
                numbers = EIGHT[..., :1] >> (8 - depth)
                yield _png(
                    f"PNG palette {depth}{said}{order}", numbers, palette=alphas, bitdepth=depth, interlace=interlace
                )
        for depth, levels in ((8, EIGHT), (16, DEEP)):
            both = levels[..., [0, 3]]
            yield _png(
                f"PNG grey and alpha {depth}{order}",
                both,
                greyscale=True,
                alpha=True,
                bitdepth=depth,
                interlace=interlace,
            )
            yield _png(f"PNG RGB {depth}{order}", levels[..., :3], greyscale=False, bitdepth=depth, interlace=interlace)
            yield _png(
                f"PNG RGBA {depth}{order}", levels, greyscale=False, alpha=True, bitdepth=depth, interlace=interlace
            )
            clear_colour = tuple(map(int, levels[3, 3, :3]))
            yield _png(
                f"PNG RGB {depth}, one clear{order}",
                levels[..., :3],
                greyscale=False,
                bitdepth=depth,
                transparent=clear_colour,
                interlace=interlace,
            )


def _png(name: str, levels: Levels, **settings: Any) -> Kind:
    out = io.BytesIO()
    writer = pypng.Writer(width=levels.shape[1], height=levels.shape[0], **settings)
    writer.write(out, levels.reshape(len(levels), -1).tolist())
    return Kind(name, out.getvalue(), of_pypng)


def of_pypng(data: bytes) -> Levels:
    """Decode by pypng, which is written in Python alone; levels of few bits brought to 8."""
    width, height, rows, about = pypng.Reader(bytes=data).asDirect()
    depth = about["bitdepth"]
    levels = np.array([list(row) for row in rows]).reshape(height, width, about["planes"])
    if depth == 16:
        return levels.astype(np.uint16)
    return (levels * (255 // ((1 << depth) - 1))).astype(np.uint8)


# --- TIFF, by tifffile -------------------------------------------------------------------------------


def _tiffs() -> Iterator[Kind]:
    for levels, bits in ((EIGHT, 8), (DEEP, 16)):
        for compression in (None, "zlib", "lzw", "packbits"):
            for predictor in (False, True) if compression in ("zlib", "lzw") else (False,):
                said = f"TIFF {bits}, {compression}{', predictor' if predictor else ''}"
                settings = {"compression": compression, "predictor": predictor}
                yield _tiff(f"{said}, grey", levels[..., 0], photometric="minisblack", **settings)
                yield _tiff(f"{said}, RGB", levels[..., :3], photometric="rgb", **settings)
        yield _tiff(f"TIFF {bits}, big endian", levels[..., :3], photometric="rgb", byteorder=">")
        yield _tiff(f"TIFF {bits}, tiles", levels[..., :3], photometric="rgb", tile=(16, 16))
        yield _tiff(f"TIFF {bits}, strips", levels[..., :3], photometric="rgb", rowsperstrip=5)
        yield _tiff(f"TIFF {bits}, BigTIFF", levels[..., :3], photometric="rgb", bigtiff=True)
        yield _tiff(f"TIFF {bits}, alpha", levels, photometric="rgb", extrasamples=["unassalpha"])
    planes = np.ascontiguousarray(EIGHT[..., :3].transpose(2, 0, 1))
    yield _tiff("TIFF 8, planes", planes, photometric="rgb", planarconfig="separate")


def _tiff(name: str, levels: Levels, **settings: Any) -> Kind:
    out = io.BytesIO()
    tifffile.imwrite(out, levels, **settings)
    return Kind(name, out.getvalue(), _of_tifffile, _form_of_tiff)


def _form_of_tiff(data: bytes) -> object:
    with tifffile.TiffFile(io.BytesIO(data)) as opened:
        page: Any = opened.pages[0]
        start, size = page.dataoffsets[0], page.databytecounts[0]
        # Damaged LZW has no right pixels: it has no checksum, and readers differ in what follows the damage.
        stream = data[start : start + size] if page.compression == tifffile.COMPRESSION.LZW else b""
        told = (
            page.photometric,
            page.planarconfig,
            page.fillorder,
            page.predictor,
            page.extrasamples,
            page.sampleformat,
        )
        return (
            page.shape,
            page.dtype,
            page.compression,
            stream,
            told,
            page.tags.valueof(274),
            page.dataoffsets,
            page.databytecounts,
        )


def _of_tifffile(data: bytes) -> Levels:
    with tifffile.TiffFile(io.BytesIO(data)) as opened:
        page: Any = opened.pages[0]
        levels = page.asarray()
        return levels.transpose(1, 2, 0) if page.planarconfig == 2 and levels.ndim == 3 else levels


# --- JPEG and WebP, by Pillow's builds of their libraries and those of imagecodecs -------------------


def _jpegs() -> Iterator[Kind]:
    for quality in (30, 95):
        for progressive in (False, True):
            said = f"JPEG {quality}{', progressive' if progressive else ''}"
            settings = {"quality": quality, "progressive": progressive}
            yield _by_pillow(f"{said}, grey", "JPEG", EIGHT[..., 0], imagecodecs.jpeg_decode, **settings)
            for subsampling in ("4:4:4", "4:2:2", "4:2:0"):
                name = f"{said}, {subsampling}"
                yield _by_pillow(
                    name, "JPEG", EIGHT[..., :3], imagecodecs.jpeg_decode, subsampling=subsampling, **settings
                )


def _webps() -> Iterator[Kind]:
    for settings in ({"lossless": True}, {"quality": 80}, {"quality": 20}):
        for levels in (EIGHT[..., :3], EIGHT):
            name = f"WebP {settings}, {levels.shape[2]} channels"
            yield _by_pillow(name, "WEBP", levels, imagecodecs.webp_decode, exact=True, **settings)


def _by_pillow(name: str, kind: str, levels: Levels, other: Callable[..., Any], **settings: Any) -> Kind:
    out = io.BytesIO()
    Image.fromarray(levels).save(out, kind, **settings)
    return Kind(name, out.getvalue(), lambda data: np.asarray(other(data)))


# --- damage ------------------------------------------------------------------------------------------


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Change a few bits or bytes, mostly near the beginning, or cut, repeat, remove or exchange a part."""
    found = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        at = int(len(found) * rng.random() ** 2)
        length = int(rng.integers(1, 40))
        match rng.integers(7):
            case 0:
                found[at] ^= 1 << int(rng.integers(8))
            case 1:
                found[at] = int(rng.choice([0, 1, 127, 128, 255]))
            case 2:
                found[at : at + 4] = rng.bytes(4)
            case 3:
                found = found[: max(at, 1)]
            case 4:
                found[at:at] = found[at : at + length]
            case 5:
                del found[at : at + length]
            case 6:
                to = int(rng.integers(len(found)))
                found[at : at + length] = found[to : to + length]
        if not found:
            return b""
    return bytes(found)


def complaint(kind: Kind, data: bytes) -> str:
    """What is wrong with what the reader makes of a file; "" if nothing is."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        with _alarm(), _nothing_said():
            pixels = decode_photo(data, name="x", max_pixels=_PIXELS)
    except ImageError as error:
        said = str(error)
        return "" if said.startswith("x: ") and "\n" not in said and " at 0x" not in said else f"says {said!r}"
    except BaseException:
        return "raises " + " | ".join(traceback.format_exc(limit=-2, chain=False).split("\n"))
    if (grown := resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) > 400_000:  # kilobytes
        return f"takes {grown // 1000} MB"
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        return f"gives {pixels.dtype} {pixels.shape}"
    return _compared(kind, data, pixels)


def _compared(kind: Kind, data: bytes, pixels: NDArray[np.uint8]) -> str:
    """Whether another library sees the same, where it sees anything of the same form."""
    if np.array_equal(pixels, kind.shown(kind.data)):
        return ""
    try:
        with _alarm():
            if kind.form(data) != kind.form(kind.data):
                return ""
            other = kind.shown(data)
    except Exception:
        return ""  # it refuses what is read here; another test says what must be refused
    if other.shape != pixels.shape or np.abs(other.astype(int) - pixels).max() <= 1:
        return ""
    return f"differs from another library by up to {np.abs(other.astype(int) - pixels).max()} levels"


@contextmanager
def _alarm() -> Iterator[None]:
    def late(*_: Any) -> None:
        raise TimeoutError(f"took more than {_SECONDS} seconds")

    signal.signal(signal.SIGALRM, late)
    signal.alarm(_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)


@contextmanager
def _nothing_said() -> Iterator[None]:
    """Fail if a library writes to the terminal, whatever way."""
    kept = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            said.seek(0)
            # libtiff inside Pillow prints a line of its own on damaged data, which nothing there can turn off.
            lines = [line for line in said.read().splitlines() if not _LIBTIFF.search(line)]
            if text := b"\n".join(lines):
                raise AssertionError(f"a library said {text[:300]!r}")


def main(count: int, seed: int) -> int:
    """Damage files `count` times; the number of complaints."""
    resource.setrlimit(resource.RLIMIT_AS, (_GIGABYTES << 30, _GIGABYTES << 30))
    rng = np.random.default_rng(seed)
    every = kinds()
    wrong: Counter[str] = Counter()
    for number in range(count):
        kind = every[number % len(every)]
        data = damaged(kind.data, rng)
        if said := complaint(kind, data):
            wrong[kind.name] += 1
            if wrong[kind.name] <= 2:
                print(f"{kind.name}, file {number}: {said}")
    return wrong.total()


if __name__ == "__main__":
    sys.exit(min(main(int(sys.argv[1]), int(sys.argv[2])), 99))
