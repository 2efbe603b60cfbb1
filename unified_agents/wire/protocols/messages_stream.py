"""Anthropic Messages: streamed answers are put together."""

from __future__ import annotations

from typing import Any

from unified_agents.errors import BadResponseError, ModelError
from unified_agents.messages import JsonObject
from unified_agents.redaction.redactor import StreamRedactor
from unified_agents.text import encodable
from unified_agents.tools.json_values import to_json
from unified_agents.wire.protocols.answer import Answer
from unified_agents.wire.protocols.chat_completions_fields import (
    check_bounds,
    decode_response,
    string,
    without_half,
)
from unified_agents.wire.protocols.messages_answer import answer_of, check_for_error, encodable_texts, parse_body
from unified_agents.wire.protocols.messages_request import input_of
from unified_agents.wire.protocols.server_sent_events import BARE_LINE, DONE, EventReader, ServerSentEvent

_KINDS = frozenset(
    {
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "ping",
    }
)
"""The kinds of events that report no error, unless they have a field for it."""


class _Block:
    """A block of an answer, in pieces."""

    __slots__ = ("_input_size", "_pieces", "_start", "inputs")

    def __init__(self, start: JsonObject) -> None:
        string(start["type"])
        self._start = start
        self._pieces: dict[str, list[str]] = {}
        self._input_size = 0
        self.inputs: list[str] = []

    def add(self, delta: JsonObject) -> None:
        """Take in a delta; one that is not known goes on with the fields that it names."""
        if len(delta) == 2 and "text" in delta:  # most are
            self._add_text("text", string(delta["text"]))
            return
        if (piece := delta.get("partial_json")) is not None:
            self.inputs.append(string(piece))
            self._input_size += len(piece)
            check_bounds(0, self._input_size)
            return
        for name, value in delta.items():
            if name == "type" or value is None:
                continue
            if isinstance(value, str):
                self._add_text(name, value)
            elif name == "citation":
                citations = self._start["citations"] = self._start.get("citations") or []
                citations.append(value)
            else:
                self._start[name] = value

    def _add_text(self, name: str, piece: str) -> None:
        pieces = self._pieces.get(name)
        if pieces is None:
            pieces = self._pieces[name] = [self._start.get(name) or ""]
        if name != "signature" or pieces[-1] != piece:  # some servers send a signature again
            pieces.append(piece)

    def arguments(self) -> str | None:
        """Return the arguments as they were streamed; None where nothing was."""
        if len(self.inputs) > 1:
            self.inputs = ["".join(self.inputs)]
        return encodable(self.inputs[0]) if self.inputs and self.inputs[0] else None

    def whole(self) -> JsonObject:
        """Return the block as it would stand in an answer that is not streamed."""
        block = self._start | {name: "".join(pieces) for name, pieces in self._pieces.items()}
        if (arguments := self.arguments()) is not None:
            block["input"] = input_of(arguments)
        return block


class MessagesReader:
    """Puts a streamed answer together while its bytes come in, however they are cut.

    Args:
        redactor: Takes secrets out of the answer; None where there are none.

    Attributes:
        done: Whether `message_stop` was seen.
        first_delta: Whether a text or a call has come.
        thoughts: See `AnswerReader`.
    """

    def __init__(self, redactor: StreamRedactor | None = None) -> None:
        self.done = False
        self.first_delta = False
        self.thoughts: list[str] = []
        self._redactor = redactor
        self._events = EventReader(redactor)
        self._error: ModelError | None = None
        self._message: JsonObject | None = None  # the fields of the answer beside its blocks
        self._blocks: list[_Block] = []
        self._open: dict[Any, _Block] = {}
        self._calls = 0
        self._texts: list[str] = []
        self._half_character = ""

    @property
    def raw(self) -> bytes:
        """All bytes that have come so far."""
        return self._events.raw

    def feed(self, chunk: bytes) -> list[str]:
        """Take in bytes, and return the pieces of text that they complete.

        Raises:
            ModelError: an event is not of this protocol, or reports an error.
        """
        try:
            texts = [text for event in self._events.feed(chunk) if (text := self._take(event))]
        except ModelError as error:
            self._error = self._error or error  # kept: who only watches reads on, and a half answer must not count
            raise
        return texts

    def answer(self) -> Answer:
        """Return the whole answer, once the stream has ended.

        Raises:
            ModelError: the stream ended before `message_stop`, or reported an error.
        """
        if self._error is None:
            for event in self._events.end():
                self._take(event)
        if self._error is not None:
            raise self._error
        if not self._events.has_events:
            # A server that ignores `stream` answers with one body.
            raw = self.raw
            return parse_body(raw if self._redactor is None else self._redacted(raw))
        if not self.done or self._message is None:
            raise BadResponseError("the stream ended before the answer was finished")
        self._keep(encodable(self._half_character) + self._rest_of_redacted())
        try:
            return self._assembled(self._message)
        except (KeyError, TypeError, AttributeError) as error:
            raise BadResponseError("the streamed answer is not an Anthropic Messages answer") from error

    def _assembled(self, message: JsonObject) -> Answer:
        blocks = [block.whole() for block in self._blocks]
        if self._events.is_lenient:
            blocks = list(map(encodable_texts, blocks))
        arguments = {place: text for place, block in enumerate(self._blocks) if (text := block.arguments()) is not None}
        message = message | {"stop_reason": message.get("stop_reason") or self._stop_reason(blocks)}
        text = "".join(self._texts)
        return answer_of(message, blocks, arguments=arguments, redactor=self._redactor, text=text)

    def _take(self, event: ServerSentEvent) -> str | None:
        if event.value == DONE:
            self.done = True
            return self._keep(self._rest_of_redacted())
        value = event.value
        try:
            kind = value["type"] if type(value) is dict and "type" in value else ""
            if kind not in _KINDS or "error" in value or event.name == "error":
                self._check_for_error(event)
            return self._take_known(kind or value["type"], value)
        except (KeyError, TypeError, AttributeError) as error:
            excerpt = self._events.excerpt(event.data)
            raise BadResponseError(f"a streamed event is not an Anthropic Messages event: {excerpt}") from error

    def _check_for_error(self, event: ServerSentEvent) -> None:
        value = event.value
        if self._redactor is not None and (event.name in ("error", BARE_LINE) or _reports_error(value)):
            # Before its text is cut, perhaps within a secret.
            value = decode_response(self._redactor.redact(to_json(value).decode()).encode())
        check_for_error({"error": value} if event.name == "error" and not _reports_error(value) else value)

    def _take_known(self, kind: str, event: JsonObject) -> str | None:
        """Take in an event; one of a kind that is not known is left out."""
        if kind == "content_block_delta":
            delta = event["delta"]
            self._open[event["index"]].add(delta)
            if delta["type"] == "thinking_delta":
                self.thoughts.append(string(delta["thinking"]))
            return self._take_text(delta["text"]) if delta["type"] == "text_delta" else None
        if kind == "content_block_start":
            return self._begin(event["index"], event["content_block"])
        if kind == "message_start":
            self._message = dict(event["message"])
            for index, block in enumerate(self._message.pop("content", None) or ()):
                self._begin(index, block)
        elif kind == "message_delta":
            self._end(event)
        elif kind == "message_stop":
            self.done = True
            return self._keep(self._rest_of_redacted())
        return None

    def _begin(self, index: int, start: JsonObject) -> str | None:
        block = self._open[index] = _Block(dict(start))
        self._blocks.append(block)
        if start["type"] == "tool_use":
            self.first_delta = True
            self._calls += 1
            check_bounds(self._calls, 0)
        return self._take_text(start["text"]) if start["type"] == "text" and start.get("text") else None

    def _end(self, event: JsonObject) -> None:
        if self._message is None:
            raise TypeError("message_delta before message_start")
        usage = {name: count for name, count in (event.get("usage") or {}).items() if count is not None}
        self._message |= {name: value for name, value in event["delta"].items() if value is not None}
        if usage:
            self._message["usage"] = (self._message.get("usage") or {}) | usage

    def _take_text(self, text: str) -> str:
        if self._events.is_lenient:
            text, self._half_character = without_half(self._half_character + string(text))
        return self._keep(string(text) if self._redactor is None else self._redactor.feed(text))

    def _keep(self, text: str) -> str:
        if text:
            self._texts.append(text)
            self.first_delta = True
        return text

    def _rest_of_redacted(self) -> str:
        return "" if self._redactor is None else self._redactor.flush()

    def _redacted(self, raw: bytes) -> bytes:
        return raw if self._redactor is None else self._redactor.redact(raw.decode("utf-8", "replace")).encode()

    @staticmethod
    def _stop_reason(blocks: list[JsonObject]) -> str:
        return "tool_use" if any(block["type"] == "tool_use" for block in blocks) else "end_turn"


def _reports_error(value: Any) -> bool:
    return isinstance(value, dict) and ("error" in value or value.get("type") == "error")
