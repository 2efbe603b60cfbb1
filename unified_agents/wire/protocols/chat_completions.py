"""OpenAI Chat Completions: answers are read, whole and streamed, and written again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from unified_agents.errors import BadResponseError
from unified_agents.messages import JsonObject, Usage
from unified_agents.redaction.redactor import StreamRedactor
from unified_agents.run.measurements import ExchangeRecord

NO_USAGE = Usage.model_construct()  # not built by pydantic, which takes time on import


@dataclass(slots=True)
class RawCall:
    """A tool call as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(slots=True, eq=False)
class Answer:
    """One answer of a model, whole.

    Attributes:
        text: The content; None when there is none.
        calls: What it asks for, in its order.
        finish_reason: As the provider gives it.
        usage: Tokens of this exchange.
        body: The answer as a Chat Completions object; for a streamed answer it is put together from the deltas.
        raw: The bytes as they came.
        time_to_first_token: Seconds from the request to the first delta; None when it was not streamed.
        exchange: The record of the exchange that it came in; None when bodies are not kept.
    """

    text: str | None
    calls: list[RawCall]
    finish_reason: str | None
    usage: Usage
    body: JsonObject
    raw: bytes
    time_to_first_token: float | None = None
    exchange: ExchangeRecord | None = None


def parse_answer(raw: bytes) -> Answer:
    """Read a whole (not streamed) answer.

    Raises:
        BadResponseError: it is not JSON, not Chat Completions, or has no choice.
    """
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadResponseError(
            f"the model's server answered with something that is not JSON: {_excerpt(raw)}"
        ) from error
    if not isinstance(body, dict) or not isinstance(body.get("choices"), list):
        raise BadResponseError(f"the answer is not a Chat Completions answer: {_excerpt(raw)}")
    try:
        choice = body["choices"][0]
        message = choice["message"]
        calls = [
            RawCall(
                _id(call.get("id")), _string(call["function"]["name"]), _arguments(call["function"].get("arguments"))
            )
            for call in message.get("tool_calls") or ()
        ]
        return Answer(
            text=_content(message.get("content")) or _content(message.get("refusal")),
            calls=calls,
            finish_reason=_reason(choice.get("finish_reason")),
            usage=_usage(body.get("usage")),
            body=body,
            raw=raw,
        )
    except IndexError as error:
        raise BadResponseError("the answer has no choices") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise BadResponseError(f"the answer is not a Chat Completions answer: {_excerpt(raw)}") from error


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("must be a string")
    return value


def _id(value: Any) -> str:
    # Some servers number their calls.
    return str(value) if isinstance(value, int) else _string(value or "")


def _reason(value: Any) -> str | None:
    return None if value is None else _string(value)


def _content(value: Any) -> str | None:
    # Some servers give text in parts.
    if isinstance(value, list):
        return "".join(_string(part["text"]) for part in value if part.get("type") == "text")
    return None if value is None else _string(value)


def _arguments(value: Any) -> str:
    # Some servers give the arguments as an object.
    if isinstance(value, str):
        return value
    return "" if value is None else orjson.dumps(value).decode()


def _usage(value: Any) -> Usage:
    if not isinstance(value, dict):
        return NO_USAGE
    return Usage.model_construct(
        input_tokens=_count(value.get("prompt_tokens")), output_tokens=_count(value.get("completion_tokens"))
    )


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _excerpt(raw: bytes) -> str:
    text = raw[:120].decode("utf-8", "replace").strip()
    return repr(text) if text else "nothing"


@dataclass(slots=True, eq=False, repr=False)
class StreamReader:
    """Puts a streamed answer together while its bytes come in, however they are cut.

    Attributes:
        redactor: Takes a secret out of the answer; None where there is none.
        done: Whether `[DONE]` was seen.
        first_delta: Whether any content or call has come.
    """

    redactor: StreamRedactor | None = None
    done: bool = False
    first_delta: bool = False
    _rest: bytes = b""
    _raw: list[bytes] = field(default_factory=list)
    _text: list[str] = field(default_factory=list)
    _calls: dict[int, RawCall] = field(default_factory=dict)
    _finish_reason: str | None = None
    _usage: Usage = NO_USAGE
    _head: JsonObject | None = None
    _choices: bool = False

    def feed(self, chunk: bytes) -> list[str]:
        """Take in bytes, and return the pieces of text that they complete.

        Raises:
            BadResponseError: an event is not a Chat Completions chunk, or reports an error.
        """
        self._raw.append(chunk)
        lines = (self._rest + chunk).split(b"\n")
        self._rest = lines.pop()
        texts = []
        for line in lines:
            line = line.strip()  # noqa: PLW2901
            if line.startswith(b"data:") and (text := self._event(line[5:].strip())):
                texts.append(text)
        return texts

    @property
    def raw(self) -> bytes:
        """All bytes that have come so far."""
        return b"".join(self._raw)

    def answer(self) -> Answer:
        """Return the whole answer, once the stream has ended.

        Raises:
            BadResponseError: the stream ended before its finish, or had no choices.
        """
        raw, last, self._rest = self.raw, self._rest.strip(), b""
        if last.startswith(b"data:"):
            self._event(last[5:].strip())
        if self._head is None:
            # A server that ignores `stream` answers with one body.
            body = raw if self.redactor is None else self.redactor.redact(raw.decode("utf-8", "replace")).encode()
            return parse_answer(body)
        if not self._choices:
            raise BadResponseError("the answer has no choices")
        if self._finish_reason is None:
            raise BadResponseError("the stream ended before the answer was finished")
        text = "".join(self._text) if self._text else None
        calls = [self._calls[index] for index in sorted(self._calls)]
        if self.redactor is not None:
            for call in calls:
                call.arguments = self.redactor.redact(call.arguments)
        choice = {"index": 0, "message": assistant_message(text, calls), "finish_reason": self._finish_reason}
        return Answer(text, calls, self._finish_reason, self._usage, completion(self._head, choice, self._usage), raw)

    def _event(self, data: bytes) -> str | None:
        if data == b"[DONE]":
            self.done = True
            return None
        try:
            chunk = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise BadResponseError(f"a streamed event is not JSON: {_excerpt(data)}") from error
        try:
            return self._take(chunk)
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise BadResponseError(f"a streamed event is not a Chat Completions chunk: {_excerpt(data)}") from error

    def _take(self, chunk: JsonObject) -> str | None:
        if "error" in chunk and "choices" not in chunk:
            raise BadResponseError(
                f"the model's server reported an error while streaming: {_excerpt(orjson.dumps(chunk))}"
            )
        if self._head is None:
            self._head = {key: chunk[key] for key in ("id", "created", "model") if key in chunk}
        if chunk.get("usage"):
            self._usage = _usage(chunk["usage"])
        if not chunk["choices"]:
            return None
        self._choices = True
        choice = chunk["choices"][0]
        self._finish_reason = _reason(choice.get("finish_reason")) or self._finish_reason
        delta = choice.get("delta") or {}
        for call in delta.get("tool_calls") or ():
            self._take_call(call)
        text = _content(delta.get("content"))
        if self.redactor is not None and text is not None:
            text = self.redactor.feed(text)
        if self.redactor is not None and self._finish_reason is not None and (rest := self.redactor.flush()):
            text = (text or "") + rest
        if text is None:
            return None
        self._text.append(text)
        self.first_delta = self.first_delta or bool(text)
        return text

    def _take_call(self, call: JsonObject) -> None:
        self.first_delta = True
        function = call.get("function") or {}
        index = call.get("index")
        if not isinstance(index, int):
            # Some servers number nothing: an id or a name begins a call, the rest goes on with the last one.
            begins = bool(call.get("id") or function.get("name")) or not self._calls
            index = len(self._calls) if begins else max(self._calls)
        known = self._calls.setdefault(index, RawCall("", "", ""))
        known.id = known.id or _id(call.get("id"))
        known.name = known.name or _string(function.get("name") or "")
        known.arguments += _arguments(function.get("arguments"))


def assistant_message(text: str | None, calls: list[RawCall]) -> JsonObject:
    """Return an assistant turn in Chat Completions terms."""
    message: JsonObject = {"role": "assistant", "content": text}
    if calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in calls
        ]
    return message


def completion(head: JsonObject, choice: JsonObject, usage: Usage) -> JsonObject:
    """Return a `chat.completion` object."""
    body = {"id": "", "created": 0, "model": ""} | head | {"object": "chat.completion", "choices": [choice]}
    if usage.total_tokens is not None:
        body["usage"] = {
            "prompt_tokens": usage.input_tokens or 0,
            "completion_tokens": usage.output_tokens or 0,
            "total_tokens": usage.total_tokens,
        }
    return body


def stream_of(body: JsonObject, include_usage: bool) -> Iterator[bytes]:
    """Yield a whole answer as server-sent events: the text in one delta, then one delta for each call."""
    head = {key: body[key] for key in ("id", "created", "model") if key in body} | {"object": "chat.completion.chunk"}
    choice = body["choices"][0]
    message = choice["message"]

    def chunk(delta: JsonObject, finish_reason: str | None = None) -> bytes:
        return _event(head | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]})

    yield chunk({"role": "assistant", "content": message.get("content") or ""})
    for index, call in enumerate(message.get("tool_calls") or ()):
        yield chunk({"tool_calls": [{"index": index} | call]})
    yield chunk({}, choice.get("finish_reason"))
    if include_usage:
        yield _event(head | {"choices": [], "usage": body.get("usage")})
    yield b"data: [DONE]\n\n"


def _event(body: JsonObject) -> bytes:
    return b"data: " + orjson.dumps(body) + b"\n\n"
