"""Items as WebDataset shards: plain tar files in which the files of an item follow one another."""

import io
import json
import tarfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from bapps_builder.layout import IMAGE_FOLDERS, Task
from bapps_builder.releasing.parquet_shards import Shards, shards_of


def write_tars(root: Path, rows: Iterator[dict[str, Any]], total: int, *, task: Task, split: str, shard: int) -> Shards:
    """Write `total` rows as shards of at most `shard` items each.

    An item is SPLIT/SET/ID.ref.png, .p0.png, .p1.png, and .json with everything else. No owner and no time
    is written, so that equal datasets give equal bytes.
    """
    folder = root / "data" / task
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for index in range(max(1, -(-total // shard))):
        path = folder / f"{split}-{index:06d}.tar"
        with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
            for row in islice(rows, shard):
                _add_item(archive, row, task, split)
        files.append(path.relative_to(root).as_posix())
    return shards_of(root, files, config=task, split=split, rows=total)


def _add_item(archive: tarfile.TarFile, row: dict[str, Any], task: Task, split: str) -> None:
    key = f"{split}/{row['set']}/{row['id']}"
    facts = {name: value for name, value in row.items() if name not in IMAGE_FOLDERS[task]}
    for role in IMAGE_FOLDERS[task]:
        _add(archive, f"{key}.{role}.png", row[role]["bytes"])
    _add(archive, f"{key}.json", json.dumps(facts).encode())


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))
