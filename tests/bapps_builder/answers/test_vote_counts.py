"""Which answers of two rounds are the same, which are matched to items again, and what counts of them."""

import pandas as pd
import pytest

from bapps_builder.answers.exclusions import Rule
from bapps_builder.answers.vote_counts import count_votes, match_kept, merged

ANSWER = {
    "study": "s",
    "participant": "w",
    "session": "1",
    "trial": 3,
    "attempt": 0,
    "role": "test",
    "choice": "p0",
    "submitted_at": "noon",
    "item": "a",
    "at": 0,
    "use": False,
}


def rows(*changes: dict[str, object]) -> pd.DataFrame:
    return pd.DataFrame([ANSWER | change for change in changes])


def test_an_answer_that_both_rounds_have_is_taken_from_the_newer() -> None:
    found = merged(rows({"reaction_ms": 1.0}, {"participant": "v"}), rows({"reaction_ms": 2.0}), name="t")
    assert found["participant"].tolist() == ["v", "w"]
    assert found["reaction_ms"].tolist()[1] == 2


@pytest.mark.parametrize(
    "other",
    [
        {"study": "t"},
        {"participant": "v"},
        {"session": "2"},
        {"trial": 4},
        {"attempt": 1},
        {"role": "training"},
        {"choice": "p1"},
        {"submitted_at": "later"},
        {"item": "b", "at": 1},
        {"at": -1},
    ],
)
def test_answers_that_differ_in_what_tells_them_apart_are_both_kept(other: dict[str, object]) -> None:
    assert len(merged(rows({}), rows(other), name="t")) == 2


def test_items_of_one_number_are_one_whatever_the_rounds_call_them() -> None:
    assert merged(rows({}), rows({"item": "elsewhere"}), name="t")["item"].tolist() == ["elsewhere"]


def test_only_test_answers_without_an_item_are_matched_again() -> None:
    items = pd.DataFrame({"task": "2afc", "source_set": "x", "source_id": ["a", "b", "c"]})
    answers = rows(
        {"item": "a", "at": 7},  # has one already
        {"item": "b", "at": -1},
        {"item": "c", "at": -1, "role": "sentinel"},
        {"item": "unknown", "at": -1},
    ).assign(set="x", task="2afc")
    assert match_kept(answers, items)["at"].tolist() == [7, 1, -1, -1]


def test_votes_are_of_test_answers_that_count_and_earlier_decisions_are_taken_back() -> None:
    answers = pd.DataFrame(
        [
            ("v", "test", "p1", "", 0, True, "", 900.0),
            ("v", "test", "p1", "", 1, True, "", 900.0),
            ("v", "sentinel", "p0", "p0", -1, True, "", 900.0),
            ("w", "test", "p0", "", 0, False, "rule fast<=0.2", 900.0),  # decided here, with other rules
            ("w", "test", "p1", "", 2, False, "bad exposure", 900.0),  # recorded by the study
            ("x", "test", "p1", "", 0, True, "", 100.0),
        ],
        columns=["participant", "role", "choice", "expected", "at", "use", "reason", "reaction_ms"],
    ).assign(task="2afc", item="any")
    found = count_votes(answers, items=4, rules=[Rule("fast", "<=", 0.5)], post_hoc=False)
    assert (found.k.tolist(), found.n.tolist()) == ([1, 1, 0, 0], [2, 1, 0, 0])
    assert found.answers["reason"].tolist() == ["", "", "", "", "bad exposure", "rule fast<=0.5"]
    assert [step.answers_left for step in found.flow] == [5, 4, 3]
    assert found.post_hoc_flow == ()
    afterwards = count_votes(answers, items=4, rules=[Rule("fast", "<=", 0.5)], post_hoc=True)
    assert [step.answers_left for step in afterwards.flow] == [5, 4]
    assert [step.answers_left for step in afterwards.post_hoc_flow] == [5, 4, 3]
