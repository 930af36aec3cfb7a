"""How a set's files are read: pixels decide, not sizes; and what is asked for against them is warned about."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from bapps_builder.datasets.load_mode import LoadChoice, LoadMode, choose_load, load_image
from bapps_builder.datasets.reader import ItemSet
from bapps_builder.errors import ImageError
from bapps_builder.images.image_files import encode_png
from bapps_builder.layout import SetFolder

Pixels = NDArray[np.uint8]


def noise(seed: int, height: int = 64, width: int = 64) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def enlarged(patch: Pixels) -> Pixels:
    """As the release's files were made: by 4, the sources of a row's pixels written out from the rule."""
    side = patch.shape[0]
    source = [int((side - 1) * x / (4 * side - 1) + 0.5) for x in range(4 * side)]
    return patch[np.ix_(source, source)]


def write(folder: Path, *images: Pixels) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number:06d}.png" for number in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        path.write_bytes(encode_png(image))
    return paths


@pytest.mark.parametrize(
    ("images", "mode", "why"),
    [
        ([enlarged(noise(1)), enlarged(noise(2))], "official", "enlarged patches"),
        ([enlarged(noise(1, 63, 63)), enlarged(noise(2))], "official", "enlarged patches"),
        ([enlarged(noise(1)), np.full((256, 256, 3), 9, np.uint8)], "official", "enlarged patches"),
        ([noise(1), noise(2)], "native", "64x64"),
        ([noise(1, 256, 256)], "native", "000000.png, 256x256"),
        ([enlarged(noise(1)), noise(1, 256, 256)], "native", "000001.png, 256x256"),
        ([noise(1, 512, 384)], "native", "000000.png, 384x512"),
        ([np.full((256, 256, 3), 9, np.uint8)], "native", "one colour"),
        ([], "native", ""),
    ],
)
def test_auto_is_official_for_enlarged_patches_alone(tmp_path: Path, images: list[Pixels], mode: str, why: str) -> None:
    choice = choose_load("auto", write(tmp_path / "x", *images))
    assert (choice.mode, choice.warning) == (mode, "")
    assert why in choice.why


def test_a_photograph_enlarged_smoothly_is_no_enlarged_patch(tmp_path: Path) -> None:
    image = np.asarray(Image.fromarray(noise(3)).resize((256, 256), Image.Resampling.BICUBIC))
    assert choose_load("auto", write(tmp_path / "x", image)).mode == "native"


def test_official_on_other_files_is_warned_about_and_done(tmp_path: Path) -> None:
    paths = write(tmp_path / "x", enlarged(noise(1)), noise(2, 256, 256), noise(3))
    choice = choose_load("official", paths)
    assert choice.mode == "official"
    assert choice.warning.startswith("1 of 3 files looked at are no enlarged patches of BAPPS")
    assert str(paths[1]) in choice.warning
    assert [load_image(path, choice).shape for path in paths] == [(64, 64, 3)] * 3


def test_official_on_enlarged_patches_is_not_warned_about(tmp_path: Path) -> None:
    assert choose_load("official", write(tmp_path / "x", enlarged(noise(1)))) == LoadChoice("official")


@pytest.mark.parametrize("mode", ["exact", "native"])
def test_the_other_modes_look_at_nothing(tmp_path: Path, mode: LoadMode) -> None:
    assert choose_load(mode, [tmp_path / "absent.png"]) == LoadChoice(mode)


def test_a_file_that_cannot_be_read_is_left_to_whoever_reads_the_set(tmp_path: Path) -> None:
    paths = write(tmp_path / "x", enlarged(noise(1)), enlarged(noise(2)))
    paths[0].write_bytes(b"no image")
    assert choose_load("auto", paths).mode == "official"


def test_a_file_that_was_not_looked_at_is_not_shrunk_silently(tmp_path: Path) -> None:
    folder = SetFolder(tmp_path, "jnd", "val", "mine")
    for role in ("p0", "p1"):
        write_at = folder.path / role
        write_at.mkdir(parents=True)
        write(write_at, *[enlarged(noise(k)) if k != 3 else noise(k, 256, 256) for k in range(60)])
    (folder.path / "same").mkdir()
    for k in range(60):
        np.save(folder.path / "same" / f"{k:06d}.npy", np.float32(0))
    items = ItemSet(folder)
    assert items.load_choice("auto").mode == "official"
    with pytest.raises(ImageError, match=r"000003.png: is not an enlarged patch, though .* --load official"):
        list(items.batches())
    assert {batch.images[0].shape[1:] for batch in items.batches(load="official")} == {(64, 64, 3)}
    assert {batch.images[0].shape[1:] for batch in items.batches(load="native")} == {(256, 256, 3)}
