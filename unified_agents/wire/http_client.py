"""The HTTP client of a model server, and what its errors mean."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from types import TracebackType

import aiohttp
from aiohttp.http import HttpProcessingError
from yarl import URL

from unified_agents.errors import ModelError, ModelTimeoutError, NetworkError, native_name
from unified_agents.http.loop_sessions import LoopSessions
from unified_agents.run.context import current_run
from unified_agents.wire.connection import AUTHORIZATION, ServerConnection
from unified_agents.wire.http_connection import ConnectionPool
from unified_agents.wire.http_exchange import HttpResponse, PreparedRequest, exchange
from unified_agents.wire.upstream import Response

MAX_REDIRECTS = 5
_REDIRECTS = (307, 308)
MAX_PREPARED = 64
"""How many requests are kept that differ in more than their body."""


class HttpClient:
    """Sends requests to a model server. Connections are kept per event loop and end with it.

    Args:
        connection: How the server is reached; the query of its URL is kept.
    """

    def __init__(self, connection: ServerConnection) -> None:
        self._base = URL(connection.url)
        self._connection = connection
        self._proxy = None if connection.proxy is None else URL(connection.proxy)
        self._settings = {"Content-Type": "application/json", **connection.headers}
        self._urls: dict[str, URL] = {}
        self._pools = LoopSessions(partial(ConnectionPool, connection.tls))
        self._prepared: dict[tuple[object, ...], PreparedRequest] = {}

    def post(
        self, path: str, body: bytes, headers: Mapping[str, str], key: str
    ) -> AbstractAsyncContextManager[Response]:  # `key` is for models in this process: a server keeps its own count
        """Send a request; see `Upstream.post`."""
        return _Exchange(self, path, body, headers)

    async def respond(self, path: str, body: bytes, headers: Mapping[str, str]) -> HttpResponse:
        """Send a request, and return the response, whose head has come."""
        url = self._urls.get(path) or self._url(path)
        tokens = self._connection.tokens
        if tokens is None:
            return await self._send(url, body, headers)
        token = await tokens.token()
        response = await self._send(url, body, {**headers, AUTHORIZATION: f"Bearer {token}"})
        if response.status != 401:
            return response
        try:
            newer = await tokens.token()
        except BaseException:
            response.release()
            raise
        if newer == token:
            return response
        response.release()  # the token expired on the way
        return await self._send(url, body, {**headers, AUTHORIZATION: f"Bearer {newer}"})

    async def aclose(self) -> None:
        """Close the connections of all loops."""
        await self._pools.aclose()

    async def _send(self, url: URL, body: bytes, headers: Mapping[str, str]) -> HttpResponse:
        """Send a request, and again where redirects within the server say so."""
        response = await self._answer(url, body, headers)
        for _ in range(MAX_REDIRECTS):
            target = redirect_within_server(url, response)
            if target is None:
                break
            response.release()
            url = target
            response = await self._answer(url, body, headers)
        return response

    async def _answer(self, url: URL, body: bytes, headers: Mapping[str, str]) -> HttpResponse:
        pool = self._pools.running() or await self._pools.get()
        request = self._request(url, headers)
        connection, was_used = await pool.take(request.request)
        try:
            return await exchange(connection, request, body)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            run = current_run.get()
            if not was_used or (run is not None and run.handling == "unified"):
                raise  # under `unified` the one policy decides on another attempt, and counts it
        # The server had closed an idle connection, which is seen only when the next request comes on it.
        connection, _ = await pool.take(request.request, new=True)
        return await exchange(connection, request, body)

    def _request(self, url: URL, headers: Mapping[str, str]) -> PreparedRequest:
        key = (url, *headers.items())
        prepared = self._prepared.get(key)
        if prepared is None:
            if len(self._prepared) >= MAX_PREPARED:  # such as with a header that is another one each time
                self._prepared.clear()
            written = ({"User-Agent": "unified-agents"}, headers, self._settings)
            prepared = self._prepared[key] = PreparedRequest(url, written, self._proxy)
        return prepared

    def _url(self, path: str) -> URL:
        place, _, query = path.partition("?")
        url = self._base.with_path(f"{self._base.raw_path.rstrip('/')}/{place}", encoded=True, keep_query=True)
        if query:
            url = url.update_query(query)
        if self._connection.query:
            url = url.update_query(self._connection.query)
        self._urls[path] = url
        return url

    def translated(self, error: BaseException) -> ModelError | None:
        """Return what an error of the HTTP client means; None for any other."""
        if isinstance(error, aiohttp.ServerTimeoutError):
            return ModelTimeoutError(f"{self._base.host} did not answer in time", native_type=native_name(error))
        # Whoever reads the answer may raise an error of ours, such as an injected fault.
        if isinstance(error, aiohttp.ClientError | HttpProcessingError | ConnectionError) and not isinstance(
            error, ModelError
        ):
            return self._network_error(error)
        return None

    def _network_error(self, error: Exception) -> NetworkError:
        where = f"{self._base.scheme}://{self._base.host}:{self._base.port}"
        if self._proxy is not None:
            where += f" through the proxy at {self._proxy.host}:{self._proxy.port}"
        what = "cannot be reached" if isinstance(error, aiohttp.ClientConnectorError) else "broke the connection"
        # The client puts the whole URL, with its query, into the text of such an error.
        text = error.message if isinstance(error, aiohttp.ClientResponseError | HttpProcessingError) else str(error)
        if isinstance(error, aiohttp.ClientConnectorError) and self._base.scheme == "http":
            text = error.strerror or str(error.os_error)  # else it speaks of TLS, which is not used
        if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, ConnectionRefusedError):
            text = "the connection was refused; is it running?"
        if isinstance(error, aiohttp.ClientHttpProxyError):
            what, text = "cannot be reached", f"the proxy answered {error.status}"
        elif isinstance(error, aiohttp.ClientResponseError | HttpProcessingError):
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
        self._response: HttpResponse | None = None

    async def __aenter__(self) -> Response:
        try:
            self._response = await self._client.respond(*self._request)
        except Exception as error:
            if (known := self._client.translated(error)) is not None:
                raise known from error
            raise
        return self._response

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._response is not None  # noqa: S101  # entered
        self._response.release()
        if error is not None and (known := self._client.translated(error)) is not None:
            raise known from error


def redirect_within_server(url: URL, response: Response) -> URL | None:
    """Return where a 307 or 308 points to, if that is at the same server or its https; the key goes nowhere else.

    Args:
        url: Where the request went.
        response: What came.
    """
    location = response.headers.get("Location")
    if response.status not in _REDIRECTS or not location:
        return None
    try:
        target = url.join(URL(location))
        origin, target_origin = url.origin(), target.origin()
    except ValueError:
        return None
    becomes_https = (origin.scheme, target_origin.scheme) == ("http", "https") and origin.host == target_origin.host
    if target_origin == origin or (becomes_https and target_origin.port in (443, origin.port)):
        return target
    return None
