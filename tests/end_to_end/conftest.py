"""Fixtures of the end-to-end tests."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from unified_agents.testing.harness import ServerThread
from wrapped_programs import Place


@pytest.fixture(autouse=True, scope="session")
def interruptible() -> Iterator[None]:
    """A shell that starts this in the background ignores interrupts, and every program started here inherits that."""
    before = signal.getsignal(signal.SIGINT)
    mends = before is signal.SIG_IGN and threading.current_thread() is threading.main_thread()
    if mends:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    if mends:
        signal.signal(signal.SIGINT, before)


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Return the place of the model of programs whose agents are wrapped."""
    with ServerThread() as server:
        yield Place(server, monkeypatch)
