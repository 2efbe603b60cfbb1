"""The agent loop, in the named steps that textbooks give it.

Model call and tool execution are calls to the seams; what is left is the conversation between them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from unified_agents.backend import AgentSpec, BoundTool
from unified_agents.errors import BadResponseError, RunError
from unified_agents.messages import JsonObject, Message
from unified_agents.tool_runner.unified import run_step
from unified_agents.tools.results import to_text


class Conversation:
    """State of one run: the memory that grows from step to step."""

    def __init__(self, instructions: str | None, messages: Sequence[Message]) -> None:
        self.messages: list[JsonObject] = [message.to_chat() for message in messages]
        if instructions is not None:
            self.messages.insert(0, {"role": "system", "content": instructions})

    def remember(self, turn: JsonObject, results: Sequence[tuple[str, str]]) -> None:
        """Memory update: the assistant's turn, and what its calls gave."""
        self.messages.append(turn)
        self.messages.extend(
            {"role": "tool", "tool_call_id": call_id, "content": content} for call_id, content in results
        )


class Loop:
    """The loop under `unified`: both seams do their work."""

    def __init__(self, spec: AgentSpec) -> None:
        self._spec = spec

    @property
    def native(self) -> object:
        """The loop itself."""
        return self

    async def run(self, messages: Sequence[Message], *, stream: bool) -> str | None:  # the wire knows
        """Think, act, observe, until the model asks for no tool."""
        state = Conversation(self._spec.instructions, messages)
        while True:
            answer, step = await self._spec.model.ask(state.messages)
            if not step.calls:
                return answer.text
            outcomes = await run_step(step)
            state.remember(
                step.message, [(call.id, outcome.content) for call, outcome in zip(step.calls, outcomes, strict=True)]
            )

    def translate(self, error: Exception) -> RunError | None:
        """Nothing foreign runs here."""
        return None


class PlainLoop:
    """The loop under `native`: what people write by hand, with nothing of ours but the watching."""

    def __init__(self, spec: AgentSpec) -> None:
        self._spec = spec
        self._tools = {tool.name: tool.function() for tool in spec.tools}
        self._sync = {tool.name for tool in spec.tools if tool.tool is not None and not tool.tool.is_async}
        self._payload = [_declare(tool) for tool in spec.tools]

    @property
    def native(self) -> object:
        """The loop itself."""
        return self

    async def run(self, messages: Sequence[Message], *, stream: bool) -> str | None:
        """Ask, parse, execute, remember, until the model asks for no tool."""
        state = Conversation(self._spec.instructions, messages)
        while True:
            turn = await self._ask(state, stream)
            calls = turn.get("tool_calls") or []
            if not calls:
                return turn.get("content")
            results = await asyncio.gather(*(self._execute(call) for call in calls))
            state.remember(turn, [(call["id"], result) for call, result in zip(calls, results, strict=True)])

    async def _ask(self, state: Conversation, stream: bool) -> JsonObject:
        parameters = self._spec.model.parameters.model_dump(exclude_none=True, exclude={"stream"})
        request = {"model": self._spec.model.name, "messages": state.messages, **parameters}
        if self._payload:
            request["tools"] = self._payload
        answer = await self._spec.model.relay(request, stream=stream)
        try:
            turn: JsonObject = answer.body["choices"][0]["message"]
        except (KeyError, IndexError, TypeError) as error:
            raise BadResponseError("the answer has no choices") from error
        return turn

    async def _execute(self, call: JsonObject) -> str:
        name, arguments = call["function"]["name"], call["function"]["arguments"]
        try:
            function = self._tools[name]
            keywords: dict[str, Any] = json.loads(arguments or "{}")
            if name in self._sync:
                return to_text(await asyncio.to_thread(function, **keywords))
            return to_text(await function(**keywords))
        except Exception as error:
            return f"{type(error).__name__}: {error}"  # a loop written by hand tells the model

    def translate(self, error: Exception) -> RunError | None:
        """The relay raises our own errors already."""
        return None


def _declare(tool: BoundTool) -> JsonObject:
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
    }
