"""LPIPS as a torch module: gradients, range, sizes, state, and agreement with a plain computation."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bapps_builder.errors import MetricError, WeightsError
from bapps_builder.images.image_files import read_image
from metrics.deep.lpips import LPIPS, unit_normalise
from metrics.deep.trunks.trunk import trunk_specs

NETS = ("alex", "vgg", "squeeze")


def images(n: int, side: int = 64, *, seed: int = 0) -> Tensor:
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.fixture(scope="module")
def alex() -> LPIPS:
    return LPIPS("alex")


def plain_distance(module: LPIPS, a: Tensor, b: Tensor) -> list[float]:
    """Equation 1 of the paper in numpy, pixel by pixel, from the module's raw features and heads."""
    with torch.no_grad():
        raw = [[f.double().numpy() for f in module.net(module.scaling_layer(x))] for x in (a, b)]
    result = []
    for n in range(len(a)):
        total = 0.0
        for layer, head in enumerate(module.heads):
            w = head.weight.double().numpy().ravel()
            x, y = raw[0][layer][n], raw[1][layer][n]
            _, height, width = x.shape
            for i in range(height):
                for j in range(width):
                    u = x[:, i, j] / (math.sqrt((x[:, i, j] ** 2).sum()) + 1e-10)
                    v = y[:, i, j] / (math.sqrt((y[:, i, j] ** 2).sum()) + 1e-10)
                    total += float((w * (u - v) ** 2).sum()) / (height * width)
        result.append(total)
    return result


def test_equals_the_equation(alex: LPIPS) -> None:
    a, b = images(2, seed=1), images(2, seed=2)
    assert alex(a, b).tolist() == pytest.approx(plain_distance(alex, a, b), rel=1e-5)


def test_layers_add_up_and_map_has_the_input_size(alex: LPIPS) -> None:
    a, b = images(3, 80, seed=1), images(3, 80, seed=2)
    layers = alex.per_layer(a, b)
    assert layers.shape == (3, 5)
    torch.testing.assert_close(layers.sum(1), alex(a, b))
    assert alex.spatial(a, b).shape == (3, 80, 80)


def test_map_is_where_the_difference_is(alex: LPIPS) -> None:
    a = images(1, 128)
    b = a.clone()
    b[..., :40, :40] = -b[..., :40, :40]
    local = alex.spatial(a, b)[0]
    assert local[:40, :40].mean() > 10 * local[88:, 88:].mean()


@pytest.mark.parametrize("net", NETS)
def test_gradients_are_finite_for_identical_and_dead_features(net: str) -> None:
    module = LPIPS.blank(net)
    module.net.randomise(0)
    dead = module.scaling_layer.shift.expand(1, 3, 64, 64).contiguous()  # scaled to 0, so every feature is 0
    assert not module.net(module.scaling_layer(dead))[0].any()
    for a, b in ((images(1), images(1)), (dead, dead), (dead, images(1)), (images(1), dead)):
        a = a.clone().requires_grad_()
        module(a, b).sum().backward()
        assert a.grad is not None
        assert torch.isfinite(a.grad).all()


def test_unit_normalise_of_dead_and_alive_vectors() -> None:
    feature = torch.zeros(1, 4, 1, 2)
    feature[0, :, 0, 1] = torch.tensor([3.0, 0.0, 4.0, 0.0])
    feature.requires_grad_()
    unit = unit_normalise(feature)
    assert unit[0, :, 0, 0].tolist() == [0, 0, 0, 0]
    assert unit[0, :, 0, 1].tolist() == pytest.approx([0.6, 0, 0.8, 0])
    unit.sum().backward()
    assert feature.grad is not None
    assert feature.grad[0, :, 0, 0].tolist() == [0, 0, 0, 0]
    # d/df of sum(f) / |f| at (3, 0, 4, 0): (1 - u_k * sum(u)) / |f|
    assert feature.grad[0, :, 0, 1].tolist() == pytest.approx([(1 - 0.6 * 1.4) / 5, 0.2, (1 - 0.8 * 1.4) / 5, 0.2])


def test_gradient_equals_finite_differences() -> None:
    module = LPIPS("alex").double()
    a, b = images(1, 35, seed=1).double(), images(1, 35, seed=2).double()
    a.requires_grad_()
    module(a, b).sum().backward()
    assert a.grad is not None
    step = 1e-6
    for place in ((0, 0, 17, 17), (0, 1, 3, 30), (0, 2, 20, 9)):
        moved = [a.detach().clone() for _ in range(2)]
        moved[0][place] += step
        moved[1][place] -= step
        slope = float(module(moved[0], b) - module(moved[1], b)) / (2 * step)
        assert float(a.grad[place]) == pytest.approx(slope, rel=1e-4, abs=1e-9)


def test_as_a_loss_it_brings_an_image_to_its_target(alex: LPIPS) -> None:
    target = images(1, seed=3) * 0.5
    guess = torch.zeros_like(target).requires_grad_()
    optimiser = torch.optim.Adam([guess], lr=0.05)
    start = float(alex(guess.detach(), target))
    for _ in range(20):
        optimiser.zero_grad()
        alex(guess.clamp(-1, 1), target).sum().backward()
        optimiser.step()
    assert float(alex(guess.detach().clamp(-1, 1), target)) < start / 2
    assert not any(parameter.requires_grad for parameter in alex.parameters())


@pytest.mark.parametrize(("net", "right", "wrong"), [("alex", 0.3485, 0.2968), ("vgg", 0.3488, 0.3030)])
def test_unit_range_on_the_official_range_is_refused(shared_data: Path, net: str, right: float, wrong: float) -> None:
    """The commonest mistake, made in a published table: `wrong` is [0, 1] input where [-1, 1] is meant."""
    unit = [
        torch.from_numpy(read_image(shared_data / "metric-pairs" / name)[None]).permute(0, 3, 1, 2) / 255
        for name in ("I01.BMP", "i01_01_5.bmp")
    ]
    with pytest.raises(MetricError, match=r"look like \[0, 1\]"), torch.no_grad():
        LPIPS(net)(*unit)
    with torch.no_grad():
        assert float(LPIPS(net, input_range=(0, 1))(*unit)) == pytest.approx(right, abs=6e-5)
        assert float(LPIPS(net)(*(2 * x - 1 for x in unit))) == pytest.approx(right, abs=6e-5)
        assert float(LPIPS(net, check_range=False)(*unit)) == pytest.approx(wrong, abs=6e-5)


@pytest.mark.parametrize(
    ("input_range", "low", "high", "message"),
    [
        ((-1, 1), -1, 255, "got values from -1 to 255"),
        ((0, 1), -1, 1, r"input_range=\(0, 1\), got values from -1 to 1"),
        ((0, 1), 0, 255, "got values from 0 to 255"),
        ((-1, 1), -1, math.nan, "got values from"),
    ],
)
def test_wrong_ranges_are_refused(input_range: tuple[int, int], low: float, high: float, message: str) -> None:
    module = LPIPS("alex", input_range=input_range)
    a = torch.full((1, 3, 64, 64), float(low))
    a[..., 0] = high
    with pytest.raises(MetricError, match=message):
        module(a, a)


def test_a_unit_batch_is_noticed_beside_a_right_one_and_with_a_little_overshoot(alex: LPIPS) -> None:
    right, unit = images(1), images(1, seed=1) / 2 + 0.5
    unit[0, 0, 0, 0] = -1e-6
    for pair in ((right, unit), (unit, right), (unit, unit)):
        with pytest.raises(MetricError, match=r"look like \[0, 1\]"):
            alex(*pair)


def test_slight_overshoot_is_accepted(alex: LPIPS) -> None:
    assert math.isfinite(float(alex(images(1) * 1.005, images(1, seed=1))))


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (torch.zeros(1, 3, 64, 64, dtype=torch.uint8), torch.zeros(1, 3, 64, 64), "float images"),
        (torch.zeros(3, 64, 64), torch.zeros(3, 64, 64), r"shape \(3, 64, 64\)"),
        (torch.zeros(1, 1, 64, 64), torch.zeros(1, 1, 64, 64), r"\(N, 3, H, W\)"),
        (torch.zeros(1, 3, 64, 64), torch.zeros(2, 3, 64, 64), "one shape"),
        (torch.zeros(1, 3, 30, 64), torch.zeros(1, 3, 30, 64), "at least 31 pixels a side, got 64x30"),
    ],
)
def test_wrong_input_is_named(a: Tensor, b: Tensor, message: str, alex: LPIPS) -> None:
    with pytest.raises(MetricError, match=message):
        alex(a, b)


@pytest.mark.parametrize("net", NETS)
def test_smallest_side_is_the_smallest(net: str) -> None:
    module = LPIPS.blank(net)
    side = module.spec.smallest_side
    a, b = images(1, side, seed=1), images(1, side, seed=2)
    assert math.isfinite(float(module(a, b)))
    with pytest.raises(RuntimeError):
        module.net(images(1, side - 1))


def test_unknown_net_version_and_range() -> None:
    with pytest.raises(MetricError, match="alex, squeeze, vgg, got 'alexnet'"):
        LPIPS("alexnet")
    with pytest.raises(MetricError, match=r"0\.1, 0\.0 or None, got '0\.2'"):
        LPIPS("alex", version="0.2")  # pyrefly: ignore[bad-argument-type]
    with pytest.raises(MetricError, match=r"got \(0, 255\)"):
        LPIPS("alex", input_range=(0, 255))


def test_random_trunk_is_seeded() -> None:
    a, b = images(1, seed=1), images(1, seed=2)
    first, again, other = (LPIPS("alex", version=None, trunk_seed=seed)(a, b) for seed in (1, 1, 2))
    assert float(first) == float(again) != float(other)


def test_dropout_acts_in_training_only(alex: LPIPS) -> None:
    a, b = images(1, seed=1), images(1, seed=2)
    torch.manual_seed(0)
    try:
        alex.train()
        assert float(alex(a, b)) != float(alex(a, b))
    finally:
        alex.eval()
    assert float(alex(a, b)) == float(alex(a, b))


# --- state -------------------------------------------------------------------------------------------


def official_checkpoint(module: LPIPS) -> dict[str, Tensor]:
    """The state as the official trainer saves it: each head a second time, as lins.K."""
    state = {key: value.clone() for key, value in module.state_dict().items()}
    for k in range(len(module.heads)):
        state[f"lins.{k}.model.1.weight"] = state[f"lin{k}.model.1.weight"].clone()
    return state


@pytest.mark.parametrize("net", NETS)
def test_key_names_are_those_of_the_official_release(net: str) -> None:
    module = LPIPS.blank(net)
    keys = set(module.state_dict())
    assert {"scaling_layer.shift", "scaling_layer.scale", "net.slice1.0.weight", "net.slice1.0.bias"} <= keys
    assert {f"lin{k}.model.1.weight" for k in range(len(trunk_specs()[net].channels))} <= keys
    expected = {
        "alex": {f"net.slice{s}.{n}.weight" for s, n in ((2, 3), (3, 6), (4, 8), (5, 10))},
        "vgg": {f"net.slice{s}.{n}.weight" for s, n in ((1, 2), (2, 5), (3, 14), (4, 21), (5, 28))},
        "squeeze": {f"net.slice{s}.{n}.expand3x3.weight" for s, n in ((2, 3), (2, 4), (3, 6), (4, 9), (7, 12))},
    }
    assert expected[net] <= keys


def test_head_file_loads_into_a_blank_module(alex: LPIPS) -> None:
    heads = {key: value for key, value in alex.state_dict().items() if key.startswith("lin")}
    module = LPIPS.blank("alex")
    before = module.net.state_dict()["slice1.0.weight"].clone()
    module.load_state_dict(heads)
    for mine, theirs in zip(module.heads, alex.heads, strict=True):
        assert torch.equal(mine.weight, theirs.weight)
    assert torch.equal(module.net.state_dict()["slice1.0.weight"], before)


def test_training_checkpoint_loads(alex: LPIPS) -> None:
    module = LPIPS.blank("alex")
    module.load_state_dict(official_checkpoint(alex))
    a, b = images(2, seed=1), images(2, seed=2)
    assert torch.equal(module(a, b), alex(a, b))


def test_checkpoint_without_dropout_or_from_several_gpus_loads(alex: LPIPS) -> None:
    state = {f"module.{key.replace('.model.1.', '.model.0.')}": value for key, value in alex.state_dict().items()}
    module = LPIPS.blank("alex")
    module.load_state_dict(state)
    assert torch.equal(module.heads[0].weight, alex.heads[0].weight)


def test_loading_is_strict(alex: LPIPS) -> None:
    state = official_checkpoint(alex)
    module = LPIPS.blank("alex")
    with pytest.raises(RuntimeError, match="Missing key"):
        module.load_state_dict({key: value for key, value in state.items() if "slice3" not in key})
    with pytest.raises(RuntimeError, match="Missing key"):
        module.load_state_dict({"lin0.model.1.weight": state["lin0.model.1.weight"]})
    with pytest.raises(RuntimeError, match="Unexpected key"):
        module.load_state_dict({**state, "extra": torch.zeros(1)})
    with pytest.raises(WeightsError, match="two different tensors for lin0"):
        module.load_state_dict({**state, "lins.0.model.1.weight": torch.zeros(1, 64, 1, 1)})
    with pytest.raises(WeightsError, match="strictly"):
        module.load_state_dict(state, strict=False)


def test_from_file_reads_heads_and_checkpoints(alex: LPIPS, tmp_path: Path) -> None:
    a, b = images(2, seed=1), images(2, seed=2)
    heads = {key: value for key, value in alex.state_dict().items() if key.startswith("lin")}
    torch.save(heads, tmp_path / "heads.pth")
    torch.save(official_checkpoint(alex), tmp_path / "checkpoint.pth")
    for name in ("heads.pth", "checkpoint.pth"):
        assert torch.equal(LPIPS.from_file(tmp_path / name)(a, b), alex(a, b))


def test_heads_of_the_old_version_keep_their_scaling(tmp_path: Path, alex: LPIPS) -> None:
    """Files do not say whether input was scaled; the released heads of 0.0 are known by their hash."""
    a, b = images(2, seed=1), images(2, seed=2)
    old = LPIPS("alex", version="0.0")
    torch.save(old.state_dict(), tmp_path / "old.pth")
    assert torch.equal(LPIPS.from_file(tmp_path / "old.pth")(a, b), old(a, b))
    with pytest.raises(WeightsError, match=r"released heads of version 0\.0"):
        LPIPS("alex").load_state_dict(old.state_dict())
    own = {key: value + 0.01 if key.startswith("lin") else value for key, value in old.state_dict().items()}
    torch.save(own, tmp_path / "own.pth")
    scaled, unscaled = (LPIPS.from_file(tmp_path / "own.pth", version=v)(a, b) for v in ("0.1", "0.0"))
    assert not torch.allclose(scaled, unscaled)
    assert torch.equal(LPIPS.from_file(tmp_path / "own.pth")(a, b), scaled)


def test_from_file_takes_an_input_range(tmp_path: Path, alex: LPIPS) -> None:
    torch.save(alex.state_dict(), tmp_path / "mine.pth")
    a, b = images(2, seed=1), images(2, seed=2)
    unit = LPIPS.from_file(tmp_path / "mine.pth", input_range=(0, 1))(a / 2 + 0.5, b / 2 + 0.5)
    torch.testing.assert_close(unit, alex(a, b), atol=1e-5, rtol=1e-5)


def test_from_file_names_what_is_wrong(tmp_path: Path) -> None:
    torch.save({"lin0.model.1.weight": torch.zeros(1, 7, 1, 1)}, tmp_path / "odd.pth")
    with pytest.raises(WeightsError, match=r"odd\.pth: no LPIPS weights: heads of widths \(7,\) fit none"):
        LPIPS.from_file(tmp_path / "odd.pth")
    with pytest.raises(WeightsError, match=r"none\.pth"):
        LPIPS.from_file(tmp_path / "none.pth")


def test_a_ranking_net_given_as_heads_is_told(tmp_path: Path) -> None:
    convolutions = nn.Sequential(
        nn.Conv2d(5, 32, 1), nn.LeakyReLU(), nn.Conv2d(32, 32, 1), nn.LeakyReLU(), nn.Conv2d(32, 1, 1), nn.Sigmoid()
    )
    torch.save({f"model.{key}": value for key, value in convolutions.state_dict().items()}, tmp_path / "rank.pth")
    with pytest.raises(WeightsError, match=r"rank\.pth: no LPIPS weights: this is a ranking net, .* lacks _rank"):
        LPIPS.from_file(tmp_path / "rank.pth")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_of_module_and_autocast(dtype: torch.dtype, alex: LPIPS) -> None:
    a, b = images(2, seed=1), images(2, seed=2)
    with torch.autocast("cpu", dtype):
        cast = alex(a, b)
    assert cast.dtype == torch.float32  # the convolutions are half, the distance is not
    torch.testing.assert_close(cast, alex(a, b), atol=3e-3, rtol=3e-3)
    half = LPIPS("alex").to(dtype)(a.to(dtype), b.to(dtype))
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, alex(a, b), atol=2e-2, rtol=2e-2)


def test_double_precision(alex: LPIPS) -> None:
    a, b = images(2, seed=1), images(2, seed=2)
    double = LPIPS("alex").double()(a.double(), b.double())
    torch.testing.assert_close(double.float(), alex(a, b), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("device", ["cpu", *(["cuda"] if torch.cuda.is_available() else [])])
def test_moves_to_a_device(device: str, alex: LPIPS) -> None:
    a, b = images(2, seed=1), images(2, seed=2)
    there = LPIPS("alex").to(device)(a.to(device), b.to(device)).cpu()
    torch.testing.assert_close(there, alex(a, b), atol=1e-4, rtol=1e-3)


def test_batches_of_a_metric_do_not_interact() -> None:
    from metrics.registry import load

    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 256, (5, 64, 64, 3), dtype=np.uint8) for _ in range(2))
    metric = load("lpips-alex")
    one_by_one = [metric(a[k : k + 1], b[k : k + 1])[0] for k in range(5)]
    np.testing.assert_allclose(metric(a, b), one_by_one, atol=1e-6)
