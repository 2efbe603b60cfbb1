"""The lock behind `exclusive`: tools that share a resource take turns, in the order in which they asked.

A resource is known by its name in the whole process: over all runs, agents, event loops and threads. A tool that holds
it may run an agent whose tools use it too: these take turns among themselves, within the turn of the tool.

A turn lasts as long as its work: where a thread was given up and runs on, the others are not let in beside it.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from types import MappingProxyType

_resources: dict[str, Resource] = {}
_holding: ContextVar[Mapping[str, Turn]] = ContextVar("unified_agents_turns", default=MappingProxyType({}))


class Resource:
    """A lock that one at a time may hold, in a fair order, for users on several event loops."""

    __slots__ = ("_lock", "_stuck", "_taken", "_waiting")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._stuck = False  # whoever holds it was given up, and does not end
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self, timeout: float | None = None) -> bool:
        """Wait until the resource is free, and take it.

        Args:
            timeout: Seconds to wait at most for a holder who was given up; None waits for ever.

        Returns:
            Whether it was taken.
        """
        with self._lock:
            if not self._taken:
                self._taken = True
                return True
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
        try:
            while not waiter.done():
                await asyncio.wait([waiter], timeout=timeout)
                if not waiter.done() and self._take_if_free(waiter):
                    return True
                if not waiter.done() and self._stuck and self._leave(waiter):
                    return False
            return True
        except asyncio.CancelledError:
            if not self._leave(waiter):
                self.give_back()  # it was handed over meanwhile
            raise

    def give_back(self) -> None:
        """Hand the resource to whoever has waited longest."""
        with self._lock:
            self._stuck = False
            for waiter in list(self._waiting):
                if waiter.get_loop().is_closed():
                    self._waiting.remove(waiter)
                elif _wake(waiter):
                    self._waiting.remove(waiter)
                    return
            self._taken = False

    def mark_stuck(self) -> None:
        """Note that the holder was given up: from now on the others wait no longer than their timeouts."""
        self._stuck = True

    def _take_if_free(self, waiter: asyncio.Future[None]) -> bool:
        """Take the resource where it came free while this waiter's event loop stood still."""
        with self._lock:
            if self._taken or waiter not in self._waiting:
                return False
            self._waiting.remove(waiter)
            self._taken = True
            return True

    def _leave(self, waiter: asyncio.Future[None]) -> bool:
        with self._lock:
            if waiter not in self._waiting:
                return False
            self._waiting.remove(waiter)
            return True


def _wake(waiter: asyncio.Future[None]) -> bool:
    loop = waiter.get_loop()
    if not loop.is_running():
        return False  # nobody would take it there
    try:
        loop.call_soon_threadsafe(_succeed, waiter)
    except RuntimeError:
        return False  # it was closed just now
    return True


def _succeed(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


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
    _work: Future[None] | None = None

    async def take(self, timeout: float | None = None) -> bool:
        """Wait for the turn; for `timeout` and the outcome see `Resource.take`."""
        outer = _resource(self.name)
        if not await outer.take(timeout):
            return False
        self._outer = outer
        self._token = _holding.set({**_holding.get(), self.name: self})
        return True

    def keep_until(self, work: Future[None]) -> None:
        """Let the turn last until this work ends, which was given up and runs on."""
        self._work = work

    def give_back(self) -> None:
        """End the turn; at once, or with the work that it lasts for."""
        outer, token, work, self._token = self._outer, self._token, self._work, None
        if outer is None or token is None:
            return
        _holding.reset(token)
        if work is None:
            self._end(outer)
        else:
            outer.mark_stuck()
            work.add_done_callback(lambda _: self._end(outer))

    def _end(self, outer: Resource) -> None:
        self._outer = None
        outer.give_back()

    @property
    def inner(self) -> Resource | None:
        """The resource for tools that run within this turn; None when it is over."""
        return self._inner if self._outer is not None else None


def _resource(name: str) -> Resource:
    held = _holding.get().get(name)
    inner = held.inner if held is not None else None
    return inner or _resources.setdefault(name, Resource())
