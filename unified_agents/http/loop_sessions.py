"""HTTP sessions, one for each event loop, which end with it."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncGenerator, Callable

import aiohttp


class LoopSessions:
    """Holds an aiohttp session for each event loop that asks for one.

    Args:
        make: Makes a session; called on the loop that the session is for.
    """

    def __init__(self, make: Callable[[], aiohttp.ClientSession]) -> None:
        self._make = make
        self._held: weakref.WeakKeyDictionary[
            asyncio.AbstractEventLoop, tuple[aiohttp.ClientSession, AsyncGenerator[None]]
        ] = weakref.WeakKeyDictionary()

    async def get(self) -> aiohttp.ClientSession:
        """The running loop's session. It is closed with the loop, if nobody does it before."""
        loop = asyncio.get_running_loop()
        held = self._held.get(loop)
        if held is None or held[0].closed:
            session = self._make()
            keeper = _keep(session)
            await anext(keeper)
            held = self._held[loop] = (session, keeper)
        return held[0]

    async def aclose(self) -> None:
        """Close the sessions of all loops that run, and forget those of loops that are closed."""
        here = asyncio.get_running_loop()
        for loop, (session, keeper) in list(self._held.items()):
            if loop is here:
                await keeper.aclose()
            elif loop.is_running():
                await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(keeper.aclose(), loop))
            if session.closed or loop.is_closed():
                self._held.pop(loop, None)


async def _keep(session: aiohttp.ClientSession) -> AsyncGenerator[None]:
    # An event loop that ends closes its asynchronous generators, and so this session, if nobody did it before.
    try:
        yield
    finally:
        await session.close()
