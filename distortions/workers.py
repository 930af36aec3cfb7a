"""Many cores or many machines for the same work, in any order.

Both are joblib's: its processes on this machine, or a Dask cluster whose workers see the same files under the
same paths.
"""

import os
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import cv2
from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky import get_reusable_executor

from bapps_builder.errors import PatchSetError

_CONNECT_SECONDS = 10
_SAFE_PATH = "PYTHONSAFEPATH"
_ONE_BY_ONE: dict[str, Any] = {"batch_size": 1}  # a unit of work takes long enough

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Workers:
    """Who does the work.

    Attributes
    ----------
    count : int
        Processes on this machine; 1 works in the process itself.
    dask : str
        Address of a Dask scheduler, such as tcp://127.0.0.1:8786, whose workers are taken instead; "" for none.
    fresh: bool
        Whether to end processes that earlier work in this one has left, with the modules that they have loaded.
    """

    count: int = 1
    dask: str = ""
    fresh: bool = False

    @contextmanager
    def mapped(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[Iterator[R]]:
        """Give the result of every task as soon as it is known; leaving the block early drops what has not begun.

        A function that raises may hang a cluster, so it should return its error instead.

        Raises
        ------
        PatchSetError
            If the cluster is out of reach, or a process was killed.
        """
        try:
            with self._backend() as backend, parallel_config(**backend):
                parallel = Parallel(return_as="generator_unordered", **_ONE_BY_ONE)
                results = parallel(delayed(function)(task) for task in tasks)
                try:
                    yield cast(Iterator[R], results)
                finally:
                    _close(cast(Generator[R, None, None], results))
        except BrokenExecutor as error:
            raise PatchSetError(
                "a worker process was killed, perhaps because memory ran out; run the command again to go on, with "
                "fewer --workers if it happens again"
            ) from error

    @contextmanager
    def _backend(self) -> Iterator[dict[str, Any]]:
        if not self.dask:
            if self.fresh and self.count > 1:
                get_reusable_executor().shutdown()
            with _searching_as_here():
                yield {"backend": "loky", "n_jobs": self.count}
            return
        try:
            from dask.distributed import Client
        except ImportError as error:
            raise PatchSetError('--dask needs the extra `dask`: pip install "bapps[dask]"') from error
        try:
            client = Client(self.dask, timeout=_CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise PatchSetError(f"{self.dask}: no Dask scheduler answers there: {error}") from error
        with client:
            yield {"backend": "dask", "client": client, "n_jobs": -1}


@contextmanager
def _searching_as_here() -> Iterator[None]:
    """Keep processes that begin meanwhile from importing what they need from the current folder, a queue.py for one.

    joblib starts them by `python -m`, which puts that folder first, and only later gives them the search path of this
    process.
    """
    before = os.environ.get(_SAFE_PATH)
    os.environ[_SAFE_PATH] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_SAFE_PATH]
        else:
            os.environ[_SAFE_PATH] = before


def _close(results: Generator[Any, None, None]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that some tasks were cancelled
        results.close()


def settle_opencv() -> None:
    """Have OpenCV give the same pixels everywhere: one thread, and no IPP, from now on in this process."""
    cv2.setNumThreads(1)
    cv2.ipp.setUseIPP(False)
