"""Putting a study into a database: its items from patch sets, its sentinels and training items; freezing it."""

import hashlib
import json
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from bapps_builder.files.atomic import replaced_whole
from bapps_builder.files.private import private_folder
from bapps_builder.images.image_files import encode_png
from bapps_builder.patch_sets.patch_set import PatchSet, pixel_digest
from collection_app.database.models import Image, Item, Participant, Session
from collection_app.database.models import Study as StudyRow
from collection_app.errors import StudyError
from collection_app.signing import Entropy
from collection_app.studies.picture_sizes import Size
from collection_app.studies.sentinels import check_items
from collection_app.studies.study import Study
from collection_app.studies.study_file import changes

_AT_A_TIME = 1000
_SALT_BYTES = 32


@dataclass(frozen=True)
class Installed:
    """A study in a database: the id of its row, how many test items it has, and answers they need.

    `left_out` counts the items of the sets whose two patches are the same: there is nothing to ask about them.
    """

    study_id: int
    items: int
    answers: int
    left_out: int = 0


@dataclass(frozen=True)
class _Prepared:
    """A row of `item` without study and priority, the size of its images, and their files."""

    columns: dict[str, Any]
    size: Size
    paths: dict[str, Path]


def check_tasks(study: Study, sets: Sequence[PatchSet]) -> None:
    """Raise StudyError if a set is of another task than the study."""
    for patch_set in sets:
        if patch_set.task != study.task_module.patch_sets:
            needed = study.task_module.patch_sets
            raise StudyError(
                f"{patch_set.folder}: its items are for the task {patch_set.task}, but this study shows items of "
                f"{needed}; use a patch set made with --task {needed}"
            )


def install(
    connection: Connection,
    study: Study,
    sets: Sequence[PatchSet],
    *,
    folder: Path,
    entropy: Entropy = secrets.token_bytes,
    advance: Callable[[int], None] = lambda steps: None,
) -> Installed:
    """Store a study with the items of patch sets; its own images are written to `folder`, named by their hash.

    An item whose two patches are pixel by pixel the same, of a distortion that did nothing, is left out.

    Again for the same study, this takes the place of what was there, as long as nobody has taken part. Once it
    was served, settings and items must be the same, and only the places of images are stored anew.

    Raises
    ------
    StudyError
        If a set is of another task, two sets hold an item of the same name, or the study was served and changed.
    """
    check_tasks(study, sets)
    old_row = connection.execute(
        select(StudyRow).where(StudyRow.name == study.name, StudyRow.version == study.version)
    ).one_or_none()
    served_digest = None
    if old_row is not None:
        study_id = old_row.id
        if old_row.frozen_at is None:
            _remove_items(connection, study_id)
        else:
            _check_unchanged(study, Study.model_validate_json(old_row.settings))
            served_digest = old_row.items_sha256
    else:
        study_id = connection.execute(
            insert(StudyRow)
            .values(
                name=study.name,
                version=study.version,
                settings="",
                settings_sha256="",
                items_sha256="",
                salt=entropy(_SALT_BYTES),
            )
            .returning(StudyRow.id)
        ).scalar_one()
    digest, items, answers = hashlib.sha256(), 0, 0
    rng = np.random.default_rng(int.from_bytes(entropy(8)))
    # A study that was served with pairs that nobody can tell apart goes on with them.
    alike = select(Item.id).where(Item.study_id == study_id, Item.role == "test", Item.p0 == Item.p1).limit(1)
    rows = _prepared(study, sets, folder, alike=connection.scalar(alike) is not None)
    while some := list(islice(rows, _AT_A_TIME)):
        for row in some:
            digest.update(json.dumps(row.columns, sort_keys=True).encode())
            items += row.columns["quota"] is not None
            answers += row.columns["quota"] or 0
        _place_images(connection, some)
        if served_digest is None:
            priorities = rng.integers(0, 2**31, len(some)).tolist()
            connection.execute(
                insert(Item),
                [
                    {**row.columns, **_of_study(row.size, study_id), "priority": priority}
                    for row, priority in zip(some, priorities, strict=True)
                ],
            )
        advance(len(some))
    total = sum(map(len, sets))
    if not items:
        raise StudyError(
            f"{study.name}: none of the {total} items can be asked about, since the two patches of each are the "
            "same, pixel by pixel; make a patch set whose distortions change something"
        )
    if served_digest not in (None, digest.hexdigest()):
        raise StudyError(f"{study.name}: was served with other items; raise its version to change them")
    connection.execute(
        update(StudyRow)
        .where(StudyRow.id == study_id)
        .values(settings=study.canonical(), settings_sha256=study.digest(), items_sha256=digest.hexdigest())
    )
    return Installed(study_id, items, answers, total - items)


def freeze(connection: Connection, study: Study, now: int, *, simulated: bool = False) -> int:
    """Give the id of an installed study, and from now on let nothing in it change.

    Raises
    ------
    StudyError
        If it is not installed, or is installed with other settings, or holds people while `simulated` ones are to
        come, or the other way round.
    """
    row = find(connection, study)
    others = select(Session.id).join(Participant).where(Participant.study_id == row.id, Session.simulated != simulated)
    if connection.scalar(others.limit(1)):
        held, coming = ("people", "a rehearsal") if simulated else ("a rehearsal", "people")
        raise StudyError(
            f"{study.name} version {study.version}: this database holds the answers of {held}, and those of {coming} "
            "must not be mixed with them; name another database, or raise `version`, and run `bapps-collect init`"
        )
    _check_unchanged(study, Study.model_validate_json(row.settings))
    connection.execute(
        update(StudyRow).where(StudyRow.id == row.id, StudyRow.frozen_at.is_(None)).values(frozen_at=now)
    )
    return row.id


def find(connection: Connection, study: Study) -> Any:
    """Give the row of a study, or raise StudyError if it is not in this database."""
    row = connection.execute(
        select(StudyRow).where(StudyRow.name == study.name, StudyRow.version == study.version)
    ).one_or_none()
    if row is None:
        raise StudyError(f"{study.name} version {study.version} is not in this database; run `bapps-collect init`")
    return row


def has_people(connection: Connection, study: Study) -> bool:
    """Tell whether somebody has taken part already, simulated people apart."""
    people = select(Session.id).join(Participant).where(Participant.study_id == find(connection, study).id)
    return connection.scalar(people.where(~Session.simulated).limit(1)) is not None


def _check_unchanged(study: Study, stored: Study) -> None:
    if differences := changes(stored, study):
        raise StudyError(
            f"{study.name} version {study.version}: differs from what is in the database in {', '.join(differences)}; "
            "run `bapps-collect init` again, with a higher version if it was served"
        )


def _remove_items(connection: Connection, study_id: int) -> None:
    if connection.scalar(select(Participant.id).where(Participant.study_id == study_id).limit(1)):
        raise StudyError("people have taken part in this version of the study; raise `version` to change it")
    connection.execute(delete(Item).where(Item.study_id == study_id))


def _of_study(size: Size, study_id: int) -> dict[str, int]:
    """What a row has besides its columns: these are no part of `items_sha256`, which older versions made without."""
    width, height = size
    return {"study_id": study_id, "width": width, "height": height, "filled": 0, "p1_left": 0}


def _prepared(study: Study, sets: Sequence[PatchSet], folder: Path, *, alike: bool) -> Iterator[_Prepared]:
    names: set[tuple[str, str]] = set()
    for patch_set in sets:
        for item in patch_set:
            label = f"{item.split}/{item.set}"
            if (label, item.id) in names:
                raise StudyError(
                    f"{patch_set.folder}: another set holds an item {item.id} of {label} too; leave one out"
                )
            names.add((label, item.id))
            for role in patch_set.roles:
                patch_set.read(item, role)  # checks the pixels against the manifest
            columns = {"role": "test", "set_name": label, "name": item.id, "check_name": "", "expected": ""}
            hashes = {role: item.digest(role) for role in patch_set.roles}
            if hashes["p0"] == hashes["p1"] and not alike:
                continue
            paths = {hashes[role]: patch_set.path(item, role).resolve() for role in patch_set.roles}
            yield _Prepared({**columns, "ref": None, **hashes, "quota": study.quota(item.split)}, item.box[2:], paths)
    private_folder(folder)
    for check in check_items(study, list(sets)):
        images = {role: image for role in ("ref", "p0", "p1") if (image := getattr(check, role)) is not None}
        hashes = {role: pixel_digest(image) for role, image in images.items()}
        paths = {}
        for role, image in images.items():
            path = paths[hashes[role]] = (folder / f"{hashes[role]}.png").resolve()
            with replaced_whole(path, private=True) as temporary:
                temporary.write_bytes(encode_png(image))
        columns = {"role": check.role, "set_name": "", "name": check.name, "check_name": check.check}
        height, width = check.p0.shape[:2]
        values = {**columns, "expected": check.expected, "ref": None, **hashes, "quota": None}
        yield _Prepared(values, (width, height), paths)


def _place_images(connection: Connection, rows: Sequence[_Prepared]) -> None:
    paths = {sha256: str(path) for row in rows for sha256, path in row.paths.items()}
    of_dialect = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = of_dialect(Image)
    connection.execute(
        statement.on_conflict_do_update(index_elements=[Image.sha256], set_={"path": statement.excluded.path}),
        [{"sha256": sha256, "path": path} for sha256, path in sorted(paths.items())],
    )
