"""OpenAI Chat Completions: answers are read, whole and streamed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import orjson

from unified_agents.errors import BadResponseError
from unified_agents.messages import JsonObject, Usage
from unified_agents.redaction.redactor import StreamRedactor
from unified_agents.text import encodable
from unified_agents.wire.http_errors import reported_error
from unified_agents.wire.protocols.answer import Answer
from unified_agents.wire.protocols.chat_completions_fields import (
    NO_USAGE,
    RawCall,
    arguments_text,
    call_id,
    check_bounds,
    content_text,
    decode_json,
    error_in_line,
    excerpt,
    finish_reason_of,
    is_stream_of_events,
    parse_json_body,
    refusal_text,
    string,
    usage_of,
    without_half,
)
from unified_agents.wire.protocols.chat_completions_original import (
    extra_fields_of,
    original_of,
    reasoning_of,
    streamed_original,
)
from unified_agents.wire.protocols.chat_completions_writer import assistant_message, completion
from unified_agents.wire.protocols.finish_reasons import REFUSAL, is_clean
from unified_agents.wire.protocols.stream_lines import StreamLines
from unified_agents.wire.protocols.tool_call_pieces import ToolCallAssembler

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def parse_answer(raw: bytes) -> Answer:
    """Read a whole answer; one that is streamed all the same is put together.

    Raises:
        ModelError: it is not JSON, not Chat Completions, has no choice, or reports an error.
    """
    if is_stream_of_events(raw):
        reader = StreamReader()
        reader.feed(raw)
        return reader.answer()
    return _parse_body(raw)


def _parse_body(raw: bytes) -> Answer:
    body = parse_json_body(raw)
    _check_for_error(body)
    if type(body) is not dict or type(body.get("choices")) is not list:
        raise BadResponseError(f"the answer is not a Chat Completions answer: {excerpt(raw)}")
    if not body["choices"]:
        raise BadResponseError("the answer has no choices")
    try:
        return _answer(body)
    except (KeyError, TypeError, AttributeError) as error:
        raise BadResponseError(f"the answer is not a Chat Completions answer: {excerpt(raw)}") from error


def _check_for_error(body: Any) -> None:
    """Raise the error that a body reports, beside an answer or instead of one."""
    if isinstance(body, list) and body:
        body = body[0]  # some servers give their errors in a list
    if not isinstance(body, dict):
        return
    if error := body.get("error"):
        raise reported_error(error)
    if "choices" in body:
        return
    if body.get("object") == "error" or isinstance(body.get("message") or body.get("msg"), str):
        raise reported_error(body)


def _answer(body: JsonObject) -> Answer:
    choices = body["choices"]
    calls: list[RawCall] = []
    text = finish_reason = original = None
    refusal = ""
    for index, choice in enumerate(choices):
        if error := choice.get("error"):
            raise reported_error(error)
        message = choice["message"]
        refusal += refusal_text(message)
        calls += [_raw_call(call) for call in _calls_of(message)]
        # The first choice has the text and the reason, unless another one alone has a text, or was broken off.
        content = message.get("content")
        content = content if type(content) is str else content_text(content)
        if not index or (content and not text):
            text = content
            original = original_of(message)
        reason = finish_reason_of(choice.get("finish_reason"))
        if not index or (is_clean(finish_reason) and not is_clean(reason)):
            finish_reason = reason
    if calls:
        check_bounds(len(calls), max(len(call.arguments) for call in calls))
    if refusal and not calls:
        text = refusal if not text or text == refusal else f"{text}\n\n{refusal}"
        finish_reason = REFUSAL if is_clean(finish_reason) else finish_reason
    return Answer(
        text=text,
        calls=calls,
        finish_reason=finish_reason,
        usage=usage_of(body.get("usage") or choices[0].get("usage")),
        body=body,
        original=original,
        reasoning=reasoning_of(original),
    )


def _calls_of(message: JsonObject) -> Iterable[JsonObject]:
    calls: list[JsonObject] | None = message.get("tool_calls")
    if calls:
        return calls
    # Older servers give one call in a field of its own.
    return [{"function": function}] if (function := message.get("function_call")) else []


def _raw_call(call: JsonObject) -> RawCall:
    function = call["function"]
    return RawCall(call_id(call.get("id")), string(function["name"]), arguments_text(function.get("arguments")))


@dataclass(slots=True, eq=False, repr=False)
class StreamReader:
    """Puts a streamed answer together while its bytes come in, however they are cut.

    Attributes:
        redactor: Takes a secret out of the answer; None where there is none.
        done: Whether `[DONE]` was seen.
        first_delta: Whether any content or call has come.
        thoughts: See `AnswerReader`.
    """

    redactor: StreamRedactor | None = None
    done: bool = False
    first_delta: bool = False
    thoughts: list[str] = field(default_factory=list)
    _lines: StreamLines = field(default_factory=StreamLines)
    _event_lines: list[bytes] = field(default_factory=list)  # of an event whose JSON stands on several lines
    _names_error: bool = False  # the event that comes is called `error`
    _error: Exception | None = None
    _text: list[str] = field(default_factory=list)
    _text_choice: int | None = None
    _refused: bool = False
    _is_lenient: bool = False
    _half_character: str = ""
    _calls: ToolCallAssembler = field(default_factory=ToolCallAssembler)
    _finish_reason: str | None = None
    _usage: Usage = NO_USAGE
    _head: JsonObject | None = None
    _choices: bool = False
    _extra: list[JsonObject] = field(default_factory=list)  # what the pieces hold beside text and calls

    def feed(self, chunk: bytes) -> list[str]:
        """Take in bytes, and return the pieces of text that they complete.

        Raises:
            ModelError: an event is not a Chat Completions chunk, or reports an error.
        """
        try:
            lines = self._lines.feed(chunk)
        except BadResponseError as error:
            self._error = error  # kept: who only watches reads on
            raise
        texts = []
        for line in lines:
            line = line.strip()  # noqa: PLW2901
            text = self._data(line[5:].strip()) if line.startswith(b"data:") else self._other_line(line)
            if text:
                texts.append(text)
        return texts

    @property
    def raw(self) -> bytes:
        """All bytes that have come so far."""
        return self._lines.raw

    def answer(self) -> Answer:
        """Return the whole answer, once the stream has ended.

        Raises:
            ModelError: the stream ended before its finish, had no choices, or reported an error.
        """
        for line in (self._lines.last().strip(), b""):
            if line.startswith(b"data:"):
                self._data(line[5:].strip())
            else:
                self._other_line(line)
        if self._error is not None:
            raise self._error
        if self._head is None:
            # A server that ignores `stream` answers with one body.
            raw = self.raw
            body = raw if self.redactor is None else self.redactor.redact(raw.decode("utf-8", "replace")).encode()
            return _parse_body(body)
        if not self._choices:
            raise BadResponseError("the answer has no choices")
        if self._finish_reason is None and not self.done:
            raise BadResponseError("the stream ended before the answer was finished")
        self._text += [encodable(self._half_character), self._rest_of_redacted()]
        text = "".join(self._text) or None
        calls = self._calls.calls()
        if self.redactor is not None:
            for call in calls:
                call.arguments = self.redactor.redact(call.arguments)
        if self._refused and not calls and is_clean(self._finish_reason):
            self._finish_reason = REFUSAL
        finish_reason = self._finish_reason or ("tool_calls" if calls else "stop")
        message = assistant_message(text, calls)
        choice = {"index": 0, "message": message, "finish_reason": finish_reason}
        original = streamed_original(message, self._extra, self._calls.extra_fields(), self.redactor)
        whole = completion(self._head, choice, self._usage)
        return Answer(
            text, calls, finish_reason, self._usage, whole, original=original, reasoning=reasoning_of(original)
        )

    def _data(self, data: bytes) -> str | None:
        if self._event_lines and data != b"[DONE]":
            self._event_lines.append(data)
            return None
        if self._event_lines:
            self._end_event()
        if not data:
            return None
        if data == b"[DONE]":
            self.done = True
            return self._kept(self._rest_of_redacted())
        try:
            chunk = orjson.loads(data)
        except orjson.JSONDecodeError:
            try:
                chunk = decode_json(data)
            except ValueError:
                self._event_lines.append(data)  # its end may stand on the next line
                return None
            self._is_lenient = True
        return self._event(chunk, data)

    def _other_line(self, line: bytes) -> str | None:
        if not line:
            return self._end_event() if self._event_lines else None
        if line.startswith(_BYTE_ORDER_MARK):
            line = line.removeprefix(_BYTE_ORDER_MARK).strip()
            return self._data(line[5:].strip()) if line.startswith(b"data:") else self._other_line(line)
        if line.startswith(b"event:"):
            self._names_error = line[6:].strip() == b"error"
        elif line.startswith(b"{") and self._head is not None and (error := error_in_line(line)):
            self._fail(error)
        return None

    def _end_event(self) -> str | None:
        data, self._event_lines = b"\n".join(self._event_lines), []
        try:
            chunk = decode_json(data)
        except ValueError as error:
            raise BadResponseError(f"a streamed event is not JSON: {self._excerpt(data)}") from error
        self._is_lenient = True
        return self._event(chunk, data)

    def _event(self, chunk: Any, data: bytes) -> str | None:
        try:
            return self._take(chunk)
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            if isinstance(chunk, list) and chunk and isinstance(chunk[0], dict) and chunk[0].get("error"):
                self._fail(chunk[0]["error"])  # some servers give their errors in a list
            text = f"a streamed event is not a Chat Completions chunk: {self._excerpt(data)}"
            raise BadResponseError(text) from error

    def _excerpt(self, data: bytes) -> str:
        text = data.decode("utf-8", "replace")
        return excerpt((text if self.redactor is None else self.redactor.redact(text)).encode())

    def _fail(self, error: Any) -> NoReturn:
        # Kept: who only watches reads on, and nothing of a half answer may count.
        if self.redactor is not None:  # before its text is cut, perhaps within a secret
            error = orjson.loads(self.redactor.redact(orjson.dumps(error).decode()))
        self._error = self._error or reported_error(error)
        raise self._error

    def _take(self, chunk: JsonObject) -> str | None:
        if (error := chunk.get("error")) or self._names_error:
            self._fail(error or chunk)
        if self._head is None:
            self._head = {key: chunk[key] for key in ("id", "created", "model") if key in chunk}
        if usage := chunk.get("usage"):
            self._usage = usage_of(usage)
        choices = chunk.get("choices")
        if not choices:
            if chunk.get("object") == "error":
                self._fail(chunk)
            return None
        self._choices = True
        text = self._take_choice(choices[0], chunk)
        for choice in choices[1:]:
            text = (text or "") + (self._take_choice(choice, chunk) or "")
        if text is None:
            return None
        if self._is_lenient:
            text, self._half_character = without_half(self._half_character + text)
        if self.redactor is not None:
            text = self.redactor.feed(text)
            if self._finish_reason is not None:
                text += self.redactor.flush()
        return self._kept(text)

    def _take_choice(self, choice: JsonObject, chunk: JsonObject) -> str | None:
        finish_reason = choice.get("finish_reason")
        if finish_reason is not None:
            self._take_finish(finish_reason, choice, chunk)
        delta = choice.get("delta") or {}
        text = delta.get("content")
        if type(text) is not str or len(delta) > 1 or "error" in choice:
            text = self._take_fields(choice, delta)
        if text:
            index = choice.get("index") or 0
            if self._text_choice is None:
                self._text_choice = index
            elif self._text_choice != index:
                return None  # of several choices the first has the text
        return text

    def _take_fields(self, choice: JsonObject, delta: JsonObject) -> str | None:
        """Read what a delta holds besides a text."""
        if error := choice.get("error"):
            self._fail(error)
        if not delta and not self._text and not self._calls:
            delta = choice.get("message") or {}  # the whole answer as the only event
        if extra := extra_fields_of(delta):
            self._extra.append(extra)
            if (thought := reasoning_of(extra)) and not choice.get("index"):
                self.thoughts.append(thought)
        index = choice.get("index") or 0
        for call in delta.get("tool_calls") or ():
            self.first_delta = True
            self._calls.add(index, call)
        if function := delta.get("function_call"):
            self.first_delta = True
            self._calls.add(index, {"index": -1, "function": function})
        text = content_text(delta.get("content"))
        if refusal := refusal_text(delta):
            is_apart = not self._refused and bool(text or self._text)
            self._refused = True
            text = (text or "") + ("\n\n" + refusal if is_apart else refusal)
        return text

    def _take_finish(self, finish_reason: Any, choice: JsonObject, chunk: JsonObject) -> None:
        if is_clean(self._finish_reason):
            self._finish_reason = finish_reason_of(finish_reason) or self._finish_reason
        # Some servers have the usage in another place.
        if usage := choice.get("usage") or (chunk.get("x_groq") or {}).get("usage"):
            self._usage = usage_of(usage)

    def _kept(self, text: str) -> str:
        if text:
            self._text.append(text)
            self.first_delta = True
        return text

    def _rest_of_redacted(self) -> str:
        return "" if self.redactor is None else self.redactor.flush()
