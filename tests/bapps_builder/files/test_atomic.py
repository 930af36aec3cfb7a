"""A file appears whole or not at all."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from bapps_builder.files.atomic import replaced_whole


@pytest.fixture
def umask() -> Iterator[int]:
    before = os.umask(0o027)
    yield 0o027
    os.umask(before)


@pytest.mark.parametrize("older", [None, "older"])
def test_the_target_is_replaced_when_the_block_ends(tmp_path: Path, older: str | None) -> None:
    target = tmp_path / "table.csv"
    if older:
        target.write_text(older)
    with replaced_whole(target) as temporary:
        temporary.write_text("new")
        assert (target.read_text() if target.exists() else None) == older
        assert temporary.parent == target.parent
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("raised", [RuntimeError("no"), KeyboardInterrupt(), SystemExit(3)])
@pytest.mark.parametrize("older", [None, "older"])
def test_a_block_that_raises_leaves_nothing_new(tmp_path: Path, raised: BaseException, older: str | None) -> None:
    target = tmp_path / "table.csv"
    if older:
        target.write_text(older)

    def write() -> None:
        with replaced_whole(target) as temporary:
            temporary.write_text("half")
            raise raised

    with pytest.raises(type(raised)):
        write()
    assert (target.read_text() if target.exists() else None) == older
    assert [path.name for path in tmp_path.iterdir()] == (["table.csv"] if older else [])


@pytest.mark.parametrize("name", ["table.csv", "table.csv.gz", "v0.1.parquet", "plain"])
def test_the_temporary_file_has_the_suffix_that_writers_choose_by(tmp_path: Path, name: str) -> None:
    with replaced_whole(tmp_path / name) as temporary:
        assert temporary.suffix == Path(name).suffix
        assert temporary.name.endswith(".csv.gz") == name.endswith(".csv.gz")
        assert temporary.name.startswith(".")


def test_the_result_has_the_permissions_of_an_ordinary_file(tmp_path: Path, umask: int) -> None:
    with replaced_whole(tmp_path / "new") as temporary:
        temporary.write_text("x")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o666 & ~umask
    assert os.umask(umask) == umask  # unchanged by the call


def test_a_missing_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"), replaced_whole(tmp_path / "absent" / "x.csv"):
        pytest.fail("the block must not run")


def test_a_folder_in_the_way_is_an_error_and_stays(tmp_path: Path) -> None:
    (tmp_path / "x.csv").mkdir()
    with pytest.raises(IsADirectoryError), replaced_whole(tmp_path / "x.csv") as temporary:
        temporary.write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]
