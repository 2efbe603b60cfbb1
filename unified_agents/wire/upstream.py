"""Where requests go: a server over HTTP, or the scripted model in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import orjson

from unified_agents.config.importing import import_off_loop
from unified_agents.errors import NetworkError

if TYPE_CHECKING:
    from unified_agents.scripted.model import Reply
    from unified_agents.wire.http_client import HttpClient

CHAT_PATH = "chat/completions"


class Response(Protocol):
    """An answer whose head has come."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, looked up without regard to case."""

    async def read(self) -> bytes:
        """The whole body."""

    def chunks(self) -> AsyncIterator[bytes]:
        """The body, piece by piece as it comes."""


class Upstream(Protocol):
    """Something that answers requests to a model. One may be used from several event loops."""

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port; None when there is no network."""

    def post(
        self, path: str, body: bytes, headers: Mapping[str, str], key: str
    ) -> AbstractAsyncContextManager[Response]:
        """Send a request.

        Args:
            path: Below the base URL, such as `chat/completions`.
            body: The JSON body.
            headers: Besides those that every request has.
            key: What names the conversation, for a model that keeps count of it.

        Raises:
            NetworkError: no connection, or it broke, here or while the body is read.
            ModelTimeoutError: the client's own time ran out.
        """

    def forget(self, key: str) -> None:
        """A conversation is over: drop what was kept for it."""

    async def aclose(self) -> None:
        """Close all connections."""


class HttpUpstream:
    """A server over HTTP. Sessions are kept per event loop and end with it.

    The HTTP client is imported at the first request, off the event loop: it takes a tenth of a second, once.

    Args:
        base_url: With its `/v1` or the like; a query string is kept.
        api_key: Sent as a bearer token; None sends none.
    """

    def __init__(self, base_url: str, api_key: str | None) -> None:
        self._base_url = base_url
        self._api_key = api_key
        self._client: HttpClient | None = None

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port."""
        parts = urlsplit(self._base_url)
        return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)

    def post(
        self, path: str, body: bytes, headers: Mapping[str, str], key: str
    ) -> AbstractAsyncContextManager[Response]:
        """Send a request; see `Upstream.post`."""
        if self._client is None:
            return self._first_post(path, body, headers, key)
        return self._client.post(path, body, headers, key)

    @asynccontextmanager
    async def _first_post(
        self, path: str, body: bytes, headers: Mapping[str, str], key: str
    ) -> AsyncIterator[Response]:
        module = await import_off_loop("unified_agents.wire.http_client")
        if self._client is None:
            self._client = module.HttpClient(self._base_url, self._api_key)
        async with self._client.post(path, body, headers, key) as response:
            yield response

    def forget(self, key: str) -> None:
        """Nothing is kept for a conversation."""

    async def aclose(self) -> None:
        """Close the sessions of all loops."""
        if self._client is not None:
            await self._client.aclose()


class ReplyingModel(Protocol):
    """A model in this process, such as `ScriptedModel`."""

    def reply(self, request: Mapping[str, object], key: str = "") -> Reply:
        """Answer a Chat Completions request."""

    def forget(self, key: str) -> None:
        """Drop what was counted for a conversation."""


class LocalUpstream:
    """A model in this process: no network at all."""

    address: tuple[str, int] | None = None

    def __init__(self, model: ReplyingModel) -> None:
        self.model = model

    @asynccontextmanager
    async def post(self, path: str, body: bytes, headers: Mapping[str, str], key: str) -> AsyncIterator[Response]:
        """Send a request; see `Upstream.post`."""
        if path != CHAT_PATH:
            raise NetworkError(f"the scripted model serves {CHAT_PATH} only, not {path}")
        reply = self.model.reply(orjson.loads(body), key)
        await asyncio.sleep(reply.delay)
        if reply.ending == "disconnect":
            raise NetworkError("the scripted model broke the connection")
        yield _LocalResponse(reply)

    def forget(self, key: str) -> None:
        """Let the model drop what it counted for a conversation."""
        self.model.forget(key)

    async def aclose(self) -> None:
        """Nothing to close."""


class _LocalResponse:
    __slots__ = ("_reply", "headers", "status")

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self.status = reply.status
        self.headers: Mapping[str, str] = {"Content-Type": reply.content_type} | reply.headers

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        for place, chunk in enumerate(self._reply.chunks):
            if place and self._reply.pause:
                await asyncio.sleep(self._reply.pause)
            yield chunk
        if self._reply.ending == "truncate":
            raise NetworkError("the scripted model broke the connection in the middle of its answer")
        if self._reply.ending == "stall":
            await asyncio.get_running_loop().create_future()
