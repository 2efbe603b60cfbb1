"""Turns on a resource, where event loops stand still."""

from __future__ import annotations

import asyncio

from unified_agents.tool_runner.exclusive_lock import Resource


def waiting_in_a_loop_that_stands_still(
    resource: Resource, patience: float | None = None
) -> tuple[asyncio.AbstractEventLoop, asyncio.Task[bool]]:
    loop = asyncio.new_event_loop()

    async def begin() -> asyncio.Task[bool]:
        waiting = asyncio.create_task(resource.take(patience))
        await asyncio.sleep(0)  # it begins to wait
        return waiting

    return loop, loop.run_until_complete(begin())


async def test_a_waiter_whose_loop_stands_still_is_passed_over() -> None:
    resource = Resource()
    assert await resource.take()
    still, waiting = await asyncio.to_thread(waiting_in_a_loop_that_stands_still, resource, 0.01)
    resource.give_back()
    assert await asyncio.wait_for(resource.take(), 5)
    resource.give_back()
    # When its loop goes on, it takes what came free meanwhile.
    assert await asyncio.to_thread(still.run_until_complete, waiting)
    still.close()


async def test_a_waiter_whose_loop_is_closed_is_forgotten() -> None:
    resource = Resource()
    assert await resource.take()
    still, waiting = await asyncio.to_thread(waiting_in_a_loop_that_stands_still, resource)
    waiting.cancel()
    await asyncio.to_thread(still.run_until_complete, asyncio.wait([waiting]))
    still.close()
    resource.give_back()
    assert await asyncio.wait_for(resource.take(), 5)
