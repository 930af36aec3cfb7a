"""Presets for people whom nobody knows: sentinels of the study's own distortions, and no reference seen twice."""

import json
import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from bapps_builder.patch_sets.manifest import item_table
from bapps_builder.patch_sets.patch_set import PatchSet, finish_patch_set, read_patch_set, write_patch
from collection_app import create_app
from collection_app.database.connections import migrate, open_database, read, write
from collection_app.database.models import Assignment, Item, Session
from collection_app.errors import StudyError
from collection_app.rehearsal.pass_rates import _drawn, _of_sentinels, _right, conduct_rates, pass_rates, tail
from collection_app.settings import Settings
from collection_app.studies.installation import install
from collection_app.studies.presets import preset
from collection_app.studies.sentinels import check_items, count_checks
from collection_app.studies.study import Study
from collection_app.tasks.observers import observer

KEY = "a signing key that is long enough for tests"


def small(task: str, **more: Any) -> Study:
    """A preset with a quarter of its sentinels, and test items to match."""
    rules = [{**rule.model_dump(), "count": 6, "at_least": 3} for rule in preset(task).sentinels.rules]
    settings = {"items_per_session": 14, "answers_per_item": {"val": 1000, "jnd": 1000}}
    sentinels = {**preset(task).sentinels.model_dump(), "rules": rules}
    return preset(task, **{**settings, "sentinels": sentinels, "rules": {"server_time": False}, **more})


@pytest.fixture(scope="module", params=["2afc", "jnd"])
def task(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def patches(task: str, make_set: Any, tmp_path_factory: pytest.TempPathFactory) -> PatchSet:
    return make_set(tmp_path_factory.mktemp("sets") / task, task=task, count=60)


def test_a_graded_check_is_one_distortion_at_two_strengths_and_plain(task: str, patches: PatchSet) -> None:
    items = [item for item in check_items(small(task), [patches]) if item.check == "graded"]
    assert len(items) == 60  # ten times those of a session
    nears, fars = [], []
    for item in items:
        if task == "jnd":
            assert item.expected == "different"
            near, original, far = item.p0, item.p0, item.p1
        else:
            assert item.ref is not None
            original = item.ref
            near, far = (item.p0, item.p1) if item.expected == "p0" else (item.p1, item.p0)
        nears.append(np.abs(near.astype(float) - original).mean())
        fars.append(np.abs(far.astype(float) - original).mean())
    assert np.mean(np.asarray(fars) >= np.maximum(6, 2.5 * np.asarray(nears))) > 0.95
    assert np.std(fars) > 3  # graded, not all of one strength
    if task == "2afc":
        assert min(nears) > 0  # the better patch is distorted too, as in test items
        assert {item.expected for item in items} == {"p0", "p1"}


def test_own_distortions_are_those_that_the_sets_name(tmp_path: Path, make_set: Any) -> None:
    whole = make_set(tmp_path / "a", count=60)
    from collection_app.studies.sentinels import _own_distortions

    names = {side.recipe.partition("(")[0] for item in whole for side in (item.p0, item.p1)}
    assert _own_distortions([whole]) == sorted(names)


@pytest.mark.parametrize("seed", range(3))
def test_no_test_items_reference_is_seen_in_a_sentinel_or_in_training(
    task: str, patches: PatchSet, tmp_path: Path, place: Any, seed: int
) -> None:
    """Threat 16. Here nearly every reference is needed in every session: 14, 6 or 12 sentinels, and training."""
    engine = open_database(f"sqlite:///{tmp_path}/study.sqlite")
    migrate(engine)
    study = small(task, items_per_session=60 - small(task).checks, seed=seed)
    place(engine, study, patches)
    client: Any = create_app(study, engine, key=KEY, settings=Settings(arrivals_per_minute=0)).test_client()
    for _ in range(12):
        begin(client)
    query = select(Session.id, Item.role, Item.check_name, Item.name, Item.ref, Item.p0).select_from(Assignment)
    rows = read(engine, lambda c: c.execute(query.join(Item).join(Session)).all())
    for session in {row.id for row in rows}:
        seen = [row for row in rows if row.id == session]
        references = {row.ref or row.p0 for row in seen}
        assert len(references) == len(seen) == 60
        assert Counter(row.role for row in seen)["training"] == sum(study.practice.values())
    engine.dispose()


@pytest.mark.parametrize("often", [True, False])
def test_how_often_a_picture_comes_again_tells_nobody_what_it_is(
    task: str, patches: PatchSet, tmp_path: Path, place: Any, often: bool
) -> None:
    """Threat 4: of 15 sentinels for all, 8 people knew every one, since test items are shown to few."""
    engine = open_database(f"sqlite:///{tmp_path}/study.sqlite")
    migrate(engine)
    chosen = {**small(task).sentinels.model_dump(), "pool": 1, "apart": False, "as_often": often}
    study = small(task, sentinels=chosen)
    assert sum(item.role == "sentinel" for item in check_items(study, [patches])) == (
        sum(-(-60 * rule.count // 14) if often else rule.count for rule in study.sentinels.rules)
    )
    place(engine, study, patches)
    client: Any = create_app(study, engine, key=KEY, settings=Settings(arrivals_per_minute=0)).test_client()
    for _ in range(30):
        begin(client)
    shown = select(Assignment.session_id, Item.role, Item.id).join(Item).where(Item.role != "training")
    rows = read(engine, lambda c: c.execute(shown.order_by(Assignment.session_id)).all())
    before: Counter[int] = Counter()
    times = []
    for row in rows:
        times.append(before[row.id])
        before[row.id] += 1
    told = _association(times, np.array([row.role == "sentinel" for row in rows]))
    assert bool(told < 30 + 3 * len(set(times))) is often
    engine.dispose()


def test_too_few_patches_are_refused_with_the_number_needed(task: str, patches: PatchSet) -> None:
    study = preset(task)
    needed = 160 + study.checks
    with pytest.raises(StudyError, match=f"needs {needed} patches with references of their own, and the sets have 60"):
        count_checks(study, [patches])


def _with_pairs_alike(made: PatchSet, numbers: Iterable[int]) -> PatchSet:
    """Some pairs of a patch set made pixel-identical, as a distortion without effect leaves them."""
    items = [made[i] for i in range(len(made))]
    for i in numbers:
        digest = write_patch(made.folder, "p1", items[i].id, made.read(items[i], "p0"))
        items[i] = replace(items[i], p1=replace(items[i].p1, sha256=digest))
    finish_patch_set(made.folder, [item_table(items)], made.description)
    return read_patch_set(made.folder)


def test_items_of_one_patch_twice_are_left_out(tmp_path: Path, make_set: Any) -> None:
    """Threat 16: 5 of 250 pairs were the same, pixel by pixel."""
    patches = _with_pairs_alike(make_set(tmp_path / "set", task="jnd", count=12), (3, 7))
    engine = open_database(f"sqlite:///{tmp_path}/study.sqlite")
    migrate(engine)
    study = preset("paper-jnd", items_per_session=5)
    found = write(engine, lambda c: install(c, study, [patches], folder=tmp_path / "images"))
    assert (found.items, found.left_out) == (10, 2)
    same = select(Item.id).where(Item.role == "test", Item.p0 == Item.p1)
    assert read(engine, lambda c: c.scalars(same).all()) == []
    engine.dispose()


def test_a_study_that_could_ask_about_nothing_is_refused(tmp_path: Path, make_set: Any) -> None:
    """Else everybody who comes would be told that there is no work."""
    patches = _with_pairs_alike(make_set(tmp_path / "set", task="jnd", count=12), range(12))
    engine = open_database(f"sqlite:///{tmp_path}/study.sqlite")
    migrate(engine)
    study = preset("paper-jnd", items_per_session=5)
    with pytest.raises(StudyError, match="none of the 12 items can be asked about, since the two patches of each are"):
        write(engine, lambda c: install(c, study, [patches], folder=tmp_path / "images"))
    engine.dispose()


def begin(client: Any) -> tuple[list[dict[str, Any]], dict[str, str]]:
    arrived = client.post("/api/arrivals", json={"key": uuid.uuid4().hex, "parameters": {"id": uuid.uuid4().hex}}).json
    bearer = {"Authorization": f"Bearer {arrived['token']}"}
    client.post("/api/start", json={"consent_sha256": arrived["consent_sha256"]}, headers=bearer)
    return client.get("/api/trials?limit=1000", headers=bearer).json["trials"], bearer


@pytest.mark.slow
def test_over_200_sessions_nothing_but_pixels_predicts_a_sentinel(
    task: str, patches: PatchSet, tmp_path: Path, place: Any
) -> None:
    """Of each thing that a bot sees, how well a guess from its value does: the chi square of a table, and of a rank."""
    engine = open_database(f"sqlite:///{tmp_path}/study.sqlite")
    migrate(engine)
    study = small(task)
    place(engine, study, patches)
    client: Any = create_app(study, engine, key=KEY, settings=Settings(arrivals_per_minute=0)).test_client()
    seen: list[dict[str, Any]] = []
    for _ in range(200):
        trials, _ = begin(client)
        shown = [trial for trial in trials if not trial["training"]]
        for number, trial in enumerate(shown):
            roles = [role for role in ("reference", "left", "right") if trial[role]]
            replies = [client.get(f"/images/{trial[role]}") for role in roles]
            told = {name: value for name, value in trial.items() if name not in ("slot", *roles)}
            headers = [dict(reply.headers) for reply in replies]
            proofs = [header.pop("Picture-Proof") for header in headers]
            seen.append(
                {
                    "told": json.dumps(told, sort_keys=True),
                    "position": number,
                    "order of names": tuple(np.argsort([trial[role] for role in roles])),
                    "first digits": tuple(trial[role][0] for role in roles)[:1],
                    "last digit": trial["right"][-1],
                    "sizes": tuple(len(reply.data) for reply in replies),
                    "headers": json.dumps(headers),
                    "proofs": proofs[-1][16],
                    "same bytes": len({reply.data for reply in replies}),
                }
            )
    query = (
        select(Item.role, Item.p0 == Item.p1, Assignment.side)
        .select_from(Assignment)
        .join(Item)
        .where(Item.role != "training")
        .order_by(Assignment.session_id, Assignment.slot)
    )
    rows = read(engine, lambda c: c.execute(query).all())
    assert len(rows) == len(seen)
    sentinel, identical = np.array([row[0] == "sentinel" for row in rows]), np.array([bool(row[1]) for row in rows])
    truths = [sentinel, identical] if task == "jnd" else [sentinel]
    for name in seen[0]:
        values = [entry[name] for entry in seen]
        for truth in truths:
            assert _association(values, truth) < 30 + 3 * len(set(values)), name
    sides = np.array([row[2] == "left" for row in rows])
    assert _association(list(sides), sentinel) < 20
    # What came before says nothing either, but that 14 test items in a row are as many as there can be.
    per = len(seen) // 200
    before = [tuple(sentinel[i - 2 : i]) if i % per >= 2 else None for i in range(len(seen))]
    known = [i for i, value in enumerate(before) if value is not None]
    table = [before[i] for i in known]
    assert _association(table, sentinel[known]) < 60 + 3 * len(set(table))
    engine.dispose()


def _association(values: list[Any], truth: np.ndarray) -> float:
    """Pearson's chi square of what is seen and what is true; its mean under independence is the values less one."""
    share = truth.mean()
    total = 0.0
    for value in set(values):
        which = np.array([v == value for v in values])
        total += (truth[which].sum() - which.sum() * share) ** 2 / (which.sum() * share * (1 - share))
    return total


@pytest.mark.slow
def test_careful_and_lapsing_people_pass_and_chance_does_not(task: str, make_set: Any, tmp_path: Path) -> None:
    study = preset(task)
    patches = make_set(tmp_path / "set", task=task, count=260)
    items = list(check_items(study, [patches]))
    rates = {str(rule.check): rate for rule, rate in pass_rates(study, items)}
    kept = {str(rule): rate for rule, rate in conduct_rates(study, items, [patches])}
    assert min(rates.values()) > 0.999
    assert min(kept.values()) > 0.999
    distances, rng = _of_sentinels(study, items), np.random.default_rng(0)
    total = sum(rule.count for rule in study.sentinels.rules)
    least = 47 if task == "2afc" else int(np.ceil(0.63 * total))
    for kind in ("careful", "lapsing"):
        people = [observer(5, number, kind) for number in range(400)]
        right = [
            [
                p
                for rule in study.sentinels.rules
                for p in _right(study, person, _drawn(distances[rule.check], rule.count, rng))
            ]
            for person in people
        ]
        assert np.mean([tail(each, least) for each in right]) > 0.99
    for left in (0.5, 0.3, 0.9):  # whatever side or word somebody who guesses likes best
        guess = [left] * (total // 2) + [1 - left] * (total - total // 2)
        assert tail(guess, least) < 0.0125
