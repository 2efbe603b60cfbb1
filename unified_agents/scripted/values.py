"""Values of a script that are read from the request which is being answered.

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
class Turn:
    """What a request says about where the conversation stands.

    Attributes:
        number: User messages up to and with the last one, so the turn's number from 1; 0 when there is none.
        step: Assistant messages after the last user message: the index of the answer that is due.
        messages: The messages after the last user message.
    """

    number: int
    step: int
    messages: Sequence[Mapping[str, Any]]

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> Turn:
        """The turn that a Chat Completions request asks to go on with.

        Raises:
            BadRequestShapeError: `messages`, or `tool_calls` in one of them, is no list of objects.
        """
        messages = request.get("messages")
        if not _are_objects(messages):
            raise BadRequestShapeError("'messages' must be a list of objects")
        users = [place for place, message in enumerate(messages) if _begins_turn(message)]
        rest = messages[users[-1] + 1 :] if users else messages
        if not all(_are_objects(message.get("tool_calls") or []) for message in rest):
            raise BadRequestShapeError("'tool_calls' must be a list of objects")
        return cls(len(users), sum(message.get("role") == "assistant" for message in rest), rest)

    def result(self, step: int, index: int) -> str:
        """The text of the tool message that answers call `index` of assistant message `step`.

        It is found by its `tool_call_id`; where ids repeat or are missing, by position among the tool messages that
        follow.

        Raises:
            MissingValueError: there is no such step, call, or tool message.
        """
        places = [place for place, message in enumerate(self.messages) if message.get("role") == "assistant"]
        if step >= len(places):
            raise MissingValueError(f"the turn has no step {step}: it has {len(places)}")
        calls = self.messages[places[step]].get("tool_calls") or ()
        if index >= len(calls):
            raise MissingValueError(f"step {step} has no call {index}: it has {len(calls)}")
        end = places[step + 1] if step + 1 < len(places) else len(self.messages)
        answers = [message for message in self.messages[places[step] : end] if message.get("role") == "tool"]
        answer = _by_id(calls, answers, index) if _has_ids(calls, answers) else _by_position(answers, index)
        if answer is None:
            raise MissingValueError(f"no tool message answers call {index} of step {step}")
        return _text(answer.get("content"))


@dataclass(slots=True, frozen=True)
class TextTurn(Turn):
    """The same in the ReAct protocol, where results come as user messages.

    Attributes:
        firsts: For each answer of the script, the assistant message that holds its first call: each has one call.
    """

    firsts: Sequence[int] = ()

    @classmethod
    def in_text(cls, request: Mapping[str, Any], firsts: Sequence[int]) -> TextTurn:
        """The turn that a request asks to go on with; see `Turn.of`.

        Raises:
            BadRequestShapeError: see `Turn.of`.
        """
        messages = request.get("messages")
        if not _are_objects(messages):
            raise BadRequestShapeError("'messages' must be a list of objects")
        users = [place for place, message in enumerate(messages) if _begins_turn(message) and not _observed(message)]
        rest = messages[users[-1] + 1 :] if users else messages
        return cls(len(users), sum(message.get("role") == "assistant" for message in rest), rest, firsts)

    def result(self, step: int, index: int) -> str:
        """The text of the observation that answers call `index` of the script's answer `step`.

        Raises:
            MissingValueError: there is none.
        """
        places = [place for place, message in enumerate(self.messages) if message.get("role") == "assistant"]
        number = self.firsts[step] + index if step < len(self.firsts) else len(places)
        if number >= len(places):
            raise MissingValueError(f"the turn has no call {index} of step {step}")
        follows = self.messages[places[number] + 1 : places[number] + 2]
        if not follows or not _observed(follows[0]):
            raise MissingValueError(f"no observation answers call {index} of step {step}")
        return wording.observed(_text(follows[0].get("content")))


def _observed(message: Mapping[str, Any]) -> bool:
    return message.get("role") == "user" and _text(message.get("content")).startswith(wording.OBSERVATION)


def _are_objects(value: object) -> TypeGuard[Sequence[Mapping[str, Any]]]:
    return isinstance(value, list | tuple) and all(isinstance(item, Mapping) for item in value)


def _has_ids(calls: Sequence[Mapping[str, Any]], answers: Sequence[Mapping[str, Any]]) -> bool:
    ids = [call.get("id") for call in calls]
    named = all(isinstance(id_, str) and id_ for id_ in ids) and len(set(ids)) == len(ids)
    return named and all(answer.get("tool_call_id") for answer in answers)


def _by_id(
    calls: Sequence[Mapping[str, Any]], answers: Sequence[Mapping[str, Any]], index: int
) -> Mapping[str, Any] | None:
    return next((answer for answer in answers if answer["tool_call_id"] == calls[index]["id"]), None)


def _by_position(answers: Sequence[Mapping[str, Any]], index: int) -> Mapping[str, Any] | None:
    return answers[index] if index < len(answers) else None


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else ()
    return "".join(str(part.get("text") or "") for part in parts if isinstance(part, Mapping))


Fill: TypeAlias = Callable[[Turn], JsonValue]


def compile_value(value: JsonValue) -> Fill | None:
    """A function that gives the value for a turn; None when the value refers to nothing and stands as it is.

    Raises:
        ValueError: a `$result` or `$template` in it is wrong, or a number is not finite.
    """
    if isinstance(value, dict):
        if RESULT in value:
            return _compile_result(value)
        if TEMPLATE in value:
            return _compile_template(value)
        members = {name: fill for name, item in value.items() if (fill := compile_value(item))}
        return (lambda turn: {**value, **{name: fill(turn) for name, fill in members.items()}}) if members else None
    if isinstance(value, list):
        fills = [compile_value(item) for item in value]
        pairs = list(zip(value, fills, strict=True))
        return (lambda turn: [fill(turn) if fill else item for item, fill in pairs]) if any(fills) else None
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is no JSON number")
    return None


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True, hide_input_in_errors=True)


class _Result(_Part):
    step: int = Field(ge=0)
    index: int = Field(ge=0)
    path: str | None = None

    @field_validator("path")
    @classmethod
    def _is_pointer(cls, path: str | None) -> str | None:
        if path and (not path.startswith("/") or re.search(r"~(?![01])", path)):
            raise ValueError("must be a JSON Pointer, such as /rows/0/name")
        return path


class _Template(_Part):
    values: list[JsonValue] = []


def _compile_result(value: dict[str, JsonValue]) -> Fill:
    if len(value) > 1:
        raise ValueError(f"{RESULT} stands alone in its object, not beside {', '.join(sorted(set(value) - {RESULT}))}")
    result = parse_config(_Result, value[RESULT], RESULT)

    def fill(turn: Turn) -> JsonValue:
        text = turn.result(result.step, result.index)
        if result.path is None:
            return parse_text(text)
        try:
            found: JsonValue = resolve_pointer(parse_text(text), result.path)
        except MissingValueError as error:
            raise MissingValueError(f"the result of call {result.index} of step {result.step} {error}") from error
        return found

    return fill


def _compile_template(value: dict[str, JsonValue]) -> Fill:
    template = value[TEMPLATE]
    if not isinstance(template, str):
        raise ValueError(f"{TEMPLATE} must be a text")
    rest = {name: item for name, item in value.items() if name != TEMPLATE}
    slots = [Slot(item) for item in parse_config(_Template, rest, TEMPLATE).values]
    pieces = _pieces(template, len(slots))

    def fill(turn: Turn) -> JsonValue:
        texts = [slot.text(turn) for slot in slots]
        return "".join(piece if isinstance(piece, str) else texts[piece] for piece in pieces)

    return fill


def _pieces(template: str, count: int) -> list[str | int]:
    """The template's literal texts and the numbers of the values between them."""
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
    """A place for text: a string as it is, any other value as compact JSON.

    Attributes:
        static: Whether the text is the same for every request.
    """

    __slots__ = ("_fill", "_text", "static")

    def __init__(self, value: JsonValue) -> None:
        """Compile the value.

        Raises:
            ValueError: as `compile_value`.
        """
        self._fill = compile_value(value)
        self._text = as_text(value) if self._fill is None else ""
        self.static = self._fill is None

    def text(self, turn: Turn) -> str:
        """The text for a request.

        Raises:
            MissingValueError: the request does not hold a value that is referred to.
        """
        return self._text if self._fill is None else as_text(self._fill(turn))


def as_text(value: JsonValue) -> str:
    """A string as it is, any other value as compact JSON."""
    return value if isinstance(value, str) else to_json(value).decode()


def _begins_turn(message: Mapping[str, Any]) -> bool:
    # What the wire itself adds, to have an answer mended, belongs to the turn that it is in.
    return message.get("role") == "user" and not wording.is_note(message.get("content"))
