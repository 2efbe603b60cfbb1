"""Translates our tools to Agent Framework's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from agent_framework import FunctionInvocationContext, FunctionMiddleware, FunctionTool, tool
from agent_framework.exceptions import AgentFrameworkException
from pydantic import PydanticUserError

from unified_agents.backend import BoundTool, python_call, unsupported_natively
from unified_agents.errors import BackendError
from unified_agents.messages import JsonObject

_ANY_ARGUMENTS: JsonObject = {"type": "object", "properties": {}}
"""A schema that lets every argument pass: the wire sends the canonical one, and the tool runner validates."""


class CallsByIdMiddleware(FunctionMiddleware):
    """Carries out each call by its id, under `unified`. The functions of the tools are never reached.

    Args:
        tools: The tools.
    """

    def __init__(self, tools: Sequence[BoundTool]) -> None:
        self._tools = {bound.name: bound for bound in tools}

    async def process(self, context: FunctionInvocationContext, call_next: Callable[[], Awaitable[None]]) -> None:
        """Give the call its result."""
        outcome = await self._tools[context.function.name].run(context.metadata["call_id"])
        context.result = outcome.content


def unified_tool(bound: BoundTool) -> FunctionTool:
    """Translate a tool under `unified`; `CallsByIdMiddleware` carries out its calls."""

    async def never() -> None:
        raise BackendError("Agent Framework went past its middleware")

    return FunctionTool(name=bound.name, description=bound.description, func=never, input_model=_ANY_ARGUMENTS)


def native_construction(bound: BoundTool) -> str:
    """Return the Python call by which a tool is made under `native`."""
    return python_call(*_native_call(bound))


def native_tool(bound: BoundTool) -> FunctionTool:
    """Translate a tool under `native`.

    Raises:
        UnsupportedCapabilityError: Agent Framework does not take the function.
    """
    callee, keywords = _native_call(bound)
    make: Any = FunctionTool if callee == "FunctionTool" else tool
    try:
        made: FunctionTool = make(**keywords)
    except (AgentFrameworkException, PydanticUserError, NameError, TypeError, ValueError) as error:
        raise unsupported_natively(f"Agent Framework cannot take tool {bound.name!r}", error) from error
    return made


def _native_call(bound: BoundTool) -> tuple[str, dict[str, Any]]:
    """Return what makes a tool in the framework's documentation, and its keywords."""
    keywords: dict[str, Any] = {"func": bound.function(), **bound.own_texts}
    if bound.is_schema_only:
        return "FunctionTool", keywords | {"input_model": dict(bound.parameters)}
    return "tool", keywords
