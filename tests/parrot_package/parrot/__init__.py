"""A made-up agent framework, as frameworks are: its own model class over the OpenAI SDK, its own tools and loop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import openai


class ParrotError(Exception):
    """Parrot failed."""


@dataclass
class ToolContext:
    """What a tool is told of its call."""

    call_id: str


@dataclass
class Tool:
    """A tool; its function gets a context and the arguments."""

    name: str
    description: str
    function: Callable[..., Awaitable[str]]
    schema: dict[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})


class ChatModel:
    """A model behind the OpenAI SDK's client."""

    def __init__(self, name: str, client: openai.AsyncOpenAI) -> None:
        self._name = name
        self._client = client

    async def answer(self, messages: list[Any], tools: list[Any], *, stream: bool) -> dict[str, Any]:
        """Ask once."""
        request: dict[str, Any] = {"model": self._name, "messages": messages} | ({"tools": tools} if tools else {})
        if not stream:
            whole = await self._client.chat.completions.create(**request)
            turn: dict[str, Any] = whole.choices[0].message.model_dump(exclude_none=True)
            return turn
        text, calls = "", []
        async for chunk in await self._client.chat.completions.create(stream=True, **request):
            for choice in chunk.choices:
                text += choice.delta.content or ""
                calls += [call.model_dump(exclude={"index"}) for call in choice.delta.tool_calls or ()]
        return {"role": "assistant", "content": text or None} | ({"tool_calls": calls} if calls else {})


class Agent:
    """An agent that asks its model, and carries out calls, until there is none."""

    def __init__(self, model: ChatModel, tools: Sequence[Tool] = (), instructions: str | None = None) -> None:
        self._model = model
        self._tools = {tool.name: tool for tool in tools}
        self._instructions = instructions

    async def run(self, messages: Sequence[dict[str, Any]], *, stream: bool = False, max_turns: int = 10) -> str:
        """Run to the final answer.

        Raises:
            ParrotError: there is none within `max_turns`.
        """
        given: list[Any] = list(messages)
        if self._instructions is not None:
            given.insert(0, {"role": "system", "content": self._instructions})
        tools = [
            {
                "type": "function",
                "function": {"name": one.name, "description": one.description, "parameters": one.schema},
            }
            for one in self._tools.values()
        ]
        for _ in range(max_turns):
            turn = await self._model.answer(given, tools, stream=stream)
            if not turn.get("tool_calls"):
                return turn.get("content") or ""
            given += [turn, *await asyncio.gather(*map(self._call, turn["tool_calls"]))]
        raise ParrotError(f"no answer within {max_turns} turns")

    async def _call(self, call: dict[str, Any]) -> dict[str, Any]:
        try:
            tool = self._tools[call["function"]["name"]]
            text = await tool.function(ToolContext(call["id"]), **json.loads(call["function"]["arguments"]))
        except (KeyError, ValueError, TypeError) as error:
            text = f"error: {error}"
        return {"role": "tool", "tool_call_id": call["id"], "content": text}
