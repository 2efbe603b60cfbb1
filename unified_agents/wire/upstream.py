"""The protocol of an upstream, which answers requests to a model: a server over HTTP, or a model in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

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
        """Return the whole body."""

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body, piece by piece as it comes."""


class Upstream(Protocol):
    """A party that answers requests to a model. One may be used from several event loops."""

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
        """Drop what was kept for a conversation, which is over."""

    async def aclose(self) -> None:
        """Close all connections."""
