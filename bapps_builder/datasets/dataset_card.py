"""The dataset card: what a dataset is, in a page of Markdown for people."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from bapps_builder.answers.exclusions import FlowStep
from bapps_builder.datasets.dataset_record import DatasetRecord, Round
from bapps_builder.layout import set_of_key
from bapps_builder.tasks import JUDGED


def title(record: DatasetRecord) -> str:
    """The dataset's name, and what nobody may overlook about it."""
    marks = [mark for mark, is_so in (("simulated", record.simulated), ("post hoc", record.settings.post_hoc)) if is_so]
    return record.settings.name + (f" ({', '.join(marks)})" if marks else "")


def card(record: DatasetRecord) -> str:
    """Give the text of the card."""
    tasks = dict.fromkeys(set_of_key(Path(), key).task for key in record.sets)
    parts = [f"# {title(record)}"]
    if record.simulated:
        parts.append("**Answers here were given by a program.** They say nothing about people.")
    parts += [JUDGED[task].about for task in tasks]
    parts += ["## Sets", _sets(record), "## People and answers", _people(record), "## Exclusions", _exclusions(record)]
    parts += ["## Splits", _splits(record), "## Origin", _origin(record)]
    return "\n\n".join(parts) + "\n"


def _sets(record: DatasetRecord) -> str:
    header = ("set", "items", "answers", "people", "answers an item", "p² + (1 - p)²", "two people agree")
    rows = []
    for key, one in record.sets.items():
        per_item = str(one.fewest) if one.fewest == one.most else f"{one.fewest} to {one.most}"
        unbiased = "one answer an item" if one.agreement_unbiased is None else _percent(one.agreement_unbiased)
        rows.append((key, one.items, one.answers, one.people, per_item, _percent(one.agreement), unbiased))
    note = (
        "Answers are those that count. p² + (1 - p)² is the agreement the BAPPS paper calls human, biased upward with "
        "few answers; the last column is the share of equal pairs of answers by two different people."
    )
    return f"{_table(header, rows)}\n\n{note}"


def _people(record: DatasetRecord) -> str:
    answers = sum(one.answers for one in record.sets.values())
    recorded = sum(one.recorded for one in record.sets.values())
    lines = [f"{record.people} people gave {answers} answers that count, of {recorded} recorded to these items."]
    lines.append(
        f"An item has at least {record.settings.min_answers}; {record.left_out} items with fewer were left out."
    )
    rows = [
        (number, one.file, ", ".join(one.studies) or "not given", one.rows, _consent(one))
        for number, one in enumerate(record.rounds, 1)
    ]
    return "\n".join(lines) + "\n\n" + _table(("round", "file", "study", "rows", "consent"), rows)


def _consent(one: Round) -> str:
    allowed = "allows" if one.raw_answers_public else "does not allow"
    return f"{one.consent}, {allowed} single answers to be published" if one.consent else "not given"


def _exclusions(record: DatasetRecord) -> str:
    text = flow_table(record.flow)
    if record.settings.post_hoc:
        rules = ", ".join(f"`{rule}`" for rule in record.settings.rules)
        text = (
            f"**Post hoc**: the rules {rules} were chosen after the answers were collected. As planned:\n\n{text}\n\n"
            f"With these rules, as in this dataset:\n\n{flow_table(record.post_hoc_flow)}"
        )
    return text


def flow_table(flow: Sequence[FlowStep]) -> str:
    """The flow of exclusions as a table."""
    rows = [(step.what, step.people_out, step.answers_out, step.people_left, step.answers_left) for step in flow]
    return _table(("step", "people out", "answers out", "people left", "answers left"), rows)


def _splits(record: DatasetRecord) -> str:
    how = {
        "given": "Items keep the split of their source.",
        "photo": f"Photographs were divided by a draw with seed {record.settings.seed}.",
        "collection": f"Collections of photographs were divided by a draw with seed {record.settings.seed}.",
    }[record.settings.split_by]
    proof = record.split
    text = f"{how} {proof.train} photographs in training, {proof.val} in validation, {len(proof.both)} in both."
    return text + (f" Of {proof.unknown} items the photograph is not known." if proof.unknown else "")


def _origin(record: DatasetRecord) -> str:
    rows = [
        (one["name"], one["origin"].get("tool", ""), one["origin"].get("seed", ""), one["sha256"][:12])
        for one in record.sources
    ]
    origin = f"Made with {record.tool}. `dataset.json` has every setting, version and hash."
    return _table(("source", "made by", "seed", "SHA-256"), rows) + "\n\n" + origin


def _percent(value: float) -> str:
    return f"{100 * value:.1f}%"


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    def line(cells: Iterable[object]) -> str:
        return "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    return "\n".join([line(header), "|" + "---|" * len(header), *map(line, rows)])
