"""The loop that watches the connections of waitress, at a cost that does not grow with those that rest.

Waitress's own asks every connection each time whether it is to be read or written: with 300 people, whose browsers
keep six connections each, that takes longer than the requests. Here only those are asked that something happened to, or
that a thread is answering; all of them once a second, since waitress marks those that have rested for too long. A
request that waits for a thread changes nothing until one takes it up, so a long queue costs no more than a short one.
"""

import selectors
import time
from threading import get_ident
from typing import Any

from waitress import wasyncore
from waitress.channel import HTTPChannel

_SWEEP_SECONDS = 1.0
# The share of all connections that is closed at once to make room.
_MADE_ROOM = 20


class Channel(HTTPChannel):
    """A connection of a visitor that tells the loop which threads are answering it at the moment."""

    _map: "Connections"
    _fileno: int | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # A set: at the end of a request the next thread may begin before this one has left `service`.
        self.answered_by: set[int] = set()
        super().__init__(*args, **kwargs)

    def service(self) -> None:
        """Answer one request, in a thread of waitress's."""
        self.answered_by.add(get_ident())  # before the note: whoever reads it then sees that a thread is at work
        self._map.note(self._fileno)
        try:
            super().service()
        finally:
            self.answered_by.discard(get_ident())  # its last change has woken the loop by now


class Connections(dict[int, Any]):
    """What waitress calls its map: file descriptors to what reads and writes them; `turn` handles what happens.

    Parameters
    ----------
    limit : int
        With so many, those that have rested longest are closed: whoever comes is let in.
    """

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit
        self._selector = selectors.DefaultSelector()
        self._watched: dict[int, int] = {}
        # Those that may wait for something else than before though nothing came: a thread is working for them.
        self._busy: set[int] = set()
        self._swept = 0.0

    def __setitem__(self, fd: int, watched: Any) -> None:
        super().__setitem__(fd, watched)
        self._busy.add(fd)  # asked in the next turn: it is not whole yet

    def __delitem__(self, fd: int) -> None:
        super().__delitem__(fd)
        self._busy.discard(fd)
        self._watch(fd, 0)

    def note(self, fd: int | None) -> None:
        """Ask this one in the next turn and until it is at rest again; any thread may say so."""
        if fd in self:
            self._busy.add(fd)

    def turn(self, longest: float = 1.0) -> None:
        """Wait until something happens, `longest` seconds at most, and handle it."""
        if len(self) >= self._limit:
            self._make_room()
        now = time.monotonic()
        if now - self._swept >= _SWEEP_SECONDS:
            self._swept = now
            self._busy.update(self)
        for fd in list(self._busy):
            self._ask(fd)
        for key, happened in self._selector.select(longest):
            fd, watched = key.fd, key.data
            if happened & selectors.EVENT_READ and self.get(fd) is watched:
                wasyncore.read(watched)
            if happened & selectors.EVENT_WRITE and self.get(fd) is watched:
                wasyncore.write(watched)
            if fd in self:
                self._busy.add(fd)

    def _ask(self, fd: int) -> None:
        """Ask whether one is to be read or written, and keep asking while that can change by itself."""
        self._busy.discard(fd)  # first: a thread that begins to answer meanwhile notes it again
        watched = self.get(fd)
        if watched is None:
            return
        # Before anything else is asked: once no thread answers any more, what is asked then is as it stays.
        answered = bool(getattr(watched, "answered_by", None))
        interest = selectors.EVENT_READ * bool(watched.readable()) | selectors.EVENT_WRITE * bool(watched.writable())
        if fd not in self:  # asking closed it
            return
        self._watch(fd, interest)
        # What accepts connections decides anew each time; a connection that has something to send may be done with it.
        if answered or watched.accepting or interest & selectors.EVENT_WRITE:
            self._busy.add(fd)

    def _watch(self, fd: int, interest: int) -> None:
        before = self._watched.get(fd, 0)
        if interest == before:
            return
        if not interest:
            self._selector.unregister(fd)
            del self._watched[fd]
            return
        if before:
            self._selector.modify(fd, interest, self[fd])
        else:
            self._selector.register(fd, interest, self[fd])
        self._watched[fd] = interest

    def _make_room(self) -> None:
        """Close the connections that have rested longest; a browser opens another one when it has something to ask."""
        resting = [one for one in self.values() if getattr(one, "requests", None) == []]
        resting.sort(key=lambda one: one.last_activity)
        for one in resting[: 1 + self._limit // _MADE_ROOM]:
            one.handle_close()
