"""Converts LangChain's tools and retrievers to ours, and our tools to LangChain's, for use without an agent of ours."""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from langchain_core.documents import Document
from langchain_core.messages import ToolMessage
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import BaseTool, InjectedToolCallId, StructuredTool, Tool as SingleInputTool, ToolException
from langchain_core.tools.base import get_all_basemodel_annotations
from langgraph.types import Command
from pydantic import BaseModel, PrivateAttr

from unified_agents.backend import call_tool, call_tool_sync
from unified_agents.errors import ToolCallError, ToolDefinitionError
from unified_agents.messages import JsonObject
from unified_agents.tools.converters import (
    FilePart,
    ImagePart,
    Part,
    RetrievedDocument,
    TextPart,
    Tool,
    command_error,
    is_list_of,
    not_a_tool_error,
    retriever_tool,
    tool_error,
    tool_handler,
    warn_of_return_direct,
)

_TEXT_BLOCK_KEYS = frozenset({"type", "text", "id", "index", "annotations", "extras", "cache_control"})


def from_langchain(
    value: object, /, *, name: str | None = None, description: str | None = None, **options: Any
) -> Tool:
    """Convert a LangChain tool or retriever to our tool.

    It runs by LangChain's own `ainvoke`; one that is only synchronous by `invoke`, in a thread of ours. A retriever
    takes a `query` and gives documents with text, metadata and score.

    Args:
        value: A `BaseTool` or a `BaseRetriever`.
        name: The tool's name; None takes its own, for a retriever one made from its class.
        description: The description that the model reads; None takes its own.
        options: Further options of `Tool`.

    Raises:
        ToolDefinitionError: it is neither, or takes arguments that only LangGraph can inject.
    """
    if isinstance(value, BaseTool):
        return _from_tool(value, name or value.name, value.description if description is None else description, options)
    if isinstance(value, BaseRetriever):
        handler = _retriever_handler(value)
        return retriever_tool(value, handler, name=name or value.name, description=description, **options)
    raise not_a_tool_error(value, "give a LangChain tool or retriever; `runnable.as_tool(…)` makes one of a chain")


def to_langchain(tool: Tool) -> BaseTool:
    """Convert our tool to LangChain's; see `unified_agents.to_langchain`."""
    return StandaloneLangChainTool(tool)


class StandaloneLangChainTool(BaseTool):
    """One of our tools, for whoever uses LangChain without our agents.

    Args:
        tool: The tool that it calls.
    """

    _tool: Tool = PrivateAttr()

    def __init__(self, tool: Tool) -> None:
        super().__init__(
            name=tool.name,
            description=tool.description,
            args_schema=dict(tool.parameters),
            response_format="content_and_artifact",
            handle_tool_error=True,  # the model is told, as it is of a wrong argument for LangChain's own tools
        )
        self._tool = tool

    # One of the arguments may be called `self`.
    def _run(self, /, *_args: Any, **arguments: Any) -> tuple[Any, tuple[Part, ...]]:
        try:
            return _content_and_artifact(call_tool_sync(self._tool, arguments))
        except ToolCallError as error:
            raise ToolException(str(error)) from error

    async def _arun(self, /, *_args: Any, **arguments: Any) -> tuple[Any, tuple[Part, ...]]:
        try:
            return _content_and_artifact(await call_tool(self._tool, arguments))
        except ToolCallError as error:
            raise ToolException(str(error)) from error


def _content_and_artifact(result: tuple[str, tuple[Part, ...]]) -> tuple[Any, tuple[Part, ...]]:
    text, parts = result
    return [part.to_chat() for part in parts] or text, parts


def _from_tool(tool: BaseTool, name: str, description: str, options: Mapping[str, Any]) -> Tool:
    warn_of_return_direct(name, tool.return_direct)
    schema = _call_schema(tool, name)
    handler = _tool_handler(tool, name)
    if isinstance(schema, dict):
        return Tool(name=name, description=description, parameters=schema, handler=handler, **options)
    return Tool.from_model(schema, handler, name=name, description=description, unpack=True, **options)


def _call_schema(tool: BaseTool, name: str) -> JsonObject | type[BaseModel]:
    """Return the schema of what the model may write: the tool's own, without the arguments that LangGraph injects."""
    if isinstance(tool.args_schema, dict):
        return tool.args_schema
    if isinstance(tool, SingleInputTool) and tool.args_schema is None:
        return {"type": "object", "properties": tool.args, "required": [*tool.args]}
    whole: Any = tool.get_input_schema()
    shown: Any = tool.tool_call_schema
    if not (inspect.isclass(shown) and issubclass(shown, BaseModel)):
        schema = shown if isinstance(shown, dict) else shown.schema()  # a model of pydantic's version 1
        return {key: value for key, value in schema.items() if key not in {"title", "description"}}
    hidden = whole.model_fields.keys() - shown.model_fields.keys()
    needed = {key for key in hidden if whole.model_fields[key].is_required()} - _call_ids(whole)
    if needed:
        raise ToolDefinitionError(
            f"tool {name!r}: only LangGraph can inject {', '.join(sorted(needed))}; give a tool without it"
        )
    chosen: type[BaseModel] = shown if hidden else whole
    return chosen


def _call_ids(model: type[BaseModel]) -> set[str]:
    """Return the names of the arguments in which LangChain puts the id of the call."""
    return {
        name
        for name, annotation in get_all_basemodel_annotations(model).items()
        if any(
            isinstance(item, InjectedToolCallId) or item is InjectedToolCallId
            for item in getattr(annotation, "__metadata__", ())
        )
    }


def _tool_handler(tool: BaseTool, name: str) -> Callable[..., Any]:
    # Only a call with an id is answered by a message, which says whether the tool failed.
    needs_id = bool(tool.handle_tool_error or tool.handle_validation_error)
    if isinstance(tool.args_schema, type) and issubclass(tool.args_schema, BaseModel):
        needs_id = needs_id or bool(_call_ids(tool.args_schema))
    is_async = not _is_sync(tool)
    invoke: Callable[[Any], Any] = tool.ainvoke if is_async else tool.invoke

    def call(arguments: JsonObject) -> Any:
        if not needs_id and arguments.get("type") != "tool_call":
            return invoke(arguments)
        return invoke({"type": "tool_call", "id": uuid.uuid4().hex, "name": tool.name, "args": arguments})

    return tool_handler(call, lambda result: _result(result, name), is_async=is_async)


def _is_sync(tool: BaseTool) -> bool:
    """Tell whether LangChain would run the tool's synchronous function in a thread of its own."""
    method = type(tool)._arun
    if method in (StructuredTool._arun, SingleInputTool._arun):
        return getattr(tool, "coroutine", None) is None
    return method is BaseTool._arun and type(tool).ainvoke is BaseTool.ainvoke


def _retriever_handler(retriever: BaseRetriever) -> Callable[..., Any]:
    is_async = type(retriever)._aget_relevant_documents is not BaseRetriever._aget_relevant_documents
    invoke: Callable[[str], Any] = retriever.ainvoke if is_async else retriever.invoke
    return tool_handler(lambda arguments: invoke(arguments["query"]), _documents, is_async=is_async)


def _documents(documents: Sequence[Document]) -> list[RetrievedDocument]:
    return [_document(document) for document in documents]


def _document(document: Document) -> RetrievedDocument:
    score = document.metadata.get("score")
    return RetrievedDocument(
        document.page_content, document.metadata, score if isinstance(score, int | float) else None
    )


def _result(value: Any, name: str) -> Any:
    """Convert the result of LangChain's tool to one of ours."""
    if isinstance(value, Command):
        raise command_error(name, "LangGraph Command", "LangGraph")
    if isinstance(value, ToolMessage):
        if value.status == "error":
            raise tool_error(name, str(value.text))
        return _content(value.content)
    if isinstance(value, Document):
        return _document(value)
    return _documents(value) if is_list_of(Document, value) else _content(value)


def _content(value: Any) -> Any:
    """Convert a list of content blocks to parts, and leave anything else as it is."""
    if not isinstance(value, list) or not any(isinstance(item, dict) and item.get("type") for item in value):
        return value
    parts = [_part(item) for item in value]
    return parts if None not in parts else value


def _part(block: Any) -> Part | None:
    if isinstance(block, str):
        return TextPart(text=block)
    match block:
        case {"type": "text", "text": str(text)} if block.keys() <= _TEXT_BLOCK_KEYS:
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
