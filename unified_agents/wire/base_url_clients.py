"""Clients that reach the wire through a server on loopback: those with a base URL alone, and those on aiohttp."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiohttp
import httpx
from yarl import URL

from unified_agents.errors import BackendError
from unified_agents.run.context import current_call, current_run
from unified_agents.wire.httpx_bridge import end_to_end
from unified_agents.wire.loopback_front import FrontAnswer, FrontRequest, LoopbackFront


def entering_current_run() -> Callable[[], None]:
    """Return what enters the current run from another context.

    Raises:
        BackendError: there is no run.
    """
    run = current_run.get()
    if run is None:
        raise BackendError("a front of the model outside of a run: open it in `run` of the native agent")

    def enter() -> None:
        current_run.set(run)
        current_call.set(None)

    return enter


@asynccontextmanager
async def front_of_run(
    client: httpx.AsyncClient, base_url: str, current: Callable[[], Callable[[], None]]
) -> AsyncIterator[str]:
    """Open a base URL that stands for the model of the current run: what is sent to it goes over the wire.

    A context variable does not cross a server, so each run has a front of its own, which knows the run.

    Args:
        client: The client whose requests go over the wire.
        base_url: The model's own base URL.
        current: Returns what enters the current run from another context.

    Raises:
        BackendError: there is no run.
    """
    enter = current()

    @asynccontextmanager
    async def answer(request: FrontRequest) -> AsyncIterator[FrontAnswer]:
        enter()
        url = f"{base_url.rstrip('/')}/{request.path}" + (f"?{request.query}" if request.query else "")
        sent = client.build_request(request.method, url, headers=end_to_end(request.headers), content=request.body)
        try:
            response = await client.send(sent, stream=True)
        except httpx.TransportError as error:
            # As a network's own fault looks to a client: the connection ends before an answer.
            raise ConnectionResetError(str(error)) from error
        try:
            yield FrontAnswer(response.status_code, end_to_end(response.headers), response.aiter_bytes())
        finally:
            await response.aclose()

    async with LoopbackFront(answer) as front:
        yield front.url


@asynccontextmanager
async def session_of_run(
    client: httpx.AsyncClient, base_url: str, timeout: float, current: Callable[[], Callable[[], None]]
) -> AsyncIterator[aiohttp.ClientSession]:
    """Open an aiohttp session of the current run, whose requests to the model's base URL go over the wire.

    Args:
        client: The client whose requests go over the wire.
        base_url: The model's own base URL; requests to other places are sent as they are.
        timeout: Seconds for one request.
        current: Returns what enters the current run from another context.

    Raises:
        BackendError: there is no run.
    """
    own = urlsplit(base_url)
    below = own.path.rstrip("/") + "/"
    async with front_of_run(client, base_url, current) as front:

        async def to_the_front(
            request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
        ) -> aiohttp.ClientResponse:
            url = request.url
            if (url.scheme, url.raw_authority) == (own.scheme, own.netloc) and url.raw_path.startswith(below):
                place = URL(f"{front}/{url.raw_path.removeprefix(below)}", encoded=True)
                request.url = place.with_query(url.query)
                request.headers["Host"] = f"{place.host}:{place.port}"
            return await handler(request)

        limits = aiohttp.ClientTimeout(total=timeout)
        async with aiohttp.ClientSession(middlewares=(to_the_front,), timeout=limits, trust_env=False) as session:
            yield session
