"""Simulated people play whole sessions through the HTTP interface: for tests, and for planning a study.

They see what a browser sees: pictures under names that tell nothing. What a person answers depends on the seed, the
person, the item and the attempt alone (see `tasks.observers`), so a study played by one after another under a virtual
clock repeats exactly.
"""

import hashlib
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from bapps_builder.patch_sets.patch_set import pixel_digest
from collection_app.rehearsal.adversaries import ADVERSARIES, Adversary, Attack, Notes
from collection_app.rehearsal.client import Client, CollectionError, Problem
from collection_app.rehearsal.latent_distance import latent_distance
from collection_app.rehearsal.looks import how_looked
from collection_app.tasks import task_of
from collection_app.tasks.observers import KINDS, REACTION_SPREAD, Kind, Observer, observer

# Who may come: people, and programs that want the money.
Player = Kind | Adversary
PLAYERS: tuple[Player, ...] = (*KINDS, *ADVERSARIES)
_FRAME_MS = 1000 / 60
# Share of JND exposures that come out wrong, and share of those who leave in the middle.
_BAD_EXPOSURES = 0.02


class VirtualClock:
    """A clock that only moves when told to."""

    def __init__(self, start_ms: int) -> None:
        self._now, self._lock = start_ms, Lock()

    def __call__(self) -> int:
        """Milliseconds since 1970."""
        with self._lock:
            return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        with self._lock:
            self._now += round(seconds * 1000)


class SeededEntropy:
    """Random bytes that come again with the same seed; safe from several threads."""

    def __init__(self, seed: int) -> None:
        self._rng, self._lock = np.random.default_rng(seed), Lock()

    def __call__(self, count: int) -> bytes:
        """Give so many bytes."""
        with self._lock:
            return self._rng.bytes(count)


@dataclass
class Eyes:
    """How patches look: latent distances of images by the hashes of their pixels, each computed once.

    Attributes
    ----------
    client : Client
    recipes : mapping
        What was done to the patch of a hash, where it is known; else all distortions weigh the same.
    """

    client: Client
    recipes: Mapping[str, str] = field(default_factory=dict)
    _seen: dict[str, NDArray[np.uint8]] = field(default_factory=dict)
    _distances: dict[tuple[str, str], float] = field(default_factory=dict)

    def see(self, name: str) -> tuple[str, str]:
        """Fetch a picture by the name that a trial gives it; gives the hash of its pixels, and the proof of it."""
        pixels, proof = self.client.image(name)
        digest = pixel_digest(pixels)
        self._seen.setdefault(digest, pixels)
        return digest, proof

    def distance(self, person: Observer, original: str, other: str) -> float:
        """How far the patch `other` is from `original` for a person, both seen before."""
        if original == other:
            return 0.0
        if (original, other) not in self._distances:
            self._distances[original, other] = latent_distance(self._seen[original], self._seen[other])
        return self._distances[original, other] * person.weight(self.recipes.get(other, ""))


@dataclass(frozen=True)
class Playing:
    """How a population plays.

    Attributes
    ----------
    seed : int
    mix : mapping of kind to share
    dropout : float
        Share of sessions that end without a word somewhere in the middle.
    batch : int
        Answers sent at once.
    pause : callable
        Lets seconds pass.
    now : callable
        Milliseconds since 1970.
    """

    seed: int
    mix: Mapping[Player, float]
    dropout: float
    batch: int
    pause: Callable[[float], None]
    now: Callable[[], int]
    notes: Mapping[Adversary, Notes] = field(default_factory=lambda: {kind: Notes() for kind in ADVERSARIES})

    def player(self, number: int) -> Player:
        """Draw who comes as the person of a number."""
        rng = np.random.default_rng([self.seed, number])
        # People first: a mix of them alone draws the same as it did before there were others.
        kinds: tuple[Player, ...] = KINDS if set(self.mix) <= set(KINDS) else PLAYERS
        shares = np.array([self.mix.get(kind, 0.0) for kind in kinds])
        return kinds[rng.choice(len(kinds), p=shares / shares.sum())]


def play(client: Client, eyes: Eyes, playing: Playing, number: int) -> str:
    """Let one person take part; give the outcome: complete, no_work, left, or the error of a refused arrival."""
    kind = playing.player(number)
    rng = np.random.default_rng([playing.seed, number, 1])
    if kind in ADVERSARIES:
        program = cast(Adversary, kind)
        attack = Attack(client, program, rng, playing.pause, playing.now, playing.notes[program])
        return attack.play(f"simulated-{number:06d}")
    person = observer(playing.seed, number, cast(Kind, kind))
    key = hashlib.sha256(f"{playing.seed} {number}".encode()).hexdigest()
    try:
        session = client.post("/api/arrivals", {"key": key, "parameters": {"id": f"simulated-{number:06d}"}})
    except Problem as problem:
        return str(problem.error)
    token = session["token"]
    device = {"simulated": True, "kind": person.kind}
    session = client.post("/api/start", {"consent_sha256": session["consent_sha256"], "device": device}, token=token)
    if session["outcome"]:
        return session["outcome"]
    leaves_after = rng.integers(session["trials"]) if rng.random() < playing.dropout else None
    done = 0
    while trials := client.get("/api/trials?limit=1000", token=token)["trials"]:
        for start in range(0, len(trials), playing.batch):
            some = trials[start : start + playing.batch]
            answers = [_answer(person, eyes, playing, session, trial) for trial in some]
            receipts = client.post("/api/answers", {"answers": answers}, token=token)["receipts"]
            if problems := [receipt["problem"] for receipt in receipts if receipt["status"] == "refused"]:
                raise CollectionError(f"the server refused {len(problems)} answers, the first: {problems[0]}")
            done += len(some)
            if leaves_after is not None and done > leaves_after:
                return "left"
    return client.post("/api/finish", {}, token=token)["outcome"]


def _answer(
    person: Observer, eyes: Eyes, playing: Playing, session: Mapping[str, Any], trial: Mapping[str, Any]
) -> dict[str, Any]:
    pictures = {role: eyes.see(trial[role]) for role in ("reference", "left", "right") if trial[role]}
    sides = {role: digest for role, (digest, _) in pictures.items()}
    reference = sides.pop("reference", "")
    digests = (reference, sides["left"], sides["right"])
    rng = person.draw(digests, trial["attempt"])
    reaction_ms = 1000 * person.seconds * float(np.exp(rng.normal(0, REACTION_SPREAD)))
    task = task_of(session["task"])
    if reference:
        left, right = (eyes.distance(person, reference, sides[side]) for side in ("left", "right"))
    else:
        # The distance is the same either way round, up to masking; the smaller hash makes it one number.
        left, right = 0.0, eyes.distance(person, *sorted(sides.values()))
    choice = task.choices[rng.random() >= task.p_first(person, left, right)]
    exposure = _exposure(session["exposure"], rng) if task.timed else {}
    looked = how_looked(session["display"], trial, round(reaction_ms, 1)) if task.looked else {}
    playing.pause(
        reaction_ms / 1000 + sum(exposure.get(name, 0) for name in ("first_ms", "gap_ms", "second_ms")) / 1000
    )
    name = hashlib.sha256(f"{playing.seed} {person.number} {trial['slot']} {trial['attempt']}".encode()).digest()
    return {
        "id": str(uuid.UUID(bytes=name[:16], version=4)),
        "slot": trial["slot"],
        "attempt": trial["attempt"],
        "choice": choice,
        "reaction_ms": round(reaction_ms, 1),
        "answered_at": playing.now(),
        "input": "keyboard",
        "device_pixel_ratio": 1.0,
        "scale": 4,
        "pictures": [proof for _, proof in pictures.values()],
        **looked,
        **exposure,
    }


def _exposure(wanted: Mapping[str, float], rng: np.random.Generator) -> dict[str, Any]:
    """Times as a screen of 60 frames a second gives them; now and then three frames are lost."""
    drops = 3 if rng.random() < _BAD_EXPOSURES else 0
    times = {name: round(wanted[name] / _FRAME_MS) * _FRAME_MS for name in ("first_ms", "gap_ms", "second_ms")}
    times["second_ms"] += drops * _FRAME_MS
    frames = round((times["first_ms"] + times["second_ms"]) / _FRAME_MS)
    return {**times, "frame_ms": _FRAME_MS, "frames": frames, "dropped_frames": drops}
