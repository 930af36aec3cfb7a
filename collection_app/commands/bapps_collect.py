"""The command `bapps-collect`."""

import json
import math
import secrets
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import click
from flask import Flask
from sqlalchemy import Engine

from bapps_builder.commands.console import Command, note, progress
from bapps_builder.patch_sets.patch_set import read_patch_set
from collection_app.admin.login_delays import forget_tries
from collection_app.admin.passwords import password_hash, store_hash
from collection_app.commands.access import access
from collection_app.commands.pay import pay
from collection_app.database.connections import open_database, read, safe_address, write
from collection_app.errors import StudyError
from collection_app.operations.arrival_checks import begin_arrival_checks
from collection_app.operations.platform_polling import begin_polling
from collection_app.participants.patch_files import check_patches, patches_of
from collection_app.participants.receipts import read_receipt
from collection_app.participants.receipts import receive as receive_answers
from collection_app.rehearsal.pass_rates import conduct_rates, pass_rates
from collection_app.rehearsal.rehearse import rehearse
from collection_app.rehearsal.simulated_people import PLAYERS, Player
from collection_app.reporting.backup import back_up
from collection_app.reporting.export import dictionary_path
from collection_app.reporting.export import export as export_answers
from collection_app.reporting.status import status as study_status
from collection_app.reporting.status_text import show_status
from collection_app.server.app_from_file import app_of, engine_of, password_file, password_hash_of
from collection_app.server.serving import listen
from collection_app.sessions.erasure import close as close_study
from collection_app.sessions.erasure import empty_log
from collection_app.sessions.erasure import erase as erase_person
from collection_app.sessions.steps import Step
from collection_app.settings import settings_from
from collection_app.signing import PictureNames, Tokens, signing_key
from collection_app.studies import installation
from collection_app.studies.picture_sizes import USUAL_WINDOW, Size, fit_abreast, largest_sizes
from collection_app.studies.presets import OPEN_TO, PRESETS, as_toml, preset
from collection_app.studies.sentinels import check_items, count_checks
from collection_app.studies.study import Study
from collection_app.studies.study_file import name_for, read_study
from collection_app.web.logs import log, write_logs
from collection_app.web.served_study import running, wall_clock

_EXAMPLES = """
\b
Examples:
  bapps-collect init study.toml --patches patches/ --preset 2afc
  bapps-collect serve study.toml
  bapps-collect status study.toml
  bapps-collect pay study.toml --csv
  bapps-collect export study.toml answers.parquet
  bapps-collect simulate study.toml --patches patches/ --people 20
"""


class _Group(click.Group):
    command_class = Command


@click.group(cls=_Group, epilog=_EXAMPLES)
def collect() -> None:
    """Ask people which of two patches is closer to an original, or whether two are the same."""


collect.add_command(access)
collect.add_command(pay)


_study_file = click.argument("file", metavar="STUDY.toml", type=click.Path(path_type=Path))
_database = click.option(
    "--database", metavar="URL", help="Database. [default: $BAPPS_COLLECT_DATABASE, then STUDY.sqlite beside the file]"
)
_patches = click.option(
    "--patches",
    "folders",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    help="Patch set made by `bapps-distort`; may be repeated.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@collect.command(cls=Command)
@_study_file
@_patches
@click.option("--preset", "name", type=click.Choice(list(PRESETS)), help="Write STUDY.toml first, from this preset.")
@_database
def init(file: Path, folders: tuple[Path, ...], name: str | None, database: str | None) -> None:
    """Put a study into its database: items, sentinels, training items.

    Without a STUDY.toml, one is written from --preset, with the meaning of every setting; edit it and run
    `init` again, as often as you like until the first person arrives. Prints how likely a careful person
    passes each rule.
    """
    sets = [read_patch_set(folder) for folder in folders]
    if not name and not file.exists():
        raise StudyError(f"{file}: no such study file; write one with --preset {sets[0].task}, and edit it")
    if name and file.exists():
        raise StudyError(f"{file}: already exists; leave --preset out, or name another file")
    if name:
        template = preset(name, name=name_for(file))
        installation.check_tasks(template, sets)  # before anything is written
        file.write_text(as_toml(template), encoding="utf-8")
        note(f"wrote {file}: fill in every FILL IN, edit what you like, then run init again")
    study = read_study(file)
    engine = _engine(file, database, made=True)
    total = sum(map(len, sets)) + count_checks(study, sets)
    with progress(total, "storing items") as advance:
        record = write(
            engine,
            lambda c: installation.install(c, study, sets, folder=_image_folder(file), advance=advance),
        )
    click.echo(
        f"{record.items} items, {record.answers} answers needed, {count_checks(study, sets)} sentinels and "
        "training items"
    )
    if record.left_out:
        note(f"{record.left_out} items are left out: their two patches are the same, pixel by pixel")
    if study.task_module.looked:
        click.echo(_suggested_layout(read(engine, lambda c: largest_sizes(c, record.study_id))))
    checks = list(check_items(study, sets))
    for rule, rate in pass_rates(study, checks):
        click.echo(
            f"sentinels {rule.check}: a careful person gets at least {rule.at_least} of "
            f"{rule.count} right in {rate:.1%} of sessions"
        )
    for rule, rate in conduct_rates(study, checks, sets):
        if not math.isnan(rate):
            click.echo(f"rule {rule}: a careful person keeps it in {rate:.1%} of sessions")
    if name in OPEN_TO:
        note(f"{name} is for replication: {OPEN_TO[name]}; {study.task} is for people whom nobody knows")


def _suggested_layout(sizes: Sequence[Size]) -> str:
    large = [f"{width}x{height}" for width, height in sizes if not fit_abreast((width, height))]
    window = "{}x{}".format(*USUAL_WINDOW)
    if not large:
        return f'display.layout: "side-by-side" suggested, for three pictures have room in a window of {window}'
    return (
        f'display.layout: "in-place" suggested, for three pictures of {large[0]} have no room side by side in a window '
        f'of {window}, and with "auto" some people would judge them in another way than others'
    )


@collect.command(cls=Command)
@_study_file
@_database
@click.option("--host", help="Address to listen on. [default: $BAPPS_COLLECT_HOST, then 127.0.0.1]")
@click.option("--port", type=int, help="Port to listen on. [default: $BAPPS_COLLECT_PORT, then 8080]")
@click.option("--rehearsal", is_flag=True, default=None, help="Serve it unready; sessions are marked as simulated.")
def serve(file: Path, database: str | None, host: str | None, port: int | None, rehearsal: bool | None) -> None:
    """Serve a study. From now on its settings and items are frozen; logs go to standard error.

    A study that does not tell people all they must know is refused; see `terms` in STUDY.toml.
    """
    study = read_study(file)
    settings = settings_from(database=database, host=host, port=port, rehearsal=rehearsal or None)
    app = app_of(file, settings)
    write_logs()
    _check_images(app)
    server = listen(app, settings)
    begin_polling(app, settings)
    begin_arrival_checks(app)
    if not password_hash_of(file, settings):
        note("no password is set, so nobody can see the admin pages; run `bapps-collect password`")
    note(f"serving {study.name} version {study.version} at {server.address}; stop with Ctrl-C")
    log("serving", study=study.name, version=study.version, settings=study.digest())
    server.run()


def _check_images(app: Flask) -> None:
    with app.app_context():
        run = running()
    with progress(len(patches_of(run.engine, run.study_id)), "checking images") as advance:
        if damaged := check_patches(run.engine, run.study_id, advance=advance):
            note(f"{damaged} images are damaged and will be given to nobody; see the log, /healthz or the admin pages")


@collect.command(cls=Command)
@_study_file
@click.option("--show", is_flag=True, help="Print the hash, for $BAPPS_COLLECT_PASSWORD_HASH, and store nothing.")
@click.password_option(help="[default: asked for]")
def password(file: Path, show: bool, password: str) -> None:
    """Set the password of the admin pages, at least 12 characters; servers see it when they start again."""
    study, hashed = read_study(file), password_hash(password)
    if show:
        click.echo(hashed)
        return
    store_hash(password_file(file), hashed)
    note(f"{password_file(file)}: the password of {study.name}, hashed; restart its server")


@collect.command(cls=Command)
@_study_file
@_database
def unlock(file: Path, database: str | None) -> None:
    """Let everybody try the password of the admin pages again at once, however many wrong tries there were."""
    study, engine = read_study(file), _engine(file, database)
    read(engine, lambda c: installation.find(c, study))
    sources = write(engine, forget_tries)
    engine.dispose()
    note(f"{study.name}: wrong tries of {sources} addresses and browsers are forgotten")


@collect.command(cls=Command)
@_study_file
@_database
@_json
def status(file: Path, database: str | None, as_json: bool) -> None:
    """Say how far a study is: what the overview of the admin pages shows."""
    study, engine = read_study(file), _engine(file, database)
    figures = read(engine, lambda c: study_status(c, installation.find(c, study).id, now=wall_clock()))
    if as_json:
        click.echo(json.dumps({**asdict(figures), "filled": figures.filled, "wanted": figures.wanted}, indent=2))
    else:
        show_status(study, figures)


@collect.command(cls=Command)
@_study_file
@click.argument("out", type=click.Path(path_type=Path))
@_database
def export(file: Path, out: Path, database: str | None) -> None:
    """Write all answers to OUT (.parquet, .csv, .csv.gz), with a data dictionary beside it."""
    study, engine = read_study(file), _engine(file, database)
    with progress(None, "writing answers") as advance:
        count = read(
            engine,
            lambda c: export_answers(c, study, installation.find(c, study).id, path=out, advance=advance),
        )
    note(f"{count} answers in {out}, columns explained in {dictionary_path(out)}")


@collect.command(cls=Command)
@_study_file
@click.argument("out", type=click.Path(path_type=Path))
@_database
def backup(file: Path, out: Path, database: str | None) -> None:
    """Copy the database to OUT as it is now, while people answer; see docs/deployment.md for going back to it."""
    study, engine = read_study(file), _engine(file, database)
    read(engine, lambda c: installation.find(c, study))
    back_up(engine, out)
    note(f"{out}: everything committed until now; keep {file}, its .key, .images and the patch sets with it")


@collect.command(cls=Command)
@_study_file
@click.argument("receipt", type=click.Path(path_type=Path))
@_database
def receive(file: Path, receipt: Path, database: str | None) -> None:
    """Store the answers of a RECEIPT: what a person saved when their browser could not deliver them."""
    study, engine = read_study(file), _engine(file, database)
    key = signing_key(file.with_suffix(".key"))
    content = read_receipt(receipt)
    tokens, pictures = Tokens(key), PictureNames(key)
    found = write(
        engine, lambda c: receive_answers(c, study, content, tokens=tokens, pictures=pictures, now=wall_clock())
    )
    click.echo(f"{found.stored} answers stored, {found.known} were here already, {len(found.refused)} refused")
    for problem in found.refused:
        note(f"refused: {problem}")


@collect.command(cls=Command)
@_study_file
@click.argument("participant")
@click.option("--with-answers", is_flag=True, help="Delete the answers too, not only whose they are.")
@_database
def erase(file: Path, participant: str, with_answers: bool, database: str | None) -> None:
    """Forget PARTICIPANT, named by platform id or pseudonym. Backups and exports keep what they have.

    Without --with-answers the answers stay, under names and in an order that no list made before knows. A list of pay
    still tells amounts and counts of answers.
    """
    study, engine = read_study(file), _engine(file, database)
    sessions = write(
        engine,
        lambda c: erase_person(
            c, _step(study, installation.find(c, study).id), person=participant, with_answers=with_answers
        ),
    )
    _empty_log(engine)
    note(f"forgotten, with {sessions} sessions; earlier backups and exports still hold what they held")


@collect.command(cls=Command)
@_study_file
@_database
def close(file: Path, database: str | None) -> None:
    """Let nobody arrive any more; again after the erasure deadline, delete all ids and the salt."""
    study, engine = read_study(file), _engine(file, database)
    done = write(engine, lambda c: close_study(c, _step(study, installation.find(c, study).id)))
    _empty_log(engine)
    until = datetime.fromtimestamp(done.erasable_until / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    if done.state == "closed":
        note(f"closed; people can be erased until {until}; run close again then, to delete all ids")
    else:
        note(f"closed; all ids and the salt are deleted (the erasure deadline was {until})")


@collect.command(cls=Command)
@_study_file
@_patches
@click.option("--people", type=click.IntRange(min=1), help="How many come. [default: until the study is full]")
@click.option("--mix", default="careful=1", show_default=True, help=f"Shares, of {', '.join(PLAYERS)}, with commas.")
@click.option("--dropout", type=click.FloatRange(0, 1), default=0.0, show_default=True, help="Share who leave midway.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--database", metavar="URL", help="An empty database. [default: STUDY.simulated.sqlite beside the file]")
@_json
def simulate(
    file: Path,
    folders: tuple[Path, ...],
    people: int | None,
    mix: str,
    dropout: float,
    seed: int,
    database: str | None,
    as_json: bool,
) -> None:
    """Let simulated people play the study through the HTTP interface, in virtual time, in a database of its own."""
    study, sets = read_study(file), [read_patch_set(folder) for folder in folders]
    own = file.resolve().with_suffix(".simulated.sqlite")
    if database is None and own.exists():
        raise StudyError(f"{own}: already exists; remove it to simulate again")
    engine = open_database(database or f"sqlite:///{own}")
    total = sum(study.quota(item.split) for patch_set in sets for item in patch_set)
    with progress(total, "simulating") as advance:
        rehearsal = rehearse(
            study,
            sets,
            engine,
            folder=_image_folder(file),
            mix=_shares(mix),
            seed=seed,
            people=people,
            dropout=dropout,
            advance=advance,
        )
    if as_json:
        click.echo(json.dumps({**asdict(rehearsal), "database": safe_address(engine.url)}, indent=2))
        return
    show_status(study, rehearsal.status)
    click.echo("people: " + ", ".join(f"{count} {outcome}" for outcome, count in rehearsal.outcomes.items()))
    click.echo(f"{rehearsal.hours:.1f} hours of one person after another; answers in {safe_address(engine.url)}")


def _shares(text: str) -> dict[Player, float]:
    shares: dict[Player, float] = {}
    for part in text.split(","):
        kind, _, share = part.partition("=")
        if kind.strip() not in PLAYERS or not share.strip().replace(".", "", 1).isdigit():
            raise click.BadParameter(
                f"{part!r}: expected KIND=SHARE with one of {', '.join(PLAYERS)}", param_hint="--mix"
            )
        shares[cast(Player, kind.strip())] = float(share)
    if not sum(shares.values()):
        raise click.BadParameter("the shares add up to nothing", param_hint="--mix")
    return shares


def _engine(file: Path, database: str | None, *, made: bool = False) -> Engine:
    return engine_of(file, settings_from(database=database), made=made)


def _empty_log(engine: Engine) -> None:
    if not empty_log(engine):
        note("a server is reading the database, so its log still holds what was deleted; stop the server once")


def _image_folder(file: Path) -> Path:
    return file.resolve().with_suffix(".images")


def _step(study: Study, study_id: int) -> Step:
    return Step(study, study_id, wall_clock(), secrets.token_bytes)
