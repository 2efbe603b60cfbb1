"""OpenAI Responses, used without anything left on the server."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from unified_agents.redaction.redactor import StreamRedactor
from unified_agents.wire.protocols.answer import Answer
from unified_agents.wire.protocols.base import ModelRequest
from unified_agents.wire.protocols.chat_completions_fields import is_stream_of_events
from unified_agents.wire.protocols.responses_answer import parse_body
from unified_agents.wire.protocols.responses_request import ResponsesConversation, learnt_from
from unified_agents.wire.protocols.responses_stream import ResponsesReader


class ResponsesProtocol:
    """The form of OpenAI Responses.

    Reasoning goes back encrypted, as it came, so that no request depends on what an earlier one left behind.
    """

    name: str = "responses"
    headers: Mapping[str, str] = MappingProxyType({})

    def path(self, request: ModelRequest) -> str:
        """Return where a request goes, below the base URL."""
        return "responses"

    def conversation(self, model: str) -> ResponsesConversation:
        """Return what writes a conversation with a model."""
        return ResponsesConversation()

    def learn(self, words: str, learnt: frozenset[str]) -> frozenset[str] | None:
        """Return what is known of a server once it has refused a request; None where its words teach nothing new."""
        return learnt_from(words, learnt)

    def read(self, raw: bytes) -> Answer:
        """Read a whole answer; one that is streamed all the same is put together.

        Raises:
            ModelError: it is no answer of this protocol, or reports an error.
        """
        if is_stream_of_events(raw):
            reader = self.reader()
            reader.feed(raw)
            return reader.answer()
        return parse_body(raw)

    def reader(self, redactor: StreamRedactor | None = None) -> ResponsesReader:
        """Return what reads one streamed answer; the redactor takes secrets out of its texts."""
        return ResponsesReader(redactor)
