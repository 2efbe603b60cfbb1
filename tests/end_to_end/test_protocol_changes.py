"""One key of a config changes the protocol or the backend; and a run goes from one protocol to another in its midst."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support import BACKENDS, CUSTOM_AND_OTHERS_IN_THE_PROOF, make_script
from unified_agents import RunResult, create_agent
from unified_agents.config.providers import PROTOCOL_TITLES
from unified_agents.scripted.server import ScriptServer

PROTOCOLS = tuple(PROTOCOL_TITLES)
PROVIDERS = {
    "chat_completions": "{provider: openai, protocol: chat_completions, name: gemini-3-pro, base_url: %s}",
    "responses": "{provider: openai, protocol: responses, name: gemini-3-pro, base_url: %s}",
    "messages": "{provider: anthropic, name: gemini-3-pro, base_url: %s, parameters: {reasoning: {budget: 2048}}}",
    "generate_content": "{provider: google, name: gemini-3-pro, base_url: %s}",
}
FILE = """
backend: {backend}
model: {model}
instructions: Add, and be brief.
tools: ["tests.support:add"]
"""


def add_call(a: Any, b: Any) -> dict[str, Any]:
    return {"name": "add", "arguments": {"a": a, "b": b}}


def value(step: int, index: int) -> dict[str, Any]:
    return {"$result": {"step": step, "index": index}}


ANSWERS = (
    {"text": "Two sums.", "tool_calls": [add_call(1, 2), add_call(3, 4)], "reasoning": "Both at once."},
    {"tool_calls": [add_call(value(0, 0), value(0, 1))], "reasoning": "Now their sum."},
    {"text": {"$template": "It is {0}.", "values": [value(1, 0)]}, "reasoning": "That is all."},
)
DOWN = {"fault": {"status": 500}, "times": 99}


def what_happened(result: RunResult) -> dict[str, Any]:
    """Return what must not depend on protocol or backend."""
    calls = [(call.step, call.index, call.name, call.arguments, call.content) for call in result.tool_calls]
    turns = [(message.role, message.content or "", message.reasoning) for message in result.messages]
    return {
        "status": result.status,
        "output": result.output,
        "calls": calls,
        "turns": turns,
        "finish": result.finish_reason,
    }


@pytest.mark.parametrize("backend", BACKENDS)
async def test_one_key_changes_the_model(server: ScriptServer, backend: str, tmp_path: Path) -> None:
    """The same file with another `model:`, and with another `backend:`: the same calls, and the same output."""
    found = {}
    for name in {"custom", backend}:
        for protocol, written in PROVIDERS.items():
            url = server.add(make_script(*ANSWERS), strict=True)
            file = tmp_path / f"{name}-{protocol}.yaml"
            file.write_text(FILE.format(backend=name, model=written % url))
            async with create_agent(file) as agent:
                found[name, protocol] = what_happened(await agent.run("Go."))
    assert found[backend, "chat_completions"]["output"] == "It is 10."
    assert [key for key, happened in found.items() if happened != found["custom", "chat_completions"]] == []


THINKING = {
    "chat_completions": "reasoning_content",
    "responses": "reasoning",
    "messages": "thinking",
    "generate_content": "thought, thoughtSignature",
}


@pytest.mark.parametrize("second", PROTOCOLS)
@pytest.mark.parametrize("first", PROTOCOLS)
@pytest.mark.parametrize("backend", CUSTOM_AND_OTHERS_IN_THE_PROOF)
async def test_a_run_goes_to_another_protocol_in_its_midst(
    server: ScriptServer, backend: str, first: str, second: str
) -> None:
    breaks = (ANSWERS[0], DOWN, ANSWERS[1], DOWN, ANSWERS[2])
    url, stand_in = server.add(make_script(*breaks), strict=True), server.add(make_script(*ANSWERS), strict=True)
    thinks = {"parameters": {"reasoning": {"budget": 2048}}} if first == "messages" else {}
    model = {
        "name": "gemini-3-pro",
        "base_url": url,
        "protocol": first,
        "policy": {"wait_initial": 0.01, "jitter": 0, "attempts": {"server": 1}},
        "fallback": [{"name": "gemini-3-flash", "base_url": stand_in, "protocol": second}],
        **thinks,
    }
    agent: Any = create_agent(backend=backend, model=model, tools=["tests.support:add"])
    async with agent:
        result = await agent.run("Go.")
    assert (result.status, result.output) == ("completed", "It is 10.")
    assert [call.content for call in result.tool_calls] == ["3", "7", "10"]
    assert {message.original["protocol"] for message in result.messages if message.original} == {first, second}
    told = [
        fields for span in result.trace.walk() for name, _, fields in span.events if name == "originals_left_behind"
    ]
    # The stand-in does not get the first turn, and then the model does not get that of the stand-in.
    stayed = {(one["models"], one["parts"]) for one in told}
    assert (f"gemini-3-pro ({first})", THINKING[first]) in stayed
    assert (f"gemini-3-flash ({second})", THINKING[second]) in stayed
