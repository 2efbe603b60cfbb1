"""The httpx transport under a framework's own model client: its requests go over the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import unquote, urlsplit

import aiohttp
import httpx

from unified_agents.errors import ModelError, UnsupportedCapabilityError
from unified_agents.run.context import Run, current_call, current_run
from unified_agents.wire.framework_answer import framework_answer
from unified_agents.wire.native import RelayedResponse, relay
from unified_agents.wire.server_url import is_api_version
from unified_agents.wire.unified import Wire
from unified_agents.wire.upstream import CHAT_PATH

_REPLACED_HEADERS = frozenset(
    {
        "host",
        "authorization",
        "x-api-key",
        "x-goog-api-key",
        "content-length",
        "connection",
        "accept-encoding",
        "user-agent",
        "transfer-encoding",
    }
)

_HTTPX_ERRORS: tuple[tuple[type[BaseException], type[httpx.TransportError]], ...] = (
    (aiohttp.ClientConnectorError, httpx.ConnectError),
    (aiohttp.ServerDisconnectedError, httpx.RemoteProtocolError),
    (aiohttp.ClientOSError, httpx.ReadError),
    (ConnectionError, httpx.ReadError),
)
"""What httpx would have raised for what aiohttp did; the first that matches counts."""


class WireTransport(httpx.AsyncBaseTransport):
    """Hands each request of an httpx client to the wire.

    Args:
        wire: The agent's wire.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._base = unquote(urlsplit(wire.model.url).path).rstrip("/") + "/"

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request.

        Raises:
            httpx.TransportError: under `native`, what httpx itself would raise.
            asyncio.CancelledError: the run has ended.
        """
        body = await request.aread()
        path = self._below_base(request.url)
        run = current_run.get()
        is_chat = path.partition("?")[0] == CHAT_PATH
        if run is not None and run.handling == "unified" and is_chat and not _inside_tool(run):
            content_type, content = await framework_answer(self._wire, run, body)
            return httpx.Response(200, headers={"Content-Type": content_type}, content=content)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _REPLACED_HEADERS}
        timeout = (request.extensions.get("timeout") or {}).get("read")
        try:
            async with asyncio.timeout(timeout):
                relayed = await relay(self._wire, run, path, body, headers)
        except TimeoutError as error:
            raise httpx.ReadTimeout("the model did not answer in time") from error
        except ModelError as error:
            raise _as_httpx(error, httpx.ConnectError) from error
        status, answered_headers = relayed.head.result()
        return httpx.Response(status, headers=answered_headers, stream=_RelayedStream(relayed, timeout))

    def _below_base(self, url: httpx.URL) -> str:
        """Return where a request goes below the base URL, whose version some clients add themselves."""
        path, paths = url.path.removeprefix(self._base), self._wire.endpoint.request_paths
        version, _, rest = path.partition("/")
        if path not in paths and rest in paths and is_api_version(version):
            path = rest
        query = url.query.decode()
        return f"{path}?{query}" if query else path


def _inside_tool(run: Run) -> bool:
    running = current_call.get()
    return running is not None and running.run is run


class _RelayedStream(httpx.AsyncByteStream):
    def __init__(self, relayed: RelayedResponse, timeout: float | None) -> None:
        self._relayed = relayed
        self._timeout = timeout

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._relayed.chunks(self._timeout):
                yield chunk
        except TimeoutError as error:
            raise httpx.ReadTimeout("the model went silent in the middle of its answer") from error
        except ModelError as error:
            raise _as_httpx(error, httpx.RemoteProtocolError) from error

    async def aclose(self) -> None:
        await self._relayed.aclose()


def _as_httpx(error: ModelError, otherwise: type[httpx.TransportError]) -> httpx.TransportError:
    """Return the error that httpx would have raised itself, by which a framework decides what it does."""
    if error.kind == "timeout":
        return httpx.ReadTimeout(str(error))
    matching = (kind for cause, kind in _HTTPX_ERRORS if isinstance(error.__cause__, cause))
    return next(matching, otherwise)(str(error))


class RefusingTransport(httpx.BaseTransport):
    """Refuses each request of a framework's synchronous client, which would go past both seams."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Refuse.

        Raises:
            UnsupportedCapabilityError: always.
        """
        raise UnsupportedCapabilityError(
            "a synchronous model call would go past unified-agents; use `agent.run_sync(…)`, or the asynchronous call"
        )


def async_client(wire: Wire) -> httpx.AsyncClient:
    """Return a client whose requests go over the wire. Close it with the agent."""
    return httpx.AsyncClient(transport=WireTransport(wire), trust_env=False, timeout=wire.model.timeout)


def refusing_client() -> httpx.Client:
    """Return a synchronous client that refuses each request."""
    return httpx.Client(transport=RefusingTransport(), trust_env=False)
