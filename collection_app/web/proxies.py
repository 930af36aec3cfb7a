"""Whose word about a visitor's address and scheme is taken: that of the reverse proxies named in the settings.

Anybody can send X-Forwarded-For. From a peer that is not a trusted proxy, these headers are removed.
"""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from werkzeug.middleware.proxy_fix import ProxyFix

from collection_app.errors import StudyError
from collection_app.web.logs import log

# A socket file has no address: who may open it is a matter of its permissions.
SOCKET = "unix"
_HEADERS = ("FOR", "PROTO", "HOST", "PORT", "PREFIX")

Network = IPv4Network | IPv6Network


def networks(text: str) -> tuple[Network | str, ...]:
    """Read addresses, networks or the word "unix", with commas.

    Raises
    ------
    StudyError
        If one is none of these.
    """
    proxies: list[Network | str] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        if part == SOCKET:
            proxies.append(part)
            continue
        try:
            proxies.append(ip_network(part))
        except ValueError as error:
            raise StudyError(
                f"trusted_proxies: expected addresses, networks or {SOCKET}, with commas, got {part!r}"
            ) from error
    return tuple(proxies)


class TrustedProxies:
    """A WSGI app behind proxies: for a trusted peer, the last address it forwarded is the visitor's."""

    def __init__(self, app: Any, trusted: Iterable[Network | str]) -> None:
        self._app, self._trusted = app, tuple(trusted)
        self._told = False
        self._forwarded = ProxyFix(app, x_for=1, x_proto=1)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Handle one request."""
        if self._trusts(environ.get("REMOTE_ADDR", "")):
            return self._forwarded(environ, start_response)
        if "HTTP_X_FORWARDED_FOR" in environ and not self._told:
            self._told = True
            log("X-Forwarded-For of a peer that is not in BAPPS_COLLECT_TRUSTED_PROXIES is not believed")
        for name in _HEADERS:
            environ.pop(f"HTTP_X_FORWARDED_{name}", None)
        return self._app(environ, start_response)

    def _trusts(self, peer: str) -> bool:
        try:
            address = ip_address(peer)
        except ValueError:
            return not peer and SOCKET in self._trusted
        if address.version == 6 and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(address in network for network in self._trusted if not isinstance(network, str))
