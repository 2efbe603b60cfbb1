"""Translates our tools to Pydantic AI's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pydantic import PydanticUserError
from pydantic_ai import RunContext, Tool
from pydantic_ai.exceptions import UserError
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.toolsets import AbstractToolset
from pydantic_ai.toolsets.abstract import ToolsetTool
from pydantic_core import SchemaValidator, core_schema

from unified_agents.backend import BoundTool, python_call, unsupported_natively
from unified_agents.errors import BackendError
from unified_agents.messages import JsonObject

_ANY_ARGUMENTS: JsonObject = {"type": "object", "properties": {}}
"""A schema that lets every argument pass: the wire sends the canonical one, and the tool runner validates."""
_ANYTHING = SchemaValidator(core_schema.any_schema())
_NO_RETRY_LIMIT = 1_000_000


class PydanticAIToolset(AbstractToolset[None]):
    """The tools of an agent under `unified`: each call is carried out by its id.

    Args:
        tools: The tools.
    """

    def __init__(self, tools: Sequence[BoundTool]) -> None:
        self._bound = {bound.name: bound for bound in tools}
        self._tools = {bound.name: self._translated(bound) for bound in tools}

    def _translated(self, bound: BoundTool) -> ToolsetTool[None]:
        definition = ToolDefinition(
            name=bound.name, description=bound.description, parameters_json_schema=_ANY_ARGUMENTS, strict=False
        )
        return ToolsetTool(toolset=self, tool_def=definition, max_retries=_NO_RETRY_LIMIT, args_validator=_ANYTHING)

    @property
    def id(self) -> str:
        """The toolset's name."""
        return "unified-agents"

    async def get_tools(self, ctx: RunContext[None]) -> dict[str, ToolsetTool[None]]:
        """Return all tools."""
        return self._tools

    async def call_tool(self, name: str, tool_args: Any, ctx: RunContext[None], tool: ToolsetTool[None]) -> str:
        """Carry out the call that the context names, whatever Pydantic AI made of its arguments."""
        if ctx.tool_call_id is None:
            raise BackendError(f"Pydantic AI called tool {name!r} without the id of a call")
        return (await self._bound[name].run(ctx.tool_call_id)).content


def native_construction(bound: BoundTool) -> str:
    """Return the Python call by which a tool is made under `native`."""
    callee, function, keywords = _native_call(bound)
    return python_call(callee, {"function": function, **keywords})


def native_tool(bound: BoundTool) -> Tool[None]:
    """Translate a tool under `native`.

    Raises:
        UnsupportedCapabilityError: Pydantic AI does not take the function.
    """
    callee, function, keywords = _native_call(bound)
    make: Any = Tool if callee == "Tool" else Tool.from_schema
    try:
        made: Tool[None] = make(function, **keywords)
    except (UserError, PydanticUserError, NameError, TypeError, ValueError) as error:
        raise unsupported_natively(f"Pydantic AI cannot take tool {bound.name!r}", error) from error
    return made


def _native_call(bound: BoundTool) -> tuple[str, Callable[..., Any], dict[str, Any]]:
    """Return what makes a tool in Pydantic AI's documentation, the function, and the keywords."""
    keywords: dict[str, Any] = dict(bound.own_texts)
    if bound.is_schema_only:
        return "Tool.from_schema", bound.function(), keywords | {"json_schema": dict(bound.parameters)}
    return "Tool", bound.function(), keywords
