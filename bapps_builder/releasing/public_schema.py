"""The public schema: which columns a release has, and what becomes of those that could tell who somebody is.

People get a fresh random number in each release, so that two releases cannot be joined; the number of the trial
stands for the time; reaction times are rounded to 10 ms; of the device only its class is left. Photographs
become numbers too, which is all that splits and clustered intervals need. A column that nobody has decided
about ends the release.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa

from bapps_builder.answers.columns import COLUMNS
from bapps_builder.errors import DatasetError
from bapps_builder.layout import IMAGE_FOLDERS, LABEL_FOLDER, Task
from bapps_builder.tasks import JUDGED

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
REACTION_STEP_MS = 10

_AFTER_IMAGES = [
    ("k", pa.int32()),
    ("n", pa.int32()),
    ("p0_recipe", pa.string()),
    ("p1_recipe", pa.string()),
    ("photo", pa.int32()),
]
ANSWER_SCHEMA = pa.schema(
    [
        ("task", pa.string()),
        ("set", pa.string()),
        ("id", pa.string()),
        ("person", pa.int32()),
        ("trial", pa.int32()),
        ("choice", pa.string()),
        ("side", pa.string()),
        ("reaction_ms", pa.int32()),
        ("device", pa.string()),
        ("counts", pa.bool_()),
        ("simulated", pa.bool_()),
    ]
)
MEANINGS = {
    "set": "the set, such as traditional",
    "id": "the item's number in its set and split",
    "ref": "the original patch",
    "p0": "the first distorted patch; JND: the original",
    "p1": "the second distorted patch; JND: the distorted one",
    "judge": "share of people who chose p1 as closer to the reference",
    "same": "share of people who said the two are the same",
    "k": "answers for p1, or same",
    "n": "answers that count",
    "p0_recipe": "how p0 was made",
    "p1_recipe": "how p1 was made",
    "photo": "number of the photograph, of this release alone",
    "task": " or ".join(JUDGED),
    "person": "number of the person, of this release alone",
    "trial": "position in the session",
    "choice": "p0, p1, same or different",
    "side": "where p1 was shown",
    "reaction_ms": f"reaction time, rounded to {REACTION_STEP_MS} ms",
    "device": "pointer or touch",
    "counts": "whether the answer is among n",
    "simulated": "whether a program answered",
}

# Of the columns of answers: those that appear, as they are or coarser, and those that never do.
PUBLISHED = tuple(column.name for column in COLUMNS if column.published)
WITHHELD = tuple(column.name for column in COLUMNS if column.published is False)
_DEVICES = {"mouse": "pointer", "keyboard": "pointer", "touch": "touch", "pen": "touch"}


def item_schema(task: Task) -> pa.Schema:
    """The columns of the items of a task, images included."""
    images = [(role, IMAGE) for role in IMAGE_FOLDERS[task]]
    return pa.schema(
        [("set", pa.string()), ("id", pa.string()), *images, (LABEL_FOLDER[task], pa.float32()), *_AFTER_IMAGES]
    )


def fresh_numbers(names: "pd.Series[str]", rng: np.random.Generator) -> dict[str, int]:
    """Give each name a number that says nothing about it. Empty names get none."""
    photos = sorted(set(names) - {""})
    return dict(zip(photos, rng.permutation(len(photos)).tolist(), strict=True))


def check_columns(answers: pd.DataFrame, *, name: str) -> None:
    """Refuse columns nobody has decided about.

    Raises
    ------
    DatasetError
        Naming them.
    """
    if undecided := [str(column) for column in answers if column not in (*PUBLISHED, *WITHHELD)]:
        raise DatasetError(
            f"{name}: the columns {', '.join(undecided)} are not in the public schema, and may tell who "
            "somebody is; remove them to publish"
        )


def public_answers(answers: pd.DataFrame, people: Mapping[str, int]) -> pa.Table:
    """Give the answers to the test items of a set in the public schema.

    Parameters
    ----------
    answers : DataFrame
        Checked, of one set.
    people : mapping of participant to number
        See `fresh_numbers`.

    Returns
    -------
    table of ANSWER_SCHEMA
        Sorted by item and person, since the order of rows would tell the order in time.
    """
    check_columns(answers, name="answers")
    answers = answers[answers["role"] == "test"]

    def text(column: str) -> pd.Series:
        return answers[column].replace("", None) if column in answers else pd.Series(None, answers.index, object)

    def whole(column: str, step: int = 1) -> pd.Series:
        values = answers[column] if column in answers else pd.Series(np.nan, answers.index)
        return ((values / step).round() * step).astype("Int32")

    public = pd.DataFrame(
        {
            "task": answers["task"],
            "set": answers["set"].str.partition("/")[2],
            "id": answers["item"],
            "person": answers["participant"].map(people),
            "trial": whole("trial"),
            "choice": answers["choice"],
            "side": text("side"),
            "reaction_ms": whole("reaction_ms", REACTION_STEP_MS),
            "device": text("input").map(_DEVICES),
            "counts": answers["use"],
            "simulated": answers.get("simulated", pd.Series(False, answers.index)),
        }
    )
    public = public.sort_values(["id", "person", "trial"], kind="stable")
    return pa.Table.from_pandas(public, schema=ANSWER_SCHEMA, preserve_index=False).replace_schema_metadata(None)
