"""The reading side of a connection to a model server, which takes what other HTTP clients take."""

from __future__ import annotations

import re

from aiohttp.client_proto import ResponseHandler

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
        super().data_received(data)

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
