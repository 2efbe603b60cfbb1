"""What is learnt of an MCP server's process beside the protocol: its end, and its error output."""

from __future__ import annotations

import asyncio
import collections
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, TextIO

from anyio import EndOfStream
from anyio.abc import ObjectReceiveStream

if TYPE_CHECKING:
    from mcp.client._transport import ReadStream
    from mcp.shared.message import SessionMessage

    from unified_agents.redaction.redactor import Redactor

logger = logging.getLogger("unified_agents.tools.mcp")

_MAX_LINES = 5
_MAX_CHARS = 300
_MAX_LINE_BYTES = 8_192
_LAST_LINES_SECONDS = 0.2


class WatchedStream(ObjectReceiveStream["SessionMessage | Exception"]):
    """A stream of messages that reports its end, and what came in the place of a message.

    Args:
        stream: The transport's own.
        on_end: Called once nothing more will come.
        on_fault: Called with what came in the place of a message.
        on_message: Called with each message, which it may change, before anybody reads it.
    """

    def __init__(
        self,
        stream: ReadStream[SessionMessage | Exception],
        on_end: Callable[[], None],
        on_fault: Callable[[Exception], None],
        on_message: Callable[[SessionMessage], None],
    ) -> None:
        self._stream = stream
        self._on_end = on_end
        self._on_fault = on_fault
        self._on_message = on_message

    @property
    def last_context(self) -> object:
        """The sender's context, where the transport keeps it."""
        return getattr(self._stream, "last_context", None)

    async def receive(self) -> SessionMessage | Exception:
        """Return the next message."""
        try:
            message = await self._stream.receive()
        except EndOfStream:
            self._on_end()
            raise
        if isinstance(message, Exception):
            self._on_fault(message)
        else:
            self._on_message(message)
        return message

    async def aclose(self) -> None:
        """Close the stream."""
        await self._stream.aclose()


class ErrorOutput:
    """The error output of a server's process: logged line by line, the last lines kept for error messages.

    Args:
        label: The server's name.
        redactor: Takes secrets out.
    """

    def __init__(self, label: str, redactor: Redactor) -> None:
        self._label = label
        self._redactor = redactor
        self._lines: collections.deque[str] = collections.deque(maxlen=_MAX_LINES)
        self._write_end: TextIO | None = None
        self._done: Future[None] = Future()

    def open(self) -> TextIO:
        """Return a file for the process to write to, and begin to read what it writes."""
        read, write = os.pipe()
        self._write_end = os.fdopen(write, "w")
        # A thread, because event loops cannot wait for plain pipes everywhere. It ends with the process.
        self._done.set_running_or_notify_cancel()  # so that waiting for it cannot cancel it
        threading.Thread(target=self._read, args=(read,), name="unified-agents-mcp-stderr", daemon=True).start()
        return self._write_end

    def started(self) -> None:
        """Close our own end of the file, once the process has it, so that reading ends with the process."""
        if self._write_end is not None:
            self._write_end.close()

    async def close(self) -> None:
        """End the output; the last lines are given a moment to arrive."""
        self.started()
        if self._done.running():
            await asyncio.wait([asyncio.wrap_future(self._done)], timeout=_LAST_LINES_SECONDS)

    def tail(self) -> str:
        """Return the last lines as one, without secrets; empty when there are none."""
        return " | ".join(self._lines)[-_MAX_CHARS:]

    def _read(self, descriptor: int) -> None:
        with os.fdopen(descriptor, "rb") as lines:
            # A line without an end comes in pieces of this size.
            while line := lines.readline(_MAX_LINE_BYTES):
                if text := self._redactor.redact(line.decode("utf-8", "replace").strip()):
                    self._lines.append(text)
                    logger.debug("%s: %s", self._label, text)
        self._done.set_result(None)
