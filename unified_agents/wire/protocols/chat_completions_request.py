"""OpenAI Chat Completions: a conversation is written as requests, in the dialect of a server."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from typing import Any, Self

from unified_agents.messages import JsonObject
from unified_agents.wire.dialect import Dialect
from unified_agents.wire.protocols.base import ModelRequest
from unified_agents.wire.protocols.chat_completions_original import with_original
from unified_agents.wire.protocols.encoded_turns import EncodedTurns

_SHORT_ID = re.compile(r"[A-Za-z0-9]{9}")
_TOOL_MODES = ("auto", "none", "required")


class ChatConversation:
    """A conversation in requests of Chat Completions; see `ConversationWriter`.

    Args:
        dialect: The optional fields that the server takes.
    """

    __slots__ = ("_dialect", "_turns")

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._turns = EncodedTurns("messages")

    def add(self, message: Mapping[str, Any]) -> None:
        """Add a message."""
        if "original" in message:
            message = with_original(message, message["original"])
        self._turns.add(_with_short_ids(message) if self._dialect.short_ids else message)

    def copy(self) -> Self:
        """Return the conversation so far."""
        copied = type(self)(self._dialect)
        copied._turns = self._turns.copy()
        return copied

    def body(self, request: ModelRequest) -> bytes:
        """Return the body of a request."""
        return self._turns.in_body(request, self._dialect, lambda: self._fields(request))

    def _fields(self, request: ModelRequest) -> JsonObject:
        parameters, dialect = request.parameters, self._dialect
        body: JsonObject = {"model": request.model} | parameters.chat_fields()
        if parameters.max_tokens is not None:
            body[dialect.max_tokens] = parameters.max_tokens
        if request.response_format is not None:
            body["response_format"] = request.response_format
        if request.encoded_tools is not None:
            body["tools"] = request.encoded_tools
            if (choice := request.tool_choice) is not None:
                is_word = choice in _TOOL_MODES
                body["tool_choice"] = choice if is_word else {"type": "function", "function": {"name": choice}}
            if request.parallel_tool_calls is not None:
                body["parallel_tool_calls"] = request.parallel_tool_calls
        if request.stream:
            body["stream"] = True
            if dialect.stream_options:
                body["stream_options"] = {"include_usage": True}
        body |= request.extra
        return body | {"messages": [] if request.system is None else [request.system]}


def _with_short_ids(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a message whose ids have nine letters or digits, as Mistral's servers demand."""
    if message.get("tool_call_id"):
        return {**message, "tool_call_id": _short_id(message["tool_call_id"])}
    if calls := message.get("tool_calls"):
        return {**message, "tool_calls": [{**call, "id": _short_id(call["id"])} for call in calls]}
    return message


def _short_id(call_id: str) -> str:
    if _SHORT_ID.fullmatch(call_id):
        return call_id
    return base64.b32encode(hashlib.blake2b(call_id.encode(), digest_size=10).digest()).decode()[:9]
