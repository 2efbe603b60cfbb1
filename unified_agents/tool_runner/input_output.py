"""Both ends of a tool call: its arguments as the handler takes them, and its result as the model reads it."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from unified_agents import wording
from unified_agents.errors import InvalidInputError, ToolFailedError
from unified_agents.messages import JsonObject
from unified_agents.tools.arguments import broken_validator
from unified_agents.tools.coercion import AcceptedArguments
from unified_agents.tools.definition import Tool
from unified_agents.tools.parts import Part
from unified_agents.tools.results import to_content

_IMMUTABLE = frozenset({str, int, float, bool, type(None)})


def accept_arguments(tool: Tool, text: str) -> AcceptedArguments:
    """Validate arguments, which are JSON text; what is wrong with them is said as the model reads it.

    Raises:
        InvalidInputError: they do not fit.
        ToolFailedError: a validator of the tool's own types raised what no validator should.
    """
    try:
        return tool.accept(text)
    except InvalidInputError as error:
        raise invalid_arguments(tool.name, error.problems) from error
    except ToolFailedError as error:
        if not isinstance(error.__cause__, Exception):
            raise
        raise broken_validator(tool.name, error.__cause__) from error.__cause__  # it may have been renamed


def recorded(arguments: Mapping[str, Any]) -> JsonObject:
    """Return arguments as they stand in a record, whatever the handler does with those that it is given."""
    return {name: value if type(value) in _IMMUTABLE else _copied(value) for name, value in arguments.items()}


def _copied(value: object) -> object:
    try:
        return copy.deepcopy(value)
    except Exception:
        return value  # an object of the tool's own types that cannot be copied


def invalid_arguments(tool: str, problems: Sequence[str]) -> InvalidInputError:
    """Return the error for arguments that do not fit, with a line for each problem."""
    return InvalidInputError(wording.invalid_arguments(tool, problems), problems=tuple(problems))


def read_result(tool: Tool, value: Any) -> tuple[str, tuple[Part, ...]]:
    """Return a result as text, and as content parts where it has images or files; see `to_content`.

    Raises:
        ToolFailedError: it has no JSON form.
    """
    try:
        return to_content(value, tool.max_result_chars)
    except ToolFailedError as error:
        raise ToolFailedError(wording.unusable_result(tool.name, str(error))) from error
