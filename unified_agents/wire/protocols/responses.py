"""OpenAI Responses, used without anything left on the server."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from unified_agents.config.model import OPENAI_BASE_URL, OPENAI_KEY_VARIABLE
from unified_agents.messages import JsonObject
from unified_agents.redaction.redactor import StreamRedactor
from unified_agents.wire.protocols.answer import Answer
from unified_agents.wire.protocols.base import ModelRequest
from unified_agents.wire.protocols.responses_answer import parse_body
from unified_agents.wire.protocols.responses_request import write_request
from unified_agents.wire.protocols.responses_stream import ResponsesReader

_EVENTS = re.compile(rb"(\xef\xbb\xbf)?\s*(data|event|id|retry)?:")


class ResponsesProtocol:
    """The form of OpenAI Responses.

    Reasoning goes back encrypted, as it came, so that no request depends on what an earlier one left behind.
    """

    name: str = "responses"
    base_url: str = OPENAI_BASE_URL
    key_variable: str = OPENAI_KEY_VARIABLE
    key_header: str = "Authorization"
    headers: Mapping[str, str] = MappingProxyType({})

    def path(self, request: ModelRequest) -> str:
        """Return where a request goes, below the base URL."""
        return "responses"

    def write(self, request: ModelRequest) -> JsonObject:
        """Return the body of a request."""
        return write_request(request)

    def read(self, raw: bytes) -> Answer:
        """Read a whole answer; one that is streamed all the same is put together.

        Raises:
            ModelError: it is no answer of this protocol, or reports an error.
        """
        if raw[:1] != b"{" and _EVENTS.match(raw):
            reader = self.reader()
            reader.feed(raw)
            return reader.answer()
        return parse_body(raw)

    def reader(self, redactor: StreamRedactor | None = None) -> ResponsesReader:
        """Return what reads one streamed answer; the redactor takes secrets out of its texts."""
        return ResponsesReader(redactor)
