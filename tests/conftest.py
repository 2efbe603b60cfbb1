"""Fixtures of tests in several rooms."""

from __future__ import annotations

import signal
import threading
from collections.abc import AsyncIterator, Generator, Iterator

import pytest

import postgres as postgres_server
from support import BACKENDS, EVERY_BACKEND
from unified_agents.backend import Capability
from unified_agents.errors import UnsupportedCapabilityError
from unified_agents.registry import load_backend
from unified_agents.scripted.server import ScriptServer


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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Skip a test of native runs on a backend that declares that it has none."""
    try:
        yield
    except UnsupportedCapabilityError as error:
        callspec = getattr(item, "callspec", None)
        backend = None if callspec is None else callspec.params.get("backend")
        has_none = backend in EVERY_BACKEND and Capability.NATIVE not in load_backend(backend).capabilities
        if has_none and "handling: native" in str(error):
            pytest.skip(str(error))
        raise


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """The name of an installed backend; the test runs once for each."""
    return str(request.param)


@pytest.fixture
async def server() -> AsyncIterator[ScriptServer]:
    """A server of scripted models, in the event loop of the test."""
    async with ScriptServer() as running:
        yield running


@pytest.fixture(scope="session")
def postgres() -> Iterator[postgres_server.Server]:
    """A PostgreSQL server, which runs until the tests end."""
    with postgres_server.running_server() as running:
        yield running
