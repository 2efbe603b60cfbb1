"""Google's Gemini `generateContent`: requests are written, and answers are read, whole and streamed."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import quote

from unified_agents.redaction.redactor import StreamRedactor
from unified_agents.wire.protocols.answer import Answer
from unified_agents.wire.protocols.base import ModelRequest
from unified_agents.wire.protocols.chat_completions_fields import is_stream_of_events
from unified_agents.wire.protocols.generate_content_request import ContentsConversation, learnt_from
from unified_agents.wire.protocols.generate_content_stream import GenerateContentReader, read_body


class GenerateContentProtocol:
    """The protocol of Gemini's API; see `ProviderProtocol`."""

    name: str = "generate_content"
    headers: Mapping[str, str] = MappingProxyType({})

    def path(self, request: ModelRequest) -> str:
        """Return where a request goes: the model stands in it, and whether the answer is streamed."""
        name = request.model if "/" in request.model else f"models/{request.model}"
        verb = "streamGenerateContent?alt=sse" if request.stream else "generateContent"
        return f"{quote(name, safe='/-._~@')}:{verb}"

    def conversation(self, model: str) -> ContentsConversation:
        """Return what writes a conversation with a model."""
        return ContentsConversation(model)

    def learn(self, words: str, learnt: frozenset[str]) -> frozenset[str] | None:
        """Return what is known of a server once it has refused a request; None where its words teach nothing new."""
        return learnt_from(words, learnt)

    def read(self, raw: bytes) -> Answer:
        """Read a whole answer; one that is streamed all the same is put together.

        Raises:
            ModelError: it is no answer of this protocol, or reports an error.
        """
        if not is_stream_of_events(raw):
            return read_body(raw.removeprefix(b"\xef\xbb\xbf"))
        reader = GenerateContentReader()
        reader.feed(raw)
        return reader.answer()

    def reader(self, redactor: StreamRedactor | None = None) -> GenerateContentReader:
        """Return what reads one streamed answer; the redactor takes secrets out of its texts."""
        return GenerateContentReader(redactor)
