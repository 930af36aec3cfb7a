"""`bapps-distance` on all pairs of a folder, block by block."""

import importlib
import itertools
from pathlib import Path

import pytest
from refusals import assert_one_line
from small_images import noise, run, write

from bapps_builder.images.image_files import read_image
from metrics.commands import image_pairs
from metrics.commands.distance import distance
from metrics.commands.image_pairs import AllPairs
from metrics.metric import joint_distances
from metrics.registry import load_all

pytestmark = pytest.mark.usefixtures("empty_place")

# Metrics whose embeddings are of every kind: arrays in tuples, dictionaries and lists, torch, and what has no rows.
USER_METRICS = """
from typing import NamedTuple
import numpy as np
import torch
from metrics.metric import Metric

embedded = []

def counted(images):
    embedded.append(len(images))
    return images.astype(np.float64) / 255

class Pair(NamedTuple):
    left: object
    right: object

def nested(images):
    x = counted(images)
    return {"pair": Pair(x[:, :, :8], [torch.from_numpy(x[:, :, 8:].copy())])}

def difference(a, b):
    left = ((a["pair"].left - b["pair"].left) ** 2).mean((1, 2, 3))
    right = ((a["pair"].right[0] - b["pair"].right[0]) ** 2).mean((1, 2, 3)).numpy()
    return left + 2 * right

def on_its_side(images):  # rows stand in the second axis
    return counted(images).mean((1, 2)).T

def first_bad(a, b):
    values = ((a - b) ** 2).mean((1, 2, 3))
    return np.where(a[:, 0, 0, 0] * 255 == 77, np.nan, values) + np.where(b[:, 0, 0, 0] * 255 == 77, np.nan, 0)

array = Metric("x", "arrays", lambda a, b: ((a - b) ** 2).mean((1, 2, 3)), counted)
tree = Metric("x", "a tree of arrays", difference, nested)
sideways = Metric("x", "no rows", lambda a, b: abs(a - b).sum(0), on_its_side)
apart = Metric("x", "a list", lambda a, b: [abs(x - y).sum() for x, y in zip(a, b)], lambda i: list(counted(i)))
bad = Metric("x", "NaN for an image that begins with 77", first_bad, counted)
"""


@pytest.fixture
def seven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Seven images in the folder seven, and a module user_many of metrics that count what they embed."""
    (tmp_path / "user_many.py").write_text(USER_METRICS)
    monkeypatch.syspath_prepend(tmp_path)
    return [write(tmp_path / "seven" / f"{k}.png", noise(k)) for k in range(7)]


@pytest.mark.parametrize(
    ("name", "images_at_a_time", "embeddings"),
    [  # one more than the blocks have, to see whether embeddings have rows, where a block has several images
        ("array", 50, 7 + 1),
        ("array", 7, 7 + 1),
        ("array", 3, (3 + 3 + 1) + (3 + 1) + 1),
        ("array", 1, 7 + 6 + 5 + 4 + 3 + 2),
        ("tree", 50, 7 + 1),
        ("tree", 4, 4 + 3 + 3 + 1),
        ("sideways", 50, 7 + 1 + 7),
        ("sideways", 4, 4 + 1 + 4 + 3 + 3),
        ("apart", 50, 7 + 1 + 7),
    ],
)
def test_all_pairs_are_those_of_each_pair_and_embed_once_a_block(
    seven: list[Path], monkeypatch: pytest.MonkeyPatch, name: str, images_at_a_time: int, embeddings: int
) -> None:
    monkeypatch.setattr(image_pairs, "PIXELS_AT_A_TIME", images_at_a_time * 16 * 16)
    user = importlib.import_module("user_many")
    metrics = load_all([f"user_many:{name}", "l2"])
    found = {
        pair: values
        for pairs, columns in AllPairs(seven).distances(metrics)
        for pair, values in zip(pairs, columns.T, strict=True)
    }
    assert sum(user.embedded) == embeddings
    assert sorted(found) == list(itertools.combinations(seven, 2))
    for (a, b), values in found.items():
        wanted = joint_distances(metrics, read_image(a)[None], read_image(b)[None])[:, 0, 0]
        assert values == pytest.approx(wanted, abs=1e-12)
    blocks = [k // images_at_a_time for k in range(7)]
    order = sorted(itertools.combinations(range(7), 2), key=lambda pair: (blocks[pair[0]], blocks[pair[1]], pair))
    assert list(found) == [(seven[a], seven[b]) for a, b in order]


def test_all_pairs_through_a_net_are_those_of_each_pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [write(tmp_path / f"{k}.png", noise(k, 32, 40)) for k in range(5)]
    monkeypatch.setattr(image_pairs, "PIXELS_AT_A_TIME", 3 * 32 * 40)
    metrics = load_all(["alex@random", "ssim"])
    for pairs, values in AllPairs(files).distances(metrics):
        for (a, b), column in zip(pairs, values.T, strict=True):
            wanted = joint_distances(metrics, read_image(a)[None], read_image(b)[None])[:, 0, 0]
            assert column == pytest.approx(wanted, abs=1e-6)


def test_metrics_that_share_an_embedding_share_it_in_all_pairs(seven: list[Path]) -> None:
    user = importlib.import_module("user_many")
    rows = list(AllPairs(seven).distances(load_all(["user_many:array", "user_many:bad"])))
    assert sum(len(pairs) for pairs, _ in rows) == 21
    assert sum(user.embedded) == 7 + 1


def test_nan_in_all_pairs_names_the_two_images(seven: list[Path]) -> None:
    image = noise(4)
    image[0, 0, 0] = 77
    write(seven[4], image)
    assert_one_line(
        run(distance, "seven", "--metric", "user_many:bad"),
        "seven/0.png and seven/4.png: metric user_many:bad returned NaN for 1 of 6 pairs",
    )


def test_a_metric_that_fails_in_all_pairs_is_one_line(seven: list[Path], tmp_path: Path) -> None:
    (tmp_path / "user_bad.py").write_text(
        "from metrics.metric import Metric\ndef embed(images):\n    raise KeyError('inside')\n"
        "m = Metric('m', 'm', lambda a, b: 0, embed)\n"
    )
    assert_one_line(run(distance, "seven", "--metric", "user_bad:m"), "metric user_bad:m raised KeyError: 'inside'")
    assert_one_line(
        run(distance, "seven", "--metric", "alex@random"), "seven/0.png and seven/1.png", "31 pixels a side"
    )


def test_sizes_in_all_pairs_are_checked_before_the_first_distance(
    seven: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_pairs, "PIXELS_AT_A_TIME", 2 * 16 * 16)
    write(seven[6], noise(6, 16, 20))
    user = importlib.import_module("user_many")
    assert_one_line(
        run(distance, "seven", "--metric", "user_many:array", "--csv"),
        "seven/0.png is 16x16, seven/6.png is 20x16; all pairs of a folder need images of one size",
    )
    assert user.embedded == []
