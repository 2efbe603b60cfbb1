"""Tools: a typed function, or a JSON Schema with a handler."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, overload

from unified_agents.errors import ToolDefinitionError
from unified_agents.messages import JsonObject
from unified_agents.tools.arguments import Arguments, FunctionArguments, SchemaArguments
from unified_agents.tools.schema import Docs, read_docstring
from unified_agents.tools.signature import ToolContext, is_async, plain_function, read_signature

__all__ = ["DEFAULT_TIMEOUT", "Tool", "ToolContext", "as_tool", "tool"]

DEFAULT_TIMEOUT = 60.0
"""Seconds that a tool may take when nothing else is said."""


class Tool:
    """Something that a model can call.

    This constructor takes a JSON Schema; `@tool` makes one from a typed function. A tool does not change once made.
    Calling it calls the handler, so a decorated function is used as before.

    Args:
        name: Any text that is not empty; what a provider does not accept is renamed on the wire.
        description: What the model is told of it.
        parameters: JSON Schema of the arguments: an object, draft 2020-12 where `$schema` says nothing else. It may
            refer to itself only: nothing is ever fetched. `format` is checked where the draft says so (up to 7).
        handler: Function or coroutine function. It gets the arguments as keywords, whatever their names, as the JSON
            values that the model gave; and the `ToolContext` in each parameter with that annotation.
        timeout: Seconds that a call may take; None leaves only the run's own clock.

    Raises:
        ToolDefinitionError: something does not fit; the message says what to change.
    """

    __slots__ = ("_arguments", "_description", "_docs", "_handler", "_is_async", "_name", "_parameters", "_timeout")

    def __init__(
        self,
        *,
        name: str,
        description: str = "",
        parameters: Mapping[str, Any],
        handler: Callable[..., Any],
        timeout: float | None = DEFAULT_TIMEOUT,
    ) -> None:
        self._fill(name, description, handler, timeout)
        self._arguments: Arguments = SchemaArguments(name, parameters, handler)

    @classmethod
    def _from_function(
        cls, handler: Callable[..., Any], name: str, description: str | None, timeout: float | None
    ) -> Tool:
        self = cls.__new__(cls)
        self._fill(name, description, handler, timeout)
        self._arguments = FunctionArguments(name, read_signature(handler, name))
        return self

    def _fill(self, name: str, description: str | None, handler: Callable[..., Any], timeout: float | None) -> None:
        if not isinstance(name, str) or not name:
            raise ToolDefinitionError(f"a tool's name must be a text that is not empty, not {name!r}: give name=…")
        if not isinstance(description, str | None):
            raise ToolDefinitionError(f"tool {name!r}: the description must be text, not {description!r:.80}")
        if not callable(handler):
            raise ToolDefinitionError(f"tool {name!r}: the handler must be callable, not {handler!r:.80}")
        if timeout is not None and not _is_seconds(timeout):
            raise ToolDefinitionError(f"tool {name!r}: timeout must be seconds above 0, or None, not {timeout!r:.80}")
        self._name = name
        self._description = description
        self._handler = handler
        self._timeout = timeout
        self._is_async = is_async(handler)
        self._docs: Docs | None = None
        self._parameters: JsonObject | None = None

    @property
    def name(self) -> str:
        """The tool's own name."""
        return self._name

    @property
    def description(self) -> str:
        """What the model is told: as given, or the docstring without its sections on parameters and results."""
        return self._read_docs().description if self._description is None else self._description

    @property
    def parameters(self) -> JsonObject:
        """The canonical JSON Schema of the arguments, with `type: object` and `properties`. Do not change it."""
        if self._parameters is None:
            self._parameters = self._arguments.schema(self._read_docs)
        return self._parameters

    @property
    def timeout(self) -> float | None:
        """Seconds that a call may take; None leaves only the run's own clock."""
        return self._timeout

    @property
    def handler(self) -> Callable[..., Any]:
        """The function itself."""
        return self._handler

    @property
    def is_async(self) -> bool:
        """Whether calling the handler gives a coroutine."""
        return self._is_async

    @property
    def is_schema_only(self) -> bool:
        """Whether it was made from a JSON Schema, so that its handler's signature says nothing of the arguments."""
        return isinstance(self._arguments, SchemaArguments)

    def validate(self, arguments: str) -> dict[str, Any]:
        """The keyword arguments for the handler.

        A function's types are built (models, enums, dates, …) and its defaults filled in; nothing is coerced, but a
        number such as `1.0` is an integer, as in JSON Schema. A schema tool gets the JSON values as they are.

        Args:
            arguments: JSON text as the model wrote it. Empty text is `{}`.

        Raises:
            InvalidInputError: it is no JSON object, says a key twice, or does not fit; `problems` has a line for each
                fault.
            ToolFailedError: a validator of the tool's own types broke down.
        """
        return self._arguments.validate(arguments)

    def arguments_for(self, arguments: Mapping[str, Any], context: ToolContext) -> dict[str, Any]:
        """Validated arguments, with the context in each parameter that asks for it."""
        return {**arguments, **dict.fromkeys(self._arguments.context, context)}

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the handler, past all checks."""
        return self._handler(*args, **kwargs)

    def __repr__(self) -> str:
        return f"Tool({self._name!r})"

    def _read_docs(self) -> Docs:
        if self._docs is None:
            self._docs = read_docstring(plain_function(self._handler).__doc__)
        return self._docs


@overload
def tool(
    function: Callable[..., Any],
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float | None = DEFAULT_TIMEOUT,
) -> Tool: ...


@overload
def tool(
    *, name: str | None = None, description: str | None = None, timeout: float | None = DEFAULT_TIMEOUT
) -> Callable[[Callable[..., Any]], Tool]: ...


def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float | None = DEFAULT_TIMEOUT,
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Make a tool of a typed function, sync or async: `@tool` or `@tool(name=…, description=…, timeout=…)`.

    The annotations become the JSON Schema, the docstring (Google's, NumPy's or Sphinx' style) the descriptions. What
    `functools.partial` has bound by keyword is hidden from the model.

    Args:
        function: The function; None when options are given first.
        name: The tool's name; the function's own by default.
        description: What the model is told; the docstring by default.
        timeout: Seconds that a call may take; None leaves only the run's own clock.

    Raises:
        ToolDefinitionError: the signature cannot be offered to a model; the message says what to change.
    """
    if function is not None:
        return _make(function, name, description, timeout)
    return lambda function: _make(function, name, description, timeout)


def as_tool(value: object) -> Tool:
    """A tool as it is, or a plain typed function as a tool.

    Raises:
        ToolDefinitionError: it is neither, or its signature cannot be offered to a model.
    """
    if isinstance(value, Tool):
        return value
    if not callable(value):
        raise ToolDefinitionError(f"{value!r:.80} is no tool: give a Tool or a typed function")
    return tool(value)


def _make(function: Callable[..., Any], name: str | None, description: str | None, timeout: float | None) -> Tool:
    if isinstance(function, Tool):
        raise ToolDefinitionError(f"{function!r} is a tool already: give its handler, or leave the decorator out")
    if not callable(function):
        raise ToolDefinitionError(f"{function!r:.80} is no function: decorate a typed function")
    if name is None:
        name = _own_name(function)
    return Tool._from_function(function, name, description, timeout)


def _own_name(function: Callable[..., Any]) -> str:
    name = str(getattr(plain_function(function), "__name__", ""))
    if name in {"", "<lambda>", "__call__"}:
        raise ToolDefinitionError(f"{function!r:.80} has no name of its own: give tool(…, name=…)")
    return name


def _is_seconds(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf
