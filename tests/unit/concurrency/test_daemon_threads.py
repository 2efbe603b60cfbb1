"""Threads for synchronous tools."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from typing import TypeVar

import pytest

from unified_agents.concurrency.daemon_threads import DaemonThreads

T = TypeVar("T")

_seen: ContextVar[str] = ContextVar("seen", default="nothing")


def begun(pool: DaemonThreads, function: Callable[[], T]) -> asyncio.Task[T]:
    return asyncio.create_task(pool.call(function))


class Hanging:
    """A function that tells the event loop when it begins, and ends when it is released."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.release = threading.Event()

    def __call__(self) -> None:
        self._loop.call_soon_threadsafe(self.started.set)
        self.release.wait(20)


async def test_calls_run_at_once_up_to_the_bound_and_then_wait_in_line() -> None:
    pool = DaemonThreads(max_threads=32)
    together = threading.Barrier(32)
    places = await asyncio.gather(*(pool.call(lambda: together.wait(20)) for _ in range(64)))
    assert sorted(places) == sorted([*range(32), *range(32)])


async def test_a_thread_is_used_again() -> None:
    pool = DaemonThreads()
    names = {await pool.call(lambda: threading.current_thread().name) for _ in range(200)}
    assert len(names) == 1  # it is idle before its result is handed over


async def test_what_is_raised_is_handed_over() -> None:
    with pytest.raises(KeyError):
        await DaemonThreads().call(lambda: {}["x"])


async def test_a_cancel_that_the_function_raises_is_none_of_the_caller() -> None:
    def leave() -> None:
        raise asyncio.CancelledError("mine")

    left: list[object] = []
    with pytest.raises(asyncio.CancelledError, match="mine"):
        await DaemonThreads().call(leave, lambda *told: left.append(told))
    task = asyncio.current_task()
    assert task is not None
    assert (task.cancelling(), left) == (0, [])


HUNG = """
import asyncio, os, threading
from unified_agents.concurrency.daemon_threads import DaemonThreads
async def main():
    await asyncio.wait([asyncio.create_task(DaemonThreads().call(threading.Event().wait))], timeout=0.1)
asyncio.run(main())
"""


def test_a_hung_call_does_not_keep_the_program_alive() -> None:
    assert subprocess.run([sys.executable, "-c", HUNG], timeout=20, check=False).returncode == 0


async def test_an_event_loop_that_is_gone_when_a_call_ends_is_no_trouble() -> None:
    pool, release, begun_there = DaemonThreads(max_threads=1), threading.Event(), threading.Event()

    async def leave() -> None:
        hung = begun(pool, lambda: (begun_there.set(), release.wait(20)))
        await asyncio.sleep(0)
        assert begun_there.wait(5)
        hung.cancel()

    await asyncio.to_thread(asyncio.run, leave())
    release.set()
    assert await pool.call(lambda: "ran") == "ran"


async def test_an_abandoned_thread_makes_room_and_gives_its_place_back_when_it_ends() -> None:
    pool, hang, left = DaemonThreads(max_threads=1), Hanging(), []
    hung = asyncio.create_task(pool.call(hang, lambda _, ended: left.append(ended)))
    await hang.started.wait()
    waiting = begun(pool, lambda: "ran")
    await asyncio.wait([waiting], timeout=0.05)
    assert not waiting.done()
    hung.cancel()
    assert await waiting == "ran"
    hang.release.set()
    await asyncio.wrap_future(left[0])

    hold, inside = threading.Event(), []
    calls = [begun(pool, lambda: (inside.append(1), hold.wait(20))) for _ in range(3)]
    await asyncio.wait(calls, timeout=0.1)
    assert len(inside) == 1, "two calls run at once, and the bound is one"
    hold.set()
    await asyncio.gather(*calls)


async def test_a_cancelled_call_never_runs() -> None:
    pool, hang, ran = DaemonThreads(max_threads=1), Hanging(), []
    hung = begun(pool, hang)
    await hang.started.wait()
    waiting = begun(pool, lambda: ran.append(1))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    hang.release.set()
    await hung
    await pool.call(int)
    assert ran == []


async def test_a_call_runs_in_the_callers_context() -> None:
    _seen.set("mine")
    assert await DaemonThreads(name="lane").call(lambda: (_seen.get(), threading.current_thread().name)) == (
        "mine",
        "lane-1",
    )


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), StopIteration(1), GeneratorExit()])
async def test_what_would_end_the_event_loop_is_an_error_of_the_function(error: BaseException) -> None:
    def leave() -> None:
        raise error

    with pytest.raises(RuntimeError, match=f"the tool raised {type(error).__name__}") as caught:
        await DaemonThreads().call(leave)
    assert caught.value.__cause__ is error


async def test_a_cancelled_caller_gives_the_thread_up_and_is_told_when_it_ends() -> None:
    pool, hang, left = DaemonThreads(max_threads=1, name="lane"), Hanging(), []
    calling = asyncio.create_task(pool.call(hang, lambda *told: left.append(told)))
    await hang.started.wait()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    [(name, ended)] = left
    assert name == "lane-1"
    assert not ended.done()
    assert await pool.call(lambda: "ran") == "ran"
    hang.release.set()
    await asyncio.wrap_future(ended)


async def test_a_cancelled_caller_of_a_call_that_has_not_begun_gives_nothing_up() -> None:
    pool, hang = DaemonThreads(max_threads=1), Hanging()
    hung = begun(pool, hang)
    left: list[object] = []
    calling = asyncio.create_task(pool.call(lambda: left.append("ran"), lambda *told: left.append(told)))
    await asyncio.sleep(0)
    calling.cancel()
    await asyncio.wait([calling])
    hang.release.set()
    await hung
    await pool.call(int)
    assert left == []


async def test_a_call_for_which_no_thread_can_be_started_never_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, ran = DaemonThreads(), []

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            await pool.call(lambda: ran.append("refused"))
    assert await pool.call(lambda: "second") == "second"
    assert await pool.call(lambda: "third") == "third"
    assert ran == []


async def test_an_error_is_not_held_by_the_frames_of_its_own_traceback() -> None:
    class OwnError(Exception):
        pass

    def fail() -> None:
        raise OwnError

    pool = DaemonThreads(max_threads=1)

    async def call() -> weakref.ref[OwnError]:
        try:
            await pool.call(fail)
        except OwnError as error:
            return weakref.ref(error)
        raise AssertionError

    gc.disable()
    try:
        held = await call()
        await pool.call(int)  # by now the thread has let go of it
        assert held() is None
    finally:
        gc.enable()
