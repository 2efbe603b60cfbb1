"""Conversion of other frameworks' objects into tools. Adapters do it; this library knows no framework by name."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Protocol

from unified_agents import wording
from unified_agents.errors import BackendBrokenError, ToolDefinitionError, ToolFailedError
from unified_agents.messages import JsonObject

if TYPE_CHECKING:
    from unified_agents.tools.definition import Tool

GROUP = "unified_agents.converters"
"""Entry points: the name is a framework's top-level module, the value a `Converter`."""

QUERY: JsonObject = {
    "type": "object",
    "properties": {"query": {"type": "string", "description": wording.QUERY}},
    "required": ["query"],
    "additionalProperties": False,
}
"""The arguments of a retriever and of a query engine, as JSON Schema."""
RETRIEVES = wording.RETRIEVES
"""The description of a retriever that has none of its own."""
ANSWERS = wording.ANSWERS
"""The description of a query engine that has none of its own."""

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class Converter(Protocol):
    """A function that makes a tool of a framework's object."""

    def __call__(self, value: Any, /, *, name: str | None, description: str | None, **options: Any) -> Tool:
        """Return the object as a tool.

        Args:
            value: The object.
            name: The tool's name; None takes the object's own.
            description: What the model is told; None takes the object's own.
            options: Further options of `Tool`, to be handed on.

        Raises:
            ToolDefinitionError: the object cannot be a tool.
        """


@dataclass(slots=True, frozen=True)
class Retrieved:
    """A document that a retriever found, as the model reads it.

    Attributes:
        text: Its text.
        metadata: What is known of it.
        score: How well it fits the query, as the retriever counts; None when it does not say.
    """

    text: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    score: float | None = None


@dataclass(slots=True, frozen=True)
class Answered:
    """The answer of a query engine, as the model reads it.

    Attributes:
        answer: The text; None when the engine only retrieves.
        documents: What it rests on.
    """

    answer: str | None
    documents: Sequence[Retrieved]


def find_converter(value: object) -> Converter | None:
    """Return the converter for the framework that an object's class, or its nearest base, comes from; None for none.

    Raises:
        BackendBrokenError: the converter's own framework fails on import.
    """
    converters = _converters()
    for base in type(value).__mro__:
        entry = converters.get(base.__module__.partition(".")[0])
        if entry is not None:
            return _load(entry)
    return None


def own_name(value: object) -> str:
    """Return a tool name made from an object's class: `VectorIndexRetriever` gives `vector_index_retriever`."""
    return _CAMEL.sub("_", type(value).__name__).strip("_").lower()


def refuse(value: object, remedy: str) -> ToolDefinitionError:
    """Return the error for an object that cannot be a tool."""
    return ToolDefinitionError(f"{type(value).__module__}.{type(value).__qualname__} is no tool: {remedy}")


def told_error(tool: str, text: str) -> ToolFailedError:
    """Return the error for a framework's tool that reported one as its result: the model reads the same text."""
    return ToolFailedError(wording.foreign_tool_error(tool, text))


def refuse_command(tool: str, what: str, framework: str) -> ToolFailedError:
    """Return the error for a framework's tool that returned a command for its framework instead of a result."""
    return ToolFailedError(wording.foreign_command(tool, what, framework))


@functools.cache
def _converters() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _load(entry: EntryPoint) -> Converter:
    try:
        converter: Converter = entry.load()
    except ImportError as error:
        raise BackendBrokenError(
            f"tools of {entry.name} cannot be converted: importing {entry.module} failed: {error}"
        ) from error
    return converter
