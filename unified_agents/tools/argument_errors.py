"""The faults of a call's arguments as lines for the model, in the same words for both validators."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from unified_agents import wording
from unified_agents.messages import JsonObject

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError as SchemaError
    from pydantic_core import ErrorDetails

MAX_VALUE_CHARS = 80
MAX_LINES = 20
MAX_LINE_CHARS = 600
_PLAIN_KEY = re.compile(r"[\w$-]{1,64}")

_JSON_WORDS = {"True": "true", "False": "false", "None": "null"}
_PYTHON_WORD = re.compile(r"'[^']*'|\b(?:True|False|None)\b")

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
"""The place of a fault, the value that stands there, and what is allowed there."""


def shown(value: object) -> str:
    """Return a value as JSON, cut to 80 characters."""
    return shortened(json.dumps(value, ensure_ascii=False, default=repr))


def shortened(text: str) -> str:
    """Return a text on one line, cut to 80 characters, without what cannot be encoded."""
    return _one_line(text, MAX_VALUE_CHARS).encode("utf-8", "backslashreplace").decode()


def _one_line(text: str, longest: int) -> str:
    return " ".join((text if len(text) <= longest else text[: longest - 1] + wording.CUT_MARK).splitlines())


def pydantic_problems(
    errors: Sequence[ErrorDetails], arguments: object, known: Iterable[str], *, of_answer: bool = False
) -> tuple[str, ...]:
    """Return a line for each of pydantic's errors; those of a union's branches at one place share a line.

    Args:
        errors: From `ValidationError.errors()`.
        arguments: What was validated.
        known: The names of the arguments that the tool has.
        of_answer: Whether a final answer was validated, and not arguments.
    """
    unknown = _unknown(known, of_answer)
    return _limited(_lines((_pydantic_fault(error, arguments, unknown) for error in errors), of_answer))


def schema_problems(
    errors: Iterable[SchemaError], known: Iterable[str], schema: JsonObject, *, of_answer: bool = False
) -> tuple[str, ...]:
    """Return a line for each error of jsonschema-rs, whose messages must have been masked with `it`.

    Args:
        errors: From `iter_errors`.
        known: The names of the arguments that the tool has.
        schema: The schema that found the errors.
        of_answer: Whether a final answer was validated, and not arguments.
    """
    unknown = _unknown(known, of_answer)
    return _limited(line for error in errors for line in _lines(_schema_faults(error, unknown, schema), of_answer))


def _limited(lines: Iterable[str]) -> tuple[str, ...]:
    unique = tuple(dict.fromkeys(_one_line(line, MAX_LINE_CHARS) for line in lines))
    return unique if len(unique) <= MAX_LINES else (*unique[:MAX_LINES], wording.more_problems(len(unique) - MAX_LINES))


def _lines(faults: Iterable[Fault], of_answer: bool) -> Iterator[str]:
    """Make a line for each place: several faults at one place are the branches of a union."""
    rules: dict[tuple[Path, str], list[str]] = {}
    for path, given, rule in faults:
        rules.setdefault((path, given), []).append(rule)
    for (path, given), texts in rules.items():
        where = wording.WHOLE_ANSWER if of_answer and not path else place(path)
        yield wording.problem(where, given, wording.either(list(dict.fromkeys(texts))))


def place(path: Path) -> str:
    """Return a path as the model reads it, such as `items[0].name`."""
    return "".join(map(_step, path)).removeprefix(".") or wording.ALL_ARGUMENTS


def _step(part: str | int) -> str:
    return f".{part}" if isinstance(part, str) and _PLAIN_KEY.fullmatch(part) else f"[{shown(part)}]"


def _given(value: object) -> str:
    return wording.given(shown(value))


def _unknown(known: Iterable[str], of_answer: bool) -> str:
    return wording.no_such_key(list(known)) if of_answer else wording.no_such_argument(list(known))


def _not_allowed(path: Path, unknown: str) -> str:
    return wording.not_allowed() if len(path) > 1 else unknown


def _place(error: ErrorDetails, arguments: object) -> tuple[Path, Any]:
    """Return the place of an error and the value there, without the branches of unions that pydantic adds to it."""
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


def _pydantic_fault(error: ErrorDetails, arguments: object, unknown: str) -> Fault:
    path, value = _place(error, arguments)
    kind, context = error["type"], error.get("ctx", {})
    if kind in _PYDANTIC_MISSING:
        return path, wording.missing(), wording.required()
    if kind in _PYDANTIC_EXTRA:
        return path, _given(value), _not_allowed(path, unknown)
    if kind in _PYDANTIC_TYPES:
        return path, _given(value), wording.of_type([_PYDANTIC_TYPES[kind]])
    if kind in _PYDANTIC_RULES:
        keyword, key = _PYDANTIC_RULES[kind]
        return path, _given(value), wording.rule(keyword, context[key])
    message = error["msg"]
    if kind in {"enum", "literal_error"} and '"' not in message:
        message = _PYTHON_WORD.sub(lambda found: _JSON_WORDS.get(found[0], found[0]), message).replace("'", '"')
    return path, _given(value), wording.validators_words(message)


def _schema_faults(error: SchemaError, unknown: str, schema: JsonObject) -> Iterator[Fault]:
    kind: Any = error.kind
    path, keyword, limit = tuple(error.instance_path), kind.name, kind.value
    instance: Any = error.instance
    branches = getattr(kind, "context", ())
    if branches and all(branches):  # one that is empty fits: then too many do
        for inner in (inner for branch in branches for inner in branch):
            yield from _schema_faults(inner, unknown, schema)
    elif keyword in {"required", "dependentRequired"}:
        yield (*path, limit), wording.missing(), wording.required()
    elif keyword in {"additionalProperties", "unevaluatedProperties"}:
        required = _at(schema, error.schema_path)
        for name in limit:
            allowed = wording.fits(shown(required)) if required else _not_allowed((*path, name), unknown)
            yield (*path, name), _given(instance[name]), allowed
    elif keyword == "propertyNames":
        name = kind.error.instance
        for _, _, rule in _schema_faults(kind.error, unknown, schema):
            yield (*path, name), wording.given_name(shown(name)), rule
    else:
        rule = _rule(keyword, limit) or _rule_of_parts(error, schema) or wording.validators_words(error.message)
        yield path, _given(instance), rule


def _rule(keyword: str, limit: Any) -> str | None:
    """Say what a keyword by itself asks for; None for keywords that have no words of their own."""
    if keyword == "type":
        return wording.of_type([limit] if isinstance(limit, str) else limit)
    if keyword in {"enum", "const"}:
        return wording.one_of([shown(value) for value in (limit if keyword == "enum" else [limit])])
    if keyword == "falseSchema":
        return wording.not_allowed()
    return wording.rule(keyword, limit) if keyword in wording.RULES else None


def _rule_of_parts(error: SchemaError, schema: JsonObject) -> str | None:
    """Say what a keyword that holds schemas asks for; None for any other."""
    keyword, limit, path = error.kind.name, error.kind.value, error.schema_path
    stated = _at(schema, path)
    if keyword == "not":
        return _opposite(limit)
    if keyword == "contains":
        return _contains(_at(schema, path[:-1]), is_most=path[-1] == "maxContains")
    if keyword == "oneOf" and stated:
        fitting = [shown(branch) for branch, errors in zip(stated, limit, strict=True) if not errors]
        return wording.fits_one(fitting)
    if keyword == "unevaluatedItems":
        items = [shortened(item) for item in limit]
        return wording.items_fit(items, shown(stated)) if stated else wording.without_items(items)
    return None


def _opposite(schema: Any) -> str:
    """Say what the keyword `not` asks for: in words where its schema is one keyword that has some."""
    if not isinstance(schema, dict) or not schema:
        return wording.not_allowed()
    keyword, limit = next(iter(schema.items()))
    rule = _rule(keyword, limit) if len(schema) == 1 else None
    return wording.must_not(rule or wording.fits(shown(schema)))


def _contains(schema: JsonObject | None, *, is_most: bool) -> str | None:
    if schema is None:
        return None
    inner = shown(schema["contains"])
    if is_most:
        return wording.holds_at_most(schema["maxContains"], inner)
    return wording.holds_at_least(schema.get("minContains", 1), inner)


def _at(schema: JsonObject, path: Iterable[str | int]) -> Any:
    """Return what stands at a place in a schema; None where the place is in another schema."""
    value: Any = schema
    for part in path:
        try:
            value = value[part]
        except (LookupError, TypeError):
            return None
    return value
