"""Translates our tools to LlamaIndex's."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from llama_index.core.agent.workflow import BaseWorkflowAgent, ToolCall, ToolCallResult
from llama_index.core.tools import AsyncBaseTool, FunctionTool, ToolMetadata, ToolOutput
from llama_index.core.workflow import Context, step
from pydantic import BaseModel, Field, create_model, field_validator
from pydantic.errors import PydanticUserError

from unified_agents.backend import BoundTool, python_call, unsupported_natively
from unified_agents.messages import JsonObject
from unified_agents.tools.converters import Tool

_current_call_id: ContextVar[str] = ContextVar("unified_agents_llamaindex_call_id", default="")

_MAX_PARALLEL_CALLS = 512
_PYTHON_TYPES: Mapping[str, Any] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "array": list[Any],
    "object": dict[str, Any],
    "null": None,
}


class CanonicalMetadata(ToolMetadata):
    """Metadata that gives the whole canonical schema, of which LlamaIndex itself would keep five keywords.

    Args:
        tool: The tool that it describes.
        arguments_model: The class that LlamaIndex wants for the arguments. It validates nothing with it.
    """

    def __init__(self, tool: BoundTool | Tool, arguments_model: type[BaseModel] = BaseModel) -> None:
        super().__init__(tool.description, tool.name, arguments_model)
        self._tool = tool

    def get_parameters_dict(self) -> JsonObject:
        """Return the canonical schema, made when it is first sent."""
        return dict(self._tool.parameters)  # a copy: LlamaIndex's OpenAI client writes additionalProperties into it


class CallIdWorkflow(BaseWorkflowAgent):
    """A base of our agents: tools learn the id of their call, and all calls of an answer run at the same time."""

    @field_validator("tools", mode="before")
    @classmethod
    def validate_tools(cls, v: Any) -> Any:
        """Accept the tools as they are. LlamaIndex refuses the name `handoff`, which only groups of agents need."""
        return v

    @step(num_workers=_MAX_PARALLEL_CALLS)
    async def call_tool(self, ctx: Context, ev: ToolCall) -> ToolCallResult:
        """Keep the id of the call for the tool, and go on as LlamaIndex does."""
        token = _current_call_id.set(ev.tool_id)
        try:
            result: ToolCallResult = await super().call_tool(ctx, ev)
            return result
        finally:
            _current_call_id.reset(token)


class LlamaIndexTool(AsyncBaseTool):
    """A tool under `unified`: whatever LlamaIndex made of the arguments, the call is carried out by its id.

    Args:
        bound: The tool that it calls.
    """

    def __init__(self, bound: BoundTool) -> None:
        self._bound = bound
        self._metadata = CanonicalMetadata(bound)

    @property
    def metadata(self) -> ToolMetadata:
        """Name, description and schema."""
        return self._metadata

    async def acall(self, /, *_: Any, **arguments: Any) -> ToolOutput:  # an argument may be called `self`
        """Carry out the call of the current step.

        Raises:
            asyncio.CancelledError: the run has ended.
        """
        outcome = await self._bound.run(_current_call_id.get())
        return ToolOutput(
            tool_name=self._bound.name,
            content=outcome.content,
            raw_input=arguments,
            raw_output=outcome.content,
            is_error=outcome.is_error,
        )

    def call(self, /, *_: Any, **__: Any) -> ToolOutput:
        """Refuse a synchronous call.

        Raises:
            UnsupportedCapabilityError: always.
        """
        self._bound.refuse_sync()

    __call__ = call


def native_tool(bound: BoundTool) -> FunctionTool:
    """Make a tool under `native`, as LlamaIndex's documentation does it.

    Raises:
        UnsupportedCapabilityError: LlamaIndex cannot make a tool of this function or schema.
    """
    try:
        made = FunctionTool.from_defaults(**_native_keywords(bound))
        made.metadata.get_parameters_dict()  # what it cannot describe would fail in the middle of a run otherwise
    except (PydanticUserError, NameError, TypeError, ValueError) as error:
        raise unsupported_natively(f"LlamaIndex cannot make a tool of {bound.name!r} by itself", error) from error
    return made


def native_construction(bound: BoundTool) -> str:
    """Return the Python call by which a tool is made under `native`."""
    return python_call("FunctionTool.from_defaults", _native_keywords(bound))


def _native_keywords(bound: BoundTool) -> dict[str, Any]:
    """Return the keywords of LlamaIndex's constructor: only what it cannot read from the function."""
    keywords: dict[str, Any] = {"async_fn" if bound.is_async else "fn": bound.function(), **bound.own_texts}
    return keywords | {"fn_schema": _arguments_model(bound)} if bound.is_schema_only else keywords


def _arguments_model(bound: BoundTool) -> type[BaseModel]:
    required = bound.parameters.get("required", ())
    fields: dict[str, Any] = {}
    for position, (name, schema) in enumerate(bound.parameters.get("properties", {}).items()):
        keywords = schema if isinstance(schema, dict) else {}
        described = {"alias": name, "description": keywords.get("description")}
        python_type = _python_type(keywords.get("type"))
        if name in required:
            field = python_type, Field(**described)
        elif (default := keywords.get("default")) is not None:
            field = python_type, Field(default, **described)
        else:
            field = python_type | None, Field(None, **described)
        fields[f"parameter_{position}"] = field
    return create_model(bound.name, **fields)


def _python_type(name: Any) -> Any:
    return _PYTHON_TYPES.get(name, Any) if isinstance(name, str) else Any
