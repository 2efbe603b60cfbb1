"""Tools as LlamaIndex sees them."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from llama_index.core.agent.workflow import BaseWorkflowAgent, ToolCall, ToolCallResult
from llama_index.core.tools import AsyncBaseTool, FunctionTool, ToolMetadata, ToolOutput
from llama_index.core.workflow import Context, step
from pydantic import BaseModel, Field, create_model, field_validator
from pydantic.errors import PydanticUserError

from unified_agents.backend import BoundTool
from unified_agents.errors import UnsupportedCapabilityError
from unified_agents.messages import JsonObject
from unified_agents_llamaindex.errors import reason

calling: ContextVar[str] = ContextVar("unified_agents_llamaindex_call", default="")
"""The id of the call that the current step carries out."""

_WORKERS = 512
_PYTHON_TYPES: Mapping[str, Any] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "array": list[Any],
    "object": dict[str, Any],
    "null": None,
}


class _Metadata(ToolMetadata):
    """What LlamaIndex asks a tool for. It wants a class for the arguments, with which it validates nothing."""

    def __init__(self, bound: BoundTool) -> None:
        super().__init__(bound.description, bound.name, BaseModel)
        self._bound = bound

    def get_parameters_dict(self) -> JsonObject:
        """The canonical schema, made when it is first sent."""
        return dict(self._bound.parameters)  # a copy: LlamaIndex's OpenAI client writes additionalProperties into it


class CallNoting(BaseWorkflowAgent):
    """What our agents add to LlamaIndex's: tools learn the id of their call, and all calls of an answer run at once."""

    @field_validator("tools", mode="before")
    @classmethod
    def validate_tools(cls, v: Any) -> Any:
        """Take the tools as they are. LlamaIndex refuses the name `handoff`, which means nothing to a single agent."""
        return v

    @step(num_workers=_WORKERS)
    async def call_tool(self, ctx: Context, ev: ToolCall) -> ToolCallResult:
        """Note the id, and go on as LlamaIndex does."""
        token = calling.set(ev.tool_id)
        try:
            result: ToolCallResult = await super().call_tool(ctx, ev)
            return result
        finally:
            calling.reset(token)


class UnifiedTool(AsyncBaseTool):
    """A tool under `unified`: whatever LlamaIndex made of the arguments, the call is carried out by its id.

    Args:
        bound: The tool.
    """

    def __init__(self, bound: BoundTool) -> None:
        self._bound = bound
        self._metadata = _Metadata(bound)

    @property
    def metadata(self) -> ToolMetadata:
        """Name, description and schema."""
        return self._metadata

    async def acall(self, /, *_: Any, **arguments: Any) -> ToolOutput:  # an argument may be called `self`
        """Carry out the call whose step this is.

        Raises:
            asyncio.CancelledError: the run has ended.
        """
        outcome = await self._bound.run(calling.get())
        return ToolOutput(
            tool_name=self._bound.name,
            content=outcome.content,
            raw_input=arguments,
            raw_output=outcome.content,
            is_error=outcome.is_error,
        )

    def call(self, /, *_: Any, **__: Any) -> ToolOutput:
        """Refuse.

        Raises:
            UnsupportedCapabilityError: always.
        """
        self._bound.refuse_sync()

    __call__ = call


def native_tool(bound: BoundTool) -> FunctionTool:
    """A tool under `native`, made as LlamaIndex's documentation does it.

    Raises:
        UnsupportedCapabilityError: LlamaIndex cannot make a tool of this function or schema.
    """
    function = bound.function()
    is_async = bound.tool is not None and bound.tool.is_async
    try:
        return FunctionTool.from_defaults(
            fn=None if is_async else function,
            async_fn=function if is_async else None,
            name=bound.name,
            description=bound.description,
            fn_schema=_model_of(bound) if bound.is_schema_only else None,
        )
    except (PydanticUserError, NameError, TypeError, ValueError) as error:
        raise UnsupportedCapabilityError(
            f"LlamaIndex cannot make a tool of {bound.name!r} by itself: {reason(error)}; use handling: unified"
        ) from error


def _model_of(bound: BoundTool) -> type[BaseModel]:
    required = bound.parameters.get("required", ())
    fields: dict[str, Any] = {}
    for place, (name, schema) in enumerate(bound.parameters.get("properties", {}).items()):
        kind = _python_type(schema)
        described = {"alias": name, "description": schema.get("description") if isinstance(schema, dict) else None}
        if name in required:
            fields[f"parameter_{place}"] = (kind, Field(**described))
        else:
            default = schema.get("default") if isinstance(schema, dict) else None
            fields[f"parameter_{place}"] = (kind if default is not None else kind | None, Field(default, **described))
    return create_model(bound.name, **fields)


def _python_type(schema: Any) -> Any:
    kind = schema.get("type") if isinstance(schema, dict) else None
    return _PYTHON_TYPES.get(kind, Any) if isinstance(kind, str) else Any
