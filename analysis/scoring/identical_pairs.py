"""Which pairs have the same pixels, whatever a recipe says that was meant to tell them apart.

A distortion may leave a patch as it is: a blur below .3 pixels, or almost anything on a flat sky. Such a pair is
identical for whoever looks at it, and for every score that asks whether people told different from identical.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bapps_builder.datasets.reader import mapped_ahead
from bapps_builder.files.by_stem import files_by_stem
from bapps_builder.files.cores import cores
from bapps_builder.images.image_files import SUFFIXES, decode_image
from bapps_builder.layout import SetFolder

HASHES = ("p0_sha256", "p1_sha256")


def identical_by_hash(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Tell for each row of a table with the columns of `HASHES` whether both patches have the same pixels."""
    first, second = (table[name].fillna("").astype(str) for name in HASHES)
    return ((first != "") & (first == second)).to_numpy(bool)


def identical_in_files(folder: SetFolder, items: Sequence[str]) -> NDArray[np.bool_]:
    """Tell for each item of a set whether its files p0 and p1 hold the same pixels; an item without files has not.

    Raises
    ------
    ImageError
        If a file is no readable image.
    """
    files = [
        files_by_stem(folder.path / role, SUFFIXES).paths() if (folder.path / role).is_dir() else {}
        for role in ("p0", "p1")
    ]

    def identical(item: str) -> bool:
        return all(item in paths for paths in files) and _same_pixels(*(paths[item] for paths in files))

    with mapped_ahead(identical, items, threads=cores()) as results:
        return np.fromiter(results, bool, len(items))


def _same_pixels(first: Path, second: Path) -> bool:
    one, other = first.read_bytes(), second.read_bytes()
    if one == other:
        return True
    return np.array_equal(decode_image(one, name=str(first)), decode_image(other, name=str(second)))
