"""Makes tools of functions: `@tool`, and plain typed functions that are given as tools."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, overload

from unified_agents.errors import ToolDefinitionError
from unified_agents.tools.coercion import Coercion
from unified_agents.tools.converters import find_converter
from unified_agents.tools.definition import DEFAULT_RESULT_CHARS, DEFAULT_TIMEOUT, Tool, _bound
from unified_agents.tools.options import Isolation, run_options
from unified_agents.tools.signature import plain_function


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

    Raises:
        ToolDefinitionError: the signature cannot be offered to a model; the message says what to change.
    """

    def make(function: Callable[..., Any]) -> Tool:
        made = _make(function, name, description, timeout)
        made._max_result_chars = _bound(made.name, max_result_chars)
        made._set_coercion(coercion)
        made._options = run_options(made.name, made.handler, idempotent, exclusive, isolate)
        return made

    return make if function is None else make(function)


def as_tool(value: object) -> Tool:
    """A tool as it is; or a plain typed function, or what a framework's adapter can convert, as a tool.

    Raises:
        ToolDefinitionError: it is none of these, or cannot be offered to a model.
    """
    if isinstance(value, Tool):
        return value
    return _make(value, refusal="is no tool: give a Tool or a typed function, or a tool of an installed framework")


def _make(
    value: object,
    name: str | None = None,
    description: str | None = None,
    timeout: float | None = DEFAULT_TIMEOUT,
    refusal: str = "is no function: decorate a typed function",
) -> Tool:
    if isinstance(value, Tool):
        raise ToolDefinitionError(f"{value!r} is a tool already: give its handler, or leave the decorator out")
    if not (inspect.isroutine(value) or inspect.isclass(value) or isinstance(value, functools.partial)):
        converter = find_converter(value)
        if converter is not None:
            return converter(value, name=name, description=description, timeout=timeout)
    if not callable(value):
        raise ToolDefinitionError(f"{value!r:.80} {refusal}")
    return Tool._from_function(value, name or _own_name(value), description, timeout)


def _own_name(function: Callable[..., Any]) -> str:
    name = str(getattr(plain_function(function), "__name__", ""))
    if name in {"", "<lambda>", "__call__"}:
        raise ToolDefinitionError(f"{function!r:.80} has no name of its own: give tool(…, name=…)")
    return name
