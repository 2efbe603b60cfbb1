"""One live session with an MCP server. Importing this loads the `mcp` package."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import json
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from typing import Any

import httpx2
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.auth import OAuthFlowError
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage
from mcp_types import (
    CONNECTION_CLOSED,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    Implementation,
    Tool as ListedTool,
    ToolListChangedNotification,
)
from mcp_types.jsonrpc import JSONRPCError, JSONRPCResponse
from pydantic import ValidationError

from unified_agents import wording
from unified_agents.errors import ConfigError, RateLimited, ToolFailedError, native_name
from unified_agents.http.public_hosts import refuse_private
from unified_agents.interop.mcp.config import McpServerConfig
from unified_agents.interop.mcp.elicitation import Elicitations, FormsOnly, names_the_call
from unified_agents.interop.mcp.http_failures import HttpFailure, HttpFailures, speaks_old_sse
from unified_agents.interop.mcp.listing import ToolListing, list_tools
from unified_agents.interop.mcp.oauth import Login, oauth_of, silence_tracebacks
from unified_agents.interop.mcp.public_transport import transport_to
from unified_agents.interop.mcp.results import error_text, result_value
from unified_agents.interop.mcp.server_process import ErrorOutput, WatchedStream
from unified_agents.messages import JsonObject
from unified_agents.redaction.redactor import Redactor
from unified_agents.tools.argument_errors import shortened
from unified_agents.tools.definition import ToolContext
from unified_agents.tools.elicitation_forms import UnansweredElicitationError

logger = logging.getLogger("unified_agents.tools.mcp")

_NO_POST = frozenset({400, 404, 405, 406, 415, 422})
"""The statuses with which a server that does not take streamable HTTP may refuse a POST."""
_SETTLING_SECONDS = 1.0
_CONNECT_SECONDS = 30.0
_MAX_MESSAGE_BYTES = 64 * 2**20
_FORGOTTEN = "Session terminated"
"""The SDK's word for a 404 to a request with a session."""

_in_session: contextvars.ContextVar[bool] = contextvars.ContextVar("unified_agents_mcp_session", default=False)


def _is_not_reported_here(record: logging.LogRecord) -> bool:
    return not (_in_session.get() and record.exc_info and isinstance(record.exc_info[1], ValueError))


# The SDK logs a traceback for each line that is no message. Our own sessions note such a line, and report it once.
logging.getLogger("mcp.client.stdio").addFilter(_is_not_reported_here)
silence_tracebacks(_in_session.get)


class SessionExpiredError(Exception):
    """The server does not know the session any more, and has not run the call."""


class McpSession:
    """A session from start to end, opened and closed by one task, as the SDK's task groups want it.

    Args:
        config: Which server.
        login: How a person logs in, for a server whose `oauth` wants that; None uses what was saved.

    Attributes:
        tools: What the server listed; filled by `start`.
        listing: The schemas of these tools, and the tools that were left out.
        tools_changed: Whether the server has said since that its tools are others now.
    """

    def __init__(self, config: McpServerConfig, login: Login | None = None) -> None:
        self._config = config
        self._login = login
        self._auth: httpx2.Auth | None = None
        self._redactor = Redactor({secret: wording.hidden(name) for secret, name in config.secrets().items()})
        self._error_output = ErrorOutput(config.label, self._redactor)
        self._elicitations = Elicitations(config.label, self._redactor) if config.elicitation else None
        self._closing = asyncio.Event()
        self._client: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None
        self._unreadable_line = ""
        self._http_failures = HttpFailures()
        self._speaks_old_sse = False
        self.tools: Sequence[ListedTool] = ()
        self.listing = ToolListing(config.label)
        self.tools_changed = False

    @property
    def ended(self) -> bool:
        """Whether calls are pointless: the server, or the connection to it, is gone."""
        return self._closing.is_set() or self._task is None or self._task.done()

    @property
    def asks_one_at_a_time(self) -> bool:
        """Whether the server may ask, and does not say which call it asks about."""
        return self._elicitations is not None and not names_the_call(self._client.result().protocol_version)

    async def start(self) -> None:
        """Connect, and list the tools.

        Raises:
            ConfigError: the server cannot be started or reached; the message says why.
        """
        _in_session.set(True)  # the SDK handles a request in the context of whoever makes it
        try:
            async with asyncio.timeout(self._config.start_timeout):
                if self._config.url is not None and not self._config.allow_private:
                    await refuse_private(self._config.url, where=wording.mcp_server(self._config.label))
                self._auth = await oauth_of(self._config, self._redactor, self._login)
                await self._connect()
                self.tools = await list_tools(self._client.result(), self.listing)
        except BaseException as error:
            if isinstance(error, Exception):
                await self._look_for_old_sse()
            await self.aclose()
            reason = self._start_failure(error)
            if reason is None:
                raise
            raise self._not_opened(reason) from error

    async def call(self, name: str, arguments: JsonObject, context: ToolContext) -> Any:
        """Call a tool; see `McpConnection.call`.

        Raises:
            SessionExpiredError: the server forgot the session; the call was not run.
        """

        async def on_progress(progress: float, total: float | None, message: str | None) -> None:
            context.report_progress(progress, total, self._redactor.redact(message or ""))

        _in_session.set(True)
        try:
            request = functools.partial(self._client.result().call_tool, name, arguments, progress_callback=on_progress)
            result = await (request() if self._elicitations is None else self._elicitations.during(context, request))
        except UnansweredElicitationError:
            raise
        except Exception as error:  # the SDK has several classes for an unfit answer, and more for a closed session
            if isinstance(error, MCPError) and (error.code, error.message) == (INVALID_REQUEST, _FORGOTTEN):
                raise SessionExpiredError(wording.mcp_forgets()) from error
            cause = _rate_limit(error) or error
            raise await self._call_failure(context.tool, error) from cause
        if result.is_error:
            text = self._redactor.redact(error_text(result))
            raise ToolFailedError(wording.mcp_tool_error(context.tool, text), native_type="mcp.CallToolResult")
        self.listing.check_result(name, result.structured_content)
        return result_value(result, self._redactor)

    async def refresh(self) -> None:
        """List the tools anew, where the server has said that they are others now."""
        if self.tools_changed:
            self.tools_changed = False
            self.tools = await list_tools(self._client.result(), self.listing)

    async def aclose(self) -> None:
        """End the session, and the server where we started it; wait until that is done."""
        self._closing.set()
        if self._task is None:
            return
        if not self._client.done():
            self._task.cancel()
        await asyncio.wait([self._task])

    async def _connect(self) -> None:
        # Its own empty context: the session outlives the run that happens to start it.
        self._task = asyncio.create_task(
            self._hold_open(), name=f"unified-agents MCP {self._config.label}", context=contextvars.Context()
        )
        first: list[asyncio.Future[Any]] = [self._task, self._client]
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if not self._client.done():
            raise RuntimeError(wording.mcp_ended_early())

    async def _hold_open(self) -> None:
        """Keep the SDK's client from its opening to its end."""
        _in_session.set(True)
        myself = Implementation(name="unified-agents", version=version("unified-agents"))
        try:
            # No cache: the tools are listed once.
            answer = self._elicitations.answer if self._elicitations is not None else None
            client = Client(
                self._streams(),
                cache=None,
                client_info=myself,
                message_handler=self._on_message,
                elicitation_callback=answer,
            )
            async with client:
                self._client.set_result(client)
                await self._closing.wait()
        except Exception as error:  # reported by whoever waits for an answer
            self._failure = _innermost(error)
            logger.debug("MCP session ended: %s", self._redactor.redact(_description(self._failure)))
        finally:
            self._closing.set()
            await self._error_output.close()

    async def _on_message(self, message: object) -> None:
        if isinstance(message, ToolListChangedNotification) and not self.tools_changed:
            self.tools_changed = True
            logger.warning(
                "MCP server %s: its tools have changed: an agent goes on with those that it was made with",
                self._config.label,
            )

    @asynccontextmanager
    async def _streams(self) -> AsyncIterator[Any]:
        config = self._config
        async with AsyncExitStack() as stack:
            if config.command is not None:
                program, *arguments = config.command
                process = StdioServerParameters(
                    command=program, args=arguments, env=config.environment(), cwd=config.cwd
                )
                transport = stdio_client(process, errlog=self._error_output.open())
            else:
                url = config.url or ""
                http = await stack.enter_async_context(self._http_client(url))
                transport = streamable_http_client(url, http_client=http, max_sse_event_size=_MAX_MESSAGE_BYTES)
            read, write = await stack.enter_async_context(transport)
            self._error_output.started()
            watched = WatchedStream(read, self._closing.set, self._note_unreadable, self._mend)
            yield watched, write if self._elicitations is None else FormsOnly(write)

    def _http_client(self, url: str) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            headers=self._config.headers(),
            auth=self._auth,
            timeout=httpx2.Timeout(_CONNECT_SECONDS, read=None),
            follow_redirects=False,
            transport=transport_to(url, allow_private=self._config.allow_private),
            trust_env=False,
            event_hooks={"response": [self._http_failures.note]},
        )

    def _mend(self, message: SessionMessage) -> None:
        """Change a message before the SDK reads it: a list of tools, and an error that stands for an HTTP status."""
        content = message.message
        if isinstance(content, JSONRPCResponse):
            self.listing.mend(content.result)
        elif isinstance(content, JSONRPCError) and (failure := self._http_failures.take(content.id)) is not None:
            if failure.forgot_session:
                content.error.code, content.error.message = INVALID_REQUEST, _FORGOTTEN
                return
            content.error.message = wording.mcp_http_failure(failure.text, content.error.message)
            content.error.data = failure

    async def _look_for_old_sse(self) -> None:
        """Find out whether a server that refuses our requests speaks the transport of before streamable HTTP."""
        failure = self._http_failures.last
        if self._auth is None and self._config.url is not None and failure is not None and failure.status in _NO_POST:
            async with self._http_client(self._config.url) as client:
                self._speaks_old_sse = await speaks_old_sse(client, self._config.url)

    def _note_unreadable(self, fault: Exception) -> None:
        """Keep the first line of the server's output that is no message; the SDK leaves it out."""
        if not isinstance(fault, ValidationError):
            return
        received = fault.errors(include_url=False)[0]["input"]
        line = shortened(self._redactor.redact(json.dumps(received, ensure_ascii=False, default=repr)))
        self._unreadable_line = self._unreadable_line or line
        logger.debug("%s wrote what is no message: %s", self._config.label, line)

    def _start_failure(self, error: BaseException) -> str | None:
        """Return why the server cannot be used; None for what is no fault of the server's, such as a cancellation."""
        if isinstance(error, TimeoutError):
            return wording.mcp_not_ready(self._config.start_timeout)
        if isinstance(_innermost(error), ConfigError):
            return None  # it says all
        if not isinstance(
            error, OAuthFlowError | MCPError | ValidationError | RuntimeError | OSError | httpx2.HTTPError
        ):
            return None
        if self._speaks_old_sse:
            return wording.mcp_old_sse(self._config.place)
        failure = self._failure or error
        if isinstance(failure, MCPError) and failure.code == METHOD_NOT_FOUND and not self._client.done():
            return wording.mcp_no_server(self._config.place, _description(failure))
        return wording.mcp_not_usable(self._config.place, _description(failure))

    def _not_opened(self, reason: str) -> ConfigError:
        if self._unreadable_line:
            reason += wording.mcp_no_message(self._unreadable_line)
        text = self._redactor.redact(wording.mcp_not_opened(self._config.label, reason))
        last_lines = self._error_output.tail()
        return ConfigError(text + wording.mcp_last_words(last_lines) if last_lines else text)

    async def _call_failure(self, tool: str, error: Exception) -> ToolFailedError:
        if isinstance(error, MCPError) and error.code == CONNECTION_CLOSED and self._task is not None:
            await asyncio.wait([self._task], timeout=_SETTLING_SECONDS)  # so that the cause is known
        label = self._config.label
        if not self.ended:
            text = wording.mcp_protocol_error(tool, label, self._redactor.redact(_description(error)))
        elif self._failure is not None:
            text = wording.mcp_server_lost(tool, label, self._redactor.redact(_description(self._failure)))
        else:
            text = wording.mcp_server_lost(tool, label, self._error_output.tail())
        return ToolFailedError(text, native_type=native_name(error))


def _rate_limit(error: Exception) -> RateLimited | None:
    """Return what a 429 of the server asks for; None for any other error."""
    failure = error.data if isinstance(error, MCPError) else None
    if not isinstance(failure, HttpFailure) or failure.status != 429:
        return None
    return RateLimited(failure.text, retry_after=failure.retry_after)


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _description(error: BaseException) -> str:
    """Return an error on one line, in our words where they help more than the SDK's."""
    error = _innermost(error)
    if isinstance(error, FileNotFoundError):
        return wording.mcp_no_program(str(error.filename))
    if isinstance(error, MCPError):
        return error.message if isinstance(error.data, HttpFailure) else wording.mcp_said(error.message, error.code)
    if isinstance(error, ValidationError):
        return wording.mcp_unfit_answer(error.error_count(), error.title)
    text = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
