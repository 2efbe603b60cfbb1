"""The validator of a JSON Schema as it was found: what it cannot check is left unchecked, and logged."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from unified_agents.errors import ToolDefinitionError
from unified_agents.messages import JsonObject
from unified_agents.tools.json_pointer import MissingValueError, resolve_reference

if TYPE_CHECKING:
    from jsonschema_rs import Validator

logger = logging.getLogger("unified_agents.tools")

MAX_EXPANSION = 30_000
"""How often a schema may have one value checked: beyond it, one call could hold the interpreter for seconds."""

_NAMED_SCHEMAS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_VALUES = frozenset({"default", "const", "enum", "examples", "example", "required"})
_SAME_VALUE = ("allOf", "anyOf", "oneOf")
_SAME_VALUE_ONE = ("not", "if", "then", "else", "$ref", "$dynamicRef", "$recursiveRef")
_INNER_VALUES = ("items", "prefixItems", "contains", "additionalProperties", "unevaluatedProperties", "propertyNames")
_ECMA_HYPHEN = re.compile(r"(\\[dswDSW])-")
_ECMA_ESCAPE = re.compile(r"\\[up]\{[^}]*\}")
_EXCLUSIVE = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}


def with_one_dialect(schema: JsonObject) -> JsonObject:
    """Return a schema with draft-04's true and false for `exclusiveMinimum` as later drafts write them."""
    return schema if "draft-04" in str(schema.get("$schema")) else _mapped(schema, _without_flags)


def _without_flags(schema: JsonObject) -> JsonObject:
    for exclusive, limit in _EXCLUSIVE.items():
        if isinstance(schema.get(exclusive), bool):
            is_exclusive = schema.pop(exclusive)
            if is_exclusive and limit in schema:
                schema[exclusive] = schema.pop(limit)
    return schema


def make_validator(schema: JsonObject, tool: str) -> Validator:
    """Make the validator of a schema.

    A pattern that the validator's engine cannot compile and a dialect that nobody knows are left out of what is
    checked, with a warning.

    Raises:
        ToolDefinitionError: it is no valid JSON Schema, refers to another document, or would take too long to check.
    """
    _check_expansion(schema, tool)
    try:
        return _compiled(schema)
    except ValueError:
        checked, unchecked = _checkable(schema)
    try:
        validator = _compiled(checked)
    except ValueError as error:
        raise ToolDefinitionError(f"tool {tool!r}: parameters are no valid JSON Schema: {_reason(error)}") from error
    logger.warning("tool %r: the validator does not know, and does not check: %s", tool, unchecked)
    return validator


def _compiled(schema: JsonObject) -> Validator:
    import jsonschema_rs  # noqa: PLC0415  # only schema tools need it

    try:
        return jsonschema_rs.validator_for(schema, retriever=_refuse_remote, mask="it")
    except jsonschema_rs.ReferencingError as error:
        raise ValueError(str(error)) from error


def _refuse_remote(uri: str) -> NoReturn:
    raise ValueError(f"{uri} is another document: write its schema into $defs")


def _reason(error: Exception) -> str:
    place = "".join(f".{part}" for part in getattr(error, "instance_path", ())).removeprefix(".")
    message = str(getattr(error, "message", error)).partition("\n")[0]
    return f"{place}: {message}" if place else message


def _checkable(schema: JsonObject) -> tuple[JsonObject, str]:
    """Return a copy without what the validator does not know, and what that is, in words; empty for nothing."""
    unchecked: list[str] = []

    def checked(part: JsonObject) -> JsonObject:
        if isinstance(pattern := part.get("pattern"), str) and _is_foreign(pattern):
            unchecked.append(f"the pattern {part.pop('pattern')!r:.100}")
        patterns = part.get("patternProperties")
        for pattern in list(filter(_is_foreign, patterns)) if isinstance(patterns, dict) else ():
            unchecked.append(f"properties named {pattern!r:.100}")
            part["patternProperties"].pop(pattern)
            part.pop("additionalProperties", None)  # it would refuse the very properties that are not checked
            part.pop("unevaluatedProperties", None)
        return part

    copy = _mapped(schema, checked)
    if "$schema" in copy and not _takes({"$schema": copy["$schema"]}):
        unchecked.append(f"the dialect {copy.pop('$schema')!r:.100}, taken as draft 2020-12")
    return copy, "; ".join(unchecked)


def _is_foreign(pattern: str) -> bool:
    """Tell whether a pattern is a regular expression of another engine than the validator's."""
    if _takes({"pattern": pattern}):
        return False
    try:
        re.compile(_ECMA_HYPHEN.sub(r"\1\-", _ECMA_ESCAPE.sub("x", pattern)))
    except (re.error, OverflowError, RecursionError):
        return False
    return True


def _takes(schema: JsonObject) -> bool:
    try:
        _compiled(schema)
    except ValueError:
        return False
    return True


def _mapped(schema: Any, change: Callable[[JsonObject], JsonObject]) -> Any:
    """Return a copy of a schema in which each schema within it is changed."""
    if isinstance(schema, list):
        return [_mapped(item, change) for item in schema]
    if not isinstance(schema, dict):
        return schema
    copy = {
        key: value
        if key in _VALUES
        else {name: _mapped(item, change) for name, item in value.items()}
        if key in _NAMED_SCHEMAS and isinstance(value, dict)
        else _mapped(value, change)
        for key, value in schema.items()
    }
    return change(copy)


def _check_expansion(schema: JsonObject, tool: str) -> None:
    try:
        visits = _Expansion(schema).visits(schema)
    except RecursionError as error:
        raise ToolDefinitionError(f"tool {tool!r}: parameters are nested too deeply") from error
    if visits > MAX_EXPANSION:
        raise ToolDefinitionError(
            f"tool {tool!r}: parameters would have one value checked more than {MAX_EXPANSION:,} times: the branches"
            " of its unions refer to further unions; write fewer alternatives"
        )


class _Expansion:
    """How often a validator may have to check one value, as unions and references multiply.

    Args:
        root: The whole schema.
    """

    def __init__(self, root: JsonObject) -> None:
        self._root = root
        self._known: dict[str, int] = {}

    def visits(self, schema: Any) -> int:
        """Return the number for a schema within the root."""
        if not isinstance(schema, Mapping):
            return 1
        branches = [branch for key in _SAME_VALUE for branch in _items(schema.get(key))]
        branches += _values(schema.get("dependentSchemas"))
        inner = [item for key in ("properties", "patternProperties") for item in _values(schema.get(key))]
        inner += [item for key in _INNER_VALUES for item in _items(schema.get(key))]
        same = [schema[key] for key in _SAME_VALUE_ONE if key in schema]
        total = 1 + sum(self._of(branch) for branch in (*branches, *same))
        return min(total + max(map(self._of, inner), default=0), MAX_EXPANSION + 1)

    def _of(self, part: Any) -> int:
        return self._referred(part) if isinstance(part, str) else self.visits(part)

    def _referred(self, pointer: str) -> int:
        if pointer not in self._known:
            self._known[pointer] = 1  # for references from within itself
            with contextlib.suppress(MissingValueError):
                self._known[pointer] = self.visits(resolve_reference(self._root, pointer))
        return self._known[pointer]


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if isinstance(value, Mapping) else []


def _values(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, Mapping) else []
