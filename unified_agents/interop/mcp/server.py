"""A catalogue as an MCP server, so that any framework may use the same tools."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from unified_agents.errors import ConfigError
from unified_agents.interop.mcp.connection import require_sdk
from unified_agents.tools.definition import Tool

Transport: TypeAlias = Literal["stdio", "http"]

DEFAULT_PORT = 8000
"""The port on which `serve` listens over HTTP by default."""


async def serve(
    tools: Sequence[Tool],
    transport: Transport = "stdio",
    port: int = DEFAULT_PORT,
    *,
    name: str = "unified-agents",
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve tools over MCP until the client hangs up (stdio), or until cancelled or interrupted (http).

    Arguments are validated by our rules. Arguments that do not fit, a tool that fails and one that takes too long are
    answered by a result with `isError` in our words; a tool that does not exist is a protocol error. Progress that a
    tool reports through its `ToolContext` is passed on. Images and files are content blocks of their own.

    Args:
        tools: What is offered, under their own names where MCP takes them.
        transport: "stdio" for a client that starts us, "http" for streamable HTTP at `/mcp` on 127.0.0.1 only.
        port: Where to listen for "http"; 0 takes a free one.
        name: The server's name.
        on_ready: Called with the URL, or with "stdio", once requests are answered.

    Raises:
        ConfigError: the `mcp` package is missing, the port is taken, the transport is unknown, or two tools have the
            same name.
    """
    require_sdk()
    from unified_agents.interop.mcp import sdk_server  # noqa: PLC0415  # only who serves pays for it

    ready = on_ready or (lambda _place: None)
    if transport == "stdio":
        await sdk_server.serve_stdio(sdk_server.make_server(tools, name), ready)
    elif transport == "http":
        await sdk_server.serve_http(sdk_server.make_server(tools, name), port, ready)
    else:
        raise ConfigError(f"no transport {transport!r}: take stdio or http")
