"""One training from its settings to its files: open the data, build the learner, begin or continue the run."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from metrics.deep.lpips import LPIPS
from metrics.training.averages import averages_of
from metrics.training.distances import Distances, FromAverages, FromImages
from metrics.training.judgments import Judgments, check_informative, open_judgments
from metrics.training.loop import Epoch, Learner, Position, adam, fit, scores
from metrics.training.processes import Processes, joined, torch_threads
from metrics.training.recipe import Recipe
from metrics.training.run import About, Run
from metrics.training.start import needs_own_trunk, starting_module, starting_ranking
from metrics.weights.store import WeightStore, default_cache, tensors_digest

SECONDS_BETWEEN_PICTURES = 30.0

Progress = Callable[[int | None, str], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True)
class Settings:
    """Where a training reads and writes, and how; none of it changes the result.

    Attributes
    ----------
    data : Path
        Dataset in the BAPPS layout.
    out : Path
        Folder of the run.
    weights : WeightStore
    cache : Path
        Folder for averages of features.
    checkpoint_every : int
        Steps between checkpoints inside an epoch; 0: only after epochs.
    threads : int
        That decode images, and take them through a frozen trunk.
    """

    data: Path
    out: Path
    weights: WeightStore = field(default_factory=WeightStore)
    cache: Path = field(default_factory=lambda: default_cache().parent / "averages")
    checkpoint_every: int = 500
    threads: int = 2


def train(
    recipe: Recipe, settings: Settings, *, progress: Progress, say: Callable[[str], None] = lambda _: None
) -> tuple[Epoch, ...]:
    """Train by a recipe, or go on with the run in the folder; give the log.

    Raises
    ------
    TrainingError
        If the run cannot begin, go on, or be continued.
    DatasetError, ImageError, WeightsError
        If data or weights cannot be obtained.
    """
    with joined(recipe.device) as (processes, device), torch_threads(recipe.torch_threads):
        if processes.first:
            return _train(recipe, settings, processes, device, progress, say)
        return _train(recipe, settings, processes, device, _silent, lambda _: None)


def _train(
    recipe: Recipe,
    settings: Settings,
    processes: Processes,
    device: str,
    progress: Progress,
    say: Callable[[str], None],
) -> tuple[Epoch, ...]:
    with progress(None, "reading judgments") as advance:
        judgments, validation = (
            open_judgments(settings.data, labels, threads=settings.threads, advance=advance)
            for labels in (recipe.sets, recipe.val)
        )
    check_informative(judgments)
    for items in (*judgments.sets, *validation.sets):
        choice = items.load_choice(recipe.load)
        say(f"{items.folder.label}: read in the mode {choice.in_words}")
    module, ranking = starting_module(recipe, settings.weights).to(device), starting_ranking(recipe).to(device)
    with_trunk = needs_own_trunk(recipe, module)
    run = Run(settings.out)
    if processes.first:
        run.begin(_about(recipe, judgments, validation, module, processes))
    processes.wait()
    sources = [
        _distances(module, recipe, settings, some, what, processes, progress)
        for some, what in ((judgments, "training"), (validation, "validation"))
    ]
    learner = Learner(module, ranking, adam(recipe, module, ranking), sources[0])
    start = run.resume(learner)
    if start != Position():
        say(f"{settings.out}: goes on after epoch {start.epoch}, step {start.step}")

    last_picture = -SECONDS_BETWEEN_PICTURES

    def publish(reached: Position) -> None:
        nonlocal last_picture
        if not (processes.first and reached.log and reached.step == 0):
            return
        run.publish(module, reached, recipe.val, with_trunk=with_trunk)
        if reached.epoch == recipe.all_epochs or time.monotonic() - last_picture > SECONDS_BETWEEN_PICTURES:
            run.draw(reached.log, recipe.val)
            last_picture = time.monotonic()

    def keep(reached: Position) -> None:
        if processes.first:
            run.save(learner, reached)
        publish(reached)
        if reached.step == 0:
            say(described(reached.log[-1], recipe))

    publish(start)  # whoever was interrupted between the checkpoint and these
    steps = -(-len(judgments) // recipe.batch_size)
    with progress(steps * (recipe.all_epochs - start.epoch) - start.step, "steps") as advance:
        last = fit(
            learner,
            recipe,
            judgments,
            validate=lambda: scores(module, sources[1], validation, processes=processes),
            start=start,
            checkpoint=keep,
            checkpoint_every=settings.checkpoint_every,
            processes=processes,
            advance=advance,
        )
    return last.log


def _about(recipe: Recipe, judgments: Judgments, validation: Judgments, module: LPIPS, processes: Processes) -> About:
    digests, counts, loads = {}, {}, {}
    for some in (judgments, validation):
        for items, digest in zip(some.sets, some.digests, strict=True):
            digests[items.folder.label], counts[items.folder.label] = digest, len(items)
            loads[items.folder.label] = items.load_choice(recipe.load).mode
    trunk = {name: value.detach().cpu().numpy() for name, value in module.net.state_dict().items()}
    return About(
        recipe, data=digests, items=counts, loads=loads, trunk=tensors_digest(trunk), processes=processes.count
    )


def _distances(
    module: LPIPS,
    recipe: Recipe,
    settings: Settings,
    judgments: Judgments,
    what: str,
    processes: Processes,
    progress: Progress,
) -> Distances:
    if not recipe.by_averages:
        return FromImages(module, judgments, recipe.load, recipe.precision, settings.threads)
    with progress(len(judgments), f"{what} features, once") as advance:
        averages = averages_of(
            module,
            judgments,
            settings.cache,
            load=recipe.load,
            precision=recipe.precision,
            processes=processes,
            threads=settings.threads,
            advance=advance,
        )
    return FromAverages(module, averages, recipe.dropout)


def described(epoch: Epoch, recipe: Recipe) -> str:
    """Give one line about an epoch."""
    val = "".join(f"  {label} {100 * score:.2f}" for label, score in zip(recipe.val, epoch.val, strict=True))
    return (
        f"epoch {epoch.number}/{recipe.all_epochs}  lr {epoch.lr:.1e}  loss {epoch.loss:.4f}  "
        f"2AFC % training {100 * epoch.train:.2f}{val}"
    )


@contextmanager
def _silent(total: int | None, what: str) -> Iterator[Callable[[int], None]]:
    yield lambda steps: None
