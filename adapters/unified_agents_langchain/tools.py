"""Translates our tools to LangChain's."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from langchain_core.messages import ToolCall, ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, StructuredTool
from pydantic import BaseModel, PrivateAttr
from pydantic.errors import PydanticUserError

from unified_agents.backend import AgentSpec, BoundTool, python_call, unsupported_natively
from unified_agents.errors import BackendError
from unified_agents.messages import JsonObject

_ANY_ARGUMENTS: JsonObject = {"type": "object", "properties": {}}
"""A schema that lets every argument pass: the wire sends the canonical one, and the tool runner validates."""

_call_id: ContextVar[str | None] = ContextVar("unified_agents_langchain_call_id", default=None)


class _NoParameters(BaseModel):
    """A signature without parameters, so that LangGraph finds none to inject."""


class LangChainTool(BaseTool):
    """A tool under `unified`: it carries out the model's call by its id, through LangChain's own tool path.

    Args:
        bound: The tool that it calls.

    Attributes:
        declaration: The tool as the model client sends it; the wire puts the canonical schema in.
    """

    declaration: JsonObject
    _bound: BoundTool = PrivateAttr()

    def __init__(self, bound: BoundTool) -> None:
        function = {"name": bound.name, "description": bound.description, "parameters": _ANY_ARGUMENTS}
        super().__init__(
            name=bound.name,
            description=bound.description,
            args_schema=_ANY_ARGUMENTS,
            declaration={"type": "function", "function": function},
        )
        self._bound = bound

    def get_input_schema(self, config: RunnableConfig | None = None) -> type[BaseModel]:
        """Return a model without fields."""
        return _NoParameters

    async def ainvoke(
        self, input: str | dict[str, Any] | ToolCall, config: RunnableConfig | None = None, **kwargs: Any
    ) -> Any:
        """Keep the id of the call for `_arun`, and go on as LangChain does."""
        token = _call_id.set(input.get("id") if isinstance(input, dict) else None)
        try:
            return await super().ainvoke(input, config, **kwargs)
        finally:
            _call_id.reset(token)

    # The model's arguments come as keywords, and one of them may be called `self`.
    async def _arun(self, /, *_args: Any, **_kwargs: Any) -> ToolMessage:
        call_id = _call_id.get()
        if call_id is None:
            raise BackendError(f"LangChain called tool {self.name!r} without the id of a call")
        outcome = await self._bound.run(call_id)
        return ToolMessage(
            outcome.content,
            tool_call_id=call_id,
            name=self.name,
            status="error" if outcome.is_error else "success",
        )

    def _run(self, /, *_args: Any, **_kwargs: Any) -> None:
        self._bound.refuse_sync()


def translate_tools(spec: AgentSpec) -> list[BaseTool]:
    """Translate the tools of an agent.

    Raises:
        UnsupportedCapabilityError: under `native`, LangChain does not take the function.
    """
    if spec.handling == "unified":
        return [LangChainTool(bound) for bound in spec.tools]
    return [_native_tool(bound) for bound in spec.tools]


def native_construction(bound: BoundTool) -> str:
    """Return the Python call by which a tool is made under `native`."""
    return python_call(*_native_call(bound))


def _native_call(bound: BoundTool) -> tuple[str, dict[str, Any]]:
    """Return what makes a tool in LangChain's documentation, and its keywords: only what LangChain cannot read."""
    place = "coroutine" if bound.is_async else "func"
    keywords: dict[str, Any] = {place: bound.function(), **bound.own_texts}
    if bound.is_schema_only:
        return "StructuredTool", keywords | {"args_schema": bound.parameters}
    return "StructuredTool.from_function", keywords


def _native_tool(bound: BoundTool) -> BaseTool:
    callee, keywords = _native_call(bound)
    make: Any = StructuredTool if callee == "StructuredTool" else StructuredTool.from_function
    try:
        made: BaseTool = make(**keywords)
    except (NameError, TypeError, ValueError, PydanticUserError) as error:
        raise unsupported_natively(f"LangChain cannot take tool {bound.name!r}", error) from error
    return made
