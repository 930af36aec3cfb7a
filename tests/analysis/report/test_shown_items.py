"""What is said beside an item that two metrics contradict each other about."""

import numpy as np
import pandas as pd

from analysis.report.shown_items import contradicting
from analysis.scoring.judged_sets import JudgedSet


def test_people_are_said_to_choose_what_most_of_them_chose() -> None:
    """One metric finds p0 closer, the other p1, but for the last; of ten people three, or seven, or five chose p1."""
    distances = np.array([[[1.0, 1, 1, 1], [2, 3, 4, 1.5]], [[2.0, 3, 4, 1], [1, 1, 1, 1.5]]])
    items = pd.DataFrame({"set": "val/x", "item": list("abcd"), "p": [0.3, 0.7, 0.5, 0.5], "k": [3, 7, 5, 5], "n": 10})
    one = JudgedSet("2afc", "val/x", ("near", "far"), distances, items, None)
    [shown] = contradicting([one], None, {}, each=4).values()
    people = {item.item: (item.choices[2], item.verdicts[2]) for item in shown}
    assert people == {
        "a": ("p0", ("people", "7 of 10 p0")),
        "b": ("p1", ("people", "7 of 10 p1")),
        "c": ("p1", ("people", "5 of 10 p1")),
    }
    assert {item.verdicts[:2] for item in shown} == {(("near", "p0 closer"), ("far", "p1 closer"))}
    without_counts = JudgedSet("2afc", "val/x", ("near", "far"), distances, items.drop(columns=["k", "n"]), None)
    [shown] = contradicting([without_counts], None, {}, each=4).values()
    assert {item.item: item.verdicts[2][1] for item in shown} == {"a": "70% p0", "b": "70% p1", "c": "50% p1"}


def test_a_pair_is_said_with_how_many_are_closer() -> None:
    distances = np.array([[[1.0, 2, 3, 4]], [[4.0, 2, 3, 1]]])
    items = pd.DataFrame({"set": "val/x", "item": list("abcd"), "p": [0.25, 0.5, 0.5, 1.0]})
    one = JudgedSet("jnd", "val/x", ("m", "n"), distances, items, None)
    [shown] = contradicting([one], None, {}, each=1).values()
    assert shown[0].verdicts == (("m", "0% of pairs closer"), ("n", "75% of pairs closer"), ("people", "25% same"))
    assert shown[0].choices == ()
