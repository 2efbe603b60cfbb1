"""LangChain as a backend: `langchain.agents.create_agent`, with LangGraph underneath."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from threading import Lock
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.runnables import RunnableConfig

from unified_agents.backend import AgentSpec, Capability, NativeAgent
from unified_agents.errors import RunError
from unified_agents.messages import Message
from unified_agents_langchain.errors import translate
from unified_agents_langchain.model import chat_model
from unified_agents_langchain.tools import translate_tools

_NO_STEP_LIMIT = 1_000_000
"""LangGraph's recursion limit under `unified`, where the run's own limits hold."""


class LangChainBackend:
    """Runs LangChain's agent."""

    name = "langchain"
    capabilities = frozenset(Capability)

    def build(self, spec: AgentSpec) -> NativeAgent:
        """Make LangChain's agent. Under `unified` its graph is left to the first run; see `LangChainAgent`.

        Raises:
            UnsupportedCapabilityError: under `native`, LangChain does not take one of the tools.
        """
        return LangChainAgent(spec)


@dataclass(slots=True, frozen=True)
class Given:
    """The context of one run, as LangChain hands it to middleware.

    Attributes:
        messages: How many messages the run began with.
    """

    messages: int


class LangChainAgent:
    """LangChain's agent, ready to run. Its compiled graph keeps no state, so it serves many runs at once.

    The model client and the tools are made with it, and refuse there what they do not take. Under `unified` the graph
    over them is compiled once, by the first run or by `native`, whichever is first: some milliseconds, on any thread.
    Nothing that the user gives can fail there. Under `native` it is compiled with the agent, since LangChain looks
    into the user's functions then.
    """

    def __init__(self, spec: AgentSpec) -> None:
        self._config: RunnableConfig = {"run_name": spec.name}
        if spec.handling == "unified":
            self._config["recursion_limit"] = _NO_STEP_LIMIT
        self._spec = spec
        self._model = chat_model(spec)
        self._tools = translate_tools(spec)
        self._compiling = Lock()
        self._compiled: Any = None  # a generic of four types that the caller has no use for
        if spec.handling == "native":
            self._compiled = self._compile()

    @property
    def native(self) -> object:
        """LangChain's compiled graph."""
        return self._graph()

    def _graph(self) -> Any:
        if self._compiled is None:
            with self._compiling:
                if self._compiled is None:
                    self._compiled = self._compile()
        return self._compiled

    def _compile(self) -> Any:
        return create_agent(
            self._model,
            self._tools,
            system_prompt=self._spec.instructions,
            middleware=_middleware(self._spec),
            context_schema=Given,
        )

    async def run(self, messages: Sequence[Message], *, stream: bool) -> str | None:
        """Run the graph to its end."""
        state: dict[str, Any] = {"messages": [to_langchain(message) for message in messages]}
        context = Given(len(messages))
        graph = self._graph()
        if not stream:
            return _text(await graph.ainvoke(state, self._config, context=context))
        modes = ["messages", "values"]  # the first makes it stream, the second gives the end
        async with aclosing(graph.astream(state, self._config, context=context, stream_mode=modes)) as parts:
            async for mode, part in parts:
                if mode == "values":
                    state = part
        return _text(state)

    def translate(self, error: Exception) -> RunError | None:
        """Which of our errors a foreign one is."""
        return translate(error)


def _text(state: dict[str, Any]) -> str | None:
    last = state["messages"][-1]
    return str(last.text) if isinstance(last, AIMessage) else None


def to_langchain(message: Message) -> BaseMessage:
    """A message as LangChain's, so that its client writes it to the wire as it is here."""
    common: dict[str, Any] = {"content": message.content or "", "name": message.name}
    if message.role == "user":
        return HumanMessage(**common)
    if message.role == "assistant":
        return _assistant(message, common)
    if message.role == "tool":
        return ToolMessage(tool_call_id=message.tool_call_id or "", **common)
    return SystemMessage(additional_kwargs={"__openai_role__": message.role}, **common)


def _assistant(message: Message, common: dict[str, Any]) -> AIMessage:
    if not message.tool_calls:
        return AIMessage(**common)
    turn = AIMessage(additional_kwargs={"tool_calls": message.to_chat()["tool_calls"]}, **common)
    # LangChain writes its parsed calls anew, in other text and order; without them it sends the given ones.
    turn.tool_calls, turn.invalid_tool_calls = [], []
    return turn


class _Asking(AgentMiddleware[Any, Given, Any]):
    """Hands `tool_choice` and `parallel_tool_calls` on, where LangChain's documentation puts them."""

    def __init__(self, tool_choice: str | None, parallel_tool_calls: bool | None) -> None:
        super().__init__()
        self._tool_choice = tool_choice
        self._settings = {} if parallel_tool_calls is None else {"parallel_tool_calls": parallel_tool_calls}

    async def awrap_model_call(
        self, request: ModelRequest[Given], handler: Callable[[ModelRequest[Given]], Awaitable[ModelResponse[Any]]]
    ) -> ModelResponse[Any]:
        """Ask with the parameters; a forced choice holds for the run's first request only."""
        first = len(request.messages) == request.runtime.context.messages
        choice = self._tool_choice if first or self._tool_choice in ("auto", "none") else None
        return await handler(
            request.override(tool_choice=choice, model_settings={**request.model_settings, **self._settings})
        )


def _middleware(spec: AgentSpec) -> list[AgentMiddleware[Any, Given, Any]]:
    parameters = spec.model.parameters
    is_plain = parameters.tool_choice is None and parameters.parallel_tool_calls is None
    if spec.handling == "unified" or not spec.tools or is_plain:
        return []
    return [_Asking(parameters.tool_choice, parameters.parallel_tool_calls)]
