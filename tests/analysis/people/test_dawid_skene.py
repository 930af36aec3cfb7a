"""One-coin Dawid-Skene against numbers that crowd-kit 1.4.2 gave for the same simulated people."""

import numpy as np
import pytest

from analysis.people.dawid_skene import one_coin

# OneCoinDawidSkene(n_iter=1000, tol=1e-14).skills_ and (n_iter=5, tol=-1).skills_ of crowd-kit 1.4.2, run once on
# the answers below; crowd-kit needs packages too heavy to be an oracle here.
CONVERGED = [
    0.90691875, 0.60417538, 0.54091458, 0.76709016, 1.0, 0.57215025,
    0.63533536, 0.46031182, 0.55470995, 0.59206895, 0.63885679, 0.79890151,
]  # fmt: skip
AFTER_FIVE = [
    0.91605606, 0.60821729, 0.54017685, 0.7509637, 0.98182021, 0.5725954,
    0.64275152, 0.47765152, 0.55294938, 0.57670647, 0.64955947, 0.80296488,
]  # fmt: skip


def simulated() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2024)
    people, items = 12, 60
    skill = rng.uniform(0.55, 0.95, people)
    truth = rng.integers(0, 2, items)
    seen = rng.random((items, people)) < 0.5
    right = rng.random((items, people)) < skill
    choice = np.where(right, truth[:, None], 1 - truth[:, None])
    item, person = np.nonzero(seen)
    return item, person, choice[item, person].astype(bool)


def test_equals_crowd_kit() -> None:
    item, person, votes = simulated()
    assert (len(votes), votes.sum()) == (350, 155)  # the very answers crowd-kit was given
    np.testing.assert_allclose(
        one_coin(item, person, votes, symmetric=False, rounds=5, tolerance=0).skill, AFTER_FIVE, atol=1e-8
    )
    found = one_coin(item, person, votes, symmetric=False, rounds=1000)
    np.testing.assert_allclose(found.skill, CONVERGED, atol=1e-6)
    assert found.prior == pytest.approx(0.413011, abs=1e-5)


def test_recovers_planted_skills() -> None:
    rng = np.random.default_rng(1)
    skill = np.array([0.95, 0.9, 0.85, 0.8, 0.7, 0.5])
    truth = rng.random(3000) < 0.5
    item, person = (codes.ravel() for codes in np.indices((3000, 6)))
    votes = np.where(rng.random(len(item)) < skill[person], truth[item], ~truth[item])
    found = one_coin(item, person, votes, symmetric=True)
    np.testing.assert_allclose(found.skill, skill, atol=0.03)
    assert np.mean((found.label > 0.5) == truth) > 0.95


def test_exchanging_p0_and_p1_of_any_item_changes_no_skill() -> None:
    item, person, votes = simulated()
    swap = np.random.default_rng(0).random(60) < 0.5
    one = one_coin(item, person, votes, symmetric=True)
    other = one_coin(item, person, votes ^ swap[item], symmetric=True)
    np.testing.assert_allclose(other.skill, one.skill, atol=1e-9)
    np.testing.assert_allclose(np.where(swap, 1 - other.label, other.label), one.label, atol=1e-9)


def test_permuting_people_permutes_skills() -> None:
    item, person, votes = simulated()
    order = np.random.default_rng(0).permutation(12)
    one = one_coin(item, person, votes, symmetric=True)
    other = one_coin(item, order[person], votes, symmetric=True)
    np.testing.assert_allclose(other.skill[order], one.skill, atol=1e-12)


def test_unanimous_people_are_fully_reliable() -> None:
    found = one_coin(
        np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.array([True, True, False, False]), symmetric=True
    )
    np.testing.assert_allclose(found.skill, 1)
    np.testing.assert_allclose(found.label, [1, 0], atol=1e-9)
