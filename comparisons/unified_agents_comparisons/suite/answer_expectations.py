"""What may be expected of an answer: a text, or one of the forms of this module."""

from __future__ import annotations

import re
from typing import Annotated, TypeAlias

from pydantic import Field, field_validator

from unified_agents.errors import ConfigError
from unified_agents.messages import JsonObject
from unified_agents.wire.output_format import OutputFormat
from unified_agents_comparisons.frozen_model import FrozenModel


class Contains(FrozenModel):
    """An expectation: the answer contains each of these texts."""

    contains: tuple[str, ...] = Field(min_length=1)

    @field_validator("contains", mode="before")
    @classmethod
    def _one_text(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value


class Matches(FrozenModel):
    """An expectation: the answer as a whole matches this regular expression; a dot also stands for a line's end."""

    regex: str

    @field_validator("regex")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from error
        return value


class FitsSchema(FrozenModel):
    """An expectation: the answer is JSON that fits this JSON Schema."""

    json_schema: JsonObject

    @field_validator("json_schema")
    @classmethod
    def _is_schema(cls, value: JsonObject) -> JsonObject:
        try:
            OutputFormat(value)
        except ConfigError as error:
            raise ValueError(str(error).replace("output_type ", "", 1)) from error
        return value


class PassesFunction(FrozenModel):
    """An expectation: `module:name` of a function that is given the answer and says whether it is right."""

    python: Annotated[str, Field(pattern=r"^[\w.]+:\w+$", examples=["my_checks:is_polite"])]


class PassesJudge(FrozenModel):
    """An expectation in words, which the suite's judge model decides about."""

    judge: str = Field(min_length=1)


OutputExpectation: TypeAlias = str | Contains | Matches | FitsSchema | PassesFunction | PassesJudge
