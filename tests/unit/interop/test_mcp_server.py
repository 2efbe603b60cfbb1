"""Our tools behind MCP, driven by the SDK's own client, over stdio and over HTTP; and our client over HTTP."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from support import ROOT, call_handler, http_server
from unified_agents.errors import ConfigError, ToolFailedError
from unified_agents.interop.mcp import McpConnection, McpServerConfig
from unified_agents.interop.mcp.server import serve
from unified_agents.tools.decorator import tool
from unified_agents.tools.definition import Tool, ToolContext
from unified_agents.tools.parts import FilePart, ImagePart, TextPart

mcp = pytest.importorskip("mcp")

PIXEL = b"\x89PNG\r\n\x1a\n"
HARD = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "title": "Hard",
    "properties": {
        "größe": {"type": ["integer", "null"], "exclusiveMinimum": 0, "default": None},
        "tree": {"$ref": "#/$defs/tree"},
        "pair": {"type": "array", "prefixItems": [{"const": 1}, {"enum": ["a", None]}], "unevaluatedItems": False},
    },
    "patternProperties": {"^x-": {"type": "string", "format": "date"}},
    "allOf": [{"if": {"required": ["pair"]}, "then": {"required": ["tree"]}}],
    "additionalProperties": False,
    "$defs": {"tree": {"type": "object", "properties": {"children": {"items": {"$ref": "#/$defs/tree"}}}}},
}


@tool
async def add(a: int, b: int = 1) -> int:
    """Add two numbers.

    Args:
        a: The first.
    """
    return a + b


@tool
def thread_name() -> str:
    """Say in which thread this runs."""
    return threading.current_thread().name


@tool
def boom() -> str:
    """Fail."""
    raise ValueError("no such row")


@tool
def leave() -> str:
    """End the program, from a thread."""
    raise SystemExit(3)


@tool
async def leave_at_once() -> str:
    """End the program, from its event loop."""
    raise SystemExit(3)


@tool(timeout=0.05)
async def slow() -> str:
    """Never end."""
    await asyncio.Event().wait()
    return ""


@tool
def steps(context: ToolContext) -> str:
    """Tell of progress, from a thread."""
    context.report_progress(1, 2, "half")
    context.report_progress(2, 2)
    return context.call_id


@tool
def picture() -> list[Any]:
    """Return more than text."""
    return ["look:", ImagePart.from_bytes(PIXEL), FilePart.from_bytes(b"abc", "text/csv", "my file.csv")]


@tool
def unusable() -> object:
    """Return what has no JSON form."""
    return object()


TOOLS = [
    *(add, thread_name, boom, slow, steps, picture, unusable, leave, leave_at_once),
    Tool(name="orders.größe", parameters=HARD, handler=lambda **arguments: arguments),
]


@contextlib.asynccontextmanager
async def served(tools: list[Tool] = TOOLS) -> AsyncIterator[str]:
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(tools, "http", 0, on_ready=ready.set_result))
    await asyncio.wait([serving, ready], return_when=asyncio.FIRST_COMPLETED)
    try:
        yield ready.result()
    finally:
        serving.cancel()
        await asyncio.wait([serving])


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_sdks_client_lists_and_calls_over_http(mode: str) -> None:
    async with served() as url, mcp.Client(url, mode=mode) as client:
        await exercise(client)


async def test_the_sdks_client_lists_and_calls_over_stdio() -> None:
    program = f"""
import asyncio, sys
sys.path[:0] = {[str(Path(__file__).parent), str(ROOT / "tests")]!r}
from test_mcp_server import TOOLS
from unified_agents.interop.mcp.server import serve
asyncio.run(serve(TOOLS))
"""
    parameters = mcp.StdioServerParameters(command=sys.executable, args=["-c", program])
    async with mcp.Client(parameters) as client:
        await exercise(client)


async def exercise(client: Any) -> None:
    listed = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert set(listed) == {*(tool.name for tool in TOOLS[:-1]), "orders_gr__e"}
    assert listed["add"].description == "Add two numbers."
    for mine, theirs in zip(TOOLS, listed.values(), strict=True):
        assert theirs.input_schema == mine.parameters
    assert await said(client, "add", {"a": 2}) == ("3", False)
    name, failed = await said(client, "thread_name")
    assert name.startswith("unified-agents-standalone-tool")
    assert not failed
    text, failed = await said(client, "add", {"a": "2", "b": 1, "c": 0})
    assert failed
    assert "the arguments of tool 'add' are not valid, and it was not run" in text
    assert "a: " in text
    assert await said(client, "boom") == ("Error in tool 'boom': ValueError: no such row", True)
    for name in ("leave", "leave_at_once"):
        text, failed = await said(client, name)
        assert failed
        assert f"Error in tool {name!r}" in text
        assert "SystemExit" in text
    text, failed = await said(client, "slow")
    assert failed
    assert "did not finish within 0.05 seconds" in text
    text, failed = await said(client, "unusable")
    assert failed
    assert "its result cannot be shown" in text
    with pytest.raises(mcp.MCPError, match=r"there is no tool 'ad'. The closest names: add"):
        await client.call_tool("ad", {})
    seen: list[tuple[float, float | None, str | None]] = []

    async def tell(progress: float, total: float | None, message: str | None) -> None:
        seen.append((progress, total, message))

    await client.call_tool("steps", {}, progress_callback=tell)
    assert seen == [(1, 2, "half"), (2, 2, None)]
    blocks = (await client.call_tool("picture", {})).content
    assert [block.type for block in blocks] == ["text", "image", "resource"]
    assert base64.b64decode(blocks[1].data) == PIXEL


async def said(client: Any, name: str, arguments: dict[str, Any] | None = None) -> tuple[str, bool]:
    result = await client.call_tool(name, arguments or {})
    return result.content[0].text, bool(result.is_error)


async def test_a_tool_is_the_same_after_a_trip_through_mcp() -> None:
    async with served() as url:
        connection = McpConnection(McpServerConfig(url=url, allow_private=True))
        tools = {tool.name: tool for tool in await connection.open()}
        try:
            for before, after in zip(TOOLS, tools.values(), strict=True):
                assert (after.parameters, after.description) == (before.parameters, before.description)
            assert await call_handler(tools["orders_gr__e"], {"größe": 2**70}) == '{"größe":1180591620717411303424}'
            parts = await call_handler(tools["picture"])
            assert [type(part) for part in parts] == [TextPart, ImagePart, FilePart]
            assert parts[2] == FilePart.from_bytes(b"abc", "text/csv", "my file.csv")
            with pytest.raises(ToolFailedError, match=r"^Error in tool 'boom': ValueError: no such row$"):
                await call_handler(tools["boom"])
        finally:
            await connection.aclose()


async def test_a_result_of_many_megabytes_arrives() -> None:
    @tool(max_result_chars=None)
    def large() -> str:
        """Return much."""
        return "ü" * 5_000_000

    async with served([large, add]) as url:
        connection = McpConnection(McpServerConfig(url=url, allow_private=True))
        tools = await connection.open()
        assert await call_handler(tools[0]) == "ü" * 5_000_000
        await connection.aclose()


async def test_a_server_that_is_down_and_comes_back_over_http() -> None:
    with socket.socket() as finder:
        finder.bind(("127.0.0.1", 0))
        port = finder.getsockname()[1]
    ready = asyncio.Event()
    connection = McpConnection(McpServerConfig(url=f"http://127.0.0.1:{port}/mcp", allow_private=True, name="remote"))

    async def up() -> asyncio.Task[None]:
        ready.clear()
        serving = asyncio.create_task(serve([add], "http", port, on_ready=lambda _: ready.set()))
        await ready.wait()
        return serving

    with pytest.raises(ConfigError, match=r"MCP server 'remote': .* cannot be used"):
        await connection.open()
    serving = await up()
    try:
        (remote,) = await connection.open()
        assert await call_handler(remote, {"a": 1}) == "2"
        await down(serving)
        with pytest.raises(ToolFailedError, match="MCP server 'remote' ended during the call"):
            await call_handler(remote, {"a": 1})
        with pytest.raises(ToolFailedError, match="'remote' is gone and cannot be started again"):
            await call_handler(remote, {"a": 1})
        serving = await up()
        assert await call_handler(remote, {"a": 3}) == "4"
    finally:
        await connection.aclose()
        await down(serving)


async def down(serving: asyncio.Task[None]) -> None:
    serving.cancel()
    await asyncio.wait([serving])


async def test_requests_carry_the_headers_and_do_not_follow_to_another_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMOTE_KEY", "long-secret-key")
    seen: list[tuple[str, str | None]] = []

    async def elsewhere(request: web.Request) -> web.Response:
        seen.append(("elsewhere", request.headers.get("Authorization")))
        return web.Response(status=500)

    async def redirecting(request: web.Request) -> web.Response:
        seen.append(("first", request.headers.get("Authorization")))
        raise web.HTTPTemporaryRedirect(f"{other}/mcp")

    async with http_server(elsewhere) as other, http_server(redirecting) as first:
        config = McpServerConfig(
            url=f"{first}/mcp", allow_private=True, headers_env={"Authorization": "Bearer REMOTE_KEY"}
        )
        with pytest.raises(ConfigError, match="not followed") as caught:
            await McpConnection(config).open()
    assert seen
    assert set(seen) == {("first", "Bearer long-secret-key")}
    assert "long-secret-key" not in str(caught.value)


async def test_only_loopback_is_listened_at_and_foreign_pages_are_refused() -> None:
    import aiohttp

    async with served([add]) as url, aiohttp.ClientSession() as session:
        assert url.startswith("http://127.0.0.1:")
        port = int(url.split(":")[2].split("/")[0])
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.2", port)
        async with session.post(url, json={}, headers={"Host": "evil.example.com"}) as answer:
            assert answer.status in {403, 421}
        async with session.post(url, json={}, headers={"Origin": "https://evil.example.com"}) as answer:
            assert answer.status in {403, 421}


async def test_what_cannot_be_served_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="two tools have the name 'add'"):
        await serve([add, add])
    with pytest.raises(ConfigError, match="no transport 'pigeon'"):
        await serve([add], "pigeon")  # type: ignore[arg-type]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}.*give another --port"):
            await serve([add], "http", port)


@tool
async def at_the_end(context: ToolContext) -> str:
    """Report progress just before the result."""
    context.report_progress(1, 2)
    context.report_progress(2, 2, "last")
    return "done"


async def test_progress_just_before_the_result_is_delivered() -> None:
    seen: list[tuple[float, float | None, str]] = []
    async with served([at_the_end]) as url:
        connection = McpConnection(McpServerConfig(url=url, allow_private=True))
        (remote,) = await connection.open()
        for _ in range(5):
            context = ToolContext("r", "c", 0, "t", on_progress=lambda *report: seen.append(report))
            assert await remote.handler(**remote.arguments_for({}, context)) == "done"
        await connection.aclose()
    assert seen == [(1.0, 2.0, ""), (2.0, 2.0, "last")] * 5


@pytest.mark.parametrize(
    "begun",
    [b"", b"POST /mcp HTTP/1.1\r\nHost: x\r\n", b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n{"],
)
async def test_a_request_that_is_begun_and_never_ended_is_closed(begun: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unified_agents.interop.mcp.sdk_server._REQUEST_SECONDS", 0.3)
    async with served([add]) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.split(":")[2].split("/")[0]))
        writer.write(begun)
        async with asyncio.timeout(10):
            await reader.read()
        writer.close()
