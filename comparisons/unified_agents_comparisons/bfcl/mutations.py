"""Negative controls for BFCL: wrong calls made out of the oracle's, each of which must fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, get_args

import orjson

from unified_agents.messages import JsonObject
from unified_agents.tools.definition import Tool
from unified_agents_comparisons.bfcl.matching import acceptable
from unified_agents_comparisons.scoring import validation_fault
from unified_agents_comparisons.suite.bfcl_truth import Asked, Truth

Mutation = Literal["call_dropped", "call_added", "value_changed", "wrong_type", "required_missing", "wrong_function"]
MUTATIONS: tuple[Mutation, ...] = get_args(Mutation)

_WRONG_TEXT = "of another type"
_WRONG_NUMBER = 8191
_NUMBERS = (1, 2, 3, 5, 10, 101, -1)


def mutated(truth: Truth, tools: Mapping[str, Tool]) -> dict[Mutation, tuple[Asked, ...]]:
    """Return the oracle's calls after each change that applies to the entry.

    In each but the first two one call is changed. A changed value fits the schema, so that only the score can tell; a
    value of the wrong type and a missing required parameter are refused before the tool runs.

    Args:
        truth: The entry's expectation.
        tools: The entry's tools by name.
    """
    calls = truth.oracle()
    first = next(iter(tools.values()))
    added = calls[-1:] or (Asked(first.name, _sample(first.parameters)),)
    found: dict[Mutation, tuple[Asked, ...] | None] = {
        "call_dropped": calls[:-1] if calls else None,
        "call_added": (*calls, *added),
        "value_changed": _first(calls, lambda call: _value_changed(call, truth, tools)),
        "wrong_type": _first(calls, lambda call: _wrong_type(call, truth)),
        "required_missing": _first(calls, lambda call: _required_missing(call, tools)),
        "wrong_function": _first(calls, lambda call: _wrong_function(call, tools)),
    }
    return {kind: changed for kind, changed in found.items() if changed is not None}


def _first(calls: Sequence[Asked], changes: Callable[[Asked], Iterator[Asked]]) -> tuple[Asked, ...] | None:
    """Return the calls with the first change of a call that is possible; None where none is."""
    for at, call in enumerate(calls):
        changed = next(changes(call), None)
        if changed is not None:
            return (*calls[:at], changed, *calls[at + 1 :])
    return None


def _value_changed(call: Asked, truth: Truth, tools: Mapping[str, Tool]) -> Iterator[Asked]:
    tool = tools.get(call.name)
    if tool is None:
        return
    properties = tool.parameters["properties"]
    for name, value in call.arguments.items():
        for other in _others(value, properties[name]) if name in properties else ():
            changed = call.arguments | {name: other}
            fits = validation_fault(tool, orjson.dumps(changed).decode()) is None
            if fits and not _accepted(truth, call.name, name, other):
                yield Asked(call.name, changed)


def _wrong_type(call: Asked, truth: Truth) -> Iterator[Asked]:
    for name in call.arguments:
        documented = [_property(document, name) for _, _, document in truth.expected() if document]
        kind = next((schema["type"] for schema in documented if schema), "any")
        wrong = _WRONG_NUMBER if kind == "string" else _WRONG_TEXT
        if kind != "any" and not _accepted(truth, call.name, name, wrong):
            yield Asked(call.name, call.arguments | {name: wrong})


def _required_missing(call: Asked, tools: Mapping[str, Tool]) -> Iterator[Asked]:
    required = tools[call.name].parameters.get("required", ()) if call.name in tools else ()
    for name in required:
        if name in call.arguments:
            yield Asked(call.name, {key: value for key, value in call.arguments.items() if key != name})


def _wrong_function(call: Asked, tools: Mapping[str, Tool]) -> Iterator[Asked]:
    yield Asked(next((name for name in tools if name != call.name), f"{call.name}_2"), call.arguments)


def _accepted(truth: Truth, function: str, name: str, value: Any) -> bool:
    """Tell whether any expected call of the function takes a value: a change into one of these proves nothing."""
    return any(
        acceptable(value, schema, answers[name])
        for expected, answers, document in truth.expected()
        if expected == function and name in answers and (schema := _property(document, name))
    )


def _property(document: JsonObject | None, name: str) -> JsonObject | None:
    found: JsonObject | None = (document or {}).get("parameters", {}).get("properties", {}).get(name)
    return found


def _others(value: Any, schema: JsonObject) -> Iterator[Any]:
    """Yield other values of the same type, likely ones first."""
    yield from (one for one in schema.get("enum", ()) if one != value)
    match value:
        case bool():
            yield not value
        case int() | float():
            yield from (value + number for number in _NUMBERS)
        case str():
            yield from (f"{value} otherwise", "otherwise", "2001-02-03")
        case list():
            items = schema.get("items", {})
            for at, part in enumerate(value):
                yield from ([*value[:at], other, *value[at + 1 :]] for other in _others(part, items))
            yield [*value, *(value[-1:] or [_sample(items)])]
        case dict():
            properties = schema.get("properties", {})
            for key, part in value.items():
                yield from (value | {key: other} for other in _others(part, properties.get(key, {})))


def _sample(schema: JsonObject) -> Any:
    """Return a value that fits a schema of the kind that BFCL has."""
    if schema.get("enum"):
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            properties = schema.get("properties", {})
            return {name: _sample(properties.get(name, {})) for name in schema.get("required", ())}
        case "array":
            return [_sample(schema.get("items", {}))]
        case "integer" | "number":
            return 1
        case "boolean":
            return True
        case _:
            return "text"
