"""The policy `lenient`: an argument in the wrong JSON type is converted to the right one, and noted."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unified_agents.errors import InvalidInputError
from unified_agents.messages import JsonObject
from unified_agents.tools.argument_errors import Path, place, shown
from unified_agents.tools.arguments import Arguments, parse_object

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError, Validator

MAX_ROUNDS = 10
_INTEGER = re.compile(r"[+-]?\d{1,300}(\.0+)?")
_TYPES_BY_PREFERENCE = ("integer", "number", "boolean", "null", "object", "array", "string")
_MISSING: Any = object()


@dataclass(slots=True, frozen=True)
class CoercedArgument:
    """One argument that was converted to another JSON type than the model wrote.

    Attributes:
        path: Its place.
        given: What the model wrote.
        taken: What it was converted to.
    """

    path: Path
    given: Any
    taken: Any

    @property
    def place(self) -> str:
        """The path as text, such as `items[0].count`."""
        return place(self.path)

    def __str__(self) -> str:
        return f"{self.place}: {shown(self.given)} taken as {shown(self.taken)}"


@dataclass(slots=True, frozen=True)
class AcceptedArguments:
    """Arguments that fit, ready for the handler.

    Attributes:
        arguments: The keywords.
        coerced: What was converted; empty under `strict`.
    """

    arguments: JsonObject
    coerced: tuple[CoercedArgument, ...] = ()


class LenientArguments:
    """Validation of arguments under the policy `lenient`.

    A text is taken as the number, the truth value, the null, the list or the object that it spells where the schema
    asks for one; a number or a truth value as its text where the schema asks for text; and each as the choice (`enum`,
    `const`) that it spells. Nothing else is changed, and what fits as it is stays as it is.

    Args:
        tool: The tool's name, for messages.
        arguments: The strict validation, which has the last word.
        schema: Gives the canonical JSON Schema.
    """

    __slots__ = ("_arguments", "_schema", "_tool", "_validator")

    def __init__(self, tool: str, arguments: Arguments, schema: Callable[[], JsonObject]) -> None:
        self._tool = tool
        self._arguments = arguments
        self._schema = schema
        self._validator: Validator | None = None

    def accept(self, text: str) -> AcceptedArguments:
        """Return arguments from JSON text.

        Raises:
            InvalidInputError: they do not fit, also after conversion.
        """
        try:
            return AcceptedArguments(self._arguments.validate(text))
        except InvalidInputError:
            arguments = parse_object(text, self._tool)
            coerced = _convert(arguments, self._compiled())
            if not coerced:
                raise
        return AcceptedArguments(self._arguments.validate(json.dumps(arguments)), tuple(coerced.values()))

    def _compiled(self) -> Validator:
        if self._validator is None:
            import jsonschema_rs  # noqa: PLC0415  # only who is lenient needs it

            self._validator = jsonschema_rs.validator_for(self._schema())
        return self._validator


def _convert(arguments: JsonObject, validator: Validator) -> dict[Path, CoercedArgument]:
    """Convert arguments in place where that helps, and return what was converted, by its path."""
    coerced: dict[Path, CoercedArgument] = {}
    for _ in range(MAX_ROUNDS):
        changed = False
        for path, taken in _candidates(list(validator.iter_errors(arguments))):
            if path in coerced:
                continue
            coerced[path] = CoercedArgument(path, _replace(arguments, path, taken), taken)
            changed = True
        if not changed:
            break
    return coerced


def _candidates(errors: Sequence[ValidationError]) -> Iterator[tuple[Path, Any]]:
    for error in errors:
        branches: Any = getattr(error.kind, "context", ())
        for branch in branches:
            yield from _candidates(branch)
        path, keyword, limit = tuple(error.instance_path), error.kind.name, error.kind.value
        taken = _MISSING
        if keyword == "type":
            taken = _in_type(error.instance, [limit] if isinstance(limit, str) else list(limit))
        elif keyword in {"enum", "const"}:
            taken = _in_choice(error.instance, [limit] if keyword == "const" else list(limit))
        if path and taken is not _MISSING:
            yield path, taken


def _replace(value: Any, path: Path, taken: Any) -> Any:
    for part in path[:-1]:
        value = value[part]
    given = value[path[-1]]
    value[path[-1]] = taken
    return given


def _in_type(value: object, types: Sequence[str]) -> Any:
    for name in _TYPES_BY_PREFERENCE:
        if name in types:
            taken = _spelled(value, name) if isinstance(value, str) else _as_text(value, name)
            if taken is not _MISSING:
                return taken
    return _MISSING


def _as_text(value: object, name: str) -> Any:
    return json.dumps(value) if name == "string" and isinstance(value, int | float) else _MISSING


def _spelled(text: str, name: str) -> Any:
    """Return the value that a text spells in a JSON type."""
    text = text.strip()
    if name == "integer":
        return int(text.partition(".")[0]) if _INTEGER.fullmatch(text) else _MISSING
    if name in {"boolean", "null"}:
        words: dict[str, Any] = {"true": True, "false": False} if name == "boolean" else {"null": None}
        return words.get(text.lower(), _MISSING)
    try:
        value = json.loads(text, parse_constant=lambda _: _MISSING)
    except (ValueError, RecursionError):
        return _MISSING
    fits = {
        "number": isinstance(value, int | float),
        "object": isinstance(value, dict),
        "array": isinstance(value, list),
    }
    return value if fits.get(name) and not isinstance(value, bool) else _MISSING


def _in_choice(value: object, choices: Sequence[object]) -> Any:
    if isinstance(value, str):
        fitting = [choice for choice in choices if not isinstance(choice, str) and json.dumps(choice) == value.strip()]
    elif isinstance(value, int | float):
        fitting = [choice for choice in choices if isinstance(choice, str) and choice == json.dumps(value)]
    else:
        fitting = []
    return fitting[0] if len(fitting) == 1 else _MISSING
