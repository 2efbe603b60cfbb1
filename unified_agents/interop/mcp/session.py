"""One live session with an MCP server. Importing this loads the `mcp` package."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, NoReturn

import httpx2
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CONNECTION_CLOSED, INVALID_REQUEST, METHOD_NOT_FOUND, Implementation, Tool as ListedTool
from pydantic import ValidationError

from unified_agents import wording
from unified_agents.errors import ConfigError, ToolFailedError, native_name
from unified_agents.http.public_hosts import refuse_private
from unified_agents.interop.mcp.config import McpServerConfig
from unified_agents.interop.mcp.public_transport import transport_to
from unified_agents.interop.mcp.results import Redaction, error_text, result_value
from unified_agents.interop.mcp.server_process import ErrorOutput, WatchedStream
from unified_agents.messages import JsonObject
from unified_agents.tools.argument_errors import shortened
from unified_agents.tools.definition import ToolContext

logger = logging.getLogger("unified_agents.tools.mcp")

_MOST_PAGES = 1_000
_SETTLING = 1.0
_CONNECT = 30.0
_LARGEST_MESSAGE = 64 * 2**20


_within: contextvars.ContextVar[bool] = contextvars.ContextVar("unified_agents_mcp_session", default=False)


def _is_told_elsewhere(record: logging.LogRecord) -> bool:
    return not (_within.get() and record.exc_info and isinstance(record.exc_info[1], ValueError))


# The SDK logs a traceback for each line that is no message. Of our own sessions' these are noted, and told once.
logging.getLogger("mcp.client.stdio").addFilter(_is_told_elsewhere)


class SessionExpiredError(Exception):
    """The server does not know the session any more, and has not run the call."""


@dataclass(slots=True, frozen=True)
class RemoteTool:
    """A tool as the server lists it.

    Attributes:
        name: Its name there.
        description: What the model is told; its title where it has no description.
        parameters: JSON Schema of its arguments, as the server gives it.
        annotations: What the server says of its behaviour.
    """

    name: str
    description: str
    parameters: JsonObject
    annotations: JsonObject = field(default_factory=dict)


class McpSession:
    """A session from start to end, opened and closed by one task, as the SDK's task groups want it.

    Args:
        config: Which server.

    Attributes:
        tools: What the server listed; filled by `start`.
        ended: Whether calls are pointless: the server, or the connection to it, is gone.
    """

    def __init__(self, config: McpServerConfig) -> None:
        self._config = config
        self._redact = Redaction(config.secrets())
        self._output = ErrorOutput(config.label, self._redact)
        self._leave = asyncio.Event()
        self._client: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None
        self._noise = ""
        self.tools: tuple[RemoteTool, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether calls are pointless: the server, or the connection to it, is gone."""
        return self._leave.is_set() or self._task is None or self._task.done()

    async def start(self) -> None:
        """Connect, and list the tools.

        Raises:
            ConfigError: the server cannot be started or reached; the message says why.
        """
        try:
            async with asyncio.timeout(self._config.start_timeout):
                if self._config.url is not None and not self._config.allow_private:
                    await refuse_private(self._config.url, where=wording.mcp_server(self._config.label))
                await self._connect()
                self.tools = await self._list()
        except TimeoutError as error:
            await self.aclose()
            raise self._not_opened(wording.mcp_not_ready(self._config.start_timeout)) from error
        except (MCPError, ValidationError, RuntimeError, OSError, httpx2.HTTPError) as error:
            await self.aclose()
            failure = self._failure or error
            if isinstance(failure, MCPError) and failure.code == METHOD_NOT_FOUND and not self._client.done():
                reason = wording.mcp_no_server(self._config.place, _reason(failure))
            else:
                reason = wording.mcp_not_usable(self._config.place, _reason(failure))
            raise self._not_opened(reason) from error
        except BaseException:
            await self.aclose()
            raise

    async def call(self, name: str, arguments: JsonObject, context: ToolContext) -> Any:
        """Call a tool; see `McpConnection.call`.

        Raises:
            SessionExpiredError: the server forgot the session; the call was not run.
        """

        async def tell(progress: float, total: float | None, message: str | None) -> None:
            context.report_progress(progress, total, self._redact(message or ""))

        try:
            result = await self._client.result().call_tool(name, arguments, progress_callback=tell)
        except MCPError as error:
            if error.code == INVALID_REQUEST and error.message == "Session terminated":  # the SDK's word for a 404
                raise SessionExpiredError(wording.mcp_forgets()) from error
            await self._failed(context.tool, error, lost=error.code == CONNECTION_CLOSED)
        except Exception as error:  # the SDK tells an unfit answer by several classes, a closed session by more
            await self._failed(context.tool, error, lost=False)
        if result.is_error:
            text = self._redact(error_text(result))
            raise ToolFailedError(wording.mcp_tool_error(context.tool, text), native_type="mcp.CallToolResult")
        return result_value(result, self._redact)

    async def aclose(self) -> None:
        """End the session, and the server where we started it; waits until that is done."""
        self._leave.set()
        if self._task is None:
            return
        if not self._client.done():
            self._task.cancel()
        await asyncio.wait([self._task])

    async def _connect(self) -> None:
        # Its own empty context: the session outlives the run that happens to start it.
        self._task = asyncio.create_task(
            self._live(), name=f"unified-agents MCP {self._config.label}", context=contextvars.Context()
        )
        first: list[asyncio.Future[Any]] = [self._task, self._client]
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if not self._client.done():
            raise RuntimeError(wording.mcp_ended_early())

    async def _live(self) -> None:
        _within.set(True)
        try:
            # No cache: what is listed, is listed once.
            async with Client(self._streams(), cache=None, client_info=_myself()) as client:
                self._client.set_result(client)
                await self._leave.wait()
        except Exception as error:  # told by whoever waits for an answer
            self._failure = _innermost(error)
            logger.debug("MCP session ended: %s", self._redact(_reason(self._failure)))
        finally:
            self._leave.set()
            await self._output.close()

    @asynccontextmanager
    async def _streams(self) -> AsyncIterator[Any]:
        async with AsyncExitStack() as stack:
            if self._config.command is not None:
                transport = stdio_client(self._process(self._config.command), errlog=self._output.open())
            else:
                url = self._config.url or ""
                http = httpx2.AsyncClient(
                    headers=self._config.headers(),
                    timeout=httpx2.Timeout(_CONNECT, read=None),
                    follow_redirects=False,
                    transport=transport_to(url, allow_private=self._config.allow_private),
                    trust_env=False,
                )
                await stack.enter_async_context(http)
                transport = streamable_http_client(url, http_client=http, max_sse_event_size=_LARGEST_MESSAGE)
            read, write = await stack.enter_async_context(transport)
            self._output.started()
            yield WatchedStream(read, self._leave.set, self._note), write

    def _note(self, fault: Exception) -> None:
        """Keep the first line of the server's output that is no message; the SDK leaves it out."""
        if not isinstance(fault, ValidationError):
            return
        given = fault.errors(include_url=False)[0]["input"]
        line = shortened(self._redact(json.dumps(given, ensure_ascii=False, default=repr)))
        self._noise = self._noise or line
        logger.debug("%s wrote what is no message: %s", self._config.label, line)

    def _process(self, command: tuple[str, ...]) -> StdioServerParameters:
        program, *arguments = command
        return StdioServerParameters(
            command=program, args=arguments, env=self._config.environment(), cwd=self._config.cwd
        )

    async def _list(self) -> tuple[RemoteTool, ...]:
        client = self._client.result()
        found: list[ListedTool] = []
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            page = await client.list_tools(cursor=cursor)
            found.extend(page.tools)
            cursor = page.next_cursor
            if cursor is None:
                return tuple(_remote(tool) for tool in found)
        raise RuntimeError(wording.mcp_endless_list(_MOST_PAGES))

    async def _failed(self, tool: str, error: Exception, *, lost: bool) -> NoReturn:
        if lost and self._task is not None:
            await asyncio.wait([self._task], timeout=_SETTLING)  # so that the cause is known
        label = self._config.label
        if self.ended:
            cause = self._redact(_reason(self._failure)) if self._failure is not None else self._output.last()
            text = wording.mcp_server_lost(tool, label, cause)
        else:
            text = wording.mcp_protocol_error(tool, label, self._redact(_reason(error)))
        raise ToolFailedError(text, native_type=native_name(error)) from error

    def _not_opened(self, reason: str) -> ConfigError:
        last = self._output.last()
        if self._noise:
            reason += wording.mcp_no_message(self._noise)
        text = self._redact(wording.mcp_not_opened(self._config.label, reason))
        return ConfigError(text + wording.mcp_last_words(last) if last else text)


def _myself() -> Implementation:
    return Implementation(name="unified-agents", version=version("unified-agents"))


def _remote(tool: ListedTool) -> RemoteTool:
    title = tool.title or (tool.annotations.title if tool.annotations else None)
    hints = tool.annotations.model_dump(by_alias=True, exclude_none=True) if tool.annotations else {}
    return RemoteTool(tool.name, tool.description or title or "", tool.input_schema, hints)


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _reason(error: BaseException) -> str:
    error = _innermost(error)
    if isinstance(error, FileNotFoundError):
        return wording.mcp_no_program(str(error.filename))
    if isinstance(error, MCPError):
        return wording.mcp_said(error.message, error.code)
    if isinstance(error, ValidationError):
        return wording.mcp_unfit_answer(error.error_count(), error.title)
    text = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
