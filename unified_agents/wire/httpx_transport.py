"""The httpx transport under a framework's own model client: its requests go over the wire."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from urllib.parse import unquote, urlsplit

import aiohttp
import httpx
import orjson

from unified_agents.errors import ModelError, UnsupportedCapabilityError
from unified_agents.messages import JsonObject
from unified_agents.run.calls import Call, Step
from unified_agents.run.context import Run, current_call, current_run
from unified_agents.wire.native import RelayedResponse, relay
from unified_agents.wire.protocols.answer import Answer
from unified_agents.wire.protocols.chat_completions_writer import stream_of
from unified_agents.wire.server_url import is_api_version
from unified_agents.wire.steps import call_for_framework
from unified_agents.wire.unified import Wire
from unified_agents.wire.upstream import CHAT_PATH

_REPLACED_HEADERS = frozenset(
    {
        "host",
        "authorization",
        "x-api-key",
        "x-goog-api-key",
        "content-length",
        "connection",
        "accept-encoding",
        "user-agent",
        "transfer-encoding",
    }
)

_HIDDEN_FIELDS = frozenset({"refusal", "function_call"})
"""Fields of an answer whose content a framework gets as text or as tool calls, alike on every backend."""

_ENVELOPE: JsonObject = {
    "id": "chatcmpl-unknown",
    "object": "chat.completion",
    "created": 0,
    "model": "unknown",
    "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
}
"""What strict clients read of an answer, for what a server left out. Our own records say that it was left out."""

_ASKS_FOR_A_STREAM = re.compile(rb'"stream"\s*:\s*true')
"""In a request that is without it nothing needs to be read: within a text its quotation marks would be escaped."""

_HTTPX_ERRORS: tuple[tuple[type[BaseException], type[httpx.TransportError]], ...] = (
    (aiohttp.ClientConnectorError, httpx.ConnectError),
    (aiohttp.ServerDisconnectedError, httpx.RemoteProtocolError),
    (aiohttp.ClientOSError, httpx.ReadError),
    (ConnectionError, httpx.ReadError),
)
"""What httpx would have raised for what aiohttp did; the first that matches counts."""


class WireTransport(httpx.AsyncBaseTransport):
    """Hands each request of an httpx client to the wire.

    Args:
        wire: The agent's wire.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._base = unquote(urlsplit(wire.model.url).path).rstrip("/") + "/"

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request.

        Raises:
            httpx.TransportError: under `native`, what httpx itself would raise.
            asyncio.CancelledError: the run has ended.
        """
        body = await request.aread()
        path = self._below_base(request.url)
        run = current_run.get()
        if run is not None and run.handling == "unified" and path == CHAT_PATH and not _inside_tool(run):
            return await self._ask(run, body)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _REPLACED_HEADERS}
        timeout = (request.extensions.get("timeout") or {}).get("read")
        try:
            async with asyncio.timeout(timeout):
                relayed = await relay(self._wire, run, path, body, headers)
        except TimeoutError as error:
            raise httpx.ReadTimeout("the model did not answer in time") from error
        except ModelError as error:
            raise _as_httpx(error, httpx.ConnectError) from error
        status, answered_headers = relayed.head.result()
        return httpx.Response(status, headers=answered_headers, stream=_RelayedStream(relayed, timeout))

    def _below_base(self, url: httpx.URL) -> str:
        """Return where a request goes below the base URL, whose version some clients add themselves."""
        path, paths = url.path.removeprefix(self._base), self._wire.endpoint.request_paths
        version, _, rest = path.partition("/")
        if path not in paths and rest in paths and is_api_version(version):
            path = rest
        query = url.query.decode()
        return f"{path}?{query}" if query else path

    async def _ask(self, run: Run, body: bytes) -> httpx.Response:
        answer, step = await self._wire.ask(run, body)
        protocol = self._wire.protocol
        text = None if protocol is None else protocol.canonical(answer, step, hidden=run.hides_tools)
        if _ASKS_FOR_A_STREAM.search(body) and (received := orjson.loads(body)).get("stream"):
            include_usage = bool((received.get("stream_options") or {}).get("include_usage"))
            content_type = "text/event-stream"
            content = b"".join(stream_of(_for_framework(answer, step, run, text), include_usage))
        else:
            content_type = "application/json"
            as_it_came = text is None and not answer.calls and _is_plain(answer)
            content = answer.raw if as_it_came else orjson.dumps(_for_framework(answer, step, run, text))
        if answer.exchange is not None and answer.exchange.keeps_bodies:
            answer.exchange.returned = self._wire.endpoint.redacted(content)
        return httpx.Response(200, headers={"Content-Type": content_type}, content=content)


def _inside_tool(run: Run) -> bool:
    running = current_call.get()
    return running is not None and running.run is run


def _is_plain(answer: Answer) -> bool:
    """Tell whether an answer came whole, and every framework's client reads its bytes as we do."""
    if answer.time_to_first_token is not None or not answer.raw.lstrip().startswith(b"{"):
        return False
    choices = answer.body["choices"]
    message = choices[0]["message"]
    return (
        len(choices) == 1
        and all(answer.body.get(name) is not None for name in _ENVELOPE)
        and choices[0].get("index") == 0
        and answer.finish_reason == choices[0].get("finish_reason") == "stop"
        and message.get("role") == "assistant"
        and message.get("content") == answer.text
        and not any(message.get(name) for name in _HIDDEN_FIELDS)
    )


def _for_framework(answer: Answer, step: Step, run: Run, text: str | None) -> JsonObject:
    """Return the answer as the framework gets it.

    Args:
        answer: The model's answer.
        step: The step that it became.
        run: The run.
        text: What stands in the place of the answer's text; None leaves it.
    """
    choice = answer.body["choices"][0]
    message = {name: value for name, value in choice["message"].items() if name not in _HIDDEN_FIELDS}
    message |= {"role": "assistant", "content": answer.text if text is None else text}
    if step.calls:
        message["tool_calls"] = [_tool_call(call, run) for call in step.calls]
    finish = "tool_calls" if step.calls else "stop"
    given = {name: value for name, value in answer.body.items() if value is not None}
    return _ENVELOPE | given | {"choices": [choice | {"index": 0, "message": message, "finish_reason": finish}]}


def _tool_call(call: Call, run: Run) -> JsonObject:
    name, arguments = call_for_framework(call, by_id=run.hides_tools)
    return {"id": call.id, "type": "function", "function": {"name": name, "arguments": arguments}}


class _RelayedStream(httpx.AsyncByteStream):
    def __init__(self, relayed: RelayedResponse, timeout: float | None) -> None:
        self._relayed = relayed
        self._timeout = timeout

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._relayed.chunks(self._timeout):
                yield chunk
        except TimeoutError as error:
            raise httpx.ReadTimeout("the model went silent in the middle of its answer") from error
        except ModelError as error:
            raise _as_httpx(error, httpx.RemoteProtocolError) from error

    async def aclose(self) -> None:
        await self._relayed.aclose()


def _as_httpx(error: ModelError, otherwise: type[httpx.TransportError]) -> httpx.TransportError:
    """Return the error that httpx would have raised itself, by which a framework decides what it does."""
    if error.kind == "timeout":
        return httpx.ReadTimeout(str(error))
    matching = (kind for cause, kind in _HTTPX_ERRORS if isinstance(error.__cause__, cause))
    return next(matching, otherwise)(str(error))


class RefusingTransport(httpx.BaseTransport):
    """Refuses each request of a framework's synchronous client, which would go past both seams."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Refuse.

        Raises:
            UnsupportedCapabilityError: always.
        """
        raise UnsupportedCapabilityError(
            "a synchronous model call would go past unified-agents; use `agent.run_sync(…)`, or the asynchronous call"
        )


def async_client(wire: Wire) -> httpx.AsyncClient:
    """Return a client whose requests go over the wire. Close it with the agent."""
    return httpx.AsyncClient(transport=WireTransport(wire), trust_env=False, timeout=wire.model.timeout)


def refusing_client() -> httpx.Client:
    """Return a synchronous client that refuses each request."""
    return httpx.Client(transport=RefusingTransport(), trust_env=False)
