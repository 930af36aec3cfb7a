"""Tables of distances: written, read back, and refused when they cannot be scored."""

import gzip
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.scoring.distances import SetDistances, check_same_items, read_distances, write_distances
from bapps_builder.errors import DatasetError
from bapps_builder.layout import Task

SUFFIXES = [".csv", ".csv.gz", ".parquet"]


def result(
    task: Task = "2afc",
    label: str = "val/cnn",
    metrics: tuple[str, ...] = ("l2", "ssim"),
    ids: tuple[str, ...] = ("000000", "000007", "000020"),
    seed: int = 0,
) -> SetDistances:
    rng = np.random.default_rng(seed)
    return SetDistances(
        task=task,
        label=label,
        metrics=metrics,
        ids=ids,
        distances=rng.normal(size=(len(metrics), 2 if task == "2afc" else 1, len(ids))),
        labels=rng.integers(0, 6, len(ids)) / 5,
    )


def rows(results: list[SetDistances]) -> list[tuple[object, ...]]:
    """Every number of the results, one tuple a metric and item, in order."""
    return [
        (one.task, one.label, metric, item, *one.distances[m, :, n].tolist(), float(one.labels[n]))
        for one in results
        for m, metric in enumerate(one.metrics)
        for n, item in enumerate(one.ids)
    ]


# --- there and back ----------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "results",
    [
        [result()],
        [result("jnd")],
        [result(), result(label="val/color", seed=1), result("jnd", seed=2), result("jnd", "train/x", seed=3)],
        [result("jnd", metrics=("module:callable", "lpips-vgg@0.0"))],
    ],
    ids=["2afc", "jnd", "both", "names"],
)
def test_what_is_written_is_read_back_to_the_bit(tmp_path: Path, suffix: str, results: list[SetDistances]) -> None:
    path = tmp_path / f"table{suffix}"
    write_distances(path, results)
    found = read_distances(path)
    assert sorted(map(repr, rows(found))) == sorted(map(repr, rows(results)))
    assert all(len(one.metrics) == 1 for one in found)
    assert [one.distances.shape for one in found if one.task == "jnd"] == [
        (1, 1, 3) for one in results for _ in one.metrics if one.task == "jnd"
    ]
    assert [path.name for path in tmp_path.iterdir()] == [path.name]


@given(st.lists(st.floats(allow_nan=False, width=64), min_size=1, max_size=8))
@settings(deadline=None, max_examples=30)
def test_every_distance_survives_csv(tmp_path_factory: pytest.TempPathFactory, values: list[float]) -> None:
    path = tmp_path_factory.mktemp("csv") / "table.csv"
    ids = tuple(f"{k:06d}" for k in range(len(values)))
    written = SetDistances("jnd", "val/x", ("m",), ids, np.array(values)[None, None], np.zeros(len(values)))
    write_distances(path, [written])
    (found,) = read_distances(path)
    np.testing.assert_array_equal(found.distances, written.distances)
    assert found.ids == ids


def test_the_columns_of_a_file_are_those_of_the_documentation(tmp_path: Path) -> None:
    write_distances(tmp_path / "t.csv", [result()])
    assert list(pd.read_csv(tmp_path / "t.csv")) == ["metric", "set", "id", "d0", "d1", "judge"]
    write_distances(tmp_path / "j.parquet", [result("jnd")])
    assert list(pd.read_parquet(tmp_path / "j.parquet")) == ["metric", "set", "id", "distance", "same"]


@pytest.mark.parametrize("name", ["table.txt", "table.CSV.zip", "table", "table.json"])
def test_other_suffixes_are_refused(tmp_path: Path, name: str) -> None:
    message = f"{tmp_path / name}: a table of distances ends in .csv, .csv.gz, .parquet"
    for call in (lambda path: write_distances(path, [result()]), read_distances):
        with pytest.raises(DatasetError, match=re.escape(message)):
            call(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_the_older_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "table.csv"
    path.write_text("older")

    def half(self: pd.DataFrame, to: Path, **keywords: object) -> None:
        to.write_text("half")
        raise OSError("disk full")

    monkeypatch.setattr(pd.DataFrame, "to_csv", half)
    with pytest.raises(OSError, match="disk full"):
        write_distances(path, [result()])
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


# --- tables of other tools ---------------------------------------------------------------------------


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_plain_table_goes_by_the_name_of_its_file(tmp_path: Path) -> None:
    (found,) = read_distances(write(tmp_path / "hdr-vdp.v3.csv", "judge,id,d1,d0\n0.2,000012,1,2\n1,7,3,4.5\n"))
    assert (found.task, found.label, found.metrics) == ("2afc", "hdr-vdp.v3", ("distances",))
    assert found.ids == ("000012", "7")
    assert found.distances.tolist() == [[[2, 4.5], [1, 3]]]
    assert found.labels.tolist() == [0.2, 1]


def test_a_jnd_table(tmp_path: Path) -> None:
    (found,) = read_distances(write(tmp_path / "x.csv", "id,distance,same,metric\na,0.5,1,mine\nb,-inf,0,mine\n"))
    assert (found.task, found.metrics) == ("jnd", ("mine",))
    assert found.distances.tolist() == [[[0.5, -np.inf]]]


def test_sets_and_metrics_come_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = "id,set,metric,d0,d1,judge\n0,b,y,1,2,0\n0,a,y,3,4,0\n0,b,x,5,6,0\n1,b,y,7,8,1\n0,,,9,9,0\n"
    found = read_distances(write(tmp_path / "t.csv", text))
    assert [(one.label, one.metrics[0], one.ids) for one in found] == [
        ("b", "y", ("0", "1")),
        ("a", "y", ("0",)),
        ("b", "x", ("0",)),
        ("t", "distances", ("0",)),
    ]


def test_ids_of_numbers_in_parquet_are_text(tmp_path: Path) -> None:
    table = pd.DataFrame({"id": [3, 12], "d0": [1.0, 2], "d1": [2, 3], "judge": np.array([0, 1], np.float32)})
    table.to_parquet(tmp_path / "t.parquet")
    (found,) = read_distances(tmp_path / "t.parquet")
    assert found.ids == ("3", "12")
    assert found.distances.dtype == np.float64


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,d0,d1\na,1,2\n", "has the columns id, d0, d1; expected id, d0, d1, judge or id, distance, same"),
        ("id,distance,judge\na,1,1\n", "expected id, d0, d1, judge or id, distance, same"),
        ("id,d0,d1,judge\n", "holds no rows"),
        ("", "not a readable table: No columns"),
        ("id,d0,d1,judge\na,1,2,0\na,1,2,0\n", "two rows for item a of set t, metric distances"),
        ("id,d0,d1,judge\na,1,2,0\nb,,2,0\n", "1 of 2 values of d0 are not a number, the first for item b: nan"),
        ("id,d0,d1,judge\na,1,x,0\nb,1,y,0\n", "2 of 2 values of d1 are not a number, the first for item a: 'x'"),
        (
            "id,d0,d1,judge\na,1,2,1.01\n",
            "1 of 1 values of judge are not a fraction in [0, 1], the first for item a: 1.01",
        ),
        ("id,d0,d1,judge\na,1,2,-0.1\n", "values of judge are not a fraction in [0, 1]"),
        ("id,d0,d1,judge\na,1,2,\n", "values of judge are not a fraction in [0, 1]"),
        ("id,distance,same\na,nan,1\n", "1 of 1 values of distance are not a number, the first for item a: nan"),
        ("id,d0,d1,judge\n,1,2,0.5\na,1,2,0.5\n", "id"),
    ],
)
def test_a_table_that_cannot_be_scored_is_one_line_with_file_and_item(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path / "t.csv", text)
    with pytest.raises(DatasetError, match=rf"^{re.escape(str(path))}: .*{re.escape(message)}"):
        read_distances(path)


@pytest.mark.parametrize(
    "text",
    [
        "id,d0,d1,judge\n0.3,0.2,0.5,0.9,x\n0.4,0.3,0.5,0.9,x\n",
        "id,d0,d1,judge\na,0.2,0.5,0.9,0.1\nb,0.3,0.5,0.9,0.1\n",
    ],
)
def test_rows_longer_than_the_header_do_not_shift_columns(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "t.csv", text)
    try:
        (found,) = read_distances(path)
    except DatasetError as error:
        assert str(error).startswith(f"{path}: ")  # noqa: PT017 - refusing is as good as reading by position
    else:
        assert found.distances.tolist() == [[[0.2, 0.3], [0.5, 0.5]]]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "content", [b"", b"\x00\xff\xfe rubbish" * 20, b"PAR1" * 30, gzip.compress(b"\xff" * 50, mtime=0)]
)
def test_a_broken_file_is_one_line(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"t{suffix}"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=rf"^{re.escape(str(path))}: "):
        read_distances(path)


def test_a_damaged_gzip_stream_is_one_line(tmp_path: Path) -> None:
    text = "id,d0,d1,judge\n" + "".join(f"{k:06d},{k / 7},{k / 9},0.4\n" for k in range(200))
    whole = gzip.compress(text.encode(), mtime=0)
    path = tmp_path / "t.csv.gz"
    for at in range(10, len(whole), 97):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        with pytest.raises(DatasetError, match=rf"^{re.escape(str(path))}: "):
            read_distances(path)
        path.write_bytes(whole[:at])
        with pytest.raises(DatasetError, match=rf"^{re.escape(str(path))}: "):
            read_distances(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_missing_file_is_named(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(
        DatasetError, match=rf"^{re.escape(str(tmp_path / 'absent'))}{re.escape(suffix)}: no such file$"
    ):
        read_distances(tmp_path / f"absent{suffix}")


def test_a_published_table_can_be_read(shared_data: Path) -> None:
    (found,) = read_distances(shared_data / "bapps-judgments" / "color.csv.gz")
    assert (found.task, found.label) == ("2afc", "color")
    assert found.distances.shape == (1, 2, len(found.ids))
    d0, d1 = found.distances[0]
    wrong = np.where(d0 < d1, found.labels, np.where(d1 < d0, 1 - found.labels, 0.5))
    assert 1 - wrong.mean() == pytest.approx(0.6523, abs=5e-5)


# --- the same items ----------------------------------------------------------------------------------


def test_results_about_the_same_items_in_any_order_pass_and_others_do_not() -> None:
    first = result(seed=4)
    turned = SetDistances(
        "2afc", first.label, ("other",), first.ids[::-1], first.distances[:1, :, ::-1], first.labels[::-1]
    )
    elsewhere = result(label="val/color", ids=("x",))
    check_same_items([first, turned, elsewhere, result("jnd", ids=("y",))])
    fewer = SetDistances("2afc", first.label, ("few",), first.ids[:2], first.distances[:1, :, :2], first.labels[:2])
    message = r"^set val/cnn: few and l2 are about different items \(1 in one only, such as 000020\)$"
    with pytest.raises(DatasetError, match=message):
        check_same_items([first, elsewhere, fewer])


def test_other_answers_for_an_item_are_named() -> None:
    first = result(seed=4)
    labels = first.labels.copy()
    labels[1] = 1 - labels[1] / 2 if labels[1] < 0.6 else 0.0
    other = SetDistances("2afc", first.label, ("other",), first.ids, first.distances[:1], labels)
    message = f"set val/cnn: other and l2 have different answers for item 000007: {labels[1]} and {first.labels[1]}"
    with pytest.raises(DatasetError, match=re.escape(message)):
        check_same_items([first, other])


def test_answers_that_differ_by_rounding_are_the_same() -> None:
    first = result(seed=4)
    rounded = first.labels.astype(np.float32).astype(np.float64)
    check_same_items([first, SetDistances("2afc", first.label, ("o",), first.ids, first.distances[:1], rounded)])
    assert not np.array_equal(rounded, first.labels)


def test_one_metric_twice_in_a_set_is_refused() -> None:
    with pytest.raises(DatasetError, match=r"val/cnn.*l2"):
        check_same_items([result(), result(seed=0)])
