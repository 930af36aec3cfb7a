"""Conduct of people and the rules that exclude, on planted people."""

import numpy as np
import pandas as pd
import pytest

from bapps_builder.answers.answer_table import check_answers
from bapps_builder.answers.exclusions import DEFAULT_RULES, Rule, conduct, exclude, parse_rule
from bapps_builder.errors import DatasetError


def person(name: str, *, choices: str, sides: str, reaction: float, passed: int) -> pd.DataFrame:
    """Test answers 0/1 for p0/p1 with sides l/r, and ten sentinels of which some are passed."""
    test = pd.DataFrame(
        {
            "item": [f"i{k}" for k in range(len(choices))],
            "choice": [f"p{c}" for c in choices],
            "side": ["left" if side == "l" else "right" for side in sides],
            "reaction_ms": reaction,
            "role": "test",
            "expected": "",
            "trial": range(len(choices)),
        }
    )
    sentinels = pd.DataFrame(
        {
            "item": [f"s{k}" for k in range(10)],
            "choice": ["p0" if k < passed else "p1" for k in range(10)],
            "side": "left",
            "reaction_ms": 1000.0,
            "role": "sentinel",
            "expected": "p0",
            "trial": 0,
        }
    )
    return pd.concat([test, sentinels]).assign(participant=name)


@pytest.fixture
def table() -> pd.DataFrame:
    people = [
        # p1 on the left is the left side; p0 with p1 on the left is the right side.
        person("careful", choices="0110", sides="lrlr", reaction=900, passed=10),
        person("blind", choices="0011", sides="llrr", reaction=900, passed=4),
        person("fast", choices="0101", sides="lrrl", reaction=100, passed=9),
    ]
    return check_answers(pd.concat(people), name="t")


def test_conduct_of_planted_people(table: pd.DataFrame) -> None:
    found = conduct(table)
    assert found.people.tolist() == ["careful", "blind", "fast"]
    assert found.answers.tolist() == [4, 4, 4]
    assert found.quantity("sentinels").tolist() == [1.0, 0.4, 0.9]
    assert found.quantity("fast").tolist() == [0, 0, 1]
    # careful: right right left left; blind: right x4; fast: right right left left
    assert found.streak.tolist() == [2, 4, 2]
    assert found.quantity("side").tolist() == [0.5, 1.0, 0.5]


def test_streaks_follow_the_trials_and_end_with_a_session(table: pd.DataFrame) -> None:
    backwards = table.iloc[::-1]
    assert sorted(conduct(backwards).streak) == sorted(conduct(table).streak)
    split = table.assign(session=["a", "a", "b", "b", *[""] * (len(table) - 4)])
    mixed = split.assign(choice=["p0", "p1", "p0", "p1", *table["choice"][4:]])
    assert conduct(mixed).streak[0] == 2  # right right | right right, in two sessions


def test_the_flow_adds_up(table: pd.DataFrame) -> None:
    table.loc[table["participant"] == "careful", "use"] = [False, *[True] * 13]
    table["reason"] = np.where(table["use"], "", "bad exposure")
    left, flow = exclude(table, [parse_rule("sentinels>=0.8"), parse_rule("fast<=0.2"), parse_rule("answers>=1")])
    assert [(s.what, s.people_out, s.answers_out, s.people_left, s.answers_left) for s in flow] == [
        ("answers to test items", 0, 0, 3, 12),
        ("recorded as unused: bad exposure", 0, 1, 3, 11),
        ("rule sentinels>=0.8", 1, 4, 2, 7),
        ("rule fast<=0.2", 1, 4, 1, 3),
        ("rule answers>=1", 0, 0, 1, 3),
    ]
    assert set(left["participant"]) == {"careful"}
    assert set(left["role"]) == {"test"}


def test_what_is_not_known_excludes_nobody(table: pd.DataFrame) -> None:
    bare = table[["item", "participant", "choice", "role", "task", "use"]]
    left, flow = exclude(bare, [parse_rule("sentinels>=0.8"), parse_rule("side<=0.9")])
    assert len(left) == 12
    assert all("not known" in step.what for step in flow[1:])


def test_who_is_away_is_known_where_focus_is() -> None:
    rows = {"item": list("abcde"), "participant": list("xxxyz"), "choice": "p0", "role": "test", "task": "2afc"}
    lost = [True, False, False, True, np.nan]
    found = conduct(pd.DataFrame({**rows, "use": True, "focus_lost": lost}))
    assert found.quantity("away")[:2] == pytest.approx([1 / 3, 1])
    assert np.isnan(found.quantity("away")[2])
    assert np.isnan(conduct(pd.DataFrame({**rows, "use": True})).quantity("away")).all()


def test_same_or_different_has_choices_for_sides() -> None:
    table = check_answers(
        pd.DataFrame({"item": list("abcd"), "participant": "x", "choice": ["same", "same", "same", "different"]}),
        name="t",
    )
    found = conduct(table)
    assert found.quantity("side")[0] == 0.75
    assert found.streak[0] == 3


@pytest.mark.parametrize("text", ["sentinels>=0.8", "fast<=0.2", "streak<=20", "answers>=10"])
def test_rules_print_and_parse_back(text: str) -> None:
    assert str(parse_rule(text)) == text
    assert parse_rule(f" {text.replace('=', '= ')} ") == parse_rule(text)


@pytest.mark.parametrize("text", ["", "sentinels", "taste>=1", "fast<0.2", "fast<=-1", "fast<=x"])
def test_what_is_no_rule_is_named(text: str) -> None:
    with pytest.raises(DatasetError, match="no exclusion rule"):
        parse_rule(text)


def test_a_bound_itself_is_kept() -> None:
    assert Rule("fast", "<=", 0.2).broken(np.array([0.2, 0.21, np.nan])).tolist() == [False, True, False]
    assert Rule("sentinels", ">=", 0.8).broken(np.array([0.8, 0.79, np.nan])).tolist() == [False, True, False]


def test_an_answer_is_fast_below_200_ms_and_right_where_the_chosen_patch_stood() -> None:
    slow, fast = (
        person(name, choices="1110", sides="rrlr", reaction=ms, passed=10) for name, ms in (("a", 200), ("b", 199.9))
    )
    found = conduct(check_answers(pd.concat([slow, fast]), name="t"))
    assert found.fast.tolist() == [0, 4]
    # p1 on the right twice, p1 on the left, and p0, which is on the left where p1 is on the right.
    assert found.right.tolist() == [2, 2]
    three = conduct(check_answers(person("c", choices="111", sides="rrl", reaction=900, passed=10), name="t"))
    assert (three.right.tolist(), three.sided.tolist()) == ([2], [3])


@pytest.mark.parametrize(("passed", "fast", "kept"), [(8, 2, True), (7, 0, False), (10, 3, False), (10, 0, True)])
def test_careful_people_keep_the_rules_that_hold_unless_others_are_given(passed: int, fast: int, kept: bool) -> None:
    """Eight of ten sentinels, and no more than two of ten answers under 200 ms."""
    table = check_answers(person("a", choices="01" * 5, sides="lr" * 5, reaction=900, passed=passed), name="t")
    table.loc[table.index[:fast], "reaction_ms"] = 150.0
    assert len(exclude(table, DEFAULT_RULES)[0]) == (10 if kept else 0)
