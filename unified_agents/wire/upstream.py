"""The protocol of an upstream, which answers requests to a model: a server over HTTP, or a model in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from unified_agents.errors import BadResponseError
from unified_agents.wire.protocols.chat_completions_fields import MAX_ANSWER_BYTES

CHAT_PATH = "chat/completions"
MAX_ERROR_BYTES = 1024 * 1024
"""How much of an error's body is read; what comes after is left."""


class Response(Protocol):
    """An answer whose head has come."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, looked up without regard to case."""

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body, piece by piece as it comes."""

    def arrived(self) -> bytes | None:
        """Return the body where all of it has come already, and take it from the chunks; None where it has not."""


async def read_body(response: Response) -> bytes:
    """Return the whole body of an answer, of which no more than its bound is taken.

    Raises:
        BadResponseError: it is longer than any model's answer.
        ModelError: the connection broke.
    """
    whole = response.arrived()
    if whole is not None:
        return _bounded(whole)
    pieces, size = [], 0
    is_error = response.status >= 300
    async for piece in response.chunks():
        pieces.append(piece)
        size += len(piece)
        if is_error and size > MAX_ERROR_BYTES:
            break  # the status says what happened, and the beginning why
        if size > MAX_ANSWER_BYTES:
            break
    return _bounded(b"".join(pieces))


def _bounded(body: bytes) -> bytes:
    if len(body) > MAX_ANSWER_BYTES:
        raise BadResponseError(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
    return body


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
