"""`bapps-distort`, in-process."""

import json
import re
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from bapps_builder.images.image_files import encode_png, read_image
from bapps_builder.patch_sets.patch_set import read_patch_set
from distortions import registry
from distortions.commands.bapps_distort import distort
from distortions.recipes import compositions, parse
from distortions.registry import distortions, find

OWN = """
import numpy as np
from distortions.distortion import Parameter, Ramp, distortion

__version__ = "2.0"

@distortion(
    ramp=Ramp(60, 1), draw=lambda strength, rng: {"levels": strength}, border="none",
    levels=Parameter(0, 255, "levels", "taken off"),
)
def darken(patch, rng, *, levels):
    "Take a number off."
    return np.clip(np.rint(patch - float(levels)), 0, 255).astype(np.uint8)
"""


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty current folder, no variables of the user, the search path put back."""
    monkeypatch.delenv("BAPPS_TRACEBACK", raising=False)
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    yield
    sys.path[:] = path
    sys.modules.pop("user_listed", None)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(distort, [str(argument) for argument in arguments])


def done(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*arguments: object) -> str:
    """Exit status 2, nothing on standard output, and one line."""
    result = run(*arguments)
    assert result.exit_code == 2, result.exception
    assert result.stdout == ""
    assert result.stderr.startswith(("Error: ", "Usage: "))
    last = result.stderr.strip().splitlines()[-1]
    assert result.stderr.startswith("Usage: ") or result.stderr.count("\n") == 1, result.stderr
    return last


# --- list, apply, preview ----------------------------------------------------------------------------


def test_list_has_all_with_ranges_and_units() -> None:
    text = done("list")
    for name, found in distortions().items():
        assert f"{name} ({found.family}): " in text
    assert "  quality in [1, 100], whole: of the encoder" in text
    records = json.loads(done("list", "--json"))
    assert [record["name"] for record in records] == list(distortions())
    for record in records:
        assert record["summary"]
        assert record["border"]
        assert all(p["low"] < p["high"] and p["meaning"] for p in record["parameters"])


def test_list_of_compositions() -> None:
    lines = done("list", "--compositions").splitlines()
    assert lines == ["+".join(pair) for pair in compositions()]
    assert len(lines) == 308
    assert json.loads(done("list", "--compositions", "--json")) == [list(pair) for pair in compositions()]


def test_lists_and_sheets_are_of_those_that_are_named(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "user_listed.py").write_text(OWN)
    names = ("--distortions", "user_listed:darken", "jpeg")
    text = done("list", *names)
    assert text.startswith(
        "user_listed:darken (user_listed): Take a number off.\n  levels in [0, 255] levels: taken off"
    )
    assert "\n  from user_listed 2.0, SHA-256 " in text
    assert [line for line in text.splitlines() if line.startswith("jpeg")] == [
        "jpeg (compression): " + find("jpeg").summary
    ]
    own, jpeg = json.loads(done("list", *names, "--json"))
    assert (own["name"], own["source"]["module"], own["source"]["version"]) == (names[1], "user_listed", "2.0")
    assert "source" not in jpeg
    assert done("list", *names, "--compositions").splitlines() == [f"{names[1]}+jpeg", f"jpeg+{names[1]}"]
    done("preview", "--photos", photos, "--out", "sheet.png", *names)
    assert 2 * 128 < read_image(tmp_path / "sheet.png").shape[0] < 3 * 128 + 26
    for command in (("list",), ("preview", "--photos", photos, "--out", "sheet.png")):
        assert "--distortions chooses among the others" in refused(*command, *names, "--cnn")
        assert "unknown distortion 'jpg'; did you mean jpeg" in refused(*command, "--distortions", "jpg")
        assert "cnn-011 is a network, which has no severities" in refused(*command, "--distortions", "cnn-011")


def test_a_broken_plugin_is_left_out_of_the_list_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("swirl", "user_none:swirl", registry.ENTRY_POINTS)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])
    registry._entry_points.cache_clear()
    result = run("list")
    registry._entry_points.cache_clear()
    assert result.exit_code == 0
    assert result.stderr.startswith(
        "left out: distortion 'swirl' of user_none:swirl does not load: ModuleNotFoundError"
    )
    assert result.stdout.startswith("lightness-shift ")


def test_distortions_that_cannot_be_drawn_are_refused(photos: Path) -> None:
    options = ("generate", "--photos", photos, "--out", "set", "--items", 3, "--workers", 1, "--distortions")
    assert "only one to draw from is jpeg" in refused(*options, "jpeg", "jpeg")
    assert "unknown distortion 'jpg'; did you mean jpeg" in refused(*options, "jpg", "shift")
    assert "ModuleNotFoundError: No module named 'user_gone'" in refused(*options, "user_gone:f", "shift")
    assert "--set: '../evil' cannot name a set" in refused(*options, "jpeg", "shift", "--set", "../evil")


@pytest.mark.parametrize("size", [(1, 1), (64, 64), (33, 250)])
def test_apply_takes_any_size_and_a_seed(tmp_path: Path, size: tuple[int, int]) -> None:
    recipe = "uniform-white-noise(amplitude=30)+gaussian-blur(sigma=1.35)"
    image = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    (tmp_path / "in.png").write_bytes(encode_png(image))
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert done("apply", recipe, "in.png", f"{name}.png", "--seed", seed) == ""
    a, b, c = (read_image(tmp_path / f"{name}.png") for name in "abc")
    np.testing.assert_array_equal(a, parse(recipe).apply(image, np.random.default_rng(1)))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


def test_apply_says_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "in.png").write_bytes(encode_png(np.zeros((9, 9, 3), np.uint8)))
    assert "unknown distortion 'gausian-blur'; did you mean gaussian-blur" in refused(
        "apply", "gausian-blur(sigma=1)", "in.png", "out.png"
    )
    assert "quality must be in [1, 100], got 101" in refused("apply", "jpeg(quality=101)", "in.png", "out.png")
    assert "out.jpg: PNG is written; the name must end in .png" in refused("apply", "identity", "in.png", "out.jpg")
    assert "no such folder to write to" in refused("apply", "identity", "in.png", "none/out.png")
    assert "No such file" in refused("apply", "identity", "none.png", "out.png")
    assert "in.txt: not a readable image" in refused("apply", "identity", write(tmp_path / "in.txt"), "out.png")
    assert not (tmp_path / "out.png").exists()


def write(path: Path) -> str:
    path.write_text("hello")
    return path.name


def test_preview_draws_a_sheet(photos: Path, tmp_path: Path) -> None:
    done("preview", "--photos", photos, "--out", "sheet.png")
    sheet = read_image(tmp_path / "sheet.png")
    assert sheet.shape[0] > 20 * 128
    assert sheet.shape[1] > 5 * 128
    (tmp_path / "flat").mkdir()
    (tmp_path / "flat" / "a.png").write_bytes(encode_png(np.zeros((99, 99, 3), np.uint8)))
    assert "has enough contrast for a preview" in refused("preview", "--photos", "flat", "--out", "other.png")


# --- generate and replay -----------------------------------------------------------------------------


def test_generate_of_another_size_then_replay(photos: Path, tmp_path: Path) -> None:
    options = ("--photos", photos, "--out", "set", "--items", 4, "--workers", 1, "--size", "96x80")
    text = done("generate", *options, "--strength", "relative")
    assert text.startswith("set: 4 items\n")
    assert "no distances of a BAPPS set traditional of 96x80 have been published to compare with" in text
    assert done("replay", "set", "--rows", "0-3", "--out", "again").startswith("4 rows, 12 patches, 0 differ")
    assert "a size is one number of pixels" in refused("generate", *options, "--size", "full")
    assert "a patch has sides of 16 to 4096 pixels, got 8x8" in refused("generate", *options, "--size", "8")


def test_generate_then_replay(photos: Path, tmp_path: Path) -> None:
    options = ("--photos", photos, photos / "more", "--out", "set", "--items", 30, "--seed", 5, "--workers", 1)
    text = done("generate", *options)
    first, second, *_, hard, mark = text.splitlines()
    assert first == "set: 30 items"
    assert second.split() == ["lpips-alex", "of", "30", "sampled", "pairs", "mean", "10%", "25%", "50%", "75%", "90%"]
    assert re.fullmatch(r"hard pairs \(\|d0 - d1\| below 0.0184\): \d+\.\d%; BAPPS val/traditional 14\.6%\*", hard)
    assert mark.startswith("* estimated: published distances by a retrained AlexNet LPIPS, times 0.748")
    found = read_patch_set(tmp_path / "set")
    assert found.description.settings["photos"] == 6
    assert done("generate", *options) == "set: complete already, 30 items\n"
    assert "seed was 5 and is 6" in refused("generate", *options, "--seed", 6)
    assert (
        done("replay", "set", "--rows", "3,17-20", "--out", "again")
        == "5 rows, 15 patches, 0 differ from the manifest\n"
    )
    assert len(list((tmp_path / "again").rglob("*.png"))) == 15
    assert "choose another folder" in refused("replay", "set", "--rows", "3", "--out", "set")
    assert "rows are written like" in refused("replay", "set", "--rows", "30", "--out", "again")


def test_a_replay_that_differs_ends_with_1(photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos, tmp_path / "p")
    done("generate", "--photos", "p", "--out", "set", "--items", 5, "--task", "jnd", "--workers", 1)
    description = tmp_path / "set" / "patchset.json"
    manifest = tmp_path / "set" / "manifest.parquet"
    manifest.write_bytes(with_other_digest(manifest))
    description.write_text(description.read_text().replace('"numpy": "', '"numpy": "0.'))
    result = run("replay", "set", "--rows", "0-4", "--out", "again")
    assert result.exit_code == 1
    assert result.stdout == "again/p1/000002.png: differs\n5 rows, 10 patches, 1 differ from the manifest\n"
    assert "made with numpy 0." in result.stderr


def with_other_digest(path: Path) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    digests = table["p1_sha256"].to_pylist()
    digests[2] = "0" * 64
    column = table.schema.get_field_index("p1_sha256")
    pq.write_table(table.set_column(column, "p1_sha256", pa.array(digests)), path)
    return path.read_bytes()


def test_jnd_has_the_threshold_law_unless_told(photos: Path, tmp_path: Path) -> None:
    options = ("generate", "--photos", photos, "--items", 3, "--task", "jnd", "--workers", 1, "--split", "train")
    assert done(*options, "--out", "a") == "a: 3 items\n"
    assert done(*options, "--out", "b", "--severity-law", "uniform") == "b: 3 items\n"
    laws = [read_patch_set(tmp_path / name).description.settings["severity_law"] for name in "ab"]
    assert laws == ["threshold", "uniform"]


def test_skipped_photos_are_named_and_counted(photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos, tmp_path / "p")
    (tmp_path / "p" / "broken.png").write_bytes(b"\x89PNG")
    options = ("generate", "--photos", "p", "--items", 4, "--task", "jnd", "--workers", 1)
    result = run(*options, "--out", "set")
    assert result.exit_code == 0
    assert result.stdout == "set: 4 items, 1 skipped photo\n"
    assert result.stderr.startswith("skipped broken.png: not a readable image")
    (tmp_path / "p" / "worse.png").write_bytes(b"")
    assert "2 of 7 photos cannot be used, the first broken.png" in refused(*options, "--out", "other")
    assert run(*options, "--out", "other", "--max-skipped", 0.3).exit_code == 0


def test_without_weights_only_the_share_is_missing(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAPPS_CACHE", str(tmp_path / "empty"))
    monkeypatch.delenv("BAPPS_WEIGHTS", raising=False)
    result = run("generate", "--photos", photos, "--out", "set", "--items", 3, "--workers", 1)
    assert result.exit_code == 0
    assert result.stdout == "set: 3 items\n"
    assert result.stderr.startswith("how far its patches are from their originals was not computed: no weights alexnet")


def test_generate_says_what_is_wrong(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    options = ("--out", "set", "--items", 3, "--workers", 1)
    assert "empty: no photos in it" in refused("generate", "--photos", "empty", *options)
    assert "none: no such folder of photos" in refused("generate", "--photos", "none", *options)
    assert "none: " in refused("generate", "--photos", photos, *options, "--family", "mix", "--zoo", "none")
    assert "rescale must be two numbers" in refused("generate", "--photos", photos, *options, "--rescale", 2, 1)
    assert "needs the extra" not in refused("generate", "--photos", photos, *options, "--dask", "nonsense")
    write(tmp_path / "file")
    assert "Not a directory" in refused("generate", "--photos", photos, "--out", "file/set", "--items", 3)
    assert "--items" in refused("generate", "--photos", photos, "--out", "set")
    assert not (tmp_path / "set").exists() or not list((tmp_path / "set").glob("*.json"))


# --- import ------------------------------------------------------------------------------------------


def test_import_reports_registration(photos: Path, tmp_path: Path) -> None:
    for path in photos.glob("*.png"):
        pixels = read_image(path)
        for name, image in (("same", pixels), ("moved", np.roll(pixels, 3, 1)), ("half", pixels[::2, ::2])):
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / path.name).write_bytes(encode_png(np.ascontiguousarray(image)))
    (tmp_path / "refs").mkdir()
    for path in photos.glob("*.png"):
        shutil.copy(path, tmp_path / "refs")
    options = ("--reference", "refs", "--items", 8, "--set", "own", "--workers", 1)
    text = done("import", *options, "--outputs", "x=same", "y=moved", "--out", "set")
    assert text.splitlines() == [
        "set: 8 items",
        "x: shifted by 0.00 pixels in the median, 0.0% of images by more than 0.5",
        "y: shifted by 3.00 pixels in the median, 100.0% of images by more than 0.5  MISREGISTERED",
    ]
    assert read_patch_set(tmp_path / "set")[0].set == "own"
    assert "half/a.png: is 150x100, its reference 300x200; name the factor with --scale" in refused(
        "import", *options, "--outputs", "x=same", "y=half", "--out", "other"
    )
    assert not (tmp_path / "other").exists()
    for k, scale in enumerate(("auto", "2")):
        done("import", *options, "--outputs", "x=same", "--outputs", "y=half", "--out", f"other{k}", "--scale", scale)
    assert "--scale needs auto or a number" in refused(
        "import", *options, "--outputs", "x=same", "y=half", "--out", "z", "--scale", "big"
    )
    for outputs in (("same",), ("x=",), ("x=same", "x=half")):
        assert "--outputs are written NAME=DIR, each name once" in refused(
            "import", *options, "--outputs", *outputs, "--out", "z"
        )


# --- help --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(distort.commands))
def test_every_command_shows_an_example(name: str) -> None:
    text = done(name, "--help")
    assert re.search(rf"Examples?:\n +bapps-distort {name}\s", text)
