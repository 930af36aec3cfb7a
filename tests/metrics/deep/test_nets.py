"""The deep metrics by name: weights that are marked for what they are, arrays of any layout, seeds."""

from pathlib import Path

import numpy as np
import pytest
import torch

from bapps_builder.errors import MetricError
from metrics.deep.lpips import LPIPS
from metrics.metric import Setup, joint_distances
from metrics.registry import load

RNG = np.random.default_rng(0)
A, B = (RNG.integers(0, 256, (2, 64, 64, 3), dtype=np.uint8) for _ in range(2))


def heads_of(module: LPIPS) -> dict[str, torch.Tensor]:
    return {key: value for key, value in module.state_dict().items() if key.startswith("lin")}


@pytest.mark.parametrize("version", ["0.1", "0.0"])
def test_released_heads_in_a_file_are_known(version: str, tmp_path: Path) -> None:
    torch.save(heads_of(LPIPS("alex", version="0.0" if version == "0.0" else "0.1")), tmp_path / "heads.pth")
    from_file = load(f"lpips:{tmp_path / 'heads.pth'}")
    assert from_file.verified
    np.testing.assert_allclose(from_file(A, B), load(f"lpips-alex@{version}")(A, B), rtol=1e-6)


def test_own_heads_and_own_trunks_are_marked(tmp_path: Path) -> None:
    own = {key: value * 2 for key, value in heads_of(LPIPS("alex")).items()}
    torch.save(own, tmp_path / "own.pth")
    found = load(f"lpips:{tmp_path / 'own.pth'}")
    assert not found.verified
    assert [weights.verified for weights in found.weights] == [True, False]
    np.testing.assert_allclose(found(A, B), 2 * load("lpips-alex")(A, B), rtol=1e-5)
    torch.save(LPIPS("alex").state_dict(), tmp_path / "checkpoint.pth")
    assert not load(f"lpips:{tmp_path / 'checkpoint.pth'}").verified  # its trunk is known by nobody


def test_arrays_of_any_layout() -> None:
    flipped = A[..., ::-1]
    frozen = B.copy()
    frozen.flags.writeable = False
    for name in ("lpips-alex", "l2", "ssim", "dssim-lab"):
        metric = load(name)
        np.testing.assert_array_equal(metric(flipped, frozen), metric(flipped.copy(), B))


def test_an_empty_batch_has_no_distances() -> None:
    metrics = [load(name) for name in ("lpips-alex", "l2", "ssim", "l2-lab", "psnr")]
    assert joint_distances(metrics, A[:0], B[:0], B[:0]).shape == (5, 2, 0)


def test_a_seed_too_large_for_torch_is_an_unknown_variant() -> None:
    with pytest.raises(MetricError, match="unknown variant"):
        load(f"alex@random-{2**63}")


def test_map_of_half_precision_is_computed_in_full() -> None:
    full, half = (load("lpips-alex", Setup(precision=p)).spatial for p in ("fp32", "bf16"))
    assert full
    assert half
    difference = np.abs(full(A, B) - half(A, B))
    assert 0 < difference.max() < 0.05 * full(A, B).max()
