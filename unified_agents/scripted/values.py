"""The language of `$result` and `$template`: values of a script that are read from the request to be answered.

`{"$result": {"step": 0, "index": 1, "path": "/rows/0/name"}}` stands for what the tool message in the request says that
answers call 1 of the turn's step 0. `{"$template": "{0} of {1}", "values": [...]}` puts values into text. Both may
stand at any depth of a value. There is nothing else: no expressions, no format specifications, no attributes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Any, TypeAlias, TypeGuard

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator

from unified_agents import wording
from unified_agents.config import parse_config
from unified_agents.tools.json_pointer import MissingValueError, resolve_pointer
from unified_agents.tools.json_values import parse_text, to_json

RESULT = "$result"
TEMPLATE = "$template"


class BadRequestShapeError(ValueError):
    """The request is no Chat Completions request."""


@dataclass(slots=True, frozen=True)
class ConversationTurn:
    """The last turn of a request's conversation, from the user's message on.

    Attributes:
        number: User messages up to and with the last one, so the turn's number from 1; 0 when there is none.
        step: Assistant messages after the last user message: the index of the answer that is due.
        messages: The messages after the last user message.
    """

    number: int
    step: int
    messages: Sequence[Mapping[str, Any]]

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> ConversationTurn:
        """Read the turn that a Chat Completions request asks to go on with.

        Raises:
            BadRequestShapeError: `messages`, or `tool_calls` in one of them, is no list of objects.
        """
        number, messages = _last_turn(request, _begins_turn)
        if not all(_are_objects(message.get("tool_calls") or []) for message in messages):
            raise BadRequestShapeError("'tool_calls' must be a list of objects")
        return cls(number, len(_assistant_places(messages)), messages)

    def result(self, step: int, index: int) -> str:
        """Return the text of the tool message that answers call `index` of assistant message `step`.

        It is found by its `tool_call_id`; where ids repeat or are missing, by position among the tool messages that
        follow.

        Raises:
            MissingValueError: there is no such step, call, or tool message.
        """
        places = _assistant_places(self.messages)
        if step >= len(places):
            raise MissingValueError(f"the turn has no step {step}: it has {len(places)}")
        end = places[step + 1] if step + 1 < len(places) else None
        turn, *following = self.messages[places[step] : end]
        calls = turn.get("tool_calls") or ()
        if index >= len(calls):
            raise MissingValueError(f"step {step} has no call {index}: it has {len(calls)}")
        found = _tool_message(calls, [message for message in following if message.get("role") == "tool"], index)
        if found is None:
            raise MissingValueError(f"no tool message answers call {index} of step {step}")
        return _text(found.get("content"))


@dataclass(slots=True, frozen=True)
class ReactTurn(ConversationTurn):
    """The last turn of a conversation in the ReAct protocol, where results come as user messages.

    Attributes:
        first_calls: For each answer of the script, the assistant message that holds its first call: each has one call.
    """

    first_calls: Sequence[int] = ()

    @classmethod
    def of_text(cls, request: Mapping[str, Any], first_calls: Sequence[int]) -> ReactTurn:
        """Read the turn that a request asks to go on with.

        Raises:
            BadRequestShapeError: `messages` is no list of objects.
        """
        number, messages = _last_turn(request, lambda message: _begins_turn(message) and not _is_observation(message))
        return cls(number, len(_assistant_places(messages)), messages, first_calls)

    def result(self, step: int, index: int) -> str:
        """Return the text of the observation that answers call `index` of the script's answer `step`.

        Raises:
            MissingValueError: there is none.
        """
        places = _assistant_places(self.messages)
        number = self.first_calls[step] + index if step < len(self.first_calls) else len(places)
        if number >= len(places):
            raise MissingValueError(f"the turn has no call {index} of step {step}")
        follows = self.messages[places[number] + 1 : places[number] + 2]
        if not follows or not _is_observation(follows[0]):
            raise MissingValueError(f"no observation answers call {index} of step {step}")
        return wording.observed(_text(follows[0].get("content")))


def _last_turn(
    request: Mapping[str, Any], begins_turn: Callable[[Mapping[str, Any]], bool]
) -> tuple[int, Sequence[Mapping[str, Any]]]:
    """Return the number of the last turn, and the messages after the one that begins it."""
    messages = request.get("messages")
    if not _are_objects(messages):
        raise BadRequestShapeError("'messages' must be a list of objects")
    beginnings = [place for place, message in enumerate(messages) if begins_turn(message)]
    return len(beginnings), messages[beginnings[-1] + 1 :] if beginnings else messages


def _begins_turn(message: Mapping[str, Any]) -> bool:
    # What the wire itself adds, to have an answer corrected, belongs to the turn that it is in.
    return message.get("role") == "user" and not wording.is_note(message.get("content"))


def _is_observation(message: Mapping[str, Any]) -> bool:
    return wording.is_observation({**message, "content": _text(message.get("content"))})


def _assistant_places(messages: Sequence[Mapping[str, Any]]) -> list[int]:
    return [place for place, message in enumerate(messages) if message.get("role") == "assistant"]


def _are_objects(value: object) -> TypeGuard[Sequence[Mapping[str, Any]]]:
    return isinstance(value, list | tuple) and all(isinstance(item, Mapping) for item in value)


def _tool_message(
    calls: Sequence[Mapping[str, Any]], tool_messages: Sequence[Mapping[str, Any]], index: int
) -> Mapping[str, Any] | None:
    """Return the message that answers a call: by its id, or by position where ids repeat or are missing."""
    ids = [call.get("id") for call in calls]
    are_unique = all(isinstance(id_, str) and id_ for id_ in ids) and len(set(ids)) == len(ids)
    if are_unique and all(message.get("tool_call_id") for message in tool_messages):
        return next((message for message in tool_messages if message["tool_call_id"] == ids[index]), None)
    return tool_messages[index] if index < len(tool_messages) else None


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else ()
    return "".join(str(part.get("text") or "") for part in parts if isinstance(part, Mapping))


ValueReader: TypeAlias = Callable[[ConversationTurn], JsonValue]


def compile_value(value: JsonValue) -> ValueReader | None:
    """Make a function that returns the value for a turn; None when the value refers to nothing and stands as it is.

    Raises:
        ValueError: a `$result` or `$template` in it is wrong, or a number is not finite.
    """
    if isinstance(value, dict):
        if RESULT in value:
            return _compile_result(value)
        if TEMPLATE in value:
            return _compile_template(value)
        members = {name: read for name, item in value.items() if (read := compile_value(item))}
        return (lambda turn: {**value, **{name: read(turn) for name, read in members.items()}}) if members else None
    if isinstance(value, list):
        readers = [compile_value(item) for item in value]
        pairs = list(zip(value, readers, strict=True))
        return (lambda turn: [read(turn) if read else item for item, read in pairs]) if any(readers) else None
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is no JSON number")
    return None


class _Reference(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True, hide_input_in_errors=True)


class _ResultReference(_Reference):
    """The value of `$result`."""

    step: int = Field(ge=0)
    index: int = Field(ge=0)
    path: str | None = None

    @field_validator("path")
    @classmethod
    def _is_pointer(cls, path: str | None) -> str | None:
        if path and (not path.startswith("/") or re.search(r"~(?![01])", path)):
            raise ValueError("must be a JSON Pointer, such as /rows/0/name")
        return path


class _TemplateValues(_Reference):
    """The keys beside `$template`."""

    values: list[JsonValue] = []


def _compile_result(value: dict[str, JsonValue]) -> ValueReader:
    if len(value) > 1:
        raise ValueError(f"{RESULT} stands alone in its object, not beside {', '.join(sorted(set(value) - {RESULT}))}")
    result = parse_config(_ResultReference, value[RESULT], RESULT)

    def read(turn: ConversationTurn) -> JsonValue:
        text = turn.result(result.step, result.index)
        if result.path is None:
            return parse_text(text)
        try:
            found: JsonValue = resolve_pointer(parse_text(text), result.path)
        except MissingValueError as error:
            raise MissingValueError(f"the result of call {result.index} of step {result.step} {error}") from error
        return found

    return read


def _compile_template(value: dict[str, JsonValue]) -> ValueReader:
    template = value[TEMPLATE]
    if not isinstance(template, str):
        raise ValueError(f"{TEMPLATE} must be a text")
    rest = {name: item for name, item in value.items() if name != TEMPLATE}
    slots = [Slot(item) for item in parse_config(_TemplateValues, rest, TEMPLATE).values]
    pieces = _pieces(template, len(slots))

    def read(turn: ConversationTurn) -> JsonValue:
        texts = [slot.text(turn) for slot in slots]
        return "".join(piece if isinstance(piece, str) else texts[piece] for piece in pieces)

    return read


def _pieces(template: str, count: int) -> list[str | int]:
    """Split a template into its literal texts and the numbers of the values between them."""
    pieces: list[str | int] = []
    try:
        parsed = list(Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"{TEMPLATE} {template!r}: {error}; a brace itself is written twice") from error
    for literal, name, spec, conversion in parsed:
        pieces.append(literal)
        if name is None:
            continue
        if spec or conversion or not re.fullmatch("[0-9]{1,4}", name):
            raise ValueError(f"{TEMPLATE} {template!r}: a placeholder is {{n}} with a number and nothing else")
        if int(name) >= count:
            raise ValueError(f"{TEMPLATE} {template!r}: there is no value {name} among {count}")
        pieces.append(int(name))
    return pieces


class Slot:
    """A value of a script that is sent as text: a string as it is, any other value as compact JSON.

    Attributes:
        static: Whether the text is the same for every request.
    """

    __slots__ = ("_read", "_text", "static")

    def __init__(self, value: JsonValue) -> None:
        """Compile the value.

        Raises:
            ValueError: as `compile_value`.
        """
        self._read = compile_value(value)
        self._text = as_text(value) if self._read is None else ""
        self.static = self._read is None

    def text(self, turn: ConversationTurn) -> str:
        """Return the text for a request.

        Raises:
            MissingValueError: the request does not hold a value that is referred to.
        """
        return self._text if self._read is None else as_text(self._read(turn))


def as_text(value: JsonValue) -> str:
    """Return a string as it is, and any other value as compact JSON."""
    return value if isinstance(value, str) else to_json(value).decode()
