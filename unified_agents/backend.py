"""What the author of an adapter implements, and what it is given.

An adapter is a small translation: it builds the framework's own agent from our model client and our tools, runs it on
a list of messages, and says which of our errors a foreign one is. Limits, retries, events, spans and validation stand
on the seams and are none of its business.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NoReturn, Protocol, runtime_checkable

from unified_agents import wording
from unified_agents.config import Handling, Variant
from unified_agents.errors import RunError
from unified_agents.messages import JsonObject, Message
from unified_agents.run.calls import ToolOutcome
from unified_agents.tool_runner.native import observed_function
from unified_agents.tool_runner.unified import refuse_sync, run_call
from unified_agents.tools.definition import Tool
from unified_agents.tools.offer import INVALID_CALL_TOOL
from unified_agents.wire.client import ModelClient

__all__ = [
    "INVALID_CALL_TOOL",
    "AgentSpec",
    "Backend",
    "BoundTool",
    "Capability",
    "ModelClient",
    "NativeAgent",
    "ToolOutcome",
    "Variant",
    "react_instructions",
    "react_observation",
    "variants_of",
]


class Capability(StrEnum):
    """What a backend may or may not be able to do. The contract suite proves each declaration."""

    TOOLS = "tools"
    """It calls tools."""
    PARALLEL_TOOLS = "parallel_tools"
    """It runs the calls of one answer at the same time."""
    STREAMING = "streaming"
    """Its framework can ask for a streamed answer."""
    NATIVE = "native"
    """It can run under `handling: native`."""


@dataclass(slots=True, frozen=True)
class BoundTool:
    """One tool as an adapter translates it.

    Attributes:
        name: The name on the wire, which every provider accepts.
        tool: The definition; None for the reserved tool that takes calls which a framework would choke on.
    """

    name: str
    tool: Tool | None

    @property
    def description(self) -> str:
        """What the model is told."""
        return self.tool.description if self.tool is not None else "Answers calls that cannot be carried out."

    @property
    def parameters(self) -> JsonObject:
        """The canonical JSON Schema."""
        return self.tool.parameters if self.tool is not None else {"type": "object", "properties": {}}

    async def run(self, call_id: str) -> ToolOutcome:
        """Under `unified`: carry out the call with this id. The arguments are taken from the wire.

        Raises:
            asyncio.CancelledError: the run has ended.
        """
        return await run_call(call_id)

    def refuse_sync(self) -> NoReturn:
        """What to do when the framework calls the tool synchronously.

        Raises:
            UnsupportedCapabilityError: always.
        """
        refuse_sync()

    def function(self) -> Callable[..., Any]:
        """Under `native`: the tool's own function, watched, for the framework to wrap as its documentation says."""
        if self.tool is None:
            raise ValueError("the reserved tool exists under `unified` only")
        return observed_function(self.tool)

    @property
    def is_schema_only(self) -> bool:
        """Whether there is only a JSON Schema, and no typed function behind it."""
        return self.tool is not None and self.tool.is_schema_only


@dataclass(slots=True, frozen=True)
class AgentSpec:
    """What an adapter builds its native agent from.

    Attributes:
        name: The agent's name.
        instructions: The system text; None for none.
        tools: What the model is offered; under `unified` with the reserved tool last.
        model: How to reach the model.
        handling: `unified` or `native`.
        variant: Which loop; one of the backend's `variants`. Under `unified` the wire speaks the text protocol: an
            answer that reaches the framework holds one action or the final answer in canonical text, and the call,
            under its id, in `tool_calls` beside it.
    """

    name: str
    instructions: str | None
    tools: tuple[BoundTool, ...]
    model: ModelClient
    handling: Handling
    variant: Variant = "tool_calling"


@runtime_checkable
class NativeAgent(Protocol):
    """A framework's agent, ready to run. One serves many runs at once, so it keeps no state of a run."""

    @property
    def native(self) -> object:
        """The framework's own object."""

    async def run(self, messages: Sequence[Message], *, stream: bool) -> str | None:
        """Run the native loop on a conversation, to its final answer.

        Ends at once when it is cancelled, and leaves no task behind.

        Args:
            messages: The conversation without the instructions.
            stream: Whether the framework shall ask for streamed answers, where it can.

        Returns:
            The final answer's text; None when the framework gives none.
        """

    def translate(self, error: Exception) -> RunError | None:
        """Which of our errors a foreign one is; None when it is none of the framework's or its client's."""


class Backend(Protocol):
    """An adapter's entry point: `unified_agents.backends` names a class without arguments that has these.

    One that has other loops than `tool_calling` names them all in `variants: frozenset[Variant]`.
    """

    name: str
    capabilities: frozenset[Capability]

    def build(self, spec: AgentSpec) -> NativeAgent:
        """Make the native agent. Opens nothing and asks nothing.

        Raises:
            UnsupportedCapabilityError: the framework cannot do what the spec asks.
        """


def variants_of(backend: Backend) -> frozenset[Variant]:
    """The loops of a backend; `tool_calling` alone where it does not say."""
    variants: frozenset[Variant] = getattr(backend, "variants", frozenset({"tool_calling"}))
    return variants


def react_instructions(tools: Sequence[BoundTool]) -> str:
    """Under `native`: what a loop written by hand tells the model of its tools and of the text protocol."""
    return wording.react_instructions([(tool.name, tool.description, tool.parameters) for tool in tools])


def react_observation(content: str) -> str:
    """Under `native`: a tool's result in the text protocol."""
    return wording.observation(content)
