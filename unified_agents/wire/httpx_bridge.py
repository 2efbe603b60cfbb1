"""A synchronous httpx client for frameworks that have no asynchronous one: its requests go over the wire too."""

from __future__ import annotations

from collections.abc import Mapping

import httpx

from unified_agents.concurrency.loop_bridge import call_event_loop

_HOP_HEADERS = frozenset({"host", "content-length", "content-encoding", "transfer-encoding"})


class BridgeTransport(httpx.BaseTransport):
    """Hands each request of a synchronous client to the asynchronous one, on the event loop of the run.

    An answer comes whole, also where it was asked for as a stream.

    Args:
        client: The asynchronous client, whose requests go over the wire.
    """

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request, from a thread of a loop that `run_synchronous_loop` has started.

        Raises:
            httpx.TransportError: under `native`, what httpx itself would raise.
            asyncio.CancelledError: the run has ended.
            UnsupportedCapabilityError: no such loop runs here.
        """
        answer = call_event_loop(
            self._client.request(
                request.method,
                request.url,
                headers=end_to_end(request.headers),
                content=request.read(),
                timeout=httpx.Timeout(**request.extensions["timeout"]),
            )
        )
        return httpx.Response(answer.status_code, headers=end_to_end(answer.headers), content=answer.content)


def end_to_end(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers without those that belong to one connection alone."""
    return {name: value for name, value in headers.items() if name.lower() not in _HOP_HEADERS}


def bridge_client(client: httpx.AsyncClient) -> httpx.Client:
    """Return a synchronous client over an asynchronous one."""
    return httpx.Client(transport=BridgeTransport(client), trust_env=False, timeout=client.timeout)
