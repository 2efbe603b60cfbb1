"""Isolated tools: each call in a process of its own, which is killed when it is no longer wanted."""

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
from unified_agents.tools.signature import NO_CONTEXT

_START = "import sys; sys.path[:] = {path!r}; from unified_agents.tool_runner.process_worker import main; main()"
EXIT_SECONDS = 1.0
"""How long a process may take to end by itself, once its result is there."""
KILL_SECONDS = 5.0
"""How long a killed process is waited for; it may hang in a system call."""


async def in_process(tool: Tool, arguments: JsonObject | str, context: ToolContext) -> str:
    """Carry out a call in a new process, which is gone when this returns or raises.

    Args:
        tool: What to run.
        arguments: The arguments as JSON text, of which the handler's types are built there; or as values, which its
            handler takes as they are.
        context: What the tool may know of the call. Progress that it reports is lost.

    Returns:
        The text of the result.

    Raises:
        ToolFailedError: the tool raised, cannot be found there, or its process ended before it gave a result. Where it
            asks to be tried again, that is its cause.
    """
    _check_importable(tool)
    request = orjson.dumps(_request(tool, arguments, context))
    async with _running_process() as process:
        process.write(LENGTH.pack(len(request)) + request)
        answer = await process.answer()
        if answer is None:
            raise ToolFailedError(wording.tool_process_ended(tool.name, await process.exit_code()))
        process.close_input()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.exit_code(), EXIT_SECONDS)
    return _result(tool, orjson.loads(answer))


def _check_importable(tool: Tool) -> None:
    """Refuse a handler whose name leads to another function."""
    handler = tool.handler
    where = f"{handler.__module__}:{handler.__qualname__}"
    try:
        found = find_handler(handler.__module__, handler.__qualname__)
    except (ImportError, AttributeError) as error:
        raise ToolFailedError(wording.tool_not_importable(tool.name, where)) from error
    if found is not handler and found != handler:
        raise ToolFailedError(wording.tool_not_importable(tool.name, where))


def _request(tool: Tool, arguments: JsonObject | str, context: ToolContext) -> JsonObject:
    return {
        "module": tool.handler.__module__,
        "qualname": tool.handler.__qualname__,
        "tool": tool.name,
        "arguments": arguments,
        "coercion": tool.coercion,
        "context": list(tool.arguments_for({}, NO_CONTEXT)),
        "run_id": context.run_id,
        "call_id": context.call_id,
        "step": context.step,
    }


@asynccontextmanager
async def _running_process() -> AsyncIterator[_Process]:
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
    """The process of one call, as asyncio's protocol for it."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._output = bytearray()
        self._answered: asyncio.Future[None] = loop.create_future()
        self._exited: asyncio.Future[None] = loop.create_future()
        self._closed: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport of the process, which has started."""
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Collect the child's standard output until the answer is whole."""
        self._output += data
        if self._answer() is not None:
            _set_done(self._answered)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """Note the end of the child's standard output."""
        if fd == 1:
            _set_done(self._answered)

    def process_exited(self) -> None:
        """Note that the process has ended."""
        _set_done(self._exited)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the process has ended and its pipes are closed."""
        _set_done(self._closed)

    def write(self, data: bytes) -> None:
        """Write to the child's standard input."""
        cast("asyncio.WriteTransport", self._transport.get_pipe_transport(0)).write(data)

    def close_input(self) -> None:
        """Close the child's standard input."""
        cast("asyncio.WriteTransport", self._transport.get_pipe_transport(0)).close()

    async def answer(self) -> bytes | None:
        """Wait for the answer; None when the process ends without one."""
        await asyncio.wait([self._answered])
        return self._answer()

    async def exit_code(self) -> int:
        """Wait for the exit code, which is negative for a signal."""
        await asyncio.wait([self._exited])
        return self._transport.get_returncode() or 0

    async def end(self) -> None:
        """Kill the process and all that it has started in its group, and wait until its pipes are closed.

        A child outlives the call only if it was started in a session of its own.
        """
        with contextlib.suppress(ProcessLookupError, PermissionError):  # the group is empty
            os.killpg(self._transport.get_pid(), signal.SIGKILL)
        self._transport.close()
        await _wait_through_cancel(self._closed)

    def _answer(self) -> bytes | None:
        if len(self._output) < LENGTH.size:
            return None
        end = LENGTH.size + LENGTH.unpack_from(self._output)[0]
        return bytes(self._output[LENGTH.size : end]) if len(self._output) >= end else None


async def _wait_through_cancel(future: asyncio.Future[None]) -> None:
    """Wait for what comes soon, also when cancelled meanwhile: the cancel is raised afterwards."""
    cancelled: asyncio.CancelledError | None = None
    loop = asyncio.get_running_loop()
    end = loop.time() + KILL_SECONDS
    while not future.done() and loop.time() < end:
        try:
            await asyncio.wait([future], timeout=end - loop.time())
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


def _set_done(future: asyncio.Future[None]) -> None:
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
    message = wording.tool_process_failed(tool.name, kind, text)
    raise ToolFailedError(message, native_type=answer["native_type"]) from cause
