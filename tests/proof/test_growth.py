"""What a step costs hardly grows with the conversation: what is sent is encoded once, and appended to."""

from __future__ import annotations

import asyncio
import gc
import statistics
import threading
import time
import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from math import inf
from typing import Any

import orjson
import pytest

from unified_agents import Limits, ModelConfig, create_agent, tool
from unified_agents.wire.connection import ServerConnection
from unified_agents.wire.http_upstream import HttpUpstream
from unified_agents.wire.upstream import read_body

pytestmark = pytest.mark.proof

STEPS = 1_000
MOST = 1.1
"""Other load on the machine makes it more. A step that encoded the body anew would be far beyond."""
ROUNDS = 12
EARLY = range(5, 45)
LATE = range(STEPS - 50, STEPS - 10)
PATHS = {
    "chat_completions": "chat/completions",
    "responses": "responses",
    "messages": "messages",
    "generate_content": "models/gemini-3-pro:generateContent",
}
LIMITS = Limits(max_steps=STEPS + 1, max_model_calls=STEPS + 1, max_tool_calls=STEPS + 1, timeout=600)


def answer(protocol: str, step: int) -> bytes:
    """The model's answer in a step, which is about as long as they are."""
    arguments = {"a": step, "b": step + 1}
    done = step >= STEPS
    text = "It is done." if done else "The next sum is what I need for the task at hand."
    body: Any
    if protocol == "responses":
        output = [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}]
        call = {
            "type": "function_call",
            "call_id": f"c{step}",
            "name": "add",
            "arguments": orjson.dumps(arguments).decode(),
        }
        body = {"id": "r", "object": "response", "status": "completed", "output": output + [call] * (not done)}
    elif protocol == "messages":
        blocks = [{"type": "text", "text": text}]
        use = {"type": "tool_use", "id": f"c{step}", "name": "add", "input": arguments}
        reason = "end_turn" if done else "tool_use"
        body = {"id": "m", "type": "message", "role": "assistant", "content": blocks + [use] * (not done)}
        body |= {"stop_reason": reason, "usage": {"input_tokens": 1, "output_tokens": 1}}
    elif protocol == "generate_content":
        parts = [{"text": text}] + [{"functionCall": {"name": "add", "args": arguments}}] * (not done)
        body = {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}]}
    else:
        function = {"name": "add", "arguments": orjson.dumps(arguments).decode()}
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if not done:
            message["tool_calls"] = [{"id": f"c{step}", "type": "function", "function": function}]
        body = {
            "id": "c",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop" if done else "tool_calls"}],
        }
    return orjson.dumps(body)


class Server:
    """A server in a thread of its own that reads no request, keeps some, and answers each with the next step."""

    def __init__(self, protocol: str, kept: frozenset[int] = frozenset()) -> None:
        self._protocol = protocol
        self._kept = kept
        self._loop = asyncio.new_event_loop()
        self._server: Any = None
        self.url = ""
        self.step = 0
        self.bodies: dict[int, bytes] = {}
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
                body = await reader.readexactly(size)
                if self.step in self._kept:
                    self.bodies[self.step] = body
                raw = answer(self._protocol, self.step)
                self.step += 1
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(raw) + raw
                )
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def __enter__(self) -> Server:
        self._thread.start()
        starting = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**22), self._loop
        )
        self._server = starting.result()
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def run_of(url: str, protocol: str, told: Callable[[int], None]) -> None:
    """Make a run of so many steps, and tell when the tool of each is called."""
    steps = iter(range(STEPS))

    @tool
    async def add(a: int, b: int) -> str:
        """Add two numbers."""
        told(next(steps))
        return f"The sum of {a} and {b} is {a + b}, as everybody can see."

    model = ModelConfig(name="gemini-3-pro", base_url=url, protocol=protocol)
    async with create_agent(model=model, tools=[add], instructions="Be brief.") as agent:
        result = await agent.run("Add.", limits=LIMITS)
    assert result.output == "It is done."
    assert len(result.tool_calls) == STEPS


async def sending(url: str, protocol: str, bodies: dict[int, bytes]) -> dict[int, float]:
    """Return the CPU seconds that the HTTP client takes to send each body, and to read an answer."""
    upstream, taken = HttpUpstream(ServerConnection(url)), {}
    for _ in range(2):
        for step, body in bodies.items():
            began = time.thread_time()
            async with upstream.post(PATHS[protocol], body, {}, "") as response:
                await read_body(response)
            taken[step] = time.thread_time() - began  # of the second round, in which all is connected
    await upstream.aclose()
    return taken


def usual(taken: dict[int, float], steps: range) -> float:
    """Return what most steps take at most that nothing else on the machine held up."""
    return statistics.quantiles([taken[step] for step in steps], n=5)[0]


async def ratio_of(protocol: str) -> float:
    """Return the CPU time of a late step by that of an early one, each without that of the HTTP client."""
    marks: list[float] = []
    with Server(protocol, frozenset({*EARLY, *LATE})) as server:
        gc.collect()
        gc.disable()  # its time depends on all that the process holds
        try:
            await run_of(server.url, protocol, lambda _: marks.append(time.thread_time()))
            taken = {step: later - mark for step, (mark, later) in enumerate(pairwise(marks), 1)}
            bare = await sending(server.url, protocol, dict(server.bodies))
        finally:
            gc.enable()
    early, late = (usual(taken, steps) - usual(bare, steps) for steps in (EARLY, LATE))
    return late / early


@pytest.mark.parametrize("protocol", PATHS)
async def test_a_late_step_encodes_no_more_than_an_early_one(protocol: str) -> None:
    ratios: list[float] = []
    while len(ratios) < ROUNDS and min(ratios, default=inf) > MOST:  # other load on the machine only makes it worse
        ratios.append(await ratio_of(protocol))
    assert min(ratios) <= MOST, ratios


@pytest.mark.parametrize("protocol", PATHS)
async def test_memory_grows_with_the_length_of_the_conversation(protocol: str) -> None:
    held: dict[int, int] = {}

    def told(step: int) -> None:
        if step % 250 == 249:
            held[step] = tracemalloc.get_traced_memory()[0]

    with Server(protocol) as server:
        tracemalloc.start()
        try:
            await run_of(server.url, protocol, told)
        finally:
            tracemalloc.stop()
    first, second = held[499] - held[249], held[999] - held[749]
    assert second <= 1.5 * first + 200_000, held
