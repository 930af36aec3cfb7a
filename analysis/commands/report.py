"""The command `bapps-report`."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from bapps_builder.commands.console import Command, note, progress
from bapps_builder.files.atomic import check_writable, replaced_whole

if TYPE_CHECKING:
    from bapps_builder.datasets.load_mode import LoadMode

_EXAMPLES = """
\b
Examples:
  bapps-score --metric lpips-vgg --metric ssim --save-distances mine.csv
  bapps-report --distances mine.csv --data dataset --out report.html
  bapps-report --distances mine.csv --votes 5 --out report.html --figures figures --latex table.tex
"""


@click.command(cls=Command, epilog=_EXAMPLES)
@click.option(
    "--distances",
    "files",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    help="Table of distances, as bapps-score saves and takes them. May be repeated.",
)
@click.option("--data", type=click.Path(path_type=Path), help="The dataset: for pictures, photos and people's answers.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The page to write, report.html.")
@click.option(
    "--figures", "folder", type=click.Path(path_type=Path), help="Also write each figure as SVG and PDF here."
)
@click.option("--latex", type=click.Path(path_type=Path), help="Also write the tables of scores in LaTeX.")
@click.option("--title", default="Metrics against people", show_default=True, help="Title of the page.")
@click.option(
    "--items", type=click.Path(path_type=Path), help="Table about items. [default: items.parquet of the sets]"
)
@click.option("--answers", type=click.Path(path_type=Path), help="Answers. [default: answers.parquet of the sets]")
@click.option("--votes", type=click.IntRange(1), help="Votes behind each fraction. [default: n of items.parquet]")
@click.option("--weights", type=click.Path(path_type=Path), help="Folder with weight files, for the figure of them.")
@click.option(
    "--load",
    type=click.Choice(["auto", "official", "exact", "native"]),
    default="auto",
    show_default=True,
    help="How pictures are read, as by bapps-score; auto shrinks BAPPS's enlarged patches and leaves all others as "
    "they are.",
)
@click.option("--contradictions", type=click.IntRange(0), default=4, show_default=True, help="Items for two metrics.")
@click.option(
    "--pictures",
    type=click.Choice(["beside", "inside"]),
    default="beside",
    show_default=True,
    help="Where whole pictures of more than 128 pixels a side are, of which the page shows a part: in a folder beside "
    "it, report-pictures for report.html, or inside it.",
)
@click.option(
    "--draws",
    type=click.IntRange(100),
    default=10_000,
    show_default=True,
    help="How often the bootstrap resamples, for average precision at most 2,000 times.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of everything that is left to chance."
)
@click.option(
    "--level", type=click.FloatRange(0.5, 0.999), default=0.95, show_default=True, help="Level of the intervals."
)
def report(
    files: tuple[Path, ...],
    data: Path | None,
    out: Path,
    folder: Path | None,
    latex: Path | None,
    title: str,
    items: Path | None,
    answers: Path | None,
    votes: int | None,
    weights: Path | None,
    load: "LoadMode",
    contradictions: int,
    pictures: Literal["beside", "inside"],
    draws: int,
    seed: int,
    level: float,
) -> None:
    """Write a report: one page with tables, figures, comparisons, and what people said.

    The page opens without a network and holds everything, but for whole pictures of more than 128
    pixels a side: these lie in a folder beside it, unless --pictures says inside. Distances come from `bapps-score
    --save-distances`, or from any other program.
    """
    for target in filter(None, (out, latex)):
        check_writable(target)
    from analysis.report.figures import figure_bytes
    from analysis.report.latex import as_latex
    from analysis.report.page import figures_of, page
    from analysis.report.whole_pictures import check_folder_beside, folder_beside, pictures_beside, whole_pictures
    from analysis.statistics.intervals import Resampling
    from analysis.whole_report import whole_report

    if data and pictures == "beside":
        check_folder_beside(out)
    with progress(3, "report") as advance:
        material = whole_report(
            files,
            data,
            items=items,
            answers=answers,
            votes=votes,
            weights=weights,
            load=load,
            contradictions=contradictions,
            how=Resampling(draws, seed, level),
            title=title,
            command=shlex.join(["bapps-report", *sys.argv[1:]]),
        )
        advance(1)
        figures = figures_of(material)
        beside = pictures == "beside"
        wholes = whole_pictures(material) if beside else {}
        text = page(material, figures, folder=folder_beside(out).name if beside else None).encode()
        advance(1)
        with replaced_whole(out) as temporary, pictures_beside(out, wholes) as size:
            temporary.write_bytes(text)
        if latex:
            _write(latex, as_latex(material.scores).encode())
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
            for name, figure in figures.items():
                _write(folder / f"{name}.svg", figure_bytes(figure, "svg"))
                _write(folder / f"{name}.pdf", figure_bytes(figure, "pdf"))
        advance(1)
    note(f"{out}: {len(text) / 1e6:.1f} MB")
    if wholes:
        note(f"{folder_beside(out)}: {len(wholes):,} whole pictures, {size / 1e6:.1f} MB; keep it beside the page")


def _write(path: Path, data: bytes) -> None:
    with replaced_whole(path) as temporary:
        temporary.write_bytes(data)
