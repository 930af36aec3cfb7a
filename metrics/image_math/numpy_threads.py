"""Numpy metrics on all cores: a batch in chunks small enough for the cache, a few at a time in threads."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, wraps
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bapps_builder.files.cores import cores

Floats = NDArray[np.float64]

# Sixteen patches of 64x64. With fewer, threads pass the interpreter round more than they compute; with more,
# intermediates outgrow the cache.
_SAMPLES_PER_CHUNK = 200_000


def in_chunks(function: Callable[..., Floats]) -> Callable[..., Floats]:
    """Let a function of batches (N, ...) to one number a row work on chunks of rows, in threads.

    Rows are independent, so the result does not depend on how the batch is cut.
    """

    @wraps(function)
    def chunked(*batches: Any) -> Floats:
        count, workers = len(batches[0]), cores()
        most = max(1, _SAMPLES_PER_CHUNK // max(1, batches[0][:1].size))
        if count <= most:
            return function(*batches)
        # Chunks of one size, as many for each thread, so that none waits for another.
        rows = -(-count // (-(-count // (most * workers)) * workers))
        starts = range(0, count, rows)
        parts = _pool().map(lambda start: function(*(batch[start : start + rows] for batch in batches)), starts)
        return np.concatenate(list(parts))

    return chunked


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(cores(), thread_name_prefix="metric")
