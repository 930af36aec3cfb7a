"""Where tables about items meet: ids that lost their zeros, and ids that only one of the tables has.

A table that went through a spreadsheet, pandas or MATLAB has 0 (or 0.0) where it had 000000. Whatever joins two
tables by the ids of items asks here first, so that all of them pad alike and say so, and none joins nothing.
"""

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from bapps_builder.errors import DatasetError, Notice

_WHOLE = re.compile(r"([0-9]+)(?:\.0+)?")


def spellings(tables: Iterable[Iterable[str]]) -> dict[str, str]:
    """Map ids to the longest spelling that any of these tables has of the same whole number.

    Parameters
    ----------
    tables : ids of the same items, as each table spells them

    Returns
    -------
    dict
        Only ids that change. A number that one table spells in two ways names two items, and stays.
    """
    texts_of: dict[str, set[str]] = {}  # by the digits without zeros before them
    two_items = set()
    for ids in tables:
        mine: set[str] = set()
        for text in set(ids):
            if match := _WHOLE.fullmatch(text):
                number = match[1].lstrip("0")
                (two_items if number in mine else mine).add(number)
                texts_of.setdefault(number, set()).add(text)
    changed = {}
    for number, texts in texts_of.items():
        if len(texts) > 1 and number not in two_items:
            longest = max((text.partition(".")[0] for text in texts), key=len)
            changed |= {text: longest for text in texts if text != longest}
    return changed


def respelled(*tables: tuple[str, pd.DataFrame]) -> list[pd.DataFrame]:
    """Spell ids alike in tables about the same items, and say where they changed.

    Parameters
    ----------
    tables : pairs of what to call a table, and the table
        Each with the column item. Where it also has a column set, only ids of one set are the same; a table
        without one is about every set.

    Returns
    -------
    list
        The tables, in their order; those in which nothing changes are the very same.
    """
    unique = [_ids_by_set(table) for _, table in tables]
    labels = {label for ids in unique for label in ids} - {None} or {None}
    changed: dict[str | None, dict[str, str]] = {
        label: spellings(ids[key] for ids in unique for key in {label, None} & set(ids)) for label in labels
    }
    anywhere: dict[str, str] = {}
    for spelled in changed.values():
        anywhere |= spelled
    return [_with_spelling(name, table, {**changed, None: anywhere}) for name, table in tables]


def check_found(items: pd.DataFrame, table: pd.DataFrame, *, of: str, name: str) -> None:
    """Say how many items a table does not know.

    Parameters
    ----------
    items, table : DataFrames with the column item, spelled alike, and task and set where they are known
        Only items of tasks and sets that the table has are looked for.
    of, name : str
        What messages call the items and the table.

    Raises
    ------
    DatasetError
        If the table knows none of them.
    """
    shared = [key for key in ("task", "set") if key in items and key in table]
    of_sets = items[_isin(items, table, shared)] if shared else items
    if not len(of_sets):
        theirs, ours = (", ".join(_labels(one, shared)[:3]) for one in (table, items))
        raise DatasetError(
            f"{name}: is about {theirs or 'nothing'}, and {of} are of {ours}, so nothing is known of them"
        )
    matches = _isin(of_sets, table, [*shared, "item"])
    if not matches.any():
        raise DatasetError(
            f"{name}: none of the {len(of_sets)} ids of {of} is in it; it has ids like {table['item'].iloc[0]!r}, and "
            f"{of} are like {of_sets['item'].iloc[0]!r}"
        )
    if missing := int((~matches).sum()):
        first = of_sets["item"][~matches].iloc[0]
        warnings.warn(
            Notice(f"{name}: {missing} of the {len(of_sets)} ids of {of} are not in it, the first {first!r}"),
            stacklevel=2,
        )


def padding_said(name: str, changed: Mapping[str, str], count: int) -> Notice:
    """What is said of ids that were padded."""
    before, after = next(iter(changed.items()))
    return Notice(f"{name}: {count} ids had lost their zeros and were padded, as {before!r} to {after!r}")


def _ids_by_set(table: pd.DataFrame) -> dict[str | None, list[str]]:
    if "set" not in table:
        return {None: table["item"].unique().tolist()}
    pairs = table[["set", "item"]].drop_duplicates()
    return {str(label): ids.tolist() for label, ids in pairs["item"].groupby(pairs["set"], sort=False)}


def _with_spelling(name: str, table: pd.DataFrame, changed: Mapping[str | None, Mapping[str, str]]) -> pd.DataFrame:
    """Replace the ids of a table by the spellings of their sets."""
    if not changed[None]:
        return table
    new = table["item"].copy()
    if "set" not in table:
        new = new.map(lambda one: changed[None].get(str(one), one))
    else:
        for label, spelled in changed.items():
            mine = table["set"] == label
            new[mine] = new[mine].map(lambda one, spelled=spelled: spelled.get(str(one), one))
    other = new != table["item"]
    if not other.any():
        return table
    first = dict(zip(table["item"][other], new[other], strict=True))
    warnings.warn(padding_said(name, first, len(first)), stacklevel=3)
    return table.assign(item=new)


def _isin(table: pd.DataFrame, other: pd.DataFrame, keys: Sequence[str]) -> "pd.Series[bool]":
    if len(keys) == 1:
        return table[keys[0]].isin(other[keys[0]])
    matches = pd.MultiIndex.from_frame(table[keys]).isin(pd.MultiIndex.from_frame(other[keys].drop_duplicates()))
    return pd.Series(matches, table.index)


def _labels(table: pd.DataFrame, keys: Sequence[str]) -> list[str]:
    return [" ".join(map(str, row)) for row in table[keys].drop_duplicates().itertuples(index=False)]
