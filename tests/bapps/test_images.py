"""What `bapps` offers about images: every way to hand over the same two images gives the same distance."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import bapps
from bapps_builder.errors import Notice
from bapps_builder.images.image_files import encode_png
from metrics.image_inputs import ImageLike

Images = NDArray[np.uint8]


@pytest.fixture(scope="module")
def pair() -> tuple[Images, Images]:
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 256, (40, 50, 3), np.uint8) for _ in range(2))
    return a, b


def by_hand(a: Images, b: Images) -> float:
    return float(np.mean((a / 127.5 - b / 127.5) ** 2))


def test_every_form_of_two_images_is_the_same_distance(pair: tuple[Images, Images], tmp_path: Path) -> None:
    def forms(image: Images, name: str) -> dict[str, ImageLike]:
        path = tmp_path / f"{name}.png"
        path.write_bytes(encode_png(image))
        planes = torch.from_numpy(image).permute(2, 0, 1)
        return {
            "path": path,
            "text": str(path),
            "pillow": Image.fromarray(image),
            "array": image,
            "float64": image / 255,
            "float32": (image / 255).astype(np.float32),
            "tensor": planes,
            "float tensor": planes / 255,
            "with gradients": (planes / 255).requires_grad_(),
        }

    for first, a in forms(pair[0], "a").items():
        for second, b in forms(pair[1], "b").items():
            found = bapps.distance("l2", a, b, value_range=(0, 1))
            assert isinstance(found, float)
            assert found == pytest.approx(by_hand(*pair), abs=1e-12), (first, second)


def test_batches_are_compared_one_by_one(pair: tuple[Images, Images]) -> None:
    a, b = np.stack(pair), np.stack(pair[::-1])
    wanted = [by_hand(*pair)] * 2
    for first, second in ((a, b), (torch.from_numpy(a).permute(0, 3, 1, 2), torch.from_numpy(b).permute(0, 3, 1, 2))):
        np.testing.assert_allclose(bapps.distance("l2", first, second), wanted, rtol=1e-12)
    assert bapps.distance("l2", a, a).tolist() == [0, 0]  # pyrefly: ignore[missing-attribute]


def test_a_declared_range_is_kept(pair: tuple[Images, Images]) -> None:
    a, b = (image / 127.5 - 1 for image in pair)
    assert bapps.distance("l2", a, b, value_range=(-1, 1)) == pytest.approx(by_hand(*pair), abs=1e-12)
    overshoot = a * 1.009
    assert bapps.distance("l1", a, overshoot, value_range=(-1, 1)) < 0.01


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((8, 8, 3)), r"a: floats need a declared range, such as value_range=\(0, 1\); these go from 0 to 0"),
        (np.zeros((8, 8, 3), np.int64), "a: must be uint8, or floats with a value_range, got type int64"),
        (np.zeros((8, 8), np.uint8), r"a: an array must be \(H, W, 3\) or \(N, H, W, 3\), got shape \(8, 8\)"),
        (np.zeros((8, 8, 4), np.uint8), r"a: an array must be .* got shape \(8, 8, 4\)"),
        (torch.zeros(8, 8, 3), r"a: a tensor must be \(3, H, W\) or \(N, 3, H, W\), got shape \(8, 8, 3\)"),
        (Image.new("I;16", (8, 8)), "a: more than 8 bits a channel"),
        (Path("absent.png"), "absent.png: no such file"),
        ([[1, 2]], "a: must be a path, a Pillow image, a NumPy array or a torch tensor, got list"),
    ],
)
def test_what_is_no_image_is_named(image: ImageLike, message: str) -> None:
    with pytest.raises(bapps.BappsError, match=f"^{message}"):
        bapps.distance("l2", image, np.zeros((8, 8, 3), np.uint8))


@pytest.mark.parametrize(("low", "high"), [(-1, 1), (0, 255), (0, 1.02)])
def test_floats_beyond_their_range_are_refused(low: float, high: float) -> None:
    image = np.linspace(low, high, 192).reshape(8, 8, 3)
    with pytest.raises(bapps.BappsError, match=rf"b: values must lie in \[0, 1\], got {low:g} to {high:g}"):
        bapps.distance("l2", np.zeros((8, 8, 3)), image, value_range=(0, 1))
    with pytest.raises(bapps.BappsError, match="values must lie in"):
        bapps.distance("l2", np.full((8, 8, 3), np.nan), image, value_range=(low, high))


def test_a_range_that_is_none() -> None:
    with pytest.raises(bapps.BappsError, match=r"value_range must be \(low, high\) with low < high, got \(1, 0\)"):
        bapps.distance("l2", np.zeros((8, 8, 3)), np.zeros((8, 8, 3)), value_range=(1, 0))


def mine(a: Images, b: Images) -> NDArray[np.float64]:
    """Difference of the mean levels."""
    return np.abs(a.mean((1, 2, 3)) - b.mean((1, 2, 3)))


def test_a_function_is_a_metric(pair: tuple[Images, Images]) -> None:
    wanted = abs(pair[0].mean() - pair[1].mean())
    assert bapps.distance(mine, *pair) == pytest.approx(wanted)
    made = bapps.Metric("mine", "mine", contrast=mine)
    assert bapps.distance(made, *pair) == pytest.approx(wanted)


def test_metrics_and_distortions_are_listed_as_they_load() -> None:
    metrics = bapps.list_metrics()
    assert {"l2", "ssim", "ssim@luma", "lpips-vgg", "lpips-vgg@0.0"} <= set(metrics)
    assert bapps.load_metric("ssim@luma").name == "ssim@luma"
    assert all(metrics.values())
    distortions = bapps.list_distortions()
    assert {"gaussian-blur", "jpeg"} <= set(distortions)
    assert all(distortions.values())


def test_a_photo_that_could_not_be_used_is_told(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (90, 100, 3), dtype=np.uint8)
    (photos / "fine.png").write_bytes(encode_png(pixels))
    (photos / "small.png").write_bytes(encode_png(pixels[:20]))
    with pytest.warns(Notice, match=r"skipped small\.png: .*20"):
        made = bapps.generate(photos, tmp_path / "set", items=2, workers=1)
    assert {item.photo for item in made} == {"fine.png"}


def test_distort_is_the_recipe_applied(pair: tuple[Images, Images]) -> None:
    before = pair[0].copy()
    for recipe in ("gaussian-white-noise(sigma=9)", bapps.parse_recipe("gaussian-white-noise(sigma=9)")):
        found = bapps.distort(pair[0], recipe, seed=3)
        wanted = bapps.parse_recipe("gaussian-white-noise(sigma=9)").apply(pair[0], np.random.default_rng(3))
        np.testing.assert_array_equal(found, wanted)
    assert bapps.distort(pair[0], "identity").tolist() == pair[0].tolist() == before.tolist()
    with pytest.raises(ValueError, match="distort takes one image, got a batch of 2"):
        bapps.distort(np.stack(pair), "identity")
