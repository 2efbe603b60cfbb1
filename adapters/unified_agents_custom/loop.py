"""The agent loop in the steps that textbooks name: think, act, observe.

Model calls go over the wire and tool calls through the tool runner.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from typing import Any

from unified_agents.backend import AgentSpec, run_step, to_text
from unified_agents.errors import BadResponseError, RunError
from unified_agents.messages import JsonObject, Message


class LoopMemory:
    """The conversation of one run under `native`, which grows from step to step.

    Attributes:
        is_new: Whether no step has been made yet.
    """

    def __init__(self, instructions: str | None, messages: Sequence[Message]) -> None:
        self.is_new = True
        self.messages: list[JsonObject] = [message.to_chat() for message in messages]
        if instructions is not None:
            self.messages.insert(0, {"role": "system", "content": instructions})

    def remember(self, turn: JsonObject, results: Iterable[str]) -> None:
        """Add the assistant's turn, and the result of each of its calls, in their order."""
        self.is_new = False
        self.messages.append(turn)
        for call, content in zip(turn["tool_calls"], results, strict=True):
            name = call["function"]["name"]
            self.messages.append({"role": "tool", "tool_call_id": call["id"], "content": content, "name": name})


class CustomLoop:
    """A loop of this library: the part that both handlings share."""

    def __init__(self, spec: AgentSpec) -> None:
        self._spec = spec

    @property
    def native(self) -> object:
        """The loop itself."""
        return self

    def translate(self, error: Exception) -> RunError | None:
        """Return None: no framework runs here, and the model client raises our own errors already."""
        return None


class UnifiedLoop(CustomLoop):
    """The loop under `unified`, with all that the wire and the tool runner do: the wire keeps the conversation."""

    async def run(self, messages: Sequence[Message], *, stream: bool) -> str | None:  # the wire streams
        """Think, act, observe, until the model asks for no tool."""
        while True:
            answer, step = await self._spec.model.ask()
            if not step.calls:
                return answer.text
            await run_step(step)


class NativeLoop(CustomLoop):
    """The loop under `native`, as people write it by hand. Our library only watches it."""

    def __init__(self, spec: AgentSpec) -> None:
        super().__init__(spec)
        self._tools = {tool.name: tool.function() for tool in spec.tools}
        self._async_names = {tool.name for tool in spec.tools if tool.is_async}
        self._declarations = [tool.declaration for tool in spec.tools]

    async def run(self, messages: Sequence[Message], *, stream: bool) -> str | None:
        """Ask, parse, execute, remember, until the model asks for no tool."""
        memory = LoopMemory(self._spec.instructions, messages)
        while True:
            turn = await self._ask(memory, stream)
            calls = turn.get("tool_calls") or []
            if not calls:
                return turn.get("content")
            memory.remember(turn, await asyncio.gather(*(self._execute(call) for call in calls)))

    async def _ask(self, memory: LoopMemory, stream: bool) -> JsonObject:
        parameters = self._spec.model.parameters
        request = {"model": self._spec.model.name, "messages": memory.messages, **parameters.chat_fields()}
        own = {"max_tokens", "tool_choice", "parallel_tool_calls"}
        request |= parameters.model_dump(exclude_none=True, include=own)
        choice = request.pop("tool_choice", None)
        if self._declarations:
            request["tools"] = self._declarations
            if choice in ("auto", "none") or (choice is not None and memory.is_new):
                is_word = choice in ("auto", "none", "required")
                request["tool_choice"] = choice if is_word else {"type": "function", "function": {"name": choice}}
        answer = await self._spec.model.relay(request | self._spec.model.extra_body, stream=stream)
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
            if name in self._async_names:
                return to_text(await function(**keywords))
            return to_text(await asyncio.to_thread(function, **keywords))
        except Exception as error:
            return f"{type(error).__name__}: {error}"  # a loop written by hand tells the model
