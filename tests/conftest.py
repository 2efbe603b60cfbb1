"""Fixtures of tests in several rooms."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

import postgres as postgres_server
from support import BACKENDS
from unified_agents.scripted.server import ScriptServer


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
