"""An agent of the OpenAI Agents SDK as it is, for `wrap`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from agents import Agent, Model, MultiProvider, RunConfig, Runner
from pydantic_core import to_json

from unified_agents.backend import ProtocolName, import_all_off_loop, reachable_objects
from unified_agents.errors import RunError, UnsupportedCapabilityError
from unified_agents.messages import Message
from unified_agents_openai_agents.backend import IMPORTED_BY_A_FIRST_RUN, end_streamed
from unified_agents_openai_agents.errors import translate
from unified_agents_openai_agents.model import items


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
        await import_all_off_loop(IMPORTED_BY_A_FIRST_RUN)
        given = [item for message in messages for item in items(message)]
        if not stream:
            return _text(await Runner.run(self._agent, given, run_config=self._config))
        streamed = Runner.run_streamed(self._agent, given, run_config=self._config)
        try:
            async for _ in streamed.stream_events():
                pass
        except asyncio.CancelledError:
            await end_streamed(streamed)
            raise
        return _text(streamed)

    def translate(self, error: Exception) -> RunError | None:
        """Return the error of ours that a foreign one stands for."""
        return translate(error)


def _text(result: Any) -> str | None:
    output = result.final_output
    return output if output is None or isinstance(output, str) else to_json(output, fallback=str).decode()
