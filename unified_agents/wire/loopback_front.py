"""An HTTP server on loopback in front of the wire, for clients that take a base URL alone.

The base URL holds a random secret, without which nothing is answered: other programs of the machine can reach a port,
and must not ask a model with somebody else's key.
"""

from __future__ import annotations

import hmac
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Self

import orjson
from aiohttp import web

HOST = "127.0.0.1"
MAX_REQUEST_BYTES = 256 * 1024 * 1024
"""No request to a model is longer; images and files are in it as text."""
CLOSING_SECONDS = 1.0

logger = logging.getLogger("unified_agents.wire")


@dataclass(slots=True, frozen=True)
class FrontRequest:
    """A request that a client sent to the front.

    Attributes:
        method: The HTTP method.
        path: Below the base URL, without a slash at its beginning.
        query: What comes after the question mark.
        headers: Looked up without regard to case. They may hold a key, so they are left out of the representation.
        body: The body.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"<FrontRequest {self.method} {self.path}, {len(self.body)} bytes>"


@dataclass(slots=True, frozen=True)
class FrontAnswer:
    """An answer that goes to the client as its pieces come.

    Attributes:
        status: The HTTP status.
        headers: Without those of the connection.
        chunks: The pieces of the body; one that raises breaks the connection, so that the client sees that it is cut.
    """

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


AnswerRequest = Callable[[FrontRequest], AbstractAsyncContextManager[FrontAnswer]]
"""Answers one request; left when the answer has gone out, or the client has gone."""


class LoopbackFront:
    """An HTTP server on 127.0.0.1 that has each request answered.

    async with LoopbackFront(answer) as front:
        client = SomeClient(base_url=front.url + "/v1")

    Leaving the block closes every connection within about a second.

    Args:
        answer: Answers a request; a `ConnectionError` of it ends the connection without an answer.
    """

    def __init__(self, answer: AnswerRequest) -> None:
        self._answer = answer
        self._prefix = "/" + secrets.token_urlsafe(24)
        self._runner: web.ServerRunner | None = None

    @property
    def url(self) -> str:
        """The URL that the paths of requests come after, without a slash at its end.

        Raises:
            RuntimeError: the front is not open.
        """
        if self._runner is None:
            raise RuntimeError("the front is not open: use it inside `async with LoopbackFront(…) as front:`")
        return f"http://{HOST}:{self._runner.addresses[0][1]}{self._prefix}"

    async def __aenter__(self) -> Self:
        # The handler of a client that goes is cancelled: the model must not be asked for nobody.
        server = web.Server(self._handle, handler_cancellation=True, access_log=None)
        runner = web.ServerRunner(server, shutdown_timeout=CLOSING_SECONDS)
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, 0).start()
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        prefix, _, path = request.path.removeprefix("/").partition("/")
        if not hmac.compare_digest(prefix.encode(errors="replace"), self._prefix[1:].encode()):
            return _error(404, "there is nothing here: the base URL is another one")
        body = await _body(request)
        if body is None:
            return _error(413, f"a request is longer than {MAX_REQUEST_BYTES} bytes")
        received = FrontRequest(request.method, path, request.query_string, request.headers, body)
        try:
            async with self._answer(received) as answer:
                return await _send(request, answer)
        except ConnectionError:
            return _hang_up(request)
        except Exception:
            logger.exception("the front of the wire failed at %r", received)
            return _error(500, "the front of the wire failed; its log says why")


async def _body(request: web.BaseRequest) -> bytes | None:
    """Return a request's body; None where it is too long."""
    pieces, size = [], 0
    async for piece in request.content.iter_any():
        size += len(piece)
        if size > MAX_REQUEST_BYTES:
            return None
        pieces.append(piece)
    return b"".join(pieces)


async def _send(request: web.BaseRequest, answer: FrontAnswer) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers=dict(answer.headers))
    try:
        await response.prepare(request)
        async for chunk in answer.chunks:
            await response.write(chunk)
    except ConnectionError:
        return response  # the client has gone
    except Exception as error:
        logger.info("an answer broke off on its way through the front: %s", type(error).__name__)
        _hang_up(request)  # the end of the body never comes, so the client sees that it is cut
    return response


def _hang_up(request: web.BaseRequest) -> web.Response:
    """Close the connection; the response that is returned is never sent."""
    if request.transport is not None:
        request.transport.close()
    return web.Response()


def _error(status: int, message: str) -> web.Response:
    body = orjson.dumps({"error": {"message": message, "type": "unified_agents_front"}})
    return web.Response(status=status, body=body, content_type="application/json")
