"""Swagger 2.0 read as OpenAPI 3.0: its servers, security schemes and operations.

References stay as they are, since the parts of the document that they lead to stay where they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from unified_agents.messages import JsonObject

_BODY_PLACES = ("body", "formData")
_PARAMETER_KEYS = frozenset(
    {"name", "in", "description", "required", "allowEmptyValue", "collectionFormat", "deprecated"}
)
"""What belongs to a parameter itself; every other key is of its schema."""
_STYLES: Mapping[str, JsonObject] = {
    "csv": {"style": "form", "explode": False},
    "ssv": {"style": "spaceDelimited", "explode": False},
    "pipes": {"style": "pipeDelimited", "explode": False},
    "multi": {"style": "form", "explode": True},
}
_FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")

Resolve = Callable[[Any], JsonObject]


def convert_root(root: JsonObject) -> JsonObject:
    """Return a Swagger document with the servers and security schemes of OpenAPI 3.0 beside its own keys."""
    definitions = root.get("securityDefinitions")
    schemes = {
        name: {**scheme, "type": "http", "scheme": "basic"} if scheme.get("type") == "basic" else scheme
        for name, scheme in (definitions.items() if isinstance(definitions, dict) else ())
        if isinstance(scheme, dict)
    }
    return {**root, "servers": _servers(root), "components": {"securitySchemes": schemes}}


def _servers(root: JsonObject) -> list[JsonObject]:
    host, base = root.get("host"), root.get("basePath")
    schemes = _strings(root.get("schemes"))
    scheme = next((name for name in ("https", "http") if name in schemes), "https")
    path = base.rstrip("/") if isinstance(base, str) else ""
    return [{"url": f"{scheme}://{host}{path}"}] if isinstance(host, str) and host else []


def convert_operation(operation: JsonObject, item: JsonObject, root: JsonObject, resolve: Resolve) -> JsonObject:
    """Return an operation in the form of OpenAPI 3.0, with the parameters of its path among its own.

    Args:
        operation: The operation.
        item: The path's item.
        root: The whole document, which may say for all operations what they consume.
        resolve: Follows a reference.

    Raises:
        ConfigError: a reference leads nowhere.
    """
    declared: dict[tuple[Any, Any], JsonObject] = {}
    for raw in [*_list(item.get("parameters")), *_list(operation.get("parameters"))]:
        parameter = resolve(raw)
        declared[parameter.get("in"), parameter.get("name")] = parameter
    consumes = _strings(operation.get("consumes", root.get("consumes")))
    bodies = [parameter for parameter in declared.values() if parameter.get("in") == "body"]
    fields = [parameter for parameter in declared.values() if parameter.get("in") == "formData"]
    converted = {
        **operation,
        "parameters": [_parameter(value) for value in declared.values() if value.get("in") not in _BODY_PLACES],
    }
    if bodies:
        converted["requestBody"] = _body(bodies[0], consumes)
    elif fields:
        converted["requestBody"] = _form(fields, consumes)
    return converted


def _parameter(parameter: JsonObject) -> JsonObject:
    converted = {key: parameter[key] for key in _PARAMETER_KEYS - {"collectionFormat"} if key in parameter}
    converted["schema"] = _schema(parameter)
    if parameter.get("type") == "array" and parameter.get("in") == "query":
        converted |= _style(parameter)
    return converted


def _schema(parameter: JsonObject) -> JsonObject:
    """Return the schema that stands among the keys of a parameter."""
    schema = {key: value for key, value in parameter.items() if key not in _PARAMETER_KEYS}
    if schema.get("type") == "file":
        schema |= {"type": "string", "format": "binary"}
    if isinstance(items := schema.get("items"), dict):
        schema["items"] = _schema(items)
    return schema


def _style(parameter: JsonObject) -> JsonObject:
    return dict(_STYLES.get(str(parameter.get("collectionFormat")), _STYLES["csv"]))


def _body(parameter: JsonObject, consumes: list[str]) -> JsonObject:
    media = {"schema": parameter.get("schema", {})}
    body = {"content": dict.fromkeys(consumes or ["application/json"], media)}
    return {**body, **{key: parameter[key] for key in ("description", "required") if key in parameter}}


def _form(fields: Iterable[JsonObject], consumes: list[str]) -> JsonObject:
    by_name = {str(parameter.get("name")): parameter for parameter in fields}
    has_file = any(parameter.get("type") == "file" for parameter in by_name.values())
    declared = next((name for name in consumes if name.partition(";")[0].strip() in _FORMS), _FORMS[1])
    required = [name for name, parameter in by_name.items() if parameter.get("required") is True]
    properties = {
        name: _schema(parameter) | ({"description": text} if (text := parameter.get("description")) else {})
        for name, parameter in by_name.items()
    }
    schema = {"type": "object", "properties": properties} | ({"required": required} if required else {})
    encoding = {name: _style(parameter) for name, parameter in by_name.items() if parameter.get("type") == "array"}
    media_type = _FORMS[0] if has_file else declared
    return {"content": {media_type: {"schema": schema, "encoding": encoding}}, "required": bool(required)}


def _strings(value: Any) -> list[str]:
    return [item for item in _list(value) if isinstance(item, str)]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
