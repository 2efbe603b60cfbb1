"""Runs LlamaIndex's `FunctionAgent`, and its `ReActAgent` as variant `react`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from llama_index.core.agent.workflow import AgentOutput, BaseWorkflowAgent, FunctionAgent, ReActAgent
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.memory import BaseMemory
from pydantic import Field, ValidationError
from workflows.handler import WorkflowHandler

from unified_agents.backend import (
    AgentSpec,
    BoundTool,
    Capability,
    Instrumentor,
    NativeAgent,
    ProtocolName,
    Variant,
    import_all_off_loop,
    unsupported_natively,
)
from unified_agents.errors import RunError
from unified_agents.messages import Message
from unified_agents_llamaindex.errors import translate
from unified_agents_llamaindex.model import native_llm, native_message, unified_llm, unified_message
from unified_agents_llamaindex.react import UnifiedReActAgent
from unified_agents_llamaindex.tools import CallIdWorkflow, LlamaIndexTool, native_construction, native_tool

_NO_STEP_LIMIT = 1_000_000
_CANCEL_SECONDS = 2.0
IMPORTED_BY_A_FIRST_RUN = (
    "openai.resources",
    "tiktoken.load",
    "tiktoken_ext.openai_public",
    "workflows.plugins.basic",
    "workflows.representation.validate",
    "workflows.runtime.runtime_decorators",
    "workflows.runtime.verbose",
)
"""What LlamaIndex and its model client put off to a first run: some 500 modules, half a second."""


class LlamaIndexBackend:
    """The backend that runs LlamaIndex's `FunctionAgent`, or its `ReActAgent`."""

    name = "llamaindex"
    capabilities = frozenset(Capability)
    instrumentor = Instrumentor(
        "openinference.instrumentation.llama_index",
        "LlamaIndexInstrumentor",
        "openinference-instrumentation-llama-index",
    )
    variants: frozenset[Variant] = frozenset({"tool_calling", "react"})
    native_protocols: Mapping[ProtocolName, str] = MappingProxyType(
        {
            "responses": "llama-index-llms-openai",
            "messages": "llama-index-llms-anthropic",
            "generate_content": "llama-index-llms-google-genai",
        }
    )

    def build(self, spec: AgentSpec) -> NativeAgent:
        """Make the agent.

        Raises:
            UnsupportedCapabilityError: under `native`, LlamaIndex refuses a tool or the model.
        """
        return NativeLlamaIndexAgent(spec) if spec.handling == "native" else UnifiedLlamaIndexAgent(spec)

    def native_construction(self, tool: BoundTool) -> str:
        """Return the Python call by which a tool is made under `native`."""
        return native_construction(tool)


class UnifiedFunctionAgent(CallIdWorkflow, FunctionAgent):
    """A `FunctionAgent` whose tools learn the id of their call, and which runs all calls of an answer at once."""


class RunMemory(BaseMemory):
    """The memory of one run. It drops no message, counts no tokens, and where agents use it needs no thread."""

    messages: list[ChatMessage] = Field(default_factory=list)

    @classmethod
    def from_defaults(cls, **_: Any) -> RunMemory:
        """Make an empty memory."""
        return cls()

    def get(self, input: str | None = None, **_: Any) -> list[ChatMessage]:
        """Return all messages."""
        return list(self.messages)

    async def aget(self, input: str | None = None, **_: Any) -> list[ChatMessage]:
        """Return all messages."""
        return list(self.messages)

    def get_all(self) -> list[ChatMessage]:
        """Return all messages."""
        return list(self.messages)

    def put(self, message: ChatMessage) -> None:
        """Add a message."""
        self.messages.append(message)

    async def aput(self, message: ChatMessage) -> None:
        """Add a message."""
        self.messages.append(message)

    async def aput_messages(self, messages: list[ChatMessage]) -> None:
        """Add messages."""
        self.messages.extend(messages)

    def set(self, messages: list[ChatMessage]) -> None:
        """Replace all messages."""
        self.messages = list(messages)

    async def aset(self, messages: list[ChatMessage]) -> None:
        """Replace all messages."""
        self.messages = list(messages)

    def reset(self) -> None:
        """Forget all messages."""
        self.messages = []


class UnifiedLlamaIndexAgent:
    """The agent under `unified`. Streaming is a field of LlamaIndex's agent, so there are two, made at first use."""

    def __init__(self, spec: AgentSpec) -> None:
        self._spec = spec
        self._tools = [LlamaIndexTool(tool) for tool in spec.tools]
        self._llm = unified_llm(spec.model)
        self._agents: dict[bool, BaseWorkflowAgent] = {}

    @property
    def native(self) -> BaseWorkflowAgent:
        """The agent that does not stream."""
        return self._agent(stream=False)

    async def run(self, messages: Sequence[Message], *, stream: bool) -> str | None:
        """Run the agent's workflow, without limits of its own."""
        await import_all_off_loop(IMPORTED_BY_A_FIRST_RUN)
        history = [unified_message(message) for message in messages]
        return await run_workflow(self._agent(stream), history, memory=RunMemory(), max_iterations=_NO_STEP_LIMIT)

    def translate(self, error: Exception) -> RunError | None:
        """Return the error of ours that a foreign one stands for."""
        return translate(error)

    def _agent(self, stream: bool) -> BaseWorkflowAgent:
        if stream not in self._agents:
            kind = UnifiedReActAgent if self._spec.variant == "react" else UnifiedFunctionAgent
            self._agents[stream] = kind(
                name=self._spec.name,
                system_prompt=self._spec.instructions,
                tools=self._tools,
                llm=self._llm,
                streaming=stream,
                timeout=None,
            )
        return self._agents[stream]


class NativeLlamaIndexAgent:
    """The agent under `native`: as LlamaIndex ships. It streams unless it is told not to."""

    def __init__(self, spec: AgentSpec) -> None:
        parameters = spec.model.parameters
        self._protocol = spec.model.protocol
        kind: type[BaseWorkflowAgent] = ReActAgent if spec.variant == "react" else FunctionAgent
        options: dict[str, Any] = {
            "initial_tool_choice": spec.tool_choice,
            "allow_parallel_tool_calls": parameters.parallel_tool_calls,
            "streaming": parameters.stream,
        }
        try:
            self._agent = kind(
                name=spec.name,
                system_prompt=spec.instructions,
                tools=[native_tool(tool) for tool in spec.tools],
                llm=native_llm(spec.model),
                timeout=None,
                **{name: value for name, value in options.items() if value is not None},
            )
        except ValidationError as error:
            raise unsupported_natively("LlamaIndex refuses this agent", error) from error

    @property
    def native(self) -> BaseWorkflowAgent:
        """The agent itself."""
        return self._agent

    async def run(self, messages: Sequence[Message], *, stream: bool) -> str | None:  # it streams by default
        """Run the agent's workflow."""
        await import_all_off_loop(IMPORTED_BY_A_FIRST_RUN)
        return await run_workflow(self._agent, [native_message(message, self._protocol) for message in messages])

    def translate(self, error: Exception) -> RunError | None:
        """Return the error of ours that a foreign one stands for."""
        return translate(error)


async def run_workflow(agent: BaseWorkflowAgent, messages: list[ChatMessage], **options: Any) -> str | None:
    """Run an agent's workflow on a conversation, and return its answer."""
    # The last message goes in as the user's, whatever its role: LlamaIndex fails on a conversation without a user.
    handler = agent.run(user_msg=messages[-1], chat_history=messages[:-1], **options)
    result: asyncio.Future[AgentOutput] = asyncio.ensure_future(handler)
    try:
        output = await asyncio.shield(result)
    except asyncio.CancelledError:
        await _end(handler, result)
        raise
    return output.response.content


async def _end(handler: WorkflowHandler, result: asyncio.Future[AgentOutput]) -> None:
    # Only the workflow itself can end all of its steps: one whose task is cancelled forgets those it has just begun.
    await handler.cancel_run(timeout=_CANCEL_SECONDS)
    result.cancel()
    await asyncio.wait([result])
    if not result.cancelled():
        result.exception()  # taken, so that asyncio does not log it; the run's own end decides
