"""The fields of Chat Completions answers, in the shapes that servers give them, and the bounds on what is read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from unified_agents.errors import BadResponseError
from unified_agents.messages import JsonObject, Usage
from unified_agents.text import encodable

MAX_ANSWER_BYTES = 256 * 1024 * 1024
MAX_LINE_BYTES = 64 * 1024 * 1024
MAX_ARGUMENTS_CHARS = 16 * 1024 * 1024
MAX_CALLS = 1024
"""Bounds on an answer, on a line of a stream, on a call's arguments and on the calls of an answer. A million tokens,
each in an event of its own, stay below them."""

NO_USAGE = Usage.model_construct()  # not built by pydantic, which takes time on import

_EVENTS = re.compile(rb"(\xef\xbb\xbf)?\s*(data|event|id|retry)?:")
_LONG_NUMBER = re.compile(rb"[\d.]{16}")
_TEXT_PARTS = ("text", "output_text")


@dataclass(slots=True)
class RawCall:
    """A tool call as the model wrote it."""

    id: str
    name: str
    arguments: str


def decode_json(data: bytes) -> Any:
    """Return the value of a JSON text; infinities and halves of surrogate pairs are taken, as Python writes them.

    Raises:
        ValueError: it is not JSON.
    """
    try:
        return json.loads(data)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def has_long_number(data: bytes) -> bool:
    """Tell whether a body may hold an integer beyond 64 bits, which orjson rounds."""
    return _LONG_NUMBER.search(data) is not None


def decode_response(data: bytes) -> Any:
    """Return the value of a body, with its numbers as they came, since arguments of calls stand in it.

    Raises:
        ValueError: it is not JSON.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        try:
            return without_lone_surrogates(decode_json(data))
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error
    return decode_json(data) if has_long_number(data) else value


def parse_json_body(raw: bytes, *, exact: bool = False) -> Any:
    """Return the value of an answer's body.

    Args:
        raw: The body.
        exact: Whether numbers must stay as they came, since arguments of calls stand in it as objects.

    Raises:
        BadResponseError: it is not JSON.
    """
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        try:
            return without_lone_surrogates(decode_json(raw))
        except ValueError as error:
            text = f"the model's server answered with something that is not JSON: {excerpt(raw)}"
            raise BadResponseError(text) from error
    return decode_json(raw) if exact and has_long_number(raw) else value


def is_stream_of_events(raw: bytes) -> bool:
    """Tell whether a body that was to come whole is a stream of server-sent events all the same."""
    return raw[:1] != b"{" and _EVENTS.match(raw) is not None


def error_in_line(line: bytes) -> Any:
    """Return the error in a line that is no event: a local server that breaks off says there why. None without one."""
    try:
        return orjson.loads(line).get("error")
    except orjson.JSONDecodeError:
        return None


def without_half(text: str) -> tuple[str, str]:
    """Return a piece of text that can be encoded, and the first half of a character at its end, empty without one.

    Some servers cut a character outside of the BMP into two halves, in two events.
    """
    is_cut = bool(text) and "\ud800" <= text[-1] <= "\udbff"
    return (encodable(text[:-1]), text[-1]) if is_cut else (encodable(text), "")


def without_lone_surrogates(body: Any) -> Any:
    """Return a JSON value whose texts can be encoded."""
    return json.loads(encodable(json.dumps(body, ensure_ascii=False)))


def excerpt(raw: bytes) -> str:
    """Return the beginning of a body, for a message."""
    text = raw[:120].decode("utf-8", "replace").strip()
    return repr(text) if text else "nothing"


def string(value: Any) -> str:
    """Return a string as it is.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(value, str):
        raise TypeError("must be a string")
    return value


def call_id(value: Any) -> str:
    """Return the id of a call. Some servers number their calls."""
    return str(value) if isinstance(value, int) else string(value or "")


def finish_reason_of(value: Any) -> str | None:
    """Return a finish reason; None where there is none."""
    return None if value is None else string(value)


def content_text(value: Any) -> str | None:
    """Return the text of a content. Some servers give it in parts, with the thinking as another part."""
    if isinstance(value, list):
        return "".join(string(part["text"]) for part in value if part.get("type") in _TEXT_PARTS)
    return None if value is None else string(value)


def refusal_text(message: Mapping[str, Any]) -> str:
    """Return the words of a refusal, which stand in a field of their own or in a part; empty where there is none."""
    refusal, content = message.get("refusal"), message.get("content")
    words = [refusal] if refusal else []
    if type(content) is list:
        words += [part["refusal"] for part in content if part.get("type") == "refusal" and part.get("refusal")]
    return "".join(map(string, words)) if words else ""


def arguments_text(value: Any) -> str:
    """Return arguments as JSON text. Some servers give them as an object."""
    if isinstance(value, str):
        return value
    return "" if value is None else orjson.dumps(value).decode()


def usage_of(value: Any) -> Usage:
    """Return token counts; `NO_USAGE` where there are none."""
    if not isinstance(value, dict):
        return NO_USAGE
    prompt, output = token_count(value.get("prompt_tokens")), token_count(value.get("completion_tokens"))
    if value.keys() <= _PLAIN_COUNTS:  # cheaper than to look for what is not there
        return Usage(input_tokens=prompt, output_tokens=output)
    reasoning = _detail(value, "completion", "reasoning_tokens")
    if reasoning and output and prompt and value.get("total_tokens") == prompt + output + reasoning:
        output += reasoning  # some servers count the thinking beside the answer, and bill both
    cached, written = _detail(value, "prompt", "cached_tokens"), _detail(value, "prompt", "cache_write_tokens")
    return Usage(
        input_tokens=prompt,
        output_tokens=output,
        cached_input_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=reasoning,
    )


_PLAIN_COUNTS = frozenset({"prompt_tokens", "completion_tokens", "total_tokens"})
_OTHER_NAMES = {
    "cached_tokens": ("prompt_cache_hit_tokens", "cached_tokens", "cache_read_input_tokens"),
    "cache_write_tokens": ("cache_creation_input_tokens",),
    "reasoning_tokens": ("reasoning_tokens",),
}
"""Where servers give a count that stands among the details elsewhere: DeepSeek, Moonshot, and gateways to Claude."""


def _detail(value: JsonObject, part: str, name: str) -> int | None:
    """Return a part of a count of tokens; None where it is not reported."""
    details = value.get(f"{part}_tokens_details")
    count = token_count(details.get(name)) if type(details) is dict else None
    if count is None:
        for other in _OTHER_NAMES[name]:
            if other in value:
                return token_count(value[other])
    return count


def token_count(value: Any) -> int | None:
    """Return a count of tokens; None where it is none, as one below zero."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def check_bounds(calls: int, arguments: int) -> None:
    """Refuse an answer with more calls, or longer arguments, than any model writes.

    Raises:
        BadResponseError: a bound is passed.
    """
    if calls > MAX_CALLS:
        raise BadResponseError(f"the answer has more than {MAX_CALLS} tool calls")
    if arguments > MAX_ARGUMENTS_CHARS:
        raise BadResponseError(f"the arguments of a tool call are longer than {MAX_ARGUMENTS_CHARS} characters")
