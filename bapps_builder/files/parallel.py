"""Map a function over portions of work in several processes, in order and in flat memory."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar, cast

from joblib import Parallel, delayed

from bapps_builder.files.cores import cores

_FEW = 2_000  # items for which starting processes takes longer than they save
T = TypeVar("T")
R = TypeVar("R")


def workers_for(items: int) -> int:
    """How many processes to use for some items: one for few, else one a core."""
    return 1 if items < _FEW else cores()


def mapped(function: Callable[[T], R], portions: Iterable[T], *, workers: int) -> Iterator[R]:
    """Yield `function(portion)` in the order of `portions`; only a few are at work at a time.

    With one worker everything happens in this process, which for little work is faster than starting others.
    """
    if workers == 1:
        yield from map(function, portions)
    else:
        tasks = (delayed(function)(portion) for portion in portions)
        results = Parallel(n_jobs=workers, return_as="generator", pre_dispatch="2*n_jobs")(tasks)
        yield from cast(Iterator[R], results)
