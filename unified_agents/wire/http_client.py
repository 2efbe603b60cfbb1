"""The HTTP client of a model server, and what its errors mean."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any

import aiohttp
from yarl import URL

from unified_agents.errors import ModelError, ModelTimeoutError, NetworkError, native_name
from unified_agents.http.loop_sessions import LoopSessions
from unified_agents.run.context import current_run
from unified_agents.wire.http_connection import LenientResponseHandler
from unified_agents.wire.upstream import Response

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection

MAX_REDIRECTS = 5
MAX_HEADER_BYTES = 65_536
"""The longest header, as long as other HTTP clients take."""
KEEPALIVE_SECONDS = 4.5
"""How long an idle connection is kept: many servers close theirs after 5 seconds."""

_must_be_new: ContextVar[bool] = ContextVar("must_be_new", default=False)
_was_used_before: ContextVar[bool] = ContextVar("was_used_before", default=False)


class HttpClient:
    """Sends requests to a model server. Sessions are kept per event loop and end with it.

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

    @asynccontextmanager
    async def post(
        self, path: str, body: bytes, headers: Mapping[str, str], key: str
    ) -> AsyncIterator[Response]:  # `key` is for models in this process: a server keeps its own count
        """Send a request; see `Upstream.post`."""
        session = await self._sessions.get()
        try:
            async with await self._send(session, self._url(path), body, headers) as response:
                yield _HttpResponse(response)
        except ModelError:
            raise  # whoever reads the answer may raise one, such as an injected fault
        except aiohttp.ServerTimeoutError as error:
            text = f"{self._base.host} did not answer in time"
            raise ModelTimeoutError(text, native_type=native_name(error)) from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise self._network_error(error) from error

    async def aclose(self) -> None:
        """Close the sessions of all loops."""
        await self._sessions.aclose()

    async def _send(
        self, session: aiohttp.ClientSession, url: URL, body: bytes, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        """Send a request, and again where a redirect within the server says so."""
        for _ in range(MAX_REDIRECTS):
            response = await self._send_once(session, url, body, headers)
            target = _redirect_within_server(response)
            if target is None:
                return response
            response.release()
            url = target
        return await self._send_once(session, url, body, headers)

    async def _send_once(
        self, session: aiohttp.ClientSession, url: URL, body: bytes, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        try:
            return await session.post(url, data=body, headers=headers, allow_redirects=False)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            run = current_run.get()
            if not _was_used_before.get() or (run is not None and run.handling == "unified"):
                raise  # under `unified` the one policy decides on another attempt, and counts it
        # The server had closed an idle connection, which is seen only when the next request comes on it.
        token = _must_be_new.set(True)
        try:
            return await session.post(url, data=body, headers=headers, allow_redirects=False)
        finally:
            _must_be_new.reset(token)

    def _url(self, path: str) -> URL:
        url = self._urls.get(path)
        if url is None:
            url = self._base.with_path(f"{self._base.raw_path.rstrip('/')}/{path}", encoded=True, keep_query=True)
            self._urls[path] = url
        return url

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=30.0),
            connector=_Connector(limit=0, keepalive_timeout=KEEPALIVE_SECONDS),
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            auto_decompress=True,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    def _network_error(self, error: Exception) -> NetworkError:
        where = f"{self._base.scheme}://{self._base.host}:{self._base.port}"
        what = "cannot be reached" if isinstance(error, aiohttp.ClientConnectorError) else "broke the connection"
        # The client puts the whole URL, with its query, into the text of this one.
        text = error.message if isinstance(error, aiohttp.ClientResponseError) else str(error)
        if isinstance(error, aiohttp.ClientConnectorError) and self._base.scheme == "http":
            text = error.strerror or str(error.os_error)  # else it speaks of TLS, which is not used
        if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, ConnectionRefusedError):
            text = "the connection was refused; is it running?"
        if isinstance(error, aiohttp.ClientResponseError):
            what, text = "sent what is not HTTP", " ".join(text.split())
        failure = NetworkError(f"the model's server at {where} {what}: {text}", native_type=native_name(error))
        # RFC 9112 says which of the two counts, but the HTTP client takes it for an attack, and will again.
        failure.final = "Content-Length" in text and "Transfer-Encoding" in text
        return failure


class _HttpResponse:
    __slots__ = ("chunks", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self.chunks = response.content.iter_any


class _Connector(aiohttp.TCPConnector):
    """A pool of connections in which what came while a connection was idle belongs to no request."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        handler: type[ResponseHandler] = LenientResponseHandler
        self._factory = partial(handler, loop=self._loop)

    async def connect(self, req: Any, traces: Any, timeout: Any) -> Connection:
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            was_used = getattr(protocol, "unified_agents_used", False)
            if protocol is None or not was_used or not (protocol.should_close or _must_be_new.get()):
                break
            connection.close()
        _was_used_before.set(was_used)
        if protocol is not None:
            protocol.reads_head = True  # type: ignore[attr-defined]
            protocol.unified_agents_used = True  # type: ignore[attr-defined]  # cheaper than a set of weak references
        return connection


def _redirect_within_server(response: aiohttp.ClientResponse) -> URL | None:
    """Return where a 307 or 308 points to, if that is at the same server or its https; the key goes nowhere else."""
    location = response.headers.get("Location")
    if response.status not in (307, 308) or not location:
        return None
    try:
        target = response.url.join(URL(location))
        origin, target_origin = response.url.origin(), target.origin()
    except ValueError:
        return None
    becomes_https = (origin.scheme, target_origin.scheme) == ("http", "https") and origin.host == target_origin.host
    if target_origin == origin or (becomes_https and target_origin.port in (443, origin.port)):
        return target
    return None
