"""Questions of JND with a known answer: the two patches are one, or plainly different."""

import numpy as np

from collection_app.tasks.known_answers import GRADED, Check, Known, Means, Pixels, graded, noisy
from distortions.recipes import draw
from distortions.traditional import TWENTY


def _identical(patch: Pixels, means: Means, rng: np.random.Generator) -> Known:
    return Known("same", None, patch, patch)


def _noise(patch: Pixels, means: Means, rng: np.random.Generator) -> Known:
    return Known("different", None, patch, noisy(patch, means.much_noise, rng))


def _distorted(patch: Pixels, means: Means, rng: np.random.Generator) -> Known:
    recipe = draw((TWENTY[rng.integers(len(TWENTY))],), (1.0,), rng)
    return Known("different", None, patch, recipe.apply(patch, rng))


def _graded(patch: Pixels, means: Means, rng: np.random.Generator) -> Known:
    _, worse = graded(patch, means.distortions, rng)
    return Known("different", None, patch, worse)


CHECKS = (
    Check("identical", _identical, "the same patch twice", "same", "JND: identical pairs"),
    Check(
        "noise", _noise, "a patch, and the same with large Gaussian noise", "different", "JND: pairs with large noise"
    ),
    Check(
        "distorted",
        _distorted,
        training="distorted",
        trained="JND: pairs with one of the 20 distortions, plainly different",
    ),
    Check(
        GRADED,
        _graded,
        "much against none of one of the study's own distortions, at strengths that differ",
        "graded",
        "as the sentinels of this check",
    ),
)
