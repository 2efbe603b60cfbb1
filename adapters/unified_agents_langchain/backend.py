"""Runs LangChain's agent: `langchain.agents.create_agent`, with LangGraph underneath."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from threading import Lock
from types import MappingProxyType
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig

from unified_agents.backend import (
    AgentSpec,
    BoundTool,
    Capability,
    Instrumentor,
    NativeAgent,
    ProtocolName,
    import_all_off_loop,
)
from unified_agents.errors import RunError
from unified_agents.messages import Message
from unified_agents_langchain.errors import translate
from unified_agents_langchain.model import chat_model, langchain_message
from unified_agents_langchain.tools import native_construction, translate_tools

_NO_STEP_LIMIT = 1_000_000
"""LangGraph's recursion limit under `unified`, where our own limits end a run."""
IMPORTED_BY_A_FIRST_RUN = ("anyio._backends._asyncio", "anyio.abc")
"""What httpx puts off to a first streamed answer: twenty modules, unless the openai client has imported them before."""


class LangChainBackend:
    """The backend that runs LangChain's agent."""

    name = "langchain"
    capabilities = frozenset(Capability)
    instrumentor = Instrumentor(
        "openinference.instrumentation.langchain", "LangChainInstrumentor", "openinference-instrumentation-langchain"
    )
    native_protocols: Mapping[ProtocolName, str] = MappingProxyType(
        {
            "responses": "langchain-openai",
            "messages": "langchain-anthropic",
            "generate_content": "langchain-google-genai",
        }
    )

    def build(self, spec: AgentSpec) -> NativeAgent:
        """Make LangChain's agent. Under `unified` its graph is compiled by the first run; see `LangChainAgent`.

        Raises:
            UnsupportedCapabilityError: under `native`, LangChain does not take one of the tools.
        """
        return LangChainAgent(spec)

    def native_construction(self, tool: BoundTool) -> str:
        """Return the Python call by which a tool is made under `native`."""
        return native_construction(tool)


@dataclass(slots=True, frozen=True)
class RunContext:
    """The context of one run, as LangChain hands it to middleware.

    Attributes:
        first_messages: How many messages the run began with.
    """

    first_messages: int


class LangChainAgent:
    """LangChain's agent, ready to run. Its compiled graph keeps no state, so it serves many runs at once.

    Model client and tools are made here, and a tool that LangChain does not take is refused here. The graph over them
    takes some milliseconds to compile. Under `unified` nothing of the user's can fail in it, so the first run or the
    first use of `native` compiles it. Under `native` LangChain looks into the user's functions, so it is compiled here.
    """

    def __init__(self, spec: AgentSpec) -> None:
        self._config: RunnableConfig = {"run_name": spec.name}
        if spec.handling == "unified":
            self._config["recursion_limit"] = _NO_STEP_LIMIT
        self._spec = spec
        self._protocol: ProtocolName = spec.model.protocol if spec.handling == "native" else "chat_completions"
        self._model = chat_model(spec)
        self._tools = translate_tools(spec)
        self._compiling = Lock()
        self._compiled: Any = None  # a generic of four types that nobody here has a use for
        if spec.handling == "native":
            self._graph()

    @property
    def native(self) -> object:
        """LangChain's compiled graph."""
        return self._graph()

    def _graph(self) -> Any:
        with self._compiling:
            if self._compiled is None:
                self._compiled = create_agent(
                    self._model,
                    self._tools,
                    system_prompt=self._spec.instructions,
                    middleware=_middleware(self._spec),
                    context_schema=RunContext,
                )
            return self._compiled

    async def run(self, messages: Sequence[Message], *, stream: bool) -> str | None:
        """Run the graph to its end, and return the text of its last message."""
        state: dict[str, Any] = {"messages": [langchain_message(message, self._protocol) for message in messages]}
        context = RunContext(len(messages))
        return _text(await run_graph(self._graph(), state, self._config, stream=stream, context=context))

    def translate(self, error: Exception) -> RunError | None:
        """Return the error of ours that a foreign one stands for."""
        return translate(error)


async def run_graph(graph: Any, state: Any, config: Any, *, stream: bool, **options: Any) -> Any:
    """Run a graph to its end, and return its last state."""
    await import_all_off_loop(IMPORTED_BY_A_FIRST_RUN)
    if not stream:
        return await graph.ainvoke(state, config, **options)
    modes = ["messages", "values"]  # the first makes it stream, the second gives the end
    async with aclosing(graph.astream(state, config, stream_mode=modes, **options)) as parts:
        async for mode, part in parts:
            if mode == "values":
                state = part
    return state


def _text(state: dict[str, Any]) -> str | None:
    last = state["messages"][-1]
    return str(last.text) if isinstance(last, AIMessage) else None


class _ToolParameters(AgentMiddleware[Any, RunContext, Any]):
    """Middleware that adds `tool_choice` and `parallel_tool_calls`, where LangChain's documentation adds them."""

    def __init__(self, tool_choice: str | None, parallel_tool_calls: bool | None) -> None:
        super().__init__()
        self._tool_choice = tool_choice
        self._settings = {} if parallel_tool_calls is None else {"parallel_tool_calls": parallel_tool_calls}

    async def awrap_model_call(
        self,
        request: ModelRequest[RunContext],
        handler: Callable[[ModelRequest[RunContext]], Awaitable[ModelResponse[Any]]],
    ) -> ModelResponse[Any]:
        """Add the parameters to a request; a forced choice holds for the run's first request only."""
        is_first = len(request.messages) == request.runtime.context.first_messages
        choice = self._tool_choice if is_first or self._tool_choice in ("auto", "none") else None
        settings = {**request.model_settings, **self._settings}
        return await handler(request.override(tool_choice=choice, model_settings=settings))


def _middleware(spec: AgentSpec) -> list[AgentMiddleware[Any, RunContext, Any]]:
    parallel = spec.model.parameters.parallel_tool_calls
    is_plain = spec.tool_choice is None and parallel is None
    if spec.handling == "unified" or not spec.tools or is_plain:
        return []
    return [_ToolParameters(spec.tool_choice, parallel)]
