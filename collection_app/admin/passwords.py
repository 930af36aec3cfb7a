"""The password of the admin pages: only its scrypt hash is kept, and there is no default.

The hash comes from BAPPS_COLLECT_PASSWORD_HASH, else from a file beside the study that `bapps-collect password`
writes. Without either nobody can log in.
"""

from pathlib import Path

from werkzeug.security import check_password_hash, generate_password_hash

from bapps_builder.files.atomic import replaced_whole
from collection_app.errors import StudyError

_SHORTEST = 12
_METHOD = "scrypt:32768:8:1"  # 32 MB and some 60 ms a try


def password_hash(password: str) -> str:
    """Give the salted hash of a new password.

    Raises
    ------
    StudyError
        If it is shorter than 12 characters.
    """
    if len(password) < _SHORTEST:
        raise StudyError(f"a password needs {_SHORTEST} characters, got {len(password)}")
    return generate_password_hash(password, method=_METHOD)


def is_password(hashed: str, password: str) -> bool:
    """Tell whether a password is the one of a hash; without a hash none is."""
    return bool(hashed) and check_password_hash(hashed, password)


def store_hash(file: Path, hashed: str) -> None:
    """Write a hash where only its owner reads it."""
    with replaced_whole(file, private=True) as temporary:
        temporary.write_text(hashed + "\n")


def stored_hash(file: Path) -> str:
    """Read what `store_hash` wrote; nothing if it never did.

    Raises
    ------
    StudyError
        If others may read the file, or it holds something else.
    """
    if not file.exists():
        return ""
    if file.stat().st_mode & 0o077:
        raise StudyError(f"{file}: others may read it; run chmod 600 {file}")
    return checked_hash(file.read_text().strip(), str(file))


def checked_hash(hashed: str, where: str) -> str:
    """Give a hash back if it looks like one: a plain password in its place is an error, not a password."""
    if hashed.count("$") != 2 or not hashed.startswith("scrypt:"):
        raise StudyError(f"{where}: holds no hash of a password; make one with `bapps-collect password`")
    return hashed
