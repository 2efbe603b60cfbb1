"""Lets a framework's own client, which writes Chat Completions, ask a server that speaks another protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson

from unified_agents.config import ModelConfig, ModelParameters
from unified_agents.config.model_parameters import ReasoningParameters
from unified_agents.messages import JsonObject
from unified_agents.redaction.redactor import Redactor
from unified_agents.tools.json_values import to_json
from unified_agents.wire.http_errors import message_and_codes
from unified_agents.wire.local_upstream import LocalResponse, Reply
from unified_agents.wire.protocols.base import ModelRequest, ProviderProtocol
from unified_agents.wire.protocols.chat_completions_writer import stream_of
from unified_agents.wire.request import with_tool_names
from unified_agents.wire.upstream import CHAT_PATH, Response, Upstream, read_body

_PARAMETERS = (
    "temperature",
    "top_p",
    "seed",
    "stop",
    "presence_penalty",
    "frequency_penalty",
    "service_tier",
    "verbosity",
)
_BODY_HEADERS = frozenset({"content-type", "content-length", "content-encoding", "transfer-encoding", "connection"})


class TranslatedResponse(LocalResponse):
    """An answer in Chat Completions, made of one in another protocol.

    Attributes:
        sent: What went to the server.
    """

    __slots__ = ("sent",)

    def __init__(self, reply: Reply, sent: bytes) -> None:
        super().__init__(reply)
        self.sent = sent


class TranslatingUpstream:
    """An upstream that takes Chat Completions, and asks a server in its own protocol.

    The server is asked for a whole answer; a client that asked for a stream gets it in the events of one.

    Args:
        model: The model.
        protocol: What its server speaks.
        upstream: The server.
        redactor: Takes the key out of its answers.
    """

    def __init__(self, model: ModelConfig, protocol: ProviderProtocol, upstream: Upstream, redactor: Redactor) -> None:
        self.address = upstream.address
        self._model = model
        self._protocol = protocol
        self._upstream = upstream
        self._redactor = redactor

    @asynccontextmanager
    async def post(self, path: str, body: bytes, headers: Mapping[str, str], key: str) -> AsyncIterator[Response]:
        """Send a request; see `Upstream.post`. Only one for a chat completion is translated."""
        if path != CHAT_PATH:
            async with self._upstream.post(path, body, headers, key) as response:
                yield response
            return
        received: JsonObject = orjson.loads(body)
        try:
            request = _request_of(received, self._model)
            conversation = self._protocol.conversation(request.model)
            for message in with_tool_names(received["messages"]):
                conversation.add(message)
            sent = conversation.body(request)
        except (KeyError, TypeError, AttributeError) as error:
            yield TranslatedResponse(_error(400, f"the request is no Chat Completions request: {error!r}"), b"")
            return
        async with self._upstream.post(self._protocol.path(request), sent, self._protocol.headers, key) as response:
            raw = self._redactor.redact_bytes(await read_body(response))
            if response.status >= 300:
                reply = _error(response.status, *message_and_codes(raw))
                passed = {name: value for name, value in response.headers.items() if name.lower() not in _BODY_HEADERS}
                reply.headers.update(passed)
            else:
                reply = self._reply(raw, received)
            yield TranslatedResponse(reply, sent)

    def _reply(self, raw: bytes, received: JsonObject) -> Reply:
        answer = self._protocol.read(raw)
        if not received.get("stream"):
            return Reply(200, "application/json", chunks=(to_json(answer.body),))
        include_usage = bool((received.get("stream_options") or {}).get("include_usage"))
        return Reply(200, "text/event-stream", chunks=tuple(stream_of(answer.body, include_usage)))

    def forget(self, key: str) -> None:
        """Drop what was kept for a conversation, which is over."""
        self._upstream.forget(key)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._upstream.aclose()


def _error(status: int, message: str, codes: list[str] | None = None) -> Reply:
    error = {"message": message, "type": None, "param": None, "code": codes[0] if codes else None}
    return Reply(status, "application/json", chunks=(to_json({"error": error}),))


def _request_of(received: Mapping[str, Any], model: ModelConfig) -> ModelRequest:
    """Return a Chat Completions request as what any protocol writes."""
    choice = received.get("tool_choice")
    form = received.get("response_format")
    return ModelRequest(
        model=model.name,
        tools=received.get("tools") or (),
        tool_choice=choice["function"]["name"] if isinstance(choice, dict) else choice,
        parallel_tool_calls=received.get("parallel_tool_calls"),
        response_format=form if isinstance(form, dict) and form.get("type") == "json_schema" else None,
        parameters=_parameters_of(received),
        extra=model.extra_body,
    )


def _parameters_of(received: Mapping[str, Any]) -> ModelParameters:
    """Return the parameters as they stand in the request, for the server to judge."""
    fields = {name: received[name] for name in _PARAMETERS if received.get(name) is not None}
    fields["max_tokens"] = received.get("max_completion_tokens") or received.get("max_tokens")
    if effort := received.get("reasoning_effort"):
        fields["reasoning"] = ReasoningParameters.model_construct(effort=effort)
    return ModelParameters.model_construct(**fields)
