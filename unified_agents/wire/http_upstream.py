"""The upstream of a model server over HTTP, which imports its HTTP client at the first request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from unified_agents.concurrency.off_loop_import import import_off_loop
from unified_agents.wire.connection import ServerConnection
from unified_agents.wire.upstream import Response

if TYPE_CHECKING:
    from unified_agents.wire.http_client import HttpClient


class HttpUpstream:
    """A model server over HTTP. Sessions are kept per event loop and end with it.

    The HTTP client is imported at the first request, off the event loop: it takes a tenth of a second, once.

    Args:
        connection: How it is reached.
    """

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection
        self._client: HttpClient | None = None

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port."""
        parts = urlsplit(self._connection.url)
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
        if self._client is None:  # several requests may be the first
            self._client = module.HttpClient(self._connection)
        async with self._client.post(path, body, headers, key) as response:
            yield response

    def forget(self, key: str) -> None:
        """Nothing is kept for a conversation."""

    async def aclose(self) -> None:
        """Close the sessions of all loops."""
        if self._client is not None:
            await self._client.aclose()
