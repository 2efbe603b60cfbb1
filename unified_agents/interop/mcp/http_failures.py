"""What an MCP server said by an HTTP status. Importing this loads `httpx2`, which the `mcp` package brings."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import httpx2

from unified_agents import wording
from unified_agents.http.retry_after import retry_after

_MAX_REMEMBERED = 1_000
_SSE = "text/event-stream"
_SSE_SECONDS = 3.0


@dataclass(slots=True, frozen=True)
class HttpFailure:
    """A response with a status of 400 or above.

    Attributes:
        status: The status.
        forgot_session: Whether the server does not know the session of the request, and has not carried it out.
        retry_after: The seconds to wait that it asks for; None for none.
        text: The status and its meaning, for people and the model.
    """

    status: int
    forgot_session: bool
    retry_after: float | None
    text: str


class HttpFailures:
    """The failures of a session by the id of the JSON-RPC request; the SDK tells only that there was one."""

    def __init__(self) -> None:
        self._by_id: dict[object, HttpFailure] = {}
        self.last: HttpFailure | None = None

    async def note(self, response: httpx2.Response) -> None:
        """Remember a failed response: an event hook of the HTTP client."""
        if response.status_code < 400 and not self._by_id:
            return
        message = _message(response.request) if response.request.method == "POST" else None
        if message is None:
            return  # one of OAuth's, or of the session's end
        request_id = message.get("id")
        if response.status_code < 400:
            self._by_id.pop(request_id, None)  # it was asked again, with a token
            return
        is_told = response.status_code == 400 and "json" in response.headers.get("content-type", "")
        body = (await response.aread()).decode("utf-8", "replace") if is_told else ""
        failure = HttpFailure(
            response.status_code,
            "mcp-session-id" in response.request.headers and _is_forgotten(response.status_code, body),
            retry_after(response.headers),
            wording.mcp_http_status(response.status_code, response.reason_phrase),
        )
        self.last = failure
        if len(self._by_id) >= _MAX_REMEMBERED:
            self._by_id.clear()
        self._by_id[request_id] = failure

    def take(self, request_id: object) -> HttpFailure | None:
        """Return the failure of a request once; None where it had none."""
        return self._by_id.pop(request_id, None)


def _is_forgotten(status: int, body: str) -> bool:
    """Tell whether the server forgot the session: the specification wants a 404, some servers answer with 400."""
    return status == 404 or (status == 400 and "session" in body.lower())


def _message(request: httpx2.Request) -> dict[str, Any] | None:
    """Return the JSON-RPC message of a request; None where it has none."""
    try:
        found = json.loads(request.content)
    except (ValueError, httpx2.RequestNotRead):
        return None
    return found if isinstance(found, dict) and "jsonrpc" in found else None


async def speaks_old_sse(client: httpx2.AsyncClient, url: str) -> bool:
    """Tell whether a server that refused a request speaks MCP's HTTP+SSE transport, of before streamable HTTP."""
    try:
        async with client.stream("GET", url, headers={"Accept": _SSE}, timeout=_SSE_SECONDS) as response:
            return response.status_code == 200 and response.headers.get("content-type", "").startswith(_SSE)
    except httpx2.HTTPError:
        return False
