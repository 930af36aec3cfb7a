"""The batch loop: one pass equals one metric at a time, in threads or not; shared work is done once."""

import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from analysis.scoring.evaluate import evaluate
from bapps_builder.datasets.load_mode import LoadMode
from bapps_builder.datasets.reader import Batch, ItemSet
from bapps_builder.errors import MetricError
from bapps_builder.images.image_files import encode_png
from bapps_builder.layout import SetFolder
from metrics.metric import Metric, Setup, from_function, identity, joint_distances
from metrics.registry import load, load_all

MakeSet = Callable[[int], ItemSet]


@pytest.fixture
def make_set(tmp_path: Path) -> MakeSet:
    """Write a 2AFC set of smooth random patches, p1 further from ref than p0 in every second item."""

    def make(count: int) -> ItemSet:
        folder = SetFolder(tmp_path, "2afc", "val", "made")
        for role in ("ref", "p0", "p1", "judge"):
            (folder.path / role).mkdir(parents=True)
        rng = np.random.default_rng(0)
        for k in range(count):
            ref = np.kron(rng.integers(40, 200, (8, 8, 3)), np.ones((8, 8, 1)))
            spread = (5, 25) if k % 2 else (25, 5)
            for role, sigma in zip(("ref", "p0", "p1"), (0, *spread), strict=True):
                noisy = np.clip(ref + rng.normal(0, sigma, ref.shape) if sigma else ref, 0, 255).astype(np.uint8)
                (folder.path / role / f"{k:06d}.png").write_bytes(encode_png(noisy))
            np.save(folder.path / "judge" / f"{k:06d}.npy", np.array([0.0 if k % 2 else 1.0]))
        return ItemSet(folder)

    return make


def test_one_pass_equals_one_metric_at_a_time(make_set: MakeSet) -> None:
    items = make_set(7)
    metrics = load_all(["l2", "ssim", "l2-lab", "dssim-lab", "alex", "lpips-alex", "lpips-alex@0.0", "psnr"])
    together = evaluate(metrics, items, batch_size=3)
    assert together.ids == tuple(f"{k:06d}" for k in range(7))
    assert together.distances.shape == (8, 2, 7)
    for row, metric in enumerate(metrics):
        alone = evaluate([metric], items, batch_size=7)
        np.testing.assert_allclose(together.distances[row], alone.distances[0], rtol=1e-5, atol=1e-7)
        assert ((together.distances[row, 1] < together.distances[row, 0]) == (together.labels == 1)).all()


def test_a_trunk_runs_once_per_image_for_all_its_heads() -> None:
    calls: list[int] = []

    def embed(images: np.ndarray) -> np.ndarray:
        calls.append(len(images))
        return images.astype(float).mean((1, 2, 3))

    def contrast(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        calls.append(-1)
        return np.abs(a - b)

    metrics = [
        Metric(name="one", description="", embed=embed, contrast=contrast),
        Metric(name="two", description="", embed=embed, contrast=contrast, head=lambda d: 2 * d),
    ]
    batch = [np.full((4, 8, 8, 3), level, np.uint8) for level in (10, 20, 40)]
    distances = joint_distances(metrics, *batch)
    assert calls == [4, 4, 4, -1, -1]  # ref, p0, p1 once each; (ref, p0) and (ref, p1) once each
    np.testing.assert_array_equal(distances[:, :, 0], [[10, 30], [20, 60]])


@pytest.mark.parametrize("net", ["alex", "vgg", "squeeze"])
def test_uncalibrated_and_lpips_share_their_trunk(net: str, squeezenet: Setup) -> None:
    plain, calibrated, old = load_all([net, f"lpips-{net}", f"lpips-{net}@0.0"], squeezenet)
    assert plain.embed == calibrated.embed != old.embed
    assert plain.contrast == calibrated.contrast
    assert plain.embed is not identity


def test_nan_is_named_with_set_and_item(make_set: MakeSet) -> None:
    def bad(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.where(a[:, 0, 0, 0] == third, np.nan, 1.0)

    items = make_set(5)
    third = next(iter(items.batches())).images[0][3, 0, 0, 0]
    with pytest.raises(MetricError, match=r"^val/made, item 000003: metric mine returned NaN"):
        evaluate([from_function("mine", bad, "")], items, batch_size=2)


def test_a_raising_metric_is_named_with_set_and_items(make_set: MakeSet) -> None:
    def bad(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        raise RuntimeError("no licence")

    with pytest.raises(
        MetricError, match=r"^val/made, items 000000 to 000001: metric mine raised RuntimeError: no lic"
    ):
        evaluate([from_function("mine", bad, "")], make_set(3), batch_size=2)


@pytest.mark.parametrize("concurrent", [False, True])
def test_progress_counts_every_item(concurrent: bool, make_set: MakeSet) -> None:
    steps: list[int] = []
    metric = replace(load("l2"), concurrent=concurrent)
    evaluate([metric], make_set(7), batch_size=3, threads=1, advance=steps.append)
    assert steps == [3, 3, 1]


def test_threads_change_nothing(make_set: MakeSet) -> None:
    items = make_set(11)
    metrics = load_all(["l2", "ssim", "lpips-alex"])
    assert all(metric.concurrent for metric in metrics)
    alone = evaluate([replace(metric, concurrent=False) for metric in metrics], items, batch_size=4)
    before = torch.get_num_threads()
    for threads in (1, 2, 3):
        together = evaluate(metrics, items, batch_size=4, threads=threads)
        assert together.ids == alone.ids
        np.testing.assert_allclose(together.distances, alone.distances, rtol=1e-5, atol=1e-7)
    assert torch.get_num_threads() == before


def test_a_users_function_runs_in_one_thread(make_set: MakeSet) -> None:
    """It may keep state, so it is never called by two threads."""
    callers: set[int] = set()

    def mine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        callers.add(threading.get_ident())
        return np.zeros(len(a))

    evaluate([from_function("mine", mine, ""), load("l2")], make_set(12), batch_size=2, threads=3)
    assert callers == {threading.get_ident()}


def test_half_precision_is_near_and_not_the_same(make_set: MakeSet) -> None:
    items = make_set(8)
    exact = evaluate([load("lpips-alex")], items)
    half = evaluate([load("lpips-alex", Setup(precision="bf16"))], items)
    difference = np.abs(exact.distances - half.distances).max()
    assert 0 < difference < 5e-3


def test_few_batches_are_alive_at_a_time(make_set: MakeSet, monkeypatch: pytest.MonkeyPatch) -> None:
    items = make_set(40)
    alive, most = 0, 0
    read = ItemSet.read

    def counted(self: ItemSet, ids: Sequence[str], *, load: LoadMode) -> list[Batch]:
        nonlocal alive, most
        batches = read(self, ids, load=load)
        alive += len(batches)
        most = max(most, alive)
        for batch in batches:
            weakref.finalize(batch, gone)
        return batches

    def gone() -> None:
        nonlocal alive
        alive -= 1

    monkeypatch.setattr(ItemSet, "read", counted)
    evaluate([replace(load("l2"), concurrent=False)], items, batch_size=2, threads=2)
    assert alive <= 1
    assert 1 <= most <= 6  # of 20: one in use, three decoded or being decoded, one just dropped
