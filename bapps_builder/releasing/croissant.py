"""Croissant metadata (MLCommons, version 1.0): what a release's files and columns are, for machines.

Source: https://docs.mlcommons.org/croissant/docs/croissant-spec.html
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from bapps_builder.layout import IMAGE_FOLDERS, Task
from bapps_builder.releasing.hub_card import schema_of
from bapps_builder.releasing.parquet_shards import Shards
from bapps_builder.releasing.public_schema import IMAGE, MEANINGS

_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_TYPES = {pa.string(): "sc:Text", pa.int32(): "sc:Integer", pa.float32(): "sc:Float", pa.bool_(): "sc:Boolean"}
_FORMATS = {"parquet": "application/x-parquet", "webdataset": "application/x-tar"}


def croissant(
    shards: Sequence[Shards], hashes: Mapping[str, str], *, name: str, licence: str, kind: str, version: str
) -> dict[str, Any]:
    """Give the metadata as a JSON object.

    Parameters
    ----------
    shards : sequence of Shards
    hashes : mapping of file to SHA-256
    kind : "parquet" or "webdataset"
        Of the items; answers are always Parquet.
    """
    files = [
        {
            "@type": "cr:FileObject",
            "@id": file,
            "name": file,
            "contentUrl": file,
            "encodingFormat": _FORMATS["parquet" if one.config == "answers" else kind],
            "sha256": hashes[file],
        }
        for one in shards
        for file in one.files
    ]
    sets, records = [], []
    for one in shards:
        in_tars = kind == "webdataset" and one.config != "answers"
        of_tars = _tar_records(one) if in_tars else _parquet_records(one)
        sets += of_tars[0]
        records += of_tars[1]
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": name,
        "description": "Human judgments of perceptual similarity, in the form of BAPPS (arXiv 1801.03924).",
        "license": licence,
        "version": version,
        "distribution": files + sets,
        "recordSet": records,
    }


def _parquet_records(one: Shards) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """One record set a file, since a column is read from one file."""
    records = []
    for number, file in enumerate(one.files):
        key = f"{one.config}-{one.split}" + (f"-{number}" if len(one.files) > 1 else "")
        fields = []
        for column in schema_of(one.config):
            source: dict[str, Any] = {"fileObject": {"@id": file}, "extract": {"column": column.name}}
            if column.type == IMAGE:
                source["transform"] = {"jsonPath": "bytes"}
            fields.append(_field(key, column.name, _type(column.type), source))
        records.append({"@type": "cr:RecordSet", "@id": key, "name": key, "field": fields})
    return [], records


def _tar_records(one: Shards) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """One set of files and of records for each kind of file in the tars."""
    tasks: dict[str, Task] = {"2afc": "2afc", "jnd": "jnd"}
    sets, records = [], []
    for part in (*(f"{role}.png" for role in IMAGE_FOLDERS[tasks[one.config]]), "json"):
        key = f"{one.config}-{one.split}-{part}"
        is_image = part.endswith(".png")
        sets.append(
            {
                "@type": "cr:FileSet",
                "@id": f"{key}-files",
                "name": f"{key}-files",
                "containedIn": [{"@id": file} for file in one.files],
                "encodingFormat": "image/png" if is_image else "application/json",
                "includes": f"*.{part}",
            }
        )
        source = {"fileSet": {"@id": f"{key}-files"}}
        content = {**source, "extract": {"fileProperty": "content"}}
        path = {**source, "extract": {"fileProperty": "fullpath"}}
        fields = [_field(key, "path", "sc:Text", path)]
        fields.append(_field(key, "content", "sc:ImageObject" if is_image else "sc:Text", content))
        records.append({"@type": "cr:RecordSet", "@id": key, "name": key, "field": fields})
    return sets, records


def _field(record: str, name: str, kind: str, source: Mapping[str, Any]) -> dict[str, Any]:
    about = {"description": MEANINGS[name]} if name in MEANINGS else {}
    return {"@type": "cr:Field", "@id": f"{record}/{name}", "name": name, **about, "dataType": kind, "source": source}


def _type(kind: pa.DataType) -> str:
    return "sc:ImageObject" if kind == IMAGE else _TYPES[kind]
