"""The command `schema`: a JSON Schema of a YAML file, by which an editor completes and checks its keys."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

import typer
from griffe import Docstring, DocstringSectionKind
from pydantic import BaseModel

from unified_agents.cli.stdio import exit_on_wrong_usage, put_json
from unified_agents.config.importing import import_named
from unified_agents.config.model import Provider
from unified_agents.interop.mcp import McpServerConfig
from unified_agents.interop.openapi import OpenApiConfig

FILES = {
    "agent": "unified_agents.config:AgentConfig",
    "catalogue": "unified_agents.config:CatalogueConfig",
    "prices": "unified_agents.config.prices:Prices",
    "suite": "unified_agents_comparisons.suite.model:Suite",
}
SHORT_MODEL = {"type": "string", "pattern": rf"^({'|'.join(get_args(Provider))}):|\$\{{"}
PATTERNS = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}


def schema(
    file: Annotated[Literal["agent", "catalogue", "prices", "suite"], typer.Argument(help="The kind of file.")],
) -> None:
    """Print the JSON Schema of a YAML file, for editors.

    In a file: `# yaml-language-server: $schema=agent.schema.json`.
    """
    with exit_on_wrong_usage():
        put_json(file_schema(file))


def file_schema(file: str) -> dict[str, Any]:
    """Return the JSON Schema of a kind of file, with the short forms that its keys may have.

    Raises:
        ConfigError: the kind needs something that is not installed.
    """
    model: type[BaseModel] = import_named(FILES[file], "schema")
    made = model.model_json_schema()
    definitions: dict[str, Any] = made.setdefault("$defs", {})
    models = _models_below(model)
    if "ToolSource" in definitions:
        models |= {kind.__name__: kind for kind in (McpServerConfig, OpenApiConfig)}
        _describe_sources(definitions)
    for name, kind in models.items():
        _describe(made if kind is model else definitions.get(name, {}), kind)
    if "ModelConfig" in definitions:
        definitions["ModelConfig"]["properties"]["tool_result_parts"]["enum"].append(True)
        definitions["ModelKeys"] = definitions["ModelConfig"]
        definitions["ModelConfig"] = {"anyOf": [SHORT_MODEL, {"$ref": "#/$defs/ModelKeys"}]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | made


def _describe_sources(definitions: dict[str, Any]) -> None:
    """Put in place of the open mappings of a tool source the keys that they may have."""
    properties = definitions["ToolSource"]["properties"]
    properties["include"], properties["exclude"] = dict(PATTERNS), dict(PATTERNS)
    for kind, key in ((McpServerConfig, "mcp"), (OpenApiConfig, "openapi")):
        made = kind.model_json_schema()
        definitions |= made.pop("$defs", {})
        definitions[kind.__name__] = made
        properties[key] = {"$ref": f"#/$defs/{kind.__name__}"}
    definitions["McpServerConfig"]["properties"]["oauth"]["anyOf"].append({"type": "boolean"})
    document = definitions["OpenApiConfig"]
    document["properties"] |= {key: dict(PATTERNS) for key in ("tags", "paths", "methods")}
    document["properties"]["file"] = document["properties"]["openapi"]
    document["anyOf"] = [{"required": ["openapi"]}, {"required": ["file"]}]
    document["required"] = [key for key in document.get("required", ()) if key != "openapi"]
    properties["openapi"] = {"anyOf": [{"type": "string"}, properties["openapi"]]}


def _describe(definition: dict[str, Any], model: type[BaseModel]) -> None:
    """Take the descriptions of keys from the model's docstring."""
    docstrings = [base.__doc__ or "" for base in reversed(model.__mro__) if issubclass(base, BaseModel)]
    for section in [part for text in docstrings for part in Docstring(text).parse("google", warnings=False)]:
        if section.kind is DocstringSectionKind.attributes:
            for attribute in section.value:
                if (key := definition.get("properties", {}).get(attribute.name)) is not None:
                    key["description"] = " ".join(attribute.description.split())
    definition["description"] = (model.__doc__ or "").partition("\n")[0]


def _models_below(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """Return a model and those that its fields are made of, by name."""
    found: dict[str, type[BaseModel]] = {}
    left: list[Any] = [model]
    while left:
        kind = left.pop()
        left.extend(getattr(kind, "__args__", ()))
        if isinstance(kind, type) and issubclass(kind, BaseModel) and kind.__name__ not in found:
            found[kind.__name__] = kind
            left.extend(field.annotation for field in kind.model_fields.values())
    return found
