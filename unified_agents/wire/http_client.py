"""The HTTP client of a model server, and what its errors mean."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
from yarl import URL

from unified_agents.errors import ModelError, ModelTimeoutError, NetworkError, native_name
from unified_agents.http.loop_sessions import LoopSessions
from unified_agents.wire.upstream import Response


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
            async with session.post(self._url(path), data=body, headers=headers, allow_redirects=False) as response:
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
        # The client puts the whole URL, with its query, into the text of this one.
        text = error.message if isinstance(error, aiohttp.ClientResponseError) else str(error)
        if isinstance(error, aiohttp.ClientConnectorError) and self._base.scheme == "http":
            text = error.strerror or str(error.os_error)  # else it speaks of TLS, which is not used
        if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, ConnectionRefusedError):
            text = "the connection was refused; is it running?"
        return NetworkError(f"the model's server at {where} {what}: {text}", native_type=native_name(error))


class _HttpResponse:
    __slots__ = ("chunks", "headers", "read", "status")

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self.read = response.read
        self.chunks = response.content.iter_any
