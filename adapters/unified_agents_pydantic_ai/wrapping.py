"""A Pydantic AI agent as it is, for `wrap`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.models import infer_model
from pydantic_ai.tools import Tool as PydanticAITool
from pydantic_ai.toolsets import FunctionToolset
from pydantic_core import to_json

from unified_agents.backend import ProgramParts, ProtocolName, import_all_off_loop, refuse_other_parts
from unified_agents.errors import RunError, UnsupportedCapabilityError
from unified_agents.messages import Message
from unified_agents.tools.converters import Tool
from unified_agents_pydantic_ai.backend import IMPORTED_BY_A_FIRST_RUN, follow
from unified_agents_pydantic_ai.errors import translate
from unified_agents_pydantic_ai.model import history


class WrappedPydanticAIAgent:
    """Pydantic AI's `Agent`. One that names its model by a text gets the model that this text stands for.

    Args:
        agent: The agent.

    Raises:
        UnsupportedCapabilityError: it is something else, or has no model.
    """

    backend = "pydantic_ai"

    def __init__(self, agent: Any) -> None:
        if not isinstance(agent, Agent):
            raise UnsupportedCapabilityError(f"{type(agent).__qualname__} is no agent: give a pydantic_ai.Agent")
        if agent.model is None:
            raise UnsupportedCapabilityError("the agent has no model: give it one, as Agent('openai:gpt-5-mini')")
        self._agent: Any = agent
        self._model: Any = infer_model(agent.model)
        self.roots: Sequence[object] = (agent, self._model)
        self.model_name = str(self._model.model_name)
        kind = type(self._model).__name__
        self.protocol: ProtocolName = (
            "messages" if "Anthropic" in kind else "responses" if "Responses" in kind else "chat_completions"
        )

    @property
    def native(self) -> object:
        """The agent."""
        return self._agent

    def parts(self) -> ProgramParts:
        """Return instructions and tools of the agent.

        Raises:
            UnsupportedCapabilityError: it has an output type, toolsets of its own, or functions that take the context.
        """
        agent = self._agent
        texts = [*agent._instructions, *agent._system_prompts]
        sets = list(agent.toolsets)
        tools = [one for found in sets if isinstance(found, FunctionToolset) for one in found.tools.values()]
        more = [type(one).__name__ for one in sets if not isinstance(one, FunctionToolset)]
        more += [f"tool {one.name!r} with a context" for one in tools if one.takes_ctx or one.requires_approval]
        more += ["instructions made by a function"] * (not all(isinstance(one, str) for one in texts))
        more += ["an output type"] * (agent.output_type is not str)
        refuse_other_parts(more)
        return ProgramParts("\n\n".join(texts) or None, tuple(map(_tool, tools)))

    async def run(self, messages: Sequence[Message], *, stream: bool) -> str | None:
        """Run the agent to its end, and return its output; what is no text as JSON."""
        await import_all_off_loop(IMPORTED_BY_A_FIRST_RUN)
        options = {"event_stream_handler": follow} if stream else {}
        result = await self._agent.run(message_history=history(messages), model=self._model, **options)
        return result.output if isinstance(result.output, str) else to_json(result.output).decode()

    def translate(self, error: Exception) -> RunError | None:
        """Return the error of ours that a foreign one stands for."""
        return translate(error)


def _tool(own: PydanticAITool[Any]) -> Tool:
    """Return a tool of ours that runs one of Pydantic AI's by its own validator and its own call."""
    schema: Any = own.function_schema

    async def handler(**arguments: Any) -> Any:
        return await schema.call(schema.validator.validate_python(arguments), None)

    description = own.description or own.name
    return Tool(name=own.name, description=description, parameters=dict(schema.json_schema), handler=handler)
