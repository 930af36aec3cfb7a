"""All that is kept of people, a column at a time: what they are told of it, and what erasing them does to it.

This one table drives the list in the consent, `erase` and `close`, and `access`. A test holds it against the models,
so that nothing is stored of which it does not speak.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from bapps_builder.answers.columns import measured_columns

# Deleted with its row; made anew; emptied; rounded to the day; nothing that leads to anybody.
Fate = Literal["deleted", "anew", "emptied", "day", "stays"]
Language = Literal["en", "de"]
DAY_MS = 86_400_000

# What people are told, in the order of the list.
TOLD: dict[str, Mapping[Language, str]] = {
    "platform": {
        "en": "your id on the platform that you come from, the ids of your submissions there, what else its address "
        "hands over, and what the platform tells us of your submissions",
        "de": "Ihre Kennung auf der Plattform, von der Sie kommen, die Kennungen Ihrer Teilnahmen dort, was ihre "
        "Adresse sonst übergibt, und was die Plattform uns über Ihre Teilnahmen mitteilt",
    },
    "pay": {
        "en": "what you are to be paid and were paid, with the reasons",
        "de": "was Ihnen zu zahlen ist und gezahlt wurde, mit den Gründen",
    },
    "answers": {
        "en": "each answer: what you were shown and what you chose, how long you took, whether by mouse, touch, pen or "
        "keyboard, how exactly and how large the pictures were shown, and whether the page was in front all the time",
        "de": "jede Antwort: was Ihnen gezeigt wurde und was Sie wählten, wie lange Sie brauchten, ob mit Maus, "
        "Finger, Stift oder Tastatur, wie genau und wie groß die Bilder gezeigt wurden, und ob die Seite stets im "
        "Vordergrund war",
    },
    "device": {
        "en": "what your device can show: the size of screen and window, zoom, colours, frames a second and how "
        "steadily they come, the exactness of its clock, whether it has touch, the kind of browser, and whether that "
        "keeps answers",
        "de": "was Ihr Gerät zeigen kann: Größe von Bildschirm und Fenster, Zoom, Farben, Bilder je Sekunde und wie "
        "stetig sie kommen, Genauigkeit der Uhr, ob es Berührung kennt, die Art des Browsers, und ob er "
        "Antworten aufbewahrt",
    },
    "times": {
        "en": "when you arrived, agreed to this text, began, answered, were last heard of and ended, and what happened "
        "on the way, such as a check that was failed",
        "de": "wann Sie kamen, diesem Text zustimmten, begannen, antworteten, zuletzt da waren und aufhörten, und was "
        "unterwegs geschah, etwa eine nicht bestandene Prüfung",
    },
    "judged": {
        "en": "how your session ended, and what our rules found about your answers",
        "de": "wie Ihre Sitzung endete, und was unsere Regeln über Ihre Antworten ergaben",
    },
    "browser": {
        "en": "a random key that your browser keeps until you have ended, and another one by which it knows itself, of "
        "which we keep hashes",
        "de": "ein zufälliger Schlüssel, den Ihr Browser behält, bis Sie aufhören, und ein zweiter, an dem er sich "
        "selbst erkennt, von denen wir Hashes behalten",
    },
    "network": {
        "en": "a code of the network that you come from, out of which nobody can read your address, unless you come by "
        "a link of ours",
        "de": "ein Code des Netzes, aus dem Sie kommen und aus dem niemand Ihre Adresse lesen kann, außer wenn Sie "
        "über einen Link von uns kommen",
    },
}
# Of these, what tells who somebody is on their platform: `access` keeps it apart from the answers.
WHO = ("platform", "pay")


@dataclass(frozen=True)
class Kept:
    """One column.

    Attributes
    ----------
    told : str
        What people are told, by its name in `TOLD`; empty for what says nothing of them, such as numbers of rows.
    fate : Fate
        What becomes of it when the person is erased.
    """

    told: str
    fate: Fate


def _columns(told: str, fate: Fate, *names: str) -> dict[str, Kept]:
    return {name: Kept(told, fate) for name in names}


PERSONAL: dict[str, dict[str, Kept]] = {
    "participant": {**_columns("", "stays", "id", "study_id"), **_columns("answers", "anew", "pseudonym")},
    "identity": {
        **_columns("", "deleted", "participant_id"),
        **_columns("platform", "deleted", "platform", "external_id"),
    },
    "session": {
        **_columns("", "stays", "id", "participant_id", "number", "seed", "simulated", "guarded"),
        **_columns("answers", "anew", "public_id"),
        **_columns("platform", "stays", "platform"),
        **_columns("platform", "emptied", "submission_id", "kept", "platform_state", "platform_state_at", "code"),
        **_columns("platform", "emptied", "vouched", "vouched_at"),
        **_columns("browser", "anew", "arrival_sha256"),
        **_columns("browser", "emptied", "browser"),
        **_columns("network", "emptied", "block"),
        **_columns("judged", "stays", "state", "excluded", "outcome"),
        **_columns("times", "stays", "consent_sha256"),
        **_columns("device", "emptied", "device"),
        **_columns("times", "day", "arrived_at", "started_at", "finished_at", "seen_at", "lease_until"),
    },
    "assignment": {
        **_columns("", "stays", "id", "session_id", "participant_id", "holds"),
        **_columns("answers", "stays", "item_id", "slot", "side", "state"),
    },
    "answer": {
        **_columns("", "stays", "id", "assignment_id"),
        **_columns("answers", "stays", "attempt", "choice", "valid", *(one.name for one in measured_columns())),
        **_columns("judged", "stays", "use", "reason"),
        **_columns("times", "day", "answered_at", "fetched_at", "submitted_at"),
    },
    "pace": {
        **_columns("", "stays", "session_id"),
        **_columns("times", "day", "minute"),
        **_columns("times", "stays", "answers", "failed"),
    },
    "event": {
        **_columns("", "deleted", "id", "session_id"),
        **_columns("times", "deleted", "kind", "detail", "at"),
    },
    "decision": {
        **_columns("", "stays", "id", "session_id"),
        **_columns("judged", "stays", "tier", "rule", "verdict", "reason"),
        **_columns("times", "day", "at"),
    },
    "payment": {
        **_columns("pay", "anew", "idempotency_key"),
        **_columns("", "stays", "session_id"),
        **_columns("pay", "stays", "amount_minor", "currency", "kind", "state"),
        **_columns("pay", "emptied", "reference", "detail"),
        **_columns("pay", "day", "at"),
    },
    "webhook_event": {
        **_columns("", "deleted", "id", "participant_id"),
        **_columns("platform", "deleted", "platform", "body", "at"),
    },
}


def told_list(language: str) -> str:
    """What is kept of people as a list in Markdown; in English where the language is another than `Language`."""
    named = {kept.told for columns in PERSONAL.values() for kept in columns.values()}
    spoken: Language = "de" if language == "de" else "en"
    return "\n".join(f"- {told[spoken]}" for name, told in TOLD.items() if name in named)


def columns_of(table: str, fate: Fate) -> list[str]:
    """The columns of a table that share a fate."""
    return [name for name, kept in PERSONAL[table].items() if kept.fate == fate]
