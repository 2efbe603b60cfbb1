"""HTTP sessions, one for each event loop, which are closed with it."""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import Generic, Protocol, TypeAlias, TypeVar


class Session(Protocol):
    """What connections are kept in, such as a session or a connector of aiohttp."""

    @property
    def closed(self) -> bool:
        """Whether it is closed."""

    def close(self) -> Awaitable[None]:
        """Close all connections."""


S = TypeVar("S", bound=Session)

_inherited: list[object] = []
"""Sessions of a parent process. They are kept, because collecting them would close the parent's connections."""


_Sessions: TypeAlias = weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[S, AsyncGenerator[None]]]

_closing: set[asyncio.Task[None]] = set()
"""Tasks that close the sessions of holders which nobody closed; an event loop itself does not keep its tasks."""


class LoopSessions(Generic[S]):
    """A holder of HTTP sessions, one for each event loop that asks for one.

    Args:
        make: Makes a session; called on the loop that the session is for.
    """

    def __init__(self, make: Callable[[], S]) -> None:
        self._make = make
        self._begin()

    def _begin(self) -> None:
        """Begin without a session: at first, and in a process that is forked."""
        self._sessions: _Sessions[S] = weakref.WeakKeyDictionary()
        self._process = os.getpid()
        self._finalizer = weakref.finalize(self, _close_sessions, self._sessions)
        self._finalizer.atexit = False  # the event loops close them then

    def running(self) -> S | None:
        """Return the running loop's session; None where there is none yet, or none of this process."""
        held = self._sessions.get(asyncio.get_running_loop())
        return None if held is None or held[0].closed or self._process != os.getpid() else held[0]

    async def get(self) -> S:
        """Return the running loop's session. It is closed with the loop, or by `aclose`."""
        loop = asyncio.get_running_loop()
        if self._process != os.getpid():  # forked: the connections are the parent's, which goes on using them
            _inherited.append(self._sessions)
            self._finalizer.detach()
            self._begin()
        held = self._sessions.get(loop)
        if held is None or held[0].closed:
            for other in self._loops():
                if other.is_closed():
                    self._sessions.pop(other, None)  # a session holds its loop, so the weak key alone lets none go
            session = self._make()
            keeper = _closed_with_loop(session)
            await anext(keeper)
            held = self._sessions[loop] = (session, keeper)
        return held[0]

    def _loops(self) -> list[asyncio.AbstractEventLoop]:
        """Return the loops that have a session; other threads may add theirs meanwhile."""
        return [loop for reference in self._sessions.keyrefs() if (loop := reference()) is not None]

    async def aclose(self) -> None:
        """Close the sessions of all running loops, and forget those of closed loops."""
        here = asyncio.get_running_loop()
        for loop in self._loops():
            held = self._sessions.pop(loop, None)  # first: it may be closed twice at once
            if held is not None and loop is here:
                await held[1].aclose()
            elif held is not None and loop.is_running():
                await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(held[1].aclose(), loop))
            elif held is not None and not loop.is_closed():
                self._sessions[loop] = held  # it closes them when it ends


def _close_sessions(sessions: _Sessions[S]) -> None:
    """Close the sessions of a holder that is gone, each on its loop."""
    for loop, (_, keeper) in list(sessions.items()):
        if loop.is_running():
            with suppress(RuntimeError):  # it has been closed meanwhile
                loop.call_soon_threadsafe(_close_in_task, loop, keeper)


def _close_in_task(loop: asyncio.AbstractEventLoop, keeper: AsyncGenerator[None]) -> None:
    task = loop.create_task(_aclose(keeper))
    _closing.add(task)
    task.add_done_callback(_closing.discard)


async def _aclose(keeper: AsyncGenerator[None]) -> None:
    await keeper.aclose()


async def _closed_with_loop(session: Session) -> AsyncGenerator[None]:
    # An event loop closes its asynchronous generators when it ends, and with this one the session.
    try:
        yield
    finally:
        await session.close()
