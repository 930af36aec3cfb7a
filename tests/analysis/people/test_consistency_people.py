"""Shares of a whole study, of people whose own answers are alike."""

import numpy as np
import pandas as pd
import pytest

from analysis.people.consistency_jnd import jnd
from analysis.people.consistency_people import side_and_speed
from analysis.people.consistency_settings import Settings
from analysis.people.judgments import Judgments
from analysis.statistics.shares import share_of_people
from bapps_builder.answers.answer_table import check_answers, votes

PEOPLE, EACH = 20, 50


def answers(task: str) -> Judgments:
    """Half of the people always choose the right side (or "same"), the others never do."""
    person = np.repeat(np.arange(PEOPLE), EACH)
    choice = np.where(person % 2, *(("p1", "p0") if task == "2afc" else ("same", "different")))
    table = pd.DataFrame(
        {
            "task": task,
            "set": "val/cnn",
            "item": [f"{k:03d}" for k in np.tile(np.arange(EACH), PEOPLE)],
            "participant": [f"w{k}" for k in person],
            "choice": choice,
        }
    )
    checked = check_answers(table if task == "jnd" else table.assign(side="right"), name="t")
    items = votes(checked[checked["use"]]).drop(columns="task").assign(identical=False)
    return Judgments("2afc" if task == "2afc" else "jnd", items, checked)


def test_side_bias_has_an_interval_over_people() -> None:
    section = side_and_speed(answers("2afc"), Settings())
    rows = [dict(zip((column.name for column in section.columns), row, strict=True)) for row in section.rows]
    assert [row["count"] for row in rows] == [500, 500]
    expected = share_of_people([0, EACH] * 10, [EACH] * PEOPLE)
    assert expected.low < 0.3  # over answers it was .469
    for row in rows:
        assert row["share"] == 0.5
        assert row["interval"] == pytest.approx((expected.low, expected.high))
        assert row["effective"] == pytest.approx(PEOPLE, rel=0.06)
    assert any("one person's answers are alike" in note for note in section.notes)


def test_called_the_same_has_an_interval_over_people_where_they_are_known() -> None:
    known, unknown = answers("jnd"), Judgments("jnd", answers("jnd").items, None)
    [row, *_], columns = jnd(known, Settings(draws=100))[0].rows, jnd(known, Settings(draws=100))[0].columns
    assert [column.name for column in columns] == ["pairs", "answers", "called same", "interval", "effective"]
    expected = share_of_people([0, EACH] * 10, [EACH] * PEOPLE)
    assert row == ("all", 1000, 0.5, pytest.approx((expected.low, expected.high)), pytest.approx(expected.effective))
    over_answers = jnd(unknown, Settings(draws=100))[0]
    assert over_answers.rows[0][3] == pytest.approx((0.469, 0.531), abs=1e-3)
    assert "people are unknown" in over_answers.notes[0]


def test_the_level_is_that_asked_for() -> None:
    wide, narrow = (side_and_speed(answers("2afc"), Settings(level=level)).rows[0][4] for level in (0.99, 0.8))
    assert isinstance(wide, tuple)
    assert isinstance(narrow, tuple)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]
