"""A tool is offered, validated and called in the same way on every backend, whatever it was made from."""

from __future__ import annotations

import datetime
import enum
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from aiohttp import web
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from support import BACKENDS, run_once
from unified_agents import (
    ModelConfig,
    RunResult,
    Script,
    Tool,
    ToolContext,
    compare_schemas,
    create_agent,
    from_anthropic,
    from_mcp,
    from_openai,
    tool,
)
from unified_agents.scripted.server import ScriptServer
from unified_agents.tools.decorator import as_tool


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Guest(BaseModel):
    """Who comes."""

    name: str
    age: Annotated[int, Field(ge=0)] = 0


@dataclass
class Table:
    seats: int
    by_window: bool = False


class Extras(TypedDict, total=False):
    note: str


def book_with(received: list[Any]) -> Tool:
    @tool
    def book(
        context: ToolContext,
        guest: Guest,
        table: Table,
        extras: Extras,
        colour: Colour,
        day: datetime.date,
        kind: Literal["lunch", "dinner"],
        place: int | str,
        courses: Annotated[list[str], Field(max_length=2)],
        tip: float = 0.5,
    ) -> str:
        """Book a table.

        Args:
            day: When.
        """
        received.append((guest, table, extras, colour, day, kind, place, courses, tip))
        return f"booked in {context.tool}"

    return book


BOOKING: dict[str, Any] = {
    "guest": {"name": "Åse", "age": 3},
    "table": {"seats": 2},
    "extras": {"note": "by the door"},
    "colour": "blue",
    "day": "2026-01-02",
    "kind": "lunch",
    "place": "upstairs",
    "courses": ["soup"],
}
BOOKED = (
    Guest(name="Åse", age=3),
    Table(2),
    {"note": "by the door"},
    Colour.BLUE,
    datetime.date(2026, 1, 2),
    "lunch",
    "upstairs",
    ["soup"],
    0.5,
)


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_typed_function_gets_its_types(backend: str) -> None:
    received: list[Any] = []
    book = book_with(received)
    wrong: dict[str, Any] = {
        "guest": {"name": "x", "age": -1},
        "table": {},
        "extras": {"note": 5},
        "colour": "green",
        "day": "tomorrow",
        "kind": "tea",
        "place": None,
        "courses": ["a", "b", "c"],
        "tip": "much",
        "context": {"run_id": "forged"},
    }
    result, sent = await run(backend, book, BOOKING, *(BOOKING | {name: value} for name, value in wrong.items()))
    assert received == [BOOKED]
    good, *bad = result.tool_calls
    assert good.content == "booked in book"
    places = ["guest.age", "table.seats", "extras.note", *list(wrong)[3:]]
    for place, call in zip(places, bad, strict=True):
        assert f"- {place}: " in (call.content or "")
        assert (call.received, call.error and call.error.kind) == (None, "invalid_input")
    assert "context" not in sent["parameters"]["properties"]
    assert sent["parameters"]["properties"]["day"]["description"] == "When."


# ---- schemas, and other people's tools ----

DRAFT_2020_12: dict[str, Any] = {
    "type": "object",
    "properties": {
        "node": {"$ref": "#/$defs/node"},
        "amount": {"oneOf": [{"type": "integer"}, {"type": "object", "required": ["min"]}]},
        "label": {"type": ["string", "null"]},
        "both": {"allOf": [{"minLength": 2}, {"maxLength": 3}]},
        "pair": {"prefixItems": [{"type": "integer"}, {"type": "string"}], "items": False},
    },
    "required": ["node"],
    "$defs": {
        "node": {
            "type": "object",
            "properties": {"child": {"$ref": "#/$defs/node"}, "n": {"type": "integer"}},
            "additionalProperties": False,
        }
    },
}
DRAFT_7: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "properties": {
        "node": {"$ref": "#/definitions/node"},
        "pair": {"items": [{"type": "integer"}, {"type": "string"}], "additionalItems": False},
    },
    "required": ["node"],
    "dependencies": {"pair": ["label"]},
    "definitions": {"node": {"type": "object", "properties": {"child": {"$ref": "#/definitions/node"}}}},
}
TREE = {"node": {"child": {"child": {}}}}
CITY: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string", "minLength": 2, "description": "Größe"}},
    "required": ["city"],
    "additionalProperties": False,
}
OSLO = {"city": "Oslo"}
WRONG_CITIES = [({"city": "O"}, "- city: "), ({"city": 5}, "- city: 5 given, must be a string"), ({}, "city: missing")]


class Where(BaseModel):
    """Find a city."""

    city: str = Field(min_length=2, description="Größe")


Given = tuple[Tool, dict[str, Any], list[tuple[dict[str, Any], str]]]
"""A tool, arguments that fit it, and others with what is said of each."""


def of_langchain(note: Callable[..., str]) -> Tool:
    from langchain_core.tools import StructuredTool

    return as_tool(StructuredTool.from_function(note, name="find", description="Find a city.", args_schema=Where))


def of_llamaindex(note: Callable[..., str]) -> Tool:
    from llama_index.core.tools import FunctionTool

    return as_tool(FunctionTool.from_defaults(note, name="find", description="Find a city.", fn_schema=Where))


def schema_only(parameters: dict[str, Any], note: Callable[..., str]) -> Tool:
    return Tool(name="find", description="Find.", parameters=parameters, handler=note)


def in_json(shape: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Callable[..., str]], Tool]:
    read = from_mcp if "inputSchema" in shape({}) else from_anthropic if "input_schema" in shape({}) else from_openai
    definition = json.loads(json.dumps({"name": "find", "description": "Find."} | shape(CITY)))
    return lambda note: read(definition, note)


KINDS: dict[str, Callable[[Callable[..., str]], Given]] = {
    "schema of 2020-12": lambda note: (
        schema_only(DRAFT_2020_12, note),
        TREE | {"amount": {"min": 1}, "label": None, "both": "ab", "pair": [1, "b"]},
        [
            ({"node": {"child": {"kid": 1}}}, "- node.child.kid: 1 given"),
            (TREE | {"amount": "3"}, '- amount: "3" given'),
            (TREE | {"label": 3}, "- label: 3 given, must be null or a string"),
            (TREE | {"both": "abcd"}, '- both: "abcd" given'),
            (TREE | {"pair": [1, 2]}, "- pair[1]: 2 given, must be a string"),
            (TREE | {"pair": [1, "b", 3]}, "- pair"),
        ],
    ),
    "schema of draft 7": lambda note: (
        schema_only(DRAFT_7, note),
        TREE | {"pair": [1, "b"], "label": "x"},
        [
            ({"node": {"child": {"child": 5}}}, "- node.child.child: 5 given, must be an object"),
            (TREE | {"pair": [1, 2], "label": "x"}, "- pair[1]: 2 given, must be a string"),
            (TREE | {"pair": [1, "b"]}, "- label: missing, required"),
        ],
    ),
    "pydantic model": lambda note: (Tool.from_model(Where, note, name="find", unpack=True), OSLO, WRONG_CITIES),
    "LangChain tool": lambda note: (of_langchain(note), OSLO, WRONG_CITIES),
    "LlamaIndex tool": lambda note: (of_llamaindex(note), OSLO, WRONG_CITIES),
    "OpenAI, Chat Completions": lambda note: (
        from_openai({"type": "function", "function": {"name": "find", "parameters": CITY}}, note),
        OSLO,
        WRONG_CITIES,
    ),
    "OpenAI, Responses": lambda note: (
        in_json(lambda schema: {"type": "function", "parameters": schema, "strict": False})(note),
        OSLO,
        WRONG_CITIES,
    ),
    "Anthropic": lambda note: (in_json(lambda schema: {"input_schema": schema})(note), OSLO, WRONG_CITIES),
    "MCP": lambda note: (in_json(lambda schema: {"inputSchema": schema})(note), OSLO, WRONG_CITIES),
}


async def run(backend: str, one: Any, *asked: dict[str, Any]) -> tuple[RunResult, dict[str, Any]]:
    """A run in which the model asks for a call with each of the arguments; and how the tool was offered to it."""
    name = getattr(one, "name", "find")
    calls = [{"name": name, "arguments": arguments} for arguments in asked]
    async with ScriptServer() as server:
        url = server.add(Script.model_validate({"answers": [{"tool_calls": calls}, {"text": "done"}]}))
        agent = create_agent(backend=backend, model=ModelConfig(name="m", base_url=url), tools=[one])
        result = await run_once(agent)
        (offered,) = server.requests(url)[0].body["tools"]
    assert result.status == "completed"
    return result, offered["function"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_tool_is_the_same_on_every_backend(kind: str) -> None:
    told: list[list[str | None]] = []
    for backend in BACKENDS:
        received: list[dict[str, Any]] = []

        def note(received: list[dict[str, Any]] = received, **given: Any) -> str:
            received.append(given)
            return "found"

        if kind.endswith("tool"):  # a framework's own tool takes its parameters from the function's signature

            def find(city: str, received: Any = received) -> str:
                received.append({"city": city})
                return "found"

            made, good, bad = KINDS[kind](find)
        else:
            made, good, bad = KINDS[kind](note)
        result, sent = await run(backend, made, good, *(arguments for arguments, _ in bad))
        assert received == [good]
        assert compare_schemas(made.parameters, sent["parameters"]) == ()
        first, *others = result.tool_calls
        assert (first.ok, first.content) == (True, "found")
        for call, (_, said) in zip(others, bad, strict=True):
            assert said in (call.content or "")
            assert (call.received, call.error and call.error.kind) == (None, "invalid_input")
        told.append([call.content for call in result.tool_calls])
    assert all(one == told[0] for one in told)


async def test_without_its_rule_what_was_refused_is_taken() -> None:
    """What refuses in the tests above is the schema, and nothing else."""
    received: list[dict[str, Any]] = []

    def note(**given: Any) -> str:
        received.append(given)
        return "found"

    bare = schema_only({"properties": {"city": {}}}, note)
    result, _ = await run(BACKENDS[0], bare, *(arguments for arguments, _ in WRONG_CITIES))
    assert received == [arguments for arguments, _ in WRONG_CITIES]
    assert all(call.ok for call in result.tool_calls)


# ---- sources that are reached over HTTP ----


@pytest.mark.parametrize("backend", BACKENDS)
async def test_an_mcp_server_over_http(backend: str) -> None:
    pytest.importorskip("mcp")
    import asyncio

    from unified_agents.interop.mcp import McpConnection, McpServerConfig
    from unified_agents.interop.mcp.server import serve

    received: list[dict[str, Any]] = []

    def note(**given: Any) -> str:
        received.append(given)
        return "found"

    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve([schema_only(CITY, note)], "http", 0, on_ready=ready.set_result))
    connection = McpConnection(McpServerConfig(url=await ready, allow_private=True))
    try:
        (far,) = await connection.open()
        result, sent = await run(backend, far, OSLO, *(arguments for arguments, _ in WRONG_CITIES))
    finally:
        await connection.aclose()
        serving.cancel()
        await asyncio.wait([serving])
    assert received == [OSLO]
    assert sent["parameters"] == CITY
    assert result.tool_calls[0].content == "found"
    for call, (_, said) in zip(result.tool_calls[1:], WRONG_CITIES, strict=True):
        assert said in (call.content or "")


@pytest.mark.parametrize("version", ["3.0.3", "3.1.0"])
@pytest.mark.parametrize("backend", BACKENDS)
async def test_an_openapi_operation_with_every_kind_of_parameter(
    backend: str, version: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from unified_agents import OpenApiConfig, load_openapi

    monkeypatch.setenv("TOWN_KEY", "very-s3cret")
    seen: list[tuple[str, str, str | None, str | None, Any]] = []

    async def handle(request: web.Request) -> web.Response:
        headers = request.headers
        body = await request.json()
        seen.append((request.method, request.path_qs, headers.get("X-Trace"), headers.get("Authorization"), body))
        return web.json_response({"ok": True})

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    nullable = {"type": ["string", "null"]} if version == "3.1.0" else {"type": "string", "nullable": True}
    document = {
        "openapi": version,
        "info": {"title": "Towns", "version": "1"},
        "paths": {
            "/towns/{id}": {
                "post": {
                    "operationId": "saveTown",
                    "parameters": [
                        {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}},
                        {"name": "dry", "in": "query", "schema": {"type": "boolean"}},
                        {"name": "X-Trace", "in": "header", "schema": {"type": "string", "maxLength": 3}},
                    ],
                    "requestBody": {
                        "required": True,
                        "content": {
                            "application/json": {
                                "schema": {"type": "object", "properties": {"name": nullable}, "required": ["name"]}
                            }
                        },
                    },
                    "responses": {},
                    "security": [{"login": []}],
                }
            }
        },
        "components": {"securitySchemes": {"login": {"type": "http", "scheme": "bearer"}}},
    }
    file = tmp_path / "towns.json"
    file.write_text(json.dumps(document))
    base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    (save,) = load_openapi(
        OpenApiConfig.model_validate(
            {"openapi": file, "base_url": base_url, "allow_private": True, "auth": {"login": {"env": "TOWN_KEY"}}}
        )
    )
    good: dict[str, Any] = {"id": 7, "dry": True, "X-Trace": "abc", "body": {"name": None}}
    try:
        result, sent = await run(
            backend, save, good, good | {"X-Trace": "abcd"}, good | {"body": {"name": 5}}, good | {"id": "7"}
        )
    finally:
        await runner.cleanup()
    assert seen == [("POST", "/towns/7?dry=true", "abc", "Bearer very-s3cret", {"name": None})]
    assert [call.ok for call in result.tool_calls] == [True, False, False, False]
    for call, said in zip(result.tool_calls[1:], ["X-Trace: ", "body.name: 5 given", 'id: "7" given'], strict=True):
        assert said in (call.content or "")
    assert compare_schemas(save.parameters, sent["parameters"]) == ()
    assert "very-s3cret" not in json.dumps(result.to_dict())
