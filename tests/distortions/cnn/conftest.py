"""What tests of networks share: VGG16 read once, and the photos of a small training."""

from collections.abc import Iterator
from functools import cache

import pytest
import torch

from metrics.weights.store import Weights, WeightStore

_load = cache(WeightStore.load)


@pytest.fixture(autouse=True)
def weights_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(store: WeightStore, name: str) -> Weights:
        return _load(store, name)

    monkeypatch.setattr(WeightStore, "load", load)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
