"""The forms of elicitation: which an MCP server may ask for, and which answers fit them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from unified_agents.elicitation import Elicitation
from unified_agents.errors import ToolDefinitionError, ToolFailedError
from unified_agents.messages import JsonObject
from unified_agents.tools.schema_validator import make_validator

MAX_MESSAGE_CHARS = 8_000
MAX_SCHEMA_CHARS = 32_000
MAX_FIELDS = 64
MAX_ANSWER_CHARS = 64_000

_FIELDS = frozenset({"string", "number", "integer", "boolean", "array"})
_WITH_FORMATS = "http://json-schema.org/draft-07/schema#"
"""The dialect whose validator checks `format` too."""


class UnansweredElicitationError(ToolFailedError):
    """A call was given up in the middle, because its server asks what nobody has answered yet.

    Attributes:
        elicitation: What it asks.
    """

    def __init__(self, message: str, elicitation: Elicitation) -> None:
        super().__init__(message)
        self.elicitation = elicitation


def checked_elicitation(server: str, message: str, schema: JsonObject) -> Elicitation:
    """Return what a server asks.

    Args:
        server: The server's name in the config.
        message: The server's message.
        schema: The form that it wants filled in.

    Raises:
        ValueError: it is too long, or no flat form; the message says so to the server.
    """
    if len(message) > MAX_MESSAGE_CHARS:
        raise ValueError(f"the message has more than {MAX_MESSAGE_CHARS} characters")
    try:
        length = len(json.dumps(schema, allow_nan=False))
    except (ValueError, RecursionError) as error:
        raise ValueError("requestedSchema is no plain JSON") from error
    if length > MAX_SCHEMA_CHARS:
        raise ValueError(f"requestedSchema has more than {MAX_SCHEMA_CHARS} characters")
    fields = schema.get("properties")
    if schema.get("type") != "object" or not isinstance(fields, dict):
        raise ValueError("requestedSchema is no object with properties")
    if len(fields) > MAX_FIELDS:
        raise ValueError(f"requestedSchema has more than {MAX_FIELDS} properties")
    for name, field in fields.items():
        _check_field(name, field)
    elicitation = Elicitation(server=server, message=message, requested_schema=schema)
    try:
        answer_problems(elicitation, {})
    except ToolDefinitionError as error:
        raise ValueError("requestedSchema is no valid JSON Schema") from error
    return elicitation


def _check_field(name: str, field: object) -> None:
    kind = field.get("type") if isinstance(field, dict) else None
    if not isinstance(kind, str) or kind not in _FIELDS:
        raise ValueError(f"property {name!r:.80} is no text, number, boolean or choice")
    if isinstance(field, dict) and kind == "array" and choices_of(field) is None:
        raise ValueError(f"property {name!r:.80} is a list of other things than given choices")


def choices_of(field: Mapping[str, Any]) -> dict[str, str] | None:
    """Return the values that a field may have, or the items of its list, each with its title; None for any value."""
    items = field.get("items") if field.get("type") == "array" else field
    if not isinstance(items, dict):
        return None
    titled = items.get("oneOf", items.get("anyOf"))
    if isinstance(titled, list):
        consts = [one for one in titled if isinstance(one, dict) and isinstance(one.get("const"), str)]
        if len(consts) < len(titled):
            return None
        return {one["const"]: str(one.get("title", one["const"])) for one in consts}
    values = items.get("enum")
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        return None
    names = items.get("enumNames")
    titles = names if isinstance(names, list) and len(names) == len(values) else values
    return dict(zip(values, map(str, titles), strict=True))


def answer_problems(elicitation: Elicitation, content: Mapping[str, Any]) -> list[str]:
    """Return a line for each fault of an answer; no line tells a value of it."""
    try:
        length = len(json.dumps(dict(content), allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        return ["the answer must be plain JSON values"]
    if length > MAX_ANSWER_CHARS:
        return [f"the answer has more than {MAX_ANSWER_CHARS} characters"]
    schema = {**elicitation.requested_schema, "$schema": _WITH_FORMATS}
    fields = schema["properties"]
    problems = [f"{name!r:.80}: the form has no such field" for name in content if name not in fields]
    for error in make_validator(schema, elicitation.server).iter_errors(dict(content)):
        place = ".".join(map(str, error.instance_path))
        problems.append(f"{place}: {error.message}" if place else error.message)
    return problems
