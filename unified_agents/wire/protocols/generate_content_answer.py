"""Puts a Gemini answer together from one `GenerateContentResponse`, or from the many of a stream."""

from __future__ import annotations

from typing import Any, NoReturn

import orjson

from unified_agents.errors import BadResponseError, ContentFilterError
from unified_agents.messages import JsonObject, Usage
from unified_agents.redaction.redactor import StreamRedactor
from unified_agents.tools.json_values import to_json
from unified_agents.wire.http_errors import reported_error
from unified_agents.wire.protocols.answer import Answer
from unified_agents.wire.protocols.chat_completions_fields import (
    NO_USAGE,
    RawCall,
    call_id,
    check_bounds,
    decode_response,
    excerpt,
    finish_reason_of,
    string,
    token_count,
)
from unified_agents.wire.protocols.chat_completions_writer import assistant_message, completion

_PLAIN_KEYS = {"text", "thought"}


class AnswerAssembler:
    """Collects the partial responses of one answer, of which a whole answer is the only one.

    The parts of the first candidate are appended; pieces of one text become one part, and what a part holds beside a
    text keeps it a part of its own, as a signature belongs to its part.

    Args:
        redactor: Takes secrets out of the answer; None where there is none.

    Attributes:
        first_delta: Whether a text or a call has come.
        thoughts: See `AnswerReader`.
    """

    __slots__ = (
        "_candidate", "_content", "_error", "_finish_reason", "_head", "_number_of_calls", "_parts", "_pieces",
        "_redactor", "_text", "_usage", "first_delta", "thoughts",
    )  # fmt: skip

    def __init__(self, redactor: StreamRedactor | None = None) -> None:
        self.first_delta = False
        self.thoughts: list[str] = []
        self._redactor = redactor
        self._candidate: Any = None
        self._content: JsonObject = {}
        self._error: Exception | None = None
        self._finish_reason: str | None = None
        self._head: JsonObject = {}
        self._number_of_calls = 0
        self._parts: list[JsonObject] = []
        self._pieces: list[list[str]] = []  # of each part's text, since joining them one by one is quadratic
        self._text: list[str] = []
        self._usage: Usage = NO_USAGE

    @property
    def is_finished(self) -> bool:
        """Whether a finish reason has come."""
        return self._finish_reason is not None

    def add(self, response: Any, data: bytes) -> str:
        """Take in a response, and return its text.

        Args:
            response: The parsed response; a list stands for the responses in it.
            data: What it was parsed from, for a message.

        Raises:
            ModelError: it reports an error or a filter, or is no such response.
        """
        if isinstance(response, list):
            return "".join([self.add(item, data) for item in response])
        try:
            text = self._add(response)
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            words = self._redacted(data.decode("utf-8", "replace"))
            text = f"the answer is not a generateContent response: {excerpt(words.encode())}"
            raise BadResponseError(text) from error
        if self._redactor is not None:
            text = self._redactor.feed(text) if text else ""
            text += self._redactor.flush() if self.is_finished else ""
        return self._kept(text)

    def answer(self) -> Answer:
        """Return the answer.

        Raises:
            ModelError: an error was reported, or there was no candidate.
        """
        if self._error is not None:
            raise self._error
        if self._candidate is None:
            raise BadResponseError("the answer has no candidates")
        self.rest_of_text()
        parts = self._joined_parts()
        text = "".join(self._text) or None
        calls = [_raw_call(part["functionCall"]) for part in parts if part.get("functionCall")]
        finish_reason = _chat_finish_reason(self._finish_reason, calls)
        thoughts = [part["text"] for part in parts if part.get("thought") and part.get("text")]
        holds_more = self._content.keys() - {"role", "parts"} or any(part.keys() != {"text"} for part in parts)
        original = self._content | {"parts": parts, "role": self._content.get("role") or "model"}
        choice = {"index": 0, "message": assistant_message(text, calls), "finish_reason": finish_reason}
        return Answer(
            text=text,
            calls=calls,
            finish_reason=finish_reason,
            usage=self._usage,
            body=completion(self._head, choice, self._usage),
            original=original if holds_more else None,
            reasoning="".join(thoughts) or None,
        )

    def rest_of_text(self) -> str:
        """Return what a redactor held back, at the end of the text."""
        return "" if self._redactor is None else self._kept(self._redactor.flush())

    def fail(self, error: Any) -> NoReturn:
        """Raise the error that a response reports; it is kept, so that nothing of a half answer counts.

        Raises:
            ModelError: always.
        """
        if self._redactor is not None:  # before its text is cut, perhaps within a secret
            error = orjson.loads(self._redactor.redact(orjson.dumps(error).decode()))
        self._error = self._error or reported_error(error)
        raise self._error

    def _add(self, response: JsonObject) -> str:
        if error := response.get("error"):
            self.fail(error)
        for name, chat_name in (("responseId", "id"), ("modelVersion", "model")):
            if value := response.get(name):
                self._head[chat_name] = string(value)
        if usage := response.get("usageMetadata"):
            self._usage = usage_of(usage)
        candidates = response.get("candidates")
        if not candidates:
            if feedback := response.get("promptFeedback"):
                self._check_feedback(feedback)
            return ""
        for candidate in candidates:
            index = candidate.get("index") or 0
            if self._candidate is None:
                self._candidate = index
            if index == self._candidate:  # of several the first is the answer
                return self._add_candidate(candidate)
        return ""

    def _check_feedback(self, feedback: JsonObject) -> None:
        if reason := feedback.get("blockReason"):
            words = self._redacted(string(feedback.get("blockReasonMessage") or ""))
            text = f"the provider's content filter refused the request ({string(reason)})" + (words and f": {words}")
            self._error = ContentFilterError(text)
            raise self._error

    def _add_candidate(self, candidate: JsonObject) -> str:
        self._finish_reason = finish_reason_of(candidate.get("finishReason")) or self._finish_reason
        content = candidate.get("content") or {}
        self._content |= {name: None if name == "parts" else value for name, value in content.items()}
        return "".join([self._add_part(part) for part in content.get("parts") or ()])

    def _add_part(self, part: JsonObject) -> str:
        text = part.get("text")
        if call := part.get("functionCall"):
            _raw_call(call)
            self._number_of_calls += 1
            check_bounds(self._number_of_calls, 0)
            self.first_delta = True
        if text and part.get("thought"):
            self.thoughts.append(string(text))
        goes_on = text is not None and part.keys() <= _PLAIN_KEYS and self._parts and self._goes_on(part)
        if goes_on:
            self._pieces[-1].append(string(text))
        elif text != "" or part.keys() - _PLAIN_KEYS:
            self._parts.append(part)
            self._pieces.append([] if text is None else [string(text)])
        return text if text and not part.get("thought") else ""

    def _goes_on(self, part: JsonObject) -> bool:
        last = self._parts[-1]
        return "text" in last and last.keys() <= _PLAIN_KEYS and bool(last.get("thought")) == bool(part.get("thought"))

    def _joined_parts(self) -> list[JsonObject]:
        parts = [
            part | {"text": "".join(pieces)} if pieces else part
            for part, pieces in zip(self._parts, self._pieces, strict=True)
        ]
        if self._redactor is None or not parts:
            return parts
        written = to_json(parts).decode()
        redacted = self._redactor.redact(written)
        return parts if redacted == written else decode_response(redacted.encode())

    def _kept(self, text: str) -> str:
        if text:
            self._text.append(text)
            self.first_delta = True
        return text

    def _redacted(self, text: str) -> str:
        return text if self._redactor is None else self._redactor.redact(text)


def usage_of(usage: JsonObject) -> Usage:
    """Return the token counts; what the model thought counts as output."""
    said, thought = token_count(usage.get("candidatesTokenCount")), token_count(usage.get("thoughtsTokenCount"))
    output = None if said is None and thought is None else (said or 0) + (thought or 0)
    return Usage(
        input_tokens=token_count(usage.get("promptTokenCount")),
        output_tokens=output,
        cached_input_tokens=token_count(usage.get("cachedContentTokenCount")),
        reasoning_tokens=thought,
    )


def _raw_call(call: JsonObject) -> RawCall:
    arguments = call.get("args")
    if not isinstance(arguments, str):  # some servers in between give them as text, or as what is no object
        arguments = to_json({} if arguments is None else arguments).decode()
    check_bounds(0, len(arguments))
    return RawCall(call_id(call.get("id")), string(call["name"]), arguments)


def _chat_finish_reason(reason: str | None, calls: list[RawCall]) -> str:
    if reason is None or reason == "STOP":
        return "tool_calls" if calls else "stop"
    return "length" if reason == "MAX_TOKENS" else reason
