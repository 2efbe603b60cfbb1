"""A tool called by itself, without an agent and without a run: by our rules and in our words."""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import uuid
from collections.abc import Mapping
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
    context = ToolContext(run_id="", call_id=uuid.uuid4().hex, step=0, tool=tool.name)
    return await carry_out(tool, _text(tool, arguments), context)


def call_tool_sync(tool: Tool, arguments: Mapping[str, Any]) -> tuple[str, tuple[Part, ...]]:
    """`call_tool`, for code that is not asynchronous. Also works where an event loop is running, and blocks it."""
    return run_in_background(lambda: call_tool(tool, arguments))


async def carry_out(tool: Tool, arguments: str, context: ToolContext) -> tuple[str, tuple[Part, ...]]:
    """`call_tool`, with JSON text and a context of the caller's; raises as it does."""
    try:
        keywords = tool.validate(arguments)
    except InvalidInputError as error:
        raise _invalid(tool, error.problems) from error
    value = await _bounded(tool, tool.arguments_for(keywords, context))
    try:
        return to_content(value, tool.max_result_chars)
    except ToolFailedError as error:
        raise ToolFailedError(wording.unusable_result(tool.name, str(error))) from error


def _text(tool: Tool, arguments: Mapping[str, Any]) -> str:
    try:
        return json.dumps(dict(arguments))
    except (TypeError, ValueError) as error:
        raise _invalid(tool, (f"arguments: must be JSON values: {error}",)) from error


def _invalid(tool: Tool, problems: tuple[str, ...]) -> InvalidInputError:
    return InvalidInputError(wording.invalid_arguments(tool.name, problems), problems=problems)


async def _bounded(tool: Tool, keywords: dict[str, Any]) -> Any:
    try:
        async with asyncio.timeout(tool.timeout) as clock:
            if tool.is_async:
                return await tool.handler(**keywords)
            value = await _threads.call(functools.partial(tool.handler, **keywords))
            return await value if inspect.isawaitable(value) else value
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise _failed(tool, error) from error  # something inside the tool was cancelled, not the tool
    except TimeoutError as error:
        if clock.expired() and tool.timeout is not None:
            raise ToolTimeoutError(wording.tool_timed_out(tool.name, tool.timeout)) from error
        raise _failed(tool, error) from error
    except ToolFailedError:
        raise  # the handler has said itself what the model shall read
    except (Exception, SystemExit) as error:
        raise _failed(tool, error) from error


def _failed(tool: Tool, error: BaseException) -> ToolFailedError:
    return ToolFailedError(wording.tool_failed(tool.name, error), native_type=native_name(error))
