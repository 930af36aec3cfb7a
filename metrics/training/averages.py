"""Averages of squared feature differences of every item, computed in one pass and kept on disk.

For each item a row (4, K), K channels of all layers side by side: m of (ref, p0), m of (ref, p1), then s
of both (see `metrics.training.distances`), in half precision. Values lie in [0, 4], most of them between
1e-6 and 1e-2, where half precision begins to lose digits (below 6e-5); so they are stored times 2^13,
which no value outgrows, and keep all of their 11 bits down to 7e-9.

A set's folder is named by what its rows depend on: the content of the set, the weights and version of the
trunk, load mode and precision. It holds parts of some thousand items, each written whole, so that an
interrupted pass goes on with the next part.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bapps_builder.datasets.load_mode import LoadMode
from bapps_builder.datasets.reader import mapped_ahead
from bapps_builder.files.atomic import replaced_whole
from metrics.deep.lpips import LPIPS
from metrics.metric import Precision
from metrics.training.features import squared_differences
from metrics.training.judgments import Indices, Judgments
from metrics.training.processes import Processes
from metrics.training.recipe import TrainingError
from metrics.weights.store import tensors_digest

SCALE = 2.0**13
PART = 2000
_AT_A_TIME = 50

Rows = NDArray[np.float32]


@dataclass(frozen=True)
class Averages:
    """Rows of N items, read from parts on disk as they are wanted.

    Attributes
    ----------
    parts : tuple of float16 arrays of shape (n, 4, K), scaled
        Mapped into memory.
    starts : int array
        Number of the first item of each part, and N.
    """

    parts: tuple[NDArray[np.float16], ...]
    starts: NDArray[np.int64]

    def rows(self, indices: NDArray[np.int64]) -> Rows:
        """Rows (len(indices), 4, K) in this order."""
        rows = np.empty((len(indices), *self.parts[0].shape[1:]), np.float32)
        owners = np.searchsorted(self.starts, indices, side="right") - 1
        for owner in np.unique(owners):
            mine = owners == owner
            rows[mine] = self.parts[owner][indices[mine] - self.starts[owner]]
        rows /= SCALE
        return rows


def averages_of(
    module: LPIPS,
    judgments: Judgments,
    cache: Path,
    *,
    load: LoadMode,
    precision: Precision,
    processes: Processes,
    threads: int = 2,
    advance: Callable[[int], None] = lambda _: None,
) -> Averages:
    """Open the rows of judgments, computing those parts that are not in the cache yet.

    Several processes share the work, and see one cache. Within one, each of `threads` threads takes some items
    through the trunk by itself, so the rows do not depend on how many there are.

    Raises
    ------
    TrainingError
        If a part of the cache cannot be read.
    DatasetError, ImageError
        If an item cannot be read.
    """
    trunk = tensors_digest({name: value.detach().cpu().numpy() for name, value in module.net.state_dict().items()})
    channels = sum(module.spec.channels)
    work: list[_Part] = []
    for items, start, digest in zip(judgments.sets, judgments.starts, judgments.digests, strict=False):
        mode = items.load_choice(load).mode  # auto, and the mode it chooses, give the same rows
        depends_on = f"{digest} {trunk} {module.version == '0.0'} {mode} {precision} {SCALE} {PART}"
        folder = cache / f"{module.spec.net}-{hashlib.sha256(depends_on.encode()).hexdigest()[:32]}"
        folder.mkdir(parents=True, exist_ok=True)
        for number, first in enumerate(range(0, len(items), PART)):
            count = min(PART, len(items) - first)
            work.append(_Part(folder / f"{number:04d}.npy", start + first, count))
    for part in work[processes.rank :: processes.count]:
        if part.path.exists():
            advance(part.count)
            continue
        rows = _computed(module, judgments, part, load, precision, threads, advance)
        with replaced_whole(part.path) as temporary:
            np.save(temporary, (rows * SCALE).astype(np.float16))
    processes.wait()
    return Averages(
        parts=tuple(_mapped(part, channels) for part in work),
        starts=np.array([*(part.start for part in work), len(judgments)]),
    )


@dataclass(frozen=True)
class _Part:
    path: Path
    start: int
    count: int


def _computed(
    module: LPIPS,
    judgments: Judgments,
    part: _Part,
    load: LoadMode,
    precision: Precision,
    threads: int,
    advance: Callable[[int], None],
) -> Rows:
    portions = [
        np.arange(first, min(first + _AT_A_TIME, part.start + part.count))
        for first in range(part.start, part.start + part.count, _AT_A_TIME)
    ]

    @torch.no_grad()
    def rows_of(indices: Indices) -> Rows:
        batches = judgments.read(indices, load=load)
        return np.concatenate([averaged(squared_differences(module, batch, precision)) for batch in batches])

    parts = []
    with mapped_ahead(rows_of, portions, threads=threads) as results:
        for rows in results:
            parts.append(rows)
            advance(len(rows))
    return np.concatenate(parts)


def averaged(squares: list[tuple[Tensor, Tensor]]) -> Rows:
    """Rows (N, 4, K) of squared differences of each layer: m of both pairs, then s of both."""
    layers = []
    for pair in squares:
        positions = pair[0][0, 0].numel()
        means = [x.mean((2, 3)) for x in pair]
        spreads = [torch.linalg.vector_norm(x, dim=(2, 3)) / positions for x in pair]
        layers.append(torch.stack([*means, *spreads], 1))
    return torch.cat(layers, 2).cpu().numpy()


def _mapped(part: _Part, channels: int) -> NDArray[np.float16]:
    try:
        rows = np.load(part.path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise TrainingError(
            f"{part.path}: not a readable part of the cache: {error}; delete it, and it is computed again"
        ) from error
    if rows.shape != (part.count, 4, channels) or rows.dtype != np.float16:
        raise TrainingError(
            f"{part.path}: this part of the cache holds {rows.dtype} {rows.shape}, expected float16 "
            f"{(part.count, 4, channels)}; delete it, and it is computed again"
        )
    return rows
