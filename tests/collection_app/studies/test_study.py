"""Study files, presets, sentinels, installing and freezing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom
from sqlalchemy import Engine, func, select

from bapps_builder.images.image_files import read_image
from bapps_builder.patch_sets.patch_set import PatchSet, pixel_digest
from collection_app.database.connections import read, write
from collection_app.database.models import Image, Item
from collection_app.errors import StudyError
from collection_app.rehearsal.pass_rates import pass_rates, tail
from collection_app.sessions.exposures import Shown, is_valid, state, the_answer
from collection_app.studies.installation import freeze, install
from collection_app.studies.presets import PRESETS, as_toml, preset
from collection_app.studies.sentinels import check_items
from collection_app.studies.study import Exposure, Study
from collection_app.studies.study_file import changes, read_study, study_of


@pytest.mark.parametrize("name", list(PRESETS))
def test_a_preset_is_written_and_read_back_as_the_same_study(name: str, tmp_path: Path) -> None:
    study = preset(name, title='Quotes " and \\ and ü', consent="One line\n\n- '''quoted'''\n\x7f")
    file = tmp_path / "study.toml"
    file.write_text(as_toml(study), encoding="utf-8")
    assert read_study(file) == study
    assert read_study(file).digest() == study.digest()


def test_the_presets_hold_the_numbers_of_the_paper() -> None:
    jnd, pairs = preset("paper-jnd"), preset("paper-2afc")
    assert {(rule.check, rule.count, rule.at_least) for rule in jnd.sentinels.rules} == {
        ("identical", 32, 20),
        ("noise", 8, 7),
    }
    assert (jnd.items_per_session, jnd.exposure.first_ms, jnd.exposure.gap_ms) == (160, 1000, 250)
    assert jnd.practice == {"identical": 4, "noise": 1, "distorted": 5, "graded": 0}
    assert [(rule.count, rule.at_least) for rule in pairs.sentinels.rules] == [(15, 14)]
    assert pairs.items_per_session == 85
    assert [pairs.quota("train"), pairs.quota("val"), jnd.quota("val")] == [2, 5, 3]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": 1}, "x: colour: Extra inputs are not permitted, got '1'"),
        ({"consent": "go <b>on</b>"}, "needs Markdown without HTML, got '<b>on</b>'"),
        ({"name": "My Study"}, "x: name: "),
        ({"items_per_session": 0}, "greater than or equal to 1, got '0'"),
        ({"title": "two\nlines"}, "x: title: "),
        ({"rules": {"use": ["speed>=3"]}}, "no exclusion rule: 'speed>=3'"),
        ({"sentinels": {"rules": [{"check": "noise", "count": 3, "at_least": 1}]}}, "the task 2afc has the checks"),
        ({"sentinels": {"rules": [{"check": "obvious", "count": 3, "at_least": 4}]}}, "at_least must not exceed count"),
        ({"training": {"same": 1}}, "training items of another task"),
        ({"fewest_items": 86}, "fewest_items must not exceed"),
        ({"sessions_per_person": 5}, "nobody sees one twice"),
        ({"outcomes": {"complete": "a b"}}, "x: outcomes.complete: "),
    ],
)
def test_a_wrong_setting_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError) as error:
        study_of(preset("paper-2afc").model_dump() | change, name="x")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_study_file_that_is_missing_or_no_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no such study file; make one with"):
        read_study(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("name = ")
    with pytest.raises(StudyError, match="not readable as TOML"):
        read_study(tmp_path / "bad.toml")


def test_changes_are_named_by_their_settings() -> None:
    before = preset("paper-jnd")
    after = Study.model_validate(before.model_dump() | {"lease_minutes": 5, "exposure": {"gap_ms": 100}})
    assert changes(before, after) == ["exposure.gap_ms", "lease_minutes"]


def test_sentinels_are_what_they_say_and_come_again(jnd_set: PatchSet, small_set: PatchSet) -> None:
    jnd = list(check_items(preset("paper-jnd"), [jnd_set]))
    again = list(check_items(preset("paper-jnd"), [jnd_set]))
    assert all(np.array_equal(a.p1, b.p1) for a, b in zip(jnd, again, strict=True))
    assert [sum(item.role == role for item in jnd) for role in ("sentinel", "training")] == [160, 10]
    assert [sum(item.check == check for item in jnd) for check in ("identical", "noise")] == [128, 32]
    for item in jnd:
        assert np.array_equal(item.p0, item.p1) == (item.expected == "same")
    assert sum(item.expected == "same" for item in jnd if item.role == "training") == 4

    pairs = list(check_items(preset("paper-2afc"), [small_set]))
    originals = {small_set[i].ref_sha256 for i in range(len(small_set))}
    for item in pairs:
        assert item.ref is not None
        assert pixel_digest(item.ref) in originals
        error = [np.abs(patch.astype(float) - item.ref).mean() for patch in (item.p0, item.p1)]
        assert error[("p0", "p1").index(item.expected)] == min(error) < max(error) / 3
    assert {item.expected for item in pairs} == {"p0", "p1"}


def test_the_tail_is_the_binomials_for_equal_chances() -> None:
    assert tail([0.88] * 32, 20) == pytest.approx(binom.sf(19, 32, 0.88), abs=1e-12)
    assert tail([0.2, 0.5], 1) == pytest.approx(1 - 0.8 * 0.5)


def test_careful_people_are_expected_to_pass(jnd_set: PatchSet) -> None:
    study = preset("paper-jnd")
    rates = {rule.check: rate for rule, rate in pass_rates(study, check_items(study, [jnd_set]))}
    assert rates["identical"] > 0.95
    assert rates["noise"] > 0.95
    strict = preset("paper-jnd", sentinels={"rules": [{"check": "identical", "count": 32, "at_least": 32}]})
    ((_, rate),) = pass_rates(strict, check_items(strict, [jnd_set]))
    # 88% each, with people who differ: to call all 32 the same is rare.
    assert 0.005 < rate < 0.15


def test_installing_stores_every_item_and_a_file_for_every_image(
    engine: Engine, small_set: PatchSet, tmp_path: Path
) -> None:
    study = preset("paper-2afc")
    found = write(engine, lambda c: install(c, study, [small_set], folder=tmp_path / "images"))
    assert (found.items, found.answers) == (12, 60)
    again = write(engine, lambda c: install(c, study, [small_set], folder=tmp_path / "images"))
    assert again.study_id == found.study_id
    counts = select(Item.role, func.count()).group_by(Item.role)
    roles = read(engine, lambda c: c.execute(counts).all())
    assert sorted(map(tuple, roles)) == [("sentinel", 60), ("test", 12), ("training", 5)]
    images = read(engine, lambda c: c.execute(select(Image.sha256, Image.path)).all())
    assert len(images) == len({row.sha256 for row in images}) >= 12 * 3 + 65 * 2
    for row in images:
        assert pixel_digest(read_image(Path(row.path))) == row.sha256


def test_a_served_study_cannot_change(engine: Engine, small_set: PatchSet, make_set: Any, tmp_path: Path) -> None:
    study, folder = preset("paper-2afc"), tmp_path / "images"
    with pytest.raises(StudyError, match="is not in this database; run `bapps-collect init`"):
        write(engine, lambda c: freeze(c, study, 0))
    write(engine, lambda c: install(c, study, [small_set], folder=folder))
    longer = preset("paper-2afc", lease_minutes=60)
    with pytest.raises(StudyError, match="differs from what is in the database in lease_minutes"):
        write(engine, lambda c: freeze(c, longer, 0))
    write(engine, lambda c: freeze(c, study, 0))
    write(engine, lambda c: install(c, study, [small_set], folder=folder))  # the same again
    with pytest.raises(StudyError, match="lease_minutes"):
        write(engine, lambda c: install(c, longer, [small_set], folder=folder))
    other = make_set(tmp_path / "other", count=5, seed=9)
    with pytest.raises(StudyError, match="was served with other items"):
        write(engine, lambda c: install(c, study, [other], folder=folder))
    second = preset("paper-2afc", version=2, lease_minutes=60)
    assert write(engine, lambda c: install(c, second, [other], folder=folder)).items == 5


def test_sets_that_do_not_fit_are_named(engine: Engine, small_set: PatchSet, jnd_set: PatchSet, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="its items are for the task jnd, but this study shows items of 2afc"):
        write(engine, lambda c: install(c, preset("paper-2afc"), [jnd_set], folder=tmp_path))
    with pytest.raises(StudyError, match="another set holds an item 000000 of val/traditional too"):
        write(engine, lambda c: install(c, preset("paper-2afc"), [small_set, small_set], folder=tmp_path))


@pytest.mark.parametrize(
    ("shown", "valid"),
    [
        (Shown(1000, 250, 1000, 16.7, False), True),
        (Shown(1025, 225, 1000, 16.7, False), True),  # within 1.5 frames
        (Shown(1026, 250, 1000, 16.7, False), False),
        (Shown(1000, 224, 1000, 16.7, False), False),
        (Shown(1000, 250, 1000, 16.7, True), False),
        (Shown(1000, 250, None, 16.7, False), False),
        (Shown(1000, 250, 1000, None, False), False),
        (Shown(1000, 240, 1000, 1000 / 75, False), True),  # 18 frames at 75 Hz
    ],
)
def test_an_exposure_is_good_within_a_frame_and_a_half(shown: Shown, valid: bool) -> None:
    assert is_valid(shown, Exposure()) == valid


@pytest.mark.parametrize(
    ("valid", "answer", "wanted"),
    [
        ({}, None, "open"),
        ({1: True}, 1, "answered"),
        ({1: False}, None, "open"),
        ({2: False}, None, "open"),
        ({1: False, 2: True}, 2, "answered"),
        ({1: True, 2: True}, 2, "answered"),
        ({1: True, 2: False}, 1, "answered"),
        ({1: False, 2: False}, None, "spoiled"),
    ],
)
def test_the_last_valid_attempt_is_the_answer(valid: dict[int, bool], answer: int | None, wanted: str) -> None:
    assert the_answer(valid) == answer
    assert state(valid, allowed=2) == wanted
