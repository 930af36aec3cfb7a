"""From a study file and settings to the app that serves it: the same for every server, and for every command."""

import os
from pathlib import Path

from flask import Flask
from sqlalchemy import Engine

from collection_app import create_app
from collection_app.admin.passwords import checked_hash, stored_hash
from collection_app.database.connections import migrate, open_database, read
from collection_app.errors import StudyError
from collection_app.settings import PREFIX, Settings, database_url
from collection_app.signing import signing_key
from collection_app.studies.installation import has_people
from collection_app.studies.readiness import missing, require_ready
from collection_app.studies.study_file import read_study
from collection_app.web.logs import LOGGER


def engine_of(file: Path, settings: Settings, *, made: bool = False, connections: int = 10) -> Engine:
    """Open the database of a study file and bring it up to date; it must be there unless it is being `made`.

    Raises
    ------
    StudyError
        If an SQLite file is missing.
    """
    engine = open_database(database_url(settings, file), connections=connections)
    path = engine.url.database
    if not made and engine.dialect.name == "sqlite" and path and not Path(path).exists():
        raise StudyError(f"{path}: no such database; run `bapps-collect init` first")
    migrate(engine)
    return engine


def app_of(file: Path, settings: Settings) -> Flask:
    """Make the app that serves a study file; from now on its settings and items are frozen.

    Raises
    ------
    StudyError
        If the study is not ready to be asked of people, and this is no rehearsal.
    """
    study = read_study(file)
    engine = engine_of(file, settings, connections=settings.threads)
    if not settings.rehearsal and (lacks := missing(study)):
        if not read(engine, lambda c: has_people(c, study)):
            require_ready(study)
        # Its people agreed to the text as it is: it goes on, and nobody is told less than those before.
        LOGGER.warning("%s began when less was asked of a study; it goes on without: %s", study.name, "; ".join(lacks))
    return create_app(
        study,
        engine,
        key=signing_key(file.with_suffix(".key")),
        settings=settings,
        password_hash=password_hash_of(file, settings),
    )


def password_hash_of(file: Path, settings: Settings) -> str:
    """The hash of the admin pages' password: of the settings, else of the file beside the study, else none."""
    if settings.password_hash:
        return checked_hash(settings.password_hash, f"{PREFIX}PASSWORD_HASH")
    return stored_hash(password_file(file))


def password_file(file: Path) -> Path:
    """Where the hash of the password of a study's admin pages is."""
    return file.resolve().with_suffix(".password")


def study_file() -> Path:
    """The study file that BAPPS_COLLECT_STUDY names.

    Raises
    ------
    StudyError
        If it is not set.
    """
    if name := os.environ.get(f"{PREFIX}STUDY"):
        return Path(name)
    raise StudyError(f"{PREFIX}STUDY must name the study file to serve, such as /srv/study/study.toml")
