"""Anthropic Messages, as a provider's protocol."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from unified_agents.redaction.redactor import StreamRedactor
from unified_agents.wire.protocols.answer import Answer
from unified_agents.wire.protocols.base import ModelRequest
from unified_agents.wire.protocols.chat_completions_fields import is_stream_of_events
from unified_agents.wire.protocols.messages_answer import parse_body
from unified_agents.wire.protocols.messages_request import MessagesConversation
from unified_agents.wire.protocols.messages_stream import MessagesReader
from unified_agents.wire.protocols.messages_thinking import learnt_from


class MessagesProtocol:
    """The form of requests to Anthropic's Messages API, and of its answers.

    An answer's original turn is `{"content": [blocks]}`, where it holds more than text and calls.
    """

    name: str = "messages"
    headers: Mapping[str, str] = MappingProxyType({"anthropic-version": "2023-06-01"})

    def path(self, request: ModelRequest) -> str:
        """Return where a request goes, below the base URL."""
        return "messages"

    def conversation(self, model: str) -> MessagesConversation:
        """Return what writes a conversation with a model."""
        return MessagesConversation()

    def learn(self, words: str, learnt: frozenset[str]) -> frozenset[str] | None:
        """Return what is known of a server once it has refused a request; None where its words teach nothing new."""
        return learnt_from(words, learnt)

    def read(self, raw: bytes) -> Answer:
        """Read a whole answer; one that is streamed all the same is put together.

        Raises:
            ModelError: it is no answer of this protocol, or reports an error.
        """
        if is_stream_of_events(raw):
            reader = MessagesReader()
            reader.feed(raw)
            return reader.answer()
        return parse_body(raw)

    def reader(self, redactor: StreamRedactor | None = None) -> MessagesReader:
        """Return what reads one streamed answer; the redactor takes secrets out of its texts."""
        return MessagesReader(redactor)
