"""Translates our tools to Agno's."""

from __future__ import annotations

from typing import Any

from agno.tools import tool
from agno.tools.function import Function, FunctionCall
from pydantic import PydanticUserError

from unified_agents.backend import BoundTool, python_call, unsupported_natively
from unified_agents.errors import BackendError
from unified_agents.messages import JsonObject

_ANY_ARGUMENTS: JsonObject = {"type": "object", "properties": {}}
"""A schema that lets every argument pass: the wire sends the canonical one, and the tool runner validates."""


def unified_tool(bound: BoundTool) -> Function:
    """Translate a tool under `unified`: it carries out the model's call by its id."""

    async def run(fc: FunctionCall) -> str:  # Agno puts the call into a parameter of this name
        if fc.call_id is None:
            raise BackendError(f"Agno called tool {bound.name!r} without the id of a call")
        return (await bound.run(fc.call_id)).content

    return Function(
        name=bound.name,
        description=bound.description,
        parameters=_ANY_ARGUMENTS,
        entrypoint=run,
        pre_hook=_without_arguments,
        skip_entrypoint_processing=True,
    )


def _without_arguments(fc: FunctionCall) -> None:
    """Drop the model's arguments: the wire has them, and one that is called `fc` would hide the call."""
    fc.arguments = {}


def native_construction(bound: BoundTool) -> str:
    """Return the Python call by which a tool is made under `native`."""
    if bound.is_schema_only:
        return python_call("Function", _schema_only(bound))
    function = bound.function().__name__
    return f"{python_call('tool', bound.own_texts)}({function})" if bound.own_texts else function


def native_tool(bound: BoundTool) -> Any:
    """Translate a tool under `native`.

    Raises:
        UnsupportedCapabilityError: Agno does not take the function.
    """
    try:
        if bound.is_schema_only:
            return Function(**_schema_only(bound))
        return tool(**bound.own_texts)(bound.function()) if bound.own_texts else bound.function()
    except (PydanticUserError, NameError, TypeError, ValueError) as error:
        raise unsupported_natively(f"Agno cannot take tool {bound.name!r}", error) from error


def _schema_only(bound: BoundTool) -> dict[str, Any]:
    return {
        **bound.own_texts,
        "parameters": dict(bound.parameters),
        "entrypoint": bound.function(),
        "skip_entrypoint_processing": True,
    }
