"""Runs smolagents' agent for tool calls: `smolagents.ToolCallingAgent`.

Its `CodeAgent` lets the model write Python, which calls tools without ids and runs in this process. It is left out.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

from rich.console import Console
from smolagents import LogLevel
from smolagents.agents import EMPTY_PROMPT_TEMPLATES
from smolagents.monitoring import AgentLogger

from unified_agents.backend import AgentSpec, Capability, NativeAgent, run_synchronous_loop
from unified_agents.errors import RunError, UnsupportedCapabilityError
from unified_agents.messages import Message
from unified_agents_smolagents.errors import translate
from unified_agents_smolagents.model import chat_model
from unified_agents_smolagents.tools import CallsByIdAgent

_NO_LIMIT = 1_000_000
_MAX_TOOL_THREADS = 64


class SmolagentsBackend:
    """The backend that runs smolagents' agent.

    It is synchronous, so it runs in a thread. It writes calls and results as prose, and takes nothing for an answer but
    a call of its own tool: both are undone under `unified`, and there is no `native`, as its tools cannot be async.
    """

    name = "smolagents"
    capabilities = frozenset({Capability.TOOLS, Capability.PARALLEL_TOOLS, Capability.STREAMING})
    calls_by_id = True

    def build(self, spec: AgentSpec) -> NativeAgent:
        """Make what makes an agent for each run.

        Raises:
            UnsupportedCapabilityError: `native` is asked for.
        """
        if spec.handling == "native":
            raise UnsupportedCapabilityError("smolagents takes no asynchronous tools; use `handling: unified`")
        return SmolagentsAgent(spec)


class SmolagentsAgent:
    """Makes smolagents' agent for each run, as the agent object holds the run's memory.

    Args:
        spec: What it is made of.
    """

    def __init__(self, spec: AgentSpec) -> None:
        self._reserved = spec.tools[-1]
        self._model = chat_model(spec)

    @property
    def native(self) -> object:
        """A `ToolCallingAgent`, as each run has one."""
        return self._new(stream=False)

    def _new(self, *, stream: bool) -> CallsByIdAgent:
        return CallsByIdAgent(
            self._reserved,
            model=self._model,
            prompt_templates=EMPTY_PROMPT_TEMPLATES,
            max_steps=_NO_LIMIT,  # our own limits end a run
            stream_outputs=stream,
            max_tool_threads=_MAX_TOOL_THREADS,
            # It prints a streamed answer whatever its level.
            logger=AgentLogger(level=LogLevel.OFF, console=Console(file=io.StringIO())),
        )

    async def run(self, messages: Sequence[Message], *, stream: bool) -> str | None:
        """Run an agent to its end, and return its final answer. The wire has the conversation."""
        agent = self._new(stream=stream)
        answer = await run_synchronous_loop(lambda: agent.run(messages[-1].text), interrupt=agent.interrupt)
        return None if answer is None else str(answer)

    def translate(self, error: Exception) -> RunError | None:
        """Return the error of ours that a foreign one stands for."""
        return translate(error)
