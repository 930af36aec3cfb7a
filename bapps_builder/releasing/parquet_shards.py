"""Items and answers as Parquet files that Hugging Face `datasets` reads with their pictures."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bapps_builder.releasing.public_schema import IMAGE

# Items in a row group: what a viewer of the hub loads at once.
_GROUP = 100


@dataclass(frozen=True)
class Shards:
    """The files of one split of one table.

    Attributes
    ----------
    config, split : str
        As the hub calls them; the split is "train" or "validation".
    files : tuple of str
        Relative to the release, with forward slashes.
    rows, bytes : int
        Of all files together.
    """

    config: str
    split: str
    files: tuple[str, ...]
    rows: int
    bytes: int


def shards_of(root: Path, files: Sequence[str], *, config: str, split: str, rows: int) -> Shards:
    """Give the record of some files that were written."""
    return Shards(config, split, tuple(files), rows, sum((root / file).stat().st_size for file in files))


def features(schema: pa.Schema) -> dict[str, dict[str, str]]:
    """The types of columns in the words of `datasets`."""
    names = {pa.string(): "string", pa.int32(): "int32", pa.float32(): "float32", pa.bool_(): "bool"}
    return {
        field.name: {"_type": "Image"} if field.type == IMAGE else {"dtype": names[field.type], "_type": "Value"}
        for field in schema
    }


def with_features(schema: pa.Schema) -> pa.Schema:
    """Add the metadata by which `datasets` knows that a column is a picture."""
    return schema.with_metadata({"huggingface": json.dumps({"info": {"features": features(schema)}})})


def write_parquet(
    root: Path, rows: Iterator[dict[str, Any]], total: int, *, schema: pa.Schema, config: str, split: str, shard: int
) -> Shards:
    """Write `total` rows as files of at most `shard` rows each; see `Shards`."""
    count = max(1, -(-total // shard))
    schema = with_features(schema)
    folder = root / "data" / config
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for index in range(count):
        path = folder / f"{split}-{index:05d}-of-{count:05d}.parquet"
        with pq.ParquetWriter(path, schema) as writer:
            left = islice(rows, shard)
            while group := list(islice(left, _GROUP)):
                writer.write_table(pa.Table.from_pylist(group, schema=schema))
        files.append(path.relative_to(root).as_posix())
    return shards_of(root, files, config=config, split=split, rows=total)


def write_answers(root: Path, tables: Sequence[pa.Table], *, split: str) -> Shards:
    """Write all public answers of a split as one file."""
    table = pa.concat_tables(tables)
    table = table.replace_schema_metadata(with_features(table.schema).metadata)
    path = root / "data" / "answers" / f"{split}-00000-of-00001.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return shards_of(root, [path.relative_to(root).as_posix()], config="answers", split=split, rows=len(table))
