"""Simulated people: their latent distance, and the laws by which they answer."""

import math
from pathlib import Path

import numpy as np
import pytest

from bapps_builder.answers.vote_arithmetic import agreement_unbiased
from bapps_builder.images.image_files import read_image
from collection_app.rehearsal.latent_distance import latent_distance
from collection_app.tasks.jnd.people import JND_UNIT, p_same
from collection_app.tasks.observers import CRITERION, KINDS, SIGMA, Observer, observer
from collection_app.tasks.twoafc.people import p_left
from distortions.recipes import draw, parse, traditional

PLAIN = Observer(0, 0, "careful", SIGMA, 0.0, 0.0, CRITERION, 3.0)


def test_the_latent_distance_grows_with_noise_and_is_zero_for_equals() -> None:
    rng = np.random.default_rng(0)
    patch = np.full((64, 64, 3), 128, np.uint8)
    found = [latent_distance(patch, parse(f"gaussian-white-noise(sigma={s})").apply(patch, rng)) for s in (2, 8, 32)]
    assert 0 < found[0] < found[1] < found[2]
    assert latent_distance(patch, patch) == 0


def test_contrast_hides_differences() -> None:
    rng = np.random.default_rng(0)
    flat = np.full((64, 64, 3), 128, np.uint8)
    busy = rng.integers(64, 192, (64, 64, 1), np.uint8).repeat(3, axis=2)
    noise = rng.normal(0, 6, (64, 64, 3))
    worse = [np.clip(patch + noise, 0, 255).astype(np.uint8) for patch in (flat, busy)]
    assert latent_distance(busy, worse[1]) < 0.7 * latent_distance(flat, worse[0])


def test_a_difference_of_lightness_is_that_of_lab() -> None:
    """A grey patch a little lighter: only L differs, alike at all scales."""
    a, b = np.full((64, 64, 3), 119, np.uint8), np.full((64, 64, 3), 129, np.uint8)
    lightness = [116 * (((v / 255 + 0.055) / 1.055) ** 2.4) ** (1 / 3) - 16 for v in (119, 129)]
    assert latent_distance(a, b) == pytest.approx((lightness[1] - lightness[0]) / 4, rel=2e-3)


def test_the_laws_at_known_points() -> None:
    assert p_left(PLAIN, 1.0, 1.0) == 0.5
    # Mean distance 1 and a difference of sigma: one standard deviation.
    assert p_left(PLAIN, 1 - SIGMA / 2, 1 + SIGMA / 2) == pytest.approx(0.8413447)
    assert p_left(PLAIN, 0.0, 0.0) == 0.5
    lapsing = Observer(0, 0, "lapsing", SIGMA, 0.4, 0.0, CRITERION, 3.0)
    assert p_left(lapsing, 0.0, 5.0) == pytest.approx(0.2 + 0.6 * p_left(PLAIN, 0.0, 5.0))
    # 2 Phi(k / sqrt 2) - 1 for identical pairs, the paper's 88%.
    assert p_same(PLAIN, 0.0, 0.0) == pytest.approx(math.erf(CRITERION / 2), abs=1e-12)
    assert 0.86 < p_same(PLAIN, 0.0, 0.0) < 0.90
    # delta = k: half of the looks pass the criterion from below, next to none from the other side.
    assert p_same(PLAIN, 0.0, CRITERION * JND_UNIT) == pytest.approx(0.5, abs=2e-3)


def test_answers_depend_on_seed_person_item_and_attempt_alone() -> None:
    person = observer(1, 2, "careful")
    assert person == observer(1, 2, "careful")
    draws = {person.draw(item, attempt).random() for item in (("a", "b"), ("b", "a"), ("a", "c")) for attempt in (1, 2)}
    assert len(draws) == 6
    assert person.draw(("a", "b"), 1).random() == observer(1, 2, "careful").draw(("a", "b"), 1).random()
    assert len({observer(1, number, kind) for number in range(3) for kind in KINDS}) == 12


def test_weights_are_a_persons_own_and_about_one() -> None:
    recipe = "gaussian-blur(sigma=1.5)+jpeg(quality=20)"
    weights = np.array([observer(0, number, "careful").weight(recipe) for number in range(300)])
    assert np.log(weights).std() == pytest.approx(0.2 / math.sqrt(2), rel=0.15)
    assert abs(np.log(weights).mean()) < 0.03
    assert observer(0, 1, "careful").weight("") == 1.0
    assert observer(0, 1, "careful").weight("jpeg(quality=20)") == observer(0, 1, "careful").weight("jpeg(quality=90)")


def test_careful_people_agree_on_75_to_85_percent_of_real_patches(shared_data: Path) -> None:
    rng = np.random.default_rng(0)
    photos = [read_image(path) for path in sorted((shared_data / "kodak").glob("*.png"))[:6]]
    people = [observer(7, number, "careful") for number in range(5)]
    k = []
    for _ in range(300):
        photo = photos[rng.integers(len(photos))]
        top, left = (int(rng.integers(side - 64)) for side in photo.shape[:2])
        patch = np.ascontiguousarray(photo[top : top + 64, left : left + 64])
        sides = []
        for _ in range(2):
            names = traditional()[rng.integers(328)]
            recipe = draw(names, tuple(rng.random(len(names))), rng)
            sides.append((latent_distance(patch, recipe.apply(patch, rng)), str(recipe)))
        votes = [
            rng.random() < p_left(person, *(distance * person.weight(recipe) for distance, recipe in sides))
            for person in people
        ]
        k.append(sum(votes))
    assert 0.75 < np.mean(agreement_unbiased(k, np.full(300, 5))) < 0.85
