"""Arguments whose JSON Schema is made at first use, so that large catalogues are built quickly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from unified_agents.errors import ConfigError, ToolDefinitionError
from unified_agents.messages import JsonObject
from unified_agents.tools.arguments import SchemaArguments
from unified_agents.tools.schema import Docs
from unified_agents.tools.signature import context_parameters


class DeferredArguments(SchemaArguments):
    """`SchemaArguments` with a function that makes the schema at first use.

    Args:
        tool: The tool's name, for messages.
        make: Makes the schema; called once.
        handler: The function that gets the arguments.

    Raises:
        ToolDefinitionError: an annotation of the handler cannot be read. What is wrong with the schema is raised by
            `schema` and `validate`.
    """

    __slots__ = ("_handler", "_made", "_make")

    def __init__(self, tool: str, make: Callable[[], Mapping[str, Any]], handler: Callable[..., Any]) -> None:
        self._tool = tool
        self._make = make
        self._handler = handler
        self._made = False
        self.context = context_parameters(handler, tool)

    def schema(self, docs: Callable[[], Docs]) -> JsonObject:
        """Return the schema, with `type` and `properties`."""
        self._make_schema()
        return super().schema(docs)

    def validate(self, text: str) -> dict[str, Any]:
        """Return keyword arguments from JSON text; see `Tool.validate`."""
        self._make_schema()
        return super().validate(text)

    def _make_schema(self) -> None:
        if self._made:
            return
        try:
            schema = self._make()
        except ConfigError as error:
            raise ToolDefinitionError(f"tool {self._tool!r}: {error}") from error
        super().__init__(self._tool, schema, self._handler)
        self._made = True
