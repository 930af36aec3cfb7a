"""Stacked k-means: what centroids find, the statistics of every layer, and the name under which it is scored."""

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor

from bapps_builder.errors import ImageError, WeightsError
from bapps_builder.images.image_files import encode_png
from metrics.commands.train import train
from metrics.deep.kmeans import BIAS, centroids, kmeans_file, kmeans_trunk, random_crops, scaled
from metrics.deep.lpips import LPIPS
from metrics.deep.trunks.trunk import Trunk, TrunkSpec, trunk_specs
from metrics.metric import Setup
from metrics.registry import load
from metrics.weights.store import WeightStore, read_tensors


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three photos of clouds at several scales."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for k in range(3):
        photo = sum(
            np.kron(rng.normal(0, 20, (128 // size, 128 // size, 3)), np.ones((size, size, 1))) for size in (1, 4, 16)
        )
        (folder / f"{k}.png").write_bytes(encode_png(np.clip(128 + photo, 0, 255).astype(np.uint8)))
    return folder


@pytest.fixture(scope="module")
def made(photos: Path) -> tuple[TrunkSpec, dict[str, Tensor], Tensor]:
    rng = np.random.default_rng(0)
    images = scaled(random_crops(photos, count=40, rng=rng))
    spec = trunk_specs()["squeeze"]
    return spec, kmeans_trunk(spec, images, rng=rng, patches=1000), images


def test_crops_come_evenly_from_all_photos_and_by_the_seed(tmp_path: Path, photos: Path) -> None:
    for level in range(3):
        (tmp_path / f"{level}.png").write_bytes(encode_png(np.full((70, 90, 3), level, np.uint8)))
    crops = random_crops(tmp_path, count=7, rng=np.random.default_rng(1))
    assert crops.shape == (7, 64, 64, 3)
    assert np.bincount(crops[:, 0, 0, 0]).tolist() == [3, 2, 2]
    first, again, other = (random_crops(photos, count=3, rng=np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_centroids_point_at_the_clusters_of_whitened_patches() -> None:
    # Four directions, each with both signs, in a space that is stretched and shifted.
    rng = np.random.default_rng(0)
    directions = np.concatenate([np.eye(4), -np.eye(4)])
    stretched = np.diag([1.0, 5.0, 25.0, 0.2])
    points = (directions[rng.integers(8, size=4000)] + rng.normal(0, 0.05, (4000, 4))) @ stretched + 3
    filters = centroids(torch.from_numpy(points).float(), 8, np.random.default_rng(3)).double().numpy()
    # Filters live in the dual space: undo the stretch there, too, to see the directions.
    seen = filters @ stretched
    seen /= np.linalg.norm(seen, axis=1, keepdims=True)
    found = {(int(axis), bool(row[axis] > 0)) for row in seen if abs(row[axis := np.abs(row).argmax()]) > 0.99}
    assert len(found) >= 6  # Lloyd may leave two centroids in one cluster, and one between two


def test_every_layer_has_the_wanted_mean_and_deviation(made: tuple[TrunkSpec, dict[str, Tensor], Tensor]) -> None:
    spec, tensors, images = made
    trunk = Trunk(spec)
    trunk.load_features(tensors)
    before: list[Tensor] = []
    for module in trunk.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(lambda _, __, output: before.append(output.clone()))
    with torch.no_grad():
        trunk(images)
    assert len(before) == 25
    first = before[0].transpose(0, 1).flatten(1)
    # Of patches drawn at random, so not to the last digit.
    assert first.mean(1).numpy() == pytest.approx(np.full(64, BIAS), abs=0.2)
    assert first.std(1).numpy() == pytest.approx(np.ones(64), abs=0.25)
    for output in before:
        assert float(output.mean()) == pytest.approx(BIAS, abs=0.15)


def test_the_seed_decides(photos: Path) -> None:
    spec = trunk_specs()["squeeze"]

    def first_layer(seed: int) -> Tensor:
        rng = np.random.default_rng(seed)
        images = scaled(random_crops(photos, count=30, rng=rng))
        return kmeans_trunk(spec, images, rng=rng, patches=600)["features.0.weight"]

    assert torch.equal(first_layer(1), first_layer(1))
    assert not torch.equal(first_layer(1), first_layer(2))


def test_the_command_writes_a_trunk_that_is_scored_by_name(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAPPS_CACHE", str(tmp_path))
    monkeypatch.delenv("BAPPS_WEIGHTS", raising=False)
    with pytest.raises(WeightsError, match="bapps-train trunk --net squeeze --method kmeans"):
        load("squeeze@kmeans")
    words = ["trunk", "--net", "squeeze", "--method", "kmeans", "--photos", str(photos), "--crops", "30"]
    result = CliRunner().invoke(train, [*words, "--patches", "600"])
    assert result.exit_code == 0, result.output
    file = kmeans_file("squeeze", WeightStore())
    assert file == tmp_path / "weights" / "squeeze-kmeans.safetensors"

    a, b = (np.random.default_rng(k).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8) for k in (0, 1))
    metric = load("squeeze@kmeans")
    assert metric.name == "squeeze@kmeans"
    assert not metric.verified
    module = LPIPS("squeeze", version=None, weights=WeightStore().with_unverified("squeezenet1_1", file))
    x, y = (torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1 for images in (a, b))
    assert metric(a, b) == pytest.approx(module(x, y).tolist(), rel=1e-5)
    assert load("squeeze@kmeans", Setup(weights=WeightStore(file.parent)))(a, b) == pytest.approx(metric(a, b))
    assert set(read_tensors(file)) == {
        f"features.{name.split('.', 1)[1]}" for name in Trunk(trunk_specs()["squeeze"]).state_dict()
    }


def test_bad_photos_are_named(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ImageError, match="no photos in it"):
        random_crops(tmp_path, count=1, rng=rng)
    (tmp_path / "small.png").write_bytes(encode_png(np.zeros((40, 200, 3), np.uint8)))
    with pytest.raises(ImageError, match=r"small\.png: is 200x40, expected at least 64"):
        random_crops(tmp_path, count=1, rng=rng)


def test_too_few_patches_are_refused() -> None:
    with pytest.raises(WeightsError, match="9 patches for 64 filters"):
        kmeans_trunk(trunk_specs()["squeeze"], torch.rand(1, 3, 64, 64), rng=np.random.default_rng(0), patches=9)
