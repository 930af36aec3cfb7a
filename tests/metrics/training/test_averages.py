"""The fast way of lin: cached rows against slow sums, the meaning of dropout, and when a cache is used again."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bapps_builder.errors import BappsError
from metrics.deep.lpips import LPIPS
from metrics.training.averages import PART, SCALE, Averages, averaged, averages_of
from metrics.training.distances import FromAverages, FromImages
from metrics.training.features import squared_differences
from metrics.training.judgments import Judgments, open_judgments
from metrics.training.processes import Processes


@pytest.fixture(scope="module")
def alex() -> LPIPS:
    return LPIPS("alex")


@pytest.fixture(scope="module")
def items(judged: Path) -> Judgments:
    return open_judgments(judged, ["train/b", "train/a"])


def compute(module: LPIPS, items: Judgments, cache: Path, **changed: Any) -> tuple[Averages, list[int]]:
    """Rows, and how many items each report of progress was about."""
    steps: list[int] = []
    settings: dict[str, Any] = {
        "load": "official",
        "precision": "fp32",
        "processes": Processes(),
        "advance": steps.append,
        **changed,
    }
    return averages_of(module, items, cache, **settings), steps


def test_rows_give_the_distances_of_the_metric(alex: LPIPS, items: Judgments, tmp_path: Path) -> None:
    rows, _ = compute(alex, items, tmp_path)
    order = np.array([20, 3, 8, 7, 0])  # from both sets, in no order
    fast = FromAverages(alex, rows, 0.5)
    slow = FromImages(alex, items, "official")
    with torch.no_grad():
        ((_, payload),) = fast.payloads([order])
        ((_, images),) = slow.payloads([order])
        for found, wanted in zip(fast(payload), slow(images), strict=True):
            torch.testing.assert_close(found, wanted, rtol=3e-4, atol=0)


def test_spreads_are_slow_sums_over_positions(alex: LPIPS, items: Judgments) -> None:
    (batch,) = items.read(np.arange(3), load="official")
    with torch.no_grad():
        squares = squared_differences(alex, batch, "fp32")
    rows = averaged(squares)
    assert rows.shape == (3, 4, 1152)
    channel = 70  # the seventh of the second layer
    for pair in (0, 1):
        x = squares[1][pair][2, channel - 64].double().numpy()
        assert x.shape == (7, 7)
        assert rows[2, pair, channel] == pytest.approx(x.sum() / 49, rel=1e-5)
        assert rows[2, 2 + pair, channel] == pytest.approx((x**2).sum() ** 0.5 / 49, rel=1e-5)


def test_noise_has_mean_and_variance_of_dropout_at_every_position(alex: LPIPS, items: Judgments) -> None:
    (batch,) = items.read(np.arange(1), load="official")
    with torch.no_grad():
        squares = squared_differences(alex, batch, "fp32")
        payload = torch.from_numpy(averaged(squares))
        torch.manual_seed(0)
        dropped = torch.stack(
            [
                torch.stack([head(x[0]).mean((1, 2)) for head, x in zip(alex.heads, squares, strict=True)]).sum()
                for _ in range(2000)
                if alex.train()
            ]
        )
        source = FromAverages(alex, Averages((), np.array([0])), 0.5)
        noisy = torch.stack([source(payload)[0][0] for _ in range(2000)])
        alex.eval()
        plain = source(payload)[0][0]
        entries = torch.stack([nn.functional.dropout(payload[:, 0]) for _ in range(500)])[:, 0]
        weights = torch.cat([head.weight.flatten() for head in alex.heads])
    standard_error = float(dropped.std()) / 2000**0.5
    assert float(dropped.mean()) == pytest.approx(float(plain), abs=4 * standard_error)
    assert float(noisy.mean()) == pytest.approx(float(plain), abs=4 * standard_error)
    assert float(noisy.std()) == pytest.approx(float(dropped.std()), rel=0.07)  # 4.4 standard errors of the ratio
    assert float((entries @ weights).std()) > 1.5 * float(dropped.std())  # the regulariser that this is not


def test_half_precision_keeps_its_digits_for_small_values() -> None:
    values = np.array([4.0, 1e-2, 1e-5, 3e-8], np.float32)
    stored = (values * SCALE).astype(np.float16)
    rows = Averages((np.broadcast_to(stored, (1, 4, 4)),), np.array([0, 1])).rows(np.array([0]))
    assert rows[0, 0] == pytest.approx(values, rel=2**-11)
    assert abs(float(values.astype(np.float16)[3]) / 3e-8 - 1) > 0.5  # unscaled, the last would be of one bit


def test_a_cache_is_used_again_and_depends_on_data_trunk_and_settings(
    alex: LPIPS, items: Judgments, judged: Path, tmp_path: Path
) -> None:
    first, _ = compute(alex, items, tmp_path)
    files = sorted(tmp_path.rglob("*.npy"))
    stamps = [path.stat().st_mtime_ns for path in files]
    assert len(files) == 2  # one part for each set
    again, steps = compute(alex, items, tmp_path)
    assert [path.stat().st_mtime_ns for path in files] == stamps
    assert steps == [8, 13]  # whole parts
    assert np.array_equal(first.rows(np.arange(21)), again.rows(np.arange(21)))

    reordered = open_judgments(judged, ["train/a", "train/b"])
    swapped, _ = compute(alex, reordered, tmp_path)
    assert np.array_equal(swapped.rows(np.arange(13)), first.rows(np.arange(8, 21)))
    assert sorted(tmp_path.rglob("*.npy")) == files

    compute(LPIPS("alex", version=None, trunk_seed=1), items, tmp_path)
    compute(alex, items, tmp_path, precision="bf16")
    compute(alex, items, tmp_path, load="native")
    compute(LPIPS("alex", version="0.0"), items, tmp_path)
    assert len(list(tmp_path.rglob("*.npy"))) == 10


def test_an_interrupted_pass_goes_on(
    alex: LPIPS, items: Judgments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metrics.training.averages.PART", 5)

    class Interrupted(Exception):
        pass

    def stop(steps: int) -> None:
        done.append(steps)
        if len(done) == 3:
            raise Interrupted

    done: list[int] = []
    with pytest.raises(Interrupted):
        compute(alex, items, tmp_path, advance=stop)
    assert len(list(tmp_path.rglob("*.npy"))) == 2
    assert not list(tmp_path.rglob(".writing*"))
    rows, _ = compute(alex, items, tmp_path)
    whole, _ = compute(alex, items, tmp_path / "anew")
    assert len(list(tmp_path.glob("alex-*/*.npy"))) == 5  # 8 items in 2 parts, 13 in 3
    assert np.array_equal(rows.rows(np.arange(21)), whole.rows(np.arange(21)))
    assert PART != 5


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY broken", "zeros"])
def test_a_broken_part_is_named(alex: LPIPS, items: Judgments, tmp_path: Path, content: bytes | str) -> None:
    compute(alex, items, tmp_path)
    path = next(tmp_path.rglob("*.npy"))
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, np.zeros((3, 4, 7), np.float16))
    with pytest.raises(BappsError, match=rf"{path.name}.*delete it"):
        compute(alex, items, tmp_path)
