"""Translates our tools to ADK's."""

from __future__ import annotations

import inspect
from typing import Any

from google.adk.tools.base_tool import BaseTool
from google.adk.tools.function_tool import FunctionTool
from google.adk.tools.tool_context import ToolContext
from google.genai import types
from pydantic import PydanticUserError

from unified_agents.backend import BoundTool, python_call, unsupported_natively
from unified_agents.errors import BackendError
from unified_agents.messages import JsonObject

_ANY_ARGUMENTS: JsonObject = {"type": "object", "properties": {}}
"""A schema that lets every argument pass: the wire sends the canonical one, and the tool runner validates."""


class ADKTool(BaseTool):
    """A tool under `unified`: it carries out the model's call by its id.

    Args:
        bound: The tool that it calls.
    """

    def __init__(self, bound: BoundTool) -> None:
        super().__init__(name=bound.name, description=bound.description or bound.name)
        self._bound = bound

    def _get_declaration(self) -> types.FunctionDeclaration:
        return types.FunctionDeclaration(
            name=self.name, description=self.description, parameters_json_schema=_ANY_ARGUMENTS
        )

    async def run_async(self, *, args: dict[str, Any], tool_context: ToolContext) -> Any:
        """Carry out the call that the context names, whatever ADK made of its arguments."""
        if tool_context.function_call_id is None:
            raise BackendError(f"ADK called tool {self.name!r} without the id of a call")
        return (await self._bound.run(tool_context.function_call_id)).content


class SchemaOnlyADKTool(BaseTool):
    """A tool under `native` that has a JSON Schema and no typed function, as ADK's documentation makes one.

    Args:
        bound: The tool that it calls.
    """

    def __init__(self, bound: BoundTool) -> None:
        super().__init__(name=bound.name, description=bound.description)
        self._parameters = bound.parameters
        self._function = bound.function()

    def _get_declaration(self) -> types.FunctionDeclaration:
        return types.FunctionDeclaration(
            name=self.name, description=self.description, parameters_json_schema=dict(self._parameters)
        )

    async def run_async(self, *, args: dict[str, Any], tool_context: ToolContext) -> Any:
        """Call the function."""
        value = self._function(**args)
        return await value if inspect.isawaitable(value) else value


def native_construction(bound: BoundTool) -> str:
    """Return the Python call by which a tool is made under `native`."""
    if bound.is_schema_only:
        return f"a subclass of BaseTool named {bound.name!r}"
    return python_call("FunctionTool", {"func": bound.function()})


def native_tool(bound: BoundTool) -> BaseTool:
    """Translate a tool under `native`. A name or description of the user's own stands in the place of the function's.

    Raises:
        UnsupportedCapabilityError: ADK does not take the function.
    """
    try:
        if bound.is_schema_only:
            return SchemaOnlyADKTool(bound)
        function = bound.function()
        texts = bound.own_texts
        function.__name__ = texts.get("name", function.__name__)
        function.__doc__ = texts.get("description", function.__doc__)
        made = FunctionTool(function)
        made._get_declaration()  # else it is refused in the middle of a run
    except (PydanticUserError, NameError, TypeError, ValueError, AttributeError) as error:
        raise unsupported_natively(f"ADK cannot take tool {bound.name!r}", error) from error
    return made
