"""Translates our tools to the OpenAI Agents SDK's."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import Any

from agents import FunctionTool, function_tool
from agents.exceptions import UserError
from agents.tool_context import ToolContext
from pydantic import PydanticUserError

from unified_agents.backend import BoundTool, python_call, unsupported_natively
from unified_agents.messages import JsonObject

_ANY_ARGUMENTS: JsonObject = {"type": "object", "properties": {}}
"""A schema that lets every argument pass: the wire sends the canonical one, and the tool runner validates."""


def unified_tool(bound: BoundTool) -> FunctionTool:
    """Translate a tool under `unified`: it carries out the model's call by its id."""

    async def invoke(context: ToolContext[Any], _arguments: str) -> str:
        return (await bound.run(context.tool_call_id)).content

    return FunctionTool(
        name=bound.name,
        description=bound.description,
        params_json_schema=_ANY_ARGUMENTS,
        on_invoke_tool=invoke,
        strict_json_schema=False,
    )


def native_construction(bound: BoundTool) -> str:
    """Return the Python call by which a tool is made under `native`."""
    if bound.is_schema_only:
        return python_call("FunctionTool", _schema_only(bound))
    return python_call("function_tool", {"func": bound.function(), **_overrides(bound)})


def native_tool(bound: BoundTool) -> FunctionTool:
    """Translate a tool under `native`.

    Raises:
        UnsupportedCapabilityError: the SDK does not take the function.
    """
    try:
        if bound.is_schema_only:
            return FunctionTool(**_schema_only(bound))
        make: Any = function_tool
        made: FunctionTool = make(bound.function(), **_overrides(bound))
    except (UserError, PydanticUserError, NameError, TypeError, ValueError) as error:
        raise unsupported_natively(f"the OpenAI Agents SDK cannot take tool {bound.name!r}", error) from error
    return made


def _overrides(bound: BoundTool) -> dict[str, str]:
    return {f"{name}_override": text for name, text in bound.own_texts.items()}


def _schema_only(bound: BoundTool) -> dict[str, Any]:
    return {
        **bound.own_texts,
        "params_json_schema": dict(bound.parameters),
        "on_invoke_tool": _invoking(bound.function()),
        "strict_json_schema": False,
    }


def _invoking(function: Callable[..., Any]) -> Callable[[ToolContext[Any], str], Any]:
    async def on_invoke_tool(_context: ToolContext[Any], arguments: str) -> Any:
        value = function(**json.loads(arguments or "{}"))
        return await value if inspect.isawaitable(value) else value

    return on_invoke_tool
