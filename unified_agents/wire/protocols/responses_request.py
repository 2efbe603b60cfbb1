"""OpenAI Responses: requests are written."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Self

from unified_agents.config.model import ModelParameters
from unified_agents.messages import JsonObject
from unified_agents.wire.protocols.base import ModelRequest, with_extra
from unified_agents.wire.protocols.chat_completions_fields import arguments_text
from unified_agents.wire.protocols.encoded_turns import EncodedTurns

MAX_CALL_ID_CHARS = 64
"""The API refuses a longer `call_id`, even one that it gave itself."""

OUTPUT_ONLY_FIELDS: Mapping[str, frozenset[str]] = {
    "reasoning": frozenset({"status", "created_by"}),
    "custom_tool_call_output": frozenset({"status", "created_by"}),
}
"""Fields of an output item that are refused in `input`, by the item's type. `status` of a reasoning item is refused as
an unknown parameter by the API itself, although its published type has it; the others are absent in that type."""
OUTPUT_ONLY_ELSEWHERE = frozenset({"created_by"})
"""The same for items of every other type."""

ENCRYPTED_REASONING = "reasoning.encrypted_content"

_WITHOUT_REASONING = re.compile(r"(openai/|ft:)?(gpt-3\.5|gpt-4|chatgpt-|gpt-5[\d.]*-chat)")
"""Models that do not reason. They refuse a request that asks for encrypted reasoning."""

_TAKES_NO_INCLUDE = "no include"
_OF_INCLUDE = re.compile(r"encrypted[ _](reasoning|content)|\binclude\b", re.IGNORECASE)

_KEEPS_NOTHING = "no stored responses"
_OF_STORED = re.compile(r"previous[ _]response", re.IGNORECASE)

_TOOL_MODES = ("auto", "none", "required")


class ResponsesConversation:
    """A conversation in requests that leave nothing on the server, or name what it keeps; see `ConversationWriter`."""

    __slots__ = ("_items", "_previous", "_since", "_writer")

    def __init__(self) -> None:
        self._items = EncodedTurns("input")
        self._writer = InputWriter()
        self._previous: str | None = None  # the last response that the server keeps
        self._since: EncodedTurns | None = None  # what came after it

    def add(self, message: Mapping[str, Any]) -> None:
        """Add a message. System messages keep their places."""
        items = self._writer.items_of(message)
        for item in items:
            self._items.add(item)
        if message["role"] == "assistant" and (id_ := (message.get("original") or {}).get("id")):
            self._previous, self._since = id_, EncodedTurns("input")
        elif self._since is not None:
            for item in items:
                self._since.add(item)

    def copy(self) -> Self:
        """Return the conversation so far."""
        copied = type(self)()
        copied._items, copied._writer = self._items.copy(), self._writer.copy()
        copied._previous, copied._since = self._previous, None if self._since is None else self._since.copy()
        return copied

    def body(self, request: ModelRequest) -> bytes:
        """Return the body of a request."""
        if not request.stored or self._since is None or _KEEPS_NOTHING in request.learnt:
            return self._items.in_body(request, None, lambda: _fields(request, None))
        return self._since.in_body(request, self._previous, lambda: _fields(request, self._previous))


def _fields(request: ModelRequest, previous: str | None) -> JsonObject:
    body: JsonObject = {"model": request.model, "store": request.stored}
    if previous is not None:
        body["previous_response_id"] = previous
    if not (_WITHOUT_REASONING.match(request.model) or _TAKES_NO_INCLUDE in request.learnt):
        body["include"] = [ENCRYPTED_REASONING]
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
        if (choice := request.tool_choice) is not None:
            body["tool_choice"] = choice if choice in _TOOL_MODES else {"type": "function", "name": choice}
        if request.parallel_tool_calls is not None:
            body["parallel_tool_calls"] = request.parallel_tool_calls
    body |= _sampling(request.parameters)
    if text := _text_options(request):
        body["text"] = text
    if request.stream:
        body["stream"] = True
    first = [] if request.system is None else InputWriter().items_of(request.system)
    if request.stored and first:  # as an item it would be kept, and come anew with each request
        body["instructions"], first = _text(first[0]["content"]), []
    return with_extra(body, request.extra) | {"input": first}


def learnt_from(words: str, learnt: frozenset[str]) -> frozenset[str] | None:
    """Return what is known of a model once it has refused a request; None where the words teach nothing new."""
    if _KEEPS_NOTHING not in learnt and _OF_STORED.search(words):
        return learnt | {_KEEPS_NOTHING}
    is_new = _TAKES_NO_INCLUDE not in learnt and _OF_INCLUDE.search(words)
    return learnt | {_TAKES_NO_INCLUDE} if is_new else None


def _tool(tool: JsonObject) -> JsonObject:
    """Return a function tool as this API has it. `strict` is always said, since it is on where it is absent."""
    function: JsonObject = tool["function"]
    flat = {"type": "function"} | {name: value for name, value in function.items() if value is not None}
    if not flat.get("description"):
        flat.pop("description", None)
    flat.setdefault("parameters", {"type": "object", "properties": {}})
    flat.setdefault("strict", False)
    return flat


def _sampling(parameters: ModelParameters) -> JsonObject:
    reasoning = getattr(parameters, "reasoning", None)
    thinking = {name: getattr(reasoning, name, None) for name in ("effort", "summary")}
    fields = {
        "temperature": parameters.temperature,
        "top_p": getattr(parameters, "top_p", None),
        "max_output_tokens": parameters.max_tokens,
        "service_tier": getattr(parameters, "service_tier", None),
        "reasoning": {name: value for name, value in thinking.items() if value is not None} or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _text_options(request: ModelRequest) -> JsonObject:
    options: JsonObject = {}
    if (form := request.response_format) is not None:
        if form.get("type") == "json_schema":
            form = {"type": "json_schema", "strict": False} | form["json_schema"]
        options["format"] = {name: value for name, value in form.items() if value is not None}
    if (verbosity := getattr(request.parameters, "verbosity", None)) is not None:
        options["verbosity"] = verbosity
    return options


class InputWriter:
    """Writes the messages of a conversation as input items, one after the other.

    What a message becomes depends on those before it alone, so a conversation that grows keeps its beginning.
    """

    def __init__(self) -> None:
        self._ids = _CallIds()

    def copy(self) -> Self:
        """Return a writer that goes on where this one is."""
        copied = type(self)()
        copied._ids = self._ids.copy()
        return copied

    def items_of(self, message: Mapping[str, Any]) -> list[JsonObject]:
        """Return the items of the next message."""
        role, content = message["role"], message.get("content")
        if role == "assistant":
            self._ids.begin_turn()
            return _turn(message, self._ids)
        if role == "tool":
            call_id = self._ids.answered(str(message.get("tool_call_id") or ""))
            return [{"type": "function_call_output", "call_id": call_id, "output": _content(content)}]
        return [{"type": "message", "role": role, "content": _content(content)}]


def _turn(message: Mapping[str, Any], ids: _CallIds) -> list[JsonObject]:
    """Return the items of an assistant turn: as the provider wrote them, where that is known."""
    calls: Sequence[Mapping[str, Any]] = message.get("tool_calls") or ()
    original = message.get("original")
    output = original.get("output") if isinstance(original, Mapping) else None
    if isinstance(output, list) and (items := _returned(output)):
        return _with_known_ids(items, calls, ids)
    items = [
        {
            "type": "function_call",
            "call_id": ids.of_call(str(call.get("id") or ""), None),
            "name": call["function"]["name"],
            "arguments": call["function"].get("arguments") or "{}",
        }
        for call in calls
    ]
    text = _text(message.get("content")) or message.get("refusal") or ""
    if text or not items:
        items.insert(0, {"type": "message", "role": "assistant", "content": text})
    return items


def _with_known_ids(items: list[JsonObject], calls: Sequence[Mapping[str, Any]], ids: _CallIds) -> list[JsonObject]:
    """Note under which ids the results of these items will come: call n of the message is the n-th function call."""
    number = 0
    for place, item in enumerate(items):
        if item.get("type") != "function_call":
            continue
        own = item.get("call_id")
        id_ = str(calls[number].get("id") or "") if number < len(calls) else ""
        number += 1
        changed = {"call_id": ids.of_call(id_, own), "arguments": arguments_text(item.get("arguments"))}
        items[place] = {**item, **changed}
    return items


def _returned(output: list[Any]) -> list[JsonObject]:
    """Return the output items of a turn in the form in which they go back.

    Without what only output has, without calls that a server repeated, and without reasoning that would be refused: at
    the end of an answer that was broken off, where the item that it belongs to never came, or with nothing in it but
    the name of something not stored.
    """
    items = [_without_output_only(item) for item in output if isinstance(item, dict)]
    while items and items[-1].get("type") == "reasoning":
        items.pop()
    seen: set[tuple[str, str, str]] = set()
    return [item for item in items if _can_return(item, seen)]


def _can_return(item: JsonObject, seen: set[tuple[str, str, str]]) -> bool:
    """Tell whether an item goes back; `seen` holds the calls of the turn so far, which the run has once each."""
    if item.get("type") == "reasoning":
        return bool(item.get("encrypted_content") or item.get("content"))
    if item.get("type") != "function_call":
        return True
    id_ = str(item.get("call_id") or item.get("id") or "")
    key = (id_, str(item.get("name")), arguments_text(item.get("arguments")))
    is_new = not id_ or key not in seen
    seen.add(key)
    return is_new


def _without_output_only(item: JsonObject) -> JsonObject:
    dropped = OUTPUT_ONLY_FIELDS.get(item.get("type", ""), OUTPUT_ONLY_ELSEWHERE)
    return {name: value for name, value in item.items() if value is not None and name not in dropped}


def _content(content: Any) -> str | list[Any]:
    """Return a content: a text as it is, and parts in the form of this API."""
    if isinstance(content, list):
        if all(isinstance(part, Mapping) and part.get("type") == "text" for part in content):
            return _text(content)
        return [_part(part) for part in content]
    return content or ""


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part.get("text") or part.get("refusal") or "" for part in content if isinstance(part, Mapping))
    return content or ""


def _part(part: Any) -> Any:
    """Return a content part in the form of this API; one of an unknown kind as it is, for the server to judge."""
    if not isinstance(part, Mapping):
        return part
    kind = part.get("type")
    if kind == "text":
        return {**part, "type": "input_text"}
    value = part.get(kind) if isinstance(kind, str) else None
    if kind == "image_url":
        image = value if isinstance(value, Mapping) else {"url": value}
        return {"type": "input_image", "image_url": image.get("url"), "detail": image.get("detail") or "auto"}
    if kind == "file" and isinstance(value, Mapping):
        return {"type": "input_file", **value}
    return part


class _CallIds:
    """The ids under which calls and their results go out.

    The run may have renamed the calls of a turn that goes back as it came, and an id may be missing, repeated, or
    longer than the API takes.
    """

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._known: dict[str, str] = {}
        self._open: list[tuple[str, str]] = []

    def copy(self) -> Self:
        """Return the ids so far."""
        copied = type(self)()
        copied._used, copied._known, copied._open = self._used.copy(), self._known.copy(), self._open.copy()
        return copied

    def begin_turn(self) -> None:
        """Begin an assistant turn: results that follow answer its calls first."""
        self._open = []

    def of_call(self, id_: str, own: object) -> str:
        """Return the id of a call.

        Args:
            id_: As the conversation names it; empty where it does not.
            own: As the provider named it; None where that is not known.
        """
        if isinstance(own, str) and self._is_usable(own):
            call_id = own
        elif self._is_usable(id_):
            call_id = id_
        else:
            name = f"{len(self._used)} {id_ or own}".encode(errors="replace")
            call_id = "call_" + hashlib.blake2b(name, digest_size=12).hexdigest()
        self._used.add(call_id)
        self._known[id_] = call_id
        self._open.append((id_, call_id))
        return call_id

    def _is_usable(self, name: str) -> bool:
        return 0 < len(name) <= MAX_CALL_ID_CHARS and name not in self._used

    def answered(self, id_: str) -> str:
        """Return the id of the call that a result answers; one that nothing is known of stays as it is."""
        if self._open and self._open[0][0] == id_:
            return self._open.pop(0)[1]
        by_name = (place for place, (name, _) in enumerate(self._open) if name == id_)
        by_position = (place for place, (name, _) in enumerate(self._open) if not name or not id_)
        place = next(by_name, None)
        place = next(by_position, None) if place is None else place
        return self._known.get(id_, id_) if place is None else self._open.pop(place)[1]
