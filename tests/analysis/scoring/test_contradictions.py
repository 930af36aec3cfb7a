"""Items that two metrics contradict each other about, by hand."""

import numpy as np
import pandas as pd

from analysis.scoring.contradictions import contradictions
from analysis.scoring.judged_sets import JudgedSet


def judged(task: str, distances: list) -> JudgedSet:
    array = np.array(distances, float)
    items = pd.DataFrame({"set": "val/x", "item": range(array.shape[2]), "p": 0.5})
    return JudgedSet(task, "val/x", ("a", "b"), array, items, None)  # pyrefly: ignore[bad-argument-type]


def test_the_surest_opposites_of_triplets() -> None:
    #         leads: a: -9 +2 +1 -inf | b: +8 -2 +6 0
    a = [[1, 3, 2, -np.inf], [10, 1, 1, 5]]
    b = [[9, 1, 7, 3], [1, 3, 1, 3]]
    found = contradictions(judged("2afc", [a, b]), each=5)
    assert [(one.row, one.first, one.second) for one in found] == [(0, "a", "b"), (1, "b", "a")]
    assert found[0].strength == min(2 / 3, 1.0)  # a is surer on row 3 alone, b on none
    assert len(contradictions(judged("2afc", [a, b]), each=1)) == 1


def test_pairs_that_one_finds_close_and_the_other_far() -> None:
    found = contradictions(judged("jnd", [[[1, 2, 3, 4, 5]], [[5, 2, 3, 4, 1]]]), each=2)
    assert [(one.row, one.first, one.strength) for one in found] == [(0, "a", 1.0), (4, "b", 1.0)]


def test_metrics_that_agree_contradict_nowhere() -> None:
    same = [[1, 2, 3], [2, 3, 1]]
    assert contradictions(judged("2afc", [same, same]), each=3) == []
