"""Fixture of the end-to-end tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from unified_agents.testing.harness import ServerThread
from wrapped_programs import Place


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Return the place of the model of programs whose agents are wrapped."""
    with ServerThread() as server:
        yield Place(server, monkeypatch)
