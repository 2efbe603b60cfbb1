"""An agent of the OpenAI Agents SDK as it is, for `wrap`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agents import Agent, FunctionTool, Model, MultiProvider, RunConfig
from agents.tool_context import ToolContext
from pydantic_core import to_json

from unified_agents.backend import ProgramParts, ProtocolName, reachable_objects, refuse_other_parts
from unified_agents.errors import RunError, UnsupportedCapabilityError
from unified_agents.messages import Message
from unified_agents.tools.converters import Tool
from unified_agents_openai_agents.backend import run_agent
from unified_agents_openai_agents.errors import translate


class WrappedOpenAIAgent:
    """The SDK's `Agent`, with those that it hands over to. Models that are named by a text are made now.

    Args:
        agent: The agent.

    Raises:
        UnsupportedCapabilityError: it is something else.
    """

    backend = "openai_agents"

    def __init__(self, agent: Any) -> None:
        if not isinstance(agent, Agent):
            raise UnsupportedCapabilityError(f"{type(agent).__qualname__} is no agent: give an agents.Agent")
        self._agent: Agent[Any] = agent
        provider = MultiProvider()
        self._config = RunConfig(model_provider=provider)
        agents = [found for found in reachable_objects([agent]) if isinstance(found, Agent)]
        models = [one.model if isinstance(one.model, Model) else provider.get_model(one.model) for one in agents]
        self.roots: Sequence[object] = (agent, provider, *models)
        self.model_name = str(getattr(models[0], "model", "unknown"))
        uses_responses = "Responses" in type(models[0]).__name__
        self.protocol: ProtocolName = "responses" if uses_responses else "chat_completions"

    @property
    def native(self) -> object:
        """The agent."""
        return self._agent

    def parts(self) -> ProgramParts:
        """Return instructions and tools of the agent.

        Raises:
            UnsupportedCapabilityError: it has hand-overs, guardrails, an output type, or tools that are no functions.
        """
        agent = self._agent
        own = ("handoffs", "input_guardrails", "output_guardrails", "output_type", "mcp_servers", "prompt")
        more = [name for name in own if getattr(agent, name)]
        more += [tool.name for tool in agent.tools if not isinstance(tool, FunctionTool)]
        if callable(agent.instructions):
            more.append("instructions made by a function")
        refuse_other_parts(more)
        return ProgramParts(agent.instructions, tuple(_tool(one) for one in agent.tools))  # type: ignore[arg-type]

    async def run(self, messages: Sequence[Message], *, stream: bool) -> str | None:
        """Run the agent to its end, and return its final output; what is no text as JSON."""
        output = await run_agent(self._agent, messages, stream=stream, run_config=self._config)
        return output if output is None or isinstance(output, str) else to_json(output, fallback=str).decode()

    def translate(self, error: Exception) -> RunError | None:
        """Return the error of ours that a foreign one stands for."""
        return translate(error)


def _tool(own: FunctionTool) -> Tool:
    """Return a tool of ours that runs one of the SDK's by its own call."""

    async def handler(**arguments: Any) -> Any:
        text = to_json(arguments).decode()
        context = ToolContext(context=None, tool_name=own.name, tool_call_id="unified", tool_arguments=text)
        return await own.on_invoke_tool(context, text)

    return Tool(name=own.name, description=own.description, parameters=own.params_json_schema, handler=handler)
