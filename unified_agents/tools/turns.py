"""Tools that share a resource take turns, in the order in which they asked.

A resource is known by its name in the whole process: over all runs, agents, event loops and threads. A tool that holds
it may run an agent whose tools use it too: these take turns among themselves, within the turn of the tool.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Mapping
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from types import MappingProxyType

_resources: dict[str, Resource] = {}
_holding: ContextVar[Mapping[str, Turn]] = ContextVar("unified_agents_turns", default=MappingProxyType({}))


class Resource:
    """What one at a time may use. It may be asked for from several event loops."""

    __slots__ = ("_lock", "_taken", "_waiting")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self) -> None:
        """Wait until it is free, and take it."""
        with self._lock:
            if not self._taken:
                self._taken = True
                return
            place = asyncio.get_running_loop().create_future()
            self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if not self._left(place):
                self.give_back()  # it was handed over meanwhile
            raise

    def give_back(self) -> None:
        """Hand it to whoever has waited longest."""
        with self._lock:
            while self._waiting:
                if _tell(self._waiting.popleft()):
                    return
            self._taken = False

    def _left(self, place: asyncio.Future[None]) -> bool:
        with self._lock:
            if place not in self._waiting:
                return False
            self._waiting.remove(place)
            return True


def _tell(place: asyncio.Future[None]) -> bool:
    try:
        place.get_loop().call_soon_threadsafe(_succeed, place)
    except RuntimeError:
        return False  # its event loop is closed, and nobody waits any more
    return True


def _succeed(place: asyncio.Future[None]) -> None:
    if not place.done():
        place.set_result(None)


@dataclass(slots=True)
class Turn:
    """The right to use a resource, for the time of one call. Take it and give it back in the same context.

    Attributes:
        name: The resource's name.
    """

    name: str
    _outer: Resource | None = None
    _inner: Resource = field(default_factory=Resource)
    _token: Token[Mapping[str, Turn]] | None = None

    async def take(self) -> None:
        """Wait for the turn."""
        outer = _resource(self.name)
        await outer.take()
        self._outer = outer
        self._token = _holding.set({**_holding.get(), self.name: self})

    def give_back(self) -> None:
        """End the turn."""
        outer, token, self._outer, self._token = self._outer, self._token, None, None
        if outer is not None and token is not None:
            _holding.reset(token)
            outer.give_back()

    @property
    def inner(self) -> Resource | None:
        """What those take turns on who run within this turn; None when it is over."""
        return self._inner if self._outer is not None else None


def _resource(name: str) -> Resource:
    held = _holding.get().get(name)
    inner = held.inner if held is not None else None
    return inner or _resources.setdefault(name, Resource())
