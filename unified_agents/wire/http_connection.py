"""Connections to a model server: they take what other HTTP clients take, and are kept until their server ends them."""

from __future__ import annotations

import re
from functools import partial
from ssl import SSLContext

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

CONNECT_SECONDS = 30.0
KEEPALIVE_SECONDS = 4.5
"""How long an idle connection is kept: many servers close theirs after 5 seconds."""

MAX_HEAD_BYTES = 65_536
"""How much is waited for until a head has ended; the parser decides on a longer one."""

_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
_END_OF_HEAD = re.compile(rb"\n\r?\n")
_CHUNKED = re.compile(rb"\ntransfer-encoding:[^\n]*\bchunked[ \t]*\r?\n", re.IGNORECASE)
_LENGTH = re.compile(rb"\ncontent-length:[^\n]*", re.IGNORECASE)


class LenientResponseHandler(ResponseHandler):
    """Reads answers, also those with a length beside a chunked body.

    RFC 9112, section 6.3: the chunks count then. The HTTP client refuses such an answer, because a proxy in between may
    have taken it for another one, so the connection is not used again.

    Attributes:
        reads_head: Whether the head of an answer is expected. Whoever takes the connection for a request sets it.
        was_used: Whether a request has been sent on it before.
    """

    reads_head = False
    was_used = False
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

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Go on reading where it was paused.

        The client asks for it after each piece that is taken, paused or not, and gives its parser an empty piece then.
        """
        if self._reading_paused:
            super().resume_reading(resume_parser)

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


class ConnectionPool(aiohttp.TCPConnector):
    """Connections of one event loop, of which each carries one request at a time.

    Args:
        tls: The certificates; None takes the system's.
    """

    def __init__(self, tls: SSLContext | None) -> None:
        super().__init__(limit=0, keepalive_timeout=KEEPALIVE_SECONDS, ssl=True if tls is None else tls)
        handler: type[ResponseHandler] = LenientResponseHandler
        self._factory = partial(handler, loop=self._loop)

    async def take(self, request: aiohttp.ClientRequest, *, new: bool = False) -> tuple[Connection, bool]:
        """Return a connection for a request, and whether another was sent on it before.

        What came while a connection was idle belongs to no request, so it is closed then.

        Args:
            request: Says where it goes.
            new: Take no connection that has carried a request.

        Raises:
            aiohttp.ClientError: there is no way to the server.
        """
        while True:
            connection = await self._connected(request)
            protocol = connection.protocol
            assert isinstance(protocol, LenientResponseHandler)  # noqa: S101  # the pool makes no other
            was_used = protocol.was_used
            if not was_used or not (new or protocol.should_close):
                protocol.reads_head = protocol.was_used = True
                return connection, was_used
            connection.close()

    async def _connected(self, request: aiohttp.ClientRequest) -> Connection:
        try:
            return await self.connect(request, [], _TIMEOUT)
        except aiohttp.ClientError:
            raise
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError from error
        except OSError as error:
            raise aiohttp.ClientOSError(*error.args) from error
