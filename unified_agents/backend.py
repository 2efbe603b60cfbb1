"""The interface of adapters: what their authors implement, and what they are given.

An adapter is a small translation. It builds the framework's own agent from our model client and our tools, runs it on
a list of messages, and translates the framework's errors. Limits, retries, events, spans and validation are done on the
wire and in the tool runner, and need nothing of it.

An adapter imports this module, `unified_agents.messages`, `unified_agents.errors` and
`unified_agents.tools.converters`, and no other module of the library.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NoReturn, Protocol, runtime_checkable

from pydantic import ValidationError

from unified_agents import wording
from unified_agents.concurrency.loop_bridge import call_event_loop, run_synchronous_loop
from unified_agents.concurrency.off_loop_import import import_all_off_loop, import_off_loop
from unified_agents.config import Handling, Variant
from unified_agents.config.providers import ProtocolName
from unified_agents.errors import RunError, UnsupportedCapabilityError
from unified_agents.extras import missing_packages
from unified_agents.messages import JsonObject, Message
from unified_agents.run.calls import ToolOutcome
from unified_agents.tool_runner.native import observed_function
from unified_agents.tool_runner.standalone import call_tool, call_tool_sync
from unified_agents.tool_runner.unified import refuse_sync, run_call, run_step
from unified_agents.tools.definition import Tool
from unified_agents.tools.offer import INVALID_CALL_TOOL
from unified_agents.tools.program_parts import ProgramParts, refuse_other_parts
from unified_agents.tools.results import to_text
from unified_agents.wire.client import ModelClient
from unified_agents.wire.reachable_objects import reachable_objects
from unified_agents.wire.sdk_errors import one_line, traceback_functions, translate_error, unreadable_answer

__all__ = [
    "INVALID_CALL_TOOL",
    "PROTOCOL",
    "AgentSpec",
    "Backend",
    "BoundTool",
    "Capability",
    "Handling",
    "Instrumentor",
    "ModelClient",
    "NativeAgent",
    "NativeProgram",
    "ProgramParts",
    "ProtocolName",
    "ToolOutcome",
    "Variant",
    "call_tool",
    "call_tool_sync",
    "calls_by_id",
    "import_all_off_loop",
    "import_off_loop",
    "instrumentor_of",
    "native_construction",
    "native_protocols_of",
    "native_tool_name",
    "python_call",
    "reachable_objects",
    "react_instructions",
    "react_observation",
    "refuse_other_parts",
    "refuse_sync_model_call",
    "run_step",
    "run_synchronous_loop",
    "to_text",
    "traceback_functions",
    "translate_error",
    "unreadable_answer",
    "unsupported_natively",
    "variants_of",
]


PROTOCOL = 1
"""The version of the protocol between backends and this library. A backend that is made for a newer one is refused."""


class Capability(StrEnum):
    """An ability that a backend declares. The contract suite proves each declaration."""

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
    """A tool under the name that the model knows, for an adapter to translate.

    Attributes:
        name: The name on the wire, which every provider accepts.
        tool: The definition; None for the reserved tool, which answers calls that a framework cannot handle.
    """

    name: str
    tool: Tool | None

    @property
    def description(self) -> str:
        """The description that the model reads."""
        return self.tool.description if self.tool is not None else "Answers calls that cannot be carried out."

    @property
    def parameters(self) -> JsonObject:
        """The canonical JSON Schema of the arguments."""
        return self.tool.parameters if self.tool is not None else {"type": "object", "properties": {}}

    @property
    def declaration(self) -> JsonObject:
        """The entry in the `tools` of a Chat Completions request."""
        function = {"name": self.name, "description": self.description, "parameters": self.parameters}
        return {"type": "function", "function": function}

    @property
    def own_texts(self) -> dict[str, str]:
        """Name and description as keywords for a framework's constructor, where the framework cannot read them itself.

        Under `native` a framework reads both from the function, so only what the tool's author gave in their place is
        here. A JSON Schema, a partial or an object with `__call__` has neither, so both are here.
        """
        own_name = getattr(self.tool.handler, "__name__", None) if self.tool is not None else None
        if self.tool is None or self.is_schema_only or own_name is None:
            return {"name": self.name, "description": self.description}
        texts = {} if self.name == own_name else {"name": self.name}
        given = self.tool.given_description
        return texts if given is None else texts | {"description": given}

    @property
    def is_async(self) -> bool:
        """Whether its function is a coroutine function."""
        return self.tool is not None and self.tool.is_async

    @property
    def is_schema_only(self) -> bool:
        """Whether there is only a JSON Schema, and no typed function behind it."""
        return self.tool is not None and self.tool.is_schema_only

    async def run(self, call_id: str) -> ToolOutcome:
        """Carry out the call with this id, under `unified`. The arguments are taken from the wire.

        Raises:
            asyncio.CancelledError: the run has ended.
        """
        return await run_call(call_id)

    def run_in_thread(self, call_id: str) -> ToolOutcome:
        """`run`, for a synchronous loop that `run_synchronous_loop` runs: from one of its threads.

        Raises:
            asyncio.CancelledError: the run has ended.
        """
        return call_event_loop(run_call(call_id))

    def refuse_sync(self) -> NoReturn:
        """Refuse a synchronous call of the tool by the framework.

        Raises:
            UnsupportedCapabilityError: always.
        """
        refuse_sync("tool")

    def function(self) -> Callable[..., Any]:
        """Return the tool's own function, watched, for the framework to wrap as its documentation says (`native`)."""
        if self.tool is None:
            raise ValueError("the reserved tool exists under `unified` only")
        return observed_function(self.tool)


@dataclass(slots=True, frozen=True)
class AgentSpec:
    """Everything that an adapter builds its native agent from.

    Attributes:
        name: The agent's name.
        instructions: The system text; None for none.
        tools: The tools that the model is offered; under `unified` with the reserved tool last. It is the only one for
            a backend that declares `calls_by_id`, and where the tools are chosen for each run.
        model: The client that reaches the model.
        handling: `unified` or `native`.
        variant: The kind of loop; one of the backend's `variants`. Under `unified` the wire speaks the text protocol:
            an answer that reaches the framework holds one action or the final answer in canonical text, and the call,
            under its id, in `tool_calls` beside it.
    """

    name: str
    instructions: str | None
    tools: tuple[BoundTool, ...]
    model: ModelClient
    handling: Handling
    variant: Variant = "tool_calling"

    @property
    def tool_choice(self) -> str | None:
        """The `tool_choice` of the model's parameters, with a tool's name as it is on the wire."""
        choice = self.model.parameters.tool_choice
        return next((bound.name for bound in self.tools if bound.tool and bound.tool.name == choice), choice)


@runtime_checkable
class NativeAgent(Protocol):
    """A framework's agent, ready to run. One object serves many runs at once, so it keeps no state of a run.

    It may also have `async def aclose(self) -> None`, which is called once, when the agent is closed.
    """

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
        """Return the error of ours that a foreign one stands for.

        `translate_error` does most of the work for frameworks whose model client is built on openai or httpx.

        Returns:
            None when the error is none of the framework's or its model client's.
        """


class NativeProgram(NativeAgent, Protocol):
    """Somebody else's agent, as it is, for `wrap`. Entry points of the group `unified_agents.wrappers` make one of it.

    The entry point's name is the top-level module of the agent's class; it is called with the agent.

    It may also have `def parts(self) -> ProgramParts`, for `wrap(…, handling="unified")`, which raises
    `UnsupportedCapabilityError` where the agent has more than an agent of ours can have.

    Attributes:
        backend: The name of the backend that it belongs to.
        model_name: The model's name, as far as the agent tells it.
        protocol: What its model client speaks.
        roots: What its model clients are reached from; a client that the framework makes late is among them.
    """

    backend: str
    model_name: str
    protocol: ProtocolName
    roots: Sequence[object]


class Backend(Protocol):
    """An adapter's entry point. The group `unified_agents.backends` names its class, which takes no arguments.

    A backend may also have:

    - `variants: frozenset[Variant]`, all of its loops, where it has others than `tool_calling`.
    - `calls_by_id = True`, where its framework restricts the names of tools or parameters, or checks arguments itself:
      under `unified` it is given every call as one of the reserved tool, without arguments, and `BoundTool.run`
      carries it out by its id.
    - `native_protocols: Mapping[ProtocolName, str]`, where its framework has clients for others than Chat Completions:
      each protocol with the distribution that its client comes with.
    - `native_name(name: str) -> str`, where its framework changes the names of tools under `native`.
    - `protocol: int`, the version of this protocol that it is made for: `PROTOCOL` at that time.
    - `native_construction(tool: BoundTool) -> str`, for the reports.
    """

    name: str
    capabilities: frozenset[Capability]

    def build(self, spec: AgentSpec) -> NativeAgent:
        """Make the native agent, without a connection or a request.

        Raises:
            UnsupportedCapabilityError: the framework cannot do what the spec asks.
        """


def calls_by_id(backend: Backend) -> bool:
    """Tell whether a backend is given every call as one of the reserved tool, to be carried out by its id."""
    return bool(getattr(backend, "calls_by_id", False))


@dataclass(slots=True, frozen=True)
class Instrumentor:
    """What collects a framework's own spans; a backend names it in `instrumentor`.

    Attributes:
        module: Its module, which is imported only where that tracing is wanted.
        name: Its class there, an instrumentor of OpenTelemetry's.
        distribution: What installs it.
    """

    module: str
    name: str
    distribution: str


def instrumentor_of(backend: Backend) -> Instrumentor | None:
    """Return what collects the own spans of a backend's framework; None where it names nothing."""
    return getattr(backend, "instrumentor", None)


def native_tool_name(backend: Backend, name: str) -> str:
    """Return the name under which a backend's framework offers a tool to the model under `native`."""
    rename = getattr(backend, "native_name", None)
    return name if rename is None else str(rename(name))


def native_construction(backend: Backend, tool: BoundTool) -> str | None:
    """Return the Python call by which a backend makes a tool under `native`; None where it does not tell."""
    describe = getattr(backend, "native_construction", None)
    return None if describe is None else str(describe(tool))


def python_call(callee: str, arguments: Mapping[str, Any]) -> str:
    """Return the text of a Python call, with functions and classes by name."""
    shown = (f"{name}={_argument(value)}" for name, value in arguments.items())
    return f"{callee}({', '.join(shown)})"


def _argument(value: Any) -> str:
    if isinstance(value, str):
        return repr(value)
    return "{…}" if isinstance(value, dict) else str(getattr(value, "__name__", type(value).__name__))


def variants_of(backend: Backend) -> frozenset[Variant]:
    """Return the loops of a backend; `tool_calling` alone where it declares none."""
    variants: frozenset[Variant] = getattr(backend, "variants", frozenset({"tool_calling"}))
    return variants


def native_protocols_of(backend: Backend) -> Mapping[ProtocolName, bool]:
    """Return the protocols that a backend's framework speaks under `native`, and whether the client is installed.

    A backend that declares none speaks Chat Completions.
    """
    declared: Mapping[ProtocolName, str] = getattr(backend, "native_protocols", {})
    protocols: dict[ProtocolName, bool] = {"chat_completions": True}
    return protocols | {name: not missing_packages([distribution]) for name, distribution in declared.items()}


def react_instructions(tools: Sequence[BoundTool]) -> str:
    """Return what a hand-written loop tells the model about its tools and the text protocol (`native`)."""
    return wording.react_instructions([(tool.name, tool.description, tool.parameters) for tool in tools])


def react_observation(content: str) -> str:
    """Return a tool's result in the text protocol (`native`)."""
    return wording.observation(content)


def refuse_sync_model_call() -> NoReturn:
    """Refuse a synchronous call of the framework's model client, which would go past the wire.

    Raises:
        UnsupportedCapabilityError: always.
    """
    refuse_sync("model")


def unsupported_natively(refusal: str, error: Exception) -> UnsupportedCapabilityError:
    """Return the error for something that a framework refuses under `native` and that works under `unified`.

    Args:
        refusal: The framework and what it refuses, such as "LangChain cannot take tool 'add'".
        error: What the framework raised.
    """
    if isinstance(error, ValidationError):
        error = ValueError("; ".join(problem["msg"] for problem in error.errors()))
    reason = one_line(error).rstrip(".")
    return UnsupportedCapabilityError(f"{refusal}: {reason}; use `handling: unified`")
