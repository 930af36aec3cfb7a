"""Groups of items to look at one by one: by how the patches were made, by photo, by how sure people were."""

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bapps_builder.errors import DatasetError

By = Literal["recipe", "family", "severity", "photo", "margin"]
CHOICES: tuple[By, ...] = get_args(By)
Mask = NDArray[np.bool_]

# The recipe of a patch that nothing was done to, such as the first of a JND pair.
UNTOUCHED = "identity"
_BANDS = np.linspace(0, 1, 6)
# Fractions of official files are float32: .6 and 1 - .4 are the same share of people, and lie this much apart or less.
_TOLERANCE = 1e-6


def groups(items: pd.DataFrame, by: By) -> dict[str, Mask]:
    """Cut items into named groups.

    By recipe and family an item belongs to the group of each of its patches, so groups overlap; recipes
    are told apart by their steps, not by the values in parentheses. By severity it is the mean of the
    patches. By margin it is the share of the majority, from k and n where they are known.

    Parameters
    ----------
    items : DataFrame of N rows
        With the facts that are needed (see `judgments.FACTS`), and k and n (or p) for the margin.

    Returns
    -------
    dict
        Name to truths of shape (N,); every group holds an item.

    Raises
    ------
    DatasetError
        If the items' facts do not include what is asked for.
    """
    masks = _masks(items, by)
    if not masks:
        names = " or ".join(_columns(by))
        raise DatasetError(
            f"the items' {by} is not known: no column {names}, or nothing in it; it comes from items.parquet beside "
            "each set, or from --items FILE"
        )
    return masks


def has_facts(items: pd.DataFrame, by: By) -> bool:
    """Whether items can be cut into groups: a column may be there and hold nothing."""
    return bool(_masks(items, by))


def _columns(by: By) -> tuple[str, ...]:
    return ("photo",) if by == "photo" else (f"p0_{by}", f"p1_{by}")


def _masks(items: pd.DataFrame, by: By) -> dict[str, Mask]:
    if by == "margin":
        return _bands(_margins(items), lambda low, high: f"{50 + 50 * low:.0f}-{50 + 50 * high:.0f}%")
    columns = [name for name in _columns(by) if name in items]
    if not columns or items[columns].isna().all(axis=None):
        return {}
    if by == "severity":
        mean = pd.concat([items[column].map(_mean_severity) for column in columns], axis=1).mean(axis=1)
        return _bands(mean.to_numpy(), lambda low, high: f"{low:.1f} to {high:.1f}")
    names = pd.concat([_names(items[column], by).reset_index(drop=True).explode() for column in columns])
    masks = {}
    for name, rows in names.groupby(names).groups.items():
        mask = np.zeros(len(items), bool)
        mask[np.asarray(rows)] = True
        masks[str(name)] = mask
    return dict(sorted((name, mask) for name, mask in masks.items() if name not in ("", UNTOUCHED)))


def _margins(items: pd.DataFrame) -> NDArray[np.float64]:
    """The lead of the majority, 0 where people are divided and 1 where they are of one mind."""
    if {"k", "n"} <= set(items):
        k, n = items["k"].to_numpy(np.float64), items["n"].to_numpy(np.float64)
        return np.abs(2 * k - n) / n
    return np.abs(2 * items["p"].to_numpy(np.float64) - 1)


def _names(texts: pd.Series, by: By) -> pd.Series:
    """The groups a patch belongs to, as lists: one recipe or photo, or every family in it."""
    filled = texts.fillna("").astype(str)
    return (
        filled.str.split("+")
        if by == "family"
        else filled.map(lambda text: [_steps(str(text)) if by == "recipe" else text])
    )


def _mean_severity(value: object) -> float:
    """Of the steps of one recipe; NaN where there was none."""
    steps = np.asarray(value, np.float64).ravel()
    return float(steps.mean()) if steps.size else float("nan")


def _steps(recipe: str) -> str:
    return re.sub(r"\([^()]*\)", "", recipe)


def _bands(values: NDArray[np.float64], name: Callable[[float, float], str]) -> dict[str, Mask]:
    """Fifths of [0, 1]; the last holds 1."""
    number = np.clip(np.floor((values + 2 * _TOLERANCE) * 5), 0, 4)
    bands = {name(low, high): number == k for k, (low, high) in enumerate(pairwise(_BANDS))}
    return {title: mask for title, mask in bands.items() if mask.any()}
