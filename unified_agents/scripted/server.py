"""An HTTP server on loopback that answers for scripted models.

In a process of its own: `python -m unified_agents.scripted.server SCRIPT [--port N]` prints the URL on one line, and
ends on SIGTERM, on an interrupt, or when its standard input is a pipe and that is closed.
"""

from __future__ import annotations

import argparse
import asyncio
import hmac
import os
import signal
import stat
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import orjson
from aiohttp import web

from unified_agents.config.providers import ProtocolName
from unified_agents.errors import ConfigError
from unified_agents.scripted.model import Script, ScriptedModel
from unified_agents.scripted.provider_forms import ProviderModel, form_at
from unified_agents.scripted.rendering.chat_completions import STREAM_TYPE, error_reply
from unified_agents.wire.local_upstream import AnsweringModel, Reply, ReplyingProvider
from unified_agents.wire.upstream import CHAT_PATH

HOST = "127.0.0.1"
CLOSING_SECONDS = 1.0
MAX_TOLD_URLS = 3


@dataclass(slots=True, frozen=True)
class ReceivedRequest:
    """A request that the server received.

    Attributes:
        headers: Without regard to case. They may hold a key, so they are left out of the representation.
        body: The parsed JSON; None when it is no JSON.
        raw: The body's bytes.
        path: Where it came, below the base URL.
    """

    headers: Mapping[str, str] = field(repr=False)
    body: Any
    raw: bytes = field(repr=False)
    path: str = CHAT_PATH

    def in_chat_completions(self) -> dict[str, Any]:
        """Return the body in Chat Completions terms, whatever protocol it came in.

        Raises:
            BadRequestShapeError: it is no request of the protocol that its path stands for.
        """
        form = form_at(self.path)
        chat: dict[str, Any] = self.body if form is None else form.chat_request(self.path, self.body)
        return chat


_KEY_HEADERS = ("x-api-key", "x-goog-api-key", "api-key")


@dataclass(slots=True)
class _ServedScript:
    model: AnsweringModel
    provider: ReplyingProvider | None
    authorization: bytes | None
    record: bool
    protocol: ProtocolName | None
    requests: list[ReceivedRequest] = field(default_factory=list)

    def answers_at(self, path: str) -> bool:
        """Tell whether a request at a path, below the base URL, is answered."""
        form = form_at(path)
        if form is None and path != CHAT_PATH:
            return False
        name = "chat_completions" if form is None else form.name
        return self.protocol in (None, name) and (form is None or self.provider is not None)


class ScriptServer:
    """An HTTP server on 127.0.0.1 for scripted models.

    async with ScriptServer() as server:
        url = server.add(script)

    Faults happen for real: a truncated body ends in a closed connection, a stalled one lasts until the client goes or
    the server is closed. Leaving the block closes everything within about two seconds, whatever clients do.
    """

    def __init__(self, port: int = 0) -> None:
        """Prepare a server; nothing is opened yet.

        Args:
            port: Where to listen; 0 takes a free port.
        """
        self._port = port
        self._served: dict[str, _ServedScript] = {}
        self._added = 0
        self._runner: web.ServerRunner | None = None
        self._closing = asyncio.Event()

    async def __aenter__(self) -> ScriptServer:
        """Start to listen.

        Raises:
            OSError: the port is taken.
        """
        # The handler of a client that goes is cancelled: a stalled answer must not outlive it.
        server = web.Server(self._handle, handler_cancellation=True, access_log=None)
        runner = web.ServerRunner(server, shutdown_timeout=CLOSING_SECONDS)
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, self._port).start()
        except OSError:
            await runner.cleanup()
            raise
        self._closing.clear()
        self._runner = runner
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop listening and close every connection."""
        runner, self._runner = self._runner, None
        self._closing.set()
        if runner is not None:
            await runner.cleanup()

    def add(
        self,
        script: Script | AnsweringModel,
        *,
        api_key: str | None = None,
        record: bool = True,
        strict: bool = False,
        protocol: ProtocolName | None = None,
    ) -> str:
        """Serve a script under a URL of its own.

        Args:
            script: What to answer; faults are counted for this URL. A `ReplyingProvider` is served as it is.
            api_key: When set, a request with another bearer token, or none, is refused with 401.
            strict: Whether requests are refused where the real API refuses them.
            record: Whether to keep every request for `requests`; memory grows with them.
            protocol: The only protocol that is answered; None answers each at its path.

        Returns:
            The base URL, which ends in `/v1`.

        Raises:
            RuntimeError: the server is not open.
        """
        if self._runner is None:
            raise RuntimeError("the server is not open: add scripts inside `async with ScriptServer() as server:`")
        key, self._added = f"s{self._added}", self._added + 1
        model = ScriptedModel(script) if isinstance(script, Script) else script
        authorization = None if api_key is None else f"Bearer {api_key}".encode()
        provider: ReplyingProvider | None = model if isinstance(model, ReplyingProvider) else None
        if isinstance(model, ScriptedModel):
            provider = ProviderModel(model, strict=strict)
        self._served[key] = _ServedScript(model, provider, authorization, record, protocol)
        return f"http://{HOST}:{self._runner.addresses[0][1]}/{key}/v1"

    def requests(self, url: str) -> list[ReceivedRequest]:
        """Return the requests that came to the URL so far, in order, with those that were refused.

        Raises:
            ConfigError: `add` did not give this URL.
        """
        return list(self._served[self._key(url)].requests)

    def remove(self, url: str) -> None:
        """Serve nothing at the URL from now on, and forget its script and its requests.

        Raises:
            ConfigError: `add` did not give this URL.
        """
        del self._served[self._key(url)]

    def _key(self, url: str) -> str:
        parts = url.rstrip("/").split("/")
        if len(parts) < 2 or parts[-2] not in self._served:
            raise ConfigError(f"no script is served at {url}: pass what `add` returned")
        return parts[-2]

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        raw = await request.content.read()
        key, _, path = request.path.replace("/v1beta/", "/v1/", 1).removeprefix("/").partition("/v1/")
        served = self._served.get(key)
        if served is None or not served.answers_at(path):
            keys = ", ".join(f"/{key}/v1" for key in islice(self._served, MAX_TOLD_URLS)) or "none"
            return _whole(error_reply(404, f"there is nothing at {request.path}; base URLs here end in: {keys}"))
        if request.method != "POST":
            return _whole(error_reply(405, f"{request.method} is not allowed here: POST a request"))
        try:
            body = orjson.loads(raw)
        except orjson.JSONDecodeError:
            body = None
        if served.record:
            served.requests.append(ReceivedRequest(request.headers, body, raw, path))
        if served.authorization is not None and not _has_key(request, served.authorization):
            return _whole(error_reply(401, "Incorrect API key provided.", code="invalid_api_key"))
        if not isinstance(body, dict):
            return _whole(error_reply(400, "the body of the request is no JSON object"))
        if served.provider is None:
            return await self._send(request, served.model.reply(body))
        if path == CHAT_PATH:
            return await self._send(request, served.provider.reply(body))
        return await self._send(request, served.provider.reply_at(path, body))

    async def _send(self, request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
        if reply.delay and await self._closes_within(reply.delay):
            return _hang_up(request)
        if reply.ending == "disconnect":
            return _hang_up(request)
        if reply.ending == "complete" and reply.content_type != STREAM_TYPE:
            return _whole(reply)
        response = web.StreamResponse(status=reply.status, headers=_headers(reply))
        if reply.ending != "complete" and reply.content_type != STREAM_TYPE:
            # The length that is announced is never reached, so the client sees that the body is cut.
            response.content_length = 2 * sum(map(len, reply.chunks)) + 1
        try:
            await response.prepare(request)
            for place, chunk in enumerate(reply.chunks):
                if place and reply.pause and await self._closes_within(reply.pause):
                    break
                await response.write(chunk)
        except ConnectionError:
            return response  # the client has gone
        if reply.ending == "stall":
            await self._closing.wait()
        if reply.ending != "complete" and request.transport is not None:
            request.transport.close()
        return response

    async def _closes_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return False
        return True


def _has_key(request: web.BaseRequest, authorization: bytes) -> bool:
    """Tell whether a request has the key, in whatever header its protocol has it."""
    sent = [request.headers.get("Authorization", "")]
    sent += [f"Bearer {request.headers[name]}" for name in _KEY_HEADERS if name in request.headers]
    return any(hmac.compare_digest(value.encode(errors="surrogateescape"), authorization) for value in sent)


def _headers(reply: Reply) -> dict[str, str]:
    return {"Content-Type": reply.content_type, **reply.headers}


def _whole(reply: Reply) -> web.Response:
    return web.Response(status=reply.status, headers=_headers(reply), body=b"".join(reply.chunks))


def _hang_up(request: web.BaseRequest) -> web.Response:
    """Close the connection before any byte; the response that is returned is never sent."""
    if request.transport is not None:
        request.transport.close()
    return web.Response()


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve one script in this process until told to stop.

    Returns:
        The exit code: 0 when stopped, 2 when the script cannot be read or the port is taken.
    """
    parser = argparse.ArgumentParser(prog="python -m unified_agents.scripted.server", description="Serve a script.")
    parser.add_argument("script", help="a YAML or JSON file")
    parser.add_argument("--host", choices=[HOST], default=HOST, help="loopback, and nothing else")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    options = parser.parse_args(arguments)
    try:
        asyncio.run(serve(Script.load(options.script), options.port))
    except (ConfigError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


async def serve(script: Script | AnsweringModel, port: int = 0, **options: Any) -> None:
    """Serve one script until the process is told to stop, and print its base URL on standard output.

    Args:
        script: What to answer, as for `ScriptServer.add`.
        port: Where to listen; 0 takes a free port.
        options: Those of `ScriptServer.add`.

    Raises:
        OSError: the port is taken.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if _stdin_is_pipe():
        loop.add_reader(0, _end_with_stdin, stop)
    async with ScriptServer(port) as server:
        sys.stdout.write(server.add(script, record=False, **options) + "\n")
        sys.stdout.flush()
        await stop.wait()


def _stdin_is_pipe() -> bool:
    """Tell whether the end of standard input means anything: /dev/null ends at once, a terminal may be the shell's."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _end_with_stdin(stop: asyncio.Event) -> None:
    if not os.read(0, 65536):
        asyncio.get_running_loop().remove_reader(0)
        stop.set()


if __name__ == "__main__":
    sys.exit(main())
