"""The command `bapps-collect access`."""

import json
import secrets
import sys
from dataclasses import asdict
from pathlib import Path

import click

from bapps_builder.commands.console import Command, note
from bapps_builder.files.atomic import replaced_whole
from bapps_builder.files.private import private_folder, private_stream
from collection_app.database.connections import read
from collection_app.errors import StudyError
from collection_app.reporting.access import access as everything_of
from collection_app.server.app_from_file import engine_of
from collection_app.sessions.steps import Step
from collection_app.settings import settings_from
from collection_app.studies.installation import find
from collection_app.studies.study_file import read_study
from collection_app.web.served_study import wall_clock


@click.command(cls=Command)
@click.argument("file", metavar="STUDY.toml", type=click.Path(path_type=Path))
@click.argument("participant")
@click.option(
    "--out", type=click.Path(path_type=Path), help="A new folder for who.json and record.json. [default: print both]"
)
@click.option("--database", metavar="URL", help="Database. [default: as for serve]")
def access(file: Path, participant: str, out: Path | None, database: str | None) -> None:
    """Print all that is kept of PARTICIPANT, named by platform id or pseudonym, as JSON.

    `who` is what tells who they are, `record` all else, with every answer. Both together lead from a person to their
    answers, before and after `erase`: send them, and delete them. --out keeps the two apart.

    \b
    Examples:
      bapps-collect access study.toml 5f2c... --out 5f2c
    """
    study = read_study(file)
    engine = engine_of(file, settings_from(database=database))
    step = Step(study, read(engine, lambda c: find(c, study).id), wall_clock(), secrets.token_bytes)
    record = read(engine, lambda c: everything_of(c, step, person=participant))
    if out is None:
        private_stream(sys.stdout)
        click.echo(json.dumps(asdict(record), indent=2, ensure_ascii=False))
        return
    if out.exists():
        raise StudyError(f"{out} already exists; name a new folder")
    private_folder(out)
    for name, part in asdict(record).items():
        with replaced_whole(out / f"{name}.json", private=True) as temporary:
            temporary.write_text(json.dumps(part, indent=2, ensure_ascii=False), encoding="utf-8")
    note(f"{out}: who.json and record.json; send them to whom they are about, then delete them")
