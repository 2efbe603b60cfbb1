"""What a program's own request to a model says, in whichever protocol it is, as far as one may watch it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import orjson

from unified_agents.config.providers import ProtocolName
from unified_agents.messages import JsonObject

_ENDINGS: tuple[tuple[re.Pattern[str], ProtocolName], ...] = (
    (re.compile(r"(?:^|/)chat/completions$"), "chat_completions"),
    (re.compile(r"(?:^|/)responses$"), "responses"),
    (re.compile(r"(?:^|/)messages$"), "messages"),
    (re.compile(r"(?:^|/)(models/[^/]+|[^/]+):(?:generateContent|streamGenerateContent)$"), "generate_content"),
)
KEY_HEADERS = ("authorization", "x-api-key", "x-goog-api-key", "api-key")
"""Where clients put their keys."""


@dataclass(slots=True, frozen=True)
class ProgramRequest:
    """A request for an answer of a model.

    Attributes:
        protocol: What it is written in.
        model: The model's name.
        stream: Whether the answer is to be streamed.
        offers_tools: Whether the model may call tools.
        body: The parsed body.
        raw: The body as it came.
    """

    protocol: ProtocolName
    model: str
    stream: bool
    offers_tools: bool
    body: JsonObject
    raw: bytes

    def with_note(self, note: str) -> bytes:
        """Return the body with a further message of the user at its end."""
        body = dict(self.body)
        match self.protocol:
            case "responses":
                given = body.get("input", [])
                earlier = [{"role": "user", "content": given}] if isinstance(given, str) else list(given)
                body["input"] = [*earlier, {"role": "user", "content": note}]
            case "generate_content":
                given = body.get("contents", [])
                earlier = [{"role": "user", "parts": [{"text": given}]}] if isinstance(given, str) else list(given)
                body["contents"] = [*earlier, {"role": "user", "parts": [{"text": note}]}]
            case _:
                body["messages"] = [*body.get("messages", ()), {"role": "user", "content": note}]
        return orjson.dumps(body)

    @property
    def hides_usage(self) -> bool:
        """Whether the answer will not say what it used: a stream of Chat Completions does so only when asked to."""
        options = self.body.get("stream_options")
        asks = isinstance(options, Mapping) and options.get("include_usage") is True
        return self.protocol == "chat_completions" and self.stream and not asks

    def asking_for_usage(self) -> ProgramRequest:
        """Return the request with the question for usage; `without_usage` takes the answer to it out again."""
        body = self.body | {"stream_options": {**(self.body.get("stream_options") or {}), "include_usage": True}}
        return ProgramRequest(self.protocol, self.model, self.stream, self.offers_tools, body, orjson.dumps(body))


def received_request(path: str, raw: bytes) -> ProgramRequest | None:
    """Return what a request asks of a model; None where it is a request of another kind.

    Args:
        path: Below whatever base URL, without a query.
        raw: Its body.
    """
    found = next(((ending.search(path), name) for ending, name in _ENDINGS if ending.search(path)), None)
    if found is None:
        return None
    match, protocol = found
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(body, dict):
        return None
    model, stream = body.get("model"), body.get("stream") is True
    if protocol == "generate_content" and match is not None:
        model, stream = unquote(match[1]).removeprefix("models/"), path.endswith("streamGenerateContent")
    return ProgramRequest(protocol, str(model or "unknown"), stream, bool(body.get("tools")), body, raw)


def tool_results(raw: bytes) -> Iterator[tuple[str, str]]:
    """Yield the results of tools that a request brings to the model, each with the id of its call."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return
    turns = (body.get("messages") or body.get("input") or ()) if isinstance(body, dict) else ()
    for turn in turns if isinstance(turns, list) else ():
        for part in _with_parts(turn):
            call_id = part.get("tool_call_id") or part.get("tool_use_id") or part.get("call_id")
            is_result = part.get("role") == "tool" or part.get("type") in ("function_call_output", "tool_result")
            if is_result and isinstance(call_id, str):
                content = part.get("content", part.get("output"))
                yield call_id, content if isinstance(content, str) else _text(content)


def _with_parts(turn: Any) -> Iterator[JsonObject]:
    if isinstance(turn, dict):
        yield turn
        if isinstance(turn.get("content"), list):
            yield from (part for part in turn["content"] if isinstance(part, dict))


def _text(content: Any) -> str:
    """Return the texts of parts; what is something else as JSON."""
    if isinstance(content, list) and all(
        isinstance(part, dict) and isinstance(part.get("text"), str) for part in content
    ):
        return "".join(part["text"] for part in content)
    return orjson.dumps(content).decode()


def refusal(protocol: ProtocolName, message: str) -> bytes:
    """Return the body of an error that says a request was refused, as the protocol's clients read it."""
    error: Any
    match protocol:
        case "messages":
            error = {"type": "error", "error": {"type": "permission_error", "message": message}}
        case "generate_content":
            error = {"error": {"code": 403, "message": message, "status": "PERMISSION_DENIED"}}
        case _:
            error = {"error": {"message": message, "type": "limit", "param": None, "code": "limit"}}
    return orjson.dumps(error)


async def without_usage(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield a stream of Chat Completions without the event that tells nothing but the usage, which nobody asked for."""
    rest = b""
    async for chunk in chunks:
        *events, rest = (rest + chunk).split(b"\n\n")
        for event in events:
            if not _tells_usage_alone(event):
                yield event + b"\n\n"
    if rest:
        yield rest


def _tells_usage_alone(event: bytes) -> bool:
    data = event.strip().removeprefix(b"data:").strip()
    if b'"usage"' not in data or not data.startswith(b"{"):
        return False
    try:
        return not orjson.loads(data).get("choices")
    except orjson.JSONDecodeError:
        return False
