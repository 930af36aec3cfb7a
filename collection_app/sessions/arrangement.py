"""Where in a session its sentinels stand: anywhere, but never far apart, so that nobody leaves before the first one.

Seen as a circle, the session is cut into gaps between sentinels. All ways of filling them with test items, none of
them more than `gap`, are equally likely, and so is every place to begin: then each position is as likely as any other
to hold a sentinel.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

# Test items in a row, at most.
LONGEST_GAP = 14
# Trials of a session, those of training among them, of which one is a sentinel at the latest.
_FIRST_WITHIN = 20
# Shorter gaps would tell where sentinels are: with more training the first comes this long after it at the latest.
_SHORTEST_GAP = 9


def longest_gap(training: int) -> int:
    """How many test items may come in a row after so many trials of training, that a sentinel comes early enough.

    The same all through the session: each position is to hold a sentinel as often as any other.
    """
    return max(_SHORTEST_GAP, min(LONGEST_GAP, _FIRST_WITHIN - 1 - training))


def sentinel_positions(tests: int, sentinels: int, rng: np.random.Generator, *, gap: int = LONGEST_GAP) -> list[int]:
    """Draw the positions of sentinels among test items, in rising order.

    Where there are too few sentinels for the gap, it is the shortest that there can be.

    Parameters
    ----------
    tests, sentinels : int
        How many there are of each in a session.
    rng : numpy.random.Generator
    gap : int
        Longest run of test items.
    """
    if not sentinels:
        return []
    gap = max(gap, -(-tests // sentinels))
    shares = _shares(tests, sentinels, gap)
    sizes, left = [], tests
    for others in range(sentinels - 1, -1, -1):
        chance = shares[others][left - gap : left + 1] if left >= gap else shares[others][: left + 1]
        sizes.append(int(rng.choice(len(chance), p=chance[::-1] / chance.sum())))
        left -= sizes[-1]
    ends = np.cumsum(np.asarray(sizes) + 1) - 1
    turned = (ends + rng.integers(tests + sentinels)) % (tests + sentinels)
    return sorted(turned.tolist())


@lru_cache(maxsize=64)
def _shares(tests: int, sentinels: int, gap: int) -> list[NDArray[np.float64]]:
    """Of n gaps, in how many ways they hold so many test items in all, up to a factor of each n: shape (tests + 1,)."""
    ways_by_count = [np.eye(1, tests + 1)[0]]
    for _ in range(sentinels - 1):
        ways = np.convolve(ways_by_count[-1], np.ones(gap + 1))[: tests + 1]
        ways_by_count.append(ways / ways.max())
    return ways_by_count
