"""The HTTP client of a model server, and what its errors mean."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

import aiohttp
from yarl import URL

from unified_agents.errors import ModelError, ModelTimeoutError, NetworkError, native_name
from unified_agents.http.loop_sessions import LoopSessions
from unified_agents.run.context import current_run
from unified_agents.wire.connection import AUTHORIZATION, ServerConnection, TokenProvider
from unified_agents.wire.http_connection import LenientResponseHandler, request_class
from unified_agents.wire.upstream import Response

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection

MAX_REDIRECTS = 5
_REDIRECTS = (307, 308)
MAX_HEADER_BYTES = 65_536
"""The longest header, as long as other HTTP clients take."""
KEEPALIVE_SECONDS = 4.5
"""How long an idle connection is kept: many servers close theirs after 5 seconds."""

_must_be_new: ContextVar[bool] = ContextVar("must_be_new", default=False)
_was_used_before: ContextVar[bool] = ContextVar("was_used_before", default=False)


class HttpClient:
    """Sends requests to a model server. Sessions are kept per event loop and end with it.

    Args:
        connection: How the server is reached; the query of its URL is kept.
    """

    def __init__(self, connection: ServerConnection) -> None:
        self._base = URL(connection.url)
        self._connection = connection
        self._own_headers = {"content-type", *(name.lower() for name in connection.headers)}
        self._urls: dict[str, URL] = {}
        self._sessions = LoopSessions(self._session)

    def post(
        self, path: str, body: bytes, headers: Mapping[str, str], key: str
    ) -> AbstractAsyncContextManager[Response]:  # `key` is for models in this process: a server keeps its own count
        """Send a request; see `Upstream.post`."""
        return _Exchange(self, path, body, headers)

    def respond(
        self, path: str, body: bytes, headers: Mapping[str, str]
    ) -> Coroutine[Any, Any, aiohttp.ClientResponse]:
        """Send a request, and return the response, whose head has come."""
        if headers:  # a framework's own, of which none takes the place of a setting
            headers = {name: value for name, value in headers.items() if name.lower() not in self._own_headers}
        tokens = self._connection.tokens
        if tokens is None:
            return self._respond(path, body, headers)
        return self._respond_with_token(tokens, path, body, headers)

    async def _respond_with_token(
        self, tokens: TokenProvider, path: str, body: bytes, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        token = await tokens.token()
        response = await self._respond(path, body, {**headers, AUTHORIZATION: f"Bearer {token}"})
        if response.status == 401 and (newer := await tokens.token()) != token:  # it expired on the way
            response.release()
            response = await self._respond(path, body, {**headers, AUTHORIZATION: f"Bearer {newer}"})
        return response

    async def _respond(self, path: str, body: bytes, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        session = self._sessions.running() or await self._sessions.get()
        response = await self._send(session, self._urls.get(path) or self._url(path), body, headers)
        if response.status in _REDIRECTS:
            response = await self._follow(session, response, body, headers)
        return response

    async def aclose(self) -> None:
        """Close the sessions of all loops."""
        await self._sessions.aclose()

    async def _send(
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

    async def _follow(
        self, session: aiohttp.ClientSession, response: aiohttp.ClientResponse, body: bytes, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        """Send a request again where redirects within the server say so."""
        for _ in range(MAX_REDIRECTS):
            target = _redirect_within_server(response)
            if target is None:
                break
            response.release()
            response = await self._send(session, target, body, headers)
        return response

    def _url(self, path: str) -> URL:
        place, _, query = path.partition("?")
        url = self._base.with_path(f"{self._base.raw_path.rstrip('/')}/{place}", encoded=True, keep_query=True)
        if query:
            url = url.update_query(query)
        if self._connection.query:
            url = url.update_query(self._connection.query)
        self._urls[path] = url
        return url

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            headers={"Content-Type": "application/json", "User-Agent": "unified-agents", **self._connection.headers},
            proxy=self._connection.proxy,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=30.0),
            connector=_Connector(
                limit=0,
                keepalive_timeout=KEEPALIVE_SECONDS,
                ssl=True if self._connection.tls is None else self._connection.tls,
            ),
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            auto_decompress=True,
            cookie_jar=aiohttp.DummyCookieJar(),
            request_class=request_class(),
        )

    def translated(self, error: BaseException) -> ModelError | None:
        """Return what an error of the HTTP client means; None for any other."""
        if isinstance(error, aiohttp.ServerTimeoutError):
            return ModelTimeoutError(f"{self._base.host} did not answer in time", native_type=native_name(error))
        # Whoever reads the answer may raise an error of ours, such as an injected fault.
        if isinstance(error, aiohttp.ClientError | ConnectionError) and not isinstance(error, ModelError):
            return self._network_error(error)
        return None

    def _network_error(self, error: Exception) -> NetworkError:
        where = f"{self._base.scheme}://{self._base.host}:{self._base.port}"
        if self._connection.proxy is not None:
            proxy = URL(self._connection.proxy)
            where += f" through the proxy at {proxy.host}:{proxy.port}"
        what = "cannot be reached" if isinstance(error, aiohttp.ClientConnectorError) else "broke the connection"
        # The client puts the whole URL, with its query, into the text of this one.
        text = error.message if isinstance(error, aiohttp.ClientResponseError) else str(error)
        if isinstance(error, aiohttp.ClientConnectorError) and self._base.scheme == "http":
            text = error.strerror or str(error.os_error)  # else it speaks of TLS, which is not used
        if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, ConnectionRefusedError):
            text = "the connection was refused; is it running?"
        if isinstance(error, aiohttp.ClientHttpProxyError):
            what, text = "cannot be reached", f"the proxy answered {error.status}"
        elif isinstance(error, aiohttp.ClientResponseError):
            what, text = "sent what is not HTTP", " ".join(text.split())
        failure = NetworkError(f"the model's server at {where} {what}: {text}", native_type=native_name(error))
        # RFC 9112 says which of the two counts, but the HTTP client takes it for an attack, and will again.
        failure.final = "Content-Length" in text and "Transfer-Encoding" in text
        return failure


class _Exchange:
    """A request and its response, as a context. A class, since a generator for each request takes longer."""

    __slots__ = ("_client", "_request", "_response")

    def __init__(self, client: HttpClient, path: str, body: bytes, headers: Mapping[str, str]) -> None:
        self._client = client
        self._request = path, body, headers
        self._response: aiohttp.ClientResponse | None = None

    async def __aenter__(self) -> Response:
        try:
            self._response = await self._client.respond(*self._request)
        except Exception as error:
            if (known := self._client.translated(error)) is not None:
                raise known from error
            raise
        return _HttpResponse(self._response)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._response is not None  # noqa: S101  # entered
        await self._response.__aexit__(kind, error, traceback)
        if error is not None and (known := self._client.translated(error)) is not None:
            raise known from error


class _HttpResponse:
    __slots__ = ("_content", "chunks", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self._content = response.content
        self.chunks = response.content.iter_any

    def arrived(self) -> bytes | None:
        content = self._content
        return content.read_nowait() if content.is_eof() else None


class _Connector(aiohttp.TCPConnector):
    """A pool of connections in which what came while a connection was idle belongs to no request."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        handler: type[ResponseHandler] = LenientResponseHandler
        self._factory = partial(handler, loop=self._loop)

    async def connect(self, req: Any, traces: Any, timeout: Any) -> Connection:
        while True:
            connection = await aiohttp.TCPConnector.connect(self, req, traces, timeout)
            protocol = connection.protocol
            was_used = getattr(protocol, "unified_agents_used", False)
            if protocol is None or not was_used or not (protocol.should_close or _must_be_new.get()):
                break
            connection.close()
        if _was_used_before.get() is not was_used:
            _was_used_before.set(was_used)
        if protocol is not None:
            protocol.reads_head = True  # type: ignore[attr-defined]
            protocol.unified_agents_used = True  # type: ignore[attr-defined]  # cheaper than a set of weak references
        return connection


def _redirect_within_server(response: aiohttp.ClientResponse) -> URL | None:
    """Return where a 307 or 308 points to, if that is at the same server or its https; the key goes nowhere else."""
    location = response.headers.get("Location")
    if response.status not in _REDIRECTS or not location:
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
