"""A connection to an MCP server, whatever event loop its tools are called on."""

from __future__ import annotations

import asyncio
import atexit
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from unified_agents import wording
from unified_agents.concurrency.background_loop import background_loop, run_in_background
from unified_agents.errors import ConfigError, ToolDefinitionError, ToolFailedError, UnifiedAgentsError
from unified_agents.interop.mcp.config import McpServerConfig
from unified_agents.interop.source import OpenSource
from unified_agents.messages import JsonObject
from unified_agents.tools.definition import Tool, ToolContext

if TYPE_CHECKING:
    from unified_agents.interop.mcp.session import McpSession, RemoteTool

logger = logging.getLogger("unified_agents.tools.mcp")

T = TypeVar("T")
_AT_EXIT = 10.0


class McpConnection:
    """Keeps an MCP server, and makes its tools ours.

    There is one session, on a background loop, for all event loops and threads. A server that ends is started again
    by the next call. `aclose` ends it; at the latest the end of the program does.

    Args:
        config: Which server.
    """

    def __init__(self, config: McpServerConfig) -> None:
        self.config = config
        self.skipped: dict[str, str] = {}
        """Tools that cannot be offered, because their schema is none: name to reason."""
        self.restarts = 0
        """How often the server was started again."""
        self._session: McpSession | None = None
        self._closed = False
        self._lock = asyncio.Lock()
        self._loop = background_loop()

    async def open(self) -> tuple[Tool, ...]:
        """Connect, and list the server's tools. They stay usable when the server is started again.

        Raises:
            ConfigError: the `mcp` package is missing, a variable is not set, or the server cannot be started or
                reached; the message says why.
        """
        require_sdk()
        session = await self._there(self._live)
        return tuple(tool for remote in session.tools if (tool := self._tool(remote)) is not None)

    async def aclose(self) -> None:
        """End the session, and the server where we started it. May be awaited on any event loop, and more than once."""
        atexit.unregister(self._end)
        await self._there(self._close)

    async def call(self, remote: str, arguments: Mapping[str, Any], context: ToolContext) -> Any:
        """Call one of the server's tools.

        Args:
            remote: The tool's name at the server.
            arguments: As its schema wants them.
            context: Names the call, and is told of progress.

        Returns:
            What the model shall read: text, a `Part`, or a list of both.

        Raises:
            ToolFailedError: the tool says that it failed, the server broke the protocol, or it ended.
        """
        return await self._there(lambda: self._call(remote, dict(arguments), context))

    async def _call(self, remote: str, arguments: JsonObject, context: ToolContext) -> Any:
        from unified_agents.interop.mcp.session import SessionExpiredError  # noqa: PLC0415  # loaded by `open`

        try:
            session = await self._live()
            try:
                return await session.call(remote, arguments, context)
            except SessionExpiredError:  # the server forgot the session, so it has not run the call
                await session.aclose()
                return await (await self._live()).call(remote, arguments, context)
        except (ConfigError, SessionExpiredError) as error:
            text = wording.mcp_server_unavailable(context.tool, self.config.label, str(error))
            raise ToolFailedError(text) from error

    async def _live(self) -> McpSession:
        """The session, started where there is none that lives."""
        from unified_agents.interop.mcp.session import McpSession  # noqa: PLC0415  # only who has a server pays for it

        async with self._lock:
            if self._closed:
                raise ConfigError(wording.mcp_not_opened(self.config.label, wording.mcp_closed()))
            if self._session is not None and not self._session.ended:
                return self._session
            if self._session is None:
                atexit.register(self._end)
            else:
                await self._session.aclose()
                self.restarts += 1
                logger.warning("MCP server %s has ended and is started again", self.config.label)
            session = McpSession(self.config)
            await session.start()
            self._session = session
            return session

    async def _close(self) -> None:
        self._closed = True
        async with self._lock:
            if self._session is not None:
                await self._session.aclose()

    def _end(self) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(timeout=_AT_EXIT)

    def _tool(self, remote: RemoteTool) -> Tool | None:
        try:
            return Tool(
                name=remote.name,
                description=remote.description,
                parameters=remote.parameters,
                handler=McpHandler(self, remote),
                timeout=self.config.timeout,
            )
        except ToolDefinitionError as error:
            self.skipped[remote.name] = str(error)
            logger.warning("MCP server %s: a tool cannot be offered: %s", self.config.label, error)
            return None

    async def _there(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do work on the background loop, in the caller's context."""
        if asyncio.get_running_loop() is self._loop:
            return await work()
        if not self._loop.is_running():
            raise UnifiedAgentsError(f"MCP server {self.config.label!r}: the program is ending")
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work(), self._loop))


class McpHandler:
    """The handler of a tool that an MCP server has.

    Attributes:
        connection: The server.
        name: The tool's name there.
        annotations: What the server says of its behaviour, such as `readOnlyHint`: hints, not promises.
    """

    def __init__(self, connection: McpConnection, remote: RemoteTool) -> None:
        self.connection = connection
        self.name = remote.name
        self.annotations: Mapping[str, Any] = remote.annotations

    # The context's name cannot be an argument's in earnest, and `/` leaves `self` free for one.
    async def __call__(self, /, unified_agents_context: ToolContext, **arguments: Any) -> Any:
        """Call the tool at the server."""
        return await self.connection.call(self.name, arguments, unified_agents_context)


def open_server(config: McpServerConfig) -> OpenSource:
    """Connect, and list the server's tools. Blocks until that is done; the session lives on a loop of its own.

    Raises:
        ConfigError: the `mcp` package is missing, a variable is not set, or the server cannot be started or reached;
            the message says why.
    """
    connection = McpConnection(config)
    return OpenSource(run_in_background(connection.open), connection.aclose)


def require_sdk() -> None:
    """See that the `mcp` package is there.

    Raises:
        ConfigError: it is not installed, or is not version 2.
    """
    remedy = "MCP needs the package mcp, version 2: pip install 'unified-agents[mcp]'"
    try:
        import mcp  # noqa: PLC0415  # only who has a server pays for it
    except ImportError as error:
        raise ConfigError(f"{remedy} ({error})") from error
    if not hasattr(mcp, "Client"):
        raise ConfigError(f"{remedy} (an older one is installed)")
