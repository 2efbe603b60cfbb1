"""Our tools in the frameworks' own agents and clients, without an agent of ours."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from unified_agents import (
    InvalidInputError,
    Script,
    Tool,
    ToolDefinitionError,
    Transient,
    from_strict,
    strict_report,
    to_anthropic,
    to_langchain,
    to_llamaindex,
    to_mcp,
    to_openai,
    to_openai_responses,
    tool,
)
from unified_agents.scripted.server import ScriptServer

WRONG = {"seats": "banana", "row": "a"}
RIGHT = {"seats": 2, "row": "b"}


def book_with(received: list[Any]) -> Tool:
    @tool
    def book(seats: Annotated[int, Field(ge=1, le=9)], row: Literal["a", "b"] = "a") -> dict[str, Any]:
        """Book seats.

        Args:
            seats: How many.
        """
        received.append((seats, row))
        return {"seats": seats, "row": row}

    return book


def asks(*arguments: dict[str, Any]) -> Script:
    answers = [{"tool_calls": [{"name": "book", "arguments": one}]} for one in arguments]
    return Script.model_validate({"answers": [*answers, {"text": "done"}]})


def sent_and_told(server: ScriptServer, url: str) -> tuple[dict[str, Any], list[str]]:
    """How the tool was offered, and what the model was told of its calls."""
    first, *_, last = [request.body for request in server.requests(url)]
    told = [message["content"] for message in last["messages"] if message["role"] == "tool"]
    return first["tools"][0]["function"], told


async def in_langchain(url: str, native: Any) -> str:
    from langchain.agents import create_agent
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model="m", base_url=url, api_key="k")  # type: ignore[arg-type]
    result = await create_agent(model, [native]).ainvoke({"messages": [("user", "Book.")]})
    return str(result["messages"][-1].content)


async def in_llamaindex(url: str, native: Any) -> str:
    from llama_index.core.agent.workflow import FunctionAgent
    from llama_index.llms.openai_like import OpenAILike

    llm = OpenAILike(
        model="m", api_base=url, api_key="k", is_chat_model=True, is_function_calling_model=True, context_window=99_999
    )
    return str(await FunctionAgent(tools=[native], llm=llm, streaming=False).run("Book."))


async def test_in_langchains_own_agent(server: ScriptServer) -> None:
    pytest.importorskip("langchain_openai")
    received: list[Any] = []
    book = book_with(received)
    url = server.add(asks(WRONG, RIGHT))
    assert await in_langchain(url, to_langchain(book)) == "done"
    offered, told = sent_and_told(server, url)
    assert received == [(2, "b")]
    assert offered == {"name": "book", "description": "Book seats.", "parameters": book.parameters}
    assert 'seats: "banana" given, must be an integer' in told[0]
    assert json.loads(told[1]) == RIGHT


@pytest.mark.parametrize("arguments", [WRONG, {}, {"seats": 13}], ids=["wrong type", "missing", "a tool that fails"])
async def test_a_tool_of_ours_ends_no_run_of_langchains_agent(server: ScriptServer, arguments: dict[str, Any]) -> None:
    pytest.importorskip("langchain_openai")

    def book(seats: int) -> str:
        """Book seats."""
        if seats == 13:
            raise Transient("the line is busy")
        return "booked"

    url = server.add(asks(arguments, {"seats": 2}))
    assert await in_langchain(url, to_langchain(book)) == "done"
    _, told = sent_and_told(server, url)
    assert told[0].startswith("Error")
    assert told[1] == "booked"


@pytest.mark.parametrize("convert", [to_langchain, to_llamaindex, to_openai, to_openai_responses, to_anthropic, to_mcp])
def test_a_function_goes_out_too_and_a_list_is_refused(convert: Any) -> None:
    def book(seats: int) -> str:
        """Book seats."""
        return "booked"

    assert type(convert(book)) is type(convert(book_with([])))
    with pytest.raises(ToolDefinitionError, match="give a Tool or a typed function"):
        convert([book_with([])])


async def test_in_llamaindexs_own_agent(server: ScriptServer) -> None:
    pytest.importorskip("llama_index.llms.openai_like")
    received: list[Any] = []
    book = book_with(received)
    url = server.add(asks(WRONG, RIGHT))
    assert await in_llamaindex(url, to_llamaindex(book)) == "done"
    offered, told = sent_and_told(server, url)
    assert received == [(2, "b")]
    # What LlamaIndex takes away from any tool; see the tests of assumptions.
    whole = {key: value for key, value in book.parameters.items() if key != "additionalProperties"}
    assert {key: value for key, value in offered["parameters"].items() if key != "additionalProperties"} == whole
    assert offered["description"] == "Book seats."
    assert 'seats: "banana" given, must be an integer' in told[0]
    assert json.loads(told[1]) == RIGHT


async def test_the_frameworks_own_tool_of_the_same_function_lets_it_through(server: ScriptServer) -> None:
    """What refuses above is our tool, and not the framework."""
    pytest.importorskip("llama_index.llms.openai_like")
    from llama_index.core.tools import FunctionTool

    received: list[Any] = []

    def book(seats: int, row: str = "a") -> str:
        received.append((seats, row))
        return "booked"

    url = server.add(asks(WRONG, RIGHT))
    await in_llamaindex(url, FunctionTool.from_defaults(book))
    assert received == [("banana", "a"), (2, "b")]


async def test_with_openais_own_client(server: ScriptServer) -> None:
    """Plain and strict tools, as they are sent, and their calls carried out by hand."""
    pytest.importorskip("openai")
    from openai import AsyncOpenAI

    received: list[Any] = []
    book = book_with(received)
    for strict in (False, True):
        url = server.add(asks({"seats": 3, "row": None} if strict else {"seats": 3}))
        async with AsyncOpenAI(base_url=url, api_key="k") as client:
            definition: Any = to_openai(book, strict=strict)
            answer = await client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "Book."}], tools=[definition]
            )
        offered = server.requests(url)[0].body["tools"][0]["function"]
        assert ("strict" in offered) is strict
        assert offered["parameters"]["required"] == (["seats", "row"] if strict else ["seats"])
        (call,) = answer.choices[0].message.tool_calls or []
        text: str = call.function.arguments  # type: ignore[union-attr]
        arguments = book.validate(from_strict(book, text) if strict else text)
        assert book.handler(**arguments) == {"seats": 3, "row": "a"}
        if strict:
            with pytest.raises(InvalidInputError, match="row: null given"):
                book.validate(text)  # without `from_strict` it does not fit
    assert received == [(3, "a"), (3, "a")]


def test_every_format_says_the_same_of_a_tool() -> None:
    book = book_with([])
    schemas = [
        to_openai(book)["function"]["parameters"],
        to_openai_responses(book)["parameters"],
        to_anthropic(book)["input_schema"],
    ]
    assert schemas == [book.parameters] * 3
    assert [(loss.path, loss.keyword) for loss in strict_report(book)] == [("/properties/row", "default")]
    closed = to_openai_responses(book, strict=True)
    assert (closed["strict"], closed["parameters"]["required"]) == (True, ["seats", "row"])
    open_ended = Tool(name="any", parameters={"additionalProperties": {"type": "integer"}}, handler=print)
    assert [loss.keyword for loss in strict_report(open_ended)] == ["additionalProperties"]
