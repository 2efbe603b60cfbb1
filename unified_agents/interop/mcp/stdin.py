"""Standard input, read by a thread that does not keep the program alive."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

_BUFFER_BYTES = 65_536
_STDIN = 0


@contextmanager
def standard_input() -> Iterator[AsyncIterator[str]]:
    """Yield the lines of standard input, which meanwhile is empty for everybody else, such as a tool that reads it.

    The `mcp` SDK's own reader waits in a thread that an interrupt cannot end; this one's thread is a daemon.
    """
    descriptor = os.dup(_STDIN)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, _STDIN)
    os.close(nothing)
    lines: asyncio.Queue[bytes | None] = asyncio.Queue()
    reader = threading.Thread(
        target=_read, args=(descriptor, lines, asyncio.get_running_loop()), name="unified-agents-stdin", daemon=True
    )
    reader.start()
    try:
        yield _decode(lines)
    finally:
        os.dup2(descriptor, _STDIN)  # the copy stays open: the thread may still wait for it


async def _decode(lines: asyncio.Queue[bytes | None]) -> AsyncIterator[str]:
    while (line := await lines.get()) is not None:
        yield line.decode("utf-8", "replace")


def _read(descriptor: int, lines: asyncio.Queue[bytes | None], loop: asyncio.AbstractEventLoop) -> None:
    try:
        for line in os.fdopen(descriptor, "rb", _BUFFER_BYTES, closefd=False):
            loop.call_soon_threadsafe(lines.put_nowait, line)
        loop.call_soon_threadsafe(lines.put_nowait, None)
    except RuntimeError:  # the loop is closed: nobody waits for lines any more
        return
