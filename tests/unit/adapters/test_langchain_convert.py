"""LangChain's tools and retrievers as ours, and ours as LangChain's."""

from __future__ import annotations

import asyncio
import base64
import datetime
import json
import threading
from typing import Annotated, Any, Literal

import pytest
from langchain_core.documents import Document
from langchain_core.messages import ToolMessage
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import (
    BaseTool,
    InjectedToolArg,
    InjectedToolCallId,
    StructuredTool,
    Tool as SingleInputTool,
    ToolException,
    create_retriever_tool,
    tool as langchain_tool,
)
from langchain_core.utils.function_calling import convert_to_openai_tool
from langgraph.types import Command
from pydantic import BaseModel, Field, field_validator

from unified_agents import InvalidInputError, Tool, ToolDefinitionError, ToolFailedError, to_langchain, tool
from unified_agents.tools.decorator import as_tool
from unified_agents.tools.parts import ImagePart, TextPart

PIXEL = base64.b64encode(b"\x89PNG").decode()


async def call(made: Tool, **arguments: Any) -> Any:
    value = made.handler(**arguments)
    return await value if made.is_async else value


class Search(BaseModel):
    query: str = Field(min_length=2, description="Words.")
    sort: Literal["new", "old"] = "new"
    day: datetime.date | None = None

    @field_validator("query")
    @classmethod
    def _no_wildcard(cls, value: str) -> str:
        if "*" in value:
            raise ValueError("no wildcards")
        return value


# ---- in ----


async def test_a_decorated_function() -> None:
    @langchain_tool(parse_docstring=True)
    def add(a: int, b: int = 2) -> dict[str, int]:
        """Add numbers.

        Args:
            a: The first.
            b: The second.
        """
        return {"sum": a + b}

    made = as_tool(add)
    assert (made.name, made.description) == ("add", "Add numbers.")
    assert made.parameters["properties"]["a"] == {"description": "The first.", "type": "integer"}
    assert made.parameters["required"] == ["a"]
    assert await call(made, a=1) == {"sum": 3}
    with pytest.raises(InvalidInputError, match='a: "1" given, must be an integer'):
        made.validate('{"a": "1"}')


async def test_its_own_validators_hold_before_anything_runs() -> None:
    ran: list[Any] = []

    @langchain_tool(args_schema=Search)
    async def search(query: str, sort: str = "new", day: datetime.date | None = None) -> str:
        """Search."""
        ran.append((query, sort, day))
        return query

    made = as_tool(search)
    for bad, said in [('{"query": "a*"}', "no wildcards"), ('{"query": "ab", "sort": "x"}', "sort"), ("{}", "missing")]:
        with pytest.raises(InvalidInputError, match=said):
            made.validate(bad)
    assert ran == []
    assert await call(made, **made.validate('{"query": "ab", "day": "2026-01-02"}')) == "ab"
    assert ran == [("ab", "new", datetime.date(2026, 1, 2))]  # LangChain builds the types


async def test_a_schema_only_tool_keeps_its_schema_and_odd_names() -> None:
    schema = {"type": "object", "properties": {"Content-Type": {"type": "string"}, "type": {"const": "tool_call"}}}
    native = StructuredTool(name="raw", description="d", args_schema=schema, func=lambda **given: given)
    made = as_tool(native)
    assert made.parameters == schema
    assert await call(made, **{"Content-Type": "a"}) == {"Content-Type": "a"}
    odd = {"Content-Type": "a", "type": "tool_call"}  # LangChain itself would take it for a call
    assert json.loads(await call(made, **odd)) == odd


async def test_a_tool_of_one_text() -> None:
    made = as_tool(SingleInputTool(name="shout", description="d", func=str.upper))
    assert made.parameters["required"] == ["tool_input"]
    assert await call(made, tool_input="a") == "A"


class Subclassed(BaseTool):
    name: str = "sub"
    description: str = "A subclass."

    def _run(self, count: int) -> str:
        return f"{count} in {threading.current_thread().name}"


class SubclassedAsync(Subclassed):
    async def _arun(self, count: int) -> str:
        return f"{count} async"


async def test_subclasses_and_who_runs_where() -> None:
    assert not as_tool(Subclassed()).is_async
    assert as_tool(SubclassedAsync()).is_async
    assert as_tool(Subclassed()).parameters["properties"] == {"count": {"type": "integer"}}
    assert await call(as_tool(SubclassedAsync()), count=2) == "2 async"
    assert not as_tool(StructuredTool.from_function(lambda: 1, name="s", description="d")).is_async
    assert as_tool(StructuredTool.from_function(coroutine=SubclassedAsync()._arun, name="s", description="d")).is_async


async def test_errors_that_langchain_turns_into_text_are_errors() -> None:
    def fail(x: int) -> str:
        raise ToolException(f"no luck with {x}")

    made = as_tool(StructuredTool.from_function(fail, name="fail", description="d", handle_tool_error=True))
    with pytest.raises(ToolFailedError, match="no luck with 3"):
        await call(made, x=3)
    with pytest.raises(ToolException, match="no luck"):  # as it comes
        await call(as_tool(StructuredTool.from_function(fail, name="fail", description="d")), x=3)


async def test_what_is_injected_is_hidden_or_refused() -> None:
    @langchain_tool
    def with_id(x: int, call_id: Annotated[str, InjectedToolCallId]) -> Any:
        """Take an id."""
        return ToolMessage(f"{x} {bool(call_id)}", tool_call_id=call_id)

    @langchain_tool
    def with_state(x: int, state: Annotated[dict[str, Any], InjectedToolArg]) -> int:
        """Take a state."""
        return x

    made = as_tool(with_id)
    assert set(made.parameters["properties"]) == {"x"}
    assert await call(made, x=1) == "1 True"
    with pytest.raises(ToolDefinitionError, match="only LangGraph can inject state"):
        as_tool(with_state)


async def test_results_become_ours() -> None:
    blocks = [{"type": "text", "text": "a"}, {"type": "image", "base64": PIXEL, "mime_type": "image/png"}]
    values: dict[str, Any] = {
        "blocks": blocks,
        "documents": [Document("t", metadata={"score": 0.5, "k": 1})],
        "other": [{"type": "cat"}],
        "command": Command(goto="x"),
    }
    made = as_tool(StructuredTool.from_function(lambda key: values[key], name="get", description="d"))
    assert await call(made, key="blocks") == [TextPart(text="a"), ImagePart(data=PIXEL, mime_type="image/png")]
    (document,) = await call(made, key="documents")
    assert (document.text, document.metadata, document.score) == ("t", {"score": 0.5, "k": 1}, 0.5)
    assert await call(made, key="other") == values["other"]
    with pytest.raises(ToolFailedError, match="only LangGraph can carry out"):
        await call(made, key="command")


class Shelf(BaseRetriever):
    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        return [Document(query, metadata={"shelf": threading.current_thread().name})]


async def test_a_retriever() -> None:
    made = tool(Shelf(), name="look_up", description="Look it up.", timeout=3)
    assert (made.name, made.description, made.timeout) == ("look_up", "Look it up.", 3)
    assert as_tool(Shelf()).name == "shelf"
    assert not made.is_async  # it would block the loop in LangChain's own threads' place
    (document,) = made.handler(query="kettle")
    assert document.text == "kettle"
    assert as_tool(create_retriever_tool(Shelf(), "s", "d")).parameters["required"] == ["query"]


def test_what_is_no_tool_is_refused_with_a_remedy() -> None:
    with pytest.raises(ToolDefinitionError, match=r"as_tool\(…\)"):
        as_tool(RunnableLambda(str))


# ---- out ----


@tool
async def divide(self: float, config: Annotated[float, Field(gt=0)], run_manager: str = "a") -> dict[str, float]:
    """Divide.

    Args:
        self: What is divided.
    """
    return {"quotient": self / config}


@tool
def slow_sync(text: str) -> str:
    """Say where it runs."""
    if text == "fail":
        raise LookupError("not there")
    return f"{text} {threading.current_thread().name}"


async def test_out_it_validates_and_runs_without_a_run() -> None:
    native = to_langchain(divide)
    assert isinstance(native, BaseTool)
    assert native.args_schema == divide.parameters
    assert await native.ainvoke({"self": 6, "config": 3}) == '{"quotient":2.0}'
    message = await native.ainvoke(
        {"type": "tool_call", "id": "c1", "name": "divide", "args": {"self": 1, "config": 2}}
    )
    assert (message.tool_call_id, message.content) == ("c1", '{"quotient":0.5}')


def test_out_it_works_synchronously_too() -> None:
    assert to_langchain(divide).invoke({"self": 6, "config": 3}) == '{"quotient":2.0}'
    assert "standalone" in to_langchain(slow_sync).invoke({"text": "a"})


async def test_out_failures_are_told_as_langchains_own_switch_does() -> None:
    for arguments, said in [({"self": "6", "config": 3}, "must be a number"), ({"self": 1}, "config: missing")]:
        assert said in await to_langchain(divide).ainvoke(arguments)
        message = await to_langchain(divide).ainvoke(
            {"type": "tool_call", "id": "c1", "name": "divide", "args": arguments}
        )
        assert (message.status, message.tool_call_id) == ("error", "c1")
        assert said in message.content
    assert "LookupError: not there" in to_langchain(slow_sync).invoke({"text": "fail"})
    raising = to_langchain(divide)
    raising.handle_tool_error = False
    with pytest.raises(ToolException, match="config: missing"):
        await raising.ainvoke({"self": 1})


async def test_out_a_tool_that_hangs_is_stopped() -> None:
    @tool(timeout=0.05)
    async def hang() -> None:
        """Hang."""
        await asyncio.Event().wait()

    assert "did not finish within 0.05 seconds" in await to_langchain(hang).ainvoke({})


async def test_out_images_are_content_blocks() -> None:
    @tool
    def picture() -> Any:
        """Draw."""
        return ["see", ImagePart(data=PIXEL, mime_type="image/png")]

    text, image = await to_langchain(picture).ainvoke({})
    assert text == {"type": "text", "text": "see"}
    assert image["image_url"]["url"].endswith(PIXEL)


def test_what_langchain_writes_for_a_model() -> None:
    written = convert_to_openai_tool(to_langchain(divide))["function"]
    assert written["parameters"] == divide.parameters
    assert written["description"] == divide.description


def test_return_direct_is_said_to_have_no_effect(caplog: pytest.LogCaptureFixture) -> None:
    @langchain_tool(return_direct=True)
    def report(topic: str) -> str:
        """Write."""
        return topic

    as_tool(report)
    assert "tool 'report': return_direct has no effect here" in caplog.text


async def test_records_that_look_like_text_blocks_keep_their_fields() -> None:
    rows = [{"type": "text", "text": "hello", "author": "ann"}]

    @langchain_tool
    def messages() -> list[dict[str, str]]:
        """List."""
        return rows

    assert await call(as_tool(messages)) == rows
