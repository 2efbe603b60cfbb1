"""Calls of a tool by itself, without an agent and a run, under the same rules and with the same messages."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from unified_agents import wording
from unified_agents.concurrency.background_loop import run_in_background
from unified_agents.errors import ToolCallError
from unified_agents.run.calls import ToolOutcome
from unified_agents.tool_runner.attempt import Attempt
from unified_agents.tool_runner.input_output import accept_arguments, invalid_arguments, read_result
from unified_agents.tools.decorator import as_tool
from unified_agents.tools.definition import Tool, ToolContext
from unified_agents.tools.parts import Part


async def call_tool(tool: Tool, arguments: Mapping[str, Any]) -> tuple[str, tuple[Part, ...]]:
    """Validate the arguments, run the tool, and return its result as a model reads it.

    A synchronous tool runs in a thread of ours, an isolated one in a process of its own; an exclusive one waits for its
    turn, which it shares with the tools of runs. The tool's `ToolContext` has an empty `run_id`. It is tried once, also
    where it is idempotent.

    Args:
        tool: What is called.
        arguments: JSON values.

    Returns:
        The text, in which images and files are described; and the parts, empty where text says it all.

    Raises:
        InvalidInputError: the arguments do not fit, and the tool was not run.
        ToolTimeoutError: it took longer than its `timeout`.
        ToolFailedError: it raised, its result has no JSON form, or its turn did not come: see `exclusive`.
    """
    context = ToolContext(run_id="", call_id=uuid.uuid4().hex, step=0, tool=tool.name)
    return await carry_out(tool, _text(tool, arguments), context)


def call_tool_sync(tool: Tool, arguments: Mapping[str, Any]) -> tuple[str, tuple[Part, ...]]:
    """Do the same as `call_tool` in code that is not asynchronous; where an event loop is running, this blocks it."""
    return run_in_background(lambda: call_tool(tool, arguments))


async def try_tool(
    tool: Callable[..., Any],
    arguments: str | Mapping[str, Any] = "{}",
    *,
    dependencies: object = None,
    on_progress: Callable[[float, float | None, str], None] | None = None,
) -> ToolOutcome:
    """Call a tool as a model would, without a model, to try or to test it.

    The arguments are validated, the tool runs under its options, once, and the outcome holds what the model would read,
    also where the call fails. Calling the tool itself, as in `tool(2, 3)`, goes past all of that.

    Args:
        tool: A tool, or whatever else `create_agent` takes as one, such as a typed function.
        arguments: JSON text as a model writes it, or JSON values.
        dependencies: What the tool gets as `ToolContext.dependencies`.
        on_progress: Called with what the tool reports by `ToolContext.report_progress`.

    Raises:
        ToolDefinitionError: it cannot be a tool.
    """
    made = as_tool(tool)
    context = ToolContext("", uuid.uuid4().hex, 0, made.name, on_progress, dependencies)
    try:
        text = arguments if isinstance(arguments, str) else _text(made, arguments)
        content, parts = await carry_out(made, text, context)
    except ToolCallError as error:
        return ToolOutcome(str(error), is_error=True)
    return ToolOutcome(content, parts=parts)


def try_tool_sync(
    tool: Callable[..., Any],
    arguments: str | Mapping[str, Any] = "{}",
    *,
    dependencies: object = None,
    on_progress: Callable[[float, float | None, str], None] | None = None,
) -> ToolOutcome:
    """Do the same as `try_tool` in code that is not asynchronous; where an event loop is running, this blocks it."""
    return run_in_background(lambda: try_tool(tool, arguments, dependencies=dependencies, on_progress=on_progress))


async def carry_out(tool: Tool, arguments: str, context: ToolContext) -> tuple[str, tuple[Part, ...]]:
    """Do the same as `call_tool`, with JSON text and a context of the caller's; raises as it does."""
    keywords = accept_arguments(tool, arguments).arguments
    return read_result(tool, await Attempt(tool, keywords, arguments, context).result())


def _text(tool: Tool, arguments: Mapping[str, Any]) -> str:
    try:
        return json.dumps(dict(arguments))
    except (TypeError, ValueError) as error:
        raise invalid_arguments(tool.name, [wording.no_json_values(str(error))]) from error
