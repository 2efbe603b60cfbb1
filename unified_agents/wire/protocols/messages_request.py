"""Anthropic Messages: a conversation is written as requests."""

from __future__ import annotations

import base64
import binascii
import re
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from typing import Any, Self

import orjson

from unified_agents.messages import JsonObject
from unified_agents.wire.protocols.base import ModelRequest, with_extra
from unified_agents.wire.protocols.chat_completions_fields import content_text, decode_response, refusal_text
from unified_agents.wire.protocols.data_urls import data_of_url
from unified_agents.wire.protocols.encoded_turns import EncodedTurns
from unified_agents.wire.protocols.messages_schema import output_schema
from unified_agents.wire.protocols.messages_thinking import THINKING_BLOCKS, effort_of, thinking_of
from unified_agents.wire.protocols.repeated_calls import Call, without_repeats

DEFAULT_MAX_TOKENS = 8192
"""Sent where no limit is set, since the protocol requires one. A budget for thinking comes on top."""
BROKEN_ARGUMENTS = "INVALID_JSON"
"""The key under which arguments that are no JSON object go back, as Anthropic's documentation advises."""
MAX_DEPTH = 200
"""JSON with no more objects and lists than this can be written whatever it is."""
PDF = "application/pdf"
"""The only kind of file that goes out as it is; others go out as their text."""

_BREAKPOINT = {"cache_control": {"type": "ephemeral"}}
_ENCODED_BREAKPOINT = b"," + orjson.dumps(_BREAKPOINT)[1:-1]
_TIERS = {"default": "standard_only"}
_CHOICES = {"auto": "auto", "required": "any", "none": "none"}
_FORBIDDEN_IN_IDS = re.compile(r"[^a-zA-Z0-9_-]")


def assistant_blocks(text: str | None, calls: Iterable[tuple[str, str, str]]) -> list[JsonObject]:
    """Return a turn of the model in its portable form.

    Args:
        text: Its text.
        calls: Id, name and arguments of each call.
    """
    blocks: list[JsonObject] = [{"type": "text", "text": text}] if text else []
    for id_, name, arguments in calls:
        blocks.append({"type": "tool_use", "id": id_, "name": name, "input": input_of(arguments)})
    return blocks


def input_of(arguments: str) -> JsonObject:
    """Return the arguments of a call as an object, whatever the model wrote."""
    try:
        value = decode_response((arguments or "{}").encode())
        if arguments.count("{") + arguments.count("[") > MAX_DEPTH:
            orjson.dumps(value)  # takes less depth than it reads
    except (ValueError, orjson.JSONEncodeError):
        value = None
    return value if isinstance(value, dict) else {BROKEN_ARGUMENTS: arguments}


class MessagesConversation:
    """A conversation in requests of Messages; see `ConversationWriter`.

    Turns of user and model alternate, and results stand first in theirs. So the turn at the end grows until the other
    side has its turn.
    """

    __slots__ = ("_began_with", "_grown", "_ids", "_open", "_others", "_results", "_role", "_system", "_turns")

    def __init__(self) -> None:
        self._turns = EncodedTurns("messages")
        self._system: list[str] = []  # the texts of system messages amid the conversation
        self._role = ""  # of the turn at the end, with its tool results and other blocks
        self._results: list[JsonObject] = []
        self._others: list[JsonObject] = []
        self._grown = False  # whether it has grown since it was encoded
        self._began_with = ""  # the first block of the turn before
        self._ids: set[str] = set()  # of all calls so far
        self._open: dict[Any, deque[str]] = {}  # by a call's id in the run: its id here; of the last turn with calls

    def add(self, message: Mapping[str, Any]) -> None:
        """Add a message."""
        role = message["role"]
        if role in ("system", "developer"):
            if text := content_text(message.get("content")):
                self._system = [*self._system, text]  # a new list, since encoded fields are known by it
        elif role == "tool":
            self._turn_of("user")
            self._results.append(self._result(message))
        elif role == "assistant":
            if blocks := self._assistant(message):
                self._turn_of("assistant")
                self._others += blocks
        else:
            self._turn_of("user")
            self._others += _parts(message.get("content"))

    def copy(self) -> Self:
        """Return the conversation so far."""
        copied = type(self)()
        copied._turns, copied._system = self._turns.copy(), self._system
        copied._role, copied._grown, copied._began_with = self._role, self._grown, self._began_with
        copied._results, copied._others = self._results.copy(), self._others.copy()
        copied._ids = self._ids.copy()
        copied._open = {own: deque(ids) for own, ids in self._open.items()}
        return copied

    def body(self, request: ModelRequest) -> bytes:
        """Return the body of a request."""
        self._encode()
        unthinking = self._goes_on_without_thinking()
        return self._turns.in_body(
            request,
            (unthinking, self._system),
            lambda: self._fields(request, unthinking),
            _ENCODED_BREAKPOINT if request.cache else b"",
        )

    def _fields(self, request: ModelRequest, unthinking: bool) -> JsonObject:
        body: JsonObject = {"model": request.model, "max_tokens": request.parameters.max_tokens or DEFAULT_MAX_TOKENS}
        first = content_text(request.system.get("content")) if request.system is not None else None
        if system := [text for text in (first, *self._system) if text]:
            text = "\n\n".join(system)
            body["system"] = [{"type": "text", "text": text} | _BREAKPOINT] if request.cache else text
        if request.tools:
            body["tools"] = [_tool(tool) for tool in request.tools]
            if request.cache:
                body["tools"][-1] = body["tools"][-1] | _BREAKPOINT
            if choice := _tool_choice(request.tool_choice, request.parallel_tool_calls):
                body["tool_choice"] = choice
        _add_parameters(body, request, unthinking=unthinking)
        if request.stream:
            body["stream"] = True
        return with_extra(body, request.extra)

    def _turn_of(self, role: str) -> None:
        """Go on with the turn at the end, or begin one where that is the other side's."""
        if self._role != role:
            self._encode()
            self._turns.close()
            if self._role == "user":
                self._turns.mark()  # where a request has ended, the provider's cache has what came before
            blocks = self._results + self._others
            self._began_with = str(blocks[0].get("type")) if blocks else ""
            self._role, self._results, self._others = role, [], []
        self._grown = True

    def _encode(self) -> None:
        if self._grown:
            self._turns.put_last({"role": self._role, "content": self._results + self._others})
            self._grown = False

    def _goes_on_without_thinking(self) -> bool:
        """Tell whether the model is amid a turn that it began without thinking, perhaps as another model."""
        amid = self._role == "user" and bool(self._results)
        return amid and self._began_with != "" and self._began_with not in THINKING_BLOCKS

    def _assistant(self, message: Mapping[str, Any]) -> list[JsonObject]:
        calls = message.get("tool_calls") or ()
        blocks = _original(message)
        if blocks is None:
            text = "".join(filter(None, (content_text(message.get("content")), refusal_text(message))))
            written = [(call.get("id") or "", call["function"]) for call in calls]
            blocks = assistant_blocks(text, [(id_, one["name"], one.get("arguments") or "") for id_, one in written])
        else:
            blocks = without_repeats(blocks, _calls_of, len(calls))
        places = [place for place, block in enumerate(blocks) if block.get("type") == "tool_use"]
        if calls:
            self._open = defaultdict(deque)
        for number, place in enumerate(places):
            # Call n of the run is block n of the turn: the run may have given it another id.
            own = calls[number].get("id") if number < len(calls) else None
            id_ = self._unique(blocks[place].get("id") or own)
            if id_ != blocks[place].get("id"):
                blocks[place] = blocks[place] | {"id": id_}
            if number < len(calls):
                self._open[own].append(id_)
        return blocks

    def _unique(self, id_: Any) -> str:
        """Return an id that the protocol takes, and that no call before has: the same one where it is such an id."""
        wanted = _FORBIDDEN_IN_IDS.sub("_", str(id_ or "")) or "call"
        unique, number = wanted, 1
        while unique in self._ids:
            number += 1
            unique = f"{wanted}_{number}"
        self._ids.add(unique)
        return unique

    def _result(self, message: Mapping[str, Any]) -> JsonObject:
        own = message.get("tool_call_id")
        waiting = self._open.get(own)
        id_ = (waiting.popleft() if len(waiting) > 1 else waiting[0]) if waiting else str(own or "")
        return {
            "type": "tool_result",
            "tool_use_id": _FORBIDDEN_IN_IDS.sub("_", id_),
            "content": _content(_parts(message.get("content"))),
        }


def _original(message: Mapping[str, Any]) -> list[JsonObject] | None:
    """Return the blocks of a turn as the provider wrote them; None where they were not kept.

    A text that is empty stays out, because the provider writes such blocks, and refuses them. So do fields without a
    value.
    """
    content = (message.get("original") or {}).get("content")
    if not isinstance(content, list):
        return None
    return [
        {name: value for name, value in block.items() if value is not None}
        for block in content
        if not (block.get("type") == "text" and not block.get("text"))
    ]


def _calls_of(block: JsonObject) -> list[Call]:
    return [(block.get("id"), block.get("name"), block.get("input"))] if block.get("type") == "tool_use" else []


def _content(blocks: list[JsonObject]) -> str | list[JsonObject]:
    """Return the content of a result: its blocks, or the text alone where there is nothing else."""
    if len(blocks) > 1 or (blocks and blocks[0].keys() != {"type", "text"}):
        return blocks
    return blocks[0]["text"] if blocks else ""


def _parts(content: Any) -> list[JsonObject]:
    """Return a content of a user or a tool as blocks. A part that has no counterpart here goes out as it is."""
    if not isinstance(content, list):
        return [{"type": "text", "text": content}] if content else []
    return [block for part in content if (block := _part(part))]


def _part(part: JsonObject) -> JsonObject | None:
    kind = part.get("type")
    if kind == "text":
        return part if part.get("text") else None
    if kind == "image_url":
        image = part["image_url"]
        return {"type": "image", "source": _source(image["url"] if isinstance(image, dict) else image)}
    if kind == "file" and isinstance(file := part.get("file"), dict) and ("file_id" in file or "file_data" in file):
        return _file(file)
    return part


def _file(file: JsonObject) -> JsonObject:
    source = {"type": "file", "file_id": file["file_id"]} if file.get("file_id") else _source(file["file_data"])
    if str(source.get("media_type")).startswith("image/"):
        return {"type": "image", "source": source}
    if source["type"] == "base64" and source["media_type"] != PDF and (text := _decoded(source["data"])):
        source = {"type": "text", "media_type": "text/plain", "data": text}
    block: JsonObject = {"type": "document", "source": source}
    return block | {"title": file["filename"]} if file.get("filename") else block


def _source(url: str) -> JsonObject:
    if (found := data_of_url(url)) is None:
        return {"type": "url", "url": url}
    return {"type": "base64", "media_type": found[0], "data": found[1]}


def _decoded(data: str) -> str | None:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def _tool(tool: JsonObject) -> JsonObject:
    """Return a tool as the protocol has it; one of the provider's own stays as it is."""
    if not isinstance(function := tool.get("function"), dict):
        return tool
    written: JsonObject = {"name": function["name"]}
    if description := function.get("description"):
        written["description"] = description
    written["input_schema"] = {"type": "object"} | (function.get("parameters") or {"properties": {}})
    if function.get("strict") is not None:
        written["strict"] = function["strict"]
    return written


def _tool_choice(choice: str | None, parallel: bool | None) -> JsonObject | None:
    if choice is None and parallel is not False:
        return None
    kind = _CHOICES.get(choice or "auto")
    written: JsonObject = {"type": "tool", "name": choice} if kind is None else {"type": kind}
    if parallel is False and kind != "none":
        written["disable_parallel_tool_use"] = True
    return written


def _add_parameters(body: JsonObject, request: ModelRequest, *, unthinking: bool) -> None:
    parameters = request.parameters
    output: JsonObject = {}
    if reasoning := getattr(parameters, "reasoning", None):
        if thinking := thinking_of(reasoning, request.learnt, unthinking=unthinking):
            body["thinking"] = thinking
            budget = thinking.get("budget_tokens", 0)
            if parameters.max_tokens is None or parameters.max_tokens <= budget:  # the API counts thinking in it
                body["max_tokens"] += budget
        if effort := effort_of(reasoning, request.learnt):
            output["effort"] = effort
    if request.response_format is not None:
        output["format"] = {
            "type": "json_schema",
            "schema": output_schema(request.response_format["json_schema"]["schema"]),
        }
    stop, tier = getattr(parameters, "stop", None), getattr(parameters, "service_tier", None)
    fields = {
        "temperature": parameters.temperature,
        "top_p": getattr(parameters, "top_p", None),
        "stop_sequences": [stop] if isinstance(stop, str) else list(stop or ()) or None,
        "service_tier": _TIERS.get(tier, tier) if tier else None,
        "output_config": output or None,
    }
    body |= {name: value for name, value in fields.items() if value is not None}
