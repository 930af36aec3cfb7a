"""`bapps-score` refuses what it cannot score in one line that says what to do."""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from refusals import assert_one_line
from score_command import noise, run, write_set

from bapps_builder.images.image_files import encode_png

pytestmark = pytest.mark.usefixtures("empty_place")


def test_two_files_that_give_one_metric_twice_are_refused(tmp_path: Path) -> None:
    for folder, d1 in (("one", 2), ("two", 0)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "d.csv").write_text(f"id,d0,d1,judge\na,1,{d1},1\n")
    assert_one_line(run("--distances", "one/d.csv", "--distances", "two/d.csv"), "distances", "set d")


def test_without_data_the_commands_that_make_or_download_some_are_shown() -> None:
    result = run("--metric", "l2")
    assert (result.exit_code, result.stdout) == (2, "")
    lines = result.stderr.splitlines()
    assert lines[0] == "No dataset: neither --data nor $BAPPS_DATA is given, and ./dataset does not exist."
    assert any("bapps-build download --split val --split jnd --out dataset" in line for line in lines)
    assert lines[-1].strip() == "make demo"


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--data", "absent"], ["absent: no such folder; it should hold 2afc/ or jnd/"]),
        (["--data", "empty"], ["empty: no sets in it; expected folders empty/2afc/val/SET or empty/jnd/val/SET"]),
        (["--data", "DATA", "--set", "val/cn"], ["no set 'val/cn'; there: val/traditional (2afc), val/cnn (2afc)"]),
        (["--data", "DATA", "--set", "val/traditional", "--task", "jnd"], ["no set 'val/traditional'"]),
        (["--data", "DATA", "--metric", "l3"], ["unknown metric 'l3'; did you mean l2"]),
        (["--data", "DATA", "--metric", "lpips-alex@9"], ["unknown variant lpips-alex@9"]),
        (["--data", "DATA", "--metric", "absent_x:f"], ["No module named 'absent_x'"]),
        (
            ["--data", "DATA", "--load", "exact"],
            ["/000000.png: enlarging its pixels again does not give the file back"],
        ),
        (["--data", "DATA", "--distances", "absent.csv"], ["absent.csv: no such file"]),
        (["--data", "DATA", "--distances", "bad.csv"], ["bad.csv: has the columns a, b; expected id, d0, d1, judge"]),
        (["--data", "DATA", "--save-distances", "absent/x.csv"], ["no such folder to write to"]),
        (["--data", "DATA", "--save-distances", "x.txt"], ["x.txt: a table of distances ends in .csv"]),
        (["--data", "DATA", "--metric", "alex", "--weights", "absent"], ["absent: no such folder of weights"]),
        (["--data", "DATA", "--metric", "alex", "--unverified-weights", "x", "y"], ["no weights are called 'x'"]),
        (
            ["--data", "DATA", "--metric", "alex", "--unverified-weights", "alexnet", "absent.npz"],
            ["absent.npz: not a"],
        ),
        (["--data", "DATA", "--metric", "alex", "--unverified-weights", "alexnet", "misfit.npz"], ["alexnet"]),
        (["--data", "DATA", "--metric", "alex@random", "--device", "nonsense"], ["nonsense"]),
    ],
)
def test_bad_input_is_one_line(data: Path, tmp_path: Path, arguments: list[str], parts: list[str]) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    np.savez(tmp_path / "misfit.npz", other=np.ones(3))
    before = sorted(tmp_path.iterdir())
    arguments = [str(data) if argument == "DATA" else argument for argument in arguments]
    assert_one_line(run("--metric", "l2", *arguments), *parts)
    assert sorted(tmp_path.iterdir()) == before


def test_a_suffix_that_cannot_be_written_is_said_before_the_work(data: Path, tmp_path: Path) -> None:
    (tmp_path / "user_never.py").write_text(
        "def f(a, b):\n    open('called', 'w').close()\n    return [0.0] * len(a)\n"
    )
    assert run("--metric", "user_never:f", "--data", data, "--save-distances", "x.txt").exit_code == 2
    assert not (tmp_path / "called").exists()


class Planted:
    """Unpickling this makes the folder `ran`."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.mkdir, (Path("ran"),)


def planted_array() -> bytes:
    out = io.BytesIO()
    np.save(out, np.array([Planted()], dtype=object), allow_pickle=True)
    return out.getvalue()


def npy(*values: float) -> bytes:
    out = io.BytesIO()
    np.save(out, np.array(values, np.float32))
    return out.getvalue()


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("p0/000001.png", encode_png(noise(0))[:3000], "000001.png: truncated PNG (3000 bytes"),
        ("p0/000001.png", b"hello", "000001.png: not a readable image"),
        ("p1/000001.png", encode_png(noise(0, side=60)), "item 000001: images differ in size"),
        ("p1/000001.png", None, "item 000001 has a file in ref/ but none in p1/"),
        ("judge/000001.npy", None, "item 000001 has a file in ref/ but none in judge/"),
        ("ref/000009.png", encode_png(noise(0)), "item 000009 has a file in ref/ but none in p0/"),
        ("judge/000001.npy", npy(1.5), "000001.npy: must hold a fraction in [0, 1], got 1.5"),
        ("judge/000001.npy", npy(float("nan")), "000001.npy: must hold a fraction in [0, 1], got nan"),
        ("judge/000001.npy", npy(0.5, 0.5), "000001.npy: must hold one number in [0, 1], got shape (2,)"),
        ("judge/000001.npy", b"", "000001.npy: not a readable .npy array of numbers"),
        ("judge/000001.npy", planted_array(), "000001.npy: not a readable .npy array of numbers"),
        ("judge/000001.npy", pickle.dumps(Planted()), "000001.npy: not a readable .npy array of numbers"),
        ("p0/readme.txt", b"x", "p0/readme.txt: does not belong here; expected .bmp"),
    ],
)
def test_a_broken_set_is_one_line_that_names_the_file(
    tmp_path: Path, file: str, content: bytes | None, message: str
) -> None:
    write_set(tmp_path / "data", "2afc", "val/x", [0.0, 0.5, 1.0], seed=7)
    path = tmp_path / "data" / "2afc" / "val" / "x" / file
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    # Native, so that images of two sizes meet.
    result = run("--metric", "l2", "--data", "data", "--load", "native", "--save-distances", "d.csv")
    assert_one_line(result, "data/2afc/val/x", message)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize(
    ("task", "body", "message"),
    [
        (
            "2afc",
            "out = np.zeros(len(a)); out[1] = np.nan; return out",
            "val/x, item 000001: metric user_bad:f returned NaN for 1 of 3 pairs",
        ),
        (
            "jnd",
            "return np.full(len(a), np.nan)",
            "val/x, item 000000: metric user_bad:f returned NaN for 3 of 3 pairs",
        ),
        (
            "2afc",
            "1 / 0",
            "val/x, items 000000 to 000002: metric user_bad:f raised ZeroDivisionError: division by zero",
        ),
        ("2afc", "raise ValueError('two\\nlines')", "raised ValueError: two lines"),
        ("2afc", "return np.zeros((len(a), 2))", "must return 3 distances, shape (3,), got (3, 2)"),
        ("2afc", "return 'text'", "metric user_bad:f returned no array of numbers"),
    ],
)
def test_a_metric_of_the_user_that_fails_is_one_line(tmp_path: Path, task: str, body: str, message: str) -> None:
    write_set(tmp_path / "data", task, "val/x", [0.0, 0.5, 1.0], seed=7)
    (tmp_path / "user_bad.py").write_text(f"import numpy as np\ndef f(a, b):\n    {body}\n")
    result = run("--metric", "l2", "--metric", "user_bad:f", "--data", "data", "--save-distances", "d.csv")
    assert_one_line(result, message)
    assert not (tmp_path / "d.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to score: name a --metric (see --help) or a file with --distances"),
        (["--metric", "l2", "--json", "--csv"], "--json and --csv exclude each other"),
        (["--metric", "l2", "--task", "3afc"], "Invalid value for '--task'"),
        (["--metric", "l2", "--load", "other"], "Invalid value for '--load'"),
        (["--metric", "l2", "--batch-size", "0"], "Invalid value for '--batch-size'"),
        (["--metrics", "l2"], "No such option"),
        (["--metric", "l2", "--ci", "items", "--level", "1"], "1.0 is not in the range 0.5<=x<=0.999"),
        (["--distances", "d.csv", "--device", "cuda"], "--device is about images, and only --distances are scored"),
        (["--distances", "d.csv", "--load", "exact"], "--load is about images, and only --distances are scored"),
    ],
)
def test_wrong_usage_is_status_2(arguments: list[str], message: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr.splitlines()[-1]


def test_no_rows_for_the_task_is_said(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("id,d0,d1,judge\na,1,2,0\n")
    assert_one_line(run("--distances", "d.csv", "--task", "jnd"), "d.csv: nothing for the task jnd")
    assert_one_line(run("--distances", "d.csv", "--set", "val/other"), "d.csv: nothing for the task both")
