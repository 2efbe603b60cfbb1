"""LangChain's tools and retrievers as ours, and our tools as LangChain's, without an agent of ours."""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from langchain_core.documents import Document
from langchain_core.messages import ToolMessage
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import BaseTool, InjectedToolCallId, StructuredTool, Tool as SingleInputTool, ToolException
from langchain_core.tools.base import get_all_basemodel_annotations
from langgraph.types import Command
from pydantic import BaseModel, PrivateAttr

from unified_agents.errors import ToolCallError, ToolDefinitionError
from unified_agents.messages import JsonObject
from unified_agents.tool_runner.standalone import call_tool, call_tool_sync
from unified_agents.tools.converters import QUERY, RETRIEVES, Retrieved, own_name, refuse, refuse_command, told_error
from unified_agents.tools.definition import Tool
from unified_agents.tools.parts import FilePart, ImagePart, Part, TextPart


def from_langchain(
    value: object, /, *, name: str | None = None, description: str | None = None, **options: Any
) -> Tool:
    """A LangChain tool or retriever as our tool.

    It runs by LangChain's own `ainvoke`; one that is only synchronous by `invoke`, in a thread of ours. A retriever
    takes a `query` and gives documents with text, metadata and score.

    Args:
        value: A `BaseTool` or a `BaseRetriever`.
        name: The tool's name; None takes its own, for a retriever one made from its class.
        description: What the model is told; None takes its own.
        options: Further options of `Tool`.

    Raises:
        ToolDefinitionError: it is neither, or takes arguments that only LangGraph can inject.
    """
    if isinstance(value, BaseTool):
        return _from_tool(value, name or value.name, value.description if description is None else description, options)
    if isinstance(value, BaseRetriever):
        return Tool(
            name=name or value.name or own_name(value),
            description=RETRIEVES if description is None else description,
            parameters=QUERY,
            handler=_retrieve(value),
            **options,
        )
    raise refuse(value, "give a LangChain tool or retriever; `runnable.as_tool(…)` makes one of a chain")


def to_langchain(tool: Tool) -> BaseTool:
    """Our tool as LangChain's; see `unified_agents.to_langchain`."""
    return StandaloneTool(tool)


class StandaloneTool(BaseTool):
    """One of our tools, for whoever uses LangChain without us.

    Args:
        tool: What it stands for.
    """

    _tool: Tool = PrivateAttr()

    def __init__(self, tool: Tool) -> None:
        super().__init__(
            name=tool.name,
            description=tool.description,
            args_schema=dict(tool.parameters),
            response_format="content_and_artifact",
        )
        self._tool = tool

    # One of the arguments may be called `self`.
    def _run(self, /, *_args: Any, **arguments: Any) -> tuple[Any, tuple[Part, ...]]:
        try:
            return _told(call_tool_sync(self._tool, arguments))
        except ToolCallError as error:
            raise ToolException(str(error)) from error

    async def _arun(self, /, *_args: Any, **arguments: Any) -> tuple[Any, tuple[Part, ...]]:
        try:
            return _told(await call_tool(self._tool, arguments))
        except ToolCallError as error:
            raise ToolException(str(error)) from error


def _told(result: tuple[str, tuple[Part, ...]]) -> tuple[Any, tuple[Part, ...]]:
    text, parts = result
    return [part.to_chat() for part in parts] or text, parts


def _from_tool(tool: BaseTool, name: str, description: str, options: Mapping[str, Any]) -> Tool:
    schema = _call_schema(tool, name)
    handler = _run(tool, name)
    if isinstance(schema, dict):
        return Tool(name=name, description=description, parameters=schema, handler=handler, **options)
    return Tool.from_model(schema, handler, name=name, description=description, unpack=True, **options)


def _call_schema(tool: BaseTool, name: str) -> JsonObject | type[BaseModel]:
    """What the model may write: the tool's own schema, without what LangGraph injects."""
    if isinstance(tool.args_schema, dict):
        return tool.args_schema
    if isinstance(tool, SingleInputTool) and tool.args_schema is None:
        return {"type": "object", "properties": tool.args, "required": [*tool.args]}
    whole: Any = tool.get_input_schema()
    shown: Any = tool.tool_call_schema
    if not (inspect.isclass(shown) and issubclass(shown, BaseModel)):
        return _without_texts(shown if isinstance(shown, dict) else shown.schema())  # of pydantic's version 1
    hidden = whole.model_fields.keys() - shown.model_fields.keys()
    needed = {key for key in hidden if whole.model_fields[key].is_required()} - _call_ids(whole)
    if needed:
        raise ToolDefinitionError(
            f"tool {name!r}: only LangGraph can inject {', '.join(sorted(needed))}; give a tool without it"
        )
    chosen: type[BaseModel] = shown if hidden else whole
    return chosen


def _without_texts(schema: JsonObject) -> JsonObject:
    return {key: value for key, value in schema.items() if key not in {"title", "description"}}


def _call_ids(model: type[BaseModel]) -> set[str]:
    return {
        name
        for name, annotation in get_all_basemodel_annotations(model).items()
        if any(
            isinstance(item, InjectedToolCallId) or item is InjectedToolCallId
            for item in getattr(annotation, "__metadata__", ())
        )
    }


def _run(tool: BaseTool, name: str) -> Callable[..., Any]:
    # Only a call with an id is answered by a message, which says whether the tool failed.
    as_call = bool(tool.handle_tool_error or tool.handle_validation_error)
    if isinstance(tool.args_schema, type) and issubclass(tool.args_schema, BaseModel):
        as_call = as_call or bool(_call_ids(tool.args_schema))

    def asked(arguments: JsonObject) -> Any:
        if not as_call and arguments.get("type") != "tool_call":
            return arguments
        return {"type": "tool_call", "id": uuid.uuid4().hex, "name": tool.name, "args": arguments}

    async def run(**arguments: Any) -> Any:
        return _result(await tool.ainvoke(asked(arguments)), name)

    def run_sync(**arguments: Any) -> Any:
        return _result(tool.invoke(asked(arguments)), name)

    return run_sync if _is_sync(tool) else run


def _is_sync(tool: BaseTool) -> bool:
    method = type(tool)._arun
    if method in (StructuredTool._arun, SingleInputTool._arun):
        return getattr(tool, "coroutine", None) is None
    return method is BaseTool._arun and type(tool).ainvoke is BaseTool.ainvoke


def _retrieve(retriever: BaseRetriever) -> Callable[..., Any]:
    async def run(query: str) -> list[Retrieved]:
        return [_document(document) for document in await retriever.ainvoke(query)]

    def run_sync(query: str) -> list[Retrieved]:
        return [_document(document) for document in retriever.invoke(query)]

    is_sync = type(retriever)._aget_relevant_documents is BaseRetriever._aget_relevant_documents
    return run_sync if is_sync else run


def _document(document: Document) -> Retrieved:
    score = document.metadata.get("score")
    return Retrieved(document.page_content, document.metadata, score if isinstance(score, int | float) else None)


def _result(value: Any, name: str) -> Any:
    """What a tool gave, as our results are."""
    if isinstance(value, Command):
        raise refuse_command(name, "LangGraph Command", "LangGraph")
    if isinstance(value, ToolMessage):
        if value.status == "error":
            raise told_error(name, str(value.text))
        return _content(value.content)
    if isinstance(value, Document):
        return _document(value)
    if isinstance(value, list) and value and all(isinstance(item, Document) for item in value):
        return [_document(item) for item in value]
    return _content(value)


def _content(value: Any) -> Any:
    """Content blocks as parts, anything else as it is."""
    if not isinstance(value, list) or not any(isinstance(item, dict) and item.get("type") for item in value):
        return value
    parts = [_part(item) for item in value]
    return parts if any(parts) and None not in parts else value


def _part(block: Any) -> Part | None:
    if isinstance(block, str):
        return TextPart(text=block)
    match block:
        case {"type": "text", "text": str(text)}:
            return TextPart(text=text)
        case {"type": "image", "base64": str(data), "mime_type": str(kind)}:
            return ImagePart(data=data, mime_type=kind)
        case {"type": "file", "base64": str(data), "mime_type": str(kind)}:
            return FilePart(data=data, mime_type=kind, name=str(block.get("filename") or "file"))
        case {"type": "image_url", "image_url": {"url": str(url)}} if url.startswith("data:") and ";base64," in url:
            kind, _, data = url.removeprefix("data:").partition(";base64,")
            return ImagePart(data=data, mime_type=kind)
        case _:
            return None
