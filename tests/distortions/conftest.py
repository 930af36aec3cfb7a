"""Photos for the tests of patch sets, parts of two photographs that come with scikit-image; and a Dask cluster."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import skimage.data

from bapps_builder.images.image_files import encode_png


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five PNG photos of different sizes, one in a subfolder."""
    folder = tmp_path_factory.mktemp("photos")
    astronaut, coffee = skimage.data.astronaut(), skimage.data.coffee()
    parts = {
        "a.png": astronaut[:200, :300],
        "b.png": astronaut[200:500, 100:400],
        "c.png": coffee[:150, :400],
        "d.png": coffee[150:, 200:],
        "more/a.png": coffee[100:300, 100:300],
    }
    (folder / "more").mkdir()
    for name, pixels in parts.items():
        (folder / name).write_bytes(encode_png(np.ascontiguousarray(pixels)))
    return folder


@pytest.fixture(scope="session")
def digest() -> Callable[[Path], dict[str, str]]:
    """Hash of every file of a folder, by path within it."""

    def of_folder(folder: Path) -> dict[str, str]:
        return {
            path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    return of_folder


@pytest.fixture
def cluster() -> Iterator[str]:
    """Address of a Dask scheduler on loopback with two workers, each a process."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", host="127.0.0.1") as found:
        yield str(found.scheduler_address)
