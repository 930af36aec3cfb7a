"""Questions of 2AFC with a known answer: one patch is plainly closer to the reference."""

import numpy as np

from collection_app.tasks.known_answers import GRADED, Check, Known, Means, Pixels, closer, graded, noisy


def _obvious(patch: Pixels, means: Means, rng: np.random.Generator) -> Known:
    better, worse = noisy(patch, means.little_noise, rng), noisy(patch, means.much_noise, rng)
    return closer(patch, better, worse, rng)


def _graded(patch: Pixels, means: Means, rng: np.random.Generator) -> Known:
    better, worse = graded(patch, means.distortions, rng)
    return closer(patch, better, worse, rng)


CHECKS = (
    Check("obvious", _obvious, "much against little Gaussian noise", "obvious", "2AFC: much against little noise"),
    Check(
        GRADED,
        _graded,
        "much against little of one of the study's own distortions, at strengths that differ",
        "graded",
        "as the sentinels of this check",
    ),
)
