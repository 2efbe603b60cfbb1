"""Our tools as LangChain's."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from langchain_core.messages import ToolCall, ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, StructuredTool
from pydantic import BaseModel, PrivateAttr
from pydantic.errors import PydanticUserError

from unified_agents.backend import AgentSpec, BoundTool
from unified_agents.errors import BackendError, UnsupportedCapabilityError
from unified_agents.messages import JsonObject

_PASSTHROUGH: JsonObject = {"type": "object", "properties": {}}
"""A schema that lets every argument pass: the wire sends the canonical one, and the runner validates."""

_call_id: ContextVar[str | None] = ContextVar("unified_agents_langchain_call_id", default=None)


class _NoParameters(BaseModel):
    """What LangGraph reads the parameters from that it shall inject."""


class ClaimingTool(BaseTool):
    """A tool that carries out the model's call by its id, through LangChain's own tool path.

    Args:
        bound: What it stands for.
    """

    _bound: BoundTool = PrivateAttr()
    _declaration: JsonObject = PrivateAttr()

    def __init__(self, bound: BoundTool) -> None:
        super().__init__(name=bound.name, description=bound.description, args_schema=_PASSTHROUGH)
        self._bound = bound
        function = {"name": bound.name, "description": bound.description, "parameters": _PASSTHROUGH}
        self._declaration = {"type": "function", "function": function}

    @property
    def declaration(self) -> JsonObject:
        """What LangChain's model client writes of it; the wire puts the canonical schema there."""
        return self._declaration

    def get_input_schema(self, config: RunnableConfig | None = None) -> type[BaseModel]:
        """No parameters, so nothing for LangGraph to inject."""
        return _NoParameters

    async def ainvoke(
        self, input: str | dict[str, Any] | ToolCall, config: RunnableConfig | None = None, **kwargs: Any
    ) -> Any:
        """Note the id of the call, and go on as LangChain does."""
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
    """The tools of an agent.

    Raises:
        UnsupportedCapabilityError: under `native`, LangChain does not take the function.
    """
    if spec.handling == "unified":
        return [ClaimingTool(bound) for bound in spec.tools]
    return [_native(bound) for bound in spec.tools]


def _native(bound: BoundTool) -> BaseTool:
    function = bound.function()
    place = "coroutine" if bound.tool is not None and bound.tool.is_async else "func"
    common: dict[str, Any] = {"name": bound.name, "description": bound.description, place: function}
    try:
        if bound.is_schema_only:
            return StructuredTool(args_schema=bound.parameters, **common)
        return StructuredTool.from_function(**common)
    except (TypeError, ValueError, PydanticUserError) as error:
        raise UnsupportedCapabilityError(
            f"LangChain cannot take tool {bound.name!r}: {' '.join(str(error).split())}; use `handling: unified`"
        ) from error
