"""Numpy metrics on all cores: a batch in chunks small enough for the cache, a few at a time in threads."""

import math
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, wraps
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Sixteen patches of 64x64. With fewer, threads pass the interpreter round more than they compute; with more,
# intermediates outgrow the cache.
_SAMPLES_PER_CHUNK = 200_000
# Numbers that `scratch` keeps at most under one name, 16 MB: enough for chunks, little for photographs.
_KEPT = 2_000_000

_of_thread = threading.local()


def in_chunks(function: Callable[..., Floats]) -> Callable[..., Floats]:
    """Let a function of batches (N, ...) to one number a row work on chunks of rows, in threads.

    Rows are independent, so the result does not depend on how the batch is cut.
    """

    @wraps(function)
    def chunked(*batches: Any) -> Floats:
        count, workers = len(batches[0]), os.cpu_count() or 1
        most = max(1, _SAMPLES_PER_CHUNK // max(1, batches[0][:1].size))
        if count <= most:
            return function(*batches)
        # Chunks of one size, as many for each thread, so that none waits for another.
        rows = -(-count // (-(-count // (most * workers)) * workers))
        starts = range(0, count, rows)
        parts = _pool().map(lambda start: function(*(batch[start : start + rows] for batch in batches)), starts)
        return np.concatenate(list(parts))

    return chunked


def scratch(name: str, shape: tuple[int, ...]) -> Floats:
    """A float64 array whose memory this thread keeps for the next call of that name; contents are arbitrary.

    Fresh arrays of this size cost as much as the arithmetic on them: the system hands out zeroed pages
    one by one, and takes them back at once.
    """
    size = math.prod(shape)
    if size > _KEPT:
        return np.empty(shape)
    kept: dict[str, Floats] = _of_thread.__dict__
    if name not in kept or kept[name].size < size:
        kept[name] = np.empty(size)
    return kept[name][:size].reshape(shape)


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="metric")
