"""The training loop: epochs of steps, a checkpoint now and then, validation after each epoch.

Everything left to chance in a step is drawn from (seed, epoch, step), so a run that goes on from a
checkpoint takes the same steps as one that was never interrupted.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bapps_builder.answers.vote_arithmetic import twoafc_payoff
from metrics.deep.lpips import LPIPS
from metrics.training.distances import Distances, Payload
from metrics.training.judgments import Judgments
from metrics.training.processes import Processes
from metrics.training.ranking import RankingNet, summed_cross_entropy
from metrics.training.recipe import Recipe, TrainingError

_VALIDATED_AT_A_TIME = 50


@dataclass(frozen=True)
class Epoch:
    """What is logged of an epoch.

    Attributes
    ----------
    number : int
        From 1.
    lr, loss : float
        Learning rate; mean cross entropy.
    train : float
        2AFC score on the training items as they were trained on, with dropout and changing weights.
    val : tuple of float
        2AFC score on each validation set, without dropout, after the epoch.
    """

    number: int
    lr: float
    loss: float
    train: float
    val: tuple[float, ...]


@dataclass(frozen=True)
class Position:
    """Where a run stands: the next step, sums over the items of its epoch so far, and the epochs done."""

    step: int = 0
    loss: float = 0.0
    payoff: float = 0.0
    log: tuple[Epoch, ...] = ()

    @property
    def epoch(self) -> int:
        """The current epoch, from 0."""
        return len(self.log)


@dataclass(frozen=True)
class Learner:
    """What is trained, and how distances come about."""

    module: LPIPS
    ranking: RankingNet
    optimiser: torch.optim.Adam
    distances: Distances

    def trained(self) -> dict[str, nn.Parameter]:
        """Every trained parameter by name, in the order of the optimiser."""
        return trained_parameters(self.module, self.ranking)


def trained_parameters(module: LPIPS, ranking: RankingNet) -> dict[str, nn.Parameter]:
    """Every parameter that is not frozen, by name."""
    parameters = [*module.named_parameters("lpips"), *ranking.named_parameters("ranking")]
    return {name: parameter for name, parameter in parameters if parameter.requires_grad}


def adam(recipe: Recipe, module: LPIPS, ranking: RankingNet) -> torch.optim.Adam:
    """Give the optimiser of a recipe."""
    parameters = trained_parameters(module, ranking).values()
    return torch.optim.Adam(parameters, lr=recipe.lr, betas=(recipe.beta1, recipe.beta2))


def fit(
    learner: Learner,
    recipe: Recipe,
    judgments: Judgments,
    *,
    validate: Callable[[], tuple[float, ...]],
    start: Position,
    checkpoint: Callable[[Position], None],
    checkpoint_every: int,
    processes: Processes,
    advance: Callable[[int], None] = lambda _: None,
) -> Position:
    """Train from a position to the end, and give the last position.

    Parameters
    ----------
    validate : callable
        Gives the 2AFC score on each validation set.
    checkpoint : callable
        Keeps the learner as it is at a position: after every `checkpoint_every` steps (0: never) and
        every epoch.
    advance : callable
        Called with the number of steps done.

    Raises
    ------
    TrainingError
        If the loss is no longer a number.
    """
    position = start
    with torch.random.fork_rng():
        while position.epoch < recipe.all_epochs:
            for reached in _steps(learner, recipe, judgments, position, processes):
                position = reached
                advance(1)
                if checkpoint_every and position.step % checkpoint_every == 0:
                    checkpoint(position)
            position = _closed(position, recipe, len(judgments), validate())
            checkpoint(position)
    return position


def _closed(position: Position, recipe: Recipe, items: int, val: tuple[float, ...]) -> Position:
    lr = recipe.learning_rate(position.epoch)
    record = Epoch(position.epoch + 1, lr, position.loss / items, position.payoff / items, val)
    return Position(log=(*position.log, record))


def _steps(
    learner: Learner, recipe: Recipe, judgments: Judgments, start: Position, processes: Processes
) -> Iterator[Position]:
    """Take the remaining steps of an epoch, giving the position after each."""
    epoch, position = start.epoch, start
    for group in learner.optimiser.param_groups:
        group["lr"] = recipe.learning_rate(epoch)
    order = np.random.default_rng([recipe.seed, epoch]).permutation(len(judgments))
    batches = [order[k : k + recipe.batch_size] for k in range(0, len(order), recipe.batch_size)][start.step :]
    shares = (batch[processes.rank :: processes.count] for batch in batches)
    for batch, (share, payload) in zip(batches, learner.distances.payloads(shares), strict=True):
        # Dropout draws from torch's own generator, which is the only one it takes.
        seeds = np.random.SeedSequence([recipe.seed, epoch, position.step, processes.rank])
        torch.manual_seed(int(seeds.generate_state(1, np.uint64)[0]))
        loss, payoff = _step(learner, payload, judgments.labels[share], len(batch), processes)
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss} in epoch {epoch + 1}, step {position.step + 1}; nothing was written since the "
                f"last checkpoint; try a lower --lr than {recipe.lr:g}"
            )
        position = replace(position, step=position.step + 1, loss=position.loss + loss, payoff=position.payoff + payoff)
        yield position


def _step(
    learner: Learner, payload: Payload, labels: NDArray[np.float32], batch: int, processes: Processes
) -> tuple[float, float]:
    """One step of all processes on a batch; gives its summed loss and payoff."""
    learner.module.train()
    learner.optimiser.zero_grad(set_to_none=True)
    device = next(learner.ranking.parameters()).device
    sums = torch.zeros(2, dtype=torch.float64, device=device)
    if len(labels):  # the last batch may have fewer items than there are processes
        d0, d1 = learner.distances(payload)
        loss = summed_cross_entropy(learner.ranking(d0, d1), torch.from_numpy(labels).to(device))
        (loss / batch).backward()
        sums += torch.stack([loss.detach().double(), _payoffs(d0, d1, labels).sum().to(device)])
    processes.sum_gradients(learner.trained().values())
    loss, payoff = processes.summed(sums).tolist()
    if math.isfinite(loss):
        learner.optimiser.step()
        project(learner.module)
    return loss, payoff


def project(module: LPIPS) -> None:
    """Set negative weights of the heads, and of nothing else, to 0."""
    with torch.no_grad():
        for head in module.heads:
            head.weight.clamp_(min=0)


def scores(module: LPIPS, distances: Distances, judgments: Judgments, *, processes: Processes) -> tuple[float, ...]:
    """2AFC score on each set of some judgments, without dropout.

    Raises
    ------
    TrainingError
        If a distance is not finite.
    """
    module.eval()
    payoffs = torch.zeros(len(judgments), dtype=torch.float64)
    every = np.arange(len(judgments))
    portions = [every[k : k + _VALIDATED_AT_A_TIME] for k in range(0, len(every), _VALIDATED_AT_A_TIME)]
    with torch.no_grad():
        for indices, payload in distances.payloads(portions[processes.rank :: processes.count]):
            d0, d1 = distances(payload)
            payoffs[torch.from_numpy(indices)] = _payoffs(d0, d1, judgments.labels[indices])
    device = next(module.parameters()).device
    payoffs = processes.summed(payoffs.to(device)).cpu()
    if not bool(payoffs.isfinite().all()):
        raise TrainingError(
            "a validation distance is not a number; nothing was written since the last checkpoint; try a lower --lr"
        )
    starts = judgments.starts
    return tuple(float(payoffs[a:b].mean()) for a, b in pairwise(starts))


def _payoffs(d0: Tensor, d1: Tensor, labels: NDArray[np.float32]) -> Tensor:
    """What each item pays; NaN where a distance is not finite, which would otherwise look like a tie."""
    first, second = (d.detach().double().cpu().numpy() for d in (d0, d1))
    finite = np.isfinite(first) & np.isfinite(second)
    return torch.from_numpy(np.where(finite, twoafc_payoff(first, second, labels), np.nan))


def all_finite(learner: Learner) -> bool:
    """Whether every trained parameter is still a number."""
    return all(bool(parameter.isfinite().all()) for parameter in learner.trained().values())
