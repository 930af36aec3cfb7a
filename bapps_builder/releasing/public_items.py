"""The items of a dataset as a release shows them: bare pictures, labels, votes and recipes, a few at a time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from bapps_builder.datasets.reader import ItemSet, mapped_ahead, read_label
from bapps_builder.datasets.set_tables import read_items
from bapps_builder.datasets.splits import photo_keys
from bapps_builder.images.bare_png import bare_png
from bapps_builder.images.image_files import decode_image
from bapps_builder.layout import IMAGE_FOLDERS, ITEMS, LABEL_FOLDER, SetFolder, Task

_PORTION = 100


@dataclass(frozen=True)
class PublicSet:
    """One set with what its tables say about its items.

    Attributes
    ----------
    items : ItemSet
    facts : mapping of id to facts
        k, n, p0_recipe, p1_recipe and photo (a key); empty in datasets without tables.
    """

    items: ItemSet
    facts: Mapping[str, Mapping[str, Any]]


def open_set(folder: SetFolder) -> PublicSet:
    """Open a set, or raise DatasetError."""
    items = ItemSet(folder)
    if not (folder.path / ITEMS).exists():
        return PublicSet(items, {})
    table = read_items(folder)
    photos = photo_keys(table.select(["photo", "photo_sha256"]).to_pandas())
    facts = table.select(["k", "n", "p0_recipe", "p1_recipe"]).to_pylist()
    rows = zip(table["id"].to_pylist(), facts, photos, strict=True)
    return PublicSet(items, {item: {**of_item, "photo": photo} for item, of_item, photo in rows})


def public_rows(one: PublicSet, photos: Mapping[str, int], *, threads: int = 2) -> Iterator[dict[str, Any]]:
    """Yield the items of a set in the order of their ids, as rows of `public_schema.item_schema`.

    `photos` numbers the keys of photographs.
    """
    ids = one.items.ids
    portions = [ids[start : start + _PORTION] for start in range(0, len(ids), _PORTION)]
    with mapped_ahead(partial(_rows, one, photos), portions, threads=threads) as results:
        for rows in results:
            yield from rows


def _rows(one: PublicSet, photos: Mapping[str, int], ids: Sequence[str]) -> list[dict[str, Any]]:
    folder = one.items.folder
    return [
        {
            "set": folder.name,
            "id": item,
            **{role: _picture(folder, role, item, one.items) for role in IMAGE_FOLDERS[folder.task]},
            LABEL_FOLDER[folder.task]: read_label(one.items.path(LABEL_FOLDER[folder.task], item)),
            **_facts(one.facts, item, photos),
        }
        for item in ids
    ]


def _picture(folder: SetFolder, role: str, item: str, items: ItemSet) -> dict[str, Any]:
    path = items.path(role, item)
    data = path.read_bytes()
    return {"bytes": bare_png(data, decode_image(data, name=str(path))), "path": folder.file(role, item).name}


def _facts(facts: Mapping[str, Mapping[str, Any]], item: str, photos: Mapping[str, int]) -> dict[str, Any]:
    of_item = facts.get(item, dict.fromkeys(("k", "n", "p0_recipe", "p1_recipe", "photo")))
    return {**of_item, "photo": photos.get(of_item["photo"] or "")}


def tasks_of(sets: Sequence[PublicSet]) -> tuple[Task, ...]:
    """The tasks of some sets, each once, in order."""
    return tuple(dict.fromkeys(one.items.task for one in sets))
