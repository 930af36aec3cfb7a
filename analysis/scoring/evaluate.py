"""The batch loop: one pass over the images of a set gives the distances of every metric."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from analysis.scoring.distances import SetDistances
from bapps_builder.datasets.load_mode import LoadMode
from bapps_builder.datasets.reader import Batch, ItemSet, mapped_ahead
from bapps_builder.errors import MetricError
from metrics.metric import Metric, NotADistance, joint_distances

Floats = NDArray[np.float64]


def evaluate(
    metrics: Sequence[Metric],
    items: ItemSet,
    *,
    load: LoadMode = "auto",
    batch_size: int = 100,
    threads: int = 2,
    advance: Callable[[int], None] = lambda _: None,
) -> SetDistances:
    """Distances of several metrics for every item of a set.

    Images are decoded in threads ahead of the metrics and dropped after their batch, so memory does not
    grow with the set but for the distances themselves. Metrics that allow it (`Metric.concurrent`) run in
    those threads too, each on its own part of the set: cores that share no work never wait for each other.

    Parameters
    ----------
    metrics : sequence of M metrics
    items : ItemSet
    load : "auto", "official", "exact" or "native"
        See bapps_builder.datasets.load_mode.
    batch_size : int
        Items at a time, of all threads together.
    threads : int
    advance : callable
        Called with the number of items done, after each batch.

    Raises
    ------
    MetricError
        If a metric fails or returns NaN, naming set and item.
    DatasetError, ImageError
        If an item cannot be read.
    """
    ids: list[str] = []
    labels, distances = [], []
    for batch, values in _scored(metrics, items, load, batch_size, threads):
        distances.append(values)
        labels.append(batch.labels)
        ids.extend(batch.ids)
        advance(len(batch.ids))
    order = sorted(range(len(ids)), key=ids.__getitem__)  # those of one size came together
    return SetDistances(
        task=items.task,
        label=items.folder.label,
        metrics=tuple(metric.name for metric in metrics),
        ids=tuple(ids[place] for place in order),
        distances=np.concatenate(distances, axis=2)[:, :, order],
        labels=np.concatenate(labels)[order],
    )


def _scored(
    metrics: Sequence[Metric], items: ItemSet, load: LoadMode, batch_size: int, threads: int
) -> Iterator[tuple[Batch, Floats]]:
    distances = partial(_distances, metrics, items.folder.label)
    if not all(metric.concurrent for metric in metrics):
        for batch in items.batches(load=load, batch_size=batch_size, threads=threads):
            yield batch, distances(batch)
        return

    def decode_and_score(ids: Sequence[str]) -> list[tuple[Batch, Floats]]:
        return [(batch, distances(batch)) for batch in items.read(ids, load=load)]

    rounds = -(-len(items) // batch_size)
    portions = items.portions(-(-len(items) // (rounds * threads)), load)  # equal, so that no thread waits for one
    with (
        _torch_threads_kept(),
        mapped_ahead(decode_and_score, portions, threads=threads, initializer=_one_torch_thread) as results,
    ):
        for scored in results:
            yield from scored


def _one_torch_thread() -> None:
    """Keep torch on the calling thread; its setting is one per thread."""
    torch.set_num_threads(1)


@contextmanager
def _torch_threads_kept() -> Iterator[None]:
    """Threads started later take over the number that was set last anywhere, so set it again."""
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _distances(metrics: Sequence[Metric], label: str, batch: Batch) -> Floats:
    try:
        return joint_distances(metrics, *batch.images)
    except NotADistance as error:
        raise MetricError(f"{label}, item {batch.ids[error.index]}: {error}") from error
    except MetricError as error:
        raise MetricError(f"{label}, items {batch.ids[0]} to {batch.ids[-1]}: {error}") from error
