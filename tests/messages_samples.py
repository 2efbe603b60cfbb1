"""Conversations, requests and answers of the Anthropic Messages protocol, for tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming, MessageCreateParamsStreaming
from pydantic import BaseModel, TypeAdapter

from tests.support import written_request
from unified_agents.scripted.rendering.chat_completions import Envelope, RenderedChoice
from unified_agents.scripted.rendering.messages import whole_answer
from unified_agents.scripted.rendering.messages_strict import strict_problem
from unified_agents.wire.protocols.answer import Answer
from unified_agents.wire.protocols.base import ProviderProtocol
from unified_agents.wire.protocols.messages import MessagesProtocol

PROTOCOL: ProviderProtocol = MessagesProtocol()
WHOLE: TypeAdapter[Any] = TypeAdapter(MessageCreateParamsNonStreaming)
STREAMED: TypeAdapter[Any] = TypeAdapter(MessageCreateParamsStreaming)
ENVELOPE = Envelope("chatcmpl-00ff", "claude-x", 12, 7)
USER = {"role": "user", "content": "go"}
ASKED = {"role": "user", "content": [{"type": "text", "text": "go"}]}
"""`USER` as a request has it."""
TOOL = {
    "type": "function",
    "function": {"name": "add", "description": "Adds.", "parameters": {"type": "object", "properties": {"a": {}}}},
}


def call(id_: str, name: str = "add", arguments: str = "{}") -> dict[str, Any]:
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


def result(id_: str, content: Any = "3") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id_, "content": content}


def asks(*calls: dict[str, Any], text: str | None = None, original: Any = None) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": text, "tool_calls": list(calls)}
    return message | {"original": original} if original is not None else message


def known_to_the_sdk(body: dict[str, Any]) -> Any:
    """What the types of Anthropic's SDK know of a request; it validates lists only while they are read."""
    return read_through((STREAMED if body.get("stream") else WHOLE).validate_python(body))


def read_through(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: read_through(item) for name, item in value.items()}
    if isinstance(value, BaseModel):  # a block that the model wrote
        return value.model_dump(exclude_unset=True)
    if isinstance(value, str) or not isinstance(value, Iterable):
        return value
    return [read_through(item) for item in value]


def written(*messages: dict[str, Any], valid: bool = True, **more: Any) -> dict[str, Any]:
    """The body of a request, which the types of Anthropic's SDK take."""
    body = written_request(PROTOCOL, "claude-x", messages, **more)
    if valid:
        assert known_to_the_sdk(body) == body
        assert strict_problem(body) is None
    return body


def streamed(raw: bytes, size: int | None = None) -> tuple[Answer, str]:
    """The answer in a stream that comes in pieces of a size, and the text as it came."""
    reader = PROTOCOL.reader()
    size = size or len(raw) or 1
    texts = [text for at in range(0, len(raw), size) for text in reader.feed(raw[at : at + size])]
    return reader.answer(), "".join(texts)


def events(*bodies: dict[str, Any]) -> bytes:
    return b"".join(b"event: %s\ndata: %s\n\n" % (body["type"].encode(), orjson.dumps(body)) for body in bodies)


def stream_with(*blocks: tuple[dict[str, Any], list[dict[str, Any]]], stop_reason: str | None = "end_turn") -> bytes:
    """A stream of blocks, each with its deltas."""
    bodies: list[dict[str, Any]] = [{"type": "message_start", "message": {"id": "msg_1", "model": "m", "content": []}}]
    for index, (start, deltas) in enumerate(blocks):
        bodies.append({"type": "content_block_start", "index": index, "content_block": start})
        bodies += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        bodies.append({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": stop_reason, "stop_sequence": None}
    return events(*bodies, {"type": "message_delta", "delta": delta, "usage": {}}, {"type": "message_stop"})


def read_whole(choice: RenderedChoice | None, reasoning: str | None = None) -> Answer:
    return PROTOCOL.read(whole_answer(choice, ENVELOPE, reasoning=reasoning))
