"""LlamaIndex's tools, query engines and retrievers as ours, and our tools as LlamaIndex's, without an agent of ours."""

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
from pydantic import BaseModel

from unified_agents.errors import ToolDefinitionError
from unified_agents.messages import JsonObject
from unified_agents.tool_runner.standalone import call_tool, call_tool_sync
from unified_agents.tools.converters import ANSWERS, QUERY, RETRIEVES, Answered, Retrieved, own_name, refuse, told_error
from unified_agents.tools.definition import Tool
from unified_agents.tools.parts import FilePart, ImagePart, Part, TextPart


def from_llamaindex(
    value: object, /, *, name: str | None = None, description: str | None = None, **options: Any
) -> Tool:
    """A LlamaIndex tool, query engine or retriever as our tool.

    It runs by LlamaIndex's own asynchronous call; one that is only synchronous in a thread of ours. LlamaIndex gives a
    function the JSON values, whatever its annotations; but these are validated before. A query engine and a retriever
    take a `query`, and give documents with text, metadata and score; a query engine gives its answer too.

    Args:
        value: A `BaseTool`, a `BaseQueryEngine` or a `BaseRetriever`.
        name: The tool's name; None takes its own, for engines and retrievers one made from the class.
        description: What the model is told; None takes its own.
        options: Further options of `Tool`.

    Raises:
        ToolDefinitionError: it is none of these, or takes a workflow's context.
    """
    if isinstance(value, BaseTool):
        return _from_tool(value, name, description, options)
    if isinstance(value, BaseQueryEngine | BaseRetriever):
        is_engine = isinstance(value, BaseQueryEngine)
        handler = _engine(value) if isinstance(value, BaseQueryEngine) else _retriever(value)
        return Tool(
            name=name or own_name(value),
            description=description if description is not None else ANSWERS if is_engine else RETRIEVES,
            parameters=QUERY,
            handler=handler,
            **options,
        )
    raise refuse(value, "give a LlamaIndex tool, query engine or retriever; `index.as_retriever()` makes one")


def to_llamaindex(tool: Tool) -> AsyncBaseTool:
    """Our tool as LlamaIndex's; see `unified_agents.to_llamaindex`."""
    return StandaloneTool(tool)


class WholeMetadata(ToolMetadata):
    """Metadata that gives the whole schema: LlamaIndex' own keeps five of its keywords.

    Args:
        tool: Whose they are.
    """

    def __init__(self, tool: Tool) -> None:
        super().__init__(description=tool.description, name=tool.name, fn_schema=_describing(tool.parameters))
        self._parameters = tool.parameters

    def get_parameters_dict(self) -> JsonObject:
        """The canonical schema."""
        return self._parameters


class StandaloneTool(AsyncBaseTool):
    """One of our tools, for whoever uses LlamaIndex without us.

    Args:
        tool: What it stands for.
    """

    def __init__(self, tool: Tool) -> None:
        self._tool = tool
        self._metadata = WholeMetadata(tool)

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
        given = self._named(args, arguments)
        return self._output(given, call_tool_sync(self._tool, given))

    async def acall(self, /, *args: Any, **arguments: Any) -> ToolOutput:
        """Call the tool.

        Raises:
            ToolCallError: the arguments do not fit, or the tool failed.
        """
        given = self._named(args, arguments)
        return self._output(given, await call_tool(self._tool, given))

    def _named(self, args: Sequence[Any], arguments: Mapping[str, Any]) -> JsonObject:
        return {**dict(zip(self._tool.parameters["properties"], args, strict=False)), **arguments}

    def _output(self, given: JsonObject, result: tuple[str, tuple[Part, ...]]) -> ToolOutput:
        text, parts = result
        blocks: list[ContentBlock] = [_block(part) for part in parts] or [TextBlock(text=text)]
        return ToolOutput(tool_name=self._tool.name, blocks=blocks, raw_input=given, raw_output=text)


def _block(part: Part) -> ContentBlock:
    if isinstance(part, TextPart):
        return TextBlock(text=part.text)
    if isinstance(part, ImagePart):
        return ImageBlock(image=base64.b64decode(part.data), image_mimetype=part.mime_type)
    return DocumentBlock(data=base64.b64decode(part.data), document_mimetype=part.mime_type, title=part.name)


def _describing(parameters: JsonObject) -> type[BaseModel]:
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
    handler = _run(tool, name)
    # Whoever writes the schema for the model by other means than the class says it there.
    if metadata.fn_schema is None or type(metadata).get_parameters_dict is not ToolMetadata.get_parameters_dict:
        schema = metadata.get_parameters_dict()
        return Tool(name=name, description=description, parameters=schema, handler=handler, **options)
    if isinstance(tool, FunctionTool) and not metadata.fn_schema.__pydantic_complete__:
        # LlamaIndex leaves annotations that are texts as they are; the function knows what they mean.
        names = getattr(inspect.unwrap(tool.real_fn), "__globals__", {})
        metadata.fn_schema.model_rebuild(raise_errors=False, _types_namespace=names)
    return Tool.from_model(metadata.fn_schema, handler, name=name, description=description, unpack=True, **options)


def _run(tool: BaseTool, name: str) -> Callable[..., Any]:
    # These two make one text of the names and the values of their keywords.
    by_place = isinstance(tool, QueryEngineTool | RetrieverTool)

    async def run(**arguments: Any) -> Any:
        asynchronous: Any = tool
        output = await (asynchronous.acall(*arguments.values()) if by_place else asynchronous.acall(**arguments))
        return _result(output, name)

    def run_sync(**arguments: Any) -> Any:
        called: Any = tool
        return _result(called(*arguments.values()) if by_place else called(**arguments), name)

    return run_sync if _is_sync(tool) else run


def _is_sync(tool: BaseTool) -> bool:
    if isinstance(tool, FunctionTool):
        return getattr(tool.async_fn, "__qualname__", "").startswith("sync_to_async.")
    if isinstance(tool, RetrieverTool):
        return _retrieves_sync(tool.retriever)
    if isinstance(tool, QueryEngineTool):
        return _queries_sync(tool.query_engine)
    return not isinstance(tool, AsyncBaseTool)


def _engine(engine: BaseQueryEngine) -> Callable[..., Any]:
    async def run(query: str) -> Answered:
        return await _answered(await engine.aquery(query))

    def run_sync(query: str) -> Answered:
        return _answer(engine.query(query))

    return run_sync if _queries_sync(engine) else run


def _retriever(retriever: BaseRetriever) -> Callable[..., Any]:
    async def run(query: str) -> list[Retrieved]:
        return [_document(node) for node in await retriever.aretrieve(query)]

    def run_sync(query: str) -> list[Retrieved]:
        return [_document(node) for node in retriever.retrieve(query)]

    return run_sync if _retrieves_sync(retriever) else run


def _retrieves_sync(retriever: BaseRetriever) -> bool:
    """Whether its asynchronous call would block: LlamaIndex' own default calls the synchronous one."""
    return type(retriever)._aretrieve is BaseRetriever._aretrieve


def _queries_sync(engine: BaseQueryEngine) -> bool:
    return isinstance(engine, CustomQueryEngine) and (type(engine).acustom_query is CustomQueryEngine.acustom_query)


async def _answered(response: Any) -> Answered:
    if isinstance(response, AsyncStreamingResponse):
        response = await response.get_response()
    return _answer(response)


def _answer(response: Any) -> Answered:
    if isinstance(response, StreamingResponse):
        response = response.get_response()
    text = response.response if isinstance(response, Response) else str(response)
    documents = [_document(node) for node in response.source_nodes]
    return Answered(text or None, documents)


def _document(found: NodeWithScore) -> Retrieved:
    return Retrieved(found.node.get_content(), _metadata(found.node), found.score)


def _metadata(node: BaseNode) -> dict[str, Any]:
    return {key: value for key, value in node.metadata.items() if key not in node.excluded_llm_metadata_keys}


def _result(output: ToolOutput, name: str) -> Any:
    """What a tool gave, as our results are."""
    if output.is_error:
        raise told_error(name, output.content)
    raw = output.raw_output
    if isinstance(raw, Response | StreamingResponse):
        return _answer(raw)
    if isinstance(raw, list) and raw and all(isinstance(item, NodeWithScore) for item in raw):
        return [_document(item) for item in raw]
    if any(not isinstance(block, TextBlock) for block in output.blocks):
        return [_part(block) for block in output.blocks]
    # LlamaIndex writes a value as Python does; where nobody has changed that text, the value says more.
    return raw if output.content == str(raw) else output.content


def _part(block: ContentBlock) -> Part | str:
    if isinstance(block, TextBlock):
        return TextPart(text=block.text)
    if isinstance(block, ImageBlock) and block.image is not None:
        return ImagePart(data=_base64(block.resolve_image().read()), mime_type=block.image_mimetype or "image/png")
    if isinstance(block, DocumentBlock) and block.data is not None:
        data = _base64(block.resolve_document().read())
        return FilePart(data=data, mime_type=block.document_mimetype or "application/octet-stream", name=block.title)
    return str(block)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
