"""LlamaIndex's tools as ours, and ours as LlamaIndex's. Indexes are in the end-to-end test of retrieval."""

from __future__ import annotations

import base64
import json
import threading
from typing import Annotated, Any

import pytest
from llama_index.core.base.llms.types import ImageBlock
from llama_index.core.query_engine import CustomQueryEngine
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.core.tools import AsyncBaseTool, FunctionTool, RetrieverTool, ToolMetadata, ToolOutput
from llama_index.core.tools.calling import acall_tool
from llama_index.core.workflow import Context
from pydantic import BaseModel, Field

from unified_agents import InvalidInputError, Tool, ToolDefinitionError, ToolFailedError, to_llamaindex, tool
from unified_agents.tools.decorator import as_tool
from unified_agents.tools.parts import ImagePart, TextPart

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


async def call(made: Tool, **arguments: Any) -> Any:
    value = made.handler(**arguments)
    return await value if made.is_async else value


# ---- in ----


def multiply(a: int, b: int = 3) -> dict[str, int]:
    """Multiply numbers."""
    return {"product": a * b}


async def wait_for(name: str) -> str:
    """Wait."""
    return f"waited for {name}"


async def test_a_function_tool_is_validated() -> None:
    made = as_tool(FunctionTool.from_defaults(multiply, description="Multiply."))
    assert (made.name, made.description) == ("multiply", "Multiply.")
    assert made.parameters["properties"] == {
        "a": {"type": "integer"},
        "b": {"default": 3, "type": "integer"},
    }
    assert await call(made, **made.validate('{"a": 2}')) == {"product": 6}
    for bad in ('{"a": "2"}', "{}", '{"a": null}'):
        with pytest.raises(InvalidInputError, match="invalid arguments"):
            made.validate(bad)


async def test_synchronous_ones_are_left_to_our_threads() -> None:
    assert not as_tool(FunctionTool.from_defaults(multiply)).is_async
    assert as_tool(FunctionTool.from_defaults(async_fn=wait_for)).is_async
    assert as_tool(FunctionTool.from_defaults(fn=multiply, async_fn=wait_for)).is_async
    assert await call(as_tool(FunctionTool.from_defaults(async_fn=wait_for)), name="x") == "waited for x"


class Failing(AsyncBaseTool):
    @property
    def metadata(self) -> ToolMetadata:
        return ToolMetadata("Fails.", "failing")

    def call(self, input: str) -> ToolOutput:
        return ToolOutput(tool_name="failing", content=f"no {input}", raw_input={}, raw_output=None, is_error=True)

    async def acall(self, input: str) -> ToolOutput:
        return self.call(input)


async def test_an_error_that_is_told_is_an_error() -> None:
    made = as_tool(Failing())
    assert made.parameters["required"] == ["input"]
    with pytest.raises(ToolFailedError, match="Error in tool 'failing': no luck"):
        await call(made, input="luck")


async def test_a_text_that_a_callback_made_is_kept() -> None:
    made = as_tool(FunctionTool.from_defaults(multiply, callback=lambda value: f"It is {value['product']}."))
    assert await call(made, a=2) == "It is 6."


async def test_images_become_parts() -> None:
    def draw() -> ImageBlock:
        """Draw."""
        return ImageBlock(image=PNG, image_mimetype="image/png")

    (image,) = await call(as_tool(FunctionTool.from_defaults(draw)))
    assert isinstance(image, ImagePart)
    assert base64.b64decode(image.data) == PNG


def test_a_tool_that_needs_a_workflow_is_refused() -> None:
    def remember(ctx: Any, x: int) -> int:
        """Remember."""
        return x

    remember.__annotations__["ctx"] = Context

    with pytest.raises(ToolDefinitionError, match="only a workflow of LlamaIndex"):
        as_tool(FunctionTool.from_defaults(remember))


def test_what_is_no_tool_is_refused_with_a_remedy() -> None:
    with pytest.raises(ToolDefinitionError, match=r"as_retriever\(\)"):
        as_tool(TextNode(text="a"))


class Shelf(BaseRetriever):
    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        node = TextNode(text=query_bundle.query_str, metadata={"k": 1, "secret": 2})
        node.excluded_llm_metadata_keys = ["secret"]
        return [NodeWithScore(node=node, score=0.5)]


class Oracle(CustomQueryEngine):
    def custom_query(self, query_str: str) -> str:
        return f"{query_str} in {threading.current_thread().name}"


async def test_retrievers_and_engines_without_an_asynchronous_call_do_not_block() -> None:
    for made in (tool(Shelf(), name="s"), tool(RetrieverTool.from_defaults(Shelf(), name="s"))):
        assert not made.is_async
        (document,) = made.handler(**{next(iter(made.parameters["properties"])): "kettle"})
        assert (document.text.strip(), document.metadata, document.score) == ("kettle", {"k": 1}, 0.5)
    engine = as_tool(Oracle())
    assert engine.name == "oracle"
    assert not engine.is_async
    assert engine.handler(query="why").answer.startswith("why in ")


# ---- out ----


class Point(BaseModel):
    x: Annotated[int, Field(ge=0)]


@tool
async def move(self: Point, _by: int = 1, config: str | None = None) -> dict[str, int]:
    """Move a point."""
    return {"x": self.x + _by}


@tool
def only(text: str) -> Any:
    """Say where it runs."""
    if text == "fail":
        raise LookupError("not there")
    return ["see", ImagePart.from_bytes(PNG)] if text == "draw" else f"{text} {threading.current_thread().name}"


async def test_out_it_validates_and_runs_without_a_run() -> None:
    native = to_llamaindex(move)
    output = await native.acall(self={"x": 1}, _by=4)
    assert (output.content, output.is_error) == ('{"x":5}', False)
    assert native.call(self={"x": 1}).content == '{"x":2}'
    assert native(self={"x": 1}).content == '{"x":2}'


def test_out_llamaindex_gets_the_whole_schema() -> None:
    written = to_llamaindex(move).metadata.to_openai_tool()["function"]
    assert written["parameters"] == move.parameters
    assert written["description"] == "Move a point."
    assert json.loads(to_llamaindex(move).metadata.fn_schema_str) == move.parameters
    native = FunctionTool.from_defaults(async_fn=wait_for).metadata.get_parameters_dict()
    assert "additionalProperties" not in native  # LlamaIndex' own tools lose it


async def test_out_errors_are_raised_and_told_by_llamaindex() -> None:
    native = to_llamaindex(move)
    with pytest.raises(InvalidInputError, match=r"self\.x: -1 given, must be at least 0"):
        await native.acall(self={"x": -1})
    with pytest.raises(ToolFailedError, match="LookupError: not there"):
        to_llamaindex(only).call("fail")
    told = await acall_tool(native, {"self": {"x": "1"}, "_by": 2})
    assert told.is_error
    assert "must be an integer" in told.content


async def test_out_an_only_argument_may_come_by_position() -> None:
    assert "standalone" in (await acall_tool(to_llamaindex(only), {"text": "a"})).content


async def test_out_images_are_blocks_and_come_back() -> None:
    output = await to_llamaindex(only).acall(text="draw")
    assert [type(block).__name__ for block in output.blocks] == ["TextBlock", "ImageBlock"]
    back = await call(as_tool(to_llamaindex(only)), text="draw")
    assert back == [TextPart(text="see"), ImagePart.from_bytes(PNG)]


def test_return_direct_is_said_to_have_no_effect(caplog: pytest.LogCaptureFixture) -> None:
    as_tool(FunctionTool.from_defaults(multiply, return_direct=True))
    assert "tool 'multiply': return_direct has no effect here" in caplog.text


async def test_a_function_that_takes_any_keywords_gets_them() -> None:
    def save(name: str, **fields: Any) -> dict[str, Any]:
        """Save."""
        return {"name": name, **fields}

    made = as_tool(FunctionTool.from_defaults(save))
    assert await call(made, **made.validate('{"name": "a", "city": "Oslo"}')) == {"name": "a", "city": "Oslo"}
