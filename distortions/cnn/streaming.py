"""Crops streamed from photos: which crop comes when depends on the seed alone, so training can go on anywhere."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bapps_builder.errors import ImageError
from distortions.cnn.corruptions import corrupt
from distortions.cnn.variants import Corruption
from distortions.distortion import Patch
from distortions.photos import Collection, Photo

HELD_OUT_CROPS = 64
_MOST_HELD_OUT = 64  # photos
_HELD_OUT_SHARE = 0.1
# Bytes of decoded photos that are kept, since a small collection comes round many times.
_KEPT = 256 << 20
# What a seed is the parent of.
_ORDER, _CROP, _TEST = range(3)


@dataclass(frozen=True)
class Examples:
    """Patches to learn from, uint8 (N, side, side, 3): as they are, and corrupted."""

    clean: NDArray[np.uint8]
    corrupted: NDArray[np.uint8]


def split(photos: Sequence[Photo], seed: int) -> tuple[list[Photo], list[Photo]]:
    """Photos to train on, and a tenth of them, two at least and 64 at most, to measure on.

    Raises
    ------
    ImageError
        If there are fewer than three.
    """
    if len(photos) < 3:
        raise ImageError(f"training needs 3 photos at least, two of them to measure on; there are {len(photos)}")
    held = min(max(2, round(_HELD_OUT_SHARE * len(photos))), _MOST_HELD_OUT)
    order = np.random.default_rng(seed).permutation(len(photos))
    return [photos[k] for k in sorted(order[held:])], [photos[k] for k in sorted(order[:held])]


@dataclass
class Stream:
    """An endless sequence of crops: every photo once, in random order, then all again in another.

    Attributes
    ----------
    photos : sequence of Photo
    corruption : str
    side : int
        Of the crops. Half of them are mirrored.
    batch : int
    seed : sequence of int
    """

    photos: Sequence[Photo]
    corruption: Corruption
    side: int
    batch: int
    seed: tuple[int, ...]
    damaged: set[str] = field(default_factory=set)
    _decoded: "OrderedDict[str, Patch]" = field(default_factory=OrderedDict)

    def examples(self, step: int) -> Examples:
        """The examples of one step."""
        return self._examples(range(step * self.batch, (step + 1) * self.batch), _CROP)

    def test(self) -> Examples:
        """The same crops every time, evenly of all photos."""
        return self._examples(range(HELD_OUT_CROPS), _TEST)

    def _examples(self, numbers: range, purpose: int) -> Examples:
        clean, corrupted = [], []
        for number in numbers:
            rng = np.random.default_rng([*self.seed, purpose, number])
            crop = self._crop(self._photo(number), rng)
            clean.append(crop)
            corrupted.append(corrupt(crop, self.corruption, rng))
        return Examples(np.stack(clean), np.stack(corrupted))

    def _photo(self, number: int) -> Patch:
        """The photo of a crop; the next one where it is damaged."""
        for shift in range(len(self.photos)):
            turn, place = divmod(number + shift, len(self.photos))
            photo = self.photos[_order(self.seed, turn, len(self.photos))[place]]
            if photo.name in self._decoded:
                self._decoded.move_to_end(photo.name)
                return self._decoded[photo.name]
            try:
                pixels = photo.read()
            except ImageError:
                self.damaged.add(photo.name)
                continue
            self._keep(photo.name, pixels)
            return pixels
        raise ImageError(
            f"none of the {len(self.photos)} photos can be decoded, for example {self.photos[0].path}; check that the "
            "files are not damaged"
        )

    def _keep(self, name: str, pixels: Patch) -> None:
        self._decoded[name] = pixels
        while len(self._decoded) > 1 and sum(kept.nbytes for kept in self._decoded.values()) > _KEPT:
            self._decoded.popitem(last=False)

    def _crop(self, photo: Patch, rng: np.random.Generator) -> Patch:
        height, width = photo.shape[:2]
        top, left = int(rng.integers(height - self.side + 1)), int(rng.integers(width - self.side + 1))
        crop = photo[top : top + self.side, left : left + self.side]
        return np.ascontiguousarray(crop[:, ::-1] if rng.random() < 0.5 else crop)


@lru_cache(maxsize=4)
def _order(seed: tuple[int, ...], turn: int, count: int) -> NDArray[np.int64]:
    """The order of photos in one turn through all of them."""
    return np.random.default_rng([*seed, _ORDER, turn]).permutation(count)


def streams(
    collection: Collection, corruption: Corruption, *, side: int, test_side: int, batch: int, number: int, seed: int
) -> tuple[Stream, Stream]:
    """The stream of a variant to train on, and the one to measure on, whose crops are the same for all variants."""
    learned, held = split(collection.photos, seed)
    return (
        Stream(learned, corruption, side, batch, (seed, number)),
        Stream(held, corruption, test_side, batch, (seed,)),
    )
