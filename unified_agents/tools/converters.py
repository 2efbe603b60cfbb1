"""Tools made of other frameworks' objects. Adapters convert them; this library knows none of them by name."""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol

from unified_agents import wording
from unified_agents.errors import BackendBrokenError, ToolDefinitionError, ToolFailedError
from unified_agents.messages import JsonObject
from unified_agents.tools.definition import Tool
from unified_agents.tools.parts import FilePart, ImagePart, Part, TextPart

__all__ = [
    "Converter",
    "FilePart",
    "ImagePart",
    "Part",
    "QueryAnswer",
    "RetrievedDocument",
    "TextPart",
    "Tool",
    "command_error",
    "find_converter",
    "is_list_of",
    "not_a_tool_error",
    "query_engine_tool",
    "retriever_tool",
    "tool_error",
    "tool_handler",
    "warn_of_return_direct",
]

logger = logging.getLogger("unified_agents.tools")

ENTRY_POINTS = "unified_agents.converters"
"""The group of entry points: the name is a framework's top-level module, the value a `Converter`."""

_QUERY_PARAMETERS: JsonObject = {
    "type": "object",
    "properties": {"query": {"type": "string", "description": wording.QUERY}},
    "required": ["query"],
    "additionalProperties": False,
}
_WORD_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class Converter(Protocol):
    """A function that makes a tool of a framework's object."""

    def __call__(self, value: Any, /, *, name: str | None, description: str | None, **options: Any) -> Tool:
        """Make a tool of the object.

        Args:
            value: The object.
            name: The tool's name; None takes the object's own.
            description: The description that the model reads; None takes the object's own.
            options: Further options of `Tool`, to be handed on.

        Raises:
            ToolDefinitionError: the object cannot be a tool.
        """


@dataclass(slots=True, frozen=True)
class RetrievedDocument:
    """A document that a retriever found, as the model reads it.

    Attributes:
        text: The document's text.
        metadata: Further facts about the document.
        score: How well it fits the query, on the retriever's own scale; None when the retriever gives no score.
    """

    text: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    score: float | None = None


@dataclass(slots=True, frozen=True)
class QueryAnswer:
    """The answer of a query engine, as the model reads it.

    Attributes:
        answer: The text; None when the engine only retrieves.
        documents: The documents that the answer rests on.
    """

    answer: str | None
    documents: Sequence[RetrievedDocument]


def find_converter(value: object) -> Converter | None:
    """Return the converter of the framework that an object's class, or the nearest base of it, comes from.

    Returns:
        None when no installed adapter converts objects of this class.

    Raises:
        BackendBrokenError: the converter's own framework fails on import.
    """
    converters = _converters()
    for base in type(value).__mro__:
        entry = converters.get(base.__module__.partition(".")[0])
        if entry is not None:
            return _load(entry)
    return None


def tool_handler(
    call: Callable[[JsonObject], Any], convert: Callable[[Any], Any], *, is_async: bool
) -> Callable[..., Any]:
    """Make a tool's handler of a framework's call. A synchronous one will run in a thread of ours.

    Args:
        call: Takes the arguments as one mapping, and gives the framework's result, or an awaitable of it.
        convert: Makes our result of the framework's.
        is_async: Whether `call` gives an awaitable.
    """

    async def handle(**arguments: Any) -> Any:
        return convert(await call(arguments))

    def handle_sync(**arguments: Any) -> Any:
        return convert(call(arguments))

    return handle if is_async else handle_sync


def retriever_tool(
    retriever: object, handler: Callable[..., Any], *, name: str | None, description: str | None, **options: Any
) -> Tool:
    """Make the tool of a retriever: it takes a `query`, and its handler gives a list of `RetrievedDocument`."""
    return _query_tool(retriever, handler, name, wording.RETRIEVES if description is None else description, options)


def query_engine_tool(
    engine: object, handler: Callable[..., Any], *, name: str | None, description: str | None, **options: Any
) -> Tool:
    """Make the tool of a query engine: it takes a `query`, and its handler gives a `QueryAnswer`."""
    return _query_tool(engine, handler, name, wording.ANSWERS if description is None else description, options)


def _query_tool(
    value: object, handler: Callable[..., Any], name: str | None, description: str, options: Mapping[str, Any]
) -> Tool:
    name = name or _WORD_BOUNDARY.sub("_", type(value).__name__).strip("_").lower()
    return Tool(name=name, description=description, parameters=_QUERY_PARAMETERS, handler=handler, **options)


def is_list_of(kind: type, value: object) -> bool:
    """Tell whether a value is a list of objects of this class, with at least one in it."""
    return isinstance(value, list) and bool(value) and all(isinstance(item, kind) for item in value)


def not_a_tool_error(value: object, remedy: str) -> ToolDefinitionError:
    """Return the error for an object that cannot be a tool."""
    return ToolDefinitionError(f"{type(value).__module__}.{type(value).__qualname__} is no tool: {remedy}")


def tool_error(tool: str, text: str) -> ToolFailedError:
    """Return the error for a framework's tool that gave an error as its result. The model reads the same text."""
    return ToolFailedError(wording.foreign_tool_error(tool, text))


def warn_of_return_direct(tool: str, is_set: object) -> None:
    """Log that a framework's tool would end a run with its result, and does not here."""
    if is_set is True:
        logger.warning("%s", wording.return_direct(tool))


def command_error(tool: str, command: str, framework: str) -> ToolFailedError:
    """Return the error for a framework's tool that gave its framework a command instead of a result."""
    return ToolFailedError(wording.foreign_command(tool, command, framework))


@functools.cache
def _converters() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}


def _load(entry: EntryPoint) -> Converter:
    try:
        converter: Converter = entry.load()
    except ImportError as error:
        raise BackendBrokenError(
            f"tools of {entry.name} cannot be converted: importing {entry.module} failed: {error}"
        ) from error
    return converter
