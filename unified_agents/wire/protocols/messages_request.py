"""Anthropic Messages: a conversation is written as a request."""

from __future__ import annotations

import base64
import binascii
import re
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from unified_agents.messages import JsonObject
from unified_agents.wire.protocols.base import ModelRequest
from unified_agents.wire.protocols.chat_completions_fields import content_text, decode_response, refusal_text
from unified_agents.wire.protocols.data_urls import data_of_url
from unified_agents.wire.protocols.messages_schema import output_schema
from unified_agents.wire.protocols.messages_thinking import effort_of, thinking_of
from unified_agents.wire.protocols.repeated_calls import Call, without_repeats

DEFAULT_MAX_TOKENS = 8192
"""Sent where no limit is set, since the protocol requires one. A budget for thinking comes on top."""
BROKEN_ARGUMENTS = "INVALID_JSON"
"""The key under which arguments that are no JSON object go back, as Anthropic's documentation advises."""
MAX_DEPTH = 200
"""JSON with no more objects and lists than this can be written whatever it is."""
PDF = "application/pdf"
"""The only kind of file that goes out as it is; others go out as their text."""

_TIERS = {"default": "standard_only"}
_CHOICES = {"auto": "auto", "required": "any", "none": "none"}
_FORBIDDEN_IN_IDS = re.compile(r"[^a-zA-Z0-9_-]")


def messages_request(request: ModelRequest) -> JsonObject:
    """Return the body of a request."""
    conversation = _Conversation()
    for message in request.messages:
        conversation.add(message)
    turns = conversation.turns()
    body: JsonObject = {"model": request.model, "max_tokens": request.parameters.max_tokens or DEFAULT_MAX_TOKENS}
    if conversation.system:
        body["system"] = "\n\n".join(conversation.system)
    body["messages"] = turns
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
        if choice := _tool_choice(request.tool_choice, request.parallel_tool_calls):
            body["tool_choice"] = choice
    _add_parameters(body, request)
    if request.stream:
        body["stream"] = True
    return body


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


class _Conversation:
    """A conversation in the protocol's form: turns of user and model alternate, and results stand first in theirs.

    Attributes:
        system: The texts of the system messages, wherever they stood.
    """

    def __init__(self) -> None:
        self.system: list[str] = []
        self._turns: list[tuple[str, list[JsonObject], list[JsonObject]]] = []  # role, tool results, other blocks
        self._ids: set[str] = set()  # of all calls so far
        self._open: dict[Any, deque[str]] = {}  # by a call's id in the run: its id here; of the last turn with calls

    def add(self, message: Mapping[str, Any]) -> None:
        """Add a message in Chat Completions terms."""
        role = message["role"]
        if role in ("system", "developer"):
            if text := content_text(message.get("content")):
                self.system.append(text)
        elif role == "tool":
            self._blocks_of("user")[0].append(self._result(message))
        elif role == "assistant":
            if blocks := self._assistant(message):
                self._blocks_of("assistant")[1].extend(blocks)
        else:
            self._blocks_of("user")[1].extend(_parts(message.get("content")))

    def turns(self) -> list[JsonObject]:
        """Return the messages of the request."""
        return [{"role": role, "content": _content(results + others)} for role, results, others in self._turns]

    def _blocks_of(self, role: str) -> tuple[list[JsonObject], list[JsonObject]]:
        if not self._turns or self._turns[-1][0] != role:
            self._turns.append((role, [], []))
        _, results, others = self._turns[-1]
        return results, others

    def _assistant(self, message: Mapping[str, Any]) -> list[JsonObject]:
        calls = message.get("tool_calls") or ()
        blocks = _original(message)
        if blocks is None:
            functions = [call["function"] for call in calls]
            text = "".join(filter(None, (content_text(message.get("content")), refusal_text(dict(message)))))
            blocks = assistant_blocks(text, [("", one["name"], one.get("arguments") or "") for one in functions])
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
    """Return blocks, or the text alone where there is nothing else."""
    if not blocks:
        return ""
    return blocks[0]["text"] if len(blocks) == 1 and blocks[0].keys() == {"type", "text"} else blocks


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


def _add_parameters(body: JsonObject, request: ModelRequest) -> None:
    parameters = request.parameters
    output: JsonObject = {}
    if reasoning := getattr(parameters, "reasoning", None):
        if thinking := thinking_of(reasoning, body["messages"], request.learnt):
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
