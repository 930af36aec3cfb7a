"""The reader of photographs beside other libraries, on files of every kind and on damaged ones."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import photograph_files
import pytest
from photograph_files import Kind, kinds

from bapps_builder.images.photographs import decode_photo, photo_size


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.name)
def test_pixels_are_those_of_an_independent_reader(kind: Kind) -> None:
    """Of pypng, tifffile, and the builds of libjpeg-turbo and libwebp in imagecodecs."""
    found = decode_photo(kind.data, name="x")
    np.testing.assert_array_equal(found, kind.shown(kind.data))
    assert photo_size(kind.data, name="x") == (found.shape[1], found.shape[0])


# OpenCV shows what lies under alpha, and refuses tiles of 8 bits at the edge.
OPAQUE = [
    kind
    for kind in kinds()
    if not any(word in kind.name for word in ("clear", "alpha", "RGBA", "4 channels", "8, tiles"))
]


@pytest.mark.parametrize("kind", OPAQUE, ids=lambda kind: kind.name)
def test_pixels_without_alpha_are_those_of_opencv(kind: Kind) -> None:
    levels = np.asarray(cv2.imdecode(np.frombuffer(kind.data, np.uint8), cv2.IMREAD_UNCHANGED))
    levels = levels[..., None] if levels.ndim == 2 else levels[..., ::-1]
    shown = np.rint(levels / (257 if levels.dtype == np.uint16 else 1))
    assert np.abs(decode_photo(kind.data, name="x") - shown).max() <= (4 if kind.name.startswith("JPEG") else 0)


def fuzz(repository: Path, count: int, seed: int) -> None:
    """In a process of its own, which may crash, and whose memory is bounded."""
    done = subprocess.run(
        [sys.executable, photograph_files.__file__, str(count), str(seed)],
        env={**os.environ, "PYTHONPATH": str(repository), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr[-2000:]


def test_damaged_files_give_right_pixels_or_one_line(repository: Path) -> None:
    fuzz(repository, 500, 0)


@pytest.mark.slow
def test_five_thousand_damaged_files(repository: Path) -> None:
    fuzz(repository, 5_000, 1)


@pytest.mark.long
def test_fifty_thousand_damaged_files(repository: Path) -> None:
    fuzz(repository, 50_000, 2)


def test_the_fuzz_sees_wrong_pixels_and_words_of_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = next(kind for kind in kinds() if kind.name == "PNG RGB 8")
    assert photograph_files.complaint(kind, kind.data) == ""
    monkeypatch.setattr(photograph_files, "decode_photo", lambda data, **_: np.zeros((23, 37, 3), np.uint8))
    assert photograph_files.complaint(kind, kind.data).startswith("differs from another library by up to")
    monkeypatch.setattr(photograph_files, "decode_photo", lambda data, **_: os.write(2, b"word"))
    assert "a library said" in photograph_files.complaint(kind, kind.data)
    monkeypatch.setattr(photograph_files, "decode_photo", lambda data, **_: 1 / 0)
    assert "ZeroDivisionError" in photograph_files.complaint(kind, kind.data)
