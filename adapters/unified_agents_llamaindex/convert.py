"""Converts LlamaIndex's tools, query engines and retrievers to ours, and our tools to LlamaIndex's."""

from __future__ import annotations

import base64
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.llms.types import ContentBlock, DocumentBlock, ImageBlock, TextBlock
from llama_index.core.base.response.schema import AsyncStreamingResponse, Response, StreamingResponse
from llama_index.core.query_engine import CustomQueryEngine
from llama_index.core.schema import BaseNode, NodeWithScore
from llama_index.core.tools import (
    AsyncBaseTool,
    FunctionTool,
    QueryEngineTool,
    RetrieverTool,
    ToolMetadata,
    ToolOutput,
)
from llama_index.core.tools.types import BaseTool
from pydantic import BaseModel, ConfigDict

from unified_agents.backend import call_tool, call_tool_sync
from unified_agents.errors import ToolDefinitionError
from unified_agents.messages import JsonObject
from unified_agents.tools.converters import (
    FilePart,
    ImagePart,
    Part,
    QueryAnswer,
    RetrievedDocument,
    TextPart,
    Tool,
    is_list_of,
    not_a_tool_error,
    query_engine_tool,
    retriever_tool,
    tool_error,
    tool_handler,
    warn_of_return_direct,
)
from unified_agents_llamaindex.tools import CanonicalMetadata


def from_llamaindex(
    value: object, /, *, name: str | None = None, description: str | None = None, **options: Any
) -> Tool:
    """Convert a LlamaIndex tool, query engine or retriever to our tool.

    It runs by LlamaIndex's own asynchronous call; one that is only synchronous in a thread of ours. LlamaIndex gives a
    function the JSON values, whatever its annotations; but these are validated before. A query engine and a retriever
    take a `query`, and give documents with text, metadata and score; a query engine gives its answer too.

    Args:
        value: A `BaseTool`, a `BaseQueryEngine` or a `BaseRetriever`.
        name: The tool's name; None takes its own, for engines and retrievers one made from the class.
        description: The description that the model reads; None takes its own.
        options: Further options of `Tool`.

    Raises:
        ToolDefinitionError: it is none of these, or takes a workflow's context.
    """
    if isinstance(value, BaseTool):
        return _from_tool(value, name, description, options)
    if isinstance(value, BaseQueryEngine):
        return query_engine_tool(value, _engine_handler(value), name=name, description=description, **options)
    if isinstance(value, BaseRetriever):
        return retriever_tool(value, _retriever_handler(value), name=name, description=description, **options)
    raise not_a_tool_error(value, "give a LlamaIndex tool, query engine or retriever; `index.as_retriever()` makes one")


def to_llamaindex(tool: Tool) -> AsyncBaseTool:
    """Convert our tool to LlamaIndex's; see `unified_agents.to_llamaindex`."""
    return StandaloneLlamaIndexTool(tool)


class StandaloneLlamaIndexTool(AsyncBaseTool):
    """One of our tools, for whoever uses LlamaIndex without our agents.

    Args:
        tool: The tool that it calls.
    """

    def __init__(self, tool: Tool) -> None:
        self._tool = tool
        self._metadata = CanonicalMetadata(tool, _arguments_model(tool.parameters))

    @property
    def metadata(self) -> ToolMetadata:
        """Name, description and schema."""
        return self._metadata

    # One of the arguments may be called `self`. LlamaIndex gives an only argument by position.
    def __call__(self, /, *args: Any, **arguments: Any) -> ToolOutput:
        """Call the tool; see `call`."""
        return self.call(*args, **arguments)

    def call(self, /, *args: Any, **arguments: Any) -> ToolOutput:
        """Call the tool, and wait for it.

        Raises:
            ToolCallError: the arguments do not fit, or the tool failed.
        """
        arguments = self._by_name(args, arguments)
        return self._output(arguments, call_tool_sync(self._tool, arguments))

    async def acall(self, /, *args: Any, **arguments: Any) -> ToolOutput:
        """Call the tool.

        Raises:
            ToolCallError: the arguments do not fit, or the tool failed.
        """
        arguments = self._by_name(args, arguments)
        return self._output(arguments, await call_tool(self._tool, arguments))

    def _by_name(self, args: Sequence[Any], arguments: Mapping[str, Any]) -> JsonObject:
        return {**dict(zip(self._tool.parameters["properties"], args, strict=False)), **arguments}

    def _output(self, arguments: JsonObject, result: tuple[str, tuple[Part, ...]]) -> ToolOutput:
        text, parts = result
        blocks: list[ContentBlock] = [_block(part) for part in parts] or [TextBlock(text=text)]
        return ToolOutput(tool_name=self._tool.name, blocks=blocks, raw_input=arguments, raw_output=text)


def _block(part: Part) -> ContentBlock:
    if isinstance(part, TextPart):
        return TextBlock(text=part.text)
    if isinstance(part, ImagePart):
        return ImageBlock(image=base64.b64decode(part.data), image_mimetype=part.mime_type)
    return DocumentBlock(data=base64.b64decode(part.data), document_mimetype=part.mime_type, title=part.name)


def _arguments_model(parameters: JsonObject) -> type[BaseModel]:
    """Make the class that LlamaIndex wants of a tool's arguments; it only gives the JSON Schema."""

    class Arguments(BaseModel):
        @classmethod
        def model_json_schema(cls, *_: Any, **__: Any) -> JsonObject:
            return parameters

    return Arguments


def _from_tool(tool: BaseTool, name: str | None, description: str | None, options: Mapping[str, Any]) -> Tool:
    metadata = tool.metadata
    name = name or metadata.get_name()
    description = metadata.description if description is None else description
    if isinstance(tool, FunctionTool) and tool.requires_context:
        raise ToolDefinitionError(
            f"tool {name!r}: only a workflow of LlamaIndex can give it its context; give a tool without it"
        )
    warn_of_return_direct(name, metadata.return_direct)
    handler = _tool_handler(tool, name)
    # A tool whose metadata overrides `get_parameters_dict` gives its schema there, and not in the class.
    if metadata.fn_schema is None or type(metadata).get_parameters_dict is not ToolMetadata.get_parameters_dict:
        schema = metadata.get_parameters_dict()
        return Tool(name=name, description=description, parameters=schema, handler=handler, **options)
    if isinstance(tool, FunctionTool) and not metadata.fn_schema.__pydantic_complete__:
        # LlamaIndex leaves annotations that are strings as they are; the function's module resolves them.
        names = getattr(inspect.unwrap(tool.real_fn), "__globals__", {})
        metadata.fn_schema.model_rebuild(raise_errors=False, _types_namespace=names)
    model = metadata.fn_schema
    if isinstance(tool, FunctionTool) and _takes_keywords(tool.real_fn):
        model = type(model.__name__, (model,), {"model_config": ConfigDict(extra="allow"), "__module__": __name__})
    return Tool.from_model(model, handler, name=name, description=description, unpack=True, **options)


def _takes_keywords(function: Callable[..., Any]) -> bool:
    """Tell whether a function takes any keywords, of which LlamaIndex's schema says nothing."""
    return any(item.kind is item.VAR_KEYWORD for item in inspect.signature(function).parameters.values())


def _tool_handler(tool: Any, name: str) -> Callable[..., Any]:
    is_async = not _is_sync(tool)
    invoke: Callable[..., Any] = tool.acall if is_async else tool
    # These two join the names and values of keywords to one text, so they get the values by position.
    by_position = isinstance(tool, QueryEngineTool | RetrieverTool)

    def call(arguments: JsonObject) -> Any:
        return invoke(*arguments.values()) if by_position else invoke(**arguments)

    return tool_handler(call, lambda output: _result(output, name), is_async=is_async)


def _is_sync(tool: BaseTool) -> bool:
    if isinstance(tool, FunctionTool):
        return getattr(tool.async_fn, "__qualname__", "").startswith("sync_to_async.")
    if isinstance(tool, RetrieverTool):
        return _retrieves_sync(tool.retriever)
    if isinstance(tool, QueryEngineTool):
        return _queries_sync(tool.query_engine)
    return not isinstance(tool, AsyncBaseTool)


def _engine_handler(engine: BaseQueryEngine) -> Callable[..., Any]:
    async def query(arguments: JsonObject) -> Any:
        response = await engine.aquery(arguments["query"])
        return await response.get_response() if isinstance(response, AsyncStreamingResponse) else response

    if _queries_sync(engine):
        return tool_handler(lambda arguments: engine.query(arguments["query"]), _answer, is_async=False)
    return tool_handler(query, _answer, is_async=True)


def _retriever_handler(retriever: BaseRetriever) -> Callable[..., Any]:
    is_async = not _retrieves_sync(retriever)
    retrieve: Callable[[str], Any] = retriever.aretrieve if is_async else retriever.retrieve
    return tool_handler(lambda arguments: retrieve(arguments["query"]), _documents, is_async=is_async)


def _retrieves_sync(retriever: BaseRetriever) -> bool:
    """Tell whether the asynchronous call would block: LlamaIndex's default runs the synchronous one."""
    return type(retriever)._aretrieve is BaseRetriever._aretrieve


def _queries_sync(engine: BaseQueryEngine) -> bool:
    return isinstance(engine, CustomQueryEngine) and (type(engine).acustom_query is CustomQueryEngine.acustom_query)


def _answer(response: Any) -> QueryAnswer:
    if isinstance(response, StreamingResponse):
        response = response.get_response()
    text = response.response if isinstance(response, Response) else str(response)
    return QueryAnswer(text or None, _documents(response.source_nodes))


def _documents(nodes: Sequence[NodeWithScore]) -> list[RetrievedDocument]:
    return [RetrievedDocument(found.node.get_content(), _metadata(found.node), found.score) for found in nodes]


def _metadata(node: BaseNode) -> dict[str, Any]:
    return {key: value for key, value in node.metadata.items() if key not in node.excluded_llm_metadata_keys}


def _result(output: ToolOutput, name: str) -> Any:
    """Convert the result of LlamaIndex's tool to one of ours."""
    if output.is_error:
        raise tool_error(name, output.content)
    raw = output.raw_output
    if isinstance(raw, Response | StreamingResponse):
        return _answer(raw)
    if is_list_of(NodeWithScore, raw):
        return _documents(raw)
    if any(not isinstance(block, TextBlock) for block in output.blocks):
        return [_part(block) for block in output.blocks]
    # LlamaIndex writes a value as Python does; where nobody has changed that text, the value says more.
    return raw if output.content == str(raw) else output.content


def _part(block: ContentBlock) -> Part | str:
    if isinstance(block, TextBlock):
        return TextPart(text=block.text)
    if isinstance(block, ImageBlock) and block.image is not None:
        return ImagePart.from_bytes(block.resolve_image().read(), block.image_mimetype or "image/png")
    if isinstance(block, DocumentBlock) and block.data is not None:
        mime_type = block.document_mimetype or "application/octet-stream"
        return FilePart.from_bytes(block.resolve_document().read(), mime_type, block.title or "file")
    return str(block)
