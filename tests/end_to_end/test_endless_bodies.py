"""Servers that never end a body: no more of it is taken than its bound, on every backend."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from aiohttp import web

from support import BACKENDS, http_server
from unified_agents import (
    BadResponseError,
    ModelConfig,
    ModelParameters,
    ModelPolicy,
    RunError,
    ServerError,
    create_agent,
)
from unified_agents.wire import upstream
from unified_agents.wire.protocols import chat_completions, stream_lines
from unified_agents.wire.upstream import MAX_ERROR_BYTES, read_body

BOUND = 1024 * 1024
OFFERED = 256 * BOUND
ON_THE_WAY = 24 * BOUND
"""What may stand in the buffers of both sides when the bound is met."""


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "MAX_ANSWER_BYTES", BOUND)
    monkeypatch.setattr(stream_lines, "MAX_ANSWER_BYTES", BOUND)


class Endless:
    """A server that sends a line again and again, and counts what is taken of it."""

    def __init__(self, line: bytes, status: int = 200) -> None:
        self._piece = line * (65_536 // len(line))
        self._status = status
        self.sent = 0
        self.ended = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=self._status)
        await response.prepare(request)
        try:
            while self.sent < OFFERED:
                await response.write(self._piece)
                self.sent += len(self._piece)
        except ConnectionError:
            pass
        finally:
            self.ended.set()
        return response


async def fails(server: Endless, backend: str, *, stream: bool = False, handling: Any = "unified") -> RunError:
    async with http_server(server.answer) as url:
        model = ModelConfig(
            name="m",
            base_url=f"{url}/v1",
            timeout=30,
            policy=ModelPolicy(attempts={}),
            parameters=ModelParameters(stream=True if stream else None),
        )
        async with create_agent(backend=backend, model=model, handling=handling) as agent:
            with pytest.raises(RunError) as raised:
                await agent.run("q")
        await asyncio.wait_for(server.ended.wait(), 20)
    return raised.value


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("line", [b" ", b"data: {}\n\n", b": alive\n\n"])
async def test_an_answer_that_does_not_end_is_taken_up_to_its_bound(
    backend: str, stream: bool, line: bytes, bound: None
) -> None:
    server = Endless(line)
    error = await fails(server, backend, stream=stream)
    assert isinstance(error, BadResponseError)
    assert "longer than" in str(error)
    assert server.sent < ON_THE_WAY


@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_that_does_not_end_is_told_by_its_status(backend: str, stream: bool) -> None:
    server = Endless(b"words ", status=500)
    error = await fails(server, backend, stream=stream)
    assert isinstance(error, ServerError)
    assert "500: words words" in str(error)
    assert server.sent < ON_THE_WAY


async def test_a_plain_loop_that_is_native_takes_no_more_either(bound: None) -> None:
    server = Endless(b"data: {}\n\n")
    assert "longer than" in str(await fails(server, "custom", handling="native"))
    assert server.sent < ON_THE_WAY


class Counted:
    """An answer of many pieces, which counts those that are asked for."""

    headers: Mapping[str, str] = {}

    def __init__(self, status: int, pieces: int) -> None:
        self.status = status
        self.pieces = pieces
        self.taken = 0

    def arrived(self) -> bytes | None:
        return None

    async def chunks(self) -> AsyncIterator[bytes]:
        for _ in range(self.pieces):
            self.taken += 1
            yield bytes(BOUND)


async def test_each_body_is_held_against_its_bound_while_it_comes() -> None:
    gigabyte = Counted(200, 1024)
    with pytest.raises(BadResponseError, match="longer than 268435456 bytes"):
        await read_body(gigabyte)
    assert gigabyte.taken == 257
    error = Counted(503, 1024)
    assert len(await read_body(error)) <= MAX_ERROR_BYTES + BOUND
    assert error.taken == 2
    assert len(await read_body(Counted(200, 3))) == 3 * BOUND


def test_who_only_watches_keeps_no_more_than_the_bound(bound: None) -> None:
    reader = chat_completions.StreamReader()
    for _ in range(8):
        try:
            reader.feed(b" " * (BOUND // 4))
        except BadResponseError:
            continue
    assert len(reader.raw) == BOUND
    with pytest.raises(BadResponseError, match="longer than"):
        reader.answer()
