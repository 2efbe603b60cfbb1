"""A compiled LangGraph graph as it is, for `wrap`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langgraph.graph.state import CompiledStateGraph

from unified_agents.backend import ProtocolName, reachable_objects
from unified_agents.errors import BackendError, RunError, UnsupportedCapabilityError
from unified_agents.messages import Message
from unified_agents_langchain.backend import run_graph
from unified_agents_langchain.errors import translate
from unified_agents_langchain.model import langchain_message


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
