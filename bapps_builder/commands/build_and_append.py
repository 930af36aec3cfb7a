"""The commands `bapps-build build` and `bapps-build append`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bapps_builder.commands.console import BadInput, Command, progress
from bapps_builder.commands.verify_and_info import print_record

if TYPE_CHECKING:
    from bapps_builder.building.answer_files import Answers
    from bapps_builder.building.item_sources import Source

_PATH = click.Path(path_type=Path)
F = TypeVar("F", bound=Callable[..., Any])


def _answer_options(command: F) -> F:
    """Options about sources, answers and writing that building and appending share, first to last."""
    options = (
        click.option("--patches", multiple=True, type=_PATH, help="A patch set; may be repeated."),
        click.option(
            "--items",
            multiple=True,
            type=_PATH,
            help="Other people's images: a CSV or Parquet table (item, p0, p1, and ref for 2AFC), or a folder with "
            "ref/, p0/ and p1/; may be repeated.",
        ),
        click.option("--set", "set_label", default="", metavar="SPLIT/SET", help="The set of --items that name none."),
        click.option(
            "--answers", "files", multiple=True, required=True, type=_PATH, help="CSV or Parquet; may be repeated."
        ),
        click.option("--study", default="", help="Take the answers of this study alone."),
        click.option(
            "--columns",
            multiple=True,
            metavar="OURS=THEIRS",
            help="A column of the answers that has another name; {n} in it stands for the number of a trial, where a "
            "row holds several. People are numbered then, so that ids of a platform are not kept. May be repeated.",
        ),
        click.option(
            "--choices",
            multiple=True,
            metavar="THEIRS=OURS",
            help="A word of the answers for p0, p1, same, different, left or right; may be repeated.",
        ),
        click.option("--consent", default="", metavar="VERSION", help="The consent text people agreed to."),
        click.option(
            "--raw-answers-public", is_flag=True, help="That text says that single answers will be published."
        ),
        click.option("--copy", is_flag=True, help="Copy images instead of hard-linking them."),
        click.option("--workers", type=click.IntRange(1), help="Processes. [default: one a core]"),
        click.option("--json", "as_json", is_flag=True, help="Print the dataset's record as JSON."),
    )
    for option in reversed(options):
        command = option(command)
    return command


_BUILD_EXAMPLES = """
\b
Examples:
  bapps-build build --patches patches --answers answers.parquet --min-answers 5 --out dataset
  bapps-build build --items items.csv --answers results.csv --out dataset \\
      --columns item=Input.item{n} --columns choice=Answer.choice{n} --columns side=Input.p1_side{n} \\
      --columns participant=WorkerId
"""


@click.command("build", cls=Command, epilog=_BUILD_EXAMPLES)
@_answer_options
@click.option("--out", required=True, type=_PATH, help="Folder to make; must not exist.")
@click.option("--name", default="", help="Name of the dataset. [default: the name of --out]")
@click.option(
    "--min-answers", type=click.IntRange(1), default=1, show_default=True, help="Answers that each item must have."
)
@click.option("--leave-out-short", is_flag=True, help="Leave out items with fewer, instead of ending.")
@click.option(
    "--split",
    "split_by",
    type=click.Choice(["given", "photo", "collection"]),
    default="given",
    show_default=True,
    help="Keep each item's split, or divide photographs (or their folders) anew.",
)
@click.option(
    "--val-share",
    type=click.FloatRange(0, 1),
    default=0.2,
    show_default=True,
    help="Share of photographs that becomes val.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of that division.")
@click.option(
    "--rule",
    "rules",
    multiple=True,
    metavar="RULE",
    help="Exclude people who break it, such as sentinels>=0.8, besides what the study recorded; may be repeated. Marks "
    "the dataset post hoc.",
)
@click.option("--planned", is_flag=True, help="The rules were fixed before anyone looked at the answers.")
def build_command(
    patches: tuple[Path, ...],
    items: tuple[Path, ...],
    set_label: str,
    files: tuple[Path, ...],
    study: str,
    columns: tuple[str, ...],
    choices: tuple[str, ...],
    consent: str,
    raw_answers_public: bool,
    copy: bool,
    workers: int | None,
    as_json: bool,
    out: Path,
    **options: Any,  # those that are fields of Settings
) -> None:
    """Build a dataset from items and the answers to them.

    Beside the official layout it writes items.parquet and answers.parquet into each set, and dataset.json
    and a card at the root. Answers to sentinels and training items are kept apart, in other_answers.parquet.
    """
    if not patches and not items:
        raise click.UsageError("no items: name a patch set with --patches, or images with --items")
    if out.exists():
        raise BadInput(f"{out}: already exists; name another folder, or add a round with `bapps-build append`")
    from bapps_builder.building.build import build as build_dataset
    from bapps_builder.building.item_files import Writing
    from bapps_builder.datasets.dataset_record import Settings

    settings = Settings.of_build(out, **options)
    sources = _sources((*patches, *items), set_label)
    answers = _answers(files, study, columns, choices, consent, raw_answers_public)
    total = sum(len(source.names) for source in sources)
    with progress(total, "items") as advance:
        writing = Writing(copy=copy, workers=workers, advance=advance)
        record = build_dataset(sources, answers, out, settings=settings, writing=writing)
    print_record(out, record, as_json=as_json)


@click.command(
    "append",
    cls=Command,
    epilog="\b\nExample:\n  bapps-build append dataset --patches patches --answers round2.parquet",
)
@click.argument("dataset", type=click.Path(path_type=Path, file_okay=False))
@_answer_options
def append_command(
    dataset: Path,
    patches: tuple[Path, ...],
    items: tuple[Path, ...],
    set_label: str,
    files: tuple[Path, ...],
    study: str,
    columns: tuple[str, ...],
    choices: tuple[str, ...],
    consent: str,
    raw_answers_public: bool,
    copy: bool,
    workers: int | None,
    as_json: bool,
) -> None:
    """Add a later round of answers to a dataset built here, without renumbering its items.

    The settings are those of the build. Answers that the dataset already has are not counted twice, so an
    export of everything so far will do. Name the sources of items that had too few answers before.
    """
    from bapps_builder.building.build import append
    from bapps_builder.building.item_files import Writing

    sources = _sources((*patches, *items), set_label)
    answers = _answers(files, study, columns, choices, consent, raw_answers_public)
    with progress(None, "items") as advance:
        record = append(dataset, sources, answers, writing=Writing(copy=copy, workers=workers, advance=advance))
    print_record(dataset, record, as_json=as_json)


def _sources(paths: Sequence[Path], set_label: str) -> "list[Source]":
    from bapps_builder.building.item_sources import read_source

    return [read_source(path, default_set=set_label) for path in paths]


def _answers(
    files: Sequence[Path],
    study: str,
    columns: Sequence[str],
    choices: Sequence[str],
    consent: str,
    raw_answers_public: bool,
) -> "list[Answers]":
    from bapps_builder.building.answer_files import read_answer_file

    if raw_answers_public and not consent:
        raise click.UsageError("--raw-answers-public is about a consent text; name its version with --consent")
    return [
        read_answer_file(
            file,
            study=study,
            columns=_pairs(columns),
            words=_pairs(choices),
            consent=consent,
            raw_answers_public=raw_answers_public,
        )
        for file in files
    ]


def _pairs(options: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for option in options:
        left, equals, right = option.partition("=")
        if not equals or not left or not right:
            raise click.UsageError(f"{option!r}: expected two names with = between them")
        pairs[left] = right
    return pairs
