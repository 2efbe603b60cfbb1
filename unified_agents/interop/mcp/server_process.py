"""What an MCP server's process says beside the protocol: that it ended, and what it wrote to its error output."""

from __future__ import annotations

import asyncio
import collections
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

if TYPE_CHECKING:
    from mcp.client._transport import ReadStream
    from mcp.shared.message import SessionMessage

    from unified_agents.interop.mcp.results import Redaction

logger = logging.getLogger("unified_agents.tools.mcp")

_LINES = 5
_LONGEST = 300
_LAST_WORDS = 0.2


class WatchedStream:
    """A stream of messages that tells when it has ended.

    Args:
        stream: The transport's own.
        on_end: Called once nothing more will come.
        on_fault: Called with what came in the place of a message.
    """

    def __init__(
        self,
        stream: ReadStream[SessionMessage | Exception],
        on_end: Callable[[], None],
        on_fault: Callable[[Exception], None],
    ) -> None:
        self._stream = stream
        self._on_end = on_end
        self._on_fault = on_fault

    @property
    def last_context(self) -> object:
        """The sender's context, where the transport keeps it."""
        return getattr(self._stream, "last_context", None)

    async def receive(self) -> SessionMessage | Exception:
        """The next message."""
        return await self._stream.receive()

    async def aclose(self) -> None:
        """Receive nothing more."""
        await self._stream.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            message = await self._stream.__anext__()
        except StopAsyncIteration:
            self._on_end()
            raise
        if isinstance(message, Exception):
            self._on_fault(message)
        return message

    async def __aenter__(self) -> Self:
        await self._stream.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._stream.__aexit__(kind, error, trace)


class ErrorOutput:
    """The error output of a server's process: logged line by line, the last lines kept for error messages.

    Args:
        label: The server's name.
        redact: Takes secrets out.
    """

    def __init__(self, label: str, redact: Redaction) -> None:
        self._label = label
        self._redact = redact
        self._lines: collections.deque[str] = collections.deque(maxlen=_LINES)
        self._ours: TextIO | None = None
        self._done: Future[None] = Future()

    def open(self) -> TextIO:
        """A file for the process to write to."""
        read, write = os.pipe()
        self._ours = os.fdopen(write, "w")
        # A thread, because event loops cannot wait for plain pipes everywhere. It ends with the process.
        self._done.set_running_or_notify_cancel()  # so that waiting for it cannot cancel it
        threading.Thread(target=self._read, args=(read,), name="unified-agents-mcp-stderr", daemon=True).start()
        return self._ours

    def started(self) -> None:
        """The process has the file: our own end is closed, so that reading ends with the process."""
        if self._ours is not None:
            self._ours.close()

    async def close(self) -> None:
        """Nothing more is written; gives the last lines a moment to arrive."""
        self.started()
        if self._done.running():
            await asyncio.wait([asyncio.wrap_future(self._done)], timeout=_LAST_WORDS)

    def last(self) -> str:
        """The last lines as one, without secrets; empty when there are none."""
        return " | ".join(self._lines)[-_LONGEST:]

    def _read(self, descriptor: int) -> None:
        with os.fdopen(descriptor, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if text := self._redact(line.strip()):
                    self._lines.append(text)
                    logger.debug("%s: %s", self._label, text)
        self._done.set_result(None)
