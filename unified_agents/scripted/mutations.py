"""Answers as a model should not give them: the calls of a right one with one fault in them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from unified_agents.config.model import CallFault
from unified_agents.messages import JsonObject
from unified_agents.scripted.rendering.chat_completions import RenderedCall, RenderedChoice

_EXTRA = {"colour": "red"}


def altered(choice: RenderedChoice, how: CallFault, request: Mapping[str, Any]) -> RenderedChoice | None:
    """Put a fault into the calls of an answer.

    Args:
        choice: The answer.
        how: The fault.
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
    changed = _changed(last, how, _OfferedTool.of(request, last.name))
    return None if changed is None else replace(choice, calls=(*others, changed))


@dataclass(slots=True, frozen=True)
class _OfferedTool:
    """What a request says of a tool; `schema` is None where it says nothing, `names` are those of all its tools."""

    schema: JsonObject | None
    names: frozenset[str]

    @classmethod
    def of(cls, request: Mapping[str, Any], name: str) -> _OfferedTool:
        functions = [tool.get("function") or {} for tool in request.get("tools") or ()]
        schemas = {function.get("name"): function.get("parameters") for function in functions}
        return cls(schemas.get(name), frozenset(map(str, schemas)))

    def refuses(self, arguments: Any) -> bool:
        if self.schema is None:
            return True
        import jsonschema_rs  # noqa: PLC0415  # only who wants faults pays for it

        try:
            return not jsonschema_rs.validator_for(self.schema, retriever=_refuse_remote).is_valid(arguments)
        except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError):
            return False  # nobody can tell what it refuses


def _refuse_remote(uri: str) -> NoReturn:
    raise ValueError(f"{uri} is another document")


def _changed(call: RenderedCall, how: CallFault, offered: _OfferedTool) -> RenderedCall | None:
    if how == "unknown-tool":
        name = f"{call.name}_now"
        return None if name in offered.names else replace(call, name=name)
    arguments = _object(call.arguments)
    if arguments is None:
        return None
    if how == "extra-argument":
        known = (offered.schema or {}).get("properties") or {}
        return None if known.keys() & _EXTRA else _with(call, arguments | _EXTRA)
    candidates = _WRONG_ARGUMENTS[how](arguments)
    return next((_with(call, wrong) for wrong in candidates if offered.refuses(wrong)), None)


def _with(call: RenderedCall, arguments: Any) -> RenderedCall:
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


def _wrong_type(arguments: JsonObject) -> Iterator[JsonObject]:
    for name, value in reversed(arguments.items()):
        yield arguments | {name: {"banana": 1} if isinstance(value, str) else "banana"}


def _number_as_text(arguments: JsonObject) -> Iterator[JsonObject]:
    for name, value in reversed(arguments.items()):
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield arguments | {name: str(value)}


def _missing_argument(arguments: JsonObject) -> Iterator[JsonObject]:
    for missing in reversed(arguments):
        yield {name: value for name, value in arguments.items() if name != missing}


_WRONG_ARGUMENTS: Mapping[str, Callable[[JsonObject], Iterator[Any]]] = {
    "array-arguments": lambda arguments: iter([list(arguments.values())]),
    "null-arguments": lambda _: iter([None]),
    "wrong-type": _wrong_type,
    "number-as-text": _number_as_text,
    "missing-argument": _missing_argument,
}
"""For each fault, what the arguments may become, the best first."""
