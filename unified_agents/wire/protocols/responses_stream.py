"""OpenAI Responses: streamed answers are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

from unified_agents.errors import BadResponseError, ModelError
from unified_agents.messages import JsonObject
from unified_agents.redaction.redactor import StreamRedactor
from unified_agents.text import encodable
from unified_agents.tools.json_values import to_json
from unified_agents.wire.http_errors import reported_error
from unified_agents.wire.protocols.answer import Answer
from unified_agents.wire.protocols.chat_completions_fields import (
    decode_json,
    string,
    without_half,
    without_lone_surrogates,
)
from unified_agents.wire.protocols.responses_answer import answer_of, check_for_error, message_texts, parse_body
from unified_agents.wire.protocols.responses_pieces import OutputAssembler
from unified_agents.wire.protocols.server_sent_events import BARE_LINE, DONE, EventReader, ServerSentEvent

_STATUSES = frozenset({"completed", "incomplete", "failed", "cancelled"})
_THOUGHTS = frozenset({"response.reasoning_summary_text.delta", "response.reasoning_text.delta"})
_ENDS = frozenset(f"response.{status}" for status in _STATUSES)


class ResponsesReader:
    """Puts a streamed answer together while its bytes come in, however they are cut.

    The response object of the last event is the answer. Where it does not come, or comes without the items that were
    streamed before it, these are.

    Args:
        redactor: Takes secrets out of the answer; None where there are none.

    Attributes:
        first_delta: Whether a text or a call has come.
        done: Whether the last event was seen.
        thoughts: See `AnswerReader`.
    """

    __slots__ = (
        "_error",
        "_events",
        "_final",
        "_half",
        "_has_text",
        "_head",
        "_items",
        "_redactor",
        "done",
        "first_delta",
        "thoughts",
    )

    def __init__(self, redactor: StreamRedactor | None = None) -> None:
        self.first_delta = False
        self.done = False
        self.thoughts: list[str] = []
        self._redactor = redactor
        self._events = EventReader(redactor)
        self._items = OutputAssembler()
        self._head: JsonObject = {}
        self._final: JsonObject | None = None
        self._half = ""
        self._has_text = False
        self._error: ModelError | None = None

    @property
    def raw(self) -> bytes:
        """All bytes that have come so far."""
        return self._events.raw

    def feed(self, chunk: bytes) -> list[str]:
        """Take in bytes, and return the pieces of text that they complete.

        Raises:
            ModelError: an event is no event of this protocol, or reports an error.
        """
        return self._texts(self._events.feed(chunk))

    def answer(self) -> Answer:
        """Return the whole answer, once the stream has ended.

        Raises:
            ModelError: the stream ended before the answer did, or reported an error.
        """
        self._texts(self._events.end())
        if self._error is not None:
            raise self._error
        raw = self.raw
        if not self._events.has_events:
            # A server that ignores `stream` answers with one body.
            body = raw if self._redactor is None else self._redactor.redact(raw.decode("utf-8", "replace")).encode()
            return parse_body(body)
        if not self.done:
            raise BadResponseError("the stream ended before the answer was finished")
        return answer_of(self._response(), raw)

    def _response(self) -> JsonObject:
        response = self._head | (self._final or {})
        output = response.get("output")
        # Some servers send the items one by one, and leave them out at the end.
        if not isinstance(output, list) or len(output) < len(self._items):
            response["output"] = self._items.output()
        if self._events.is_lenient:
            response = without_lone_surrogates(response)
        redacted: JsonObject = self._redacted(response)
        return redacted

    def _redacted(self, value: Any) -> Any:
        """Return a JSON value without secrets in its texts."""
        if self._redactor is None:
            return value
        return decode_json(self._redactor.redact(to_json(value).decode()).encode())

    def _texts(self, events: Iterator[ServerSentEvent]) -> list[str]:
        try:
            return [text for event in events if (text := self._event(event))]
        except ModelError as error:
            self._error = self._error or error  # kept: who only watches reads on, and no half answer may count
            raise

    def _event(self, event: ServerSentEvent) -> str:
        if event.value == DONE:
            self.done = True
            return self._shown("")
        try:
            if event.name == BARE_LINE:
                return self._fail(event.value) if event.value.get("error") else ""
            return self._take(event.value, event.name)
        except (KeyError, TypeError, AttributeError) as error:
            if isinstance(event.value, list) and event.value:
                check_for_error(self._redacted(event.value))
            text = f"a streamed event is not a Responses event: {self._events.excerpt(event.data)}"
            raise BadResponseError(text) from error

    def _take(self, value: JsonObject, name: str) -> str:
        kind = value.get("type") or name
        if kind == "error" or value.get("error") or value.get("object") == "error":
            self._fail(value)
        if kind == "response.output_text.delta":
            return self._shown(self._items.add_text(value))
        if kind == "response.function_call_arguments.delta":
            self._items.add_arguments(value)
            return ""
        if kind in _ENDS:
            return self._finish(_ended(value["response"], kind))
        if value.get("object") == "response" and "output" in value:
            return self._finish(value)  # the whole answer as the only event
        if kind == "response.output_item.done":
            return self._take_item(value)
        if kind in ("response.created", "response.in_progress"):
            self._head = self._head or {name: one for name, one in value["response"].items() if name != "status"}
        elif kind == "response.output_item.added":
            self._items.begin(value)
            self.first_delta = self.first_delta or value["item"].get("type") == "function_call"
        elif kind in _THOUGHTS:
            self._items.add(kind, value)
            self.thoughts.append(string(value["delta"]))
        elif kind == "response.reasoning_summary_part.added":
            self._items.add(kind, value)
            if value.get("summary_index"):
                self.thoughts.append("\n\n")  # as between the parts of `Answer.reasoning`
        elif kind.startswith("response."):
            return self._shown(self._items.add(kind, value))
        return ""

    def _take_item(self, value: JsonObject) -> str:
        """Take in an item that has ended; its text is news where no piece of it came before."""
        item = value["item"]
        has_pieces = self._items.finish(value)
        self.first_delta = self.first_delta or item["type"] == "function_call"
        return "" if has_pieces or item["type"] != "message" else self._shown("".join(message_texts(item)))

    def _finish(self, response: JsonObject) -> str:
        if response.get("status") == "failed" or response.get("error"):
            self._fail(response)
        self._final, self.done = response, True
        items = response.get("output") or ()
        self.first_delta = self.first_delta or any(item["type"] == "function_call" for item in items)
        is_news = not self._has_text
        texts = [text for item in items if item["type"] == "message" for text in message_texts(item)] if is_news else []
        return self._shown("".join(texts))

    def _shown(self, text: str) -> str:
        """Return a piece of text as it may be seen: without halves of characters, and without secrets."""
        self._has_text = self._has_text or bool(text)
        if self._half or self._events.is_lenient:
            text, half = without_half(self._half + text)
            text, self._half = (text + encodable(half), "") if self.done else (text, half)
        if self._redactor is not None:
            text = self._redactor.feed(text)
            if self.done:
                text += self._redactor.flush()
        if text:
            self.first_delta = True
        return text

    def _fail(self, error: JsonObject) -> NoReturn:
        error = self._redacted(error)  # before its text is cut, perhaps within a secret
        raise reported_error(error.get("error") or error)


def _ended(response: JsonObject, kind: str) -> JsonObject:
    """Return the response object of the last event; where its status is none of an answer that ended, the event's."""
    return response if response.get("status") in _STATUSES else {**response, "status": kind.rpartition(".")[2]}
