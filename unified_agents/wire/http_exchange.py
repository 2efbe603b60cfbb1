"""One request on a connection to a model server, and its answer.

The HTTP client keeps the connections and reads the answers. Its own way of a request, with cookies, middlewares and
bodies of any kind, takes more CPU than all that we do with an answer, so a request is written here.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from functools import cached_property

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.http import RawResponseMessage
from yarl import URL

MAX_HEADER_BYTES = 65_536
"""The longest header, as long as other HTTP clients take."""
MAX_BYTES_TO_JOIN = 65_536
"""How long a body may be that is copied to be written together with its head."""

_SWITCHING_PROTOCOLS = 101
_ENDS_A_LINE = re.compile(r"[\r\n\0]")


class _Destination(aiohttp.ClientRequest):
    """What the HTTP client has to know to connect."""

    @cached_property
    def connection_key(self) -> ConnectionKey:
        """By what its connections are known; the client makes it anew for each request."""
        return super().connection_key


class PreparedRequest:
    """A request that is sent many times, each time with another body.

    Args:
        url: Where it goes.
        headers: Its headers, of which a later one takes the place of an earlier one.
        proxy: The URL of the proxy; None without one.

    Attributes:
        request: What the HTTP client has to know to connect.
        head: Its head but for the length and the empty line.
    """

    __slots__ = ("head", "request")

    def __init__(self, url: URL, headers: Iterable[Mapping[str, str]], proxy: URL | None) -> None:
        named = {name.lower(): (name, value) for some in headers for name, value in some.items()}
        # The client adds the host, the encodings that it can decode, and the user and password that stand in the URL.
        self.request = _Destination("POST", url, headers=dict(named.values()), proxy=proxy)
        del self.request.headers["Content-Length"]
        self.head = self._written(proxy)

    def _written(self, proxy: URL | None) -> bytes:
        request = self.request
        target, headers = request.url.raw_path_qs, dict(request.headers)
        if proxy is not None and not request.is_ssl():  # the proxy itself gets the request: RFC 9112, section 3.2.2
            target = str(request.url.with_user(None))
            if proxy.user is not None:
                secret = b64encode(f"{proxy.user}:{proxy.password or ''}".encode()).decode()
                headers["Proxy-Authorization"] = f"Basic {secret}"
        lines = [f"POST {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        if any(map(_ENDS_A_LINE.search, lines)):
            raise ValueError("a header of a request to the model holds a line break or a null character")
        return "\r\n".join([*lines, "Content-Length: "]).encode()


class HttpResponse:
    """An answer whose head has come; see `Response`. Its connection is free again when its body has come."""

    __slots__ = ("_connection", "_content", "chunks", "headers", "status")

    def __init__(self, connection: Connection, message: RawResponseMessage, content: aiohttp.StreamReader) -> None:
        self.status = message.code
        self.headers: Mapping[str, str] = message.headers
        self._connection = connection
        self._content = content
        self.chunks = content.iter_any
        content.on_eof(self.release)

    def arrived(self) -> bytes | None:
        """Return the body where all of it has come already, and take it from the chunks; None where it has not."""
        content = self._content
        return content.read_nowait() if content.is_eof() else None

    def release(self) -> None:
        """Give the connection back; it is closed where the request or the answer is not whole on it."""
        if _is_unsent(self._connection):
            _close(self._connection)
        else:
            self._connection.release()


async def exchange(connection: Connection, request: PreparedRequest, body: bytes) -> HttpResponse:
    """Write a request, and return the answer once its head has come.

    Raises:
        aiohttp.ClientError: the connection broke, or what came is not HTTP.
    """
    protocol = connection.protocol
    assert protocol is not None  # noqa: S101  # it has just been taken
    try:
        protocol.set_response_params(
            read_until_eof=True, max_line_size=MAX_HEADER_BYTES, max_field_size=MAX_HEADER_BYTES
        )
        _write(protocol, request.head, body)
        while True:  # an informational answer comes before the one that counts: RFC 9110, section 15.2
            message, content = await protocol.read()
            if not 100 <= message.code < 200 or message.code == _SWITCHING_PROTOCOLS:
                return HttpResponse(connection, message, content)
    except BaseException:
        _close(connection)
        raise


def _is_unsent(connection: Connection) -> bool:
    transport = connection.transport
    return transport is not None and transport.get_write_buffer_size() > 0


def _close(connection: Connection) -> None:
    """Close a connection at once: what is left of a request that nobody waits for is not sent."""
    transport = connection.transport
    if transport is not None and _is_unsent(connection):
        transport.abort()
    connection.close()


def _write(protocol: ResponseHandler, head: bytes, body: bytes) -> None:
    # The body is whole in memory, so nobody waits until the server has taken it: its answer may come before.
    transport = protocol.transport
    if transport is None or transport.is_closing():
        raise aiohttp.ClientConnectionResetError("the connection was closed")
    head = b"%b%d\r\n\r\n" % (head, len(body))
    if len(body) <= MAX_BYTES_TO_JOIN:
        transport.write(head + body)
    else:
        transport.write(head)
        transport.write(body)
