"""Images that others bring: in a table, or in plain folders."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
from build_command import Answers, built, counted_by_hand, fractions, refused, written
from PIL import Image, ImageCms

from bapps_builder.checking.set_files import list_files
from bapps_builder.checking.verify import verify


def test_images_named_by_a_table_become_bare_png_files(tmp_path: Path, make_answers: Answers) -> None:
    (tmp_path / "images").mkdir()
    rng = np.random.default_rng(0)
    pixels = {}
    for index in range(4):
        for role in ("ref", "p0", "p1"):
            name = f"{role}-{index}.{'jpg' if role == 'p1' else 'png'}"
            image = Image.fromarray(rng.integers(0, 256, (96, 96, 3), dtype=np.uint8))
            exif = Image.Exif()
            exif[0x010F] = "a camera"
            image.save(tmp_path / "images" / name, exif=exif)
            pixels[index, role] = np.asarray(Image.open(tmp_path / "images" / name).convert("RGB"))
    rows = [
        {
            "item": f"pair {index}",
            "set": "codec",
            **{role: f"images/{role}-{index}.png" for role in ("ref", "p0")},
            "p1": f"images/p1-{index}.jpg",
            "photo": f"{index}.tif",
            "p1_recipe": "codec",
        }
        for index in range(4)
    ]
    items = written(pd.DataFrame(rows), tmp_path / "items.csv")
    answers = [
        {"item": f"pair {index}", "participant": f"person {person}", "choice": "p1" if index < person else "p0"}
        for index in range(4)
        for person in range(5)
    ]
    file = written(pd.DataFrame(answers), tmp_path / "a.csv")
    built("--items", items, "--answers", file, "--out", tmp_path / "out", "--min-answers", 5)
    root = tmp_path / "out/2afc/val/codec"
    assert fractions(tmp_path / "out", "2afc", "val/codec") == {
        f"{index:06d}": float(np.float32((4 - index) / 5)) for index in range(4)
    }
    for (index, role), wanted in pixels.items():
        data = (root / role / f"{index:06d}.png").read_bytes()
        assert b"camera" not in data
        assert b"eXIf" not in data
        np.testing.assert_array_equal(np.asarray(Image.open(root / role / f"{index:06d}.png")), wanted)
    assert not verify(tmp_path / "out", list_files(tmp_path / "out")).failed


def test_other_peoples_images_are_kept_as_they_are_shown(tmp_path: Path) -> None:
    """Turned by their tag, their colours converted by their profile; a plain PNG says neither of them any more."""
    rng = np.random.default_rng(4)
    turned, profile = Image.Exif(), bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    turned[0x0112] = 3
    at = profile.index(b"rXYZ") + 4, profile.index(b"bXYZ") + 4  # where red and blue are said: they change places
    profile[at[0] : at[0] + 8], profile[at[1] : at[1] + 8] = profile[at[1] : at[1] + 8], profile[at[0] : at[0] + 8]
    pixels = {role: rng.integers(0, 256, (64, 64, 3), dtype=np.uint8) for role in ("ref", "p0", "p1")}
    (tmp_path / "images").mkdir()
    Image.fromarray(pixels["ref"]).save(tmp_path / "images/ref.png")
    Image.fromarray(pixels["p0"][::-1, ::-1].copy()).save(tmp_path / "images/p0.png", exif=turned)
    exchanged = pixels["p1"][..., ::-1].copy()
    Image.fromarray(exchanged).save(tmp_path / "images/p1.png", icc_profile=bytes(profile))
    row = {"item": "0", "set": "codec", **{role: f"images/{role}.png" for role in pixels}}
    items = written(pd.DataFrame([row]), tmp_path / "items.csv")
    answers = [{"item": "0", "participant": str(person), "choice": "p1"} for person in range(5)]
    file = written(pd.DataFrame(answers), tmp_path / "a.csv")
    built("--items", items, "--answers", file, "--out", tmp_path / "out", "--min-answers", 5)
    for role, wanted in pixels.items():
        data = (tmp_path / f"out/2afc/val/codec/{role}/000000.png").read_bytes()
        assert not {b"eXIf", b"iCCP"} & {data[at : at + 4] for at in range(len(data))}
        found = np.asarray(Image.open(io.BytesIO(data))).astype(int)
        assert np.abs(found - wanted).max() <= (2 if role == "p1" else 0)
    assert not verify(tmp_path / "out", list_files(tmp_path / "out")).failed


def test_images_in_plain_folders(tmp_path: Path, patches: Path, make_answers: Answers) -> None:
    (patches / "manifest.parquet").unlink()
    table = make_answers(sentinels=0).drop(columns="set")
    answers = written(table, tmp_path / "a.csv")
    built("--items", patches, "--set", "train/mine", "--answers", answers, "--out", tmp_path / "out")
    assert fractions(tmp_path / "out", "2afc", "train/mine") == counted_by_hand(table)
    (patches / "p0" / "000003.png").unlink()
    assert "1 items have no file in p0/, the first 000003" in refused(
        "build", "--items", patches, "--answers", answers, "--out", tmp_path / "again"
    )
