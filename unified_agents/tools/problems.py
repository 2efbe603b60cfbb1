"""What is wrong with a call's arguments, in lines for the model: the same words for both validators."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError as SchemaError
    from pydantic_core import ErrorDetails

_SHOWN = 80
_LINES = 20
_LINE = 600
_PLAIN_KEY = re.compile(r"[\w$-]{1,64}")

_TYPES = {
    "integer": "an integer",
    "number": "a number",
    "string": "a string",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_RULES = {
    "minimum": "must be at least {}",
    "exclusiveMinimum": "must be greater than {}",
    "maximum": "must be at most {}",
    "exclusiveMaximum": "must be less than {}",
    "multipleOf": "must be a multiple of {}",
    "minLength": "must have at least {} characters",
    "maxLength": "must have at most {} characters",
    "minItems": "must have at least {} items",
    "maxItems": "must have at most {} items",
    "pattern": "must match {}",
    "format": "must be a valid {}",
}
_PYDANTIC_TYPES = {
    "int_type": "integer",
    "int_from_float": "integer",
    "float_type": "number",
    "string_type": "string",
    "bool_type": "boolean",
    "list_type": "array",
    "tuple_type": "array",
    "set_type": "array",
    "frozen_set_type": "array",
    "dict_type": "object",
    "model_type": "object",
    "dataclass_type": "object",
    "model_attributes_type": "object",
    "none_required": "null",
}
_PYDANTIC_RULES = {
    "greater_than_equal": ("minimum", "ge"),
    "greater_than": ("exclusiveMinimum", "gt"),
    "less_than_equal": ("maximum", "le"),
    "less_than": ("exclusiveMaximum", "lt"),
    "multiple_of": ("multipleOf", "multiple_of"),
    "string_too_short": ("minLength", "min_length"),
    "string_too_long": ("maxLength", "max_length"),
    "too_short": ("minItems", "min_length"),
    "too_long": ("maxItems", "max_length"),
    "string_pattern_mismatch": ("pattern", "pattern"),
}
_PYDANTIC_EXTRA = frozenset({"extra_forbidden", "unexpected_keyword_argument"})
_PYDANTIC_MISSING = frozenset({"missing", "missing_argument", "missing_keyword_only_argument"})

Path = tuple[str | int, ...]
Fault = tuple[Path, str, str]
"""Where it is, what was given, what is allowed."""


def shown(value: object) -> str:
    """A JSON value, cut to 80 characters."""
    return shortened(json.dumps(value, ensure_ascii=False, default=repr))


def shortened(text: str) -> str:
    """Text cut to 80 characters, on one line, which can be encoded."""
    return _one_line(text, _SHOWN).encode("utf-8", "backslashreplace").decode()


def _one_line(text: str, longest: int) -> str:
    return " ".join((text if len(text) <= longest else f"{text[: longest - 1]}…").splitlines())


def pydantic_problems(errors: Sequence[ErrorDetails], arguments: object, known: Iterable[str]) -> tuple[str, ...]:
    """Lines for pydantic's errors; those of a union's branches are joined where they are at the same place.

    Args:
        errors: From `ValidationError.errors()`.
        arguments: What was validated.
        known: The arguments that there are.
    """
    return _limited(_lines(_pydantic_fault(error, arguments, known) for error in errors))


def schema_problems(errors: Iterable[SchemaError], known: Iterable[str]) -> tuple[str, ...]:
    """Lines for the errors of jsonschema-rs, whose messages must have been masked with `it`.

    Args:
        errors: From `iter_errors`.
        known: The arguments that there are.
    """
    return _limited(line for error in errors for line in _lines(_schema_faults(error, known)))


def _limited(lines: Iterable[str]) -> tuple[str, ...]:
    unique = tuple(dict.fromkeys(_one_line(line, _LINE) for line in lines))
    return unique if len(unique) <= _LINES else (*unique[:_LINES], f"and {len(unique) - _LINES} more")


def _lines(faults: Iterable[Fault]) -> Iterator[str]:
    """A line for each place: several faults at one place are the branches of a union."""
    rules: dict[tuple[Path, str], list[str]] = {}
    for path, given, rule in faults:
        rules.setdefault((path, given), []).append(rule)
    for (path, given), texts in rules.items():
        yield f"{place(path)}: {given}, {_either(texts)}"


def place(path: Path) -> str:
    """A path as it is told to the model, such as `items[0].name`."""
    return "".join(map(_step, path)).removeprefix(".") or "arguments"


def _step(part: str | int) -> str:
    return f".{part}" if isinstance(part, str) and _PLAIN_KEY.fullmatch(part) else f"[{shown(part)}]"


def _either(rules: Sequence[str]) -> str:
    first, *others = dict.fromkeys(rules)
    if first.startswith("must be ") and all(rule.startswith("must be ") for rule in others):
        others = [rule.removeprefix("must be ") for rule in others]
    return " or ".join([first, *others])


def _given(value: object) -> str:
    return f"{shown(value)} given"


def _unknown(path: Path, known: Iterable[str]) -> str:
    if len(path) > 1:
        return "not allowed here"
    return f"no such argument; there are {', '.join(known)}" if [*known] else "no such argument; there are none"


def _place(error: ErrorDetails, arguments: object) -> tuple[Path, Any]:
    """Where the error is: pydantic puts the branches of unions among the keys, and these are left out."""
    path: list[str | int] = []
    value: Any = arguments
    for index, part in enumerate(error["loc"]):
        if _has(value, part):
            value = value[part]
        elif error["type"] not in _PYDANTIC_MISSING or index < len(error["loc"]) - 1:
            continue
        path.append(part)
    return tuple(path), value


def _has(value: object, part: str | int) -> bool:
    if isinstance(value, list):
        return isinstance(part, int) and part < len(value)
    return isinstance(value, dict) and part in value


def _pydantic_fault(error: ErrorDetails, arguments: object, known: Iterable[str]) -> Fault:
    path, value = _place(error, arguments)
    kind, context = error["type"], error.get("ctx", {})
    if kind in _PYDANTIC_MISSING:
        return path, "missing", "required"
    if kind in _PYDANTIC_EXTRA:
        return path, _given(value), _unknown(path, known)
    if kind in _PYDANTIC_TYPES:
        return path, _given(value), _rule("type", _PYDANTIC_TYPES[kind])
    if kind in _PYDANTIC_RULES:
        keyword, key = _PYDANTIC_RULES[kind]
        return path, _given(value), _rule(keyword, context[key])
    message = error["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    if kind in {"enum", "literal_error"} and '"' not in message:
        message = message.replace("'", '"')
    return path, _given(value), message.replace("Input should ", "must ", 1)


def _schema_faults(error: SchemaError, known: Iterable[str]) -> Iterator[Fault]:
    path, keyword, limit = tuple(error.instance_path), error.kind.name, error.kind.value
    instance: Any = error.instance
    branches: Any = getattr(error.kind, "context", ())
    if any(branches):
        for inner in (inner for branch in branches for inner in branch):
            yield from _schema_faults(inner, known)
    elif keyword in {"required", "dependentRequired"}:
        yield (*path, limit), "missing", "required"
    elif keyword in {"additionalProperties", "unevaluatedProperties"}:
        for name in limit:
            yield (*path, name), _given(instance[name]), _unknown((*path, name), known)
    else:
        yield path, _given(instance), _rule(keyword, limit) or error.message


def _rule(keyword: str, limit: Any) -> str:
    """What a keyword asks for; empty for keywords that have no words here."""
    if keyword == "type":
        return "must be " + " or ".join(_TYPES[name] for name in ([limit] if isinstance(limit, str) else limit))
    if keyword == "enum":
        return "must be " + " or ".join(map(shown, limit))
    if keyword == "const":
        return f"must be {shown(limit)}"
    return _RULES[keyword].format(limit) if keyword in _RULES else ""
