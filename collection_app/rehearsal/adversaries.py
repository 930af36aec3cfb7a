"""Programs that want the money: how each takes part, through the same interface as people.

Each answers test items at random, or as it guesses without looking; what it knows of sentinels it uses. Times are
virtual: who is slow enough to pass for a person lets so much time go by.
"""

import hashlib
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from bapps_builder.images.image_files import decode_image
from bapps_builder.patch_sets.patch_set import pixel_digest
from collection_app.rehearsal.client import Client, Problem
from collection_app.rehearsal.looks import how_looked
from collection_app.tasks import task_of
from collection_app.tasks.task_module import TaskModule

Adversary = Literal["hash-bot", "spoiler", "early-leaver", "fast-bot", "two-ids", "colluder", "pixel-bot"]
ADVERSARIES: dict[Adversary, str] = {
    "hash-bot": "opens no picture, and answers by the names alone",
    "spoiler": "reports its exposures as bad, to be asked nothing",
    "early-leaver": "answers at random, and leaves before the end",
    "fast-bot": "fetches the pictures, answers at once at random, and claims a person's times",
    "two-ids": "comes again under another id, at random at a person's pace",
    "colluder": "compares notes: looks at what came far more often than most, and answers the rest at random",
    "pixel-bot": "answers by pixels where they are plain, and at random where not",
}
_FRAME_MS = 1000 / 60
_CROSS_MS = 500.0
# Standard deviations of a count beyond the usual one.
_FAR_MORE = 3


@dataclass
class Notes:
    """What adversaries of one kind keep from session to session, and what is kept of them.

    Attributes
    ----------
    seen : Counter
        In how many sessions an item was shown, by the hashes of its pictures.
    random : set of str
        Ids of answers that were given at random.
    """

    seen: Counter[tuple[str, ...]] = field(default_factory=Counter)
    random: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Attack:
    """One session of an adversary.

    Attributes
    ----------
    client : Client
    kind : Adversary
    rng : numpy.random.Generator
    pause, now : callable
        Let seconds pass; milliseconds since 1970.
    notes : Notes
    """

    client: Client
    kind: Adversary
    rng: np.random.Generator
    pause: Callable[[float], None]
    now: Callable[[], int]
    notes: Notes

    def play(self, name: str) -> str:
        """Take part under a name; give the outcome."""
        key = hashlib.sha256(f"adversary {name}".encode()).hexdigest()
        try:
            session = self.client.post("/api/arrivals", {"key": key, "parameters": {"id": name}})
        except Problem as problem:
            return str(problem.error)
        token = session["token"]
        consent = {"consent_sha256": session["consent_sha256"]}
        device = {"simulated": True, "kind": self.kind, "refresh_hz": 60}
        session = self.client.post("/api/start", {**consent, "device": device}, token=token)
        if session["outcome"]:
            return session["outcome"]
        leaves_after = int(self.rng.integers(5, 60)) if self.kind == "early-leaver" else None
        done = 0
        while trials := self.client.get("/api/trials?limit=1000", token=token)["trials"]:
            stands_out = self._stand_out(trials) if self.kind == "colluder" else set()
            for trial in trials:
                if done == leaves_after:
                    return "left"
                answer = self._answer(trial, session, looks=self.kind == "pixel-bot" or trial["slot"] in stands_out)
                reply = self.client.post("/api/answers", {"answers": [answer]}, token=token)
                if reply["over"]:
                    return self.client.get("/api/session", token=token)["outcome"]
                done += 1
        return self.client.post("/api/finish", {}, token=token)["outcome"]

    def _stand_out(self, trials: Sequence[Mapping[str, Any]]) -> set[int]:
        """Slots of the trials that are taken for sentinels, by the notes of all sessions."""
        seen = {}
        for trial in trials:
            item = tuple(sorted(pixel_digest(decode_image(data, name="a picture")) for data in self._fetched(trial)[0]))
            self.notes.seen[item] += 1
            seen[trial["slot"]] = self.notes.seen[item]
        return far_more_often(seen)

    def _answer(self, trial: Mapping[str, Any], session: Mapping[str, Any], *, looks: bool) -> dict[str, Any]:
        task = task_of(session["task"])
        pictures, proofs = ([], []) if self.kind == "hash-bot" else self._fetched(trial)
        choice = self._known(task, pictures) if looks else None
        if choice is None:
            choice = int(self.rng.integers(2))
            if self.kind == "hash-bot":
                choice = task.by_names(trial["left"], trial["right"])
            name = str(uuid.UUID(bytes=self.rng.bytes(16), version=4))
            self.notes.random.add(name)
        else:
            name = str(uuid.UUID(bytes=self.rng.bytes(16), version=4))
        reaction_ms = 1000 * float(np.exp(self.rng.normal(0, 0.3)))
        exposure = self._exposure(session["exposure"]) if task.timed else {}
        looks_at_pictures = how_looked(session["display"], trial, reaction_ms) if task.looked else {}
        if self.kind not in ("hash-bot", "fast-bot"):
            took = sum(exposure.get(part, 0.0) for part in ("first_ms", "gap_ms", "second_ms"))
            self.pause((reaction_ms + took + _CROSS_MS) / 1000)
        return {
            "id": name,
            "slot": trial["slot"],
            "attempt": trial["attempt"],
            "choice": task.choices[choice],
            "reaction_ms": reaction_ms,
            "answered_at": self.now(),
            "input": "keyboard",
            # Where there is no exposure to spoil, what can be kept back is the proof of having looked.
            "pictures": [] if self.kind == "spoiler" and not task.timed else proofs,
            "focus_lost": self.kind == "spoiler",
            **looks_at_pictures,
            **exposure,
        }

    def _fetched(self, trial: Mapping[str, Any]) -> tuple[list[bytes], list[str]]:
        both = [self.client.picture(trial[role]) for role in ("reference", "left", "right") if trial[role]]
        return [data for data, _ in both], [proof for _, proof in both]

    def _known(self, task: TaskModule, pictures: Sequence[bytes]) -> int | None:
        """The first (0) or second (1) choice, where the adversary thinks that it knows the answer."""
        pixels = [decode_image(data, name="a picture") for data in pictures]
        return task.by_pixels(pixels, sure=self.kind == "colluder")

    def _exposure(self, wanted: Mapping[str, float]) -> dict[str, Any]:
        parts = {name: round(wanted[name] / _FRAME_MS) * _FRAME_MS for name in ("first_ms", "gap_ms", "second_ms")}
        if self.kind == "spoiler":
            parts["second_ms"] *= 2
        frames = round((parts["first_ms"] + parts["second_ms"]) / _FRAME_MS)
        return {**parts, "frame_ms": _FRAME_MS, "frames": frames, "dropped_frames": 0}


def far_more_often(seen: Mapping[int, int]) -> set[int]:
    """Of so many sightings of each trial's item, which are far more than most: what comes that often is a sentinel."""
    usual = float(np.median(list(seen.values())))
    return {slot for slot, count in seen.items() if count >= usual + _FAR_MORE * usual**0.5}
