"""The least program of each framework, and of this library: each runs, calls its tool, and prints the answer."""

from __future__ import annotations

import asyncio
import runpy
from collections.abc import AsyncIterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from support import EVERY_BACKEND, asks_for, make_script, scripted_model
from unified_agents.registry import load_backend
from unified_agents.scripted.server import ScriptServer
from unified_agents.wire.local_upstream import Reply
from unified_agents_comparisons.execution.abilities import MINIMAL_PROGRAM

pytestmark = pytest.mark.slow

ANSWER = "It is 3."
FINAL_CALL = asks_for("final_answer", answer=ANSWER)
"""How smolagents' agent takes an answer."""


class InTurn:
    """A model that answers by the number of the request: smolagents writes calls and results as prose."""

    def __init__(self, *answers: Any) -> None:
        self._models = iter([scripted_model(*[answer] * 9) for answer in answers])

    def reply(self, request: Mapping[str, object], key: str = "") -> Reply:
        return next(self._models).reply(request, key)


PACKAGES = {
    name: type(load_backend(name)).__module__.partition(".")[0] for name in EVERY_BACKEND if name != "custom"
} | {"this library": "unified_agents_comparisons"}


@pytest.fixture
async def server() -> AsyncIterator[ScriptServer]:
    async with ScriptServer() as running:
        yield running


@pytest.mark.parametrize("name", PACKAGES)
async def test_it_prints_the_answer(
    name: str, server: ScriptServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    called = "Tools-add" if name == "semantic_kernel" else "add"
    call = asks_for(called, a=1, b=2)
    url = server.add(InTurn(call, FINAL_CALL) if name == "smolagents" else make_script(call, {"text": ANSWER}))
    for variable in ("OPENAI_BASE_URL", "OPENAI_API_BASE"):
        monkeypatch.setenv(variable, url)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setenv("AGNO_TELEMETRY", "false")
    monkeypatch.setenv("OPENAI_AGENTS_DISABLE_TRACING", "1")
    program = Path(str(files(PACKAGES[name]) / MINIMAL_PROGRAM))
    await asyncio.to_thread(runpy.run_path, str(program), run_name="__main__")
    assert capsys.readouterr().out.rstrip().endswith(ANSWER)
    first, second = server.requests(url)
    assert called in str(first.body)
    assert "3" in str(second.body)
