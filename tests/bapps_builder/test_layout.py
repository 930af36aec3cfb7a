"""Finding the sets of a dataset."""

import re
from pathlib import Path

import pytest

from bapps_builder.errors import DatasetError
from bapps_builder.layout import PAPER_GROUPS, PAPER_SETS, SetFolder, Task, find_sets, paper_order

BOTH: tuple[Task, ...] = ("2afc", "jnd")


def make(root: Path, *sets: str) -> Path:
    for one in sets:
        (root / one).mkdir(parents=True)
    return root


def labels(found: list[SetFolder]) -> list[str]:
    return [f"{one.task}/{one.label}" for one in found]


def test_a_set_spells_its_label_and_path() -> None:
    folder = SetFolder(Path("/data"), "jnd", "val", "cnn")
    assert folder.label == "val/cnn"
    assert folder.path == Path("/data/jnd/val/cnn")


def test_validation_sets_come_in_the_order_of_the_paper_then_by_name(tmp_path: Path) -> None:
    make(tmp_path, *(f"2afc/val/{name}" for name in ["zebra", "apple", *sorted(PAPER_SETS)]), "2afc/train/cnn")
    wanted = ["traditional", "cnn", "superres", "deblur", "color", "frameinterp", "apple", "zebra"]
    assert labels(find_sets(tmp_path, BOTH)) == [f"2afc/val/{name}" for name in wanted]


def test_training_sets_are_taken_when_a_task_has_no_others(tmp_path: Path) -> None:
    make(tmp_path, "2afc/train/mix", "jnd/val/cnn", "jnd/train/mix")
    assert labels(find_sets(tmp_path, BOTH)) == ["2afc/train/mix", "jnd/val/cnn"]


@pytest.mark.parametrize(
    ("tasks", "wanted", "found"),
    [
        (BOTH, ["val/cnn"], ["2afc/val/cnn", "jnd/val/cnn"]),
        (("jnd",), ["val/cnn"], ["jnd/val/cnn"]),
        (BOTH, ["train/mix", "val/cnn"], ["2afc/train/mix", "2afc/val/cnn", "jnd/val/cnn"]),
        (BOTH, ["val/cnn", "train/mix", "val/cnn"], ["2afc/val/cnn", "2afc/train/mix", "jnd/val/cnn"]),
        (("jnd", "2afc"), ["val/cnn"], ["jnd/val/cnn", "2afc/val/cnn"]),
    ],
)
def test_wanted_sets_come_in_the_order_asked(
    tmp_path: Path, tasks: tuple[Task, ...], wanted: list[str], found: list[str]
) -> None:
    make(tmp_path, "2afc/val/traditional", "2afc/val/cnn", "2afc/train/mix", "jnd/val/cnn")
    assert labels(find_sets(tmp_path, tasks, wanted)) == found


def test_an_unknown_set_is_an_error_that_lists_those_there(tmp_path: Path) -> None:
    make(tmp_path, "2afc/val/cnn", "jnd/val/cnn")
    message = f"{tmp_path}: no set 'val/cn'; there: val/cnn (2afc), val/cnn (jnd)"
    with pytest.raises(DatasetError, match=re.escape(message)):
        find_sets(tmp_path, BOTH, ["val/cnn", "val/cn"])


def test_a_set_of_the_other_task_is_not_there(tmp_path: Path) -> None:
    make(tmp_path, "2afc/val/color", "jnd/val/cnn")
    with pytest.raises(DatasetError, match=r"no set 'val/color'; there: val/cnn \(jnd\)"):
        find_sets(tmp_path, ["jnd"], ["val/color"])


@pytest.mark.parametrize("sets", [[], ["2afc/val"], ["2afc/val/.cache"], ["val/cnn"], ["2afc/test/cnn"]])
def test_a_folder_without_sets_is_an_error_that_says_where_they_go(tmp_path: Path, sets: list[str]) -> None:
    make(tmp_path, *sets)
    message = f"{tmp_path}: no sets in it; expected folders {tmp_path}/2afc/val/SET or {tmp_path}/jnd/val/SET"
    with pytest.raises(DatasetError, match=re.escape(message)):
        find_sets(tmp_path, BOTH)


@pytest.mark.parametrize("name", ["absent", "file"])
def test_what_is_no_folder_is_an_error_that_names_it(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatasetError, match=re.escape(f"{tmp_path / name}: no such folder")):
        find_sets(tmp_path / name, BOTH)


def test_files_beside_the_sets_do_not_count(tmp_path: Path) -> None:
    make(tmp_path, "2afc/val/cnn")
    (tmp_path / "2afc" / "val" / "readme.txt").write_text("")
    assert labels(find_sets(tmp_path, BOTH)) == ["2afc/val/cnn"]


def test_the_groups_of_the_paper_split_its_sets() -> None:
    assert [name for group in PAPER_GROUPS.values() for name in group] == list(PAPER_SETS)
    assert sorted(["b", "color", "a", "traditional"], key=paper_order) == ["traditional", "color", "a", "b"]
