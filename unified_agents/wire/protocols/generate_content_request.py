"""Writes a conversation as the bodies of Gemini `generateContent` requests."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Self

from unified_agents.messages import JsonObject
from unified_agents.tools.json_values import parse_text, to_json
from unified_agents.wire.protocols.base import ModelRequest, with_extra
from unified_agents.wire.protocols.data_urls import data_of_url
from unified_agents.wire.protocols.encoded_turns import EncodedTurns
from unified_agents.wire.protocols.generate_content_schema import reduced_schema
from unified_agents.wire.protocols.repeated_calls import Call, without_repeats

UNSIGNED = "skip_thought_signature_validator"
"""The signature that Google documents for a call which no Gemini model wrote, such as one of another provider."""
RESULT = "result"
"""The key of a function response whose result is no JSON object."""

_SIGNS_NOTHING = re.compile(r"(?:.*/)?gemini-[12]\b")
_LEVELS = {"xhigh": "HIGH", "max": "HIGH"}
_BUDGETS = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 24576, "max": 24576}
"""The tokens for thinking that stand for an effort where a model knows no levels, as Google's documentation of its
Chat Completions has them."""
_TAKES_BUDGETS = "budgets"
_OF_LEVEL = re.compile(r"thinking[ _]?level", re.IGNORECASE)
_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}
_SYSTEM_ROLES = ("system", "developer")
_RESERVED_KEYS = frozenset({"output", "error"})
_AUDIO_TYPES = {"mp3": "audio/mpeg", "wav": "audio/wav"}


class ContentsConversation:
    """A conversation in requests of generateContent; see `ConversationWriter`.

    The results of a turn are one content, which grows until another message comes. A system message amid the
    conversation stays at its place, as words of the user's side.

    Args:
        model: The model's name.
    """

    __slots__ = ("_began", "_contents", "_grown", "_instructions", "_model", "_results", "_turn")

    def __init__(self, model: str) -> None:
        self._model = model
        self._contents = EncodedTurns("contents")
        self._instructions: list[JsonObject] = []  # of system messages at the beginning
        self._began = False
        self._turn: Mapping[str, Any] = {}
        self._results: list[Mapping[str, Any]] = []
        self._grown = False  # whether results have come since they were encoded

    def add(self, message: Mapping[str, Any]) -> None:
        """Add a message."""
        role = message.get("role")
        if role in _SYSTEM_ROLES and not self._began:
            # A new list, since encoded fields are known by it.
            self._instructions = [*self._instructions, *_parts(message.get("content"))]
            return
        self._began = True
        if role == "tool":
            self._results.append(message)
            self._grown = True
            return
        self._encode()
        self._contents.close()
        self._results = []
        if role == "assistant":
            self._turn = message
            is_signed = not _SIGNS_NOTHING.match(self._model)
            content = _original(message) or _model_content(message, is_signed=is_signed)
        else:
            content = {"role": "user", "parts": _parts(message.get("content"))}
        if content.get("parts"):
            self._contents.add(content)

    def copy(self) -> Self:
        """Return the conversation so far."""
        copied = type(self)(self._model)
        copied._contents, copied._instructions = self._contents.copy(), self._instructions
        copied._began, copied._turn = self._began, self._turn
        copied._results, copied._grown = self._results.copy(), self._grown
        return copied

    def body(self, request: ModelRequest) -> bytes:
        """Return the body of a request; the model and the wish for a stream stand in its path."""
        self._encode()
        return self._contents.in_body(request, self._instructions, lambda: self._fields(request))

    def _encode(self) -> None:
        if self._grown:
            self._contents.put_last({"role": "user", "parts": _responses(self._turn, self._results)})
            self._grown = False

    def _fields(self, request: ModelRequest) -> JsonObject:
        body: JsonObject = {}
        first = [] if request.system is None else _parts(request.system.get("content"))
        if instructions := first + self._instructions:
            body["systemInstruction"] = {"parts": instructions}
        if request.tools:
            body["tools"] = [{"functionDeclarations": [_declaration(tool["function"]) for tool in request.tools]}]
            if request.tool_choice is not None:
                body["toolConfig"] = {"functionCallingConfig": _calling_config(request.tool_choice)}
        if generation := _generation_config(request):
            body["generationConfig"] = generation
        if tier := getattr(request.parameters, "service_tier", None):
            body["serviceTier"] = tier
        return with_extra(body, request.extra)


def _original(turn: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return a turn as the provider wrote it, without calls that a server repeated; None where it was not kept."""
    original: Mapping[str, Any] | None = turn.get("original")
    if not original:
        return None
    parts: list[Mapping[str, Any]] = original.get("parts") or []
    kept = without_repeats(parts, _calls_of, len(turn.get("tool_calls") or ()))
    return original if kept is parts else {**original, "parts": kept}


def _calls_of(part: Mapping[str, Any]) -> list[Call]:
    call = part.get("functionCall")
    return [(call.get("id"), call.get("name"), call.get("args"))] if call else []


def _model_content(message: Mapping[str, Any], *, is_signed: bool) -> JsonObject:
    """Return the portable form of an assistant turn: its text and its calls."""
    parts = _parts(message.get("content"))
    for index, call in enumerate(message.get("tool_calls") or ()):
        function = call["function"]
        arguments = parse_text(function.get("arguments") or "{}")
        part: JsonObject = {
            "functionCall": {"name": function["name"], "args": arguments if isinstance(arguments, dict) else {}}
        }
        if is_signed and not index:
            part["thoughtSignature"] = UNSIGNED
        parts.append(part)
    return {"role": "model", "parts": parts}


def _responses(turn: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> list[JsonObject]:
    """Return the results of a turn in the order of its calls, as the provider named and numbered these."""
    calls = turn.get("tool_calls") or ()
    places = {call.get("id"): place for place, call in enumerate(calls)}
    if len(places) < len(calls):
        places = {}  # ids that repeat tell nothing
    original = _original(turn) or {}
    written = [part["functionCall"] for part in original.get("parts", ()) if "functionCall" in part]
    named = written or [call["function"] for call in calls]
    responses = []
    for number, result in enumerate(results):
        place = places.get(result.get("tool_call_id"), number)
        call = named[place] if place < len(named) else {}
        response = {"name": call.get("name") or result.get("name") or ""} | _response(result.get("content"))
        if call.get("id"):
            response = {"id": call["id"]} | response
        responses.append((place, {"functionResponse": response}))
    return [part for _, part in sorted(responses, key=lambda item: item[0])]


def _response(content: Any) -> JsonObject:
    """Return a result as the object that Gemini wants, with images and files beside it."""
    if isinstance(content, list):
        parts = [_part(part) for part in content]
        text = "\n".join(part["text"] for part in parts if "text" in part)
        return {"response": response_object(text), "parts": [part for part in parts if "text" not in part]}
    return {"response": response_object(content or "")}


def response_object(text: str) -> JsonObject:
    """Return the text of a result as an object: itself, where it is one that Gemini reads as a whole.

    Gemini takes the keys `output` and `error` for the only ones that count; an object that has them goes out as one
    value, like one that could be taken for a value.
    """
    value = parse_text(text) if text[:1] in ("{", "[") else text
    if isinstance(value, dict) and value.keys() != {RESULT} and not value.keys() & _RESERVED_KEYS:
        return value
    return {RESULT: value}


def response_text(response: Mapping[str, Any]) -> str:
    """Return the text that `response_object` made an object of."""
    value = response[RESULT] if response.keys() == {RESULT} else response
    return value if isinstance(value, str) else to_json(value).decode()


def _parts(content: Any) -> list[JsonObject]:
    if not content:
        return []
    return [{"text": content}] if isinstance(content, str) else [_part(part) for part in content]


def _part(part: Mapping[str, Any]) -> JsonObject:
    """Return a part of a content. A kind that Gemini has no word for goes out as it is, to be refused by name."""
    match part.get("type"):
        case "text" | "refusal":
            return {"text": part.get("text") or part.get("refusal") or ""}
        case "image_url":
            image = part["image_url"]
            return _media(image if isinstance(image, str) else image["url"], "")
        case "file":
            file = part["file"]
            return _media(file.get("file_data") or file.get("file_id") or "", file.get("filename") or "")
        case "input_audio":
            audio = part["input_audio"]
            kind = audio.get("format") or ""
            return {"inlineData": {"mimeType": _AUDIO_TYPES.get(kind, f"audio/{kind}"), "data": audio["data"]}}
    return dict(part)


def _media(url: str, name: str) -> JsonObject:
    if found := data_of_url(url):
        return {"inlineData": {"mimeType": found[0] or "application/octet-stream", "data": found[1]}}
    import mimetypes  # noqa: PLC0415  # needed only beside a URL

    kind = mimetypes.guess_type(url.partition("?")[0])[0] or (mimetypes.guess_type(name)[0] if name else None)
    return {"fileData": {"mimeType": kind, "fileUri": url} if kind else {"fileUri": url}}


def _declaration(function: Mapping[str, Any]) -> JsonObject:
    declaration: JsonObject = {"name": function["name"]}
    if description := function.get("description"):
        declaration["description"] = description
    parameters = function.get("parameters") or {}
    if parameters.keys() - {"type", "properties", "additionalProperties", "required", "$schema"} or parameters.get(
        "properties"
    ):
        declaration["parametersJsonSchema"] = reduced_schema(parameters)
    return declaration


def learnt_from(words: str, learnt: frozenset[str]) -> frozenset[str] | None:
    """Return what is known of a model once it has refused a request; None where the words teach nothing new."""
    return learnt | {_TAKES_BUDGETS} if _TAKES_BUDGETS not in learnt and _OF_LEVEL.search(words) else None


def _calling_config(tool_choice: str) -> JsonObject:
    mode = _MODES.get(tool_choice)
    return {"mode": mode} if mode else {"mode": "ANY", "allowedFunctionNames": [tool_choice]}


def _generation_config(request: ModelRequest) -> JsonObject:
    parameters = request.parameters
    stop = getattr(parameters, "stop", None)
    config: JsonObject = {
        "temperature": parameters.temperature,
        "maxOutputTokens": parameters.max_tokens,
        "seed": parameters.seed,
        "topP": getattr(parameters, "top_p", None),
        "stopSequences": [stop] if isinstance(stop, str) else list(stop) if stop else None,
        "presencePenalty": getattr(parameters, "presence_penalty", None),
        "frequencyPenalty": getattr(parameters, "frequency_penalty", None),
        "thinkingConfig": _thinking_config(request),
    }
    if request.response_format is not None:
        config["responseMimeType"] = "application/json"
        schema = request.response_format.get("json_schema", {}).get("schema")
        config["responseJsonSchema"] = reduced_schema(schema) if schema else None
    return {name: value for name, value in config.items() if value is not None}


def _thinking_config(request: ModelRequest) -> JsonObject | None:
    """Return how much the model is to think: a budget where there is one, since Gemini takes no level beside it.

    Gemini 2 has budgets alone.
    """
    reasoning = getattr(request.parameters, "reasoning", None)
    if reasoning is None:
        return None
    budget, effort = _setting(reasoning, "budget"), _setting(reasoning, "effort")
    config: JsonObject = {}
    if budget is not None:
        config["thinkingBudget"] = budget
    elif effort == "none":
        config["thinkingBudget"] = 0
    elif effort is not None and (_TAKES_BUDGETS in request.learnt or _SIGNS_NOTHING.match(request.model)):
        config["thinkingBudget"] = _BUDGETS[effort]
    elif effort is not None:
        config["thinkingLevel"] = _LEVELS.get(effort, str(effort).upper())
    if (summary := _setting(reasoning, "summary")) is not None:
        config["includeThoughts"] = summary not in (False, "none")
    return config or None


def _setting(reasoning: Any, name: str) -> Any:
    return reasoning.get(name) if isinstance(reasoning, Mapping) else getattr(reasoning, name, None)
