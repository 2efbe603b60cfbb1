"""A synchronous loop in a thread reaches the event loop of its run, and ends with it."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar

import pytest

from unified_agents.concurrency import loop_bridge
from unified_agents.concurrency.loop_bridge import call_event_loop, run_synchronous_loop
from unified_agents.errors import UnsupportedCapabilityError

colour: ContextVar[str] = ContextVar("colour", default="none")


def nothing() -> None:
    return None


async def where() -> tuple[str, str]:
    await asyncio.sleep(0)
    return threading.current_thread().name, colour.get()


async def test_work_is_done_on_the_event_loop_in_the_threads_context() -> None:
    colour.set("red")

    def loop() -> tuple[str, str, str]:
        colour.set("blue")
        return (threading.current_thread().name, *call_event_loop(where()))

    own, on, seen = await run_synchronous_loop(loop, interrupt=nothing)
    assert (own, on, seen) == ("unified-agents-loop", threading.main_thread().name, "blue")
    assert colour.get() == "red"


async def test_errors_come_through_in_both_directions() -> None:
    async def fail() -> None:
        raise KeyError("inner")

    def loop() -> None:
        with pytest.raises(KeyError, match="inner"):
            call_event_loop(fail())
        raise ValueError("outer")

    with pytest.raises(ValueError, match="outer"):
        await run_synchronous_loop(loop, interrupt=nothing)

    def stop() -> None:
        raise StopIteration("no future can carry it")

    with pytest.raises(RuntimeError, match="no future can carry it"):
        await run_synchronous_loop(stop, interrupt=nothing)


async def test_a_cancel_ends_what_the_thread_waits_for_by_no_exception() -> None:
    waiting, interrupted = asyncio.Event(), threading.Event()
    seen: list[BaseException] = []

    async def wait_for_ever() -> None:
        waiting.set()
        await asyncio.Event().wait()

    def loop() -> None:
        for _ in range(2):  # the second asks of a bridge that is closed
            try:
                call_event_loop(wait_for_ever())
            except BaseException as error:
                seen.append(error)

    running = asyncio.create_task(run_synchronous_loop(loop, interrupt=interrupted.set))
    await waiting.wait()
    before = asyncio.all_tasks()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert [type(error) for error in seen] == [asyncio.CancelledError] * 2
    assert not isinstance(seen[0], Exception), "a framework would make a message of it"
    assert interrupted.is_set()
    assert asyncio.all_tasks() <= before


async def test_a_thread_that_does_not_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_bridge, "ENDING_SECONDS", 0.05)
    hanging, started = threading.Event(), asyncio.Event()
    event_loop = asyncio.get_running_loop()

    def loop() -> None:
        event_loop.call_soon_threadsafe(started.set)
        hanging.wait(10)

    running = asyncio.create_task(run_synchronous_loop(loop, interrupt=nothing))
    await started.wait()
    running.cancel()
    done, _ = await asyncio.wait([running], timeout=5)
    hanging.set()
    assert done
    assert running.cancelled()


def test_outside_of_such_a_loop_it_is_refused() -> None:
    with pytest.raises(UnsupportedCapabilityError, match=r"go past unified-agents; use `agent\.run"):
        call_event_loop(where())
