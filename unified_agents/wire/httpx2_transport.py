"""An httpx2 client for frameworks that are built on it: its requests go over the wire through the httpx client."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import httpx2

from unified_agents.wire.httpx_bridge import end_to_end


class Httpx2Transport(httpx2.AsyncBaseTransport):
    """Hands each request of an httpx2 client to the httpx client, and its answer back as it comes.

    Args:
        client: The httpx client, whose requests go over the wire.
    """

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer one request.

        Raises:
            httpx2.TransportError: under `native`, what httpx2 itself would raise.
            asyncio.CancelledError: the run has ended.
        """
        forwarded = self._client.build_request(
            request.method,
            str(request.url),
            headers=end_to_end(request.headers),
            content=await request.aread(),
            timeout=httpx.Timeout(**request.extensions["timeout"]),
        )
        try:
            answer = await self._client.send(forwarded, stream=True)
        except httpx.TransportError as error:
            raise _as_httpx2(error) from error
        return httpx2.Response(answer.status_code, headers=end_to_end(answer.headers), stream=_AnswerStream(answer))


class _AnswerStream(httpx2.AsyncByteStream):
    def __init__(self, answer: httpx.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._answer.aiter_bytes():
                yield chunk
        except httpx.TransportError as error:
            raise _as_httpx2(error) from error

    async def aclose(self) -> None:
        await self._answer.aclose()


def _as_httpx2(error: httpx.TransportError) -> httpx2.TransportError:
    """Return the error of the same name, by which a framework decides what it does."""
    kind = getattr(httpx2, type(error).__name__, httpx2.TransportError)
    translated: httpx2.TransportError = kind(str(error))
    return translated


def httpx2_client(client: httpx.AsyncClient) -> httpx2.AsyncClient:
    """Return an httpx2 client over an httpx client."""
    timeout = httpx2.Timeout(client.timeout.read)
    return httpx2.AsyncClient(transport=Httpx2Transport(client), trust_env=False, timeout=timeout)
