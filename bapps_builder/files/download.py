"""Fetch one file over the web: resumed after an interruption, checked, and in place only when whole."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import urllib3

from bapps_builder.errors import DownloadError

_CHUNK = 1 << 16


def fetch(
    address: str,
    target: Path,
    *,
    sha256_prefix: str,
    retries: int = 3,
    advance: Callable[[int], None] = lambda _: None,
) -> None:
    """Download `address` to `target`.

    Bytes go to `target` + ".part" first; a later call goes on where that file ends, with a Range request,
    on condition (If-Range) that the file at the address is still the one the part is from.

    Parameters
    ----------
    address : str
    target : Path
    sha256_prefix : str
        The hexadecimal SHA-256 of the file, or its first digits; "" takes whatever comes.
    advance : callable
        Called with the number of bytes each time some arrive, those of an earlier attempt included.

    Raises
    ------
    DownloadError
        If the address cannot be reached, breaks off, or gives another file (which is then deleted), or
        if the file cannot be written.
    """
    try:
        _fetch(address, target, sha256_prefix, retries, advance)
    except urllib3.exceptions.HTTPError as error:
        raise DownloadError(f"{address}: cannot be fetched: {_shortest(error)}") from error
    except OSError as error:
        raise DownloadError(f"{address}: cannot be written to {target}: {error.strerror or error}") from error


def _fetch(address: str, target: Path, sha256_prefix: str, retries: int, advance: Callable[[int], None]) -> None:
    part, origin = (target.with_name(f"{target.name}.part{suffix}") for suffix in ("", ".origin"))
    validator = _validator_of_part(origin, address)
    # A part of unknown origin is gone on with only where the hash will tell whether that was right.
    size = part.stat().st_size if part.exists() and (validator or sha256_prefix) else 0
    http = urllib3.PoolManager(
        retries=urllib3.Retry(total=retries, backoff_factor=0.5),
        timeout=urllib3.Timeout(connect=10, read=60),
    )
    response = _get(http, address, size, validator)
    if size and response.status == 206 and _first_byte(response) != size:
        # The server sends another piece than the one asked for: start again with the whole.
        response.close()
        size = 0
        response = _get(http, address, size, validator)
    if response.status == 416 and size:  # nothing is left to send
        response.release_conn()
    else:
        if response.status not in (200, 206):
            raise DownloadError(f"{address}: answered {response.status} {response.reason or ''}".rstrip())
        if response.status == 200:
            size = 0
        elif _first_byte(response) != size:
            answered = response.headers.get("Content-Range")
            raise DownloadError(f"{address}: answered with a piece ({answered}), expected the whole file")
        advance(size)
        if not size:
            _note_origin(origin, address, response)
        with part.open("ab" if size else "wb") as out:
            for chunk in response.stream(_CHUNK):
                out.write(chunk)
                advance(len(chunk))
    digest = sha256_of(part)
    origin.unlink(missing_ok=True)
    if not digest.startswith(sha256_prefix):
        part.unlink()
        raise DownloadError(
            f"{address}: gave a file with SHA-256 {digest}, expected one that begins with {sha256_prefix}; deleted"
        )
    part.replace(target)


def _get(http: urllib3.PoolManager, address: str, start: int, validator: str) -> urllib3.BaseHTTPResponse:
    headers = {"Range": f"bytes={start}-"} if start else {}
    if start and validator:
        headers["If-Range"] = validator
    return http.request("GET", address, headers=headers, preload_content=False)


def _note_origin(origin: Path, address: str, response: urllib3.BaseHTTPResponse) -> None:
    """Write down which version of which file a part begins, if the server says."""
    etag = response.headers.get("ETag", "")
    validator = response.headers.get("Last-Modified", "") if not etag or etag.startswith("W/") else etag
    if validator:
        origin.write_text(json.dumps({"address": address, "validator": validator}))
    else:
        origin.unlink(missing_ok=True)


def _validator_of_part(origin: Path, address: str) -> str:
    """What `_note_origin` wrote about this address, or ""."""
    try:
        noted = json.loads(origin.read_text())
        return str(noted["validator"]) if noted["address"] == address else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _first_byte(response: urllib3.BaseHTTPResponse) -> int | None:
    """Where the piece of a partial answer begins in the file (RFC 9110, 14.4)."""
    match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def sha256_of(path: Path) -> str:
    """The hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _shortest(error: BaseException) -> str:
    reason = getattr(error, "reason", None)
    return _shortest(reason) if isinstance(reason, BaseException) else f"{type(error).__name__}: {error}"
