"""An answer that is relayed under `native`: its pieces, its end, and a framework that reads slowly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from unified_agents.errors import NetworkError
from unified_agents.wire.native import MAX_PIECES, RelayedResponse, relay


@dataclass
class Upstream:
    """A server that sends so many pieces, and then breaks off where it is told to."""

    count: int
    error: Exception | None = None
    sent: int = 0
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    @asynccontextmanager
    async def post(self, *request: Any) -> AsyncIterator[Upstream]:
        yield self

    async def chunks(self) -> AsyncIterator[bytes]:
        while self.sent < self.count:
            self.sent += 1
            yield b"%d," % self.sent
            await asyncio.sleep(0)
        if self.error is not None:
            raise self.error


async def relayed(upstream: Upstream) -> RelayedResponse:
    wire: Any = SimpleNamespace(endpoint=SimpleNamespace(chat_upstream=upstream))
    return await relay(wire, None, "models", b"", {})


async def settled(upstream: Upstream) -> int:
    """Return how many pieces were taken of a server once no more are."""
    before = -1
    while before != upstream.sent:
        before = upstream.sent
        for _ in range(20):
            await asyncio.sleep(0)
    return before


async def test_a_framework_that_reads_slowly_holds_the_server_back() -> None:
    upstream = Upstream(10 * MAX_PIECES)
    response = await relayed(upstream)
    assert await settled(upstream) <= MAX_PIECES + 1
    pieces = response.chunks(5)
    await anext(pieces)
    assert await settled(upstream) <= MAX_PIECES + 2
    await response.aclose()
    assert await settled(upstream) <= MAX_PIECES + 2


@pytest.mark.parametrize("count", [0, 1, MAX_PIECES, MAX_PIECES + 1, 3 * MAX_PIECES])
@pytest.mark.parametrize("waits", [False, True])
async def test_every_piece_arrives_and_then_the_end(count: int, waits: bool) -> None:
    upstream = Upstream(count)
    response = await relayed(upstream)
    if waits:
        await settled(upstream)
    body = b"".join([piece async for piece in response.chunks(5)])
    assert body == b"".join(b"%d," % number for number in range(1, count + 1))
    assert [piece async for piece in response.chunks(5)] == []


@pytest.mark.parametrize("count", [0, 5, 2 * MAX_PIECES])
async def test_an_error_comes_after_what_was_sent_before_it(count: int) -> None:
    response = await relayed(Upstream(count, NetworkError("broken off")))
    pieces = response.chunks(5)
    for number in range(1, count + 1):
        assert await anext(pieces) == b"%d," % number
    with pytest.raises(NetworkError, match="broken off"):
        await anext(pieces)


async def test_a_reader_that_is_there_first_gets_the_end() -> None:
    upstream = Upstream(1)
    gate = asyncio.Event()
    original = upstream.chunks

    async def held() -> AsyncIterator[bytes]:
        async for chunk in original():
            yield chunk
        await gate.wait()

    upstream.chunks = held  # type: ignore[method-assign]
    response = await relayed(upstream)
    reader = asyncio.create_task(asyncio.wait_for(_all(response), 5))
    await settled(upstream)
    assert not reader.done()
    gate.set()
    assert await reader == [b"1,"]


async def _all(response: RelayedResponse) -> list[bytes]:
    return [piece async for piece in response.chunks(None)]
