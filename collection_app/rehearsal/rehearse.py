"""A whole study played by simulated people, one after another, against a server and a database of its own."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from bapps_builder.patch_sets.patch_set import PatchSet
from collection_app import create_app
from collection_app.database.connections import migrate, read, write
from collection_app.rehearsal.client import Client
from collection_app.rehearsal.simulated_people import Eyes, Player, Playing, SeededEntropy, VirtualClock, play
from collection_app.reporting.status import Status, status
from collection_app.server.serving import served
from collection_app.settings import Settings
from collection_app.studies.installation import install
from collection_app.studies.study import Study

# Where virtual time starts: 2020-01-01.
_EPOCH_MS = 1_577_836_800_000
# People who may come for each session that the study needs.
_MOST_PEOPLE = 20


@dataclass(frozen=True)
class Rehearsal:
    """What came of it: how many people ended how, the study's state, and virtual hours from the first to the last."""

    outcomes: Mapping[str, int]
    status: Status
    hours: float


def rehearse(
    study: Study,
    sets: Sequence[PatchSet],
    engine: Engine,
    *,
    folder: Path,
    mix: Mapping[Player, float],
    seed: int,
    people: int | None = None,
    dropout: float = 0.0,
    batch: int = 1,
    advance: Callable[[int], None] = lambda steps: None,
) -> Rehearsal:
    """Install a study in an empty database and play it until it is full, or `people` have come.

    The same study, sets, seed and people give the same answers and the same database rows.
    """
    clock, entropy = VirtualClock(_EPOCH_MS), SeededEntropy(seed)
    migrate(engine)
    installed = write(engine, lambda c: install(c, study, sets, folder=folder, entropy=entropy))
    app = create_app(
        study,
        engine,
        key=entropy(32).hex(),
        settings=Settings(arrivals_per_minute=0),
        clock=clock,
        entropy=entropy,
        simulated=True,
    )
    recipes = {side.sha256: side.recipe for patch_set in sets for item in patch_set for side in (item.p0, item.p1)}
    playing = Playing(seed, mix, dropout, batch, pause=clock.advance, now=clock)
    most = people or _MOST_PEOPLE * math.ceil(installed.answers / study.items_per_session)
    outcomes: Counter[str] = Counter()
    # When everything is given out, wait for the places of those who left; if there is nothing then, it is full.
    patience = (study.lease_minutes * 60 + 1, study.lapse_hours * 3600 + 1)
    idle = 0
    with served(app, Settings(port=0)) as url, closing(Client(url)) as client:
        eyes = Eyes(client, recipes)
        for number in range(most):
            outcome = play(client, eyes, playing, number)
            outcomes[outcome] += 1
            if outcome == "no_work":
                if idle == len(patience):
                    break
                clock.advance(patience[idle])
                idle += 1
            else:
                idle = 0
            advance(study.items_per_session)
    figures = read(engine, lambda connection: status(connection, installed.study_id, now=clock()))
    return Rehearsal(dict(sorted(outcomes.items())), figures, (clock() - _EPOCH_MS) / 3_600_000)
