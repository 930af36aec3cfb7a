"""A small judged dataset for the tests of training."""

from pathlib import Path

import numpy as np
import pytest

from bapps_builder.images.image_files import encode_png
from bapps_builder.layout import IMAGE_FOLDERS, LABEL_FOLDER, SetFolder, Task


def write_items(root: Path, task: Task, label: str, count: int, *, seed: int, tied: bool = False) -> None:
    """Write a set of smooth patches under noise of random strength; everybody prefers the less noisy one."""
    rng = np.random.default_rng(seed)
    split, name = label.split("/")
    folder = SetFolder(root, task, split, name).path
    for role in (*IMAGE_FOLDERS[task], LABEL_FOLDER[task]):
        (folder / role).mkdir(parents=True)
    for k in range(count):
        ref = np.clip(np.cumsum(rng.normal(0, 4, (64, 64, 3)), axis=rng.integers(2)) + 128, 0, 255)
        strengths = rng.uniform(2, 60, 2)
        patches = {"ref": ref, **{f"p{i}": ref + rng.normal(0, s, ref.shape) for i, s in enumerate(strengths)}}
        for role in IMAGE_FOLDERS[task]:
            image = np.clip(np.rint(patches[role]), 0, 255).astype(np.uint8)
            (folder / role / f"{k:06d}.png").write_bytes(encode_png(image))
        fraction = 0.5 if tied else float(strengths[1] < strengths[0])
        np.save(folder / LABEL_FOLDER[task] / f"{k:06d}.npy", np.array([fraction], np.float32))


@pytest.fixture(scope="session")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sets train/a (13 items), train/b (8), val/c (8), val/tied (4, all at .5), and val/same of JND."""
    root = tmp_path_factory.mktemp("judged")
    write_items(root, "2afc", "train/a", 13, seed=1)
    write_items(root, "2afc", "train/b", 8, seed=2)
    write_items(root, "2afc", "val/c", 8, seed=3)
    write_items(root, "2afc", "val/tied", 4, seed=4, tied=True)
    write_items(root, "jnd", "val/same", 4, seed=5)
    return root
