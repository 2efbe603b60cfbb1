"""Tools made of functions: `@tool`, and plain typed functions that are given as tools."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, overload

from unified_agents.errors import ToolDefinitionError
from unified_agents.tools.converters import find_converter
from unified_agents.tools.definition import Tool
from unified_agents.tools.options import (
    DEFAULT_RESULT_CHARS,
    DEFAULT_TIMEOUT,
    Approval,
    Coercion,
    Isolation,
    Recover,
    ToolOptions,
)
from unified_agents.tools.signature import plain_function

_DEFAULTS = ToolOptions()


@overload
def tool(
    function: Callable[..., Any],
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float | None = DEFAULT_TIMEOUT,
    max_result_chars: int | None = DEFAULT_RESULT_CHARS,
    coercion: Coercion = "strict",
    idempotent: bool = False,
    exclusive: str | None = None,
    isolate: Isolation | None = None,
    approval: Approval = "never",
    recover: Recover | None = None,
) -> Tool: ...


@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float | None = DEFAULT_TIMEOUT,
    max_result_chars: int | None = DEFAULT_RESULT_CHARS,
    coercion: Coercion = "strict",
    idempotent: bool = False,
    exclusive: str | None = None,
    isolate: Isolation | None = None,
    approval: Approval = "never",
    recover: Recover | None = None,
) -> Callable[[Callable[..., Any]], Tool]: ...


def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float | None = DEFAULT_TIMEOUT,
    max_result_chars: int | None = DEFAULT_RESULT_CHARS,
    coercion: Coercion = "strict",
    idempotent: bool = False,
    exclusive: str | None = None,
    isolate: Isolation | None = None,
    approval: Approval = "never",
    recover: Recover | None = None,
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Make a tool of a typed function, sync or async: `@tool` or `@tool(name=…, description=…, timeout=…)`.

    The annotations become the JSON Schema, the docstring (Google's, NumPy's or Sphinx' style) the descriptions. What
    `functools.partial` has bound by keyword is hidden from the model.

    A tool, a retriever or a query engine of a framework whose adapter is installed is taken too:
    `tool(retriever, name=…, description=…)`.

    Args:
        function: The function; None when options are given first.
        name: The tool's name; the function's own by default.
        description: What the model is told; the docstring by default.
        timeout: Seconds that a call may take; None leaves only the run's own clock.
        max_result_chars: Characters of its result that the model is told; None tells all.
        coercion: `strict` refuses an argument in the wrong JSON type; `lenient` takes "5" for an integer, and says so.
        idempotent: Whether running a call twice does no more than running it once; see `Tool`.
        exclusive: The name of a resource that only one tool at a time may use; see `Tool`.
        isolate: `process` runs each call in a new process, which is killed at the timeout; see `Tool`.
        approval: When somebody must approve a call: `always`, `never`, or a function of its arguments; see `Tool`.
        recover: Finds out what became of a call in flight when its process died; see `Tool`.

    Raises:
        ToolDefinitionError: the signature cannot be offered to a model; the message says what to change.
    """
    options = ToolOptions(timeout, max_result_chars, coercion, idempotent, exclusive, isolate, approval, recover)

    def make(function: Callable[..., Any]) -> Tool:
        if isinstance(function, Tool):
            raise ToolDefinitionError(f"{function!r} is a tool already: give its handler, or leave the decorator out")
        if (converted := _converted(function, name=name, description=description, timeout=timeout)) is not None:
            return converted.with_options(options)
        return _from_function(function, "is no function: decorate a typed function", name, description, options)

    return make if function is None else make(function)


def as_tool(value: object) -> Tool:
    """Return a tool as it is, and make one of a typed function or of what a framework's adapter can convert.

    Raises:
        ToolDefinitionError: it is none of these, or cannot be offered to a model.
    """
    if isinstance(value, Tool):
        return value
    return _converted(value, name=None, description=None, timeout=DEFAULT_TIMEOUT) or _from_function(
        value, "is no tool: give a Tool or a typed function, or a tool of an installed framework"
    )


def _converted(value: object, **arguments: Any) -> Tool | None:
    """Return a framework's object as a tool; None for a function, and where no adapter converts it."""
    if inspect.isroutine(value) or inspect.isclass(value) or isinstance(value, functools.partial):
        return None
    converter = find_converter(value)
    return None if converter is None else converter(value, **arguments)


def _from_function(
    value: object,
    refusal: str,
    name: str | None = None,
    description: str | None = None,
    options: ToolOptions = _DEFAULTS,
) -> Tool:
    if not callable(value):
        raise ToolDefinitionError(f"{value!r:.80} {refusal}")
    return Tool._from_function(value, name or _own_name(value), description, options)


def _own_name(function: Callable[..., Any]) -> str:
    name = str(getattr(plain_function(function), "__name__", ""))
    if name in {"", "<lambda>", "__call__"}:
        raise ToolDefinitionError(f"{function!r:.80} has no name of its own: give tool(…, name=…)")
    return name
