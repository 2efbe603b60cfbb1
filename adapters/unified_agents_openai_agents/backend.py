"""Runs the OpenAI Agents SDK: `agents.Runner` over `agents.Agent`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from agents import Agent, RunConfig, Runner, RunResultStreaming

from unified_agents.backend import AgentSpec, BoundTool, Capability, NativeAgent, import_all_off_loop
from unified_agents.errors import RunError
from unified_agents.messages import Message
from unified_agents_openai_agents.errors import translate
from unified_agents_openai_agents.model import chat_model, items, model_settings
from unified_agents_openai_agents.tools import native_construction, native_tool, unified_tool

_ENDING_SECONDS = 2.0

IMPORTED_BY_A_FIRST_RUN = ("httpcore", "httpcore2")
"""What the client of its tracing sends with: that of httpx, and of httpx2 in newer releases of the SDK."""


class OpenAIAgentsBackend:
    """The backend that runs the OpenAI Agents SDK."""

    name = "openai_agents"
    capabilities = frozenset(Capability)

    def build(self, spec: AgentSpec) -> NativeAgent:
        """Make the SDK's agent.

        Raises:
            UnsupportedCapabilityError: under `native`, the SDK does not take one of the tools.
        """
        return OpenAIAgentsAgent(spec)

    def native_construction(self, tool: BoundTool) -> str:
        """Return the Python call by which a tool is made under `native`."""
        return native_construction(tool)


class OpenAIAgentsAgent:
    """The SDK's agent, ready to run. It keeps no state, so it serves many runs at once.

    Args:
        spec: What it is made of.
    """

    def __init__(self, spec: AgentSpec) -> None:
        is_unified = spec.handling == "unified"
        self._agent: Agent[Any] = Agent(
            name=spec.name,
            instructions=spec.instructions,
            model=chat_model(spec),
            tools=[unified_tool(bound) if is_unified else native_tool(bound) for bound in spec.tools],
            model_settings=model_settings(spec),
        )
        # Its tracing sends every run to OpenAI's own host.
        self._options: dict[str, Any] = {"run_config": RunConfig(tracing_disabled=True)}
        if is_unified:
            self._options["max_turns"] = None  # our own limits end a run

    @property
    def native(self) -> object:
        """The SDK's `Agent`."""
        return self._agent

    async def run(self, messages: Sequence[Message], *, stream: bool) -> str | None:
        """Run the agent to its end, and return its final output."""
        output = await run_agent(self._agent, messages, stream=stream, **self._options)
        return None if output is None else str(output)

    def translate(self, error: Exception) -> RunError | None:
        """Return the error of ours that a foreign one stands for."""
        return translate(error)


async def run_agent(agent: Agent[Any], messages: Sequence[Message], *, stream: bool, **options: Any) -> Any:
    """Run an agent of the SDK on a conversation, and return its final output."""
    await import_all_off_loop(IMPORTED_BY_A_FIRST_RUN)
    given = [item for message in messages for item in items(message)]
    if not stream:
        return (await Runner.run(agent, given, **options)).final_output
    streamed = Runner.run_streamed(agent, given, **options)
    try:
        async for _ in streamed.stream_events():
            pass
    except asyncio.CancelledError:
        await _end_streamed(streamed)
        raise
    return streamed.final_output


async def _end_streamed(streamed: RunResultStreaming) -> None:
    """End the loop of a streamed run: it has a task of its own, which outlives whoever reads its events."""
    streamed.cancel()
    task = streamed.run_loop_task
    if task is not None and not task.done():
        await asyncio.wait([task], timeout=_ENDING_SECONDS)
