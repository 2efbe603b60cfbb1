"""The contenders: an agent of ours and the bare loop, each as a function that does one run."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from benchmarks.bare_loop import BareLoop
from benchmarks.measure import Work
from unified_agents import Limits, ModelConfig, ModelParameters, Tool, create_agent, tool
from unified_agents.config.providers import ProtocolName
from unified_agents.events import Event
from unified_agents.wire.connection import ServerConnection
from unified_agents.wire.http_upstream import HttpUpstream
from unified_agents.wire.upstream import CHAT_PATH, read_body

INSTRUCTIONS = "Answer with figures from the tools."
TASK = "What is the sum?"
MANY = Limits(max_steps=1000, max_model_calls=1000, max_tool_calls=1000)


@tool
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool(name="add")
def add_in_a_thread(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def declared(defined: Tool) -> dict[str, object]:
    """Return a tool as it stands in a request."""
    function = {"name": defined.name, "description": defined.description, "parameters": defined.parameters}
    return {"type": "function", "function": function}


@asynccontextmanager
async def bare(
    url: str, *, stream: bool = False, connections: int = 100, key_variable: str | None = None, threads: bool = False
) -> AsyncIterator[Work]:
    """Open the bare httpx loop.

    Args:
        url: Where the model is.
        stream: Whether the model's answers are streamed.
        connections: At most so many; 100 is httpx's default. Its pool slows down with their number.
        key_variable: The environment variable that holds the API key; None sends no key.
        threads: Whether the tool is a synchronous one, which runs by `asyncio.to_thread`: a program that serves
            several runs on one loop has to call it so, and ours does not let it block the loop either.
    """
    headers = {"Authorization": f"Bearer {os.environ[key_variable]}"} if key_variable is not None else None
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=20)
    async with httpx.AsyncClient(headers=headers, limits=limits, timeout=60.0) as client:
        loop = BareLoop(client, url, [declared(add)], {"add": lambda a, b: a + b}, stream, threads)

        async def run() -> str | None:
            return await loop.run(INSTRUCTIONS, TASK)

        yield run


@asynccontextmanager
async def ours(
    url: str,
    *,
    backend: str = "custom",
    stream: bool = False,
    tool: Tool = add,
    listen: bool = False,
    key_variable: str | None = None,
    journal: Path | None = None,
    protocol: ProtocolName | None = None,
) -> AsyncIterator[Work]:
    """Open an agent of ours with all that it has: validation, limits, timeouts, its own task, spans.

    Args:
        url: Where the model is.
        backend: What runs the loop.
        stream: Whether the model's answers are streamed, to the framework too.
        tool: The only tool.
        listen: Whether somebody takes every event.
        key_variable: The environment variable that holds the API key, which is then looked for in all that a model
            sends; None sends no key.
        journal: The file of its journal; None keeps none.
        protocol: What the model is spoken to in; None for Chat Completions.
    """
    parameters = ModelParameters(stream=stream)
    model = ModelConfig(name="m", base_url=url, api_key_env=key_variable, parameters=parameters, protocol=protocol)
    agent = create_agent(
        backend=backend, model=model, tools=[tool], instructions=INSTRUCTIONS, limits=MANY, journal=journal
    )

    async def run() -> str | None:
        return (await agent.run(TASK)).output

    async def run_with_listener() -> str | None:
        seen: list[Event] = []
        result = await agent.run(TASK, on_event=seen.append)
        assert seen
        return result.output

    try:
        yield run_with_listener if listen else run
    finally:
        await agent.aclose()


@asynccontextmanager
async def carrier(url: str) -> AsyncIterator[Work]:
    """Send the very bodies of a run over our transport and read the answers: no loop can do with less."""
    agent = create_agent(model=ModelConfig(name="m", base_url=url), tools=[add], instructions=INSTRUCTIONS, limits=MANY)
    bodies = [exchange.sent for exchange in (await agent.run(TASK, record_exchanges=True)).exchanges]
    await agent.aclose()
    upstream = HttpUpstream(ServerConnection(url))

    async def run() -> str | None:
        for body in bodies:
            async with upstream.post(CHAT_PATH, body.encode(), {}, "") as response:
                answer = await read_body(response)
        return "done" if b'"done"' in answer else None

    try:
        yield run
    finally:
        await upstream.aclose()
