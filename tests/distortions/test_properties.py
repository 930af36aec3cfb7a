"""What holds for every distortion and all 308 compositions of the paper's."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import rankdata

from bapps_builder.images.image_files import read_image
from distortions.distortion import MARGIN, Patch
from distortions.recipes import draw, traditional
from distortions.registry import distortions, find
from distortions.traditional import TWENTY
from metrics.metric import Metric, joint_distances
from metrics.registry import load

Floats = NDArray[np.float64]

KINDS = ("noise", "black", "white", "constant", "one pixel", "lines")


def image(kind: str, height: int, width: int) -> Patch:
    """An image in which something may go wrong."""
    made = np.zeros((height, width, 3), np.uint8)
    if kind == "noise":
        made = np.random.default_rng(0).integers(0, 256, made.shape, dtype=np.uint8)
    elif kind == "white":
        made[:] = 255
    elif kind == "constant":
        made[:] = (200, 30, 90)
    elif kind == "one pixel":
        made[height // 2, width // 2] = (255, 0, 255)
    elif kind == "lines":
        made[::2] = 255
    return made


def check(names: tuple[str, ...], severities: tuple[float, ...], seed: int, patch: Patch) -> None:
    recipe = draw(names, severities, np.random.default_rng(seed))
    kept = patch.copy()
    patch.setflags(write=False)
    made = recipe.apply(patch, np.random.default_rng(seed))
    assert made.shape == kept.shape
    assert made.dtype == np.uint8
    assert np.array_equal(patch, kept)
    assert not np.shares_memory(made, patch)
    # The same from the same rng state, and from memory that lies otherwise.
    reversed_rows = np.ascontiguousarray(kept[::-1])[::-1]
    assert np.array_equal(recipe.apply(reversed_rows, np.random.default_rng(seed)), made)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 7), (4, 1), (7, 5), (65, 63)])
def test_all_328_on_hard_images(kind: str, height: int, width: int) -> None:
    assert len(traditional()) == 328
    for number, names in enumerate(traditional()):
        check(names, (0.3, 1.0)[: len(names)], number, image(kind, height, width))


@given(
    st.sampled_from(traditional()),
    st.tuples(st.floats(0, 1), st.floats(0, 1)),
    st.integers(0, 2**32),
    st.sampled_from(KINDS),
    st.integers(1, 40),
    st.integers(1, 40),
)
def test_any_recipe_on_any_image(
    names: tuple[str, ...], severities: tuple[float, float], seed: int, kind: str, height: int, width: int
) -> None:
    check(names, severities[: len(names)], seed, image(kind, height, width))


@given(st.sampled_from(sorted(distortions())), st.data(), st.integers(0, 2**32), st.sampled_from(KINDS))
def test_all_accepted_values_work(name: str, data: st.DataObject, seed: int, kind: str) -> None:
    found = find(name)
    values = {
        key: data.draw(st.integers(int(p.low), int(p.high)) if p.whole else st.floats(p.low, p.high))
        for key, p in found.parameters.items()
    }
    patch = image(kind, 19, 23)
    made = found.apply(patch, np.random.default_rng(seed), values)
    assert made.shape == patch.shape
    assert made.dtype == np.uint8


@pytest.mark.parametrize("name", distortions())
def test_severity_0_is_nothing_and_severity_1_something(name: str) -> None:
    found, patch = find(name), image("noise", 30, 40)
    none, full = (
        found.apply(patch, np.random.default_rng(2), found.at(severity, np.random.default_rng(1)))
        for severity in (0.0, 1.0)
    )
    # The best JPEG still rounds.
    assert np.abs(none.astype(int) - patch).max() <= (5 if name == "jpeg" else 0)
    assert np.abs(full.astype(int) - patch).mean() > 3


@pytest.mark.parametrize("name", distortions())
def test_rng_is_used_only_where_a_field_is_drawn(name: str) -> None:
    found, patch = find(name), image("noise", 30, 40)
    values = found.at(0.8, np.random.default_rng(1))
    one, other = (found.apply(patch, np.random.default_rng(seed), values) for seed in (2, 3))
    assert np.array_equal(one, other) == (found.family != "noise" and name not in ("linear-warp", "cubic-warp"))


@pytest.mark.parametrize("name", distortions())
def test_threads_do_not_matter_and_instructions_hardly(name: str) -> None:
    found, patch = find(name), image("noise", 300, 400)
    values = found.at(0.8, np.random.default_rng(1))
    threads, optimised = cv2.getNumThreads(), cv2.useOptimized()
    made = []
    try:
        for count, on in ((1, True), (4, True), (1, False)):
            cv2.setNumThreads(count)
            cv2.setUseOptimized(on)
            made.append(found.apply(patch, np.random.default_rng(2), values).astype(int))
    finally:
        cv2.setNumThreads(threads)
        cv2.setUseOptimized(optimised)
    assert np.array_equal(made[0], made[1])
    assert np.abs(made[0] - made[2]).max() <= 1


def test_a_view_with_gaps_is_taken() -> None:
    patch = image("noise", 40, 60)[::2, ::3]
    for found in distortions().values():
        values = found.at(0.5, np.random.default_rng(1))
        gaps, none = (found.apply(p, np.random.default_rng(2), values) for p in (patch, patch.copy()))
        assert np.array_equal(gaps, none)


TEN_LEVELS = [level / 10 for level in range(1, 11)]


@pytest.fixture(scope="module")
def crops(shared_data: Path) -> list[Patch]:
    """200 crops of Kodak photos, of 64x64 with their margins."""
    rng, side = np.random.default_rng(0), 64 + 2 * MARGIN
    photos = [read_image(path) for path in sorted((shared_data / "kodak").glob("*.png"))]
    assert len(photos) >= 10
    made = []
    for number in range(200):
        photo = photos[number % len(photos)]
        top, left = (int(rng.integers(length - side + 1)) for length in photo.shape[:2])
        made.append(photo[top : top + side, left : left + side])
    return made


def distances(name: str, crops: list[Patch], metrics: Sequence[Metric], severities: Sequence[float]) -> Floats:
    """Mean distance to the original, (metric, severity), every crop in one direction of its own."""
    found, inner = find(name), np.s_[MARGIN:-MARGIN, MARGIN:-MARGIN]

    def distorted(number: int, severity: float) -> Patch:
        values = found.at(severity, np.random.default_rng([number, 0]))
        return found.apply(crops[number], np.random.default_rng([number, 1]), values)[inner]

    made = [np.stack([distorted(number, severity) for number in range(len(crops))]) for severity in severities]
    return joint_distances(metrics, np.stack([crop[inner] for crop in crops]), *made).mean(axis=-1)


def rank_correlation(a: Sequence[float], b: Sequence[float] | Floats) -> float:
    return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])


@pytest.mark.parametrize("name", distortions())
def test_distance_grows_with_severity(name: str, crops: list[Patch]) -> None:
    [means] = distances(name, crops, [load("l2")], TEN_LEVELS)
    assert rank_correlation(TEN_LEVELS, means) >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize("name", distortions())
def test_perceptual_distance_grows_from_nothing(name: str, crops: list[Patch]) -> None:
    [[none, *means]] = distances(name, crops, [load("lpips-alex")], [0.0, *TEN_LEVELS])
    # A shift of half a pixel also blurs, one of a whole pixel does not, and lpips-alex sees that more than the move: by
    # it, 60 crops shifted sideways by .5, .75, 1 and 1.25 pixels lie .026, .022, .020 and .030 off. No ramp helps, as
    # the distance falls where the length grows: on these crops the ranks correlate by .915, those of l2 and ssim by 1.
    assert rank_correlation(TEN_LEVELS, means) >= (0.9 if name == "shift" else 0.95)
    assert none <= 0.01


SIX = ("lpips-alex", "lpips-vgg", "ssim", "fsimc", "vif", "nlpd")


@pytest.mark.slow
def test_severity_is_one_scale_for_the_mean_of_six_distances(crops: list[Patch]) -> None:
    """Each in units of its mean over the twenty at severity 1: within a factor of one curve, the mean of the twenty."""
    factors = {0.1: 2.0, 0.25: 1.5, 0.5: 1.5, 0.75: 1.5, 1.0: 1.5}
    metrics = [load(name) for name in SIX]
    means = np.stack([distances(name, crops[:36], metrics, list(factors)) for name in TWENTY])
    scale = (means / means[:, :, -1:].mean(axis=0)).mean(axis=1)  # (distortion, severity)
    curve = scale.mean(axis=0)
    assert (np.diff(curve) > 0).all()
    assert (np.abs(np.log(scale / curve)).max(axis=0) <= np.log(list(factors.values()))).all()
