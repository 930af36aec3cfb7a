"""Gunicorn for a study: gunicorn --config gunicorn.conf.py 'collection_app.wsgi:application()'

Everything else comes from the environment: see docs/deployment.md.
"""

import logging
import os
import re
from typing import Any

bind = os.environ.get(
    "BAPPS_COLLECT_BIND",
    f"{os.environ.get('BAPPS_COLLECT_HOST', '127.0.0.1')}:{os.environ.get('BAPPS_COLLECT_PORT', '8080')}",
)
workers = int(os.environ.get("BAPPS_COLLECT_PROCESSES", "2"))
worker_class = "gthread"
threads = int(os.environ.get("BAPPS_COLLECT_THREADS", "8"))
# Longer than the proxy keeps its idle connections to us, and than people think between answers.
keepalive = 75
# A worker that is asked to end finishes what it does; an export of a large study takes a while.
graceful_timeout = 120
# Heartbeats are files; in memory they do not wait for a busy disk.
worker_tmp_dir = "/dev/shm"
# Each worker opens its own connections: nothing may be shared by a fork.
preload_app = False
# The app logs every request as JSON, without addresses; gunicorn's own log would have them.
accesslog = None
_ADDRESS = re.compile(r"[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:\.\d+)*|\d{1,3}(?:\.\d{1,3}){3}")
_QUERY = re.compile(r"\?\S+")


class NoAddresses(logging.Filter):
    """Takes visitors' addresses, and ids after a question mark, out of what a worker logs of malformed requests."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite a record; none is dropped."""
        said = _QUERY.sub("?...", _ADDRESS.sub("(address)", record.getMessage()))
        record.msg, record.args = said, ()
        return True


def post_fork(_server: object, worker: Any) -> None:
    """What a worker logs may be about a visitor; what the master logs is about this machine."""
    worker.log.error_log.addFilter(NoAddresses())


# Whose X-Forwarded-For and -Proto are believed is the app's to decide: BAPPS_COLLECT_TRUSTED_PROXIES.
forwarded_allow_ips = ""
