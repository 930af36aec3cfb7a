"""Shares: Wilson's interval against scipy, and no interval beyond 0 and 1."""

import numpy as np
import pytest
from scipy import stats

from analysis.statistics.intervals import Estimate, Resampling, Sample, means_over_items
from analysis.statistics.shares import of_share, wilson, within


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 10), (10, 10), (250, 1000)])
def test_wilson_equals_scipy(k: int, n: int) -> None:
    low, high = wilson(k, n)
    expected = stats.binomtest(k, n).proportion_ci(method="wilson")
    assert (float(low), float(high)) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert tuple(map(float, wilson(0, 0))) == (0, 1)


def test_an_interval_of_a_share_ends_at_0_and_1() -> None:
    assert within(Estimate(0.97, 0.89, 1.04, 0.5, "t")) == Estimate(0.97, 0.89, 1, 0.5, "t")
    assert within(Estimate(0.02, -0.1, 0.1, 0.5, "t"), -1, 1) == Estimate(0.02, -0.1, 0.1, 0.5, "t")
    assert np.isnan(within(Estimate(0.5, np.nan, np.nan, np.nan, "")).low)


@pytest.mark.parametrize("value", [0.2, 0.6, 0.8, 1.0])
@pytest.mark.parametrize("count", [12, 50])
def test_items_that_are_all_alike_give_no_interval_of_no_width(value: float, count: int) -> None:
    """Not even where rounding parts the ends, as it does for twelve items of .8."""
    items = Sample(np.zeros(count, int), np.arange(count), "items")
    found = of_share(means_over_items(np.full(count, value), items, Resampling(100))[0])
    assert np.isnan([found.low, found.high]).all()
    assert found.method.startswith("no interval where all items are alike: ")
