"""A compiled LangGraph graph as it is, for `wrap`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from langchain.agents.middleware import AgentMiddleware
from langchain.agents.structured_output import ToolStrategy
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, SystemMessage
from langgraph.graph.state import CompiledStateGraph
from langgraph.prebuilt import ToolNode

from unified_agents.backend import ProgramParts, ProtocolName, reachable_objects, refuse_other_parts
from unified_agents.errors import BackendError, RunError, UnsupportedCapabilityError
from unified_agents.messages import Message
from unified_agents_langchain.backend import run_graph
from unified_agents_langchain.convert import from_langchain
from unified_agents_langchain.errors import translate
from unified_agents_langchain.model import langchain_message

_NODES = frozenset({"__start__", "model", "tools"})
"""Those of a graph of `create_agent` without any middleware."""


class WrappedGraph:
    """A compiled graph whose state has `messages`, such as one of `create_agent` or of `create_react_agent`.

    Args:
        graph: The graph.

    Raises:
        UnsupportedCapabilityError: it is no such graph.
    """

    backend = "langchain"

    def __init__(self, graph: Any) -> None:
        if not isinstance(graph, CompiledStateGraph):
            raise UnsupportedCapabilityError(
                f"{type(graph).__qualname__} is no compiled graph: give what `.compile()` or `create_agent(…)` returns"
            )
        self._graph: Any = graph
        self.roots: Sequence[object] = (graph,)
        models = [found for found in reachable_objects(self.roots) if isinstance(found, BaseChatModel)]
        names = [getattr(model, "model_name", None) or getattr(model, "model", None) for model in models]
        self.model_name: str = next((name for name in names if isinstance(name, str)), "unknown")
        speaks_messages = any("anthropic" in type(model).__module__ for model in models)
        uses_responses = any(getattr(model, "use_responses_api", None) for model in models)
        self.protocol: ProtocolName = (
            "messages" if speaks_messages else "responses" if uses_responses else "chat_completions"
        )

    @property
    def native(self) -> object:
        """The graph."""
        return self._graph

    def parts(self) -> ProgramParts:
        """Return instructions and tools of a graph that LangChain's `create_agent` has made.

        Raises:
            UnsupportedCapabilityError: it has nodes or a middleware of its own, or a structured answer.
        """
        own = sorted(set(self._graph.nodes) - _NODES)
        found = list(reachable_objects([self._graph]))
        more = sorted({type(one).__name__ for one in found if isinstance(one, AgentMiddleware | ToolStrategy)})
        refuse_other_parts([*own, *more])
        texts = [one.text for one in found if isinstance(one, SystemMessage)]
        nodes = [one for one in found if isinstance(one, ToolNode)]
        tools = [from_langchain(tool) for node in nodes for tool in node.tools_by_name.values()]
        return ProgramParts(str(texts[0]) if texts else None, tuple(tools))

    async def run(self, messages: Sequence[Message], *, stream: bool) -> str | None:
        """Run the graph to its end, and return the text of its last message."""
        state: Any = {"messages": [langchain_message(message, self.protocol) for message in messages]}
        config = {"configurable": {"thread_id": uuid4().hex}}  # a graph with a checkpointer needs one
        return _text(await run_graph(self._graph, state, config, stream=stream))

    def translate(self, error: Exception) -> RunError | None:
        """Return the error of ours that a foreign one stands for."""
        return translate(error)


def _text(state: Any) -> str | None:
    messages = state.get("messages") if isinstance(state, dict) else None
    if not messages or not isinstance(messages[-1], BaseMessage):
        raise BackendError("the graph's state ends without `messages`, so there is no answer to take")
    return str(messages[-1].text)
