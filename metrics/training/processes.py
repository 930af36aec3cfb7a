"""Several processes that train together, as torchrun starts them, and the threads of each.

One process alone is the simplest case. Each takes its share of every batch and sums over the shares, so that
the arithmetic is that of one process up to the order of sums. Several threads of torch share out one sum, and
on a busy machine not always in the same way; so a run takes one, unless it is told otherwise.
"""

import importlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn


@dataclass(frozen=True)
class Processes:
    """This process's place among those that train together."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that writes files and talks."""
        return self.rank == 0

    def summed(self, values: Tensor) -> Tensor:
        """The sum of a tensor over all processes."""
        if self.count > 1:
            dist.all_reduce(values)
        return values

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Sum every gradient over all processes; one that is missing counts as zero."""
        if self.count == 1:
            return
        trained = list(parameters)
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
        total = self.summed(torch.cat([part.flatten() for part in parts]))  # one message instead of one a parameter
        for parameter, flat in zip(trained, total.split([part.numel() for part in parts]), strict=True):
            parameter.grad = flat.view_as(parameter)

    def wait(self) -> None:
        """Wait until all have come here."""
        if self.count > 1:
            dist.barrier()


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch compute in so many threads, here and in threads that are started within."""
    threads = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def started() -> Processes:
    """This process's place among those that torchrun started, or alone."""
    return Processes(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))


@contextmanager
def joined(device: str) -> Iterator[tuple[Processes, str]]:
    """Join the processes that torchrun started, if it did, and give them and this one's device."""
    processes = started()
    if processes.count == 1:
        yield processes, device
        return
    on_gpu = device.startswith("cuda")
    if device == "cuda":
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(device)
    # Whoever imports it first within a group, as an optimiser does, keeps the group for ever: its functions have it
    # as a default. The group's threads then outlive its end, and one that lets go of a tensor as Python ends aborts.
    importlib.import_module("torch.distributed.nn")

    dist.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield processes, device
    finally:
        dist.destroy_process_group()
