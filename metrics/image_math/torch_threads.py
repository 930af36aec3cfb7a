"""Torch metrics on all cores: a batch in pieces small enough for the cache, each on one core by itself.

The steps of such a metric are functions of tensors that a loss can use too. Here they are turned into the
`embed` and `contrast` of a metric on uint8 images, without gradients. Rows are independent, so the result
does not depend on how the batch is cut.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bapps_builder.files.cores import cores
from metrics.image_math.tensors import to_unit_tensor
from metrics.metric import Images

Floats = NDArray[np.float64]
Embedding = TypeVar("Embedding")
Result = TypeVar("Result")

# Samples a piece: fewer waste time between operations, more do not fit the cache.
_PIECE = 100_000


def embedding(
    function: Callable[[Tensor], Embedding], *, dtype: torch.dtype = torch.float64, working_size: int = 0
) -> Callable[[Images], list[Embedding]]:
    """Make the `embed` of a metric of a function of unit RGB (N, 3, H, W): to one embedding a piece.

    `working_size` is how many samples the function makes of an image at once, if that is more than the image has.
    """

    @torch.inference_mode()
    def embed_piece(images: Images) -> Embedding:
        return function(to_unit_tensor(images, dtype=dtype))

    def embed(images: Images) -> list[Embedding]:
        _keep_freed_memory()
        rows = max(1, _PIECE // max(working_size, images[0].size))
        return _on_all_cores(embed_piece, [images[start : start + rows] for start in range(0, len(images), rows)])

    return embed


def contrast(
    function: Callable[[Embedding, Embedding], Tensor],
) -> Callable[[list[Embedding], list[Embedding]], Floats]:
    """Make the `contrast` of a metric of a function of two embeddings that gives a row of numbers a pair."""

    @torch.inference_mode()
    def contrast_piece(a: Embedding, b: Embedding) -> NDArray[Any]:
        return function(a, b).double().numpy()

    def compare(a: list[Embedding], b: list[Embedding]) -> Floats:
        return np.concatenate(_on_all_cores(contrast_piece, a, b))

    return compare


def keep_to_our_cores() -> None:
    """Lower torch's own number of threads to `cores()`: by itself it overlooks the limit of a container."""
    torch.set_num_threads(min(torch.get_num_threads(), cores()))


@cache
def _keep_freed_memory() -> None:
    """Have this process keep up to 64 MB that it has freed, once and for all.

    The C library gives freed memory back above twice the largest block that was freed before (glibc's dynamic
    threshold, at most 32 MB), so the next piece would fetch all its memory from the system again, page by page.
    """
    torch.empty(31 << 20, dtype=torch.uint8)


def _on_all_cores(function: Callable[..., Result], *pieces: Sequence[Any]) -> list[Result]:
    """Map in the threads of the pool, or at once where the caller has its cores shared out already."""
    if torch.get_num_threads() == 1 or len(pieces[0]) == 1:
        return list(map(function, *pieces))
    return list(_pool().map(function, *pieces))


@cache
def _pool() -> ThreadPoolExecutor:
    """Threads in each of which torch keeps to one core: cores that share no work never wait for each other."""
    workers, threads = cores(), torch.get_num_threads()
    all_started = threading.Barrier(workers)

    def keep_to_one_core() -> None:
        torch.get_num_threads()  # else the thread's first operation takes over what was set last in any thread
        torch.set_num_threads(1)

    pool = ThreadPoolExecutor(workers, thread_name_prefix="piece", initializer=keep_to_one_core)
    # Start all of them now, by making each wait for the others, and set the number that others take over again.
    list(pool.map(lambda _: all_started.wait(), range(workers)))
    torch.set_num_threads(threads)
    return pool
