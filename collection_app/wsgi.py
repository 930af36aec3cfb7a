"""What servers of many processes load: `gunicorn 'collection_app.wsgi:application()'`.

Everything comes from the environment: BAPPS_COLLECT_STUDY names the study file, and see `settings`. Each worker
calls it after it was forked, so that no two processes share a connection.
"""

from flask import Flask

from collection_app.operations.arrival_checks import begin_arrival_checks
from collection_app.operations.platform_polling import begin_polling
from collection_app.server.app_from_file import app_of, study_file
from collection_app.settings import settings_from
from collection_app.web.logs import log, write_logs
from collection_app.web.served_study import running


def application() -> Flask:
    """Make the app of this process."""
    write_logs()
    settings = settings_from()
    app = app_of(study_file(), settings)
    begin_polling(app, settings)
    begin_arrival_checks(app)
    with app.app_context():
        study = running().study
    log("serving", study=study.name, version=study.version, settings=study.digest())
    return app
