"""Reads a streamed Gemini answer: server-sent events, or the JSON array that comes without `alt=sse`."""

from __future__ import annotations

from unified_agents.errors import BadResponseError
from unified_agents.redaction.redactor import StreamRedactor
from unified_agents.wire.protocols.answer import Answer
from unified_agents.wire.protocols.chat_completions_fields import decode_response, has_long_number, parse_json_body
from unified_agents.wire.protocols.generate_content_answer import AnswerAssembler
from unified_agents.wire.protocols.server_sent_events import DONE, EventReader, ServerSentEvent


class GenerateContentReader:
    """Puts a streamed answer together while its bytes come in, however they are cut.

    Args:
        redactor: Takes secrets out of the answer; None where there is none.

    Attributes:
        first_delta: Whether a text or a call has come.
        thoughts: See `AnswerReader`.
        done: Whether the stream said that it has ended. Gemini's own streams end without a word.
    """

    __slots__ = ("_answer", "_error", "_events", "_redactor", "done", "first_delta", "thoughts")

    def __init__(self, redactor: StreamRedactor | None = None) -> None:
        self.first_delta = False
        self.done = False
        self._redactor = redactor
        self._events = EventReader(redactor)
        self._answer = AnswerAssembler(redactor)
        self.thoughts = self._answer.thoughts
        self._error: BadResponseError | None = None

    @property
    def raw(self) -> bytes:
        """All bytes that have come so far."""
        return self._events.raw

    def feed(self, chunk: bytes) -> list[str]:
        """Take in bytes, and return the pieces of text that they complete.

        Raises:
            ModelError: an event is no response, or reports an error.
        """
        try:
            return [text for event in self._events.feed(chunk) if (text := self._take(event))]
        except BadResponseError as error:
            self._error = error  # who only watches reads on, and nothing of a half answer may count
            raise
        finally:
            self.first_delta = self._answer.first_delta

    def answer(self) -> Answer:
        """Return the whole answer, once the stream has ended.

        Raises:
            ModelError: the stream ended before its finish, had no candidate, or reported an error.
        """
        if self._error is not None:
            raise self._error
        for event in self._events.end():
            self._take(event)
        if not self._events.has_events:
            raw = self.raw
            body = raw if self._redactor is None else self._redactor.redact(raw.decode("utf-8", "replace")).encode()
            return read_body(body)
        answer = self._answer.answer()
        if not (self._answer.is_finished or self.done):
            raise BadResponseError("the stream ended before the answer was finished")
        return answer

    def _take(self, event: ServerSentEvent) -> str:
        if event.value == DONE:
            self.done = True
            return self._answer.rest_of_text()
        is_exact = not (self._events.is_lenient or has_long_number(event.data))
        try:
            value = event.value if is_exact else decode_response(event.data)
        except ValueError as error:
            raise BadResponseError(f"a streamed event is not JSON: {self._events.excerpt(event.data)}") from error
        if event.name == "error" and isinstance(value, dict) and "error" not in value:
            self._answer.fail(value)
        return self._answer.add(value, event.data)


def read_body(raw: bytes) -> Answer:
    """Read a body that is no stream of events: one response, or a list of them.

    Raises:
        ModelError: it is not JSON, no such response, or reports an error.
    """
    body = parse_json_body(raw, exact=True)
    answer = AnswerAssembler()
    answer.add(body, raw)
    return answer.answer()
