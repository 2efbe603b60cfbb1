"""A LlamaIndex agent as it is, for `wrap`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.agent.workflow import AgentWorkflow, BaseWorkflowAgent, FunctionAgent
from llama_index.core.llms import LLM
from llama_index.core.tools import BaseTool, FunctionTool

from unified_agents.backend import (
    ProgramParts,
    ProtocolName,
    import_all_off_loop,
    reachable_objects,
    refuse_other_parts,
)
from unified_agents.errors import RunError, UnsupportedCapabilityError
from unified_agents.messages import Message
from unified_agents_llamaindex.backend import IMPORTED_BY_A_FIRST_RUN, run_workflow
from unified_agents_llamaindex.convert import from_llamaindex
from unified_agents_llamaindex.errors import translate
from unified_agents_llamaindex.model import native_message


class WrappedLlamaIndexAgent:
    """A `FunctionAgent`, a `ReActAgent`, or an `AgentWorkflow` of several.

    Args:
        agent: The agent.

    Raises:
        UnsupportedCapabilityError: it is something else, or its model makes a new client for each request.
    """

    backend = "llamaindex"

    def __init__(self, agent: Any) -> None:
        if not isinstance(agent, BaseWorkflowAgent | AgentWorkflow):
            raise UnsupportedCapabilityError(
                f"{type(agent).__qualname__} is no agent: give a FunctionAgent, a ReActAgent or an AgentWorkflow"
            )
        self._agent: Any = agent
        models = [found for found in reachable_objects([agent]) if isinstance(found, LLM)]
        self.roots: Sequence[object] = (agent, *(client for model in models for client in _clients(model)))
        names = [str(model.metadata.model_name) for model in models]
        self.model_name = next(iter(names), "unknown")
        speaks_messages = any("anthropic" in type(model).__module__ for model in models)
        self.protocol: ProtocolName = "messages" if speaks_messages else "chat_completions"

    @property
    def native(self) -> object:
        """The agent."""
        return self._agent

    def parts(self) -> ProgramParts:
        """Return instructions and tools of a `FunctionAgent`.

        Raises:
            UnsupportedCapabilityError: it is another agent, or finds its tools or makes its answer in a way of its own.
        """
        agent = self._agent
        own = ("tool_retriever", "output_cls", "structured_output_fn", "initial_state", "can_handoff_to")
        more = [name for name in own if getattr(agent, name, None)]
        more += [] if isinstance(agent, FunctionAgent) else [f"the loop of {type(agent).__name__}"]
        refuse_other_parts(more)
        tools = [one if isinstance(one, BaseTool) else FunctionTool.from_defaults(one) for one in agent.tools or ()]
        return ProgramParts(agent.system_prompt, tuple(map(from_llamaindex, tools)))

    async def run(self, messages: Sequence[Message], *, stream: bool) -> str | None:  # it streams by default
        """Run the agent's workflow."""
        await import_all_off_loop(IMPORTED_BY_A_FIRST_RUN)
        return await run_workflow(self._agent, [native_message(message, self.protocol) for message in messages])

    def translate(self, error: Exception) -> RunError | None:
        """Return the error of ours that a foreign one stands for."""
        return translate(error)


def _clients(model: Any) -> list[object]:
    """Return the clients of a model, which LlamaIndex makes late."""
    make_async, make = getattr(model, "_get_aclient", None), getattr(model, "_get_client", None)
    if make_async is None or make is None:
        return []
    if not getattr(model, "reuse_client", True):
        raise UnsupportedCapabilityError(
            f"{type(model).__qualname__} makes a client for each request, so nothing can be put into it: "
            "leave `reuse_client=False` out"
        )
    return [make_async(), make()]
