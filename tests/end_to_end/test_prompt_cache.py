"""The providers' prompt caches find what their rules allow: what goes out begins as the request before did."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import BACKENDS
from unified_agents import Limits, ModelConfig, RunResult, Script, create_agent, tool
from unified_agents.config.providers import PROTOCOL_TITLES, ProtocolName
from unified_agents.messages import Usage
from unified_agents.scripted.prompt_cache import readable_tokens
from unified_agents.scripted.server import ScriptServer

STEPS = 50
LEAST_SHARE = 0.98
LIMITS = Limits(max_steps=STEPS, max_model_calls=STEPS, max_tool_calls=20 * STEPS)
INSTRUCTIONS = "Add what you are told to add, and nothing else. " * 100


@tool
async def add(a: int, b: int) -> str:
    """Add two numbers."""
    return f"The sum of {a} and {b} is {a + b}, as everybody can see."


@tool
async def subtract(b: int, a: int) -> str:
    """Subtract two numbers."""
    return str(b - a)


async def usages(
    backend: str, protocol: ProtocolName, *, calls: int = 1, cache: bool = True, handling: Any = "unified"
) -> list[Usage]:
    """What each request of a run of 50 steps used, as a simulated prompt cache counts it."""
    asked = [{"name": "add", "arguments": {"b": number, "a": 7}} for number in range(calls)]
    answers = [{"text": f"Step {step}.", "tool_calls": asked} for step in range(STEPS - 1)]
    script = Script.model_validate({"prompt_cache": True, "answers": [*answers, {"text": "It is done."}]})
    async with ScriptServer() as server:
        model = ModelConfig(name="m", base_url=server.add(script, record=False), protocol=protocol, cache=cache)
        async with create_agent(
            backend=backend,
            model=model,
            tools=[add, subtract],
            instructions=INSTRUCTIONS,
            limits=LIMITS if handling == "unified" else None,
            handling=handling,
        ) as agent:
            result: RunResult[Any] = await agent.run("Add.")
    assert result.status == "completed"
    assert len(result.model_calls) == STEPS
    return [call.usage for call in result.model_calls]


def share_of(found: list[Usage], protocol: ProtocolName) -> float:
    """The share of the tokens that the rules allow which was read: of each prompt, all of the one before."""
    allowed = sum(readable_tokens(protocol, "m", before.input_tokens or 0) for before in found[:-1])
    return sum(usage.cached_input_tokens or 0 for usage in found) / allowed


@pytest.mark.parametrize("protocol", PROTOCOL_TITLES)
@pytest.mark.parametrize("backend", BACKENDS)
async def test_every_step_reads_the_prompt_of_the_step_before(backend: str, protocol: ProtocolName) -> None:
    assert share_of(await usages(backend, protocol), protocol) >= LEAST_SHARE


@pytest.mark.parametrize("calls", [1, 15])
async def test_nothing_is_written_twice(calls: int) -> None:
    found = await usages("custom", "messages", calls=calls)  # 15 calls are more blocks than a breakpoint looks back
    assert share_of(found, "messages") >= LEAST_SHARE
    assert sum(usage.cache_write_tokens or 0 for usage in found) <= (found[-1].input_tokens or 0)


async def test_without_breakpoints_nothing_is_read() -> None:
    found = await usages("custom", "messages", cache=False)
    assert share_of(found, "messages") == 0


async def test_native_runs_are_counted_too() -> None:
    found = await usages("custom", "chat_completions", handling="native")
    assert share_of(found, "chat_completions") > 0
