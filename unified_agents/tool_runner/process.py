"""Tools in a process of their own, which is killed when it is not wanted any more."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import orjson

from unified_agents import wording
from unified_agents.errors import RateLimited, ToolFailedError, Transient
from unified_agents.messages import JsonObject
from unified_agents.tool_runner.process_worker import LENGTH, find_handler
from unified_agents.tools.definition import Tool, ToolContext

_START = "import sys; sys.path[:] = {path!r}; from unified_agents.tool_runner.process_worker import main; main()"
_NO_CONTEXT = ToolContext(run_id="", call_id="", step=0, tool="")
_LEAVE = 1.0
"""Seconds that a process gets to end by itself, once its result is there."""


_DIE = 5.0
"""Seconds after which a killed process is not waited for any more; it may hang in a call of the system's."""


async def in_process(tool: Tool, arguments: JsonObject | str, context: ToolContext) -> str:
    """Carry out a call in a new process, which is gone when this returns or raises.

    Args:
        tool: What to run.
        arguments: The arguments as JSON text, of which the handler's types are built there; or as values, which its
            handler takes as they are.
        context: What the tool may know of the call. Progress that it reports is told nobody.

    Returns:
        The result's text.

    Raises:
        ToolFailedError: the tool raised, cannot be found there, or its process ended before it gave a result. Where it
            asks to be tried again, that is its cause.
    """
    _check(tool)
    asked = orjson.dumps(_question(tool, arguments, context))
    async with _started() as process:
        process.write(LENGTH.pack(len(asked)) + asked)
        answer = await process.answer()
        if answer is None:
            raise ToolFailedError(wording.tool_process_ended(tool.name, await process.exit_code()))
        process.hang_up()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.exit_code(), _LEAVE)
    return _result(tool, orjson.loads(answer))


def _check(tool: Tool) -> None:
    """Raise where the name would lead to another function."""
    handler = tool.handler
    where = f"{handler.__module__}:{handler.__qualname__}"
    try:
        found = find_handler(handler.__module__, handler.__qualname__)
    except (ImportError, AttributeError) as error:
        raise ToolFailedError(wording.tool_not_importable(tool.name, where)) from error
    if found is not handler and found != handler:
        raise ToolFailedError(wording.tool_not_importable(tool.name, where))


def _question(tool: Tool, arguments: JsonObject | str, context: ToolContext) -> JsonObject:
    return {
        "module": tool.handler.__module__,
        "qualname": tool.handler.__qualname__,
        "tool": tool.name,
        "arguments": arguments,
        "coercion": tool.coercion,
        "context": list(tool.arguments_for({}, _NO_CONTEXT)),
        "run_id": context.run_id,
        "call_id": context.call_id,
        "step": context.step,
    }


@asynccontextmanager
async def _started() -> AsyncIterator[_Process]:
    _, process = await asyncio.get_running_loop().subprocess_exec(
        _Process,
        sys.executable,
        "-c",
        _START.format(path=sys.path),
        stderr=None,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        await process.end()


class _Process(asyncio.SubprocessProtocol):
    """The process of one call, and what it says."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._said = bytearray()
        self._silent: asyncio.Future[None] = loop.create_future()
        self._exited: asyncio.Future[None] = loop.create_future()
        self._gone: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It has started."""
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """It says something."""
        self._said += data
        if self._answer() is not None:
            _done(self._silent)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """It says no more."""
        if fd == 1:
            _done(self._silent)

    def process_exited(self) -> None:
        """It has ended."""
        _done(self._exited)

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended, and its pipes are closed."""
        _done(self._gone)

    def write(self, data: bytes) -> None:
        """Tell it something."""
        cast("asyncio.WriteTransport", self._transport.get_pipe_transport(0)).write(data)

    def hang_up(self) -> None:
        """Tell it no more."""
        cast("asyncio.WriteTransport", self._transport.get_pipe_transport(0)).close()

    async def answer(self) -> bytes | None:
        """What it answers; None when it ends without an answer."""
        await asyncio.wait([self._silent])
        return self._answer()

    async def exit_code(self) -> int:
        """Its exit code, once it has ended; negative for a signal."""
        await asyncio.wait([self._exited])
        return self._transport.get_returncode() or 0

    async def end(self) -> None:
        """Kill it, with what it has started, unless it has ended; and see that nothing of it is left."""
        if self._transport.get_returncode() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._transport.get_pid(), signal.SIGKILL)
        self._transport.close()
        await _kept_waiting(self._gone)

    def _answer(self) -> bytes | None:
        if len(self._said) < LENGTH.size:
            return None
        end = LENGTH.size + LENGTH.unpack_from(self._said)[0]
        return bytes(self._said[LENGTH.size : end]) if len(self._said) >= end else None


async def _kept_waiting(future: asyncio.Future[None]) -> None:
    """Wait for what comes at once, also when cancelled meanwhile: the cancel is raised afterwards."""
    cancelled: asyncio.CancelledError | None = None
    loop = asyncio.get_running_loop()
    end = loop.time() + _DIE
    while not future.done() and loop.time() < end:
        try:
            await asyncio.wait([future], timeout=end - loop.time())
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _result(tool: Tool, answer: dict[str, Any]) -> str:
    if "error" not in answer:
        return str(answer["text"])
    text, kind = answer["text"], answer["error"]
    cause = None
    if answer["is_transient"]:
        seconds = answer["retry_after"]
        cause = Transient(text) if kind != "RateLimited" else RateLimited(text, retry_after=seconds)
    told = wording.tool_process_failed(tool.name, kind, text)
    raise ToolFailedError(told, native_type=answer["native_type"]) from cause
