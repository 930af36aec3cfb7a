"""The command `bapps-collect pay`."""

import csv
import io
import json
import secrets
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import click
from sqlalchemy import Engine

from bapps_builder.commands.console import Command, note, progress
from bapps_builder.files.private import private_stream
from collection_app.database.connections import read, write
from collection_app.errors import StudyError
from collection_app.payments.pay_lines import Line, Verdict, decide, pay_lines
from collection_app.payments.sending import send, settle, unclear
from collection_app.reporting.export import cell
from collection_app.server.app_from_file import engine_of
from collection_app.sessions.steps import Step, judge_silent
from collection_app.sessions.submissions import note_submissions
from collection_app.settings import Settings, settings_from
from collection_app.studies.installation import find
from collection_app.studies.study import Study
from collection_app.studies.study_file import read_study
from collection_app.web.served_study import wall_clock

COLUMNS = (
    "participant",
    "submission",
    "pay_id",
    "outcome",
    "verdict",
    "amount",
    "currency",
    "reasons",
    "look_first",
    "platform_state",
    "payment",
    "payment_key",
)


@click.command(cls=Command)
@click.argument("file", metavar="STUDY.toml", type=click.Path(path_type=Path))
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--decide",
    "decision",
    nargs=2,
    metavar="PARTICIPANT VERDICT",
    help=f"Decide over what the rules found: {', '.join(get_args(Verdict))}. Needs --by and --reason.",
)
@click.option("--send", "sending", is_flag=True, help="Pay through the platform, with $BAPPS_COLLECT_PLATFORM_TOKEN.")
@click.option(
    "--settle",
    "settled",
    nargs=2,
    metavar="KEY paid|unpaid",
    help="Say what you saw on the platform of a payment that is unclear. Needs --by.",
)
@click.option("--by", default="", help="Who decides.")
@click.option("--reason", default="", help="Why.")
@click.option("--database", metavar="URL", help="Database. [default: as for serve]")
def pay(
    file: Path,
    as_csv: bool,
    as_json: bool,
    decision: tuple[str, str] | None,
    sending: bool,
    settled: tuple[str, str] | None,
    by: str,
    reason: str,
    database: str | None,
) -> None:
    """List who is to be paid what, and why; decide; and pay through the platform.

    Everybody who took part is paid, in full or by share; no rule withholds pay. Nothing is sent without --send, and
    nothing is sent twice: a payment whose fate is unclear waits for --settle, and the exit status is 1.

    \b
    Examples:
      bapps-collect pay study.toml --csv > pay.csv
      bapps-collect pay study.toml --decide 5f2c... approve --by "A. Name" --reason "looked at the answers"
      bapps-collect pay study.toml --send
    """
    study, settings = read_study(file), settings_from(database=database)
    engine = engine_of(file, settings)
    step = Step(study, read(engine, lambda c: find(c, study).id), wall_clock(), secrets.token_bytes)
    if settled:
        _settle(engine, *settled, by=by)
    if settings.platform_token:
        found = list(study.platform.submissions(settings.platform_token))
        write(engine, lambda c: note_submissions(c, step, found, at=step.now))
    write(engine, lambda c: judge_silent(c, step))
    lines = read(engine, lambda c: pay_lines(c, step))
    if decision:
        by_name = {name: line for line in lines for name in (line.external_id, line.submission_id, line.pay_id) if name}
        write(engine, lambda c: decide(c, step, by_name, person=decision[0], verdict=decision[1], by=by, reason=reason))
    if sending:
        _send(engine, step, lines if not decision else read(engine, lambda c: pay_lines(c, step)), settings)
    lines = read(engine, lambda c: pay_lines(c, step))
    _print(study, lines, as_csv=as_csv, as_json=as_json)
    if waiting := unclear(engine):
        for row in waiting:
            note(
                f"payment {row.idempotency_key} of {row.amount_minor / 100:.2f} {row.currency} was sent, and it is not "
                f"known whether it was paid ({row.detail or 'no reply'}): look at the platform "
                f"({row.reference or 'the submission'}), then say --settle KEY paid or unpaid"
            )
        sys.exit(1)


def _settle(engine: Engine, key: str, what: str, *, by: str) -> None:
    if what not in ("paid", "unpaid"):
        raise StudyError(f"--settle KEY paid or --settle KEY unpaid, got {what!r}")
    write(engine, lambda c: settle(c, key, paid=what == "paid", by=by))


def _send(engine: Engine, step: Step, lines: list[Line], settings: Settings) -> None:
    payer = step.study.platform.payer(settings.platform_token)
    if payer is None:
        raise StudyError(
            f"the platform {step.study.platform.name} cannot be paid through from here; it needs "
            "$BAPPS_COLLECT_PLATFORM_TOKEN and the study's id there, or pay by the list (--csv)"
        )
    with progress(len(lines), "paying") as advance:
        found = send(engine, step, lines, payer, advance=advance)
    waiting = sum(line.look for line in lines)
    note(", ".join(f"{count} {what}" for what, count in sorted(found.items())) or "nothing to send")
    if waiting:
        note(f"{waiting} wait for somebody to look first: --decide PARTICIPANT VERDICT --by NAME --reason TEXT")


def _print(study: Study, lines: list[Line], *, as_csv: bool, as_json: bool) -> None:
    private_stream(sys.stdout)
    rows = _rows(lines)
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    elif as_csv:
        click.echo(csv_of(lines), nl=False)
    else:
        for row in rows:
            look = " - LOOK FIRST" if row["look_first"] else ""
            name = row["participant"] or "(erased)"
            paid = f" [{row['payment']}]" if row["payment"] else ""
            click.echo(f"{name}: {row['verdict']} {row['amount']} {row['currency']} ({row['reasons']}){look}{paid}")
        click.echo(f"{len(rows)} sessions of {study.name}, {_total(lines)} {study.terms.currency} in all")


def csv_of(lines: Iterable[Line]) -> str:
    """Give a list of pay as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([cell(value) for value in row.values()] for row in _rows(lines))
    return text.getvalue()


def _rows(lines: Iterable[Line]) -> list[dict[str, Any]]:
    """In no order of arrival, which a table of answers may keep too."""
    return [_row(line) for line in sorted(lines, key=lambda line: (line.pay_id, line.outcome, line.amount_minor))]


def _total(lines: Iterable[Line]) -> str:
    return f"{sum(line.amount_minor for line in lines) / 100:.2f}"


def _row(line: Line) -> dict[str, Any]:
    values = asdict(line)
    values["amount"] = f"{line.amount_minor / 100:.2f}"
    renamed = {
        "participant": "external_id",
        "submission": "submission_id",
        "look_first": "look",
        "payment_key": "key",
    }
    return {name: values[renamed.get(name, name)] for name in COLUMNS}
