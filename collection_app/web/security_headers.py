"""Headers that keep a reply from being more than it is."""

from flask import Response

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


def guard(response: Response) -> Response:
    """Set those headers that a reply does not have yet."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response
