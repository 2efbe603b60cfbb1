"""A tool called by itself, without an agent and without a run: by our rules and in our words."""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import uuid
from collections.abc import Mapping
from contextvars import copy_context
from typing import Any

from unified_agents import wording
from unified_agents.errors import InvalidInputError, ToolFailedError, ToolTimeoutError, native_name
from unified_agents.run.background import run_in_background
from unified_agents.run.threads import DaemonThreads
from unified_agents.tools.content import to_content
from unified_agents.tools.definition import Tool, ToolContext
from unified_agents.tools.parts import Part

_threads = DaemonThreads(name="unified-agents-standalone-tool")


async def call_tool(tool: Tool, arguments: Mapping[str, Any]) -> tuple[str, tuple[Part, ...]]:
    """Validate the arguments, run the tool, and tell its result as a model reads it.

    A synchronous tool runs in a thread of ours. The tool's `ToolContext` has an empty `run_id`.

    Args:
        tool: What is called.
        arguments: JSON values.

    Returns:
        The text, in which images and files are described; and the parts, empty where text says it all.

    Raises:
        InvalidInputError: the arguments do not fit, and the tool was not run.
        ToolTimeoutError: it took longer than its `timeout`.
        ToolFailedError: it raised, or its result has no JSON form.
    """
    try:
        keywords = tool.validate(_text(tool, arguments))
    except InvalidInputError as error:
        text = wording.invalid_arguments(tool.name, error.problems)
        raise InvalidInputError(text, problems=error.problems) from error
    context = ToolContext(run_id="", call_id=uuid.uuid4().hex, step=0, tool=tool.name)
    value = await _bounded(tool, tool.arguments_for(keywords, context))
    try:
        return to_content(value, tool.max_result_chars)
    except ToolFailedError as error:
        raise ToolFailedError(wording.unusable_result(tool.name, str(error))) from error


def call_tool_sync(tool: Tool, arguments: Mapping[str, Any]) -> tuple[str, tuple[Part, ...]]:
    """`call_tool`, for code that is not asynchronous. Also works where an event loop is running, and blocks it."""
    return run_in_background(lambda: call_tool(tool, arguments))


def _text(tool: Tool, arguments: Mapping[str, Any]) -> str:
    try:
        return json.dumps(dict(arguments))
    except (TypeError, ValueError) as error:
        raise InvalidInputError("", problems=(f"arguments: must be JSON values: {error}",)) from error


async def _bounded(tool: Tool, keywords: dict[str, Any]) -> Any:
    try:
        async with asyncio.timeout(tool.timeout) as clock:
            if tool.is_async:
                return await tool.handler(**keywords)
            work = functools.partial(copy_context().run, _call, functools.partial(tool.handler, **keywords))
            future = _threads.submit(work)
            try:
                value = await asyncio.wrap_future(future)
            except asyncio.CancelledError:
                if future.running():
                    _threads.abandon()
                raise
            return await value if inspect.isawaitable(value) else value
    except TimeoutError as error:
        if clock.expired() and tool.timeout is not None:
            raise ToolTimeoutError(wording.tool_timed_out(tool.name, tool.timeout)) from error
        raise _failed(tool, error) from error
    except ToolFailedError:
        raise  # the handler has said itself what the model shall read
    except Exception as error:
        raise _failed(tool, error) from error


def _call(function: functools.partial[Any]) -> Any:
    try:
        return function()
    except StopIteration as error:
        raise RuntimeError("the tool raised StopIteration") from error  # a future cannot carry it


def _failed(tool: Tool, error: BaseException) -> ToolFailedError:
    return ToolFailedError(wording.tool_failed(tool.name, error), native_type=native_name(error))
