"""Conversion of tools from and to the formats of providers, frameworks and MCP."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from unified_agents.errors import BackendNotInstalledError, ToolDefinitionError
from unified_agents.extras import remedy_of_extra
from unified_agents.interop.openai_strict import strict_schema
from unified_agents.messages import JsonObject
from unified_agents.tools.decorator import as_tool
from unified_agents.tools.definition import Tool
from unified_agents.tools.provider_names import provider_names
from unified_agents.tools.root_union import without_root_union

Handler = Callable[..., Any]


def from_openai(definition: Mapping[str, Any], handler: Handler, **options: Any) -> Tool:
    """Make a tool of OpenAI's JSON: Chat Completions' form, the Responses form, or the bare function.

    Args:
        definition: The JSON. Its `strict` has no effect: the schema is taken as it stands.
        handler: As for `Tool`.
        options: Further options of `Tool`, such as `timeout`.

    Raises:
        ToolDefinitionError: it is none of these forms, or cannot be a tool.
    """
    function = definition.get("function", definition) if isinstance(definition, Mapping) else None
    if not isinstance(function, Mapping) or definition.get("type", "function") != "function":
        raise ToolDefinitionError(
            f"{definition!r:.80} is no function of OpenAI's: give its `type`, `name`, `parameters`"
        )
    return _parsed(function, "parameters", handler, options)


def from_anthropic(definition: Mapping[str, Any], handler: Handler, **options: Any) -> Tool:
    """Make a tool of Anthropic's JSON: `name`, `description`, `input_schema`.

    Args:
        definition: The JSON.
        handler: As for `Tool`.
        options: Further options of `Tool`, such as `timeout`.

    Raises:
        ToolDefinitionError: it is no such form, or cannot be a tool.
    """
    if isinstance(definition, Mapping) and definition.get("type", "custom") != "custom":
        raise ToolDefinitionError(
            f"{definition!r:.80} is run by Anthropic itself, and no handler can take its place: leave it out"
        )
    return _parsed(definition, "input_schema", handler, options)


def from_mcp(definition: Mapping[str, Any], handler: Handler, **options: Any) -> Tool:
    """Make a tool of an entry of MCP's `tools/list`: `name`, `description`, `inputSchema`.

    Args:
        definition: The JSON.
        handler: As for `Tool`.
        options: Further options of `Tool`, such as `timeout`.

    Raises:
        ToolDefinitionError: it is no such form, or cannot be a tool.
    """
    return _parsed(definition, "inputSchema", handler, options)


def to_openai(tool: Tool | Callable[..., Any], *, strict: bool = False) -> JsonObject:
    """Return a tool in Chat Completions' form.

    Args:
        tool: The tool. A name that OpenAI does not take is mapped to one that it takes.
        strict: Whether the schema is converted to the subset of structured outputs; `strict_report` lists what that
            loses, and `from_strict` converts the arguments that the model then writes back to their canonical form.

    Raises:
        ToolDefinitionError: under `strict`, the schema is beyond OpenAI's bounds.
    """
    return {"type": "function", "function": _function(as_tool(tool), strict)}


def to_openai_responses(tool: Tool | Callable[..., Any], *, strict: bool = False) -> JsonObject:
    """Return a tool in the form of the Responses API; see `to_openai`.

    It always contains `strict`, because the API takes its absence for true.

    Raises:
        ToolDefinitionError: under `strict`, the schema is beyond OpenAI's bounds.
    """
    return {"type": "function", **_function(as_tool(tool), strict), "strict": strict}


def to_anthropic(tool: Tool | Callable[..., Any]) -> JsonObject:
    """Return a tool in Anthropic's form, with its canonical schema. A name that Anthropic does not take is mapped.

    A root that is a union, which Anthropic refuses, becomes one object; the canonical schema still validates.
    """
    tool = as_tool(tool)
    return {"name": _name(tool), "description": tool.description, "input_schema": without_root_union(tool.parameters)}


def to_mcp(tool: Tool | Callable[..., Any]) -> JsonObject:
    """Return a tool as an entry of MCP's `tools/list`, with its whole canonical schema and its own name."""
    tool = as_tool(tool)
    return {"name": tool.name, "description": tool.description, "inputSchema": tool.parameters}


def to_langchain(tool: Tool | Callable[..., Any]) -> Any:
    """Return a tool as a LangChain `BaseTool`, for use without our agents.

    It validates by our rules, runs by `invoke` and `ainvoke` without a run of ours, and returns its result as text.
    A failure is told to the model in our words; with `handle_tool_error = False` it is a `ToolException` instead.
    `args_schema` is the whole canonical schema. In what LangChain then sends to a model, each `$ref` is inlined and
    recursion is cut off; `bind_tools([to_openai(tool)])` sends the schema whole.

    Raises:
        BackendNotInstalledError: LangChain or its adapter is not installed.
    """
    return _adapter("unified_agents_langchain").to_langchain(as_tool(tool))


def to_llamaindex(tool: Tool | Callable[..., Any]) -> Any:
    """Return a tool as a LlamaIndex `AsyncBaseTool`, for use without our agents.

    It validates by our rules, runs by `call` and `acall` without a run of ours, and returns its result as text. A
    failure is raised as our own `ToolCallError`, which LlamaIndex's agents report to the model. Its metadata gives
    LlamaIndex the whole canonical schema.

    Raises:
        BackendNotInstalledError: LlamaIndex or its adapter is not installed.
    """
    return _adapter("unified_agents_llamaindex").to_llamaindex(as_tool(tool))


def _parsed(definition: Mapping[str, Any], schema_key: str, handler: Handler, options: Mapping[str, Any]) -> Tool:
    if not isinstance(definition, Mapping) or not isinstance(definition.get("name"), str):
        raise ToolDefinitionError(f"{definition!r:.80} is no tool in this format: it needs a `name` and `{schema_key}`")
    return Tool(
        name=definition["name"],
        description=definition.get("description") or "",
        parameters={} if definition.get(schema_key) is None else definition[schema_key],
        handler=handler,
        **options,
    )


def _function(tool: Tool, strict: bool) -> JsonObject:
    parameters = without_root_union(tool.parameters)
    function: JsonObject = {"name": _name(tool), "description": tool.description, "parameters": parameters}
    return function | {"parameters": strict_schema(tool), "strict": True} if strict else function


def _name(tool: Tool) -> str:
    return provider_names([tool.name])[tool.name]


def _adapter(package: str) -> Any:
    try:
        return importlib.import_module(f"{package}.convert")
    except ImportError as error:
        remedy = remedy_of_extra(package.rpartition("_")[2])
        raise BackendNotInstalledError(f"{package} cannot be imported ({error}): {remedy}") from error
