"""An agent loop over httpx as a backend."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from unified_agents.backend import AgentSpec, Capability, NativeAgent, translate_error
from unified_agents.errors import RunError, UnsupportedCapabilityError
from unified_agents.messages import Message


class TinyBackend:
    """Runs calls in parallel, can stream, and has no native handling."""

    name = "tiny"
    capabilities = frozenset({Capability.TOOLS, Capability.PARALLEL_TOOLS, Capability.STREAMING})

    def build(self, spec: AgentSpec) -> NativeAgent:
        self.refuse_native(spec)
        return TinyAgent(spec)

    def refuse_native(self, spec: AgentSpec) -> None:
        if spec.handling == "native":
            raise UnsupportedCapabilityError(f"backend {self.name!r} has no `handling: native`; use unified")


class TinyAgent:
    """Asks, calls, and asks again, until the model calls nothing."""

    def __init__(self, spec: AgentSpec) -> None:
        self._spec = spec
        self._tools = {tool.name: tool for tool in spec.tools}
        self._declarations = [tool.declaration for tool in spec.tools]

    @property
    def native(self) -> object:
        return self

    async def run(self, messages: Sequence[Message], *, stream: bool) -> str | None:
        chat = [message.to_chat() for message in messages]
        if self._spec.instructions is not None:
            chat.insert(0, {"role": "system", "content": self._spec.instructions})
        while True:
            turn = await self._ask(chat, stream=stream)
            if not turn.get("tool_calls"):
                text: str | None = turn["content"]
                return text
            chat += [turn, *await self.carry_out(turn["tool_calls"])]

    async def carry_out(self, calls: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        return await asyncio.gather(*(self.carry_out_one(call) for call in calls))

    async def carry_out_one(self, call: dict[str, Any]) -> dict[str, Any]:
        outcome = await self._tools[call["function"]["name"]].run(call["id"])
        return {"role": "tool", "tool_call_id": call["id"], "content": outcome.content}

    async def _ask(self, chat: list[dict[str, Any]], *, stream: bool) -> dict[str, Any]:
        model = self._spec.model
        body = {"model": model.name, "messages": chat, "tools": self._declarations, "stream": stream}
        response = await model.httpx_async_client().post(f"{model.base_url}/chat/completions", json=body)
        response.raise_for_status()
        return _joined(response.text) if stream else dict(response.json()["choices"][0]["message"])

    def translate(self, error: Exception) -> RunError | None:
        return translate_error(error)


def _joined(stream: str) -> dict[str, Any]:
    """The assistant turn that a stream of server-sent events makes."""
    text, calls = "", []
    for line in stream.splitlines():
        if not line.startswith("data: {"):
            continue
        for choice in json.loads(line.removeprefix("data: "))["choices"]:
            text += choice["delta"].get("content") or ""
            calls += [_without_index(call) for call in choice["delta"].get("tool_calls") or ()]
    return {"role": "assistant", "content": text or None} | ({"tool_calls": calls} if calls else {})


def _without_index(call: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in call.items() if key != "index"}
