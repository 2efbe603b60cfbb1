"""Answers as a model should not give them: a right one, altered in one way."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, NoReturn, TypeAlias

from unified_agents.messages import JsonObject
from unified_agents.scripted.rendering.chat_completions import Call, Choice

Alteration: TypeAlias = Literal[
    "broken-json",
    "array-arguments",
    "null-arguments",
    "wrong-type",
    "number-as-text",
    "missing-argument",
    "extra-argument",
    "unknown-tool",
    "duplicate-ids",
    "empty-ids",
]
"""In how many ways; all but the last two alter the last call only, and so that its tool's schema refuses it."""

_EXTRA = {"colour": "red"}


def altered(choice: Choice, how: Alteration, request: Mapping[str, Any]) -> Choice | None:
    """An answer, altered.

    Args:
        choice: The answer.
        how: The alteration.
        request: What it answers: its tools say what a call must be like, its messages which ids are in use.

    Returns:
        The altered answer; None where it cannot be altered so: it has no call, or no argument of the kind, or the
        tool would take what came of it.
    """
    if not choice.calls:
        return None
    *others, last = choice.calls
    if how in ("duplicate-ids", "empty-ids"):
        id_ = "" if how == "empty-ids" else _first_id(request) or choice.calls[0].id
        calls = tuple(replace(call, id=id_) for call in choice.calls)
        return replace(choice, calls=calls)
    if how == "broken-json":
        return None if _object(last.arguments) is None else replace(choice, calls=choice.cut().calls)
    changed = _changed(last, how, _Offered.of(request, last.name))
    return None if changed is None else replace(choice, calls=(*others, changed))


@dataclass(slots=True, frozen=True)
class _Offered:
    """What a request says of a tool; `schema` is None where it says nothing."""

    schema: JsonObject | None
    names: frozenset[str]

    @classmethod
    def of(cls, request: Mapping[str, Any], name: str) -> _Offered:
        functions = [tool.get("function") or {} for tool in request.get("tools") or ()]
        schemas = {function.get("name"): function.get("parameters") for function in functions}
        return cls(schemas.get(name), frozenset(map(str, schemas)))

    def refuses(self, arguments: Any) -> bool:
        if self.schema is None:
            return True
        import jsonschema_rs  # noqa: PLC0415  # only who wants faults pays for it

        try:
            return not jsonschema_rs.validator_for(self.schema, retriever=_nothing_remote).is_valid(arguments)
        except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError):
            return False  # nobody can tell what it refuses


def _nothing_remote(uri: str) -> NoReturn:
    raise ValueError(f"{uri} is another document")


def _changed(call: Call, how: Alteration, offered: _Offered) -> Call | None:
    if how == "unknown-tool":
        name = f"{call.name}_now"
        return None if name in offered.names else replace(call, name=name)
    given = _object(call.arguments)
    if how == "extra-argument":
        known = (offered.schema or {}).get("properties") or {}
        return None if given is None or known.keys() & _EXTRA else _with(call, given | _EXTRA)
    candidates = () if given is None else _WRONG[how](given)
    return next((_with(call, wrong) for wrong in candidates if offered.refuses(wrong)), None)


def _with(call: Call, arguments: Any) -> Call:
    return replace(call, arguments=json.dumps(arguments, ensure_ascii=False, separators=(",", ":")))


def _object(arguments: str) -> JsonObject | None:
    try:
        value = json.loads(arguments)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _first_id(request: Mapping[str, Any]) -> str | None:
    calls = (call for message in request.get("messages") or () for call in message.get("tool_calls") or ())
    return next((call["id"] for call in calls if call.get("id")), None)


def _wrong_type(given: JsonObject) -> Iterator[JsonObject]:
    for name, value in reversed(given.items()):
        yield given | {name: {"banana": 1} if isinstance(value, str) else "banana"}


def _number_as_text(given: JsonObject) -> Iterator[JsonObject]:
    for name, value in reversed(given.items()):
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield given | {name: str(value)}


def _one_less(given: JsonObject) -> Iterator[JsonObject]:
    for missing in reversed(given):
        yield {name: value for name, value in given.items() if name != missing}


_WRONG: Mapping[str, Callable[[JsonObject], Iterator[Any]]] = {
    "array-arguments": lambda given: iter([list(given.values())]),
    "null-arguments": lambda _: iter([None]),
    "wrong-type": _wrong_type,
    "number-as-text": _number_as_text,
    "missing-argument": _one_less,
}
"""What the arguments may become, the best first."""
