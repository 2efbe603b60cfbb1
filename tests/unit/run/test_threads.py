"""Threads for synchronous tools."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from unified_agents.run.threads import DaemonThreads


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
    pool.abandon()
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
from unified_agents.run.threads import DaemonThreads
DaemonThreads().submit(threading.Event().wait)
"""


def test_a_hung_call_does_not_keep_the_program_alive() -> None:
    assert subprocess.run([sys.executable, "-c", HUNG], timeout=20, check=False).returncode == 0
