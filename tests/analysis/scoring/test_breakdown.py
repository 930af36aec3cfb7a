"""Groups of items, on items made by hand."""

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from analysis.scoring.breakdown import groups
from bapps_builder.errors import DatasetError

ITEMS = pd.DataFrame(
    {
        "k": [0, 2, 3, 5],
        "n": [5, 4, 5, 5],
        "photo": ["a.jpg", "a.jpg", "b.jpg", None],
        "p0_recipe": ["jpeg(quality=3.0)", "blur(sigma=1.0)+jpeg(quality=9.0)", "identity", "jpeg(quality=4.0)"],
        "p1_recipe": ["blur(sigma=2.0)", "jpeg(quality=1.0)", "jpeg(quality=2.0)", "jpeg(quality=8.0)"],
        "p0_family": ["compression", "blur+compression", "", "compression"],
        "p1_family": ["blur", "compression", "compression", "compression"],
        "p0_severity": [[0.1], [0.2, 0.4], [], [1.0]],
        "p1_severity": [[0.2], [0.9], [0.5], [1.0]],
    }
)


def rows(by: str) -> dict[str, list[int]]:
    found = groups(ITEMS, by)  # pyrefly: ignore[bad-argument-type]
    return {name: [k for k, inside in enumerate(mask) if inside] for name, mask in found.items()}


def test_groups_by_hand() -> None:
    assert rows("recipe") == {"blur": [0], "blur+jpeg": [1], "jpeg": [0, 1, 2, 3]}
    assert rows("family") == {"blur": [0, 1], "compression": [0, 1, 2, 3]}
    assert rows("photo") == {"a.jpg": [0, 1], "b.jpg": [2]}
    assert rows("severity") == {"0.0 to 0.2": [0], "0.4 to 0.6": [2], "0.6 to 0.8": [1], "0.8 to 1.0": [3]}
    assert rows("margin") == {"50-60%": [1], "60-70%": [2], "90-100%": [0, 3]}


def test_rows_that_were_picked_from_more_keep_their_groups() -> None:
    picked = ITEMS[[False, True, False, True]]
    assert groups(picked, "recipe")["blur+jpeg"].tolist() == [True, False]


@pytest.mark.parametrize("by", ["recipe", "family", "severity", "photo"])
def test_what_is_not_known_is_named(by: str) -> None:
    with pytest.raises(DatasetError, match=f"the items' {by} is not known: no column .* --items FILE"):
        groups(ITEMS[["k", "n"]], by)  # pyrefly: ignore[bad-argument-type]


@pytest.mark.parametrize("known", [["p", "k", "n"], ["p"]])
def test_one_share_of_people_is_in_one_band(known: list[str]) -> None:
    """Official files hold float32, where .4 and .6 do not lie equally far from one half; bands are those of k of n."""
    counts = [(k, n) for n in range(1, 31) for k in range(n + 1)]
    k, n = np.array(counts).T
    items = pd.DataFrame({"k": k, "n": n, "p": (k / n).astype(np.float32).astype(np.float64)})[known]
    found = groups(items, "margin")
    for band, mask in found.items():
        low, high = (Fraction(int(end), 100) for end in band.removesuffix("%").split("-"))
        shares = [max(Fraction(*pair), 1 - Fraction(*pair)) for pair in counts]
        assert mask.tolist() == [low <= share < high or share == high == 1 for share in shares], band
