"""The login of a person at an MCP server, in a browser. Importing this loads the `mcp` package."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

from mcp.shared.auth import AuthorizationCodeResult

from unified_agents.errors import ConfigError
from unified_agents.interop.mcp.config import McpServerConfig
from unified_agents.interop.mcp.oauth import Login
from unified_agents.interop.mcp.session import McpSession

LOGIN_SECONDS = 300.0
"""How long a person may take."""
_HEAD_BYTES = 16_384
_HEAD_SECONDS = 10.0
_PATH = "/callback"
_HOST = "127.0.0.1"
_PAGE = "<!doctype html><title>unified-agents</title><p>{}</p>"


async def log_in(config: McpServerConfig, show: Callable[[str], None]) -> int:
    """Let a person log in at a server whose `oauth` wants that, and keep the tokens.

    Args:
        config: The server's.
        show: Shows the person the address to open in a browser; called in a thread.

    Returns:
        How many tools the server lists.

    Raises:
        ConfigError: the login failed, or took too long.
    """
    port = config.oauth.redirect_port if config.oauth is not None else 0
    async with _callback(port) as (redirect_uri, answer):

        async def show_address(address: str) -> None:
            if urlsplit(address).scheme not in ("https", "http"):
                raise ConfigError(
                    f"MCP server {config.label!r}: its login is at {address!a:.80}, which is no web address"
                )
            await asyncio.to_thread(show, address)

        async def wait() -> AuthorizationCodeResult:
            return await answer

        patient = config.model_copy(update={"start_timeout": LOGIN_SECONDS + config.start_timeout})
        session = McpSession(patient, Login(redirect_uri, show_address, wait))
        await session.start()
        await session.aclose()
        return len(session.tools)


@asynccontextmanager
async def _callback(port: int) -> AsyncIterator[tuple[str, asyncio.Future[AuthorizationCodeResult]]]:
    """Listen for the browser that comes back from a login; yields the address for it, and what it brings."""
    answer: asyncio.Future[AuthorizationCodeResult] = asyncio.get_running_loop().create_future()

    async def on_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        status, text = "404 Not Found", "There is nothing here."
        with contextlib.suppress(OSError, ValueError, TimeoutError, asyncio.IncompleteReadError):
            async with asyncio.timeout(_HEAD_SECONDS):
                line = (await reader.readline()).decode("ascii").split()
                while (await reader.readline()).strip():
                    pass
            target = urlsplit(line[1]) if len(line) == 3 else urlsplit("")
            if target.path == _PATH and line[0] == "GET":
                status, text = "200 OK", _take(answer, target.query)
        with contextlib.suppress(OSError):
            page = _PAGE.format(text).encode()
            head = f"HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {len(page)}\r\nConnection: close"
            writer.write(head.encode() + b"\r\n\r\n" + page)
            await writer.drain()
            writer.close()
            await writer.wait_closed()

    try:
        server = await asyncio.start_server(on_request, _HOST, port, limit=_HEAD_BYTES)
    except OSError as error:
        raise ConfigError(f"port {port} of this machine is taken: give another redirect_port") from error
    async with server:
        yield f"http://{_HOST}:{server.sockets[0].getsockname()[1]}{_PATH}", answer
        if answer.done() and not answer.cancelled():
            answer.exception()


def _take(answer: asyncio.Future[AuthorizationCodeResult], query: str) -> str:
    """Keep what the browser brings, and return what it shows."""
    values = {name: found[0] for name, found in parse_qs(query, max_num_fields=20).items()}
    if answer.done():
        return "The login has ended already."
    if "code" not in values:
        reason = values.get("error_description") or values.get("error") or "it sent no code"
        answer.set_exception(ConfigError(f"the login was refused: {reason!a:.300}"))
        return "The login was refused. You can close this window."
    answer.set_result(AuthorizationCodeResult(code=values["code"], state=values.get("state"), iss=values.get("iss")))
    return "You are logged in, and can close this window."
