"""Tests that exchange metrics: against every exchange in a loop, the sign test, and rates of simulated studies."""

from functools import partial
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.scoring import jnd
from analysis.statistics.intervals import Estimate, Resampling, Sample, bootstrap_means
from analysis.statistics.permutation_tests import compared_means, compared_statistic

DIFFERING = (1, 2, 3, 4, 5, 6, 8, 12, 16, 20, 40)
ITEMS = (40, 330, 4720)


def of_items(count: int) -> Sample:
    return Sample(np.zeros(count, int), np.arange(count), "items")


def compared(differences: np.ndarray, sample: Sample, how: Resampling) -> Estimate:
    """Of a metric that is paid these differences more than another."""
    [found] = compared_means(np.stack([differences, np.zeros(len(differences))]), sample, how)
    return found


def slow_p(differences: np.ndarray, sample: Sample, less: float = 0.0) -> float:
    """The share of all sign flips of photos whose sum is as far from 0 as the one seen, in a loop."""
    weighted = (differences - less) * sample.weights
    sums = [weighted[sample.clusters == code].sum() for code in np.unique(sample.clusters)]
    seen = abs(sum(sums))
    far = [
        abs(sum(sign * one for sign, one in zip(signs, sums, strict=True)))
        for signs in product((1, -1), repeat=len(sums))
    ]
    return float(np.mean([one >= seen - 1e-9 for one in far]))


@pytest.mark.parametrize(("differing", "p"), [(0, 1.0), (1, 1.0), (2, 0.5), (3, 0.25), (4, 0.125), (6, 0.03125)])
@pytest.mark.parametrize("count", [40, 330, 4720])
def test_few_items_that_differ_give_the_p_of_the_sign_test(count: int, differing: int, p: float) -> None:
    # As files have it: fractions in float32, a metric that picks the other patch on a few items.
    share = np.random.default_rng(count).integers(0, 6, count).astype(np.float32) / np.float32(5)
    share[:differing] = 0.8
    one, other = share.astype(np.float64), share.astype(np.float64)
    other[:differing] = 1 - other[:differing]
    [found] = compared_means(np.stack([one, other]), of_items(count), Resampling(1000))
    assert found.p == p
    if differing:
        assert found.p == pytest.approx(stats.binomtest(differing, differing).pvalue)
    assert (found.low > 0) == (p <= 0.05)
    assert found.low <= found.value <= found.high
    verb = "differs" if differing == 1 else "differ"
    assert found.method == f"every sign flip, {differing} of {count} items {verb}"


@pytest.mark.parametrize("seed", range(12))
def test_every_exchange_against_a_loop(seed: int) -> None:
    """Photos of any sizes, sets that share some; fractions whose sums tie but for rounding."""
    rng = np.random.default_rng(seed)
    sets, clusters = rng.integers(0, 2, 30), np.r_[np.arange(9), rng.integers(0, 9, 21)]
    differences = rng.choice([0, 0.2, -0.2, 0.6, -0.6, 1, -1], 30).astype(np.float32).astype(np.float64)
    sample = Sample(np.unique(sets, return_inverse=True)[1], clusters, "photos")
    found = compared(differences, sample, Resampling(1000))
    assert found.value == pytest.approx(differences @ sample.weights)
    assert found.p == slow_p(differences.round(1), sample)
    assert " of 9 photos" in found.method


def test_the_interval_holds_the_values_that_the_same_test_does_not_refuse() -> None:
    rng = np.random.default_rng(0)
    sample = Sample(np.zeros(24, int), np.repeat(np.arange(12), 2), "photos")
    differences = rng.normal(0.3, 1, 24)
    found = compared(differences, sample, Resampling(1000, level=0.9))
    for end, inwards in ((found.low, 1e-4), (found.high, -1e-4)):
        assert slow_p(differences, sample, less=end + inwards) > 0.1
        assert slow_p(differences, sample, less=end - inwards) <= 0.1


@given(
    st.lists(st.sampled_from([0, 0.1, 0.3, 0.5, -0.1, -0.3, 1, -1]), min_size=1, max_size=40),
    st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99]),
    st.sampled_from([100, 199, 999]),
    st.integers(1, 3),
)
def test_the_interval_leaves_out_zero_exactly_if_p_says_so(
    values: list[float], level: float, draws: int, per_photo: int
) -> None:
    sample = Sample(np.zeros(len(values), int), np.arange(len(values)) // per_photo, "photos")
    found = compared(np.array(values), sample, Resampling(draws, level=level))
    assert (found.p <= round(1 - level, 9)) == (not found.low <= 0 <= found.high)
    assert found.low <= found.value + 1e-12
    assert found.high >= found.value - 1e-12


def test_drawn_flips_approach_all_of_them() -> None:
    rng = np.random.default_rng(1)
    differences = np.r_[rng.choice([0.2, 0.6, 1], 18) * rng.choice([-1, 1], 18, p=[0.3, 0.7]), np.zeros(40)]
    found = compared(differences, of_items(58), Resampling(20_000))
    every = stats.permutation_test(
        (differences[:18],), np.sum, permutation_type="samples", n_resamples=2**18, batch=2**14
    ).pvalue
    assert found.method == "20000 sign flips, 18 of 58 items differ"
    assert found.p == pytest.approx(every, abs=4 * np.sqrt(every / 20_000))
    assert found.p > 1e-3


def test_with_many_items_the_interval_is_that_of_the_normal_distribution() -> None:
    rng = np.random.default_rng(2)
    rows = np.stack([rng.choice([0, 0.2, 0.6, 1], 3000), rng.choice([0, 0.2, 0.6], 3000)])
    [found] = compared_means(rows, of_items(3000), Resampling(4000))
    difference = rows[0] - rows[1]
    expected = stats.norm.interval(0.95, difference.mean(), stats.sem(difference))
    assert (found.low, found.high) == pytest.approx(expected, abs=0.0015)


def test_every_two_metrics_are_compared_in_order() -> None:
    rows = np.random.default_rng(3).random((3, 50)).round(1)
    found = compared_means(rows, of_items(50), Resampling(500))
    for one, (first, second) in zip(found, ((0, 1), (0, 2), (1, 2)), strict=True):
        assert one.value == pytest.approx((rows[first] - rows[second]).mean())
        [alone] = compared_means(rows[[first, second]], of_items(50), Resampling(500))
        assert (alone.low, alone.high, alone.p) == pytest.approx((one.low, one.high, one.p))


def test_too_few_photos_for_a_bound_have_none() -> None:
    found = compared(np.full(5, 0.4), of_items(5), Resampling(1000))
    assert (found.low, found.high, found.p) == (-np.inf, np.inf, 2 / 2**5)


def test_results_do_not_depend_on_the_number_of_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, found = np.random.default_rng(0).random((2, 30_000)), []
    for cores in (1, 3):
        monkeypatch.setattr("analysis.statistics.permutation_tests.cores", lambda cores=cores: cores)
        found.append(compared_means(rows, of_items(30_000), Resampling(200)))
    assert found[0] == found[1]


@pytest.mark.parametrize("draws", [100, 101, 104])
def test_there_are_as_many_exchanges_as_asked_for_in_blocks(draws: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five at a time; none of them parts the metrics as far as they are, so p is one of all and the one seen."""
    monkeypatch.setattr("analysis.statistics.permutation_tests._COINS_AT_A_TIME", 5 * 60)
    differences, seen = np.ones(60), []

    def exchanged_mean(exchanged: np.ndarray) -> np.ndarray:
        seen.append(exchanged)
        return (differences * (1 - 2.0 * exchanged)).mean(1)

    assert compared(differences, of_items(60), Resampling(draws)).p == pytest.approx(1 / (draws + 1))
    found = compared_statistic(exchanged_mean, differences != 0, of_items(60), Resampling(draws))
    assert found.p == pytest.approx(1 / (draws + 1))
    rows = np.concatenate(seen)
    assert len(rows) == draws + 1
    assert max(map(len, seen)) == 5
    assert rows.mean() == pytest.approx(0.5, abs=0.02)
    assert len(np.unique(rows, axis=0)) == draws + 1


def test_of_more_items_than_coins_at_a_time_one_exchange_is_tried_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analysis.statistics.permutation_tests._COINS_AT_A_TIME", 10)
    seen = []

    def first_items(exchanged: np.ndarray) -> np.ndarray:
        seen.append(len(exchanged))
        return 1 - 2.0 * exchanged[:, 0]

    compared_statistic(first_items, np.arange(20) < 4, of_items(20), Resampling(100))
    assert seen == [1] * 8


@pytest.mark.parametrize("count", [6, 12, 40])
def test_a_statistic_that_is_a_mean_gets_the_p_of_the_mean(count: int) -> None:
    rng = np.random.default_rng(count)
    differences = np.repeat(rng.choice([0.2, 0.6, 1], count) * rng.choice([-1, 1], count, p=[0.2, 0.8]), 2)
    differences = np.r_[differences, np.zeros(20)]
    sample = Sample(np.zeros(len(differences), int), np.arange(len(differences)) // 2, "photos")

    def exchanged_mean(exchanged: np.ndarray) -> np.ndarray:
        return (differences * (1 - 2.0 * exchanged)).mean(1)

    found = compared_statistic(exchanged_mean, differences != 0, sample, Resampling(20_000))
    mean = compared(differences, sample, Resampling(20_000))
    assert found.value == pytest.approx(mean.value)
    assert found.p == (mean.p if count <= 16 else pytest.approx(mean.p, abs=0.02))
    assert (found.p <= 0.05) == (not found.low <= 0 <= found.high)
    assert found.method.partition(",")[2] == mean.method.partition(",")[2]


@pytest.mark.parametrize(
    ("differing", "method"), [(16, "every {}, 16 of 40 items differ"), (17, "1000 {}s, 17 of 40 items differ")]
)
def test_up_to_sixteen_clusters_that_differ_are_exchanged_in_every_way(differing: int, method: str) -> None:
    differences = np.r_[np.random.default_rng(5).choice([0.2, 0.6, -0.4], differing), np.zeros(40 - differing)]

    def exchanged_mean(exchanged: np.ndarray) -> np.ndarray:
        return (differences * (1 - 2.0 * exchanged)).mean(1)

    flipped = compared(differences, of_items(40), Resampling(1000))
    exchanged = compared_statistic(exchanged_mean, differences != 0, of_items(40), Resampling(1000))
    assert (flipped.method, exchanged.method) == (method.format("sign flip"), method.format("exchange"))
    if differing == 16:
        assert flipped.p == exchanged.p == slow_p(differences[:16], of_items(16))


# --- rates -------------------------------------------------------------------------------------------


def study(differing: int, count: int, lead: float, seed: int) -> np.ndarray:
    """Differences of two metrics on items, so many not 0, each for the first metric by the chance (1 + lead) / 2."""
    rng = np.random.default_rng((seed, differing, count))
    signs = np.where(rng.random(differing) < 0.5 + lead / 2, 1, -1)
    return np.r_[rng.choice([0.2, 0.6, 1], differing) * signs, np.zeros(count - differing)]


def share_told_apart(differing: int, count: int, studies: int, *, lead: float = 0.0) -> float:
    found = [
        compared(study(differing, count, lead, seed), of_items(count), Resampling(499, seed)).p
        for seed in range(studies)
    ]
    return float(np.mean(np.array(found) <= 0.05))


def share_told_apart_by_bootstrap(differing: int, count: int, studies: int, *, lead: float) -> float:
    """By the level at which a percentile bootstrap would touch 0, which is too liberal for few."""
    found = 0
    for seed in range(studies):
        values = study(differing, count, lead, seed)
        drawn = bootstrap_means(values, of_items(count), draws=499, rng=np.random.default_rng(seed))
        found += 2 * (min((drawn <= 1e-7).sum(), (drawn >= -1e-7).sum()) + 1) / 500 <= 0.05
    return found / studies


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("count", ITEMS)
@pytest.mark.parametrize("differing", DIFFERING)
def test_metrics_that_are_alike_are_told_apart_at_most_as_often_as_promised(differing: int, count: int) -> None:
    rate = share_told_apart(differing, count, 2000)
    print(f"{differing} of {count}: {rate:.3f}")
    assert rate <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 2000)


def share_of_rankings_told_apart(count: int, studies: int, *, noise: float) -> float:
    """Of studies in which two metrics rank pairs alike well, each with a noise of its own."""
    found = 0
    for seed in range(studies):
        rng = np.random.default_rng((seed, count))
        lead = rng.normal(size=count)
        same = rng.binomial(3, 1 / (1 + np.exp(-1.5 * lead))) / 3
        first, second = noise * rng.normal(size=(2, count)) - lead

        statistic = partial(jnd.difference_of_exchanged, first, second, same)
        differing = jnd.ranks(first) != jnd.ranks(second)
        found += compared_statistic(statistic, differing, of_items(count), Resampling(199, seed)).p <= 0.05
    return found / studies


@pytest.mark.slow
@pytest.mark.parametrize(("count", "noise"), [(60, 1.0), (300, 1.0), (300, 0.05)])
def test_rankings_that_are_alike_are_told_apart_about_as_often_as_promised(count: int, noise: float) -> None:
    """About, since ranks depend on the other pairs: .05 to .06 in 3,000 studies."""
    rate = share_of_rankings_told_apart(count, 1000, noise=noise)
    print(f"{count} pairs, noise {noise}: {rate:.3f}")
    assert rate <= 0.06 + 3 * np.sqrt(0.06 * 0.94 / 1000)


def test_rankings_that_are_alike_are_told_apart_about_as_often_as_promised_in_a_shorter_run() -> None:
    assert share_of_rankings_told_apart(60, 100, noise=1.0) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 100)


@pytest.mark.slow
@pytest.mark.parametrize(("differing", "count"), [(50, 330), (330, 330), (50, 4720), (500, 4720)])
def test_a_lead_is_found_as_often_as_by_a_bootstrap(differing: int, count: int) -> None:
    lead = 2.2 / np.sqrt(differing)
    ours, bootstrap = (
        find(differing, count, 300, lead=lead) for find in (share_told_apart, share_told_apart_by_bootstrap)
    )
    print(f"{differing} of {count}: {ours:.3f}, bootstrap {bootstrap:.3f}")
    assert 0.2 < bootstrap < 0.9
    assert ours >= 0.9 * bootstrap


@pytest.mark.parametrize("differing", [1, 3, 8, 20])
def test_metrics_that_are_alike_are_told_apart_at_most_as_often_as_promised_in_a_shorter_run(differing: int) -> None:
    assert share_told_apart(differing, 40, 200) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)
