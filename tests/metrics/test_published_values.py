"""Distances against numbers that others published or computed: ../shared/data."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bapps_builder.datasets.reader import ItemSet
from bapps_builder.images.image_files import read_image
from bapps_builder.layout import find_sets
from metrics.metric import Setup, joint_distances
from metrics.registry import load, load_all

# Official release: (ex_ref, ex_p0), (ex_ref, ex_p1).
EXAMPLES = {
    "lpips-alex": (0.7219, 0.1376),
    "lpips-alex@0.0": (0.4056, 0.0839),
    "alex": (4.8266, 2.2060),
    "lpips-vgg": (0.5686, 0.4217),
    "lpips-vgg@0.0": (0.2240, 0.1331),
    "vgg": (5.9100, 4.9954),
    "lpips-squeeze": (0.7112, 0.1479),
    "lpips-squeeze@0.0": (0.3968, 0.0863),
    "squeeze": (6.0422, 2.8781),
}
# Column prefix in expected.csv, and how near ours must come.
MINI = {
    "lpips-alex": ("alex", 2e-5),
    "lpips-vgg": ("vgg", 2e-5),
    "lpips-squeeze": ("squeeze", 2e-4),
    "alex": ("alex_nl", 2e-5),
    "vgg": ("vgg_nl", 2e-5),
    "squeeze": ("squeeze_nl", 2e-4),
    "l2": ("l2", 2e-5),
}


@pytest.fixture(scope="module")
def examples(shared_data: Path) -> list[np.ndarray]:
    return [read_image(shared_data / "lpips-examples" / f"ex_{name}.png")[None] for name in ("ref", "p0", "p1")]


@pytest.mark.parametrize("name", EXAMPLES)
def test_official_examples(name: str, examples: list[np.ndarray], squeezenet: Setup) -> None:
    found = joint_distances([load(name, squeezenet)], *examples)[0, :, 0]
    assert found == pytest.approx(EXAMPLES[name], abs=5.1e-5)


def test_more_digits_of_alex(examples: list[np.ndarray], squeezenet: Setup) -> None:
    ref, p0, p1 = examples
    metric = load("lpips-alex", squeezenet)
    assert metric(ref, p0)[0] == pytest.approx(0.721881, abs=1e-6)
    assert metric(p0, p1)[0] == pytest.approx(0.719658, abs=1e-6)


@pytest.fixture(scope="module")
def mini(shared_data: Path, squeezenet: Setup) -> pd.DataFrame:
    """Our distances beside the expected ones, for the 48 real triplets."""
    metrics = load_all(list(MINI), squeezenet)
    rows = []
    for folder in find_sets(shared_data / "bapps-mini", ["2afc"]):
        for batch in ItemSet(folder).batches():
            distances = joint_distances(metrics, *batch.images)
            for k, item in enumerate(batch.ids):
                values = {f"ours {m.name} d{d}": distances[r, d, k] for r, m in enumerate(metrics) for d in (0, 1)}
                rows.append({"set": folder.name, "id": item, **values})
    expected = pd.read_csv(shared_data / "bapps-mini" / "expected.csv", dtype={"id": str})
    merged = expected.merge(pd.DataFrame(rows), on=["set", "id"], validate="one_to_one")
    assert len(merged) == len(expected) == 48
    return merged


@pytest.mark.parametrize("name", MINI)
@pytest.mark.parametrize("side", [0, 1])
def test_real_triplets(name: str, side: int, mini: pd.DataFrame) -> None:
    column, tolerance = MINI[name]
    np.testing.assert_allclose(mini[f"ours {name} d{side}"], mini[f"{column}_d{side}"], atol=tolerance, rtol=0)


def test_published_alex_distances(mini: pd.DataFrame) -> None:
    """Published to 3 decimals, truncated rather than rounded here and there."""
    for side in (0, 1):
        np.testing.assert_allclose(
            mini[f"ours lpips-alex d{side}"], mini[f"official_alex_d{side}"], atol=0.0006, rtol=0
        )


def test_lpips_and_psnr_of_a_large_pair(shared_data: Path, squeezenet: Setup) -> None:
    pair = [read_image(shared_data / "metric-pairs" / name)[None] for name in ("I01.BMP", "i01_01_5.bmp")]
    assert load("lpips-alex", squeezenet)(*pair)[0] == pytest.approx(0.3485, abs=6e-5)
    assert load("lpips-vgg", squeezenet)(*pair)[0] == pytest.approx(0.3488, abs=6e-5)
    assert load("psnr")(*pair)[0] == pytest.approx(-21.01568, abs=2e-5)


def test_ssim_of_the_authors_code(shared_data: Path) -> None:
    """A grey pair, so the mean over R, G, B is the authors' grey value."""
    pair = [read_image(shared_data / "metric-pairs" / name)[None] for name in ("goldhill.gif", "goldhill_jpeg.gif")]
    assert 1 - load("ssim")(*pair)[0] == pytest.approx(0.8202, abs=5e-5)
