"""Releases, read with the libraries they are made for; and what must never be in one."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from bapps_builder.answers.columns import COLUMNS
from bapps_builder.commands.bapps_build import build as command
from bapps_builder.errors import DatasetError
from bapps_builder.images.bare_png import bare_png
from bapps_builder.images.image_files import decode_image, encode_png
from bapps_builder.layout import Task
from bapps_builder.releasing.public_schema import (
    ANSWER_SCHEMA,
    MEANINGS,
    PUBLISHED,
    WITHHELD,
    check_columns,
    item_schema,
)

Make = Callable[..., Path]
Answers = Callable[..., pd.DataFrame]
TASKS: tuple[Task, ...] = ("2afc", "jnd")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory, make_patch_set: Make, make_answers: Answers) -> Path:
    """Training and validation sets whose people agreed that single answers are published."""
    root = tmp_path_factory.mktemp("publish")
    arguments = ["build", "--out", root / "dataset", "--name", "A set: 日本", "--consent", "v2", "--raw-answers-public"]
    for split in ("train", "val"):
        photo = f"{split}/{{}}.png"
        patches = make_patch_set(
            root / split, split=split, seed=len(split), photo=lambda i, photo=photo: photo.format(i)
        )
        make_answers(label=f"{split}/noise", study=split).to_csv(root / f"{split}.csv", index=False)
        arguments += ["--patches", patches, "--answers", root / f"{split}.csv"]
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return root / "dataset"


@pytest.fixture(scope="session")
def parquet(dataset: Path) -> Path:
    out = dataset.parent / "parquet"
    result = run("publish", "--to", "parquet", "--license", "cc-by-4.0", "--answers", "--shard-items", 5, dataset, out)
    assert result.exit_code == 0, result.output
    assert "Look at the patches before this leaves the house" in result.stderr
    return out


@pytest.fixture(scope="session")
def tars(dataset: Path) -> Path:
    out = dataset.parent / "tars"
    arguments = ["--to", "webdataset", "--license", "cc-by-4.0", "--faces-checked", "--shard-items", 5]
    result = run("publish", *arguments, dataset, out)
    assert result.exit_code == 0, result.output
    assert "Look at the patches" not in result.stderr
    return out


def pixels_of(dataset: Path, split: str, role: str, item: str) -> np.ndarray:
    return np.asarray(Image.open(dataset / f"2afc/{split}/noise/{role}/{item}.png"))


# --- read by others ----------------------------------------------------------------------------------

# In a process of its own: the library reads its settings when it is imported, and warns in ways of its own.
_LOAD = """
import json, sys
import numpy as np
from datasets import load_dataset
found = {}
for config in ("2afc", "answers"):
    for split, rows in load_dataset(sys.argv[1], config).items():
        found[f"{config} {split}"] = {
            "rows": len(rows),
            "types": {name: type(kind).__name__ for name, kind in rows.features.items()},
        }
        if config == "2afc":
            row = rows[7]
            found[f"{config} {split}"]["row"] = {
                name: np.asarray(value).tolist() if name in ("ref", "p0", "p1") else value
                for name, value in row.items()
            }
print("FOUND" + json.dumps(found))
"""


def test_hugging_face_datasets_shows_the_pictures(dataset: Path, parquet: Path, tmp_path: Path) -> None:
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf"), "HF_DATASETS_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", _LOAD, str(parquet)],
        env={**os.environ, **offline},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "malformed" not in done.stderr
    assert "Ignoring" not in done.stderr
    found = json.loads(done.stdout.partition("FOUND")[2])
    assert {name: one["rows"] for name, one in found.items()} == {
        "2afc train": 12,
        "2afc validation": 12,
        "answers train": 60,
        "answers validation": 60,
    }
    one = found["2afc validation"]
    assert one["types"] == {
        name: "Image" if name in ("ref", "p0", "p1") else "Value" for name in item_schema("2afc").names
    }
    for role in ("ref", "p0", "p1"):
        np.testing.assert_array_equal(one["row"][role], pixels_of(dataset, "val", role, "000007"))
    judge = np.load(dataset / "2afc/val/noise/judge/000007.npy")
    assert np.float32(one["row"]["judge"]) == judge[0]
    assert (one["row"]["id"], one["row"]["n"], one["row"]["p0_recipe"]) == ("000007", 5, "white-noise(sigma=40)")


def test_webdataset_reads_the_tars(dataset: Path, tars: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own
        from webdataset.compat import WebDataset

        shards = sorted(str(path) for path in (tars / "data/2afc").glob("validation-*.tar"))
        assert len(shards) == 3
        decoded = WebDataset(shards, shardshuffle=False, empty_check=False).decode("rgb8")
        samples = list(cast(Iterable[dict[str, Any]], decoded))
    assert [sample["__key__"] for sample in samples] == [f"validation/noise/{index:06d}" for index in range(12)]
    for role in ("ref", "p0", "p1"):
        np.testing.assert_array_equal(samples[4][f"{role}.png"], pixels_of(dataset, "val", role, "000004"))
    assert samples[4]["json"]["k"] / samples[4]["json"]["n"] == pytest.approx(samples[4]["json"]["judge"])


_RECORDS = """
import json, sys
import mlcroissant
import numpy as np
read = mlcroissant.Dataset(jsonld=sys.argv[1])
found = {}
for name, picture, key in json.loads(sys.argv[2]):
    for row in read.records(name):
        text = row[key]
        found[text.decode() if isinstance(text, bytes) else text] = np.asarray(row[picture]).tolist()
print("FOUND" + json.dumps({"errors": sorted(read.metadata.issues.errors), "records": found}))
"""


@pytest.mark.parametrize("kind", ["parquet", "tars"])
def test_croissant_metadata_is_valid_and_leads_to_the_records(
    dataset: Path, kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    root = request.getfixturevalue(kind)
    if kind == "parquet":
        names = [f"2afc-validation-{number}" for number in range(3)]
        wanted = [(name, f"{name}/ref", f"{name}/id") for name in names]
        keys = [f"{index:06d}" for index in range(12)]
    else:
        name = "2afc-validation-ref.png"
        wanted = [(name, f"{name}/content", f"{name}/path")]
        keys = [f"validation/noise/{index:06d}.ref.png" for index in range(12)]
    done = subprocess.run(
        [sys.executable, "-c", _RECORDS, str(root / "croissant.json"), json.dumps(wanted)],
        env={**os.environ, "CROISSANT_CACHE": str(tmp_path)},  # which is read when the library is imported
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout.partition("FOUND")[2])
    assert found["errors"] == []
    assert sorted(found["records"]) == keys
    for index, key in enumerate(keys):
        np.testing.assert_array_equal(found["records"][key], pixels_of(dataset, "val", "ref", f"{index:06d}"))


def test_the_card_has_the_fields_of_the_hub(parquet: Path, tars: Path) -> None:
    from huggingface_hub import DatasetCard

    for root in (parquet, tars):
        card = DatasetCard.load(root / "README.md")
        fields = card.data.to_dict()
        assert fields["license"] == "cc-by-4.0"
        assert fields["pretty_name"] == "A set: 日本"
        assert fields["size_categories"] == ["n<1K"]
        assert fields["annotations_creators"] == ["crowdsourced"]
        listed = [file for one in fields["configs"] for part in one["data_files"] for file in part["path"]]
        assert sorted(listed) == sorted(
            path.relative_to(root).as_posix() for path in (root / "data").rglob("*") if path.is_file()
        )
    assert "The publishers did not say that they looked" in (parquet / "README.md").read_text()
    assert "The publishers looked for faces" in (tars / "README.md").read_text()


def test_checksums_are_those_of_every_file(parquet: Path) -> None:
    sums = dict(line.split("  ")[::-1] for line in (parquet / "SHA256SUMS").read_text().splitlines())
    files = {path.relative_to(parquet).as_posix() for path in parquet.rglob("*") if path.is_file()} - {"SHA256SUMS"}
    assert set(sums) == files
    for name, wanted in sums.items():
        assert hashlib.sha256((parquet / name).read_bytes()).hexdigest() == wanted


# --- people ------------------------------------------------------------------------------------------


def test_answers_are_coarse_and_their_people_have_fresh_numbers(dataset: Path, parquet: Path) -> None:
    released = pq.read_table(parquet / "data/answers/validation-00000-of-00001.parquet")
    assert released.schema.names == ANSWER_SCHEMA.names
    table = released.to_pandas()
    raw = pd.read_parquet(dataset / "2afc/val/noise/answers.parquet")
    assert sorted(table["person"].unique()) == list(range(5))
    assert (table["reaction_ms"] % 10 == 0).all()
    assert set(table["device"]) == {"pointer", "touch"}
    # The same answers: every person's choices, whoever the number stands for.
    theirs = {tuple(part.sort_values("item")["choice"]) for _, part in raw.groupby("participant")}
    ours = {tuple(part.sort_values("id")["choice"]) for _, part in table.groupby("person")}
    assert ours == theirs
    assert table["id"].is_monotonic_increasing  # sorted, so the order in time is gone
    whole = b"".join(path.read_bytes() for path in parquet.rglob("*") if path.is_file())
    for secret in (b"pseudonym", b"session-", b"2026-01-01", b"study", b"raise/", b"train/1.png"):
        assert secret not in whole, secret


def test_two_releases_cannot_be_joined_but_a_seed_repeats_one(dataset: Path, tmp_path: Path) -> None:
    def people(name: str, *options: object) -> list[int]:
        arguments = ["--to", "parquet", "--license", "mit", "--answers", "--no-verify"]
        assert run("publish", *arguments, *options, dataset, tmp_path / name).exit_code == 0
        table = pd.read_parquet(tmp_path / name / "data/answers/validation-00000-of-00001.parquet")
        items = pd.read_parquet(tmp_path / name / "data/2afc/validation-00000-of-00001.parquet")
        return [*table["reaction_ms"], *table["person"], *items["photo"]]

    assert people("one") != people("two")
    assert people("three", "--seed", 1) == people("four", "--seed", 1)


def test_a_new_column_must_be_decided_about() -> None:
    assert {column.name for column in COLUMNS} == {*PUBLISHED, *WITHHELD}
    assert not set(PUBLISHED) & set(WITHHELD)
    assert set(MEANINGS) == {*ANSWER_SCHEMA.names, *(name for task in TASKS for name in item_schema(task).names)}
    with pytest.raises(DatasetError, match=r"the columns ip, name are not in the public schema"):
        check_columns(pd.DataFrame(columns=["item", "ip", "name"]), name="answers")


@pytest.mark.parametrize("table", ["answers", "items"])
def test_any_other_column_ends_the_release(dataset: Path, tmp_path: Path, table: str) -> None:
    copy = shutil.copytree(dataset, tmp_path / "copy")
    path = copy / f"2afc/val/noise/{table}.parquet"
    pd.read_parquet(path).assign(ip_address="10.0.0.1").to_parquet(path, index=False)
    result = run("publish", "--to", "parquet", "--license", "mit", "--no-verify", copy, tmp_path / "out")
    assert result.exit_code == 2
    assert "ip_address" in result.stderr
    assert not (tmp_path / "out").exists()


def test_raw_answers_need_a_consent_that_allows_them(
    tmp_path: Path, make_patch_set: Make, make_answers: Answers
) -> None:
    patches = make_patch_set(tmp_path / "patches", items=2)
    for name, simulated in (("real", False), ("program", True)):
        make_answers(2).assign(simulated=simulated).to_csv(tmp_path / f"{name}.csv", index=False)
        options = ["--patches", patches, "--answers", tmp_path / f"{name}.csv", "--consent", "v1"]
        assert run("build", *options, "--out", tmp_path / name).exit_code == 0
    arguments = ["publish", "--to", "parquet", "--license", "mit"]
    result = run(*arguments, "--answers", tmp_path / "real", tmp_path / "out")
    assert result.exit_code == 2
    assert "the consent 'v1'" in result.stderr
    assert "leave out --answers" in " ".join(result.stderr.split())
    assert run(*arguments, tmp_path / "real", tmp_path / "out").exit_code == 0
    assert not (tmp_path / "out/data/answers").exists()
    assert run(*arguments, "--answers", tmp_path / "program", tmp_path / "simulated").exit_code == 0
    assert "(simulated)" in (tmp_path / "simulated/README.md").read_text()
    # One program among people does not speak for them.
    mixed = make_answers(2)
    mixed["simulated"] = mixed["participant"] == "pseudonym-1"
    mixed.to_csv(tmp_path / "mixed.csv", index=False)
    options = ["--patches", patches, "--answers", tmp_path / "mixed.csv"]
    assert run("build", *options, "--out", tmp_path / "mixed").exit_code == 0
    result = run(*arguments, "--answers", tmp_path / "mixed", tmp_path / "refused")
    assert result.exit_code == 2
    assert "no consent that allows" in " ".join(result.stderr.split())
    result = run(
        "build", "--patches", patches, "--answers", tmp_path / "real.csv", "--out", "x", "--raw-answers-public"
    )
    assert result.exit_code == 2


# --- pictures ----------------------------------------------------------------------------------------


def test_what_a_camera_wrote_into_a_file_is_gone(shared_data: Path, tmp_path: Path) -> None:
    """Also of datasets of others, whose files are published as they are otherwise."""
    copy = tmp_path / "2afc/val/cnn"
    shutil.copytree(shared_data / "bapps-mini/2afc/val/cnn", copy, copy_function=shutil.copyfile)
    path = next(iter(sorted((copy / "ref").iterdir())))
    image, exif = Image.open(path), Image.Exif()
    exif[0x010E] = "taken at home"
    image.save(path, exif=exif)
    arguments = ["publish", "--to", "webdataset", "--license", "other", "--no-verify"]
    assert run(*arguments, tmp_path, tmp_path / "out").exit_code == 0
    with tarfile.open(tmp_path / "out/data/2afc/validation-000000.tar") as archive:
        members = {member.name: member for member in archive.getmembers()}
        assert {(member.uid, member.mtime, member.uname) for member in members.values()} == {(0, 0, "")}
        file = archive.extractfile(f"validation/cnn/{path.stem}.ref.png")
        assert file is not None
        data = file.read()
    assert b"home" not in data
    np.testing.assert_array_equal(decode_image(data, name="x"), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("kind", ["bare", "text", "exif", "trailing", "palette", "grey", "jpeg", "profile"])
def test_a_bare_png_shows_the_same_and_says_nothing_else(kind: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    image, out = Image.fromarray(pixels), io.BytesIO()
    exif = Image.Exif()
    exif[0x010E] = "secret"
    if kind == "text":
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        info.add_text("Comment", "secret")
        image.save(out, "PNG", pnginfo=info)
    elif kind == "exif":
        image.save(out, "PNG", exif=exif)
    elif kind == "profile":
        image.save(out, "PNG", icc_profile=b"secret" * 20, compress_level=0)
    elif kind in ("palette", "grey"):
        image.convert("P" if kind == "palette" else "L").save(out, "PNG")
    elif kind == "jpeg":
        image.save(out, "JPEG", exif=exif)
    else:
        out.write(encode_png(pixels) + (b"secret" if kind == "trailing" else b""))
    data = out.getvalue()
    shown = decode_image(data, name="x")
    bare = bare_png(data, shown)
    assert b"secret" not in bare
    np.testing.assert_array_equal(decode_image(bare, name="x"), shown)
    chunks = [bare[at - 4 : at] for at in range(4, len(bare)) if bare[at - 4 : at] in (b"tEXt", b"eXIf", b"iCCP")]
    assert chunks == []
    assert (bare is data) == (kind == "bare")


def test_a_faulty_dataset_is_not_published(dataset: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(dataset, tmp_path / "copy")
    (copy / "2afc/val/noise/p0/000001.png").write_bytes(b"")
    result = run("publish", "--to", "parquet", "--license", "mit", copy, tmp_path / "out")
    assert result.exit_code == 1
    assert "is not published" in result.stderr
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    assert run("publish", "--to", "parquet", "--license", "mit", dataset, tmp_path / "out").exit_code == 2
