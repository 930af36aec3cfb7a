"""Loops that numpy would pass through memory many times over, compiled to machine code on first use.

Importing this takes half a second, so what every command imports has its compiled loops in a file of their own.

Compiled code is kept on disk beside the source, or in the user's cache where that folder is read-only, so
the second or two it takes are spent once an installation. A kept function is compiled again when its own
file changes, and only then: a compiled function and those it calls belong in one file.
"""

from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

from numba import njit

P = ParamSpec("P")
R = TypeVar("R")

# Sums may be reordered and fused, which is what makes them vectors; no special values are assumed away.
_RELAXED = {"reassoc", "contract", "nsz"}


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function of arrays and numbers.

    It runs without the interpreter's lock, so threads scale. A division by zero gives inf or NaN, since a
    check for it would keep the loop from becoming vectors.
    """
    with_settings = partial(njit, nogil=True, error_model="numpy", fastmath=_RELAXED)
    try:
        return with_settings(cache=True)(function)
    except RuntimeError:  # no folder to keep it in can be written
        return with_settings()(function)
