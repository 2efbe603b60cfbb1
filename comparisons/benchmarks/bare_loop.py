"""The yardstick: an agent loop by hand over httpx, with one keep-alive client and no SDK.

It does what such loops do: no validation, no events, no spans, no timeouts but the client's own.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

Json = dict[str, Any]


@dataclass(slots=True, frozen=True)
class BareLoop:
    """A loop over one model and one set of functions; it serves many runs at once.

    Attributes:
        client: The client that all runs share.
        url: The base URL of the model's server.
        tools: The `tools` of each request.
        functions: What runs, by name.
        stream: Whether the answers are streamed.
        threads: Whether each function runs in a thread, so that one that blocks does not hold up the other runs.
    """

    client: httpx.AsyncClient
    url: str
    tools: Sequence[Json]
    functions: Mapping[str, Callable[..., Any]]
    stream: bool = False
    threads: bool = False

    async def run(self, instructions: str, task: str) -> str | None:
        """Ask and call until the model asks for nothing; returns its last text."""
        messages: list[Json] = [{"role": "system", "content": instructions}, {"role": "user", "content": task}]
        while True:
            body: Json = {"model": "m", "messages": messages, "tools": self.tools}
            turn = await (self._streamed(body) if self.stream else self._whole(body))
            messages.append(turn)
            if not turn.get("tool_calls"):
                text: str | None = turn["content"]
                return text
            for call in turn["tool_calls"]:
                name, arguments = call["function"]["name"], json.loads(call["function"]["arguments"])
                function = self.functions[name]
                result = await asyncio.to_thread(function, **arguments) if self.threads else function(**arguments)
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": str(result), "name": name})

    async def _whole(self, body: Json) -> Json:
        response = await self.client.post(f"{self.url}/chat/completions", json=body)
        message = response.json()["choices"][0]["message"]
        return {key: message[key] for key in ("role", "content", "tool_calls") if key in message}

    async def _streamed(self, body: Json) -> Json:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
        turn: Json = {"role": "assistant", "content": None}
        async with self.client.stream("POST", f"{self.url}/chat/completions", json=body) as response:
            async for line in response.aiter_lines():
                if line.startswith("data: {"):
                    _add(turn, json.loads(line[6:]))
        return turn


def _add(turn: Json, chunk: Json) -> None:
    if not chunk["choices"]:
        return
    delta = chunk["choices"][0]["delta"]
    if delta.get("content") is not None:
        turn["content"] = (turn["content"] or "") + delta["content"]
    for piece in delta.get("tool_calls") or ():
        calls = turn.setdefault("tool_calls", [])
        if piece["index"] == len(calls):
            calls.append({"id": piece["id"], "type": "function", "function": {"name": "", "arguments": ""}})
        function = calls[piece["index"]]["function"]
        for key, text in piece["function"].items():
            function[key] += text
