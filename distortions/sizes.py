"""How large a patch is, and what the strength of a distortion means at that size.

Strengths were tuned for patches of 64x64. At another size they are either the same number of pixels, so that a blur of
1 pixel is one of 1 pixel everywhere, or grow with the longer side, so that the patch looks damaged as a whole as much.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from bapps_builder.errors import PatchSetError
from bapps_builder.images.enlargement import PATCH_SIDE
from distortions.distortion import MARGIN

Strength = Literal["pixels", "relative"]
STRENGTHS: tuple[Strength, ...] = ("pixels", "relative")
SMALLEST_SIDE, LARGEST_SIDE = 16, 4096
_MULTIPLE = 16  # of margins, as of MARGIN itself
_SIZE = re.compile(r"(\d+)(?:x(\d+))?")


@dataclass(frozen=True)
class PatchSize:
    """Width and height of patches, and what strengths are at that size.

    Attributes
    ----------
    width, height : int
        In pixels.
    strength : "pixels" or "relative"
        Whether lengths, such as the width of a blur, stay the same number of pixels, or grow with the longer side.

    Raises
    ------
    PatchSetError
        If a side is out of range.
    """

    width: int = PATCH_SIDE
    height: int = PATCH_SIDE
    strength: Strength = "pixels"

    def __post_init__(self) -> None:
        for side in (self.width, self.height):
            if not SMALLEST_SIDE <= side <= LARGEST_SIDE:
                raise PatchSetError(f"a patch has sides of {SMALLEST_SIDE} to {LARGEST_SIDE} pixels, got {self}")

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"

    @property
    def sides(self) -> tuple[int, int]:
        """Width and height."""
        return self.width, self.height

    @property
    def record(self) -> dict[str, Any]:
        """What `patchset.json` says of it; of 64x64 what it said before there were others."""
        if self.sides == (PATCH_SIDE, PATCH_SIDE):
            return {"patch_side": PATCH_SIDE}
        return {"patch_size": list(self.sides), "strength": self.strength}

    def share_of(self, count: int) -> int:
        """As many patches as have the pixels of so many of 64x64; at least 1."""
        return max(1, count * PATCH_SIDE**2 // (self.width * self.height))

    @property
    def margin(self) -> int:
        """Pixels of real image to keep around it: as many as the largest move, in a multiple of 16."""
        growth = max(self.width, self.height) / PATCH_SIDE if self.strength == "relative" else 1
        return _MULTIPLE * math.ceil(growth * MARGIN / _MULTIPLE)

    @property
    def factors(self) -> Mapping[str, float]:
        """What to multiply a value by that was drawn for 64x64, by its unit; units that are missing stay."""
        growth = max(self.width, self.height) / PATCH_SIDE
        if self.sides == (PATCH_SIDE, PATCH_SIDE):
            return MappingProxyType({})
        if self.strength == "relative":
            return MappingProxyType({"pixels": growth})
        # Shares of a side or of the way to the centre: the moves that they come to stay the same number of pixels.
        seen = PATCH_SIDE + 2 * MARGIN
        return MappingProxyType(
            {
                "pixels per pixel": 1 / growth,
                "widths": seen / (self.width + 2 * self.margin),
                "heights": seen / (self.height + 2 * self.margin),
            }
        )


SIZE_64 = PatchSize()


def parse_size(text: str) -> tuple[int, int]:
    """Read a size such as "256" or "512x384", width before height, or raise PatchSetError."""
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise PatchSetError(
            f"a size is one number of pixels, such as 256, or WIDTHxHEIGHT, such as 512x384; got {text!r}"
        )
    return int(match[1]), int(match[2] or match[1])
