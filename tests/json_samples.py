"""Values that fit a JSON Schema, made by chance from a seed."""

from __future__ import annotations

import random
import re
import string
import warnings
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st
from hypothesis.errors import NonInteractiveExampleWarning

from unified_agents.tools.schema_validator import make_validator

TRIES = 40
MAX_DEPTH = 5
LETTERS = string.ascii_letters + string.digits
AWKWARD = "é ü&=+%#?/\\\"'<>:;@!$()*~^`{}[]"
"""Characters that must be escaped somewhere; no comma and no pipe, which delimit lists."""
FORMATS = {
    "date": "2024-02-29",
    "date-time": "2024-02-29T12:30:00Z",
    "time": "12:30:00Z",
    "duration": "P1D",
    "email": "ada@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/a?b=c",
    "uri-reference": "/a?b=c",
    "iri": "https://example.com/ü",
    "idn-hostname": "example.com",
    "idn-email": "ada@example.com",
    "json-pointer": "/a/0",
    "relative-json-pointer": "1/a",
    "uri-template": "/a/{b}",
    "url": "https://example.com/a?b=c",
    "uuid": "123e4567-e89b-12d3-a456-426614174000",
    "byte": "aGVsbG8=",
    "base64": "aGVsbG8=",
}


def sample(schema: Mapping[str, Any], seed: str) -> Any:
    """Return a value that fits a schema with `$defs` of its own; None where none was found."""
    validator = make_validator(dict(schema), "sample")
    for attempt in range(TRIES):
        value = _Sampler(schema, random.Random(f"{seed} {attempt}"), is_plain=attempt > TRIES / 2).value(schema, 0)
        if validator.is_valid(value):
            return value
    return None


class _Sampler:
    def __init__(self, root: Mapping[str, Any], chance: random.Random, *, is_plain: bool) -> None:
        self._root = root
        self._chance = chance
        self._is_plain = is_plain  # only what is required, to find a value for a schema of many conditions

    def value(self, schema: Any, depth: int) -> Any:
        if not isinstance(schema, Mapping):
            return self._text({})
        schema = self._flat(schema, depth)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._chance.choice(schema["enum"])
        match self._type(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "integer" | "number" as kind:
                return self._number(schema, kind)
            case "boolean":
                return self._chance.random() < 0.5
            case "null":
                return None
            case _:
                return self._text(schema)

    def _flat(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        """Return a schema with its references followed, its parts merged, and one of its alternatives chosen."""
        flat = dict(schema)
        for _ in range(50):
            if "$ref" in flat:
                flat = self._merged(self._root["$defs"][flat.pop("$ref").removeprefix("#/$defs/")], flat)
            elif "allOf" in flat:
                for part in flat.pop("allOf"):
                    flat = self._merged(flat, self._flat(part, depth) if isinstance(part, Mapping) else {})
            elif key := next((key for key in ("oneOf", "anyOf") if key in flat), None):
                branches = [branch for branch in flat.pop(key) if isinstance(branch, Mapping)]
                plain = [branch for branch in branches if "$ref" not in branch and branch.get("type") != "null"]
                chosen = plain if depth > MAX_DEPTH and plain else branches
                flat = self._merged(flat, self._chance.choice(chosen)) if chosen else flat
            else:
                break
        return flat

    @staticmethod
    def _merged(first: Any, second: Mapping[str, Any]) -> dict[str, Any]:
        if not isinstance(first, Mapping):
            return dict(second)
        merged = {**first, **second}
        for key in ("properties", "required", "allOf"):
            if key in first and key in second:
                both = (first[key], second[key])
                merged[key] = {**both[0], **both[1]} if key == "properties" else [*both[0], *both[1]]
        if "enum" in first and "enum" in second:
            merged["enum"] = [item for item in first["enum"] if item in second["enum"]] or first["enum"]
        return merged

    def _type(self, schema: Mapping[str, Any]) -> str:
        kind = schema.get("type")
        if isinstance(kind, list):
            several = [name for name in kind if name != "null"]
            return str(self._chance.choice(several or kind))
        if kind is not None:
            return str(kind)
        if {"properties", "additionalProperties", "required"} & schema.keys():
            return "object"
        return "array" if "items" in schema else "string"

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties, required = schema.get("properties", {}), schema.get("required", ())
        share = 0.0 if self._is_plain or depth > MAX_DEPTH else (0.7, 0.5, 0.3, 0.2, 0.1, 0.1)[depth]
        names = [name for name in properties if name in required or self._chance.random() < share]
        names += [name for name in required if name not in properties]
        for name in self._chance.sample(list(properties), len(properties)):
            if len(names) < schema.get("minProperties", 0) and name not in names:
                names.append(name)
        value = {name: self.value(properties.get(name, {}), depth + 1) for name in names}
        further = schema.get("additionalProperties", True)
        if further is not False and not properties and not self._is_plain:
            for _ in range(self._chance.randint(0, 2)):
                value[self._word()] = self.value(further if isinstance(further, Mapping) else {}, depth + 1)
        while len(value) < schema.get("minProperties", 0):
            value[self._word()] = self.value(further if isinstance(further, Mapping) else {}, depth + 1)
        return value

    def _array(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        least = schema.get("minItems", 1 if depth <= MAX_DEPTH else 0)
        most = min(schema.get("maxItems", least + 2), least + 2)
        items = [
            self.value(schema.get("items", {}), depth + 1) for _ in range(self._chance.randint(least, max(least, most)))
        ]
        if not schema.get("uniqueItems"):
            return items
        return [item for index, item in enumerate(items) if item not in items[:index]]

    def _number(self, schema: Mapping[str, Any], kind: str) -> float:
        low = schema.get("minimum", schema.get("exclusiveMinimum"))
        high = schema.get("maximum", schema.get("exclusiveMaximum"))
        low = (0 if high is None or high > 0 else high - 100) if low is None else low
        high = low + 100 if high is None else min(high, low + 1000)
        step = schema.get("multipleOf")
        if step:
            return type(step)(step * self._chance.randint(-(-low // step).__int__(), int(high // step)))
        number = self._chance.randint(
            int(low) + ("exclusiveMinimum" in schema), max(int(low) + 1, int(high) - ("exclusiveMaximum" in schema))
        )
        number = min(number, high)
        return int(number) if kind == "integer" else number + (0.5 if number + 0.5 <= high else 0)

    def _text(self, schema: Mapping[str, Any]) -> str:
        pattern = schema.get("pattern")
        written = FORMATS.get(schema.get("format", ""))
        if written is not None and (pattern is None or re.search(pattern, written)):
            return written
        if pattern is not None:
            return self._matching(pattern, schema)
        least, most = schema.get("minLength", 1), schema.get("maxLength", 12)
        length = self._chance.randint(least, max(least, min(most, least + 12)))
        letters = LETTERS if self._is_plain else LETTERS + AWKWARD
        return "".join(self._chance.choice(letters) for _ in range(length))

    def _matching(self, pattern: str, schema: Mapping[str, Any]) -> str:
        alphabet = st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=",|.")
        least, most = schema.get("minLength", 0), schema.get("maxLength", 1_000_000)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NonInteractiveExampleWarning)
                matching = st.from_regex(pattern, alphabet=alphabet)
                return matching.filter(lambda text: least <= len(text) <= most).example()
        except Exception:  # of `re`, for a dialect that it does not know
            return self._word()

    def _word(self) -> str:
        return "".join(self._chance.choice(LETTERS) for _ in range(6))
