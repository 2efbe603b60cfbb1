"""Runs Agno's agent: `agno.agent.Agent`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

from agno.agent import Agent
from agno.run.agent import RunOutput
from agno.run.base import RunStatus

from unified_agents.backend import AgentSpec, BoundTool, Capability, NativeAgent, import_all_off_loop
from unified_agents.errors import BackendError, RunError
from unified_agents.messages import Message
from unified_agents_agno.errors import translate
from unified_agents_agno.model import agno_message, chat_model, tool_choice
from unified_agents_agno.tools import native_construction, native_tool, unified_tool

_IMPORTED_BY_A_FIRST_RUN = (
    "agno.agent._response",
    "agno.agent._hooks",
    "agno.agent._telemetry",
    "agno.offload.types",
    "agno.team",
    "agno.utils.json_schema",
    "openai.resources.chat.chat",  # from openai 3 on, the package above it imports none of this
)


class AgnoBackend:
    """The backend that runs Agno's agent."""

    name = "agno"
    capabilities = frozenset(Capability)

    def build(self, spec: AgentSpec) -> NativeAgent:
        """Make Agno's agent.

        Raises:
            UnsupportedCapabilityError: under `native`, Agno does not take one of the tools.
        """
        return AgnoAgent(spec)

    def native_construction(self, tool: BoundTool) -> str:
        """Return the Python call by which a tool is made under `native`."""
        return native_construction(tool)


class AgnoAgent:
    """Agno's agent, ready to run. It has no database, so it keeps no state and serves many runs at once.

    Args:
        spec: What it is made of.
    """

    def __init__(self, spec: AgentSpec) -> None:
        translated = unified_tool if spec.handling == "unified" else native_tool
        self._agent = Agent(
            name=spec.name,
            model=chat_model(spec),
            instructions=spec.instructions,
            tools=[translated(bound) for bound in spec.tools] or None,
            tool_choice=tool_choice(spec),
            telemetry=False,  # it would tell Agno's own host of each run
        )

    @property
    def native(self) -> object:
        """Agno's `Agent`."""
        return self._agent

    async def run(self, messages: Sequence[Message], *, stream: bool) -> str | None:
        """Run the agent to its end, and return the text of its last turn.

        Raises:
            BackendError: the run failed: Agno makes a text of every error. The wire knows what the model's server said.
        """
        await import_all_off_loop(_IMPORTED_BY_A_FIRST_RUN)
        given = [agno_message(message) for message in messages]
        output: Any = await self._streamed(given) if stream else await self._agent.arun(given)
        if output is None or output.status != RunStatus.completed:
            raise BackendError(f"Agno's run failed: {getattr(output, 'content', None) or 'it gave no output'}")
        turns = [message for message in output.messages or () if message.role == "assistant"]
        # Its own `content` joins the texts of all turns.
        return str(turns[-1].content) if turns and turns[-1].content is not None else None

    async def _streamed(self, given: list[Any]) -> RunOutput | None:
        output: RunOutput | None = None
        events: Any = self._agent.arun(given, stream=True, yield_run_output=True)
        async with aclosing(events):
            async for event in events:
                if isinstance(event, RunOutput):
                    output = event
        return output

    def translate(self, error: Exception) -> RunError | None:
        """Return the error of ours that a foreign one stands for."""
        return translate(error)
