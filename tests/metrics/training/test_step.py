"""Steps of lin against the formulas in float64, the projection, and the ranking net's input."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bapps_builder.datasets.reader import ItemSet
from bapps_builder.layout import find_sets
from metrics.deep.lpips import LPIPS
from metrics.metric import Setup
from metrics.training.features import to_signed
from metrics.training.loop import project
from metrics.training.recipe import Recipe
from metrics.training.session import Settings, train
from metrics.training.start import starting_ranking

Array = NDArray[np.float64]


@contextmanager
def silent(total: int | None, what: str) -> Iterator[Callable[[int], None]]:
    yield lambda steps: None


@dataclass
class Adam:
    """Kingma and Ba, ICLR 2015, algorithm 1, for one parameter."""

    value: Array
    lr: float
    beta1: float
    beta2: float
    m: Array | float = 0.0
    v: Array | float = 0.0
    t: int = 0

    def step(self, gradient: Array) -> None:
        self.t += 1
        self.m = self.beta1 * self.m + (1 - self.beta1) * gradient
        self.v = self.beta2 * self.v + (1 - self.beta2) * gradient**2
        m, v = self.m / (1 - self.beta1**self.t), self.v / (1 - self.beta2**self.t)
        self.value = self.value - self.lr * m / (np.sqrt(v) + 1e-8)


def averages(root: Path, label: str) -> tuple[Array, Array, Array]:
    """Averaged squared differences (N, K) of both pairs, by equation 1 in float64, and the fractions."""
    module = LPIPS("alex", version=None).double()
    (batch,) = ItemSet(find_sets(root, ("2afc",), [label])[0]).batches()
    with torch.no_grad():
        raw = [[f.numpy() for f in module.net(module.scaling_layer(to_signed(x).double()))] for x in batch.images]
    unit = [[f / (np.sqrt((f**2).sum(1, keepdims=True)) + 1e-10) for f in image] for image in raw]
    m0, m1 = (
        np.concatenate([((x - y) ** 2).mean((2, 3)) for x, y in zip(unit[0], other, strict=True)], axis=1)
        for other in unit[1:]
    )
    return m0, m1, batch.labels


def steps_by_formula(recipe: Recipe, m0: Array, m1: Array, h: Array, count: int) -> Array:
    """The heads after full-batch steps without dropout, all derivatives by hand."""
    ranking = starting_ranking(recipe).double()
    start = [parameter.detach().numpy().copy() for parameter in ranking.parameters()]  # weight, bias of each layer
    w = Adam(np.full(m0.shape[1], recipe.head_start), recipe.lr, recipe.beta1, recipe.beta2)
    net = [Adam(p, recipe.lr, recipe.beta1, recipe.beta2) for p in start]
    e = recipe.ratio_offset
    for _ in range(count):
        a1, b1, a2, b2, a3, b3 = (p.value for p in net)
        d0, d1 = m0 @ w.value, m1 @ w.value
        x = np.stack([d0, d1, d0 - d1, d0 / (d1 + e), d1 / (d0 + e)], 1)
        y1 = np.maximum(x @ a1.T + b1, 0)
        y2 = np.maximum(y1 @ a2.T + b2, 0)
        z = (y2 @ a3.T + b3)[:, 0]
        dz = ((1 / (1 + np.exp(-z)) - h) / len(h))[:, None]
        dy2 = (dz @ a3) * (y2 > 0)
        dy1 = (dy2 @ a2) * (y1 > 0)
        dx = dy1 @ a1
        dd0 = dx[:, 0] + dx[:, 2] + dx[:, 3] / (d1 + e) - dx[:, 4] * d1 / (d0 + e) ** 2
        dd1 = dx[:, 1] - dx[:, 2] - dx[:, 3] * d0 / (d1 + e) ** 2 + dx[:, 4] / (d0 + e)
        gradients = [dy1.T @ x, dy1.sum(0), dy2.T @ y1, dy2.sum(0), dz.T @ y2, dz.sum(0)]
        w.step(dd0 @ m0 + dd1 @ m1)
        w.value = np.maximum(w.value, 0)
        for parameter, gradient in zip(net, gradients, strict=True):
            parameter.step(gradient)
    return w.value


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(("count", "lr", "head_start"), [(1, 1e-4, 0.1), (3, 1e-3, 0.002)])
def test_steps_of_lin_equal_the_formulas(
    judged: Path, tmp_path: Path, exact: bool, count: int, lr: float, head_start: float
) -> None:
    recipe = Recipe(
        "lin", "alex", ("train/a",), epochs=count, decay_epochs=0, lr=lr, head_start=head_start, dropout=0.0,
        exact=exact, seed=3,
    )  # fmt: skip
    train(recipe, Settings(judged, tmp_path / "run", cache=tmp_path / "cache"), progress=silent)
    heads = torch.cat([head.weight.flatten() for head in LPIPS.from_file(tmp_path / "run").heads]).numpy()
    wanted = steps_by_formula(recipe, *averages(judged, "train/a"), count)
    assert np.abs(wanted - head_start).max() > 0.5 * lr  # it did move
    # Half precision of the cached averages shows where a small gradient changes its sign between steps.
    assert np.abs(heads - wanted).max() < (1e-6 if exact or count == 1 else 2e-5)
    assert (wanted == 0).any() == (head_start < lr * count)  # the second case is one where the projection acts


def test_the_projection_touches_heads_only(squeezenet: Setup) -> None:
    module = LPIPS("squeeze", weights=squeezenet.weights)
    with torch.no_grad():
        for head in module.heads:
            head.weight.sub_(head.weight.mean())
    before = {name: value.clone() for name, value in module.state_dict().items()}
    assert all(bool((head.weight < 0).any()) for head in module.heads)
    assert any(
        value.shape[2:] == (1, 1) and bool((value < 0).any())
        for name, value in before.items()
        if "net." in name and value.ndim == 4
    )
    project(module)
    for name, value in module.state_dict().items():
        wanted = before[name].clamp(min=0) if name.startswith("lin") else before[name]
        assert torch.equal(value, wanted), name
