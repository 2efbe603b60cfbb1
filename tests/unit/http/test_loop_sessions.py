"""Sessions that nobody closes are closed when their holder is gone, and say nothing about it."""

import asyncio
import gc
from typing import Any

import aiohttp

from unified_agents.http.loop_sessions import LoopSessions


async def test_sessions_of_a_holder_that_nobody_closes_are_closed_without_a_word() -> None:
    loop = asyncio.get_running_loop()
    complaints: list[Any] = []
    loop.set_exception_handler(lambda _, context: complaints.append(context))

    closed = asyncio.Event()

    class Connector(aiohttp.TCPConnector):
        def close(self, *, abort_ssl: bool = False) -> Any:
            closed.set()
            return super().close(abort_ssl=abort_ssl)

    def make() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(connector=Connector())

    class Holder(LoopSessions):
        kept: Any = None

    for _ in range(5):
        closed.clear()
        holder = Holder(make)
        holder.kept = [await holder.get(), holder]  # as an error keeps all that stands in its frames
        del holder
        gc.collect()
        await asyncio.wait_for(closed.wait(), 10)
    assert complaints == []


async def test_a_holder_that_is_closed_leaves_nothing_to_do() -> None:
    holder = LoopSessions(aiohttp.ClientSession)
    session = await holder.get()
    await holder.aclose()
    assert session.closed
    assert await holder.get() is not session
    await holder.aclose()
