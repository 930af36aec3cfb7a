"""Torch running out of memory, told from its other errors."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from bapps_builder.errors import BappsError


@contextmanager
def enough_memory(error_of: Callable[[str], BappsError], what: str) -> Iterator[None]:
    """Turn torch's ways to say that memory ran out into an error that names what needed it."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # On a CPU torch raises a bare RuntimeError.
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
            raise
        raise error_of(f"{what}: not enough memory") from error
