"""Splits a streamed answer into lines while its bytes come in, and bounds what is kept of it."""

from __future__ import annotations

from unified_agents.errors import BadResponseError
from unified_agents.wire.protocols.chat_completions_fields import MAX_ANSWER_BYTES, MAX_LINE_BYTES


class StreamLines:
    """The lines of a stream, however its bytes are cut."""

    __slots__ = ("_chunks", "_ends_with_return", "_rest", "_rest_size", "_size")

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._size = 0
        self._rest: list[bytes] = []  # the line that has not ended
        self._rest_size = 0
        self._ends_with_return = False

    @property
    def raw(self) -> bytes:
        """All bytes that have come so far."""
        return b"".join(self._chunks)

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take in bytes, and return the lines that they complete.

        Raises:
            BadResponseError: the stream or a line of it is too long; a stream that is too long is kept no further.
        """
        self._size += len(chunk)
        if self._size > MAX_ANSWER_BYTES:
            raise BadResponseError(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
        self._chunks.append(chunk)
        if self._ends_with_return or b"\r" in chunk:
            chunk = self._with_newlines(chunk)
        lines = chunk.split(b"\n")
        if self._rest and len(lines) > 1:
            self._rest.append(lines[0])
            lines[0], self._rest, self._rest_size = b"".join(self._rest), [], 0
        if rest := lines.pop():
            self._rest.append(rest)
            self._rest_size += len(rest)
            if self._rest_size > MAX_LINE_BYTES:
                raise BadResponseError(f"a line of the streamed answer is longer than {MAX_LINE_BYTES} bytes")
        return lines

    def _with_newlines(self, chunk: bytes) -> bytes:
        """Write each line break as a newline: server-sent events may also have a carriage return, or both (WHATWG)."""
        if self._ends_with_return:
            chunk = chunk.removeprefix(b"\n")
        self._ends_with_return = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def last(self) -> bytes:
        """Return the last line, which no line break ended, once the stream has ended."""
        rest, self._rest = b"".join(self._rest), []
        return rest
