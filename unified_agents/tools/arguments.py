"""Validation of arguments: from the JSON text that a model wrote to the keywords of a handler."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Container, Mapping
from typing import Any, Protocol, TypeVar

from pydantic import ValidationError
from pydantic_core import from_json

from unified_agents import wording
from unified_agents.errors import InvalidInputError, ToolDefinitionError, ToolFailedError, native_name
from unified_agents.messages import JsonObject
from unified_agents.tools.argument_errors import place, pydantic_problems, schema_problems, shortened, shown
from unified_agents.tools.schema import Docs, object_schema, with_descriptions
from unified_agents.tools.schema_validator import make_validator, with_one_dialect
from unified_agents.tools.signature import EXTRA, Signature, context_parameters

T = TypeVar("T")

_MAYBE_OUT_OF_RANGE = re.compile(r"[eE]\+?\d{3}|\d{300}")


class Arguments(Protocol):
    """The reader and validator of one tool's arguments."""

    context: tuple[str, ...]
    """The handler's parameters that take the `ToolContext`."""

    def schema(self, docs: Callable[[], Docs]) -> JsonObject:
        """Return the canonical JSON Schema; `docs` reads the docstring, which may be slow."""

    def validate(self, text: str) -> dict[str, Any]:
        """Return keyword arguments from JSON text; see `Tool.validate`."""


class FunctionArguments:
    """The arguments of a typed function, validated by pydantic.

    Args:
        tool: The tool's name, for messages.
        signature: What the function takes.
    """

    __slots__ = ("_fields", "_signature", "_tool", "_validate", "context")

    def __init__(self, tool: str, signature: Signature) -> None:
        self._tool = tool
        self._signature = signature
        self._fields = signature.fields
        self._validate = signature.model.__pydantic_validator__.validate_json
        self.context = signature.context

    def schema(self, docs: Callable[[], Docs]) -> JsonObject:
        """Return the canonical JSON Schema, with the descriptions of the docstring."""
        names = self._signature.shown
        described = {names[name]: text for name, text in docs().parameters.items() if name in names}
        return with_descriptions(self._signature.schema, described)

    def validate(self, text: str) -> dict[str, Any]:
        """Return keyword arguments from JSON text; see `Tool.validate`."""
        arguments = parse_object(text, self._tool)
        if self._signature.open:
            arguments = self._with_extra_apart(arguments)
            text = json.dumps(arguments)
        try:
            built = validate_strictly(self._validate, text if arguments else "{}", arguments)
        except ValidationError as error:
            raise self._invalid(arguments, error) from error
        except Exception as error:  # a validator of the user's own types may raise anything
            raise broken_validator(self._tool, error) from error
        values = built.__dict__
        keywords = {name: values[field] for field, name in self._fields}
        return keywords | values["extra"] if self._signature.open else keywords

    def _with_extra_apart(self, arguments: JsonObject) -> JsonObject:
        """Return the arguments with those for `**kwargs` in an object of their own."""
        known = self._signature.schema["properties"]
        extra = {name: value for name, value in arguments.items() if name not in known}
        if closed := extra.keys() & self._signature.closed:
            raise invalid(self._tool, tuple(_hidden_argument(name, extra[name]) for name in sorted(closed)))
        return {name: value for name, value in arguments.items() if name in known} | {EXTRA: extra}

    def _invalid(self, arguments: JsonObject, error: ValidationError) -> InvalidInputError:
        if self._signature.open:
            arguments = {name: value for name, value in arguments.items() if name != EXTRA} | arguments[EXTRA]
        known = self._signature.schema["properties"]
        return invalid(self._tool, pydantic_problems(error.errors(include_url=False), arguments, known))


class SchemaArguments:
    """Arguments that a JSON Schema describes, validated by jsonschema-rs.

    Args:
        tool: The tool's name, for messages.
        parameters: The schema as the user gave it.
        handler: The function that gets the arguments.

    Raises:
        ToolDefinitionError: the schema is no valid JSON Schema of an object, or refers to another document.
    """

    __slots__ = ("_errors", "_is_valid", "_schema", "_tool", "context")

    def __init__(self, tool: str, parameters: Mapping[str, Any], handler: Callable[..., Any]) -> None:
        self._tool = tool
        self._schema = _checked_schema(parameters, tool)
        validator = make_validator(self._schema, tool)
        self._is_valid = validator.is_valid
        self._errors = validator.iter_errors
        self.context = context_beside(self._schema["properties"], handler, tool)

    def schema(self, docs: Callable[[], Docs]) -> JsonObject:
        """Return the schema as the user gave it, with `type` and `properties`."""
        return self._schema

    def validate(self, text: str) -> dict[str, Any]:
        """Return keyword arguments from JSON text; see `Tool.validate`."""
        arguments = parse_object(text, self._tool)
        if not self._is_valid(arguments):
            raise invalid(
                self._tool, schema_problems(self._errors(arguments), self._schema["properties"], self._schema)
            )
        return arguments


def context_beside(arguments: Container[str], handler: Callable[..., Any], tool: str) -> tuple[str, ...]:
    """Return the parameters of a handler that take the `ToolContext`, beside its arguments.

    Raises:
        ToolDefinitionError: one of them is an argument too.
    """
    context = context_parameters(handler, tool)
    for name in context:
        if name in arguments:
            raise ToolDefinitionError(f"tool {tool!r}: {name!r} is an argument and a ToolContext: rename one")
    return context


def parse_json(text: str) -> Any:
    """Return the JSON value that a model wrote.

    Raises:
        ValueError: broken JSON (NaN and Infinity too), a number too large for a float, or a key given twice.
    """
    try:
        value = from_json(text, allow_inf_nan=False)
    except TypeError as error:
        raise ValueError(wording.half_a_pair()) from error
    # Parsing again in Python is slow, so only where one key may hide another, or a number be out of range.
    if text.count(":") != (len(value) if isinstance(value, dict) else 0) or _MAYBE_OUT_OF_RANGE.search(text):
        _STRICT_DECODER.decode(text)
    return value


def parse_object(text: str, tool: str) -> JsonObject:
    """Return the JSON object that a model wrote; empty text is `{}`.

    Raises:
        InvalidInputError: broken JSON (NaN and Infinity too), a number too large for a float, a key given twice, or
            JSON that is no object.
    """
    if not text or text.isspace():
        return {}
    try:
        value = parse_json(text)
    except ValueError as error:
        raise invalid(tool, (wording.broken_json(shortened(text), str(error)),)) from error
    if not isinstance(value, dict):
        problem = wording.problem(wording.ALL_ARGUMENTS, wording.given(shown(value)), wording.of_type(["object"]))
        raise invalid(tool, (problem,))
    return value


def invalid(tool: str, problems: tuple[str, ...]) -> InvalidInputError:
    """Return the error for these problems."""
    return InvalidInputError(wording.problems_in_one_line(tool, problems), problems=problems)


def broken_validator(tool: str, error: Exception) -> ToolFailedError:
    """Return the error for a validator of the tool's own types that raised what no validator should."""
    return ToolFailedError(wording.validator_broke(tool, error), native_type=native_name(error))


def _hidden_argument(name: str, value: object) -> str:
    return wording.problem(place((name,)), wording.given(shown(value)), wording.not_allowed())


def _unique(pairs: list[tuple[str, Any]]) -> JsonObject:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(wording.key_given_twice(shown(twice)))
    return value


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(wording.number_out_of_range(text))
    return value


_STRICT_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite)


def validate_strictly(validate: Callable[..., T], text: str, arguments: JsonObject) -> T:
    """Validate JSON in pydantic's strict mode, but with `1.0` as an integer, as JSON Schema has it.

    Args:
        validate: Pydantic's validation of a JSON text.
        text: The arguments as JSON text.
        arguments: The same as values.

    Raises:
        pydantic.ValidationError: they do not fit.
    """
    try:
        return validate(text, strict=True)
    except ValidationError as error:
        if not any(_is_whole(fault["input"]) for fault in error.errors(include_url=False, include_context=False)):
            raise
    return validate(json.dumps(_whole_numbers(arguments)), strict=True)


def _is_whole(value: object) -> bool:
    """Tell whether a value is a float such as `1.0`."""
    return isinstance(value, float) and value.is_integer()


def _whole_numbers(value: Any) -> Any:
    """Return a copy in which floats such as `1.0` are integers."""
    if isinstance(value, dict):
        return {name: _whole_numbers(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_whole_numbers(item) for item in value]
    return int(value) if _is_whole(value) else value


def _checked_schema(parameters: object, tool: str) -> JsonObject:
    if not isinstance(parameters, Mapping):
        raise ToolDefinitionError(f"tool {tool!r}: parameters must be a JSON Schema, not {parameters!r:.80}")
    try:
        schema: JsonObject = json.loads(json.dumps(dict(parameters), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ToolDefinitionError(f"tool {tool!r}: parameters must be plain JSON values: {error}") from error
    if schema.get("type", "object") != "object":
        raise ToolDefinitionError(
            f"tool {tool!r}: parameters must have type 'object', not {schema['type']!r}: put the value into a property"
        )
    return with_one_dialect(object_schema(schema))
