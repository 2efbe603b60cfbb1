"""Runs Microsoft Agent Framework's agent: `agent_framework.Agent`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agent_framework import Agent

from unified_agents.backend import AgentSpec, BoundTool, Capability, NativeAgent
from unified_agents.errors import RunError
from unified_agents.messages import Message
from unified_agents_agent_framework.errors import translate
from unified_agents_agent_framework.model import chat_client, framework_message, native_options
from unified_agents_agent_framework.tools import CallsByIdMiddleware, native_construction, native_tool, unified_tool


class AgentFrameworkBackend:
    """The backend that runs Agent Framework's agent."""

    name = "agent_framework"
    capabilities = frozenset(Capability)

    def build(self, spec: AgentSpec) -> NativeAgent:
        """Make the framework's agent.

        Raises:
            UnsupportedCapabilityError: under `native`, the framework does not take one of the tools.
        """
        return AgentFrameworkAgent(spec)

    def native_construction(self, tool: BoundTool) -> str:
        """Return the Python call by which a tool is made under `native`."""
        return native_construction(tool)


class AgentFrameworkAgent:
    """The framework's agent, ready to run. Without a thread it keeps no state, so it serves many runs at once.

    Args:
        spec: What it is made of.
    """

    def __init__(self, spec: AgentSpec) -> None:
        is_unified = spec.handling == "unified"
        options: dict[str, Any] = (
            {"middleware": [CallsByIdMiddleware(spec.tools)]}
            if is_unified
            else {"default_options": native_options(spec)}
        )
        self._agent: Any = Agent(
            client=chat_client(spec),
            name=spec.name,
            instructions=spec.instructions,
            tools=[unified_tool(bound) if is_unified else native_tool(bound) for bound in spec.tools],
            **options,
        )

    @property
    def native(self) -> object:
        """The framework's `Agent`."""
        return self._agent

    async def run(self, messages: Sequence[Message], *, stream: bool) -> str | None:
        """Run the agent to its end, and return the text of its last turn."""
        given = [framework_message(message) for message in messages]
        if stream:
            running = self._agent.run(given, stream=True)
            async for _ in running:
                pass
            response = await running.get_final_response()
        else:
            response = await self._agent.run(given)
        # Its own `text` joins the texts of all turns.
        return str(response.messages[-1].text) if response.messages else None

    def translate(self, error: Exception) -> RunError | None:
        """Return the error of ours that a foreign one stands for."""
        return translate(error)
