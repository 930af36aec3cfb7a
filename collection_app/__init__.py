"""The web app that collects 2AFC and JND judgments from people. `create_app` only wires the parts together."""

import secrets
from collections.abc import Callable

from flask import Flask
from sqlalchemy import Connection, Engine

from collection_app.admin.admin_access import protect
from collection_app.admin.pages import blueprint as admin
from collection_app.database.connections import read, write
from collection_app.operations.health import blueprint as health
from collection_app.operations.prometheus import blueprint as prometheus
from collection_app.operations.webhooks import blueprint as webhooks
from collection_app.participants.api import blueprint as api
from collection_app.participants.images import QuickImages
from collection_app.participants.images import blueprint as images
from collection_app.participants.openapi import blueprint as openapi
from collection_app.participants.pages import blueprint as pages
from collection_app.participants.pages import of_task
from collection_app.reporting.status import Status, status
from collection_app.sessions.block_limit import BlockLimit
from collection_app.settings import Settings
from collection_app.signing import Entropy, PictureNames, Tokens
from collection_app.studies.installation import freeze
from collection_app.studies.picture_sizes import Size, largest_sizes, note_sizes
from collection_app.studies.study import Study
from collection_app.tasks import task_of
from collection_app.web.background_value import Latest
from collection_app.web.http_errors import answer_problems
from collection_app.web.logs import log_requests
from collection_app.web.proxies import TrustedProxies, networks
from collection_app.web.rate_limit import RateLimit
from collection_app.web.refused_at_the_door import refuse_nul
from collection_app.web.security_headers import guard
from collection_app.web.served_study import Running, set_running, wall_clock


def create_app(
    study: Study,
    engine: Engine,
    *,
    key: str,
    settings: Settings | None = None,
    clock: Callable[[], int] = wall_clock,
    entropy: Entropy = secrets.token_bytes,
    simulated: bool = False,
    password_hash: str = "",
) -> Flask:
    """Make the app that serves an installed study, which is frozen by it.

    Parameters
    ----------
    study : Study
    engine : Engine
        See `connections.open_database`.
    key : str
        Signs the session tokens and the admin pages' cookie; see `signing.signing_key`.
    settings : Settings, optional
    clock, entropy, simulated
        See `served_study.Running`.
    password_hash : str, optional
        Of the admin pages' password; without one nobody can log in. See `passwords`.

    Raises
    ------
    StudyError
        If the study is not in the database, or is there with other settings, or real and simulated people would mix.
    """
    settings = settings or Settings()
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = settings.largest_request
    now, simulated = clock(), simulated or settings.rehearsal

    def begin(connection: Connection) -> tuple[int, list[Size]]:
        found = freeze(connection, study, now, simulated=simulated)
        note_sizes(connection, found)
        return found, largest_sizes(connection, found)

    study_id, largest = write(engine, begin)

    def summed_up() -> Status:
        return read(engine, lambda connection: status(connection, study_id, now=clock()))

    running = Running(
        study=study,
        study_id=study_id,
        engine=engine,
        tokens=Tokens(key),
        pictures=PictureNames(key),
        limit=RateLimit(settings.arrivals_per_minute, clock),
        figures=Latest(summed_up, clock=clock, keep_ms=1000 * settings.figures_seconds),
        clock=clock,
        entropy=entropy,
        marks_key=key,
        block_limit=_block_limit(study, settings) if not simulated else None,
        platform_token=settings.platform_token,
        platform_secret=settings.platform_secret,
        largest=largest,
        simulated=simulated,
        least_room_mb=settings.least_room_mb,
    )
    set_running(app.extensions, running)
    answer_problems(app)
    log_requests(app)
    refuse_nul(app)
    protect(app, key=key, password_hash=password_hash, clock=clock)
    app.register_blueprint(of_task(task_of(study.task)))
    checked = health(running, keep_ms=1000 * settings.health_seconds)
    for part in (api, images, checked, openapi, pages, webhooks, admin, prometheus(settings.metrics_token)):
        app.register_blueprint(part)
    app.after_request(guard)
    app.wsgi_app = QuickImages(
        TrustedProxies(app.wsgi_app, networks(settings.trusted_proxies)), engine, running.pictures, clock
    )
    return app


def _block_limit(study: Study, settings: Settings) -> BlockLimit | None:
    """The limit of one network, where nobody vouches for who arrives."""
    if study.platform.vouching(settings.platform_token) != "nobody" or settings.block_share >= 1:
        return None
    return BlockLimit(settings.block_share, settings.block_people)
