"""Keys, and what is made with them: session tokens, pseudonyms, hashes of what is never stored.

The names of pictures are made with it too: what a browser sees of a picture says which trial it belongs to, and nothing
of what it shows.

The signing key comes from BAPPS_COLLECT_KEY, else from a file that is made once with random content and is
readable by its owner alone. There is no default key.
"""

import hashlib
import hmac
import os
import secrets
import struct
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from itsdangerous import BadData, URLSafeTimedSerializer

from collection_app.errors import StudyError

# Gives so many random bytes: the operating system's, or a seeded generator's where a run is to be repeated.
Entropy = Callable[[int], bytes]

VARIABLE = "BAPPS_COLLECT_KEY"
_SHORTEST = 32
TOKEN_SECONDS = 90 * 86_400


def signing_key(file: Path) -> str:
    """Give the signing key, making `file` if there is neither variable nor file.

    Raises
    ------
    StudyError
        If the key is too short to be random, or others may read the file.
    """
    if key := os.environ.get(VARIABLE):
        return _long_enough(key, VARIABLE)
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        if file.stat().st_mode & 0o077:
            raise StudyError(f"{file}: others may read it; run chmod 600 {file}") from None
        return _long_enough(file.read_text().strip(), str(file))
    key = secrets.token_urlsafe(48)
    with os.fdopen(handle, "w") as opened:
        opened.write(key)
        opened.flush()
        os.fsync(opened.fileno())
    return key


def _long_enough(key: str, where: str) -> str:
    if len(key) < _SHORTEST:
        raise StudyError(f"{where}: the signing key has {len(key)} characters; it needs {_SHORTEST} random ones")
    return key


class Tokens:
    """Session tokens: a session's id, signed. Who has one speaks for that session; no cookie is needed."""

    def __init__(self, key: str) -> None:
        self._serializer = URLSafeTimedSerializer(key, salt="session")
        self._proofs = URLSafeTimedSerializer(key, salt="proof")

    def sign(self, public_id: str) -> str:
        """Give the token of a session."""
        return self._serializer.dumps(public_id)

    def session_of(self, token: str) -> str | None:
        """The session a token speaks for; None if it was not signed here, or is too old."""
        try:
            content, signed_at = self._serializer.loads(token, return_timestamp=True)
        except BadData:
            return None
        # Not left to the library, which also refuses what a server whose clock is ahead has just signed.
        too_old = signed_at.timestamp() + TOKEN_SECONDS < time.time()
        return content if isinstance(content, str) and not too_old else None

    def prove(self, public_id: str) -> str:
        """Sign that a session exists: what a person can show, without giving away the session."""
        return self._proofs.dumps(public_id)

    def proven(self, proof: str) -> str | None:
        """The session whose existence was signed here, or None."""
        try:
            content = self._proofs.loads(proof)
        except BadData:
            return None
        return content if isinstance(content, str) else None


@dataclass(frozen=True)
class Picture:
    """A place for a picture: the role (reference, left or right) it has in a trial of the session with this row id."""

    session_id: int
    slot: int
    role: str


class PictureNames:
    """Opaque names of pictures: an HMAC of session, slot and role, and the place itself, hidden under a key made of it.

    Nobody without the key can make a name, or tell from two names whether the pictures are the same.
    """

    def __init__(self, key: str) -> None:
        self._key = hmac.digest(key.encode(), b"names of pictures", "sha256")

    def name(self, picture: Picture, public_id: str) -> str:
        """Name a picture of a session, which its `public_id` tells from sessions of other databases."""
        place = struct.pack(_PLACE, picture.session_id, picture.slot, ROLES.index(picture.role))
        proof = self._proof(place, public_id)
        return (proof + self._hidden(place, proof)).hex()

    def place(self, name: str) -> Picture | None:
        """The place that a name may be of, still to be checked by `name`; None if it was not made here."""
        raw = bytes.fromhex(name)
        session_id, slot, role = struct.unpack(_PLACE, self._hidden(raw[16:], raw[:16]))
        return Picture(session_id, slot, ROLES[role]) if role < len(ROLES) and session_id < 2**63 else None

    def proof(self, name: str, now: int) -> str:
        """Prove that the picture of a name was given out at a time: what an answer brings back."""
        when = struct.pack(">Q", now)
        return (when + self._given(name, when)).hex()

    def given_at(self, name: str, proofs: Iterable[str]) -> int | None:
        """When the picture of a name was given out, by the first proof that is one; None if none is."""
        for proof in proofs:
            raw = bytes.fromhex(proof)
            if hmac.compare_digest(raw[8:], self._given(name, raw[:8])):
                return int(struct.unpack(">Q", raw[:8])[0])
        return None

    def _given(self, name: str, when: bytes) -> bytes:
        return hmac.digest(self._key, b"given" + when + name.encode(), "sha256")[:16]

    def _proof(self, place: bytes, public_id: str) -> bytes:
        return hmac.digest(self._key, b"proof" + place + public_id.encode(), "sha256")[:16]

    def _hidden(self, place: bytes, proof: bytes) -> bytes:
        mask = hmac.digest(self._key, b"place" + proof, "sha256")
        return bytes(one ^ other for one, other in zip(place, mask, strict=False))


def mark(key: str, kind: str, value: str) -> str:
    """HMAC of something that is never stored itself, such as the network that somebody comes from."""
    return hmac.new(key.encode(), f"{kind}\0{value}".encode(), hashlib.sha256).hexdigest()[:32]


# A place in 16 bytes: row id, slot, role. A name of random bytes names a role that there is once in 2**30.
_PLACE = ">QII"
ROLES = ("reference", "left", "right")


def pseudonym(salt: bytes, platform: str, external_id: str) -> str:
    """HMAC of a platform's id under the study's salt: nobody without the salt can go either way."""
    return hmac.new(salt, f"{platform}\0{external_id}".encode(), hashlib.sha256).hexdigest()[:32]


def pay_id(salt: bytes, public_id: str) -> str:
    """HMAC of a session's id under the study's salt: what lists of pay call it, so that no table of answers does."""
    return hmac.new(salt, f"pay\0{public_id}".encode(), hashlib.sha256).hexdigest()[:32]


def digest(text: str) -> str:
    """SHA-256 of a text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()
