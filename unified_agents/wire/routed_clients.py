"""Model clients of somebody else's agent: within our runs their requests go over the wire, and else where they went."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from unified_agents.errors import UnsupportedCapabilityError
from unified_agents.run.calls import ToolOutcome
from unified_agents.run.context import Run, current_run
from unified_agents.wire.httpx_transport import WireTransport
from unified_agents.wire.protocols.received_requests import received_request, tool_results, without_usage
from unified_agents.wire.reachable_objects import reachable_objects
from unified_agents.wire.unified import Wire

_CLIENTS = frozenset({"AsyncOpenAI", "OpenAI", "AsyncAnthropic", "Anthropic"})
_PACKAGES = frozenset({"openai", "anthropic"})


@dataclass(slots=True, frozen=True)
class SdkClient:
    """A client of a provider's SDK that an agent asks its model by.

    Attributes:
        client: The client itself.
        package: `openai` or `anthropic`.
        is_async: Whether it is the asynchronous one.
        base_url: What its requests begin with, without a slash at its end.
    """

    client: Any
    package: str
    is_async: bool
    base_url: str


@dataclass(slots=True, frozen=True)
class Routing:
    """Where requests go in the current context.

    Attributes:
        wire: The wire.
        base_urls: What the requests begin with that are the agent's.
    """

    wire: Wire
    base_urls: tuple[str, ...]

    def place(self, url: httpx.URL) -> str | None:
        """Return the URL at the wire's model that stands for one of the agent's; None for one to another place."""
        text = str(url)
        for base in self.base_urls:
            if text.startswith(f"{base}/"):
                parts = urlsplit(self.wire.model.url)
                return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}{text[len(base) :]}"
        return None


_routing: ContextVar[Routing | None] = ContextVar("unified_agents_routing", default=None)


@contextmanager
def routed(wire: Wire, base_urls: Sequence[str]) -> Iterator[None]:
    """Let the requests of routed clients that begin with one of these URLs go over a wire, in this context alone."""
    token = _routing.set(Routing(wire, tuple(base_urls)))
    try:
        yield
    finally:
        _routing.reset(token)


class RoutedTransport(httpx.AsyncBaseTransport):
    """A transport that a client had, and the wire for requests of our runs.

    Args:
        own: What the client had.
    """

    def __init__(self, own: httpx.AsyncBaseTransport) -> None:
        self.own = own
        self.users = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request.

        Raises:
            httpx.TransportError: what httpx itself would raise.
            asyncio.CancelledError: the run has ended.
        """
        routing, run = _routing.get(), current_run.get()
        place = None if routing is None or run is None else routing.place(request.url)
        if routing is None or run is None or place is None:
            return await self.own.handle_async_request(request)
        body = await request.aread()
        note_results(run, body)
        await run.admit(run.budget.step_limit)
        asks_for_usage = _must_count(run, request.url.path, body)
        if asks_for_usage is not None:
            body = asks_for_usage
        headers = {name: value for name, value in request.headers.items() if name.lower() != "content-length"}
        forwarded = httpx.Request(request.method, place, headers=headers, content=body, extensions=request.extensions)
        answer = await WireTransport(routing.wire).handle_async_request(forwarded)
        if asks_for_usage is None or answer.status_code >= 300:
            return answer
        return httpx.Response(answer.status_code, headers=answer.headers, stream=_WithoutUsage(answer))

    async def aclose(self) -> None:
        """Close the client's own transport."""
        await self.own.aclose()


class _WithoutUsage(httpx.AsyncByteStream):
    """The stream of an answer without the event that tells its usage, for which the agent did not ask."""

    def __init__(self, answer: httpx.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in without_usage(self._answer.aiter_bytes()):
            yield chunk

    async def aclose(self) -> None:
        await self._answer.aclose()


def _must_count(run: Run, path: str, body: bytes) -> bytes | None:
    """Return a request with the question for usage, where a limit needs the answer and the agent does not ask."""
    if run.limits.max_tokens is None and run.limits.max_cost is None:
        return None
    request = received_request(path, body)
    return request.asking_for_usage().raw if request is not None and request.hides_usage else None


class RoutedSyncTransport(httpx.BaseTransport):
    """A transport that a synchronous client had, which refuses requests of our runs: they would go past the wire.

    Args:
        own: What the client had.
    """

    def __init__(self, own: httpx.BaseTransport) -> None:
        self.own = own
        self.users = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request.

        Raises:
            UnsupportedCapabilityError: within a run.
        """
        routing = _routing.get()
        if routing is not None and routing.place(request.url) is not None:
            raise UnsupportedCapabilityError(
                "the wrapped agent asks its model by a synchronous client, which would go past unified-agents: use the "
                "asynchronous call of its model, such as `ainvoke`"
            )
        return self.own.handle_request(request)

    def close(self) -> None:
        """Close the client's own transport."""
        self.own.close()


def sdk_clients(roots: Iterable[object]) -> list[SdkClient]:
    """Return the clients of OpenAI's and Anthropic's SDKs that an agent is made of."""
    found = []
    for value in reachable_objects(roots):
        for kind in type(value).__mro__:
            package = kind.__module__.partition(".")[0]
            if package in _PACKAGES and kind.__name__ in _CLIENTS:
                url = str(getattr(value, "base_url", "")).rstrip("/")
                found.append(SdkClient(value, package, kind.__name__.startswith("Async"), url))
                break
    return found


class ClientRoutes:
    """The transports that were put into an agent's clients; `close` gives the clients their own back.

    Args:
        wire: Where their requests go within `here`.
        clients: The clients.
    """

    def __init__(self, wire: Wire, clients: Sequence[SdkClient]) -> None:
        self._wire = wire
        self.base_urls = tuple(dict.fromkeys(client.base_url for client in clients))
        self._http: list[httpx.AsyncClient | httpx.Client] = []
        for one in clients:
            http = getattr(one.client, "_client", None)
            if isinstance(http, httpx.AsyncClient | httpx.Client) and http not in self._http:
                _enter(http)
                self._http.append(http)

    def here(self) -> AbstractContextManager[None]:
        """Let the clients' requests go over the wire, in this context alone."""
        return routed(self._wire, self.base_urls)

    def close(self) -> None:
        """Give the clients their own transports back, where no other agent routes them."""
        while self._http:
            _leave(self._http.pop())


def _enter(client: Any) -> None:
    kind: Any = RoutedTransport if isinstance(client, httpx.AsyncClient) else RoutedSyncTransport
    if not isinstance(client._transport, kind):
        client._transport = kind(client._transport)
        client._mounts = {pattern: one if one is None else kind(one) for pattern, one in client._mounts.items()}
    client._transport.users += 1


def _leave(client: Any) -> None:
    transport = client._transport
    if not isinstance(transport, RoutedTransport | RoutedSyncTransport):
        return
    transport.users -= 1
    if transport.users == 0:
        client._transport = transport.own
        client._mounts = {
            pattern: getattr(one, "own", one) if one is not None else None for pattern, one in client._mounts.items()
        }


def note_results(run: Run, body: bytes) -> None:
    """Record the results of tools that a request brings back to the model: the agent runs its tools itself."""
    if not any(call.outcome is None for call in run.calls.values()):
        return
    for call_id, content in tool_results(body):
        call = run.calls.get(call_id)
        if call is not None and call.outcome is None:
            call.outcome = ToolOutcome(content)
            call.reached = True
