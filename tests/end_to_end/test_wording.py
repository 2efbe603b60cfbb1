"""What we write to a model comes from one file of texts: each of its functions is marked, and so is all that is told.

What remains is what a text quotes: an error's own words, a value. That nothing is written elsewhere, also where no run
of this file comes by, is held by `tests/unit/test_wording.py`.
"""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import BaseModel

from support import BACKENDS, add
from unified_agents import (
    ImagePart,
    Limits,
    ModelConfig,
    ModelPolicy,
    Script,
    ToolPolicy,
    Transient,
    create_agent,
    tool,
    wording,
)
from unified_agents.backend import variants_of
from unified_agents.registry import load_backend
from unified_agents.scripted.server import ScriptServer

MARK = "\u2063"
"""Invisible, and in no text of ours."""
OF_THE_MODEL = {"observed", "react_turn", "react_answer"}
"""These read a text, or write a turn again as the model would."""


@tool
async def boom() -> str:
    """Fail."""
    raise ValueError("no")


@tool(idempotent=True)
async def busy() -> str:
    """Fail for now."""
    raise Transient("busy")


@tool(timeout=0.05, idempotent=True)
async def hang() -> None:
    """Never end."""
    await asyncio.Event().wait()


@tool
async def shapeless() -> object:
    """Return what has no JSON form."""
    return object()


@tool(max_result_chars=5)
async def long() -> str:
    """Return much."""
    return "a long text"


@tool
async def echo(value: str) -> str:
    """Say it again."""
    return value


@tool
async def look() -> ImagePart:
    """Show a picture."""
    return ImagePart.from_bytes(b"no picture")


TOOLS = [add, boom, busy, hang, shapeless, long, echo, look]
CALLS: list[dict[str, Any]] = [
    {"name": "add", "arguments": {"a": "x", "b": 1}},
    {"name": "add", "arguments": '{"a": 1'},
    {"name": "add", "arguments": "[]"},
    {"name": "ad", "arguments": {}},
    {"name": "boom", "arguments": {}},
    {"name": "busy", "arguments": {}},
    {"name": "hang", "arguments": {}},
    {"name": "shapeless", "arguments": {}},
    {"name": "long", "arguments": {}},
    {"name": "echo", "arguments": {"value": {"$call": 4}}},
    {"name": "echo", "arguments": {"value": {"$call": 99}}},
    {"name": "echo", "arguments": {"value": {"$call": 11}}},
    {"name": "look", "arguments": {}},
    {"name": "add", "arguments": {"a": 1, "c": 2}},
    {"name": "echo", "arguments": {"value": {"$call": 8, "path": "/rows"}}},
]


class Town(BaseModel):
    name: str


BAD, GOOD = {"text": '{"town": 1}'}, {"text": '{"name": "Oslo"}'}
LONG = {"text": "a long story"}
CUT = {"fault": {"finish_reason_length": True}}
REFUSED = {"fault": {"status": 400, "message": "unknown field response_format"}}
ADD = {"tool_calls": [{"name": "add", "arguments": {"a": 1, "b": 2}}]}
LAST_WORD = Limits(max_steps=1, on_limit="answer")
SCENES: dict[str, tuple[list[Mapping[str, Any]], dict[str, Any]]] = {
    "calls": ([{"tool_calls": CALLS}, {"text": "done"}], {"tool_references": True}),
    "an answer that does not fit": ([BAD, GOOD], {"output_type": Town}),
    "a form asked for in words": ([REFUSED, GOOD], {"output_type": Town}),
    "a cut answer": ([CUT, LONG, {"text": "done"}], {}),
    "a limit": ([ADD, {"text": "done"}], {"limits": LAST_WORD}),
}
QUESTION = "The question."


async def told(server: ScriptServer, script: Script, backend: str, **options: Any) -> list[str]:
    """All that the model was told, beside the question and its own turns."""
    url = server.add(script)
    policy = ModelPolicy(wait_initial=0.001, wait_max=0.002, jitter=0.0)
    agent = create_agent(
        backend=backend,
        model=ModelConfig(name="m", base_url=url, policy=policy),
        tools=TOOLS,
        tool_policy=ToolPolicy(wait_initial=0.0, jitter=0.0),
        **options,
    )
    await agent.run(QUESTION)
    await agent.aclose()
    texts: dict[str, None] = {}
    for request in server.requests(url):
        for message in request.body["messages"]:
            if message["role"] != "assistant" and message["content"] != QUESTION:
                texts[message["content"]] = None
    return list(texts)


def is_result(text: str) -> bool:
    """Whether it is a tool's own result, and nothing of ours."""
    return text == "3"


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The texts with a mark; and the names of those that were used."""
    used: set[str] = set()

    def marking(name: str, function: Any) -> Any:
        def write(*given: Any, **named: Any) -> str:
            used.add(name)
            return str(function(*given, **named)) + MARK

        return write

    for name, function in inspect.getmembers(wording, inspect.isfunction):
        writes = function.__module__.startswith(wording.__name__) and function.__annotations__["return"] == "str"
        if writes and name not in OF_THE_MODEL and not name.startswith("_"):
            monkeypatch.setattr(wording, name, marking(name, function))
    monkeypatch.setattr(wording, "REFERENCES", wording.REFERENCES + MARK)
    return used


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("backend", BACKENDS)
async def test_all_that_is_told_is_from_the_file(
    backend: str, scene: str, marked: set[str], server: ScriptServer
) -> None:
    answers, options = SCENES[scene]
    texts = await told(server, Script.model_validate({"answers": answers}), backend, **options)
    ours = [text for text in texts if not is_result(text)]
    assert ours
    assert [text for text in ours if not text.rstrip("\n").endswith(MARK)] == []
    lines = [line for text in ours for line in text.splitlines() if line.startswith("- ")]
    assert [line for line in lines if not line.endswith(MARK)] == []
    if scene == "calls":
        assert len(ours) == len(CALLS) + 1  # and the syntax of references
        assert {"invalid_arguments", "unknown_tool", "tool_failed", "tool_gave_up", "tool_timed_out_again"} <= marked
        assert {"unusable_result", "cut_result", "awaited_call_failed", "no_such_call", "calls_in_a_circle"} <= marked
        assert {"problem", "given", "of_type", "missing", "no_such_argument", "broken_json"} <= marked
        assert {"no_json_form", "image", "nothing_at", "no_such_value"} <= marked
        assert len(lines) >= 6
        assert all(text.count(MARK) > 1 for text in ours if "its result cannot be shown" in text)


@pytest.mark.parametrize("backend", [name for name in BACKENDS if "react" in variants_of(load_backend(name))])
async def test_in_the_text_protocol_too(backend: str, marked: set[str], server: ScriptServer) -> None:
    turns = ["Thought: I wonder.", "Action: ad\nAction Input: {}", "Action: boom\nAction Input: {}\nAction: long"]
    for turn in turns:
        answers = [{"text": turn}, {"text": "Final Answer: done"}]
        script = Script.model_validate({"answers": answers, "protocol": "react"})
        texts = await told(server, script, backend, variant="react")
        assert len(texts) == 2  # the protocol, and what is said of the turn
        assert [text for text in texts if not text.endswith(MARK)] == []
    assert {"react_instructions", "react_unreadable", "unknown_tool", "react_one_action"} <= marked


async def test_without_marks_none_is_found(server: ScriptServer) -> None:
    answers, options = SCENES["calls"]
    texts = await told(server, Script.model_validate({"answers": answers}), BACKENDS[0], **options)
    assert len(texts) == len(CALLS) + 1
    assert MARK not in json.dumps(texts, ensure_ascii=False)
