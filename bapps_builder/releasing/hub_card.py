"""The card of a release, with the fields that the Hugging Face hub reads."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from bapps_builder.datasets.dataset_card import flow_table, title
from bapps_builder.datasets.dataset_record import DatasetRecord
from bapps_builder.layout import Task
from bapps_builder.releasing.parquet_shards import Shards, features
from bapps_builder.releasing.public_schema import ANSWER_SCHEMA, MEANINGS, item_schema

FACES = (
    "Patches come from photographs. Where photographs show people, a patch may show a face or a part of one; nobody is "
    "named, and nobody was asked on account of it."
)


def hub_card(
    shards: Sequence[Shards],
    *,
    name: str,
    licence: str,
    kind: str,
    record: DatasetRecord | None,
    faces_checked: bool,
) -> str:
    """Give the text of the card.

    Parameters
    ----------
    shards : sequence of Shards
    name, licence : str
        The licence as the hub spells it, such as cc-by-4.0.
    kind : "parquet" or "webdataset"
    record : DatasetRecord or None
        None for datasets that were not built here.
    faces_checked : bool
        Whether somebody looked for faces.
    """
    called = title(record) if record else name
    front = _front_matter(shards, called=called, licence=licence, kind=kind, record=record)
    parts = [f"# {called}"]
    if record and record.simulated:
        parts.append("**Answers here were given by a program.** They say nothing about people.")
    parts.append("Human judgments of perceptual similarity, in the form of BAPPS (arXiv 1801.03924).")
    parts += ["## Columns", _columns(shards)]
    if record:
        parts += [f"{record.people} people gave the answers behind these fractions.", "## Exclusions"]
        parts.append(flow_table(record.post_hoc_flow or record.flow))
        if record.settings.post_hoc:
            parts.append("**Post hoc**: rules of exclusion were chosen after the answers were collected. As planned:")
            parts.append(flow_table(record.flow))
        parts += [
            "## Splits",
            f"{record.split.train} photographs in training, {record.split.val} in validation, "
            f"{len(record.split.both)} in both.",
        ]
    checked = "The publishers looked for faces." if faces_checked else "The publishers did not say that they looked."
    parts += [
        "## People",
        "People and photographs have random numbers made for this release alone. Times are left out, reaction times "
        "rounded. " + FACES + " " + checked,
    ]
    return front + "\n\n".join(parts) + "\n"


def schema_of(config: str) -> pa.Schema:
    """The columns of a table of a release: those of a task, or of the answers."""
    tasks: dict[str, Task] = {"2afc": "2afc", "jnd": "jnd"}
    return item_schema(tasks[config]) if config in tasks else ANSWER_SCHEMA


def _front_matter(
    shards: Sequence[Shards], *, called: str, licence: str, kind: str, record: DatasetRecord | None
) -> str:
    items = sum(one.rows for one in shards if one.config != "answers")
    content: dict[str, Any] = {
        "pretty_name": called,
        "license": licence,
        "annotations_creators": ["machine-generated" if record and record.simulated else "crowdsourced"],
        "task_categories": ["image-feature-extraction"],
        "tags": ["perceptual-similarity", "image-quality", "2afc", "jnd", "bapps"],
        "size_categories": [_size_category(items)],
        "configs": [
            {
                "config_name": config,
                "data_files": [{"split": one.split, "path": list(one.files)} for one in shards if one.config == config],
            }
            for config in dict.fromkeys(one.config for one in shards)
        ],
    }
    if kind == "parquet":
        content["dataset_info"] = [_info(config, shards) for config in dict.fromkeys(one.config for one in shards)]
    return "---\n" + "\n".join(_yaml(content)) + "\n---\n\n"


def _info(config: str, shards: Sequence[Shards]) -> dict[str, Any]:
    mine = [one for one in shards if one.config == config]
    size = sum(one.bytes for one in mine)
    return {
        "config_name": config,
        "features": [
            {"name": name, "dtype": kind.get("dtype", "image")} for name, kind in features(schema_of(config)).items()
        ],
        "splits": [{"name": one.split, "num_bytes": one.bytes, "num_examples": one.rows} for one in mine],
        "download_size": size,
        "dataset_size": size,
    }


def _size_category(items: int) -> str:
    steps = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
    return next((text for bound, text in steps if items < bound), "1M<n<10M")


def _columns(shards: Sequence[Shards]) -> str:
    names = dict.fromkeys(name for one in shards for name in schema_of(one.config).names)
    return "\n".join(["| column | what it is |", "|---|---|", *(f"| {name} | {MEANINGS[name]} |" for name in names)])


def _yaml(value: Mapping[str, Any], indent: str = "") -> list[str]:
    """Mappings and lists in YAML's block form; texts as JSON, which YAML reads."""
    lines = []
    for key, item in value.items():
        if isinstance(item, list):
            lines.append(f"{indent}{key}:")
            for one in item:
                block = _yaml(one, indent + "  ") if isinstance(one, Mapping) else [f"{indent}  {json.dumps(one)}"]
                lines += [f"{indent}- {block[0][len(indent) + 2 :]}", *block[1:]]
        else:
            lines.append(f"{indent}{key}: {json.dumps(item, ensure_ascii=False)}")
    return lines
