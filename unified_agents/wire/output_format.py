"""The form of structured output: how the model is asked for it, and how its answer is validated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from unified_agents import wording
from unified_agents.errors import ConfigError
from unified_agents.messages import JsonObject
from unified_agents.tools.argument_errors import pydantic_problems, schema_problems
from unified_agents.tools.arguments import parse_json
from unified_agents.wire.protocols.reasoning_tags import without_reasoning

_FENCED = re.compile(r"\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*", re.DOTALL)

OutputType = type[Any] | Mapping[str, Any]
"""A pydantic model, or any type that pydantic knows; or a JSON Schema."""


class OutputFormat:
    """The form that a run's final answer must have.

    Args:
        output_type: A type, or a JSON Schema of an object.

    Raises:
        ConfigError: it is neither.
    """

    def __init__(self, output_type: OutputType) -> None:
        self._validator: Any = None
        self._adapter: TypeAdapter[Any] | None = None
        if isinstance(output_type, Mapping):
            import jsonschema_rs  # noqa: PLC0415  # only who gives a schema pays for it

            self.schema: JsonObject = dict(output_type)
            try:
                self._validator = jsonschema_rs.validator_for(self.schema)
            except (jsonschema_rs.ValidationError, ValueError) as error:
                reason = str(error).partition("\n")[0]
                raise ConfigError(f"output_type is no valid JSON Schema: {reason}") from error
            self.name = "output"
        else:
            try:
                self._adapter = TypeAdapter(output_type)
                self.schema = self._adapter.json_schema()
            except Exception as error:
                reason = str(error).partition("\n")[0]
                raise ConfigError(f"output_type {output_type!r:.80} has no JSON Schema: {reason}") from error
            self.name = getattr(output_type, "__name__", "output")

    @property
    def response_format(self) -> JsonObject:
        """The `response_format` of a Chat Completions request."""
        name = re.sub(r"[^a-zA-Z0-9_-]", "_", self.name)[:64]
        return {"type": "json_schema", "json_schema": {"name": name, "schema": self.schema}}

    @property
    def as_text(self) -> str:
        """The form in words, for a server that refuses `response_format`."""
        return wording.answer_in_form(orjson.dumps(self.schema).decode())

    def parse(self, text: str) -> Any:
        """Return the value that an answer's text holds.

        Raises:
            ValueError: it does not fit; `args` are the problems, a line each.
        """
        text, _ = without_reasoning(text)  # a form has no place for it
        if fenced := _FENCED.fullmatch(text):
            text = fenced.group(1)
        try:
            value = parse_json(text)
        except ValueError as error:
            raise ValueError(wording.not_json(str(error))) from error
        known = self.schema.get("properties", ())
        if self._adapter is not None:
            try:
                return self._adapter.validate_json(text, strict=True)
            except ValidationError as error:
                raise ValueError(*pydantic_problems(error.errors(), value, known, of_answer=True)) from error
        problems = schema_problems(self._validator.iter_errors(value), known, self.schema, of_answer=True)
        if problems:
            raise ValueError(*problems)
        return value
