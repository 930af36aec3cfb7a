"""The 2AFC score: hand-made items, and real judgments with published scores."""

from pathlib import Path

import numpy as np
import pytest

from analysis.scoring import twoafc
from analysis.scoring.distances import read_distances

REAL = {"traditional": (0.7748, 0.80844), "superres": (0.7119, 0.73601), "color": (0.6523, 0.68827)}


def test_payoff_by_hand() -> None:
    """Picks p1 (h = .8 pays .8), picks p0 (h = .8 pays .2), a tie pays .5 whatever people said."""
    assert twoafc.score([0.9, 0.1, 0.3], [0.2, 0.4, 0.3], [0.8, 0.8, 1.0]) == pytest.approx((0.8 + 0.2 + 0.5) / 3)


def test_nearly_equal_distances_are_no_tie() -> None:
    assert twoafc.score([0.3], [np.nextafter(0.3, 0)], [0.9]) == pytest.approx(0.9)


def test_infinite_distances_tie_and_order() -> None:
    assert twoafc.score([-np.inf, -np.inf], [-np.inf, 1.0], [1.0, 1.0]) == pytest.approx((0.5 + 0.0) / 2)


def test_swapping_the_sides_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    d0, d1, p = rng.uniform(size=(3, 50))
    assert twoafc.score(d0, d1, p) == pytest.approx(twoafc.score(d1, d0, 1 - p))
    assert twoafc.human(p) == pytest.approx(twoafc.human(1 - p))


def test_people_by_hand() -> None:
    assert list(twoafc.human([1.0, 0.4]).values()) == pytest.approx([(1 + 0.52) / 2, (1 + 0.6) / 2])


@pytest.mark.parametrize("name", REAL)
def test_real_judgments(name: str, shared_data: Path) -> None:
    (result,) = read_distances(shared_data / "bapps-judgments" / f"{name}.csv.gz")
    score, human = REAL[name]
    assert twoafc.score(result.distances[0, 0], result.distances[0, 1], result.labels) == pytest.approx(score, abs=5e-5)
    assert twoafc.human(result.labels)["human p²+(1-p)²"] == pytest.approx(human, abs=5e-6)
    # five votes an item
    np.testing.assert_allclose(result.labels * 5, np.rint(result.labels * 5), atol=1e-6)


def test_groups_are_the_papers_when_complete() -> None:
    six = [f"val/{name}" for name in ("traditional", "cnn", "superres", "deblur", "color", "frameinterp")]
    groups = twoafc.groups_of_sets(six)
    assert groups == {"mean of distortions": six[:2], "mean of real algorithms": six[2:], "mean of all": six}
    assert twoafc.groups_of_sets(six[:2]) == {"mean of distortions": six[:2], "mean of all": six[:2]}
    assert twoafc.groups_of_sets(six[1:3]) == {"mean of all": six[1:3]}
    assert twoafc.groups_of_sets(six[:1]) == {}
    plain = ["traditional", "cnn"]
    assert twoafc.groups_of_sets(plain)["mean of distortions"] == plain
