"""The upstream that records into a cassette what another one is asked and answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson

from unified_agents.config.providers import ProtocolName
from unified_agents.errors import ModelError, NetworkError
from unified_agents.journal.rows import AnsweredCall, ExchangeRow
from unified_agents.messages import JsonObject
from unified_agents.redaction.redactor import MASK
from unified_agents.wire.cassette import CassetteFile, Conversation, conversation_of
from unified_agents.wire.protocols.answer import Answer
from unified_agents.wire.protocols.chat_completions import parse_answer
from unified_agents.wire.protocols.chat_completions_fields import (
    MAX_ANSWER_BYTES,
    decode_response,
    is_stream_of_events,
)
from unified_agents.wire.protocols.registry import provider_protocol
from unified_agents.wire.response_head import request_id_and_rate_limits
from unified_agents.wire.upstream import Response, Upstream

ReadRequest = Callable[[str, Mapping[str, Any]], tuple[ProtocolName, JsonObject] | None]
"""Returns a request's protocol and the request in Chat Completions terms, of its path and its parsed body; None for one
that asks no model."""

BROKEN = 0
"""Stands for a status where the connection broke."""


class RecordingUpstream:
    """An upstream that records the exchanges with another one.

    An exchange that is given up before its end, by a timeout or a cancel, is not recorded. Of an answer in which the
    connection broke it is recorded that it broke.

    Args:
        upstream: The other one.
        file: The cassette.
        read_request: Reads the requests.
        model: The model's name.
    """

    def __init__(self, upstream: Upstream, file: CassetteFile, read_request: ReadRequest, model: str) -> None:
        self.address = upstream.address
        self._upstream = upstream
        self._file = file
        self._read_request = read_request
        self._model = model

    @asynccontextmanager
    async def post(self, path: str, body: bytes, headers: Mapping[str, str], key: str) -> AsyncIterator[Response]:
        """Send a request; see `Upstream.post`."""
        asked = self._read_request(path, orjson.loads(body))
        if asked is None:
            async with self._upstream.post(path, body, headers, key) as response:
                yield response
            return
        protocol, request = asked
        conversation = conversation_of(request["messages"], self._file.redactor)
        heard: _HeardResponse | None = None
        failure: BaseException | None = None
        try:
            async with self._upstream.post(path, body, headers, key) as response:
                heard = _HeardResponse(response)
                yield heard
        except BaseException as error:
            failure = error
            raise
        finally:
            found = _row(protocol, heard, failure)
            if found is not None:
                self._file.add(_of_conversation(found, key, self._model, protocol, conversation))

    def forget(self, key: str) -> None:
        """Drop what was kept for a conversation, which is over."""
        self._upstream.forget(key)

    async def aclose(self) -> None:
        """Close all connections, and the cassette."""
        try:
            await self._upstream.aclose()
        finally:
            await self._file.aclose()


class _HeardResponse:
    """A response that keeps what is read of it.

    Attributes:
        raw: What has come.
        has_ended: Whether that is all of it.
    """

    def __init__(self, response: Response) -> None:
        self._response = response
        self.status = response.status
        self.headers = response.headers
        self.raw = bytearray()
        self.has_ended = False

    def arrived(self) -> bytes | None:
        whole = self._response.arrived()
        if whole is not None:
            self.raw += whole
            self.has_ended = True
        return whole

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self._response.chunks():
            if len(self.raw) <= MAX_ANSWER_BYTES:  # who reads takes no more
                self.raw += chunk
            yield chunk
        self.has_ended = True


def _of_conversation(
    found: dict[str, Any], key: str, model: str, protocol: ProtocolName, conversation: Conversation
) -> ExchangeRow:
    return ExchangeRow(run=key, model=model, protocol=protocol, fingerprint="", messages=conversation, **found)


def _row(protocol: ProtocolName, heard: _HeardResponse | None, failure: BaseException | None) -> dict[str, Any] | None:
    """Return the fields that tell what came; None where nothing is to be recorded."""
    if isinstance(failure, NetworkError) and (heard is None or not heard.has_ended):
        return {"status": BROKEN}
    if heard is None:
        return None
    raw = bytes(heard.raw)
    request_id, limits = request_id_and_rate_limits(heard.headers)
    head = {"status": heard.status, "headers": limits | ({} if request_id is None else {"x-request-id": request_id})}
    if heard.status >= 300 or not is_stream_of_events(raw):
        return head | {"body": _json_or_text(raw)} if heard.has_ended or failure is None else None
    try:
        return head | answer_fields(read_answer(protocol, raw))
    except ModelError:
        if failure is not None and not isinstance(failure, ModelError):
            return None  # it was given up before its end
        return head | {"body": _reported(raw)}


def read_answer(protocol: ProtocolName, raw: bytes) -> Answer:
    """Read an answer, whole or streamed.

    Raises:
        ModelError: it is none of this protocol, or reports an error.
    """
    spoken = provider_protocol(protocol)
    return parse_answer(raw) if spoken is None else spoken.read(raw)


def answer_fields(answer: Answer) -> dict[str, Any]:
    """Return the fields of an `ExchangeRow` that hold an answer without its body."""
    return {
        "text": answer.text,
        "calls": tuple(
            [
                AnsweredCall(id=call.id, call_id=call.id, name=call.name, arguments=call.arguments)
                for call in answer.calls
            ]
        ),
        "finish_reason": answer.finish_reason,
        "usage": answer.usage,
        "reasoning": answer.reasoning,
        "original": answer.original,
        "format": 1 if answer.original is None else 2,
    }


def _json_or_text(raw: bytes) -> Any:
    try:
        return decode_response(raw)
    except ValueError:
        return raw.decode("utf-8", "replace")


def _reported(raw: bytes) -> str:
    """Return the events of a stream that cannot be read which report an error: the others may hold half a secret."""
    kept = []
    for line in raw.splitlines():
        try:
            event = orjson.loads(line.removeprefix(b"data:"))
        except orjson.JSONDecodeError:
            continue
        if isinstance(event, dict) and (event.get("error") or event.get("type") in ("error", "response.failed")):
            kept.append(b"data: " + orjson.dumps(event) + b"\n\n")
    return b"".join(kept).decode() or f"data: {MASK}\n\n"
