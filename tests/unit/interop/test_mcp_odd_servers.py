"""MCP servers that do not keep to the letter: each costs what it breaks, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from unified_agents.errors import ConfigError, RateLimited, ToolFailedError
from unified_agents.interop.mcp import McpConnection, McpServerConfig
from unified_agents.redaction.redactor import Redactor
from unified_agents.tools.definition import Tool, ToolContext
from unified_agents.tools.parts import FilePart, ImagePart

pytest.importorskip("mcp")

OBJECT = {"type": "object"}
SAYS_WHAT_IT_IS_TOLD = """
import json, sys
answers = json.loads(sys.argv[1])
for line in sys.stdin:
    message = json.loads(line)
    if "id" in message:
        answer = answers.get(message["method"], {"error": {"code": -32601, "message": "Method not found"}})
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **answer}), flush=True)
"""
INITIALIZED = {
    "protocolVersion": "2025-06-18",
    "capabilities": {"tools": {}},
    "serverInfo": {"name": "odd", "version": "1"},
}


@contextlib.asynccontextmanager
async def server(
    *tools: dict[str, Any], result: dict[str, Any] | None = None
) -> AsyncIterator[tuple[McpConnection, dict[str, Tool]]]:
    answers = {
        "initialize": {"result": INITIALIZED},
        "tools/list": {"result": {"tools": list(tools)}},
        "tools/call": {"result": result or {"content": []}},
    }
    command = (sys.executable, "-c", SAYS_WHAT_IT_IS_TOLD, json.dumps(answers))
    connection = McpConnection(McpServerConfig(command=command, name="odd"))
    try:
        yield connection, {tool.name: tool for tool in await connection.open()}
    finally:
        await connection.aclose()


async def call(tool: Tool) -> Any:
    context = ToolContext(run_id="r", call_id="c", step=0, tool=tool.name)
    return await tool.handler(**tool.arguments_for({}, context))


async def test_an_absent_schema_means_no_arguments_and_what_is_no_tool_is_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bomb: dict[str, Any] = {f"l{n}": {"anyOf": [{"$ref": f"#/$defs/l{n + 1}"}] * 2} for n in range(40)}
    entries = [
        {"name": "good", "inputSchema": OBJECT},
        {"name": "absent"},
        {"name": "null", "inputSchema": None, "annotations": 7, "description": ["no text"]},
        {"name": "empty", "inputSchema": {}},
        {"name": "any", "inputSchema": True},
        {"name": "open", "inputSchema": {"properties": {"x": True}}},
        {"name": "union", "inputSchema": {"anyOf": [OBJECT]}},
        {"name": "text", "inputSchema": {"type": "string"}},
        {"name": "list", "inputSchema": []},
        {"name": "bomb", "inputSchema": {"properties": {"x": {"$ref": "#/$defs/l0"}}, "$defs": {**bomb, "l40": {}}}},
        {"inputSchema": OBJECT},
        "nonsense",
    ]
    async with server(*entries) as (connection, tools):  # type: ignore[arg-type]
        assert list(tools) == ["good", "absent", "null", "empty", "any", "open", "union"]
        assert sorted(connection.skipped) == ["bomb", "list", "text", "tools[10]", "tools[11]"]
        assert tools["open"].parameters["properties"] == {"x": True}
        assert all(tool.parameters["type"] == "object" for tool in tools.values())
    assert "'text' cannot be offered" in caplog.text


async def test_a_tool_that_is_listed_twice_is_offered_once(caplog: pytest.LogCaptureFixture) -> None:
    first = {"name": "t", "description": "First.", "inputSchema": {"properties": {"x": True}}}
    entries = [first, {"name": "other"}, {"name": "t", "description": "Again.", "inputSchema": OBJECT}]
    async with server(*entries, result={"content": TEXT}) as (connection, _):
        offered = await connection.open()
        assert [(tool.name, tool.description) for tool in offered] == [("t", "First."), ("other", "")]
        assert offered[0].parameters["properties"] == {"x": True}
        assert await call(offered[0]) == "found 1"
    assert caplog.text.count("tool 't' is listed twice: the first is offered") == 1


TEXT = [{"type": "text", "text": "found 1"}]
ROWS = {"rows": [{"id": 1}]}


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ({"content": TEXT, "structuredContent": ROWS}, 'found 1\n{"rows":[{"id":1}]}'),
        ({"content": [{"type": "text", "text": json.dumps(ROWS, indent=2)}], "structuredContent": ROWS}, None),
        ({"content": [{"type": "text", "text": "3"}], "structuredContent": {"result": 3}}, "3"),
        (
            {
                "content": [{"type": "text", "text": '{"id": 1}'}, {"type": "text", "text": '{"id": 2}'}],
                "structuredContent": {"result": [{"id": 1}, {"id": 2}]},
            },
            '{"id": 1}\n{"id": 2}',
        ),
        ({"content": [], "structuredContent": ROWS}, '{"rows":[{"id":1}]}'),
        ({"content": TEXT}, "found 1"),
    ],
)
async def test_structured_content_is_told_once(result: dict[str, Any], told: str | None) -> None:
    async with server({"name": "t", "inputSchema": OBJECT}, result=result) as (_, tools):
        assert await call(tools["t"]) == (told or result["content"][0]["text"])


async def test_structured_content_of_an_error_is_told_too() -> None:
    result = {"content": TEXT, "structuredContent": ROWS, "isError": True}
    async with server({"name": "t", "inputSchema": OBJECT}, result=result) as (_, tools):
        with pytest.raises(ToolFailedError, match=r'found 1\s\{"rows"'):
            await call(tools["t"])


@pytest.mark.parametrize(
    ("schema", "structured"),
    [
        ({"type": "object", "properties": {"v": {"$ref": "#/$defs/Gone"}}}, {"v": 1}),
        ({"type": "object", "required": ["v"]}, None),
        ({"type": "object", "required": ["v"]}, {"w": 1}),
        ({"type": "nonsense"}, {"w": 1}),
    ],
)
async def test_a_result_is_not_lost_over_its_schema(
    schema: dict[str, Any], structured: Any, caplog: pytest.LogCaptureFixture
) -> None:
    result = {"content": TEXT} if structured is None else {"content": TEXT, "structuredContent": structured}
    async with server({"name": "t", "inputSchema": OBJECT, "outputSchema": schema}, result=result) as (_, tools):
        assert (await call(tools["t"])).startswith("found 1")
    assert "tool 't' does not fit its output schema" in caplog.text


async def test_white_space_and_a_data_url_do_not_break_what_is_sent_as_base64() -> None:
    blob = {"uri": "file:///a.pdf", "mimeType": "application/pdf", "blob": "AAAA\r\nAAAA\n"}
    content = [
        {"type": "image", "data": "AAAA\nAAAA\n", "mimeType": "image/png"},
        {"type": "image", "data": "data:image/png;base64,AAAA", "mimeType": "image/png"},
        {"type": "resource", "resource": blob},
    ]
    async with server({"name": "t", "inputSchema": OBJECT}, result={"content": content}) as (_, tools):
        first, second, third = await call(tools["t"])
    assert first == ImagePart(data="AAAAAAAA", mime_type="image/png")
    assert second == ImagePart(data="AAAA", mime_type="image/png")
    assert third == FilePart(data="AAAAAAAA", mime_type="application/pdf", name="a.pdf")


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@contextlib.asynccontextmanager
async def http(handler: Handler) -> AsyncIterator[McpConnection]:
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/mcp"
    connection = McpConnection(McpServerConfig(url=url, allow_private=True, name="odd"))
    try:
        yield connection
    finally:
        await connection.aclose()
        await runner.cleanup()


class HttpServer:
    """A server whose sessions can be taken away, and whose calls can be refused."""

    def __init__(self) -> None:
        self.sessions: list[str] = []
        self.alive: set[str] = set()
        self.forgotten: web.Response | None = None
        self.refusal: web.Response | None = None
        self.calls = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.method != "POST":
            return web.Response(status=405 if request.method == "GET" else 200)
        message = await request.json()
        match message["method"]:
            case "initialize":
                self.sessions.append(f"session-{len(self.sessions)}")
                self.alive.add(self.sessions[-1])
                return self._answer(message, INITIALIZED, {"Mcp-Session-Id": self.sessions[-1]})
            case "notifications/initialized":
                return web.Response(status=202)
            case _ if request.headers.get("Mcp-Session-Id") not in self.alive:
                return self._refused(message, self.forgotten or web.Response(status=404))
            case "tools/list":
                return self._answer(message, {"tools": [{"name": "t", "inputSchema": OBJECT}]})
            case _ if self.refusal is not None:
                return self._refused(message, self.refusal)
        self.calls += 1
        return self._answer(message, {"content": [{"type": "text", "text": "fine"}]})

    @staticmethod
    def _answer(message: dict[str, Any], result: dict[str, Any], headers: dict[str, str] | None = None) -> web.Response:
        return web.json_response({"jsonrpc": "2.0", "id": message["id"], "result": result}, headers=headers)

    @staticmethod
    def _refused(message: dict[str, Any], like: web.Response) -> web.Response:
        if not like.text:
            return web.Response(status=like.status, headers=dict(like.headers))
        body = {"jsonrpc": "2.0", "id": message.get("id"), "error": json.loads(like.text)}
        return web.json_response(body, status=like.status)


@pytest.mark.parametrize(
    "forgotten",
    [
        web.Response(status=404),
        web.json_response({"code": -32001, "message": "Session not found"}, status=404),
        web.json_response({"code": -32600, "message": "Session not found"}, status=404),
        web.json_response({"code": -32000, "message": "Bad Request: No valid session ID provided"}, status=400),
    ],
)
async def test_a_server_that_forgot_the_session_gets_a_new_one_and_the_call(forgotten: web.Response) -> None:
    remote = HttpServer()
    remote.forgotten = forgotten
    async with http(remote.answer) as connection:
        (tool,) = await connection.open()
        assert await call(tool) == "fine"
        remote.alive.clear()
        assert await call(tool) == "fine"
        assert await call(tool) == "fine"
    assert len(remote.sessions) == 2
    assert remote.calls == 3


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        (web.Response(status=401), "HTTP 401 Unauthorized: set headers_env"),
        (web.Response(status=503), "HTTP 503 Service Unavailable"),
        (web.json_response({"code": -32603, "message": "out of paper"}, status=500), "HTTP 500 .*: out of paper"),
        (web.json_response({"code": -32602, "message": "bad rows"}, status=400), "HTTP 400 Bad Request: bad rows"),
    ],
)
async def test_the_status_of_a_refused_call_is_told(refusal: web.Response, told: str) -> None:
    remote = HttpServer()
    async with http(remote.answer) as connection:
        (tool,) = await connection.open()
        remote.refusal = refusal
        with pytest.raises(ToolFailedError, match=told) as caught:
            await call(tool)
        assert "-32603" not in str(caught.value)
        remote.refusal = None
        assert await call(tool) == "fine"


async def test_a_429_counts_as_a_rate_limit() -> None:
    remote = HttpServer()
    async with http(remote.answer) as connection:
        (tool,) = await connection.open()
        remote.refusal = web.Response(status=429, headers={"Retry-After": "7"})
        with pytest.raises(ToolFailedError, match="HTTP 429") as caught:
            await call(tool)
    assert isinstance(caught.value.__cause__, RateLimited)
    assert caught.value.__cause__.retry_after == 7


@pytest.mark.parametrize("status", [401, 403, 429, 503])
async def test_the_status_of_a_server_that_cannot_be_opened_is_told(status: int) -> None:
    async def refusing(request: web.Request) -> web.Response:
        return web.Response(status=status)

    async with http(refusing) as connection:
        with pytest.raises(ConfigError, match=f"HTTP {status} "):
            await connection.open()


@pytest.mark.parametrize("status", [404, 405])
async def test_the_old_sse_transport_is_called_by_its_name(status: int) -> None:
    async def old(request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            return web.Response(status=status)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"event: endpoint\ndata: /messages?session=1\n\n")
        await asyncio.sleep(1)
        return response

    async with http(old) as connection:
        with pytest.raises(ConfigError, match=r"speaks the old HTTP\+SSE transport, which is not supported"):
            await connection.open()


async def test_an_error_output_without_line_breaks_is_read_in_pieces() -> None:
    from unified_agents.interop.mcp.server_process import ErrorOutput

    output = ErrorOutput("odd", Redactor({}))
    file = output.open()
    await asyncio.to_thread(file.write, "x" * 1_000_000 + "the end")
    await asyncio.to_thread(file.flush)
    async with asyncio.timeout(30):
        while not output.tail():  # noqa: ASYNC110  # a thread fills it
            await asyncio.sleep(0.01)
    file.close()
    await output.close()
    assert output.tail().endswith("the end")
    assert max(map(len, output._lines)) <= 8_192


GROWS = """
import json, sys
names = ["grow"]
def put(**message):
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)
for line in sys.stdin:
    message = json.loads(line)
    method, answer = message["method"], {"error": {"code": -32601, "message": "Method not found"}}
    if method == "initialize":
        answer = {"result": json.loads(sys.argv[1])}
    elif method == "tools/list":
        answer = {"result": {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in names]}}
    elif method == "tools/call":
        names.append("new")
        for _ in range(2):
            put(method="notifications/tools/list_changed")
        answer = {"result": {"content": [{"type": "text", "text": "grown"}]}}
    if "id" in message:
        put(id=message["id"], **answer)
"""


async def test_tools_that_have_changed_are_logged_and_taken_when_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    initialized = INITIALIZED | {"capabilities": {"tools": {"listChanged": True}}}
    command = (sys.executable, "-c", GROWS, json.dumps(initialized))
    connection = McpConnection(McpServerConfig(command=command, name="growing"))
    try:
        [grow] = await connection.open()
        assert not connection.tools_changed
        assert await call(grow) == "grown"
        assert connection.tools_changed
        assert [record.getMessage()[:47] for record in caplog.records if record.levelname == "WARNING"] == [
            "MCP server growing: its tools have changed: an "
        ]
        assert [tool.name for tool in await connection.open()] == ["grow", "new"]
        assert not connection.tools_changed
        assert await call(grow) == "grown"  # one that was listed before still works
    finally:
        await connection.aclose()
