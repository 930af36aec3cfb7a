"""Ids that lost their zeros: padded and said where they match, an error where nothing does."""

import warnings

import pandas as pd
import pytest

from bapps_builder.answers.item_ids import check_found, respelled, spellings
from bapps_builder.answers.vote_counts import match
from bapps_builder.errors import DatasetError, Notice

KEPT = ("000000", "000001", "000120")


@pytest.mark.parametrize("lost", [("0", "1", "120"), ("0.0", "1.0", "120.0"), ("00", "01", "120")])
def test_numbers_take_the_longest_spelling(lost: tuple[str, ...]) -> None:
    wanted = dict(zip(lost, KEPT, strict=True))
    assert spellings([KEPT, lost]) == spellings([lost, KEPT]) == wanted
    assert spellings([KEPT, KEPT]) == {}


def test_what_is_no_number_or_two_items_stays() -> None:
    assert spellings([("a01", "1e3", "-1", "٣"), ("a1", "01e3", "-01", "03")]) == {}
    assert spellings([("1", "001"), ("01", "2"), ("002",)]) == {"2": "002"}
    assert spellings([("",), ("0",)]) == {}


def table(*ids: str, label: str = "") -> pd.DataFrame:
    found = pd.DataFrame({"item": ids})
    return found.assign(set=label) if label else found


def test_what_changed_is_said_with_its_number_and_an_example() -> None:
    with pytest.warns(Notice, match=r"^mine: 2 ids had lost their zeros and were padded, as '0' to '000000'$"):
        kept, lost = respelled(("theirs", table(*KEPT)), ("mine", table("0", "1", "7", "0")))
    assert kept["item"].tolist() == list(KEPT)
    assert lost["item"].tolist() == ["000000", "000001", "7", "000000"]


def test_ids_of_another_set_do_not_count() -> None:
    """One set counts with two digits, the other with six; a table without sets is about both."""
    both = pd.concat([table("07", "08", label="val/a"), table("000007", label="val/b")], ignore_index=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same, _ = respelled(("x", both), ("y", both))
    assert same is both
    with pytest.warns(Notice, match="'7' to '000007'"):
        _, found = respelled(("x", table("000007", label="val/b")), ("y", table("7", "9")))
    assert found["item"].tolist() == ["000007", "9"]


def test_none_found_shows_one_of_each_and_a_part_is_counted() -> None:
    with pytest.raises(
        DatasetError, match=r"^mine: none of the 2 ids of it is in it; .* like 'x', and it are like 'a'$"
    ):
        check_found(table("a", "b"), table("x", "y"), of="it", name="mine")
    with pytest.raises(DatasetError, match="mine: is about val/other, and it are of val/cnn"):
        check_found(table("a", label="val/cnn"), table("a", label="val/other"), of="it", name="mine")
    with pytest.warns(Notice, match="^mine: 2 of the 3 ids of it are not in it, the first 'b'$"):
        check_found(table("a", "b", "c"), table("a", "x"), of="it", name="mine")


@pytest.mark.parametrize("by_set", [True, False])
def test_answers_find_items_whose_zeros_they_lost(by_set: bool) -> None:
    items = pd.DataFrame({"source_set": "val/noise", "source_id": KEPT, "task": "2afc"})
    answers = pd.DataFrame({"item": ["120", "1", "1"], "task": "2afc", "role": "test", "choice": "p0"})
    answers = answers.assign(set="val/noise") if by_set else answers
    with pytest.warns(Notice, match=r"a\.csv: 2 ids had lost their zeros"):
        assert match(answers, items, name="a.csv")["at"].tolist() == [2, 1, 1]
    with pytest.raises(DatasetError, match=r"3 of 3 answers .* 'x'.*, where items are like '000000'"):
        match(answers.assign(item="x"), items, name="a.csv")
