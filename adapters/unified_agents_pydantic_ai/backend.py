"""Runs Pydantic AI's agent: `pydantic_ai.Agent`."""

from __future__ import annotations

from collections.abc import AsyncIterable, Sequence
from typing import Any

from pydantic_ai import Agent, RunContext, UsageLimits

from unified_agents.backend import AgentSpec, BoundTool, Capability, NativeAgent, import_all_off_loop
from unified_agents.errors import RunError
from unified_agents.messages import Message
from unified_agents_pydantic_ai.errors import translate
from unified_agents_pydantic_ai.model import chat_model, history, native_settings
from unified_agents_pydantic_ai.tools import PydanticAIToolset, native_construction, native_tool

IMPORTED_BY_A_FIRST_RUN = ("anyio._backends._asyncio",)


class PydanticAIBackend:
    """The backend that runs Pydantic AI's agent."""

    name = "pydantic_ai"
    capabilities = frozenset(Capability)

    def build(self, spec: AgentSpec) -> NativeAgent:
        """Make Pydantic AI's agent.

        Raises:
            UnsupportedCapabilityError: under `native`, Pydantic AI does not take one of the tools or parameters.
        """
        return PydanticAIAgent(spec)

    def native_construction(self, tool: BoundTool) -> str:
        """Return the Python call by which a tool is made under `native`."""
        return native_construction(tool)


class PydanticAIAgent:
    """Pydantic AI's agent, ready to run. It keeps no state, so it serves many runs at once.

    Args:
        spec: What it is made of.
    """

    def __init__(self, spec: AgentSpec) -> None:
        common: dict[str, Any] = {"name": spec.name, "instructions": spec.instructions}
        self._options: dict[str, Any] = {}
        if spec.handling == "unified":
            common["toolsets"] = [PydanticAIToolset(spec.tools)]
            self._options["usage_limits"] = UsageLimits(request_limit=None)  # our own limits end a run
        else:
            common["tools"] = [native_tool(bound) for bound in spec.tools]
            common["model_settings"] = native_settings(spec)
        self._agent: Any = Agent(chat_model(spec), **common)  # its overloads take no options by name

    @property
    def native(self) -> object:
        """Pydantic AI's `Agent`."""
        return self._agent

    async def run(self, messages: Sequence[Message], *, stream: bool) -> str | None:
        """Run the agent to its end, and return its output."""
        await import_all_off_loop(IMPORTED_BY_A_FIRST_RUN)
        options = self._options | ({"event_stream_handler": follow} if stream else {})
        result = await self._agent.run(message_history=history(messages), **options)
        output: str | None = result.output
        return output

    def translate(self, error: Exception) -> RunError | None:
        """Return the error of ours that a foreign one stands for."""
        return translate(error)


async def follow(_context: RunContext[None], events: AsyncIterable[Any]) -> None:
    """Read all events; a handler makes Pydantic AI ask for streams."""
    async for _ in events:
        pass
