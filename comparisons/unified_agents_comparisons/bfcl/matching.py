"""BFCL's own matching rules, as its reference checker has them, for Python.

They are kept with their oddities, so that a score here is a score there: values are compared with Python's `==`, the
items of a list are checked one level deep, and an empty list counts as one that was left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from unified_agents.messages import JsonObject
from unified_agents_comparisons.suite.bfcl_truth import LEFT_OUT, Asked, Truth

_PYTHON: Mapping[str, type] = {
    "string": str,
    "integer": int,
    "float": float,
    "boolean": bool,
    "array": list,
    "tuple": list,
    "dict": dict,
    "any": str,
}
_IGNORED = re.compile(r"[ ,./\-_*^]")
MAX_SHOWN = 120


def mismatch(truth: Truth, calls: Sequence[Asked]) -> str | None:
    """Say in one line why calls are not those of an entry; None when they are."""
    if len(calls) != len(truth.calls):
        return f"{len(calls)} calls were asked for, expected {len(truth.calls)}"
    unmatched = list(calls)
    for name, answers, document in truth.expected():
        if document is None:
            return f"the entry expects {name}, which it does not document"
        candidates = unmatched if truth.unordered else unmatched[:1]
        faults = [call_fault(call, document, answers) for call in candidates]
        if None not in faults:
            return f"no call of {name} as expected: {faults[0]}"
        unmatched.pop(faults.index(None))
    return None


def call_fault(call: Asked, document: JsonObject, answers: JsonObject) -> str | None:
    """Say why a call is not the expected one of a documented function; None when it is."""
    if call.name != document["name"]:
        return f"{call.name} was called"
    if not isinstance(call.arguments, dict):
        return f"the arguments of {call.name} are no JSON object"
    schema = document["parameters"]
    properties = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in call.arguments:
            return f"the required parameter {name} is missing"
    for name, value in call.arguments.items():
        if name not in properties or name not in answers:
            return f"the parameter {name} is not expected"
        if not acceptable(value, properties[name], answers[name]):
            return f"the parameter {name} is {_shown(value)}, acceptable: {_shown(answers[name])}"
    missing = [name for name in answers if name not in call.arguments and LEFT_OUT not in answers[name]]
    return f"the parameter {missing[0]} is missing" if missing else None


def acceptable(value: Any, schema: JsonObject, answers: Sequence[Any]) -> bool:
    """Tell whether a parameter's value has the documented type, or else that of the answers, and is one of these.

    Args:
        value: What the model gave, as JSON.
        schema: The parameter's document, in BFCL's types.
        answers: The acceptable values.
    """
    wanted = _PYTHON.get(schema["type"])
    items = _PYTHON.get(schema["items"]["type"]) if wanted is list else None
    if schema["type"] == "float" and type(value) is int:
        value = float(value)
    fits, otherwise_typed = _typed(value, answers, wanted, items)
    if not fits:
        return False
    if not otherwise_typed:
        if wanted is dict:
            return any(_dict_fits(value, answer) for answer in answers)
        if wanted is list and items is dict:
            return any(_dicts_fit(value, answer) for answer in answers)
        if wanted is str:
            return _standard(value) in [_standard(answer) for answer in answers if isinstance(answer, str)]
        if wanted is list:
            return _standard_items(value) in [_standard_items(answer) for answer in answers]
    return value in answers


def _typed(value: Any, answers: Sequence[Any], wanted: type | None, items: type | None) -> tuple[bool, bool]:
    """Tell whether the type fits, and whether it is the answers' type instead of the documented one."""
    first = next((type(answer) for answer in answers if answer != LEFT_OUT), None)
    otherwise = first is not None and first is not wanted
    if type(value) is not wanted:
        return type(value) is first, True
    if items is None:
        return True, otherwise
    return any(_items_fit(value, answer, items) for answer in answers), otherwise


def _items_fit(value: Any, answer: Any, items: type) -> bool:
    return not isinstance(answer, list) or all(_typed(item, answer, items, None)[0] for item in value)


def _dict_fits(value: Any, answer: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(answer, dict):
        return False
    known = all(key in answer and _standard(part) in _standard_items(answer[key]) for key, part in value.items())
    return known and all(key in value or LEFT_OUT in accepted for key, accepted in answer.items())


def _dicts_fit(value: Sequence[Any], answer: Any) -> bool:
    return len(value) == len(answer) and all(map(_dict_fits, value, answer))


def _standard(value: Any) -> Any:
    """Return a text without case, spaces, some punctuation and the kind of quotes; other values as they are."""
    return _IGNORED.sub("", value).lower().replace("'", '"') if isinstance(value, str) else value


def _standard_items(value: Any) -> list[Any]:
    return [_standard(item) for item in value]


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
