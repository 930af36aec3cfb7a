"""The 2AFC score: how often people agree with the choice a metric makes.

Inputs are arrays over the items of one set: d0 and d1, the distances of p0 and p1 to the reference, and
p, the fraction of people who chose p1. Source: Zhang et al., CVPR 2018, section 4.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from analysis.statistics import betabinomial
from analysis.statistics.best_metric import best_metric
from bapps_builder.answers.vote_arithmetic import (
    agreement_paper,
    agreement_unbiased,
    majority_left_out,
    majority_share,
    twoafc_payoff,
)
from bapps_builder.layout import PAPER_GROUPS

# The rows of the bounds of what a metric can score.
AT_LEAST, AT_MOST = "human, best metric, at least", "human, best metric, at most"


def score(d0: ArrayLike, d1: ArrayLike, p: ArrayLike) -> float:
    """The mean payoff in [0, 1]: p where the metric picks p1, 1 - p where p0, 0.5 on an exact tie."""
    return float(twoafc_payoff(d0, d1, p).mean())


def human(p: ArrayLike) -> dict[str, float]:
    """The two rows that describe people: the paper's agreement, and the share of the majority."""
    return {
        "human p²+(1-p)²": float(agreement_paper(p).mean()),
        "human max(p,1-p)": float(majority_share(p).mean()),
    }


def human_of_counts(k: ArrayLike, n: ArrayLike) -> dict[str, float]:
    """The rows that describe people without the bias of few votes; they take the number of votes.

    Two different people, the majority of the others (a lower estimate of what a metric can score), and what no
    deterministic metric can exceed: the least and the most that the votes allow, the likeliest where there are
    more than ten votes an item, and under a beta-binomial. Nothing if some item has fewer than two votes.
    """
    if np.min(n) < 2:
        return {}
    best = best_metric(k, n)
    likeliest = {} if np.isnan(best.npmle) else {"human, best metric (NPMLE)": best.npmle}
    return {
        "human, two people": float(agreement_unbiased(k, n).mean()),
        "human, others' majority": float(majority_left_out(k, n).mean()),
        AT_LEAST: best.low,
        AT_MOST: best.high,
        **likeliest,
        "human, best metric (beta-binomial)": betabinomial.fit(k, n).ceiling,
    }


def groups_of_sets(labels: Sequence[str]) -> dict[str, list[str]]:
    """The groups of sets over which the paper averages, each set counting once.

    Parameters
    ----------
    labels : sequence of "split/name" (or plain names)

    Returns
    -------
    dict
        Name of the mean to its sets: each of the paper's groups that is complete in one split, then all
        sets, if there is more than one.
    """
    groups: dict[str, list[str]] = {}
    splits = dict.fromkeys(label.rpartition("/")[0] for label in labels)
    for group, names in PAPER_GROUPS.items():
        for split in splits:
            members = [f"{split}/{name}" if split else name for name in names]
            if set(members) <= set(labels):
                groups[f"mean of {group}" if len(splits) == 1 else f"mean of {split} {group}"] = members
    if len(labels) > 1:
        groups["mean of all"] = list(labels)
    return groups
