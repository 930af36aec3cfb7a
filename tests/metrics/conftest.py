"""What the tests of metrics share: pairs of images, and a small world of weight files."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from loopback import served
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from weight_files import Handler, World

from metrics.weights import fetching as weight_fetching
from metrics.weights import records as weight_records
from metrics.weights import store as weights
from metrics.weights.store import WeightFile

Images = NDArray[np.uint8]
MakePair = Callable[[int, int, int], tuple[Images, Images]]


@pytest.fixture(scope="session")
def made_pair() -> MakePair:
    """Cloudy images in colour with edges (n, height, width), and the same with noise and less contrast."""

    def make(n: int, height: int, width: int) -> tuple[Images, Images]:
        rng = np.random.default_rng(n * height + width)
        clouds = gaussian_filter(rng.normal(size=(n, height, width, 3)), (0, 2, 2, 0)) * 400 + 128
        clouds += 40 * (gaussian_filter(clouds[..., :1], (0, 4, 4, 0)) > 128)
        worse = 0.8 * clouds + 20 + rng.normal(scale=12, size=clouds.shape)
        return clouds.clip(0, 255).astype(np.uint8), worse.clip(0, 255).astype(np.uint8)

    return make


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """No other record is looked at, no package index can be reached, and no variable of the user counts."""
    records: dict[str, WeightFile] = {}
    for module in (weights, weight_records):
        monkeypatch.setattr(module, "RECORDS", records)
    for name in list(os.environ):
        if name.startswith(("PIP_", "BAPPS_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/")
    return World(tmp_path, monkeypatch)


@pytest.fixture
def no_fetching(world: World) -> World:
    """A world in which a fetch of any kind fails the test."""

    def fail(*args: object, **keywords: object) -> None:
        raise AssertionError("something was fetched")

    world.monkeypatch.setattr(weight_fetching.subprocess, "run", fail)
    world.monkeypatch.setattr(weight_fetching, "fetch", fail)
    return world


@pytest.fixture
def web(world: World) -> Iterator[type[Handler]]:
    class Bound(Handler):
        pass

    with served(Bound) as address:
        world.serve_address(address)
        yield Bound
