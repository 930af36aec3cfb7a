"""The items of a dataset: which candidates have enough answers, and each one's set, number and votes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bapps_builder.answers.vote_counts import VoteCounts
from bapps_builder.building.candidates import Candidates
from bapps_builder.datasets.dataset_record import Settings
from bapps_builder.datasets.splits import SplitProof, prove_splits
from bapps_builder.errors import DatasetError
from bapps_builder.layout import SPLITS, TASKS, paper_order, set_of_key
from bapps_builder.patch_sets.manifest import MAX_ITEMS


@dataclass(frozen=True)
class ChosenItems:
    """What is decided of N candidates.

    Attributes
    ----------
    candidates : Candidates
    keys : array of str, shape (N,)
        The set each belongs to, as `SetFolder.key`.
    numbers : int array of shape (N,)
        The number in that set, or -1 for those that are left out.
    k, n : int arrays of shape (N,)
        Votes for p1 or "same", and all votes.
    split : SplitProof
    """

    candidates: Candidates
    keys: NDArray[np.object_]
    numbers: NDArray[np.int64]
    k: NDArray[np.int64]
    n: NDArray[np.int64]
    split: SplitProof

    @property
    def chosen(self) -> NDArray[np.bool_]:
        """Which candidates are items of the dataset."""
        return self.numbers >= 0

    @property
    def sets(self) -> list[str]:
        """The sets that have items, in the order of the paper."""
        return sorted(set(self.keys[self.chosen]), key=_set_order)

    def of_set(self, key: str) -> NDArray[np.bool_]:
        """Which candidates are items of a set; they are numbered in this order."""
        return self.chosen & (self.keys == key)


def choose_items(candidates: Candidates, votes: VoteCounts, settings: Settings) -> ChosenItems:
    """Choose the candidates that have enough answers, and number those of each set in their order.

    The dataset's own come first, so they keep their numbers.

    Raises
    ------
    DatasetError
        If items have too few answers, a set too many items, or a photograph would be on both sides.
    """
    chosen = _with_enough_answers(candidates, votes, settings)
    proof = prove_splits(candidates.shared("photo")[chosen], candidates.shared("split")[chosen])
    if proof.both:
        raise DatasetError(
            f"{len(proof.both)} photographs would be in training and validation, the first {proof.both[0]!r}; "
            "divide them with --split photo"
        )
    keys, numbers = candidates.set_keys, np.full(len(candidates), -1)
    for key in set(keys[chosen]):
        of_set = chosen & (keys == key)
        if (items := int(of_set.sum())) > MAX_ITEMS:
            raise DatasetError(f"{key}: {items} items; a set holds at most {MAX_ITEMS}")
        numbers[of_set] = np.arange(items)
    return ChosenItems(candidates, keys, numbers, votes.k, votes.n, proof)


def _with_enough_answers(candidates: Candidates, votes: VoteCounts, settings: Settings) -> NDArray[np.bool_]:
    """Which candidates have enough answers; those that must have and have not end the build."""
    enough = votes.n >= settings.min_answers
    short = np.flatnonzero(~enough)
    kept = short[short < candidates.kept]
    if len(kept):
        raise DatasetError(
            f"{len(kept)} items of the dataset would be left with fewer than {settings.min_answers} answers, the "
            f"first {candidates.name(int(kept[0]))} with {votes.n[kept[0]]}; numbers are never taken back, so build "
            "anew"
        )
    if len(short) and not settings.leave_out_short:
        some = ", ".join(f"{candidates.name(int(at))}: {votes.n[at]}" for at in short[:5])
        raise DatasetError(
            f"{len(short)} of {len(enough)} items have fewer than {settings.min_answers} answers that count ({some}"
            f"{', ...' if len(short) > 5 else ''}); collect more, lower --min-answers or leave them out with "
            "--leave-out-short"
        )
    if not enough.any():
        raise DatasetError(
            f"no item has at least {settings.min_answers} answers that count, so there is nothing to build; collect "
            "more or lower --min-answers"
        )
    return enough


def _set_order(key: str) -> tuple[int, int, tuple[int, str]]:
    folder = set_of_key(Path(), key)
    return TASKS.index(folder.task), SPLITS.index(folder.split), paper_order(folder.name)
