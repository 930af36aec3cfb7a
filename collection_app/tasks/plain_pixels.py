"""What a program takes for plain, that looks at pixels and knows nothing of people."""

import numpy as np

from collection_app.tasks.known_answers import Pixels

# Levels from the other patch, and how many times as far the worse one is.
PLAIN_LEVELS, PLAIN_TIMES = 6.0, 2.0


def apart(one: Pixels, other: Pixels) -> float:
    """Mean absolute difference in levels."""
    return float(np.abs(one.astype(np.float64) - other).mean())
