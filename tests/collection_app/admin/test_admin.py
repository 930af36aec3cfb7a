"""The pages for those who run a study: who gets in, and that every number on them is the one counted independently."""

import html
import itertools
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, select, text

from bapps_builder.answers.answer_table import read_answers
from bapps_builder.patch_sets.patch_set import PatchSet
from collection_app import create_app
from collection_app.admin.admin_access import ALL_TRIES_PER_MINUTE, LOGIN_HOURS
from collection_app.admin.login_delays import FREE_TRIES
from collection_app.admin.pages import STATES
from collection_app.admin.passwords import checked_hash, is_password, password_hash, store_hash, stored_hash
from collection_app.commands.bapps_collect import collect
from collection_app.database.connections import open_database, read, write
from collection_app.database.models import LoginTry
from collection_app.errors import StudyError
from collection_app.payments.pay_lines import pay_lines
from collection_app.rehearsal.rehearse import rehearse
from collection_app.rehearsal.simulated_people import Player
from collection_app.reporting.export import export
from collection_app.settings import Settings
from collection_app.studies.presets import as_toml, preset
from collection_app.studies.study import Study
from collection_app.web.served_study import running

PASSWORD = "correct horse battery staple"
HASH = password_hash(PASSWORD)
KEY = "a signing key that is long enough for tests"
START_MS = 1_700_000_000_000
LIVE = Settings(figures_seconds=0)
PAPER = preset(
    "paper-2afc",
    items_per_session=8,
    sentinels={"rules": [{"check": "obvious", "count": 3, "at_least": 3}]},
    training={"obvious": 1},
)
JND = preset(
    "paper-jnd",
    items_per_session=10,
    sentinels={"rules": [{"check": "identical", "count": 2, "at_least": 1}]},
    training={"same": 1},
)


_addresses = (f"192.0.2.{number}" for number in itertools.cycle(range(256)))


class Clock:
    now = START_MS

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def app(engine: Engine, place: Any, small_set: PatchSet, clock: Clock) -> Flask:
    place(engine, PAPER, small_set)
    return create_app(PAPER, engine, key=KEY, settings=LIVE, password_hash=HASH, clock=clock)


def log_in(app: Flask, password: str = PASSWORD) -> FlaskClient:
    client = app.test_client()
    reply = send(client, password, environ_base={"REMOTE_ADDR": next(_addresses)})  # so that no limit is reached
    assert reply.status_code == 303, reply.text
    return client


def send(client: FlaskClient, password: str, **options: Any) -> Any:
    return client.post("/admin/login", data={"form_token": form_token(client), "password": password}, **options)


def form_token(client: FlaskClient, path: str = "/admin/login") -> str:
    found = re.search(r'name="form_token" value="([^"]+)"', client.get(path).text)
    assert found
    return found[1]


def admin_pages(app: Flask) -> list[str]:
    """An address of every page that only those who know the password may see."""
    found = []
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("admin.") and "GET" in (rule.methods or ()) and rule.endpoint != "admin.login":
            found.append(re.sub(r"<(?:int\(.*?\):)?(\w+)>", lambda m: "csv" if m[1] == "kind" else "1", rule.rule))
    assert len(found) >= 9
    return found


def test_no_page_without_the_password(app: Flask) -> None:
    client = app.test_client()
    for page in admin_pages(app):
        reply = client.get(page)
        assert (reply.status_code, reply.location) == (303, "/admin/login"), page
        assert PAPER.title not in reply.text
    assert client.post("/admin/logout").status_code == 303  # to the login as well
    assert log_in(app).get("/admin/").status_code == 200


def test_every_page_opens_and_lets_no_script_of_others_run(app: Flask) -> None:
    client = log_in(app)
    for page in [*admin_pages(app), "/admin/login"]:
        reply = client.get(page)
        assert reply.status_code in (200, 404), page  # nobody has taken part, so there is no session 1
        policy = reply.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "unsafe" not in policy
        assert reply.headers["Cache-Control"] == "no-store"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=", reply.text), page


def test_the_cookie_is_for_the_admin_pages_alone(app: Flask) -> None:
    client = app.test_client()
    cookies = send(client, PASSWORD).headers.getlist("Set-Cookie")
    assert {cookie.partition("=")[0] for cookie in cookies} == {"bapps_admin", "bapps_admin_known"}
    for cookie in cookies:
        for wanted in ("HttpOnly", "SameSite=Strict", "Path=/admin"):
            assert wanted in cookie
        assert "Secure" not in cookie
    secure = app.test_client()
    options = {"base_url": "https://study.example"}
    token = re.search(r'name="form_token" value="([^"]+)"', secure.get("/admin/login", **options).text)
    assert token
    reply = secure.post("/admin/login", data={"form_token": token[1], "password": PASSWORD}, **options)
    assert all("Secure" in cookie for cookie in reply.headers.getlist("Set-Cookie"))
    assert "Set-Cookie" not in app.test_client().get("/healthz").headers


def test_a_wrong_password_and_too_many_of_them(app: Flask, clock: Clock) -> None:
    client = app.test_client()
    for _ in range(FREE_TRIES):
        reply = send(client, "correct horse battery stapl")
        assert reply.status_code == 403
        assert "This is not the password." in reply.text
    reply = send(client, PASSWORD)  # even the right one has to wait
    assert (reply.status_code, reply.headers["Retry-After"]) == (429, "1")
    assert "wait 1 seconds, or run `bapps-collect unlock`" in reply.text
    assert client.get("/admin/").status_code == 303
    clock.now += 1000
    assert send(client, PASSWORD).status_code == 303


def test_threat_6_delays_grow_and_one_address_shuts_nobody_else_out(app: Flask, clock: Clock) -> None:
    at_home = log_in(app)
    assert at_home.post("/admin/logout", data={"form_token": form_token(at_home, "/admin/")}).status_code == 303
    attacker, waited = {"REMOTE_ADDR": "203.0.113.9"}, []
    client = app.test_client()
    for _ in range(16):
        clock.now += 1000 * (waited[-1] if waited else 0)
        assert send(client, "wrong", environ_base=attacker).status_code == 403
        for _ in range(20):  # asking all the time changes nothing
            reply = send(client, "wrong", environ_base=attacker)
            if reply.status_code == 429:
                waited.append(int(reply.headers["Retry-After"]))
                break
    assert waited == [1, 2, 4, 8, 16, 32, 64, 128, 256, *[300] * 7]
    # Another address gets in, and so does a browser that has logged in before, from the attacker's own address.
    assert send(app.test_client(), PASSWORD, environ_base={"REMOTE_ADDR": "198.51.100.7"}).status_code == 303
    assert send(client, PASSWORD, environ_base=attacker).status_code == 429
    assert send(at_home, PASSWORD, environ_base=attacker).status_code == 303


def test_threat_6_all_addresses_together_do_not_shut_a_known_browser_out(app: Flask, clock: Clock) -> None:
    known = log_in(app)
    for number in range(ALL_TRIES_PER_MINUTE):
        send(app.test_client(), "wrong", environ_base={"REMOTE_ADDR": f"10.0.{number}.1"})
    assert send(app.test_client(), PASSWORD, environ_base={"REMOTE_ADDR": "10.9.9.9"}).status_code == 429
    assert send(known, PASSWORD, environ_base={"REMOTE_ADDR": "10.9.9.9"}).status_code == 303


def test_a_cookie_of_a_known_browser_cannot_be_made_up_and_waits_for_its_own_tries(app: Flask) -> None:
    known, forged = log_in(app), app.test_client()
    forged.set_cookie("bapps_admin_known", "abc", path="/admin/login")
    for client in (known, forged):
        for _ in range(FREE_TRIES):
            assert send(client, "wrong").status_code == 403
        assert send(client, PASSWORD).status_code == 429
    assert send(app.test_client(), PASSWORD).status_code == 429  # of the address that `forged` came from


def test_threat_6_unlock_on_the_machine_itself(app: Flask, engine: Engine, clock: Clock, tmp_path: Path) -> None:
    client = app.test_client()
    for _ in range(FREE_TRIES):
        send(client, "wrong")
    assert send(client, PASSWORD).status_code == 429
    (tmp_path / "study.toml").write_text(as_toml(PAPER))
    url = engine.url.render_as_string(hide_password=False)
    done = CliRunner().invoke(collect, ["unlock", str(tmp_path / "study.toml"), "--database", url])
    assert "wrong tries of 1 addresses and browsers are forgotten" in done.output
    assert send(client, PASSWORD).status_code == 303


def test_tries_are_counted_by_the_second_process_too_and_no_address_is_kept(app: Flask, engine: Engine) -> None:
    other = create_app(PAPER, engine, key=KEY, settings=LIVE, password_hash=HASH, clock=Clock())
    for process in (app, other, app, other, app):
        assert send(process.test_client(), "wrong").status_code == 403
    assert send(other.test_client(), PASSWORD).status_code == 429
    assert "127.0.0.1" not in read(engine, lambda c: repr(c.execute(select(LoginTry)).all()))


def test_a_login_ends_after_hours_with_the_button_and_with_a_new_password(
    app: Flask, clock: Clock, engine: Engine
) -> None:
    client = log_in(app)
    clock.now += LOGIN_HOURS * 3_600_000 - 1
    assert client.get("/admin/").status_code == 200
    clock.now += 1
    assert client.get("/admin/").status_code == 303

    client = log_in(app)
    assert client.post("/admin/logout", data={"form_token": form_token(client, "/admin/")}).status_code == 303
    assert client.get("/admin/").status_code == 303

    cookie = log_in(app).get_cookie("bapps_admin", path="/admin")
    assert cookie
    changed = create_app(PAPER, engine, key=KEY, password_hash=password_hash("another one, as long"), clock=clock)
    other = changed.test_client()
    other.set_cookie("bapps_admin", cookie.value, path="/admin")
    assert other.get("/admin/").status_code == 303


def test_forms_of_other_sites_are_refused(app: Flask) -> None:
    client = app.test_client()
    assert client.post("/admin/login", data={"password": PASSWORD}).status_code == 403
    client.get("/admin/login")
    reply = client.post("/admin/login", data={"password": PASSWORD, "form_token": "guess"})
    assert reply.status_code == 403
    assert '"error":"form"' in reply.text
    inside = log_in(app)
    assert inside.post("/admin/logout", data={"form_token": form_token(app.test_client())}).status_code == 403
    assert inside.get("/admin/").status_code == 200


def test_without_a_password_nobody_gets_in(engine: Engine, place: Any, small_set: PatchSet) -> None:
    place(engine, PAPER, small_set)
    app = create_app(PAPER, engine, key=KEY)
    for password in ("", "password", "admin", PASSWORD):
        reply = send(app.test_client(), password)
        assert reply.status_code == 403
    assert "No password is set" in app.test_client().get("/admin/login").text


def test_only_the_hash_of_a_password_is_kept_for_its_owner(tmp_path: Path) -> None:
    assert PASSWORD not in HASH
    assert password_hash(PASSWORD) != HASH  # salted
    assert is_password(HASH, PASSWORD)
    assert not is_password(HASH, PASSWORD + " ")
    assert not is_password("", "")
    with pytest.raises(StudyError, match="a password needs 12 characters, got 5"):
        password_hash("short")
    file = tmp_path / "study.password"
    assert stored_hash(file) == ""
    store_hash(file, HASH)
    assert stored_hash(file) == HASH
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(0o640)
    with pytest.raises(StudyError, match="others may read it"):
        stored_hash(file)
    with pytest.raises(StudyError, match="holds no hash of a password"):
        checked_hash(PASSWORD, "BAPPS_COLLECT_PASSWORD_HASH")


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, make_set: Callable[..., PatchSet]) -> Callable[[str], Any]:
    """A simulated study in progress of each task: its app, its database's file, and its settings."""
    made: dict[str, Any] = {}

    def give(task: str) -> tuple[Flask, Path, Study]:
        if task not in made:
            folder, study = tmp_path_factory.mktemp(task), PAPER if task == "2afc" else JND
            sets = [
                make_set(folder / "a", task=task, count=30, name="one"),
                make_set(folder / "b", task=task, count=8, name="two", split="train", seed=1),
            ]
            engine = open_database(f"sqlite:///{folder}/study.sqlite")
            mix: dict[Player, float] = {"careful": 0.6, "random": 0.4}
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("collection_app.rehearsal.simulated_people._BAD_EXPOSURES", 0.2)
                rehearse(
                    study, sets, engine, folder=folder / "images", mix=mix, seed=2, people=11, dropout=0.3, batch=5
                )
            now = read(engine, lambda c: c.scalar(text("SELECT max(seen_at) FROM session"))) + 1000
            settings = Settings(figures_seconds=0, rehearsal=True)
            app = create_app(study, engine, key=KEY, settings=settings, password_hash=HASH, clock=lambda: now)
            made[task] = (app, folder / "study.sqlite", study)
        return made[task]

    return give


def shown(page: str) -> str:
    """The text of a page as it is read: without tags, each run of space as one, digits together."""
    text = html.unescape(re.sub(r"<[^>]+>", " ", re.sub(r"<title>.*?</title>", "", page, flags=re.DOTALL)))
    return re.sub(r"\s+", " ", text.replace("\N{NARROW NO-BREAK SPACE}", ""))


@pytest.mark.parametrize("task", ["2afc", "jnd"])
def test_the_numbers_are_those_that_are_counted_past_this_program(played: Any, task: str) -> None:
    app, file, study = played(task)
    client = log_in(app)
    database = sqlite3.connect(file)

    def count(query: str) -> int:
        return database.execute(f"SELECT count(*) FROM {query}").fetchone()[0]

    trials = "assignment AS a JOIN item AS i ON i.id = a.item_id JOIN session AS s ON s.id = a.session_id"
    answered = count(f"{trials} WHERE i.role = 'test' AND a.state = 'answered' AND s.excluded IS NULL")
    wanted = sum(study.quota(split) * items for split, items in (("val", 30), ("train", 8)))
    under_way = count(f"{trials} WHERE i.role = 'test' AND a.state = 'open' AND a.holds")
    assert answered > 0 < under_way
    page = client.get("/admin/").text
    text = shown(page)
    assert "Simulated." in text
    assert f"Progress {answered} of {wanted} answers" in text
    assert f"{under_way} more under way" in text
    for set_name, items, quota in (("val/one", 30, study.quota("val")), ("train/two", 8, study.quota("train"))):
        of_set = f"{trials} WHERE i.set_name = '{set_name}' AND a.holds"
        full = count(f"(SELECT i.id FROM {of_set} GROUP BY i.id HAVING count(*) = {quota})")
        row = re.search(rf"{set_name} ([\d.]+)% (\d+) of (\d+) (\d+) of (\d+) with all (\d+)", text)
        assert row, text
        assert [int(row[i]) for i in (2, 3, 4, 5, 6)] == [count(of_set), items * quota, full, items, quota]
        assert float(row[1]) == round(100 * count(of_set) / (items * quota), 1)
        spread = re.search(r'aria-label="([^"]+ with 0[^"]*)"', page[page.index(set_name) :])
        assert spread
        by_filled = [
            count(
                f"item AS i WHERE set_name = '{set_name}' AND "
                f"(SELECT count(*) FROM assignment AS a WHERE a.item_id = i.id AND a.holds) = {filled}"
            )
            for filled in range(quota + 1)
        ]
        assert spread[1] == ", ".join(f"{items} with {filled}" for filled, items in enumerate(by_filled))
    for state, sessions in database.execute("SELECT state, count(*) FROM session GROUP BY state"):
        assert f"{state} {sessions}" in text
    assert f"not used {count('session WHERE excluded IS NOT NULL')} simulated 11" in text
    assert f"training included {count('answer')} exposures that failed {count('answer WHERE NOT valid')}" in text
    assert f"by two of them {count('assignment WHERE state = ' + repr('spoiled'))}" in text
    rule = study.sentinels.rules[0]
    (name,) = {row[0] for row in database.execute("SELECT rule FROM decision WHERE rule LIKE 'sentinels%'")}
    broken = count(f"decision WHERE rule = '{name}' AND verdict = 'excluded'")
    kept = count(f"decision WHERE rule = '{name}' AND verdict = 'used'")
    assert rule.check in name
    assert f"{name} {kept} {broken}" in text
    for verdict, sessions in database.execute("SELECT verdict, count(*) FROM decision WHERE tier = 'pay' GROUP BY 1"):
        assert f"{verdict} {sessions}" in text
    last = count("answer WHERE submitted_at / 60000 > (SELECT max(seen_at) + 1000 FROM session) / 60000 - 60")
    assert f"{last} in this hour" in text


def test_figures_are_of_half_a_minute_ago_at_most(
    engine: Engine, place: Any, small_set: PatchSet, clock: Clock
) -> None:
    place(engine, PAPER, small_set)
    app = create_app(PAPER, engine, key=KEY, password_hash=HASH, clock=clock)
    client = log_in(app)

    def arrived() -> int:
        found = re.search(r"arrived (\d+)", shown(client.get("/admin/sessions").text))
        assert found
        return int(found[1])

    assert arrived() == 0
    arrival = {"key": "a" * 32, "parameters": {"id": "somebody"}}
    reply = app.test_client().post("/api/arrivals", json=arrival)
    assert reply.status_code == 200, reply.text
    assert arrived() == 0
    clock.now += 30_000
    assert arrived() == 1


def test_exclusions_and_sessions_say_why(played: Any) -> None:
    app, file, _ = played("2afc")
    client, database = log_in(app), sqlite3.connect(file)
    excluded = database.execute("SELECT id, excluded FROM session WHERE excluded IS NOT NULL").fetchall()
    assert excluded
    text = shown(client.get("/admin/exclusions").text)
    for session_id, reason in excluded:
        assert reason in text
        assert reason in shown(client.get(f"/admin/sessions/{session_id}").text)
    for state in STATES:
        found = shown(client.get(f"/admin/sessions?state={state}").text)
        rows = database.execute("SELECT count(*) FROM session WHERE state = ?", (state,)).fetchone()[0]
        assert ("None." in found) == (rows == 0)


def test_pay_lists_what_the_command_lists(played: Any) -> None:
    app, file, _ = played("2afc")
    client, database = log_in(app), sqlite3.connect(file)
    with app.app_context():
        step = running().step()
        lines = read(running().engine, lambda connection: pay_lines(connection, step))
    over = "state NOT IN ('arrived', 'started')"
    assert len(lines) == database.execute(f"SELECT count(*) FROM session WHERE {over}").fetchone()[0] > 1
    text = shown(client.get("/admin/pay").text)
    for line in lines:
        amount = f"{line.amount_minor / 100:.2f} {line.currency}".strip()
        verdict = f"{line.verdict} look first" if line.look else line.verdict
        assert f"{line.session_id} {line.pay_id[:8]} {line.outcome} {verdict} {amount} {line.reasons}" in text
    rest = shown(client.get(f"/admin/pay?after={lines[-1].session_id}").text)
    assert f" {lines[-1].session_id} {lines[-1].pay_id[:8]} " not in rest
    assert f" {lines[0].session_id} {lines[0].pay_id[:8]} " in rest


def test_failed_exposures_are_listed_with_what_was_measured(played: Any) -> None:
    app, file, _ = played("jnd")
    failed = sqlite3.connect(file).execute("SELECT second_ms FROM answer WHERE NOT valid").fetchall()
    assert failed
    text = shown(log_in(app).get("/admin/exposures").text)
    assert f"{len(failed)} of " in text
    for (second,) in failed:
        assert f"{second:.1f}" in text


def test_an_item_is_shown_with_its_images_and_every_answer(played: Any) -> None:
    app, file, _ = played("2afc")
    client, database = log_in(app), sqlite3.connect(file)
    item_id, name, images = database.execute(
        "SELECT item_id, name, ref || ' ' || p0 || ' ' || p1 FROM assignment AS a JOIN item AS i ON i.id = a.item_id "
        "JOIN answer ON answer.assignment_id = a.id WHERE role = 'test' GROUP BY item_id ORDER BY count(*) DESC"
    ).fetchone()
    reply = client.get(f"/admin/items/{item_id}")
    assert f"val/one {name}" in shown(reply.text) or f"train/two {name}" in shown(reply.text)
    for sha256 in images.split():
        assert f'src="/images/{sha256}"' in reply.text
        assert client.get(f"/images/{sha256}").mimetype == "image/png"
    rows = database.execute(
        "SELECT pseudonym, choice, reason FROM answer AS n JOIN assignment AS a ON a.id = n.assignment_id "
        "JOIN participant AS p ON p.id = a.participant_id WHERE item_id = ?",
        (item_id,),
    ).fetchall()
    text = shown(reply.text)
    assert len(rows) >= 2
    for pseudonym, choice, reason in rows:
        assert re.search(rf"{pseudonym[:8]} \d+ {choice} ", text)
        assert reason in text
    assert client.get(f"/admin/items?name={name}").status_code == 303
    assert "No item has the name nothing" in shown(client.get("/admin/items?name=nothing").text)


def test_pages_of_lists_follow_each_other_without_gap(played: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collection_app.reporting.queries.PAGE", 7)
    app, file, _ = played("2afc")
    client, path, seen = log_in(app), "/admin/items", []
    while path:
        page = client.get(path).text
        seen += [int(number) for number in re.findall(r'href="/admin/items/(\d+)"', page)]
        more = re.search(r'href="([^"]+)">More', page)
        path = html.unescape(more[1]) if more else ""
    database = sqlite3.connect(file)
    assert seen == [row[0] for row in database.execute("SELECT id FROM item WHERE role = 'test' ORDER BY id")]


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "parquet"])
def test_the_export_is_the_one_of_the_command(played: Any, kind: str, tmp_path: Path) -> None:
    app, file, study = played("2afc")
    reply = log_in(app).get(f"/admin/export.{kind}")
    path = tmp_path / f"answers.{kind}"
    engine = open_database(f"sqlite:///{file}")
    count = read(engine, lambda c: export(c, study, 1, path=path))
    assert reply.data == path.read_bytes()
    assert len(read_answers(path)) == count
    assert f'filename="{study.name}-v1.{kind}"' in reply.headers["Content-Disposition"]
    assert log_in(app).get("/admin/dictionary.csv").data == (tmp_path / "answers.dictionary.csv").read_bytes()
    assert log_in(app).get("/admin/export.xlsx").status_code == 404


def test_hostile_names_are_text(app: Flask, engine: Engine) -> None:
    hostile = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"

    def plant(connection: Any) -> None:
        run = connection.execute
        run(text("UPDATE item SET set_name = :x, name = :x || CAST(id AS VARCHAR) WHERE role = 'test'"), {"x": hostile})
        run(text("INSERT INTO participant (id, study_id, pseudonym) VALUES (1, 1, :x)"), {"x": hostile[:32]})
        run(
            text(
                "INSERT INTO session (id, public_id, participant_id, number, platform, arrival_sha256, state, excluded,"
                " outcome, seed, simulated, device, arrived_at, seen_at) "
                "VALUES (1, 'x', 1, 0, 'local', 'x', 'complete', :x, 'complete', 0, :no, :x, 0, 0)"
            ),
            {"x": hostile, "no": False},
        )
        for tier in ("use", "pay"):
            run(
                text(
                    "INSERT INTO decision (session_id, tier, rule, verdict, reason, at) VALUES (1, :t, :x, :v, :x, 0)"
                ),
                {"t": tier, "x": hostile, "v": hostile[:12]},
            )
        run(text("INSERT INTO event (session_id, kind, detail, at) VALUES (1, :k, :x, 0)"), {"k": "<b>", "x": hostile})

    write(engine, plant)
    client = log_in(app)
    (item_id,) = read(engine, lambda c: c.execute(text("SELECT min(id) FROM item")).one())
    pages = ["/", "/sessions", "/sessions/1", "/items", f"/items/{item_id}", "/exclusions", "/exposures", "/pay"]
    for page in [*pages, f"/items?name={hostile}", f"/sessions?state={hostile}"]:
        reply = client.get(f"/admin{page}")
        assert reply.status_code == 200, page
        assert "<script>" not in reply.text, page
        assert "<img src=x" not in reply.text, page
        assert "<b>" not in reply.text, page
    assert html.escape(hostile, quote=False)[:20] in client.get("/admin/").text


@pytest.mark.parametrize("path", ["/sessions/999", "/items/999", "/items/99999999999999999999", "/nothing"])
def test_what_is_not_there_is_not_found(app: Flask, path: str) -> None:
    assert log_in(app).get(f"/admin{path}").status_code == 404


@pytest.mark.parametrize(
    "query",
    ["after=x", "after=-1", "after=99999999999999999999", "role=x&set=y", "name=x", "state=x"],
)
def test_queries_that_make_no_sense_do_no_harm(app: Flask, query: str) -> None:
    for page in ("sessions", "items", "exclusions", "pay"):
        assert log_in(app).get(f"/admin/{page}?{query}").status_code == 200


@pytest.mark.parametrize("query", ["after=%00", "role=x&set=%00", "name=%00", "state=%00"])
def test_queries_that_hold_a_nul_are_refused_at_the_door(app: Flask, query: str) -> None:
    for page in ("sessions", "items", "exclusions", "pay"):
        assert log_in(app).get(f"/admin/{page}?{query}").status_code == 400


def test_the_settings_of_a_server_hold_no_password_by_default() -> None:
    assert Settings().password_hash == Settings().metrics_token == ""
