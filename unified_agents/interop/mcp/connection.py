"""A connection to an MCP server, for tools that are called on any event loop."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from unified_agents import wording
from unified_agents.concurrency.background_loop import background_loop, run_in_background
from unified_agents.errors import ConfigError, ToolDefinitionError, ToolFailedError, UnifiedAgentsError
from unified_agents.extras import remedy_of_extra
from unified_agents.interop.mcp.config import McpServerConfig
from unified_agents.interop.source import OpenSource
from unified_agents.messages import JsonObject
from unified_agents.tools.definition import Tool, ToolContext

if TYPE_CHECKING:
    from mcp_types import Tool as ListedTool

    from unified_agents.interop.mcp.session import McpSession

logger = logging.getLogger("unified_agents.tools.mcp")

T = TypeVar("T")
_EXIT_SECONDS = 10.0

_inherited: list[object] = []
"""Sessions of a parent process. They are kept, because collecting them would disturb the parent's connections."""


class McpConnection:
    """A connection to an MCP server, whose tools it offers as ours.

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
        self._closed = False
        self._begin()

    def _begin(self) -> None:
        """Begin without a session: at first, and in a process that is forked, where the session is the parent's."""
        self._process = os.getpid()
        self._session: McpSession | None = None
        self._lock = asyncio.Lock()
        self._loop = background_loop()

    async def open(self) -> tuple[Tool, ...]:
        """Connect, and list the server's tools. They stay usable when the server is started again.

        Once the server has said that its tools have changed (`tools_changed`), this gives those that it has now.

        Raises:
            ConfigError: the `mcp` package is missing, a variable is not set, or the server cannot be started or
                reached; the message says why.
        """
        require_sdk()
        session = await self._in_background(self._current_session)
        self.skipped.update(session.listing.skipped)
        schemas = session.listing.schemas
        exclusive = f"{wording.mcp_server(self.config.label)} #{id(self):x}" if session.asks_one_at_a_time else None
        tools = (
            self._tool(listed, schemas.get(listed.name, listed.input_schema), exclusive) for listed in session.tools
        )
        return tuple(tool for tool in tools if tool is not None)

    async def aclose(self) -> None:
        """End the session, and the server where we started it. May be awaited on any event loop, and more than once."""
        atexit.unregister(self._close_at_exit)
        await self._in_background(self._close)

    async def call(self, remote: str, arguments: Mapping[str, Any], context: ToolContext) -> Any:
        """Call one of the server's tools.

        Args:
            remote: The tool's name at the server.
            arguments: As its schema wants them.
            context: Names the call, and receives its progress.

        Returns:
            The result for the model: text, a `Part`, or a list of both.

        Raises:
            ToolFailedError: the tool says that it failed, the server broke the protocol, or it ended.
        """
        return await self._in_background(lambda: self._call(remote, dict(arguments), context))

    async def _call(self, remote: str, arguments: JsonObject, context: ToolContext) -> Any:
        from unified_agents.interop.mcp.session import SessionExpiredError  # noqa: PLC0415  # loaded by `open`

        try:
            session = await self._live_session()
            try:
                return await session.call(remote, arguments, context)
            except SessionExpiredError:  # the server forgot the session, so it has not run the call
                await session.aclose()
                return await (await self._live_session()).call(remote, arguments, context)
        except (ConfigError, SessionExpiredError) as error:
            text = wording.mcp_server_unavailable(context.tool, self.config.label, str(error))
            raise ToolFailedError(text) from error

    @property
    def tools_changed(self) -> bool:
        """Whether the server has said, since its tools were listed, that they are others now."""
        return self._session is not None and self._session.tools_changed

    async def _current_session(self) -> McpSession:
        session = await self._live_session()
        await session.refresh()
        return session

    async def _live_session(self) -> McpSession:
        """Return the session, started where there is none that lives."""
        from unified_agents.interop.mcp.session import McpSession  # noqa: PLC0415  # only who has a server pays for it

        async with self._lock:
            if self._closed:
                raise ConfigError(wording.mcp_not_opened(self.config.label, wording.mcp_closed()))
            if self._session is not None and not self._session.ended:
                return self._session
            if self._session is None:
                atexit.register(self._close_at_exit)
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

    def _close_at_exit(self) -> None:
        if self._process != os.getpid():
            return
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(timeout=_EXIT_SECONDS)

    def _tool(self, listed: ListedTool, schema: JsonObject, exclusive: str | None) -> Tool | None:
        hints = listed.annotations.model_dump(by_alias=True, exclude_none=True) if listed.annotations else {}
        try:
            return Tool(
                name=listed.name,
                description=listed.description or listed.title or hints.get("title", ""),
                parameters=schema,
                handler=McpHandler(self, listed.name, hints),
                timeout=self.config.timeout,
                exclusive=exclusive,
            )
        except ToolDefinitionError as error:
            self.skipped[listed.name] = str(error)
            logger.warning("MCP server %s: a tool cannot be offered: %s", self.config.label, error)
            return None

    async def _in_background(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do work on the background loop, in the caller's context."""
        if self._process != os.getpid():
            _inherited.append((self._session, self._loop))
            atexit.unregister(self._close_at_exit)
            self._begin()
        if asyncio.get_running_loop() is self._loop:
            return await work()
        if not self._loop.is_running():
            raise UnifiedAgentsError(f"MCP server {self.config.label!r}: the program is ending")
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work(), self._loop))


@dataclass(slots=True, frozen=True, eq=False, repr=False)
class McpHandler:
    """The handler of a tool of an MCP server.

    Attributes:
        connection: The server.
        name: The tool's name there.
        annotations: What the server says of its behaviour, such as `readOnlyHint`: hints, not promises.
    """

    connection: McpConnection
    name: str
    annotations: Mapping[str, Any]

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
    return OpenSource(run_in_background(connection.open), connection.aclose, connection.skipped)


def require_sdk() -> None:
    """Check that the `mcp` package is installed, in the version that we need.

    Raises:
        ConfigError: it is not installed, or is not version 2.
    """
    try:
        import mcp  # noqa: PLC0415  # only who has a server pays for it
    except ImportError as error:
        raise ConfigError(f"MCP needs the package mcp, version 2 ({error}): {remedy_of_extra('mcp')}") from error
    if not hasattr(mcp, "Client"):
        remedy = remedy_of_extra("mcp")
        raise ConfigError(f"MCP needs the package mcp, version 2, and an older one is installed: {remedy}")
