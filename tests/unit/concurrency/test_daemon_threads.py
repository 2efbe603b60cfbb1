"""Threads for synchronous tools."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from contextvars import ContextVar

import pytest

from unified_agents.concurrency.daemon_threads import DaemonThreads

_seen: ContextVar[str] = ContextVar("seen", default="nothing")


def test_calls_run_at_once_up_to_the_bound_and_then_wait_in_line() -> None:
    pool = DaemonThreads(max_threads=32)
    together = threading.Barrier(32)
    futures = [pool.submit(together.wait, 20) for _ in range(64)]
    assert sorted(future.result(timeout=20) for future in futures) == sorted([*range(32), *range(32)])


def test_a_thread_is_used_again() -> None:
    pool = DaemonThreads()
    names = {pool.submit(lambda: threading.current_thread().name).result(timeout=5) for _ in range(200)}
    assert len(names) < 20  # a thread may still be on its way back when the next call comes


def test_what_is_raised_is_handed_over() -> None:
    with pytest.raises(KeyError):
        DaemonThreads().submit({}.__getitem__, "x").result(timeout=5)


def test_an_abandoned_thread_makes_room() -> None:
    pool, release, started = DaemonThreads(max_threads=1), threading.Event(), threading.Event()
    hung = pool.submit(lambda: (started.set(), release.wait(20)))
    assert started.wait(5)
    waiting = pool.submit(lambda: "ran")
    with pytest.raises(TimeoutError):
        waiting.result(timeout=0.05)
    assert pool.abandon(hung)
    assert waiting.result(timeout=5) == "ran"
    release.set()
    hung.result(timeout=5)


def test_a_cancelled_call_never_runs() -> None:
    pool, release, ran = DaemonThreads(max_threads=1), threading.Event(), []
    hung = pool.submit(release.wait, 20)
    waiting = pool.submit(ran.append, 1)
    assert waiting.cancel()
    release.set()
    hung.result(timeout=5)
    pool.submit(int).result(timeout=5)
    assert ran == []


HUNG = """
import threading
from unified_agents.concurrency.daemon_threads import DaemonThreads
DaemonThreads().submit(threading.Event().wait)
"""


def test_a_hung_call_does_not_keep_the_program_alive() -> None:
    assert subprocess.run([sys.executable, "-c", HUNG], timeout=20, check=False).returncode == 0


def test_an_abandoned_thread_that_ends_gives_its_place_back() -> None:
    pool, started, release = DaemonThreads(max_threads=1), threading.Event(), threading.Event()
    hung = pool.submit(lambda: (started.set(), release.wait(20)))
    assert started.wait(5)
    assert pool.abandon(hung)
    assert pool.abandon(hung), "to give it up twice makes room once"
    assert pool.submit(int).result(timeout=5) == 0
    release.set()
    hung.result(timeout=5)
    assert not pool.abandon(hung), "what has ended is not given up"

    inside, hold = threading.Semaphore(0), threading.Event()
    futures = [pool.submit(lambda: (inside.release(), hold.wait(20))) for _ in range(3)]
    assert inside.acquire(timeout=5)
    assert not inside.acquire(timeout=0.1), "two calls run at once, and the bound is one"
    hold.set()
    for future in futures:
        future.result(timeout=5)


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
    pool, started, release = DaemonThreads(max_threads=1, name="lane"), asyncio.Event(), threading.Event()
    loop, left = asyncio.get_running_loop(), []
    hang = pool.call(
        lambda: (loop.call_soon_threadsafe(started.set), release.wait(20)), lambda *told: left.append(told)
    )
    calling = asyncio.create_task(hang)
    await started.wait()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    [(name, ended)] = left
    assert name == "lane-1"
    assert not ended.done()
    assert await pool.call(lambda: "ran") == "ran"
    release.set()
    ended.result(timeout=5)


async def test_a_cancelled_caller_of_a_call_that_has_not_begun_gives_nothing_up() -> None:
    pool, release = DaemonThreads(max_threads=1), threading.Event()
    hung = pool.submit(release.wait, 20)
    left: list[object] = []
    calling = asyncio.create_task(pool.call(lambda: left.append("ran"), lambda *told: left.append(told)))
    await asyncio.sleep(0)
    calling.cancel()
    await asyncio.wait([calling])
    release.set()
    hung.result(timeout=5)
    await pool.call(int)
    assert left == []


def test_a_call_for_which_no_thread_can_be_started_never_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, ran = DaemonThreads(), []

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            pool.submit(ran.append, "refused")
    assert pool.submit(lambda: "second").result(timeout=5) == "second"
    assert pool.submit(lambda: "third").result(timeout=5) == "third"
    assert ran == []
