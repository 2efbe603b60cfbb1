"""Reads Gemini `generateContent` requests for a scripted model, and renders its answers in that protocol."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from unified_agents.scripted.rendering.chat_completions import Envelope, RenderedCall, RenderedChoice
from unified_agents.scripted.rendering.generate_content_strict import field, signature
from unified_agents.scripted.values import BadRequestShapeError
from unified_agents.tools.json_values import parse_text, to_json
from unified_agents.wire.protocols.generate_content_request import RESULT, response_text

_PATH = re.compile(r"/(?P<model>[^/?]+):(?P<verb>generateContent|streamGenerateContent)(?:\?|$)")
_MODES = {"AUTO": "auto", "NONE": "none", "ANY": "required"}
_FINISH_REASONS = {"stop": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}
_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def model_and_stream(path: str) -> tuple[str, bool] | None:
    """Return the model that a path names, and whether it asks for a stream; None for a path of something else."""
    found = _PATH.search(path)
    return (unquote(found["model"]), found["verb"].startswith("stream")) if found else None


def chat_request(body: Mapping[str, Any], model: str, *, stream: bool) -> dict[str, Any]:
    """Return a request in Chat Completions terms; the calls get ids by their places, `call_{turn}_{index}`.

    Raises:
        BadRequestShapeError: it is no generateContent request.
    """
    try:
        messages = [*_system_messages(field(body, "systemInstruction")), *_messages(body["contents"])]
        request = {"model": model, "messages": messages, "stream": stream} | _settings(body)
        tools = [
            _tool(declaration)
            for tool in body.get("tools") or ()
            for declaration in field(tool, "functionDeclarations") or ()
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise BadRequestShapeError(f"it is no generateContent request: {error!r}") from error
    return request | ({"tools": tools} if tools else {})


def _system_messages(instruction: Any) -> Iterator[dict[str, Any]]:
    for part in instruction["parts"] if instruction else ():
        yield {"role": "system", "content": part["text"]}


def _messages(contents: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    calls: list[tuple[str | None, str]] = []  # of the last turn: the id that it has in the request, and ours
    turn = 0
    for content in contents:
        role = content.get("role") or "user"
        parts = content["parts"]
        if role == "model":
            written = [call for part in parts if (call := field(part, "functionCall"))]
            calls = [(call.get("id"), f"call_{turn}_{index}") for index, call in enumerate(written)]
            messages.append(_assistant_message(parts, written, [own for _, own in calls]))
            turn += 1
        elif role in ("user", "function"):
            results = [result for part in parts if (result := field(part, "functionResponse"))]
            messages += _tool_messages(results, calls)
            others = [_chat_part(part) for part in parts if not field(part, "functionResponse")]
            if others:
                messages.append({"role": "user", "content": _content(others)})
        else:
            raise BadRequestShapeError(f"role {role!r} is neither user nor model")
    return messages


def _assistant_message(
    parts: Sequence[Mapping[str, Any]], written: Sequence[Mapping[str, Any]], ids: Sequence[str]
) -> dict[str, Any]:
    text = "".join(part["text"] for part in parts if "text" in part and not part.get("thought"))
    message: dict[str, Any] = {"role": "assistant", "content": text or None}
    if written:
        message["tool_calls"] = [
            RenderedCall(id_, call["name"], _arguments_text(call.get("args"))).to_chat()
            for id_, call in zip(ids, written, strict=True)
        ]
    return message


def _arguments_text(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else to_json({} if arguments is None else arguments).decode()


def _tool_messages(
    results: Sequence[Mapping[str, Any]], calls: Sequence[tuple[str | None, str]]
) -> Iterator[dict[str, Any]]:
    by_id = {id_: own for id_, own in calls if id_ is not None}
    for index, result in enumerate(results):
        own = by_id.get(result.get("id") or "") or (calls[index][1] if index < len(calls) else f"call_{index}")
        text = _result_text(result["response"])
        media = [_chat_part(part) for part in result.get("parts") or ()]
        content = [*([{"type": "text", "text": text}] if text else []), *media] if media else text
        yield {"role": "tool", "tool_call_id": own, "name": result["name"], "content": content}


def _result_text(response: Mapping[str, Any]) -> str:
    # https://ai.google.dev/api/caching#FunctionResponse: `output` is the output, `error` the error; else all of it is.
    value = response.get("output", response.get("error", response))
    return response_text({RESULT: value}) if value is not response else response_text(response)


def _chat_part(part: Mapping[str, Any]) -> dict[str, Any]:
    if "text" in part:
        if not isinstance(part["text"], str):
            raise BadRequestShapeError("'text' of a part must be a text")
        return {"type": "text", "text": part["text"]}
    if data := field(part, "inlineData"):
        kind = field(data, "mimeType")
        url = f"data:{kind};base64,{data['data']}"
        if kind.startswith("image/"):
            return {"type": "image_url", "image_url": {"url": url}}
        return {"type": "file", "file": {"filename": kind.partition("/")[2], "file_data": url}}
    if data := field(part, "fileData"):
        return {"type": "image_url", "image_url": {"url": field(data, "fileUri")}}
    raise BadRequestShapeError(f"a part has no data: {', '.join(part) or 'it is empty'}")


def _content(parts: list[dict[str, Any]]) -> Any:
    return parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == "text" else parts


def _tool(declaration: Mapping[str, Any]) -> dict[str, Any]:
    parameters = field(declaration, "parametersJsonSchema") or declaration.get("parameters")
    function = {
        "name": declaration["name"],
        "description": declaration.get("description") or "",
        "parameters": parameters or {"type": "object", "properties": {}},
    }
    return {"type": "function", "function": function}


def _settings(body: Mapping[str, Any]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    calling = field(field(body, "toolConfig") or {}, "functionCallingConfig")
    if calling and (mode := calling.get("mode")):
        allowed: Sequence[str] = field(calling, "allowedFunctionNames") or ()
        settings["tool_choice"] = (
            {"type": "function", "function": {"name": allowed[0]}} if len(allowed) == 1 else _MODES.get(mode, "auto")
        )
    config = field(body, "generationConfig") or {}
    names = {"temperature": "temperature", "maxOutputTokens": "max_tokens", "seed": "seed", "topP": "top_p"}
    settings |= {chat: value for name, chat in names.items() if (value := field(config, name)) is not None}
    schema = field(config, "responseJsonSchema") or field(config, "responseSchema")
    if schema is not None:
        named = {"name": "answer", "schema": schema}
        settings["response_format"] = {"type": "json_schema", "json_schema": named}
    return settings


def whole_answer(choice: RenderedChoice | None, envelope: Envelope, *, reasoning: str | None = None) -> bytes:
    """Return an answer as one body.

    Args:
        choice: The answer; None for a body without candidates.
        envelope: What stands beside it.
        reasoning: What the model thought, shown as a thought part; with it the answer is signed. None for a model that
            does not think.
    """
    if choice is None:
        return _body(None, envelope, reasoning)
    if choice.original is not None:
        return _body(_candidate([], choice) | {"content": choice.original}, envelope, reasoning)
    text: dict[str, Any] = {"text": choice.text or ""}
    if reasoning is not None and not choice.calls:
        text["thoughtSignature"] = signature("", text["text"])
    parts = [*_thoughts(reasoning), *([text] if choice.text or len(text) > 1 else []), *_calls(choice, reasoning)]
    return _body(_candidate(parts, choice), envelope, reasoning)


def answer_events(
    choice: RenderedChoice | None, envelope: Envelope, *, reasoning: str | None = None, together: bool = False
) -> tuple[bytes, ...]:
    """Return an answer as server-sent events, each a whole partial response.

    Args:
        choice: The answer; None for one event without candidates.
        envelope: What stands beside it.
        reasoning: As in `whole_answer`; without calls its signature comes in a last part with an empty text.
        together: Whether all calls come in one event.
    """
    if choice is None:
        return (_event(_body(None, envelope, reasoning)),)
    if choice.original is not None:
        return _original_events(choice, choice.original, envelope, reasoning)
    words = re.findall(r"\s*\S+|\s+$", choice.text or "")
    calls = _calls(choice, reasoning)
    groups = [*([part] for part in _thoughts(reasoning)), *([{"text": word}] for word in words)]
    groups += [calls] if together and calls else [[call] for call in calls]
    last = [] if reasoning is None or calls else [{"text": "", "thoughtSignature": signature("", choice.text or "")}]
    bodies = [_body(_candidate(parts, None), envelope, reasoning) for parts in groups]
    return tuple(map(_event, [*bodies, _body(_candidate(last, choice), envelope, reasoning)]))


def _original_events(
    choice: RenderedChoice, original: Mapping[str, Any], envelope: Envelope, reasoning: str | None
) -> tuple[bytes, ...]:
    """Return a turn as events of a part each; a part that is a text alone comes word by word."""
    pieces: list[dict[str, Any]] = []
    for part in original["parts"]:
        is_text = part.keys() == {"text"}
        pieces += [{"text": word} for word in re.findall(r"\s*\S+|\s+$", part["text"])] if is_text else [part]
    contents = [{**original, "parts": [piece]} for piece in pieces]
    bodies = [_body(_candidate([], None) | {"content": content}, envelope, reasoning) for content in contents]
    return tuple(map(_event, [*bodies, _body(_candidate([], choice), envelope, reasoning)]))


def error_body(
    status: int, message: str, *, retry_after: float | None = None, code: str | None = None, as_list: bool = False
) -> bytes:
    """Return an error in the form of Google's APIs.

    Args:
        status: The HTTP status.
        message: Its words.
        retry_after: The seconds to wait, as a `RetryInfo`.
        code: A reason, as an `ErrorInfo`.
        as_list: Whether it stands in a list, as on a stream without `alt=sse`.
    """
    error: dict[str, Any] = {"code": status, "message": message, "status": _STATUSES.get(status, "UNKNOWN")}
    kind = "type.googleapis.com/google.rpc"
    details: list[dict[str, Any]] = []
    if code is not None:
        details.append({"@type": f"{kind}.ErrorInfo", "reason": code, "domain": "googleapis.com"})
    if retry_after is not None:
        details.append({"@type": f"{kind}.RetryInfo", "retryDelay": f"{retry_after:g}s"})
    if details:
        error["details"] = details
    return to_json([{"error": error}] if as_list else {"error": error})


def _thoughts(reasoning: str | None) -> list[dict[str, Any]]:
    return [{"text": reasoning, "thought": True}] if reasoning else []


def _calls(choice: RenderedChoice, reasoning: str | None) -> list[dict[str, Any]]:
    """Return the parts of the calls; the first one is signed, as of parallel calls Gemini signs the first alone."""
    parts: list[dict[str, Any]] = []
    for call in choice.calls:
        arguments = parse_text(call.arguments)
        if choice.finish_reason == "length" and not isinstance(arguments, dict):
            continue  # Gemini has no half arguments: what a token limit cuts is missing
        part: dict[str, Any] = {"functionCall": {"name": call.name, "args": arguments}}
        if reasoning is not None and not parts:
            part["thoughtSignature"] = signature(call.name, arguments or {})
        parts.append(part)
    return parts


def _candidate(parts: list[dict[str, Any]], choice: RenderedChoice | None) -> dict[str, Any]:
    """Return a candidate, which has a finish reason where the choice is given."""
    content = {"parts": parts, "role": "model"} if parts else {"role": "model"}
    candidate: dict[str, Any] = {"content": content, "index": 0}
    if choice is not None:
        reason = choice.finish_reason
        candidate["finishReason"] = _FINISH_REASONS.get(reason, reason.upper())
    return candidate


def _body(candidate: dict[str, Any] | None, envelope: Envelope, reasoning: str | None) -> bytes:
    thoughts = min(envelope.completion_tokens, len(reasoning or "") // 4)
    usage = {
        "promptTokenCount": envelope.prompt_tokens,
        "candidatesTokenCount": envelope.completion_tokens - thoughts,
        "totalTokenCount": envelope.prompt_tokens + envelope.completion_tokens,
    }
    if envelope.cached_tokens:
        usage["cachedContentTokenCount"] = envelope.cached_tokens
    if thoughts:
        usage["thoughtsTokenCount"] = thoughts
    body: dict[str, Any] = {} if candidate is None else {"candidates": [candidate]}
    body |= {"usageMetadata": usage, "modelVersion": envelope.model, "responseId": envelope.id}
    return to_json(body)


def _event(body: bytes) -> bytes:
    return b"data: " + body + b"\r\n\r\n"
