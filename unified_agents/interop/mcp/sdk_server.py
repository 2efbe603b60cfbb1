"""Our tools, served by the `mcp` SDK. Importing this loads the `mcp` package."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import socket
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast
from urllib.parse import quote

import uvicorn
from mcp import MCPError
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp_types import (
    INVALID_PARAMS,
    BlobResourceContents,
    CallToolRequestParams,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool as ListedTool,
)
from uvicorn.protocols.http.h11_impl import H11Protocol

from unified_agents import wording
from unified_agents.errors import ConfigError, ToolCallError
from unified_agents.interop.mcp.stdin import standard_input
from unified_agents.tool_runner.standalone import carry_out
from unified_agents.tools.definition import Tool, ToolContext
from unified_agents.tools.parts import ImagePart, Part, TextPart
from unified_agents.tools.provider_names import provider_names

logger = logging.getLogger("unified_agents.tools.mcp")

_VALID_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_HOST = "127.0.0.1"
_PATH = "/mcp"
_SHUTDOWN_SECONDS = 2
_REQUEST_SECONDS = 30.0
"""How long a client may take to send the head of a request, and then its body."""

_Progress = tuple[float, float | None, str]


def make_server(tools: Sequence[Tool], name: str) -> Server[Any]:
    """Make an MCP server that offers these tools; see `serve`.

    Raises:
        ConfigError: two tools have the same name.
    """
    offered = _by_mcp_name(tools)
    listed = ListToolsResult(
        tools=[
            ListedTool(name=shown, description=tool.description or None, input_schema=tool.parameters)
            for shown, tool in offered.items()
        ]
    )

    async def on_list(context: ServerRequestContext[Any], params: PaginatedRequestParams | None) -> ListToolsResult:
        return listed

    async def on_call(context: ServerRequestContext[Any], params: CallToolRequestParams) -> CallToolResult:
        tool = offered.get(params.name)
        if tool is None:
            raise MCPError(INVALID_PARAMS, wording.unknown_tool(params.name, list(offered)))
        return await _call(context, tool, params.arguments or {})

    return Server(name, on_list_tools=on_list, on_call_tool=on_call)


async def serve_stdio(server: Server[Any], ready: Callable[[str], None]) -> None:
    """Serve the client that started this process, until it hangs up. Printed text goes to standard error meanwhile."""
    stdout = sys.stdout
    with standard_input() as lines:
        async with stdio_server(stdin=cast("Any", lines)) as (read, write):  # it only iterates over them
            try:
                with contextlib.redirect_stdout(sys.stderr):
                    ready("stdio")
                    await server.run(read, write, server.create_initialization_options())
            finally:
                stdout.flush()  # while its descriptor is still standard error's: the protocol gets it back after this


async def serve_http(server: Server[Any], port: int, ready: Callable[[str], None]) -> None:
    """Serve on the loopback interface, until cancelled or interrupted.

    Raises:
        ConfigError: the port is taken, or is none.
    """
    with _listening(port) as listener:
        app = server.streamable_http_app(streamable_http_path=_PATH, host=_HOST)
        config = uvicorn.Config(
            _timed(app),
            http=_TimedProtocol,
            log_config=None,
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        )
        http = _HttpServer(config, lambda: ready(f"http://{_HOST}:{listener.getsockname()[1]}{_PATH}"))
        serving = asyncio.create_task(http.serve(sockets=[listener]), name="unified-agents MCP server")
        try:
            await asyncio.shield(serving)
        finally:
            http.should_exit = True
            await asyncio.wait([serving])


class _TimedProtocol(H11Protocol):
    """HTTP/1.1 that closes a connection whose client does not send the head of a request in time."""

    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
        self._head_timer = self.loop.call_later(_REQUEST_SECONDS, self._close_without_head)

    def _close_without_head(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


def _timed(app: Any) -> Any:
    """Return an application that ends a request whose body does not arrive in time."""

    async def timed(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        end = asyncio.get_running_loop().time() + _REQUEST_SECONDS
        is_whole = False

        async def receive_in_time() -> Any:
            nonlocal is_whole
            if is_whole:
                return await receive()  # waits for the client's end
            try:
                async with asyncio.timeout_at(end):
                    message = await receive()
            except TimeoutError:
                return {"type": "http.disconnect"}
            is_whole = not message.get("more_body", False)
            return message

        await app(scope, receive_in_time, send)

    return timed


class _HttpServer(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


def _listening(port: int) -> socket.socket:
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((_HOST, port))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        reason = error.strerror if isinstance(error, OSError) else "a port is a number from 0 to 65535"
        raise ConfigError(f"cannot listen on {_HOST}:{port}: {reason}; give another --port") from error
    return listener


def _by_mcp_name(tools: Sequence[Tool]) -> dict[str, Tool]:
    """Return the tools by names that MCP takes: their own, or mapped ones."""
    legal = {tool.name for tool in tools if _VALID_NAME.fullmatch(tool.name)}
    mapped = provider_names([tool.name for tool in tools if tool.name not in legal], taken=legal)
    names = [mapped.get(tool.name, tool.name) for tool in tools]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(f"two tools have the name {twice!r}: rename one, or give its source a prefix")
    return dict(zip(names, tools, strict=True))


async def _call(context: ServerRequestContext[Any], tool: Tool, arguments: Mapping[str, Any]) -> CallToolResult:
    """Run a tool for a client, and send it the tool's progress meanwhile."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[_Progress | None] = asyncio.Queue()

    def on_progress(done: float, total: float | None, message: str) -> None:
        loop.call_soon_threadsafe(queue.put_nowait, (done, total, message))

    call_id = str(context.request_id)
    tool_context = ToolContext(uuid.uuid4().hex, call_id, step=0, tool=tool.name, on_progress=on_progress)
    sending = asyncio.create_task(_send_progress(queue, context))
    try:
        text, parts = await carry_out(tool, json.dumps(arguments), tool_context)
    except ToolCallError as error:
        return CallToolResult(content=[TextContent(text=str(error))], is_error=True)
    finally:
        loop.call_soon_threadsafe(queue.put_nowait, None)  # after the progress that is on its way
        await asyncio.wait([sending])
        if not sending.cancelled() and (failure := sending.exception()):
            logger.info("progress of %s was not sent: %s", tool.name, failure)
    return CallToolResult(content=[_block(part) for part in parts] or [TextContent(text=text)])


async def _send_progress(queue: asyncio.Queue[_Progress | None], context: ServerRequestContext[Any]) -> None:
    while (progress := await queue.get()) is not None:
        done, total, message = progress
        await context.session.report_progress(done, total, message or None)


def _block(part: Part) -> ContentBlock:
    if isinstance(part, TextPart):
        return TextContent(text=part.text)
    if isinstance(part, ImagePart):
        return ImageContent(data=part.data, mime_type=part.mime_type)
    resource = BlobResourceContents(uri=f"file:///{quote(part.name)}", mime_type=part.mime_type, blob=part.data)
    return EmbeddedResource(resource=resource)
