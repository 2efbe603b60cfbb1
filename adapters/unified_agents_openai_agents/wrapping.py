"""An agent of the OpenAI Agents SDK as it is, for `wrap`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agents import Agent, Model, MultiProvider, RunConfig
from pydantic_core import to_json

from unified_agents.backend import ProtocolName, reachable_objects
from unified_agents.errors import RunError, UnsupportedCapabilityError
from unified_agents.messages import Message
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

    async def run(self, messages: Sequence[Message], *, stream: bool) -> str | None:
        """Run the agent to its end, and return its final output; what is no text as JSON."""
        output = await run_agent(self._agent, messages, stream=stream, run_config=self._config)
        return output if output is None or isinstance(output, str) else to_json(output, fallback=str).decode()

    def translate(self, error: Exception) -> RunError | None:
        """Return the error of ours that a foreign one stands for."""
        return translate(error)
