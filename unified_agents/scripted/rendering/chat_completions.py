"""Renders answers of a scripted model as Chat Completions, whole or streamed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from unified_agents import wording
from unified_agents.messages import JsonObject
from unified_agents.tools.json_values import to_json
from unified_agents.wire.local_upstream import Reply
from unified_agents.wire.react.parser import has_mark

JSON_TYPE = "application/json"
STREAM_TYPE = "text/event-stream"
HTML_TYPE = "text/html"
DONE = b"data: [DONE]\n\n"

# Fixed, so that the same request gets the same bytes.
CREATED = 1_763_769_600


@dataclass(slots=True, eq=False)
class RenderedCall:
    """A tool call of an answer."""

    id: str
    name: str
    arguments: str

    def to_chat(self) -> dict[str, Any]:
        """Return the call as it stands in a message that is not streamed."""
        return {"id": self.id, "type": "function", "function": {"name": self.name, "arguments": self.arguments}}


@dataclass(slots=True, eq=False)
class RenderedChoice:
    """The text, the tool calls, the finish reason and the thinking of an answer.

    Attributes:
        original: The turn in the form of the protocol that it is rendered in, which then takes the place of the rest;
            None for a turn that is text, calls and thinking alone.
    """

    text: str | None
    calls: tuple[RenderedCall, ...]
    finish_reason: str
    reasoning: str | None = None
    original: JsonObject | None = None

    def cut(self) -> RenderedChoice:
        """Return this answer as a token limit leaves it: the last call, or else the text, broken off in the middle."""
        if not self.calls:
            return RenderedChoice(self.text and self.text[: len(self.text) // 2], (), "length")
        last = self.calls[-1]
        broken = RenderedCall(last.id, last.name, last.arguments[: len(last.arguments) // 2])
        return RenderedChoice(self.text, (*self.calls[:-1], broken), "length")


def as_react_text(choice: RenderedChoice) -> RenderedChoice:
    """Write an answer as ReAct text; a text that has a mark of the protocol stays as it is."""
    if choice.calls:
        text = wording.react_turn(choice.text or "", [(call.name, call.arguments) for call in choice.calls])
    else:
        text = choice.text or ""
        text = text if not text or has_mark(text) else wording.react_answer("", text)
    return RenderedChoice(text, (), "stop" if choice.finish_reason == "tool_calls" else choice.finish_reason)


@dataclass(slots=True, eq=False)
class Rendered:
    """A choice as JSON.

    Attributes:
        choices: The `choices` member: one of a whole answer, or one for each chunk of a stream.
        size: Bytes of the text and of the calls, without the envelope.
    """

    choices: tuple[bytes, ...]
    size: int


def render(choice: RenderedChoice, *, stream: bool, together: bool) -> Rendered:
    """Render a choice as JSON; `together` puts all calls of a stream into one delta."""
    size = len((choice.text or "").encode(errors="replace")) + sum(
        len(part.encode(errors="replace")) for call in choice.calls for part in (call.name, call.arguments)
    )
    if stream:
        deltas = tuple(_delta(delta) for delta in _deltas(choice, together=together))
        return Rendered((*deltas, _delta({}, choice.finish_reason)), size)
    message: dict[str, Any] = {"role": "assistant", "content": choice.text, "refusal": None}
    if choice.calls:
        message["tool_calls"] = [call.to_chat() for call in choice.calls]
    if choice.original is not None:
        message |= choice.original
    elif choice.reasoning is not None:
        message["reasoning_content"] = choice.reasoning
    whole = {"index": 0, "message": message, "logprobs": None, "finish_reason": choice.finish_reason}
    return Rendered((to_json([whole]),), size)


def _delta(delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
    return to_json([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}])


def _deltas(choice: RenderedChoice, *, together: bool) -> list[dict[str, Any]]:
    first: dict[str, Any] = {"role": "assistant", "content": None if choice.text is None else ""}
    words = [{"content": word} for word in re.findall(r"\s*\S+|\s+$", choice.text or "")]
    original = choice.original or {}
    written = original.get("tool_calls") or [call.to_chat() for call in choice.calls]
    calls = [{"index": index, **call} for index, call in enumerate(written)]
    groups: Sequence[list[dict[str, Any]]] = [calls] if together and calls else [[call] for call in calls]
    thoughts = [] if choice.reasoning is None else [{"reasoning_content": choice.reasoning}]
    if choice.original is not None:
        thoughts = [{name: value for name, value in original.items() if name not in first.keys() | {"tool_calls"}}]
    return [first, *thoughts, *words, *({"tool_calls": group} for group in groups)]


@dataclass(slots=True, eq=False)
class Envelope:
    """The members of an answer beside its choices.

    Attributes:
        id: The answer's id.
        model: The model's name.
        prompt_tokens: All input, the cached part too.
        completion_tokens: All output.
        cached_tokens: The input that was read from the provider's prompt cache; None where nothing is said of it.
        cache_write_tokens: The input that was written into it, where the provider counts that.
    """

    id: str
    model: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int | None = None
    cache_write_tokens: int = 0

    def _head(self, kind: str) -> bytes:
        head = {"id": self.id, "object": kind, "created": CREATED, "model": self.model}
        return to_json(head)[:-1] + b',"choices":'

    def _usage(self) -> bytes:
        total = self.prompt_tokens + self.completion_tokens
        usage = (self.prompt_tokens, self.completion_tokens, total)
        if self.cached_tokens is None:
            return b'{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}' % usage
        details = b',"prompt_tokens_details":{"cached_tokens":%d}}' % self.cached_tokens
        return b'{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d' % usage + details

    def whole(self, choices: bytes) -> tuple[bytes]:
        """Return the body of a `chat.completion`."""
        return (self._head("chat.completion") + choices + b',"usage":' + self._usage() + b"}",)

    def events(self, choices: Sequence[bytes], *, include_usage: bool) -> tuple[bytes, ...]:
        """Return the events of a `chat.completion.chunk` stream, with a usage chunk when it was asked for."""
        head = b"data: " + self._head("chat.completion.chunk")
        tail = b',"usage":null}\n\n' if include_usage else b"}\n\n"
        usage = (head + b'[],"usage":' + self._usage() + b"}\n\n",) if include_usage else ()
        return (*(head + choice + tail for choice in choices), *usage, DONE)


def error_reply(
    status: int, message: str, *, code: str | None = None, headers: dict[str, str] | None = None, delay: float = 0.0
) -> Reply:
    """Make an error reply in the form that OpenAI's API gives."""
    kind = "server_error" if status >= 500 else "requests" if status == 429 else "invalid_request_error"
    body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return Reply(status, JSON_TYPE, headers or {}, (to_json(body),), delay)


def cut(chunks: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return the first half of a body, in chunks."""
    left = sum(map(len, chunks)) // 2
    kept = []
    for chunk in chunks:
        if left <= 0:
            break
        kept.append(chunk[:left])
        left -= len(chunk)
    return tuple(kept)
