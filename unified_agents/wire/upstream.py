"""Where requests go: a server over HTTP, or the scripted model in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Protocol

import aiohttp
import orjson
from yarl import URL

from unified_agents.errors import ModelError, ModelTimeoutError, NetworkError, native_name
from unified_agents.sessions import LoopSessions

if TYPE_CHECKING:
    from unified_agents.wire.script import Reply

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

    Args:
        base_url: With its `/v1` or the like; a query string is kept.
        api_key: Sent as a bearer token; None sends none.
    """

    def __init__(self, base_url: str, api_key: str | None) -> None:
        self._base = URL(base_url)
        self._headers = {"Content-Type": "application/json", "User-Agent": "unified-agents"}
        if api_key is not None:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._urls: dict[str, URL] = {}
        self._sessions = LoopSessions(self._session)

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port."""
        return self._base.host or "", self._base.port or 0

    @asynccontextmanager
    async def post(
        self, path: str, body: bytes, headers: Mapping[str, str], key: str
    ) -> AsyncIterator[Response]:  # a server keeps its own count
        """Send a request; see `Upstream.post`."""
        session = await self._sessions.get()
        try:
            async with session.post(self._url(path), data=body, headers=headers, allow_redirects=False) as response:
                yield _HttpResponse(response, self._network_error)
        except TimeoutError as error:
            if isinstance(error, aiohttp.ServerTimeoutError):
                raise ModelTimeoutError(
                    f"{self._base.host} did not answer in time", native_type=native_name(error)
                ) from error
            raise
        except ModelError:
            raise  # translated already, where the body is read
        except (aiohttp.ClientError, ConnectionError) as error:
            raise self._network_error(error) from error

    def forget(self, key: str) -> None:
        """Nothing is kept for a conversation."""

    async def aclose(self) -> None:
        """Close the sessions of all loops."""
        await self._sessions.aclose()

    def _url(self, path: str) -> URL:
        url = self._urls.get(path)
        if url is None:
            url = self._base.with_path(f"{self._base.path.rstrip('/')}/{path}", keep_query=True)
            self._urls[path] = url
        return url

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=30.0),
            connector=aiohttp.TCPConnector(limit=0),
            auto_decompress=True,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    def _network_error(self, error: Exception) -> NetworkError:
        where = f"{self._base.scheme}://{self._base.host}:{self._base.port}"
        what = "cannot be reached" if isinstance(error, aiohttp.ClientConnectorError) else "broke the connection"
        return NetworkError(f"the model's server at {where} {what}: {error}", native_type=native_name(error))


class _HttpResponse:
    __slots__ = ("_response", "_translate", "headers", "read", "status")

    def __init__(self, response: aiohttp.ClientResponse, translate: Callable[[Exception], NetworkError]) -> None:
        self._response = response
        self._translate = translate
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self.read = response.read

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, ConnectionError) as error:
            raise self._translate(error) from error


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
