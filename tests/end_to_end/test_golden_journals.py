"""Journals that earlier versions wrote are resumed by today's code, on every backend."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from support import BACKENDS, make_script
from unified_agents import ImagePart, ScriptedModel, create_agent, tool
from unified_agents.journal.rows import FORMAT

INSTRUCTIONS = "Draw, then count."
TASK = [
    {"role": "user", "content": "Hello."},
    {"role": "assistant", "content": "Hi.", "original": {"protocol": "p", "endpoint": "e", "model": "m", "body": {}}},
    {"role": "user", "content": [{"type": "text", "text": "Gö \U0001f600."}]},
]
ANSWERS = (
    {"text": "First.", "tool_calls": [{"name": "draw", "arguments": {}}, {"name": "fail", "arguments": {"why": "no"}}]},
    {"tool_calls": [{"name": "count", "arguments": {"n": 1}}, {"name": "count", "arguments": {"n": 2}}]},
    {"text": "Done."},
)
counted: list[int] = []


@tool
async def draw() -> list[Any]:
    """Draw."""
    return ["Look:", ImagePart.from_bytes(b"png")]


@tool
async def fail(why: str) -> str:
    """Fail."""
    raise ValueError(why)


@tool(idempotent=True)
async def count(n: int) -> int:
    """Count."""
    counted.append(n)
    return n


TOOLS = [draw, fail, count]


class Model:
    """The scripted model, which counts its requests."""

    def __init__(self) -> None:
        self.requests = 0
        self._model = ScriptedModel(make_script(*ANSWERS))

    def reply(self, request: Any, key: str = "") -> Any:
        self.requests += 1
        return self._model.reply(request, key)

    def forget(self, key: str) -> None:
        self._model.forget(key)


GOLDEN = sorted(Path(__file__).parent.glob("journal_format_*.sql"))


def restore(golden: Path, path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(golden.read_text())


def test_there_is_one_for_each_format() -> None:
    assert [path.stem for path in GOLDEN] == [f"journal_format_{number}" for number in range(1, FORMAT + 1)]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.stem)
async def test_a_journal_of_an_earlier_version_is_resumed(golden: Path, backend: str, tmp_path: Path) -> None:
    restore(golden, tmp_path / "runs.db")
    counted.clear()
    model = Model()
    async with create_agent(
        backend=backend, model=model, tools=TOOLS, instructions=INSTRUCTIONS, journal=tmp_path / "runs.db"
    ) as agent:
        result = await agent.resume("golden")
    assert (result.status, result.output) == ("completed", "Done.")
    assert (model.requests, counted) == (1, [2])
    assert [call.content for call in result.tool_calls][2:] == ["1", "2"]
    assert "image" in (result.tool_calls[0].content or "")
    assert result.tool_calls[1].error is not None
    assert [message.original for message in result.messages if message.original] == [TASK[1]["original"]]
