"""Reads a stream of server-sent events whose data are JSON, in the shapes that model servers give it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from unified_agents.errors import BadResponseError
from unified_agents.redaction.redactor import StreamRedactor
from unified_agents.wire.protocols.chat_completions_fields import decode_json, excerpt
from unified_agents.wire.protocols.stream_lines import StreamLines

DONE = "[DONE]"
"""The value of the event with which some servers end a stream."""
BARE_LINE = "{"
"""The name of a line with a JSON object that stands outside of any event: a server that breaks off says there why."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class ServerSentEvent(NamedTuple):
    """One event of a stream.

    Attributes:
        name: What `event:` calls it; empty where it has no name, `BARE_LINE` where it is no event at all.
        value: Its data, parsed; `DONE` where they are `[DONE]`.
        data: Its data as they came.
    """

    name: str
    value: Any
    data: bytes


class EventReader:
    """Splits a stream into its events while the bytes come in, however they are cut.

    An event ends with the line that completes its JSON, so that one is never held back for the empty line after it.

    Args:
        redactor: Takes secrets out of what an error quotes.

    Attributes:
        has_events: Whether any event has come; without one, the answer may be a whole body.
        is_lenient: Whether an event was JSON for a lenient reader only, so that its texts may hold half characters.
    """

    __slots__ = ("_event_lines", "_lines", "_name", "_redactor", "has_events", "is_lenient")

    def __init__(self, redactor: StreamRedactor | None = None) -> None:
        self.has_events = False
        self.is_lenient = False
        self._redactor = redactor
        self._lines = StreamLines()
        self._event_lines: list[bytes] = []  # of an event whose JSON stands on several lines
        self._name = ""

    @property
    def raw(self) -> bytes:
        """All bytes that have come so far."""
        return self._lines.raw

    def feed(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        """Take in bytes, and yield the events that they complete; what is not asked for is not read.

        Raises:
            BadResponseError: the stream or a line of it is too long, or an event is not JSON.
        """
        for line in self._lines.feed(chunk):
            # Nearly all lines are one of these three; a method for each would take a third of the time.
            if self._event_lines:
                event = self._line(line)
            elif line.startswith(b"data: {"):
                data = line[6:]
                try:
                    event = ServerSentEvent(self._name, orjson.loads(data), data)
                    self.has_events = True
                except orjson.JSONDecodeError:
                    event = self._line(line)
            elif line.startswith(b"event: "):
                self._name = str(line[7:], "utf-8", "replace").strip()
                continue
            elif not line:
                self._name = ""
                continue
            else:
                event = self._line(line)
            if event is not None:
                yield event

    def end(self) -> Iterator[ServerSentEvent]:
        """Yield what stands in a last line that was not ended.

        Raises:
            BadResponseError: an event is not JSON.
        """
        for line in (self._lines.last(), b""):
            event = self._line(line)
            if event is not None:
                yield event

    def excerpt(self, data: bytes) -> str:
        """Return the beginning of an event for a message, without secrets."""
        text = data.decode("utf-8", "replace")
        return excerpt((text if self._redactor is None else self._redactor.redact(text)).encode())

    def _line(self, line: bytes) -> ServerSentEvent | None:
        line = line.strip()
        if line.startswith(_BYTE_ORDER_MARK):
            line = line.removeprefix(_BYTE_ORDER_MARK).strip()
        if line.startswith(b"data:"):
            return self._data(line[5:].strip())
        if not line:
            event = self._several_lines() if self._event_lines else None
            self._name = ""
            return event
        if line.startswith(b"event:"):
            self._name = line[6:].strip().decode("utf-8", "replace")
        elif line.startswith(b"{") and self.has_events:
            return _bare_line(line)
        return None

    def _data(self, data: bytes) -> ServerSentEvent | None:
        if self._event_lines:
            if data == DONE.encode():
                return self._several_lines()
            self._event_lines.append(data)
            return None
        if not data:
            return None
        if data == DONE.encode():
            return self._event(DONE, data)
        try:
            value = orjson.loads(data)
        except orjson.JSONDecodeError:
            try:
                value = decode_json(data)
            except ValueError:
                self._event_lines.append(data)  # its end may stand on the next line
                return None
            self.is_lenient = True
        return self._event(value, data)

    def _several_lines(self) -> ServerSentEvent:
        data, self._event_lines = b"\n".join(self._event_lines), []
        try:
            value = decode_json(data)
        except ValueError as error:
            raise BadResponseError(f"a streamed event is not JSON: {self.excerpt(data)}") from error
        self.is_lenient = True
        return self._event(value, data)

    def _event(self, value: Any, data: bytes) -> ServerSentEvent:
        self.has_events = True
        return ServerSentEvent(self._name, value, data)


def _bare_line(line: bytes) -> ServerSentEvent | None:
    try:
        return ServerSentEvent(BARE_LINE, orjson.loads(line), line)
    except orjson.JSONDecodeError:
        return None
