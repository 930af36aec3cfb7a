"""What answers say about single people, against loops over answers."""

import numpy as np
import pandas as pd
import pytest

from analysis.people import reliability


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = [
        (f"i{item}", f"w{person}", "p1" if rng.random() < 0.6 else "p0")
        for item in range(40)
        for person in rng.permutation(9)[: rng.integers(1, 6)]
    ]
    return pd.DataFrame(rows, columns=["item", "participant", "choice"])


def test_agreement_with_others_against_a_loop(table: pd.DataFrame) -> None:
    coded = reliability.coded(table)
    found = reliability.agreement_with_others(coded)
    for k, row in table.iterrows():
        others = table[(table["item"] == row["item"]) & (table["participant"] != row["participant"])]
        expected = (others["choice"] == row["choice"]).mean()
        assert found[int(str(k))] == pytest.approx(expected, abs=1e-12, nan_ok=True)
    means = pd.Series(found).groupby(table["participant"]).mean()
    np.testing.assert_allclose(reliability.mean_by_person(found, coded), means[list(coded.names)], atol=1e-12)


def test_items_of_two_sets_are_not_one(table: pd.DataFrame) -> None:
    doubled = pd.concat([table.assign(set="a"), table.assign(set="b", choice="p0")], ignore_index=True)
    first = reliability.agreement_with_others(reliability.coded(table))
    np.testing.assert_array_equal(reliability.agreement_with_others(reliability.coded(doubled))[: len(table)], first)


def test_person_sd_finds_planted_differences_and_none_where_there_are_none() -> None:
    rng = np.random.default_rng(1)
    for planted in (0.0, 0.1):
        person = np.repeat(np.arange(60), 80)
        agree = (rng.random(4800) < 0.7 + planted * rng.normal(size=60)[person]).astype(float)
        coded = reliability.Coded(np.arange(4800), person, np.arange(60).astype(object), agree > 0, agree, agree)
        assert reliability.person_sd(agree, coded) == pytest.approx(planted, abs=0.025)


def test_pass_rate_is_the_beta_posterior() -> None:
    low, high = reliability.pass_rate([15, 0], [15, 0])
    assert low[0] == pytest.approx(0.025 ** (1 / 16))  # Beta(16, 1) has the distribution function x^16
    assert (low[1], high[1]) == pytest.approx((0.025, 0.975))  # nobody asked: uniform


def test_one_person_has_no_spread() -> None:
    coded = reliability.Coded(
        np.arange(5), np.array([0, 0, 0, 0, 1]), np.array(["a", "b"], object), np.ones(5, bool), np.ones(5), np.ones(5)
    )
    assert np.isnan(reliability.person_sd(np.array([1.0, 0, 1, 1, 0]), coded))  # the second gave one answer


def test_person_sd_is_the_spread_of_means_less_their_noise() -> None:
    """By loops over people; who gave one answer tells nothing of the noise, and is left out."""
    values = [[1.0, 1, 0, 1], [0.0, 0, 1], [1.0, 1], [0.0, 0, 0, 0, 1], [1.0]]
    people = np.repeat(np.arange(5), [len(mine) for mine in values])
    flat = np.concatenate(values)
    coded = reliability.Coded(np.arange(15), people, np.arange(5).astype(object), flat > 0, flat, flat)
    np.testing.assert_allclose(reliability.mean_by_person(flat, coded), [np.mean(mine) for mine in values])
    means, noises = [], []
    for mine in values[:4]:
        mean = sum(mine) / len(mine)
        means.append(mean)
        noises.append(sum((value - mean) ** 2 for value in mine) / (len(mine) - 1) / len(mine))
    middle = sum(means) / 4
    spread = sum((mean - middle) ** 2 for mean in means) / 3 - sum(noises) / 4
    assert reliability.person_sd(flat, coded) == pytest.approx(spread**0.5)


@pytest.mark.parametrize("symmetric", [True, False])
def test_items_that_one_person_alone_has_answered_say_nothing_about_reliability(
    table: pd.DataFrame, symmetric: bool
) -> None:
    alone = pd.DataFrame({"item": [f"x{k}" for k in range(3000)], "participant": "w0", "choice": "p1"})
    stranger = pd.DataFrame({"item": ["y"], "participant": ["stranger"], "choice": ["p1"]})
    shared = table[table.groupby("item")["participant"].transform("size") > 1]
    skills = []
    for some in (shared, pd.concat([table, alone, stranger], ignore_index=True)):
        coded = reliability.coded(some)
        skills.append(dict(zip(coded.names, reliability.reliability(coded, symmetric=symmetric), strict=True)))
    assert np.isnan(skills[1].pop("stranger"))
    assert skills[1] == pytest.approx(skills[0], abs=1e-6)
    only = reliability.coded(stranger)
    assert np.isnan(reliability.reliability(only, symmetric=symmetric)).all()
