"""What a program sends to the front of the wire: model calls, and other requests to the same servers."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qs

import aiohttp

from unified_agents.config import ModelConfig, ModelPrice
from unified_agents.config.providers import PROVIDERS, ProtocolName
from unified_agents.errors import LimitError
from unified_agents.run.context import Run
from unified_agents.wire.connection import connection_of
from unified_agents.wire.endpoint import ModelEndpoint
from unified_agents.wire.http_upstream import HttpUpstream
from unified_agents.wire.loopback_front import FrontAnswer, FrontRequest
from unified_agents.wire.protocols.received_requests import KEY_HEADERS, ProgramRequest, received_request, refusal
from unified_agents.wrapping.model_calls import ProgramModelCall

MAX_ENDPOINTS = 256
"""A program asks no more models than this, each with each of its keys; what is beyond is told as an error."""
TIMEOUT_SECONDS = 600.0
"""How long a model call may take: as long as the clients themselves wait."""

_NOT_PASSED_ON = frozenset(
    {"host", "content-length", "connection", "keep-alive", "transfer-encoding", "accept-encoding", "expect"}
)
_NOT_RETURNED = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})

logger = logging.getLogger("unified_agents.wrapping")


@dataclass(slots=True, frozen=True)
class ProviderServer:
    """The server that stands behind one prefix of the front.

    Attributes:
        provider: Its kind.
        base_url: What the program would have asked, without a slash at its end.
    """

    provider: str
    base_url: str


class ProgramCalls:
    """Answers what a program sends, for as long as it runs.

    Args:
        run: What its calls are counted in.
        servers: The servers by the prefix of the path that the program was given.
        price: What a model costs; None without.
        mends: Whether an answer is asked for again when its tool calls cannot be read.

    Attributes:
        limit_met: The limit that a request met first; None while there is room.
        requests: How many requests came, of whatever kind.
    """

    def __init__(
        self, run: Run, servers: Mapping[str, ProviderServer], *, price: ModelPrice | None, mends: bool
    ) -> None:
        self._run = run
        self._servers = servers
        self._price = price
        self._mends = mends
        self._endpoints: dict[tuple[str, ...], ModelEndpoint] = {}
        self._resources = AsyncExitStack()
        self._session: aiohttp.ClientSession | None = None
        self.limit_met: LimitError | None = None
        self.requests = 0

    async def __aenter__(self) -> Self:
        self._session = await self._resources.enter_async_context(
            aiohttp.ClientSession(trust_env=True, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar())
        )
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._resources.aclose()

    @asynccontextmanager
    async def answer(self, request: FrontRequest) -> AsyncIterator[FrontAnswer]:
        """Answer one request; see `LoopbackFront`."""
        self.requests += 1
        prefix, _, path = request.path.partition("/")
        server = self._servers.get(prefix)
        if server is None:
            yield _said(404, "chat_completions", f"there is nothing at {prefix!r}")
            return
        path = _with_version(server, path)
        call = received_request(path, request.body) if request.method == "POST" else None
        if call is None:
            async with self._passed_on(server, path, request) as answer:
                yield answer
            return
        try:
            if (limit := self.limit_met or self._run.budget.request_limit()) is not None:
                raise limit
            made = ProgramModelCall(
                self._run,
                self._endpoint(server, call, request),
                call,
                f"{path}?{request.query}" if request.query else path,
                _headers(request),
                mends=self._mends,
            )
            async with made.answer() as answer:
                yield answer
        except LimitError as limit:
            self.limit_met = self.limit_met or limit
            yield _said(403, call.protocol, f"unified-agents: {limit}; no further model call is made")

    def _endpoint(self, server: ProviderServer, call: ProgramRequest, request: FrontRequest) -> ModelEndpoint:
        secrets = _secrets(request)
        known = (server.base_url, call.protocol, call.model, *secrets)
        if (endpoint := self._endpoints.get(known)) is not None:
            return endpoint
        if len(self._endpoints) >= MAX_ENDPOINTS:
            raise LimitError("models", f"{MAX_ENDPOINTS} models and keys of one program")
        model = ModelConfig(
            provider=server.provider,
            name=call.model,
            base_url=server.base_url,
            protocol=call.protocol,
            timeout=TIMEOUT_SECONDS,
            price=self._price,
        )
        connection = connection_of(model, None)
        upstream = HttpUpstream(connection)
        self._resources.push_async_callback(upstream.aclose)
        endpoint = self._endpoints[known] = ModelEndpoint(model, upstream, (*connection.secrets, *secrets))
        return endpoint

    @asynccontextmanager
    async def _passed_on(self, server: ProviderServer, path: str, request: FrontRequest) -> AsyncIterator[FrontAnswer]:
        """Send a request that is no model call as it is, such as one for the list of models."""
        if self._session is None:
            raise RuntimeError("the calls of a program are answered inside `async with`")
        url = f"{server.base_url}/{path}" + (f"?{request.query}" if request.query else "")
        headers, sent = _headers(request), request.body or None
        try:
            async with self._session.request(
                request.method, url, headers=headers, data=sent, allow_redirects=False
            ) as response:
                given = {name: value for name, value in response.headers.items() if name.lower() not in _NOT_RETURNED}
                yield FrontAnswer(response.status, given, response.content.iter_any())
        except aiohttp.ClientError as error:
            logger.info("a request to %s failed: %s", server.provider, type(error).__name__)
            raise ConnectionResetError(f"the server of {server.provider} cannot be reached") from error


def default_servers(named: Mapping[str, str]) -> dict[str, ProviderServer]:
    """Return the servers of all providers, each by its prefix.

    Args:
        named: By provider, the base URL that the environment names in place of the provider's own.
    """
    return {
        name: ProviderServer(name, (named.get(name) or provider.base_url.removesuffix(_own_version(name))).rstrip("/"))
        for name, provider in PROVIDERS.items()
    }


def _own_version(provider: str) -> str:
    """Return the end of a provider's base URL that its clients write themselves."""
    return {"anthropic": "/v1", "google": "/v1beta"}.get(provider, "")


def _with_version(server: ProviderServer, path: str) -> str:
    """Return a path with the version that some clients leave to the base URL, and others write themselves."""
    version = _own_version(server.provider).removeprefix("/")
    has_one = path.split("/", 1)[0] in ("v1", "v1beta", "v1alpha") or server.base_url.endswith(("/v1", "/v1beta"))
    return path if not version or has_one else f"{version}/{path}"


def _headers(request: FrontRequest) -> dict[str, str]:
    return {name: value for name, value in request.headers.items() if name.lower() not in _NOT_PASSED_ON}


def _secrets(request: FrontRequest) -> tuple[str, ...]:
    named = [request.headers.get(name, "") for name in KEY_HEADERS] + parse_qs(request.query).get("key", [])
    return tuple(dict.fromkeys(value.rpartition(" ")[2] for value in named if value))


def _said(status: int, protocol: ProtocolName, message: str) -> FrontAnswer:
    async def body() -> AsyncIterator[bytes]:
        yield refusal(protocol, message)

    return FrontAnswer(status, {"content-type": "application/json", "x-should-retry": "false"}, body())
