"""The canonical JSON Schema of a tool's arguments, and what its docstring adds."""

from __future__ import annotations

import functools
import inspect
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaWarningKind

from unified_agents.messages import JsonObject

if TYPE_CHECKING:
    from griffe import DocstringSection
    from pydantic_core.core_schema import DataclassSchema

_NAMED_SCHEMAS = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
_VALUES = frozenset({"default", "const", "enum", "examples", "discriminator"})

_SECTION = "(?:Keyword |Other )?(?:Args|Arguments|Params|Parameters)|Returns|Yields|Receives|Raises|Exceptions|Warns"
_STYLES: tuple[tuple[Literal["sphinx", "numpy", "google"], re.Pattern[str]], ...] = (
    ("sphinx", re.compile(r"^[ \t]*:(?:param|parameter|arg|argument|key|keyword|type|returns?|rtype|raises?)\b", re.M)),
    ("numpy", re.compile(rf"^[ \t]*(?:{_SECTION})[ \t]*\n[ \t]*-{{3,}}", re.M)),
    ("google", re.compile(rf"^[ \t]*(?:{_SECTION}):[ \t]*$", re.M | re.I)),
)


@dataclass(slots=True, frozen=True)
class Docs:
    """The parts of a docstring that a model reads.

    Attributes:
        description: The text, without the sections on parameters, returned values and errors.
        parameters: Parameter name to its description.
    """

    description: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


class _SchemaGenerator(GenerateJsonSchema):
    # A default or a choice that JSON cannot hold is left out of the schema, and still works in the function.
    ignored_warning_kinds: set[JsonSchemaWarningKind] = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012  # pydantic's way

    def dataclass_schema(self, schema: DataclassSchema) -> JsonObject:
        """Add `additionalProperties: false` for a dataclass that takes nothing more, which pydantic leaves out."""
        result = super().dataclass_schema(schema)
        if schema.get("config", {}).get("extra_fields_behavior") == "forbid":
            result.setdefault("additionalProperties", False)
        return result


def model_schema(model: type[BaseModel]) -> JsonObject:
    """Return the JSON Schema (draft 2020-12) of a model's input, without titles.

    Raises:
        pydantic.errors.PydanticUserError: a field's type has no JSON Schema.
    """
    return object_schema(_without_titles(model.model_json_schema(schema_generator=_SchemaGenerator)))


def object_schema(schema: Mapping[str, Any]) -> JsonObject:
    """Return a schema with `type: object` and `properties`, which come first."""
    return {"type": "object", "properties": {}} | dict(schema)


def with_descriptions(schema: JsonObject, descriptions: Mapping[str, str]) -> JsonObject:
    """Return a copy whose properties have these descriptions where they have none of their own."""
    properties = {
        name: {**value, "description": descriptions[name]}
        if descriptions.get(name) and "description" not in value
        else value
        for name, value in schema["properties"].items()
    }
    return schema | {"properties": properties}


@functools.lru_cache(maxsize=256)
def read_docstring(text: str | None) -> Docs:
    """Read a docstring in Google's, NumPy's or Sphinx' style."""
    text = inspect.cleandoc(text or "")
    style = next((name for name, pattern in _STYLES if pattern.search(text)), None)
    if style is None:
        return Docs(text)
    from griffe import Docstring, DocstringSectionKind  # noqa: PLC0415  # costs 0.2 s

    sections = Docstring(text, parser=style).parse(warnings=False)
    parameters = {
        item.name: item.description.strip()
        for section in sections
        if section.kind in {DocstringSectionKind.parameters, DocstringSectionKind.other_parameters}
        for item in section.value
    }
    return Docs("\n\n".join(filter(None, map(_section_text, sections))), parameters)


def _section_text(section: DocstringSection) -> str:
    value: Any = section.value
    match section.kind.value:
        case "text":
            return str(value).strip()
        case "admonition":
            return f"{section.title or value.kind}:\n{value.contents}"
        case "examples":
            return "\n".join(["Examples:", *(text for _, text in value)])
        case _:
            return ""


def _without_titles(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_titles(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    clean: JsonObject = {}
    for key, value in schema.items():
        if key in _VALUES:
            if _is_json(value):
                clean[key] = value
        elif key in _NAMED_SCHEMAS:
            clean[key] = {name: _without_titles(item) for name, item in value.items()}
        elif key != "title":
            clean[key] = _without_titles(value)
    return clean


def _is_json(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True
