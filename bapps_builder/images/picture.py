"""A decoded picture with its depth, its transfer and its colour profile, and the step that makes 8 bits of it."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bapps_builder.errors import ImageError
from bapps_builder.images.colour_profiles import SpacesDiffer, to_srgb
from bapps_builder.images.orientation import Levels, upright

# How levels become light: by sRGB's curve (or that of the profile), perceptual quantizer, hybrid log-gamma, or a line.
Transfer = Literal["srgb", "pq", "hlg", "linear"]

_SAID: dict[Transfer, str] = {
    "pq": "levels of PQ (SMPTE ST 2084)",
    "hlg": "levels of HLG (ITU-R BT.2100)",
    "linear": "levels of linear light",
}


@dataclass(frozen=True)
class Picture:
    """A picture as its file keeps it, upright.

    Attributes
    ----------
    levels : array of shape (H, W, C), uint8, uint16 or float32
        C is 1 (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGB and alpha). Alpha is straight: colours are as if it
        were opaque.
    bits : int
        Of a whole number: 0 is black, 2**bits - 1 white; at most 8 in uint8. 32 for floats.
    transfer : "srgb", "pq", "hlg" or "linear"
    profile : bytes
        The ICC profile that says what colours are; empty where they are sRGB.
    """

    levels: Levels
    bits: int = 8
    transfer: Transfer = "srgb"
    profile: bytes = b""

    def turned(self, orientation: int) -> "Picture":
        """The same, turned and mirrored as the orientation tag 1 to 8 says."""
        return replace(self, levels=upright(self.levels, orientation))


def eight_bits(picture: Picture, *, name: str) -> NDArray[np.uint8]:
    """Make uint8 RGB (H, W, 3) in sRGB of a picture; `name` is what an error calls it.

    More than 8 bits are brought to 255 and rounded, for 16 bits a division by 257. Colours with a profile are
    converted after that, grey becomes RGB, and transparent pixels are laid on white.

    Raises
    ------
    ImageError
        If the picture has floating-point or high-dynamic-range levels, for which there is no one way, or if its
        profile is damaged or for colours of another kind.
    """
    if picture.transfer != "srgb" or picture.levels.dtype.kind == "f":
        what = _SAID.get(picture.transfer, "floating-point levels")
        raise ImageError(f"{name}: {what}; map its tones to sRGB of 8 or 16 bits first")
    levels = picture.levels
    if levels.dtype != np.uint8:
        levels = _to_eight(picture.bits)[levels]
    with_alpha = levels.shape[2] in (2, 4)
    colours = levels[..., :-1] if with_alpha else levels
    if picture.profile:
        try:
            colours = to_srgb(colours, picture.profile)
        except SpacesDiffer as error:
            raise ImageError(f"{name}: {error}; convert it to sRGB first") from error
    if colours.shape[2] == 1:
        colours = np.repeat(colours, 3, axis=2)
    return on_white(colours, levels[..., -1:]) if with_alpha else np.ascontiguousarray(colours)


def on_white(colours: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lay colours (H, W, 3) of straight alpha (H, W, 1) on white, rounded."""
    out = np.empty(colours.shape, np.uint8)
    for row in range(0, len(out), _STRIP):
        strip = slice(row, row + _STRIP)
        share = alpha[strip].astype(np.uint16)
        out[strip] = (colours[strip] * share + 255 * (255 - share) + 127) // 255
    return out


# Rows that are computed at a time, so that a huge photograph has few copies.
_STRIP = 256


@lru_cache(maxsize=4)
def _to_eight(bits: int) -> NDArray[np.uint8]:
    """What each level of so many bits is in 8: those beyond are white."""
    top = (1 << bits) - 1
    return ((np.arange(1 << 16) * 255 + top // 2) // top).clip(0, 255).astype(np.uint8)
