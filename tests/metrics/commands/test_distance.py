"""`bapps-distance`, in-process; all pairs of a folder have a file of their own."""

import csv
import io
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
from refusals import assert_one_line
from small_images import Pixels, noise, run, write

from bapps_builder.images.image_files import encode_png, read_image
from metrics.commands.distance import distance
from metrics.deep.lpips import LPIPS

pytestmark = pytest.mark.usefixtures("empty_place")


def l2(a: Pixels, b: Pixels) -> float:
    return float(np.mean((a.astype(np.float64) / 127.5 - b.astype(np.float64) / 127.5) ** 2))


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    return write(tmp_path / "a.png", noise(1)), write(tmp_path / "b.png", noise(2))


# --- bapps-distance ----------------------------------------------------------------------------------


def test_two_images_as_text(pair: tuple[Path, Path]) -> None:
    result = run(distance, *pair, "--metric", "l2", "--metric", "l1")
    assert (result.exit_code, result.stderr) == (0, "")
    table, about = result.stdout.splitlines()[:2], result.stdout.splitlines()[2:]
    header, row = (line.split() for line in table)
    assert about == [
        "l2: mean squared difference, RGB in [-1, 1]",
        "l1: mean absolute difference, RGB in [-1, 1]",
    ]
    assert header == ["a", "b", "l2", "l1"]
    assert row[:2] == [str(path) for path in pair]
    assert float(row[2]) == pytest.approx(l2(noise(1), noise(2)), abs=1e-6)
    assert float(row[3]) == pytest.approx(np.abs(noise(1) / 127.5 - noise(2) / 127.5).mean(), abs=1e-6)


def test_two_images_as_json_and_csv(pair: tuple[Path, Path]) -> None:
    found = json.loads(run(distance, *pair, "--metric", "l2", "--json").stdout)
    description = "mean squared difference, RGB in [-1, 1]"
    assert found["metrics"] == {"l2": {"description": description, "verified": True, "weights": []}}
    (row,) = found["distances"]
    assert row == {"a": str(pair[0]), "b": str(pair[1]), "l2": pytest.approx(l2(noise(1), noise(2)), rel=1e-12)}
    (again,) = csv.DictReader(io.StringIO(run(distance, *pair, "--metric", "l2", "--csv").stdout))
    assert {**again, "l2": float(again["l2"])} == row


def test_json_is_json_when_a_distance_is_infinite(pair: tuple[Path, Path]) -> None:
    def refuse(name: str) -> Any:
        raise AssertionError(f"{name} is no JSON")

    result = run(distance, pair[0], pair[0], "--metric", "psnr", "--json")
    assert result.exit_code == 0
    json.loads(result.stdout, parse_constant=refuse)


def test_two_folders_are_paired_by_name(tmp_path: Path) -> None:
    for k, name in enumerate(["x", "y", "z"]):
        write(tmp_path / "left" / f"{name}.png", noise(k, 10 + k, 12))
        write(tmp_path / "right" / f"{name}.png", noise(10 + k, 10 + k, 12))
    (tmp_path / "left" / "notes.txt").write_text("no image")
    (tmp_path / "left" / ".hidden.png").write_text("no image")
    found = json.loads(run(distance, "left", "right", "--metric", "l2", "--json").stdout)["distances"]
    assert [(row["a"], row["b"]) for row in found] == [(f"left/{n}.png", f"right/{n}.png") for n in "xyz"]
    wanted = [l2(noise(k, 10 + k, 12), noise(10 + k, 10 + k, 12)) for k in range(3)]
    assert [row["l2"] for row in found] == pytest.approx(wanted, rel=1e-12)


def test_all_pairs_of_one_folder(tmp_path: Path) -> None:
    for k in range(4):
        write(tmp_path / "frames" / f"{k}.png", noise(k))
    found = json.loads(run(distance, "frames", "--metric", "l2", "--json").stdout)["distances"]
    assert [(row["a"][-5], row["b"][-5]) for row in found] == [
        ("0", "1"), ("0", "2"), ("0", "3"), ("1", "2"), ("1", "3"), ("2", "3"),
    ]  # fmt: skip
    for row in found:
        assert row["l2"] == pytest.approx(l2(noise(int(row["a"][-5])), noise(int(row["b"][-5]))), rel=1e-12)


def test_many_images_are_taken_in_batches(tmp_path: Path) -> None:
    for k in range(5):
        write(tmp_path / "left" / f"{k}.png", noise(k, 200, 300))
        write(tmp_path / "right" / f"{k}.png", noise(20 + k, 200, 300))
    found = json.loads(run(distance, "left", "right", "--metric", "l2", "--json").stdout)["distances"]
    wanted = [l2(noise(k, 200, 300), noise(20 + k, 200, 300)) for k in range(5)]
    assert [row["l2"] for row in found] == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "digits"),
    [("lpips-alex", 0.721881), ("lpips-alex@0.0", 0.4056), ("alex", 4.8266), ("lpips-vgg", 0.5686)],
)
def test_nets_give_the_numbers_of_the_release(shared_data: Path, name: str, digits: float) -> None:
    examples = shared_data / "lpips-examples"
    result = run(distance, examples / "ex_ref.png", examples / "ex_p0.png", "--metric", name, "--json")
    if isinstance(result.exception, SystemExit) and "cannot be obtained" in result.stderr:
        pytest.skip(result.stderr)
    assert json.loads(result.stdout)["distances"][0][name] == pytest.approx(digits, abs=6e-5)


def test_a_map_shows_where_images_differ(tmp_path: Path) -> None:
    a = noise(1, 64, 64)
    b = a.copy()
    b[:20, :20] ^= 0xFF
    result = run(
        distance, write(tmp_path / "a.png", a), write(tmp_path / "b.png", b),
        "--metric", "alex@random", "--map", "where.png",
    )  # fmt: skip
    assert result.exit_code == 0
    assert re.fullmatch(r"where\.png: dark is 0, bright is \d+\.\d{4}\n", result.stderr)
    found = read_image(tmp_path / "where.png").astype(int).sum(2)
    assert found.shape == (64, 64)
    assert found[:16, :16].mean() > found[48:, 48:].mean() + 50
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png", "where.png"]


def test_help_shows_examples() -> None:
    for command, example in [(distance, "bapps-distance --metric lpips-alex original.png decoded.png")]:
        result = run(command, "--help")
        assert result.exit_code == 0
        assert example in result.stdout


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["absent.png", "b.png", "--metric", "l2"], ["absent.png: no such file or folder"]),
        (["a.png", "absent.png", "--metric", "l2"], ["absent.png: no such file or folder"]),
        (["a.png", "cut.png", "--metric", "l2"], ["cut.png: truncated PNG (60 bytes"]),
        (["a.png", "text.png", "--metric", "l2"], ["text.png: not a readable image"]),
        (
            ["a.png", "wide.png", "--metric", "l2"],
            ["a.png is 16x16, wide.png is 20x16; two images must be of the same size"],
        ),
        (["a.png", "b.png", "--metric", "l3"], ["unknown metric 'l3'; did you mean l2"]),
        (["a.png", "b.png", "--metric", "absent_x:f"], ["No module named 'absent_x'"]),
        (["a.png", "b.png", "--metric", "ssim@x"], ["unknown variant ssim@x"]),
        (["empty", "empty", "--metric", "l2"], ["empty: holds no images"]),
        (["empty", "--metric", "l2"], ["empty: holds 0 images; all pairs of a folder need two"]),
        (["one", "empty", "--metric", "l2"], ["one/x has no partner in empty (1 such in all); names must match"]),
        (["twice", "one", "--metric", "l2"], ["twice/x.png and twice/x.bmp: two images of one name"]),
        (["a.png", "b.png", "--metric", "l2", "--map", "m.png"], ["metric l2 has no spatial map"]),
        (["a.png", "b.png", "--metric", "absent_x:f", "--map", "empty"], ["empty: is a folder"]),
        (["a.png", "b.png", "--metric", "absent_x:f", "--map", "one.png"], ["one.png: is a folder"]),
        (["a.png", "b.png", "--metric", "absent_x:f", "--map", "m.jpg"], ["m.jpg: --map writes PNG", "'.jpg'"]),
        (["a.png", "b.png", "--metric", "absent_x:f", "--map", "m"], ["m: --map writes PNG"]),
        (
            ["a.png", "b.png", "--metric", "absent_x:f", "--map", "no/m.png"],
            ["/no: no such folder to write the map to"],
        ),
        (
            ["sizes", "--metric", "l2"],
            ["sizes/0.png is 16x16, sizes/1.png is 20x16; all pairs of a folder need images"],
        ),
        (["a.png", "b.png", "--metric", "l2", "--unverified-weights", "x", "y"], ["no weights are called 'x'"]),
        (["a.png", "b.png", "--metric", "alex", "--unverified-weights", "alexnet", "y.npz"], ["y.npz"]),
        (["a.png", "b.png", "--metric", "alex@random"], ["images must have at least 31 pixels a side, got 16"]),
        (["a.png", "b.png", "--metric", "lpips:absent.pth"], ["absent.pth: no LPIPS weights"]),
        (["a.png", "b.png", "--metric", "alex", "--weights", "absent"], ["absent: no such folder of weights"]),
        (["a.png", "b.png", "--metric", "alex@random", "--device", "nonsense"], ["nonsense"]),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, arguments: list[str], parts: list[str]) -> None:
    write(tmp_path / "a.png", noise(1))
    write(tmp_path / "b.png", noise(2))
    write(tmp_path / "wide.png", noise(2, 16, 20))
    (tmp_path / "cut.png").write_bytes(encode_png(noise(3))[:60])
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "empty").mkdir()
    (tmp_path / "one.png").mkdir()
    write(tmp_path / "sizes" / "0.png", noise(1))
    write(tmp_path / "sizes" / "1.png", noise(1, 16, 20))
    write(tmp_path / "one" / "x.png", noise(1))
    write(tmp_path / "twice" / "x.png", noise(1))
    write(tmp_path / "twice" / "x.bmp", noise(1))
    before = sorted(tmp_path.rglob("*"))
    assert_one_line(run(distance, *arguments), *parts)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.png", "b.png", "--metric", "l2", "--json", "--csv"], "--json and --csv exclude each other"),
        (["a.png", "--metric", "l2"], "a.png is one image; name a second one, or a folder"),
        (["a.png", "folder", "--metric", "l2"], "name two images or two folders, not one of each"),
        (["folder", "--metric", "alex", "--map", "m.png"], "--map needs two images, not folders"),
        (["a.png", "b.png", "--metric", "l2", "--metric", "l1", "--map", "m.png"], "--map needs one --metric"),
        (["a.png", "b.png"], "Missing option '--metric'"),
    ],
)
def test_wrong_usage_is_status_2(pair: tuple[Path, Path], tmp_path: Path, arguments: list[str], message: str) -> None:
    for k in range(3):
        write(tmp_path / "folder" / f"{k}.png", noise(k))
    result = run(distance, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-1].startswith(f"Error: {message}")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return np.array([np.nan])", "returned NaN for 1 of 1 pairs"),
        ("raise KeyError('inside')", "raised KeyError: 'inside'"),
        ("return np.zeros((1, 2))", "must return 1 distances, shape (1,), got (1, 2)"),
    ],
)
def test_a_metric_of_the_user_that_fails_is_one_line_that_names_the_images(
    pair: tuple[Path, Path], tmp_path: Path, body: str, message: str
) -> None:
    (tmp_path / "user_bad.py").write_text(f"import numpy as np\ndef f(a, b):\n    {body}\n")
    assert_one_line(run(distance, *pair, "--metric", "user_bad:f"), "user_bad:f", message, *pair)


def test_a_metric_of_the_current_folder_is_found(pair: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "user_seven.py").write_text("def f(a, b):\n    return [7.0] * len(a)\n")
    found = json.loads(run(distance, *pair, "--metric", "user_seven:f", "--json").stdout)
    assert found["distances"][0]["user_seven:f"] == 7


def test_a_map_into_a_folder_that_is_absent_names_the_file(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a.png", noise(1, 64, 64)), write(tmp_path / "b.png", noise(2, 64, 64))
    result = run(distance, a, b, "--metric", "alex@random", "--map", tmp_path / "absent" / "where.png")
    assert_one_line(result, tmp_path / "absent")
    assert ".writing-" not in result.stderr


# --- what is printed, and when -----------------------------------------------------------------------


def test_csv_rows_are_written_as_they_come(tmp_path: Path) -> None:
    for k in range(3):
        write(tmp_path / "left" / f"{k}.png", noise(k, 10 + k, 12))
        write(tmp_path / "right" / f"{k}.png", noise(5 + k, 10 + k, 12))
    (tmp_path / "right" / "2.png").write_bytes(b"broken")
    result = run(distance, "left", "right", "--metric", "l2", "--csv")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: right/2.png: not a readable image")
    # The first pair was complete when the third, of another size than the second, was met.
    assert result.stdout.splitlines()[0] == "a,b,l2"
    assert [line.partition(",")[0] for line in result.stdout.splitlines()[1:]] == ["left/0.png"]


def test_csv_is_written_to_standard_output_beside_a_progress_bar(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # what standard error is on a terminal
    result = run(distance, *pair, "--metric", "l2", "--csv")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == "a,b,l2"
    assert len(result.stdout.splitlines()) == 2
    assert "a,b,l2" not in result.stderr


def test_the_distance_is_printed_even_if_the_map_cannot_be_written(pair: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "user_map.py").write_text(
        "from metrics.metric import Metric\ndef spatial(a, b):\n    raise RuntimeError('no map today')\n"
        "m = Metric('m', 'about m', lambda a, b: [0.5] * len(a), spatial=spatial)\n"
    )
    result = run(distance, *pair, "--metric", "user_map:m", "--map", "m.png")
    assert result.exit_code == 2
    assert "0.500000" in result.stdout
    assert result.stderr.count("\n") == 1
    assert "the map of metric user_map:m: RuntimeError: no map today" in result.stderr
    assert not (tmp_path / "m.png").exists()


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """A file of AlexNet weights drawn at random."""
    state = LPIPS.blank("alex").net.state_dict()
    np.savez(
        tmp_path / "mine.npz", **{f"features.{name.partition('.')[2]}": value.numpy() for name, value in state.items()}
    )
    return tmp_path / "mine.npz"


def test_unverified_weights_are_marked_wherever_they_are_shown(tmp_path: Path, drawn: Path) -> None:
    a, b = write(tmp_path / "a.png", noise(1, 64, 64)), write(tmp_path / "b.png", noise(2, 64, 64))
    options = (a, b, "--metric", "alex", "--metric", "l2", "--unverified-weights", "alexnet", drawn)
    text = run(distance, *options).stdout.splitlines()
    assert re.split(" {2,}", text[0]) == ["a", "b", "alex (unverified)", "l2"]
    assert re.fullmatch(r"alex: uncalibrated LPIPS .* on alex, .* \[alexnet [0-9a-f]{8} UNVERIFIED\]", text[2])
    assert text[3:] == ["l2: mean squared difference, RGB in [-1, 1]"]

    table = run(distance, *options, "--csv").stdout
    assert table.splitlines()[0] == "a,b,alex (unverified),l2"

    found = json.loads(run(distance, *options, "--json").stdout)
    assert {name: about["verified"] for name, about in found["metrics"].items()} == {"alex": False, "l2": True}
    (weights_of_alex,) = found["metrics"]["alex"]["weights"]
    assert (weights_of_alex["name"], weights_of_alex["verified"]) == ("alexnet", False)
    assert f"[alexnet {weights_of_alex['sha256'][:8]} UNVERIFIED]" in text[2]
    assert found["metrics"]["l2"]["weights"] == []
    (row,) = found["distances"]
    assert list(row) == ["a", "b", "alex", "l2"]
    assert row["alex"] == pytest.approx(float(next(csv.DictReader(io.StringIO(table)))["alex (unverified)"]))


# --- images as people have them ----------------------------------------------------------------------


def test_images_are_turned_flattened_and_converted_as_photographs_are(tmp_path: Path) -> None:
    pixels = noise(5, 12, 20)
    turned, linear = Image.Exif(), ImageCms.createProfile("XYZ")
    turned[0x0112] = 6
    Image.fromarray(np.rot90(pixels).copy()).save(tmp_path / "turned.png", exif=turned)
    Image.fromarray(pixels).save(tmp_path / "plain.tif")
    Image.fromarray(pixels.astype(np.uint16)[..., 0] * 257).save(tmp_path / "deep.png")
    Image.fromarray(pixels[..., 0]).save(tmp_path / "grey.bmp")
    Image.fromarray(np.dstack([pixels, np.zeros_like(pixels[..., 0])]), "RGBA").save(tmp_path / "clear.png")
    write(tmp_path / "white.png", np.full_like(pixels, 255))
    for a, b in (("turned.png", "plain.tif"), ("deep.png", "grey.bmp"), ("clear.png", "white.png")):
        result = run(distance, tmp_path / a, tmp_path / b, "--metric", "l1", "--json")
        assert json.loads(result.stdout)["distances"][0]["l1"] == 0
    Image.fromarray(pixels).save(tmp_path / "lab.png", icc_profile=ImageCms.ImageCmsProfile(linear).tobytes())
    result = run(distance, tmp_path / "lab.png", tmp_path / "plain.tif", "--metric", "l1")
    assert_one_line(result)
    assert "lab.png: its colour profile is for XYZ; convert it to sRGB first" in result.stderr


def test_what_is_passed_over_in_folders_is_said_and_no_pipe_is_waited_for(tmp_path: Path) -> None:
    for name in ("left/a.png", "right/a.png"):
        write(tmp_path / name, noise(1))
    (tmp_path / "left" / "notes.txt").write_text("")
    os.mkfifo(tmp_path / "left" / "pipe.png")
    (tmp_path / "right" / os.fsdecode(b"caf\xe9.png")).write_bytes(b"")
    result = run(distance, tmp_path / "left", tmp_path / "right", "--metric", "l1")
    assert result.exit_code == 0
    assert result.stderr == (
        f"{tmp_path / 'left'}: 2 entries passed over: 1 .png, 1 .txt\n"
        f"{tmp_path / 'right'}: 1 entry passed over: 1 .png\n"
    )


def test_a_name_that_is_not_utf8_is_printed_as_it_can_be(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    strange = tmp_path / os.fsdecode(b"caf\xe9.png")
    strange.write_bytes(pair[0].read_bytes())
    result = run(distance, strange, pair[1], "--metric", "l1")
    assert result.exit_code == 0
    assert r"caf\xe9.png" in result.stdout
