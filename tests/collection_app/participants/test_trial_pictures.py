"""What a bot can learn of a trial without looking at pixels: nothing."""

import hashlib
import json
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, event, select, update

from bapps_builder.images.image_files import decode_image
from bapps_builder.patch_sets.patch_set import PatchSet, pixel_digest
from collection_app import create_app
from collection_app.database.connections import migrate, open_database, read, write
from collection_app.database.models import Assignment, Item, Session
from collection_app.participants import patch_files
from collection_app.participants.patch_files import check_patches
from collection_app.participants.trial_pictures import padded
from collection_app.settings import Settings
from collection_app.signing import Picture, PictureNames
from collection_app.studies.presets import preset

KEY = "a signing key that is long enough for tests"
PAIRS = preset(
    "paper-jnd",
    items_per_session=6,
    answers_per_item={"jnd": 1000},
    sentinels={
        "rules": [{"check": "identical", "count": 5, "at_least": 3}, {"check": "noise", "count": 2, "at_least": 1}]
    },
    training={"same": 1, "different": 1},
)
ROLES = ("left", "right")


def begin(client: Any) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Start a session; gives its trials, and what speaks for it."""
    arrived = client.post("/api/arrivals", json={"key": uuid.uuid4().hex, "parameters": {"id": uuid.uuid4().hex}}).json
    bearer = {"Authorization": f"Bearer {arrived['token']}"}
    client.post("/api/start", json={"consent_sha256": arrived["consent_sha256"]}, headers=bearer)
    return client.get("/api/trials?limit=1000", headers=bearer).json["trials"], bearer


@pytest.fixture
def client(tmp_path: Path, place: Any, jnd_set: PatchSet) -> Any:
    engine = open_database(f"sqlite:///{tmp_path}/study.sqlite")
    migrate(engine)
    place(engine, PAIRS, jnd_set)
    app = create_app(PAIRS, engine, key=KEY, settings=Settings(arrivals_per_minute=0))
    found: Any = app.test_client()
    found.engine = engine
    yield found
    engine.dispose()


def kinds(engine: Engine) -> list[tuple[int, str, bool]]:
    """Of every assignment: the session, the item's check, and whether its two pictures are one; in their order."""
    query = (
        select(Assignment.session_id, Item.check_name, Item.p0, Item.p1)
        .join(Item)
        .order_by(Assignment.session_id, Assignment.slot)
    )
    return read(engine, lambda c: [(r.session_id, r.check_name, r.p0 == r.p1) for r in c.execute(query)])


def test_an_identical_pair_is_two_names_two_requests_and_one_size(client: Any) -> None:
    trials, _ = begin(client)
    names = [trial[role] for trial in trials for role in ROLES]
    assert len(set(names)) == len(names) == 2 * 15
    hashes = {row for item in read(client.engine, lambda c: c.execute(select(Item.p0, Item.p1)).all()) for row in item}
    assert not hashes & set(names)
    replies = [client.get(f"/images/{name}") for name in names]
    assert {reply.status_code for reply in replies} == {200}
    assert len({len(reply.data) for reply in replies}) == 1
    assert len({reply.headers.pop("Picture-Proof") for reply in replies}) == len(names)
    assert len({json.dumps(dict(reply.headers)) for reply in replies}) == 1
    assert len({reply.data for reply in replies}) == len(names)  # no two replies are the same bytes either
    seen = [pixel_digest(decode_image(reply.data, name="patch")) for reply in replies]
    same = [seen[i] == seen[i + 1] for i in range(0, len(seen), 2)]
    assert same == [identical for _, _, identical in kinds(client.engine)]
    assert sum(same) >= 6  # the pixels can be looked at, and are the right ones


def test_nothing_but_pixels_predicts_a_sentinel_or_an_identical_pair(client: Any) -> None:
    """200 sessions: of each thing that a bot sees, how well the best guess from its value does against chance."""
    seen: list[dict[str, Any]] = []
    for _ in range(200):
        trials, _ = begin(client)
        for trial in (trial for trial in trials if not trial["training"]):
            replies = [client.get(f"/images/{trial[role]}") for role in ROLES]
            told = {name: value for name, value in trial.items() if name not in ("slot", *ROLES)}
            seen.append(
                {
                    "told": json.dumps(told, sort_keys=True),
                    "same name": trial["left"] == trial["right"],
                    "name order": trial["left"] < trial["right"],
                    "first digit": trial["left"][0],
                    "last digit": trial["right"][-1],
                    "sizes": tuple(len(reply.data) for reply in replies),
                    "headers": json.dumps([dict(reply.headers) for reply in replies]),
                    "same bytes": replies[0].data == replies[1].data,
                }
            )
    true = list(kinds(client.engine))
    checks = np.array([check for _, check, _ in true if check != "training"])
    identical = np.array([same for _, check, same in true if check != "training"])
    for name in seen[0]:
        values = [entry[name] for entry in seen]
        for truth in (checks != "", identical):
            assert association(values, truth) < 30 + 3 * len(set(values)), name


def association(values: list[Any], truth: np.ndarray) -> float:
    """Pearson's chi square of what is seen and what is true; its mean under independence is the values less one."""
    share = truth.mean()
    total = 0.0
    for value, count in Counter(values).items():
        found = sum(bool(true) for v, true in zip(values, truth, strict=True) if v == value)
        total += (found - count * share) ** 2 / (count * share * (1 - share))
    return total


@pytest.fixture
def work(client: Any, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """What the server does: statements, files opened, pictures decoded."""
    found: Counter[str] = Counter()

    def counting(name: str, real: Any) -> Any:
        def counted(*args: Any, **named: Any) -> Any:
            found[name] += 1
            return real(*args, **named)

        return counted

    monkeypatch.setattr(patch_files, "_sound", {})
    for name in ("decode_image", "Path"):
        monkeypatch.setattr(patch_files, name, counting(name, getattr(patch_files, name)))
    event.listen(client.engine, "before_cursor_execute", lambda c, k, statement, *_: found.update([statement]))
    return found


def test_an_identical_pair_is_read_and_checked_as_two_others_are(client: Any, work: Counter[str]) -> None:
    pairs = read(client.engine, lambda c: c.execute(select(Item.p0, Item.p1).where(Item.role == "test")).all())
    done = []
    for pair in ([pairs[0].p0] * 2, [pairs[1].p0, pairs[1].p1]):
        work.clear()
        patch_files.patch_pngs(client.engine, pair)
        done.append(dict(work))
    assert done[0] == done[1]
    assert (done[0]["decode_image"], done[0]["Path"]) == (2, 2)


def test_all_trials_make_the_server_do_the_same_work(client: Any, work: Counter[str]) -> None:
    """So time tells nothing either, whatever the machine; nor does what is answered to an answer."""
    assert check_patches(client.engine, 1) == 0  # as `serve` does first
    now = [1_700_000_000_000]
    app = create_app(PAIRS, client.engine, key=KEY, settings=Settings(arrivals_per_minute=0), clock=lambda: now[0])
    client, engine = app.test_client(), client.engine
    trials, bearer = begin(client)
    roles = [(check, same) for _, check, same in kinds(engine)]
    done: dict[tuple[str, bool], set[str]] = {}
    for trial, kind in zip(trials, roles, strict=True):
        steps: list[Any] = []
        proofs = []
        for role in ROLES:
            work.clear()
            reply = client.get(f"/images/{trial[role]}")
            proofs.append(reply.headers["Picture-Proof"])
            steps.append(sorted(work.items()))
        work.clear()
        now[0] += 100_000  # so long that each answer is noted as a sign of life
        answer = {"id": str(uuid.uuid4()), "slot": trial["slot"], "attempt": 1, "choice": "same", "input": "mouse"}
        shown = {"first_ms": 1000, "gap_ms": 250, "second_ms": 1000, "frame_ms": 16.7, "frames": 120}
        sent = {**answer, **shown, "reaction_ms": 900, "answered_at": 0, "dropped_frames": 0, "pictures": proofs}
        reply: Any = client.post("/api/answers", json={"answers": [sent]}, headers=bearer)
        receipt = {name: value for name, value in reply.json["receipts"][0].items() if name != "id"}
        steps.append([sorted(work.items()), {**reply.json, "receipts": receipt}, sorted(reply.headers)])
        if kind[0] != "training":
            done.setdefault(kind, set()).add(json.dumps(steps))
    assert set(done) == {("identical", True), ("noise", False), ("", False)}
    told = {kind: len(each) for kind, each in done.items()}
    assert len(set.union(*done.values())) == 1, told


def test_a_session_begun_before_goes_on_with_the_names_it_knows(client: Any) -> None:
    trials, bearer = begin(client)
    write(client.engine, lambda c: c.execute(update(Session).values(guarded=False)))
    old = client.get("/api/trials?limit=1000", headers=bearer).json["trials"]
    rows = read(client.engine, lambda c: c.execute(select(Item.p0, Item.p1)).all())
    assert {trial[role] for trial in old for role in ROLES} <= {sha256 for row in rows for sha256 in row}
    assert [trial["slot"] for trial in old] == [trial["slot"] for trial in trials]
    assert client.get(f"/images/{old[0]['left']}").status_code == 200


def test_names_are_made_with_the_key_alone_and_hold_for_one_session() -> None:
    names, place = PictureNames(KEY), Picture(2**40, 123, "right")
    name = names.name(place, "a")
    assert len(name) == 64
    assert names.place(name) == place
    assert names.name(place, "b") != name
    assert PictureNames(KEY + "x").place(name) != place
    made_up = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(1000)]
    assert all(names.place(other) is None for other in made_up)


def test_a_patch_of_another_session_or_a_changed_name_is_not_found(client: Any) -> None:
    trials, _ = begin(client)
    name = trials[0]["left"]
    for place in (0, 20, 40, 63):
        digit = "0" if name[place] != "0" else "1"
        assert client.get(f"/images/{name[:place]}{digit}{name[place + 1 :]}").status_code == 404
    other = PictureNames(KEY).name(Picture(1, 0, "left"), "another database's session")
    assert client.get(f"/images/{other}").status_code == 404


def test_padding_leaves_the_pixels_and_takes_any_file(small_set: PatchSet) -> None:
    png = small_set.path(small_set[0], small_set.roles[0]).read_bytes()
    first, second = padded(png, "a"), padded(png, "b")
    assert len(first) == len(second) == 64 * 193 + 512
    assert first != second
    assert pixel_digest(decode_image(first, name="a")) == pixel_digest(decode_image(png, name="b"))
    large = padded(first, "c")
    assert len(large) == len(first) + 4096
    assert pixel_digest(decode_image(large, name="c")) == pixel_digest(decode_image(png, name="b"))
