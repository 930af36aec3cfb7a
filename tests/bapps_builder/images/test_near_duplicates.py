"""The search for pictures that look the same."""

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bapps_builder.images.near_duplicates import MAX_BITS, close_pairs, perceptual_hashes, same_picture, thumbnail


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 120), st.integers(1, 120), st.sampled_from([4, 12, 64]))
def test_close_pairs_are_those_of_comparing_every_two(seed: int, rows: int, columns: int, bits: int) -> None:
    # With few varying bits many are close, and a band is shared by all.
    rng = np.random.default_rng(seed)
    mask = np.uint64((1 << bits) - 1 if bits < 64 else 2**64 - 1)
    a, b = (rng.integers(0, 2**64, size, dtype=np.uint64) & mask for size in (rows, columns))
    b[: min(rows, columns) // 2] = a[: min(rows, columns) // 2] ^ np.uint64(0b1011)
    differing = np.array([[int(x ^ y).bit_count() for y in b] for x in a])
    np.testing.assert_array_equal(close_pairs(a, b), np.argwhere(differing <= MAX_BITS))


def test_patches_without_detail_are_not_compared() -> None:
    flat = np.full((64, 64, 3), 200, np.uint8)
    ramp = np.broadcast_to(np.arange(64, dtype=np.uint8)[:, None, None] * 3, (64, 64, 3)).copy()
    assert not perceptual_hashes(np.stack([thumbnail(image) for image in (flat, ramp)]))[1].any()


def test_crops_of_one_photograph_are_not_taken_for_the_same(shared_data: Path) -> None:
    photo = np.asarray(Image.open(sorted((shared_data / "kodak").glob("*.png"))[0]).convert("RGB"))
    crops = [photo[y : y + 64, x : x + 64] for y in range(0, 448, 64) for x in range(0, 704, 64)]
    hashes, detailed = perceptual_hashes(np.stack([thumbnail(np.ascontiguousarray(crop)) for crop in crops]))
    pairs = [(i, j) for i, j in close_pairs(hashes, hashes) if i != j]
    assert not [(i, j) for i, j in pairs if same_picture(crops[i], crops[j]) and detailed[i]]
