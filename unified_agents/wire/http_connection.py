"""A connection to a model server: it takes what other HTTP clients take, and a request is written at once."""

from __future__ import annotations

import inspect
import re
import sys
from typing import TYPE_CHECKING

from aiohttp import BytesPayload, ClientRequest, ClientResponse
from aiohttp.client_proto import ResponseHandler
from aiohttp.hdrs import CONTENT_LENGTH
from aiohttp.http_writer import StreamWriter

if TYPE_CHECKING:
    from aiohttp.connector import Connection

MAX_BYTES_AT_ONCE = 32_768
"""How long a body may be that is written without a task of its own: half of what a connection takes without a wait."""

MAX_HEAD_BYTES = 65_536
"""How much is waited for until a head has ended; the parser decides on a longer one."""

_END_OF_HEAD = re.compile(rb"\n\r?\n")
_CHUNKED = re.compile(rb"\ntransfer-encoding:[^\n]*\bchunked[ \t]*\r?\n", re.IGNORECASE)
_LENGTH = re.compile(rb"\ncontent-length:[^\n]*", re.IGNORECASE)


class LenientResponseHandler(ResponseHandler):
    """Reads answers, also those with a length beside a chunked body.

    RFC 9112, section 6.3: the chunks count then. The HTTP client refuses such an answer, because a proxy in between may
    have taken it for another one, so the connection is not used again.

    Attributes:
        reads_head: Whether the head of an answer is expected. Whoever takes the connection for a request sets it.
    """

    reads_head = False
    _head = b""

    def data_received(self, data: bytes) -> None:
        """Take bytes in; those of a head wait until it is whole."""
        if self.reads_head:
            data = self._head + data
            is_whole = b"\r\n\r\n" in data or _END_OF_HEAD.search(data) is not None
            if not is_whole and len(data) < MAX_HEAD_BYTES:
                self._head = data
                return
            self.reads_head, self._head = False, b""
            if b"hunked" in data or b"HUNKED" in data:  # cheaper than to search each head
                data = self._without_length(data)
        ResponseHandler.data_received(self, data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End the answer, with what came of its head."""
        self.reads_head = False
        if self._head:
            head, self._head = self._head, b""
            super().data_received(head)
        super().connection_lost(exc)

    def _without_length(self, data: bytes) -> bytes:
        """Return the data without the lengths in its head, if its body is chunked."""
        end = _END_OF_HEAD.search(data)
        if end is None or _CHUNKED.search(data, 0, end.end()) is None:
            return data
        head, count = _LENGTH.subn(b"", data[: end.start()])
        if count:
            self.force_close()
        return head + data[end.start() :]


class EagerRequest(ClientRequest):
    """A request whose body is written together with its head.

    The HTTP client starts a task to write a body, which runs at once from Python 3.12 on, and before only in the next
    round of the event loop. A short body needs neither the task nor the round.
    """

    def update_body_from_data(self, body: object, _stacklevel: int = 3) -> None:
        """Take the body, which is bytes, past the search for what can write it."""
        if type(body) is not bytes:
            super().update_body_from_data(body, _stacklevel)
            return
        self._body = BytesPayload(body)
        self.headers[CONTENT_LENGTH] = str(len(body))

    async def send(self, conn: Connection) -> ClientResponse:
        """Write the request, and return the response, which is still to come."""
        protocol = conn.protocol
        length = self._get_content_length()
        is_plain = not (self.compress or self.chunked or self.proxy or self._traces) and self._continue is None
        if protocol is None or protocol.writing_paused or not is_plain or length is None or length > MAX_BYTES_AT_ONCE:
            return await super().send(conn)
        writer = StreamWriter(protocol, self.loop)
        await writer.write_headers(f"{self.method} {self.url.raw_path_qs} HTTP/1.1", self.headers)
        await self.write_bytes(writer, conn, length)
        response = ClientResponse(
            self.method,
            self.original_url,
            writer=None,
            continue100=None,
            timer=self._timer,
            request_info=self.request_info,
            traces=self._traces,
            loop=self.loop,
            session=self._session,
            stream_writer=writer,
        )
        self.response = response  # type: ignore[assignment]
        return response


_RESPONSE_ARGUMENTS = frozenset(
    ("writer", "continue100", "timer", "request_info", "traces", "loop", "session", "stream_writer")
)


def request_class() -> type[ClientRequest]:
    """Return the class of requests: the client's own, where it writes at once or is not built as it is known here."""
    arguments = inspect.signature(ClientResponse.__init__).parameters.values()
    keywords = {argument.name for argument in arguments if argument.kind is argument.KEYWORD_ONLY}
    known = keywords == _RESPONSE_ARGUMENTS and hasattr(ClientRequest, "_get_content_length")
    return EagerRequest if known and sys.version_info < (3, 12) else ClientRequest
