"""What an operation takes: one JSON Schema object for the model, and where each argument goes in the request."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from unified_agents import wording
from unified_agents.errors import ToolDefinitionError
from unified_agents.interop.openapi.schemas import Schemas
from unified_agents.messages import JsonObject

Place = Literal["path", "query", "header", "cookie"]
BodyKind = Literal["json", "form", "multipart", "text", "binary"]

SLOT = re.compile(r"\{([^{}]+)\}")
"""A place in a path for a parameter."""

BODY = "body"
"""The argument that holds the request body."""

_STYLES: Mapping[Place, str] = {"path": "simple", "query": "form", "header": "simple", "cookie": "form"}
_RESERVED_HEADERS = frozenset({"accept", "content-type", "authorization"})
"""A header parameter of such a name has no meaning, by the specification."""


@dataclass(slots=True, frozen=True)
class Parameter:
    """A parameter of an operation.

    Attributes:
        argument: What the model calls it; its own name, with its place before it where two have the same.
        name: Its own name.
        place: Where it goes.
        style: How a list or an object is written there.
        explode: Whether each of its items is written by itself.
        allow_reserved: Whether a query value keeps characters such as `/` as they are.
        is_json: Whether the value is written as JSON text.
    """

    argument: str
    name: str
    place: Place
    style: str
    explode: bool
    allow_reserved: bool = False
    is_json: bool = False


@dataclass(slots=True, frozen=True)
class Body:
    """The request body of an operation.

    Attributes:
        media_type: Its content type.
        kind: How it is written.
        encoding: For forms: property to what the document says of its writing.
        files: For multipart forms: the properties that are files.
    """

    media_type: str
    kind: BodyKind
    encoding: Mapping[str, JsonObject] = field(default_factory=dict)
    files: frozenset[str] = frozenset()


@dataclass(slots=True, frozen=True)
class Plan:
    """How the arguments of a call become a request.

    Attributes:
        schema: JSON Schema of the arguments.
        parameters: All but the body.
        body: The request body; None when there is none.
    """

    schema: JsonObject
    parameters: tuple[Parameter, ...]
    body: Body | None


def plan(path: str, item: JsonObject, operation: JsonObject, schemas: Schemas, hidden: Set[tuple[str, str]]) -> Plan:
    """Read an operation.

    Each parameter is a property of one object, and the request body is the property `body`. Of parameters that share
    a name, or are called `body` beside one, each has its place before the name: `path_id` and `query_id`.

    Args:
        path: With its slots. One that no parameter is declared for takes any text.
        item: The path's item, whose parameters belong to all of its operations.
        operation: The operation.
        schemas: Translates the schemas of its document.
        hidden: Place and name of parameters that are filled with secrets, and that the model shall not see.

    Raises:
        ConfigError: something is no parameter, no body, or no schema.
    """
    declared = _declared(path, item, operation, schemas, hidden)
    content = _content(operation, schemas)
    names = _argument_names([(place, name) for place, name, _ in declared], taken={BODY} if content else set())
    references: set[str] = set()
    properties: JsonObject = {}
    required: list[str] = []
    parameters = []
    for (place, name, raw), argument in zip(declared, names, strict=True):
        schema, is_json = _parameter_schema(raw, schemas, references)
        properties[argument] = schema
        if raw.get("required") is True or place == "path":
            required.append(argument)
        style = str(raw.get("style") or _STYLES[place])
        parameters.append(
            Parameter(
                argument=argument,
                name=name,
                place=place,
                style=style,
                explode=bool(raw.get("explode", style == "form")),
                allow_reserved=raw.get("allowReserved") is True,
                is_json=is_json,
            )
        )
    body = None
    if content is not None:
        body, properties[BODY] = _body(content, schemas, references)
        if content.is_required:
            required.append(BODY)
    whole: JsonObject = {"type": "object", "properties": properties}
    if required:
        whole["required"] = required
    whole["additionalProperties"] = False
    if definitions := schemas.definitions(references):
        whole["$defs"] = definitions
    return Plan(whole, tuple(parameters), body)


def _declared(
    path: str, item: JsonObject, operation: JsonObject, schemas: Schemas, hidden: Set[tuple[str, str]]
) -> list[tuple[Place, str, JsonObject]]:
    found: dict[tuple[str, str], JsonObject] = {}
    for raw in [*_list(item.get("parameters")), *_list(operation.get("parameters"))]:
        parameter = schemas.resolve(raw)
        place, name = parameter.get("in"), parameter.get("name")
        if place not in _STYLES or not isinstance(name, str):
            raise ToolDefinitionError(
                f"a parameter must have a name, and be in path, query, header or cookie: {raw!r:.80}"
            )
        if (place == "header" and name.lower() in _RESERVED_HEADERS) or (place, name) in hidden:
            continue
        found[str(place), name] = parameter
    for name in SLOT.findall(path):
        found.setdefault(("path", name), {"schema": {"type": "string"}})
    return [(cast("Place", place), name, parameter) for (place, name), parameter in found.items()]


def _argument_names(declared: Sequence[tuple[str, str]], taken: set[str]) -> list[str]:
    counts = Counter(name for _, name in declared)
    used = {*taken, *(name for name, count in counts.items() if count == 1)}
    names = []
    for place, name in declared:
        argument = name
        if counts[name] > 1 or name in taken:
            argument = f"{place}_{name}"
            while argument in used:
                argument += "_"
            used.add(argument)
        names.append(argument)
    return names


def _parameter_schema(raw: JsonObject, schemas: Schemas, references: set[str]) -> tuple[JsonObject, bool]:
    content = raw.get("content")
    is_json = isinstance(content, dict) and "schema" not in raw
    held = next(iter(content.values()), {}) if isinstance(content, dict) and is_json else raw
    schema = schemas.translate(held.get("schema", {}), references)
    described = {} if isinstance(schema, bool) else dict(schema)
    if isinstance(text := raw.get("description"), str) and text:
        own = described.get("description")
        described["description"] = text if own in (None, text) else _both(text, str(own))
    if raw.get("deprecated") is True:
        described.setdefault("deprecated", True)
    if "example" in raw:
        described.setdefault("examples", [raw["example"]])
    return ({"allOf": [schema]} | described if schema is False else described), is_json


@dataclass(slots=True, frozen=True)
class _Content:
    """The one form of a request body that is used."""

    media_type: str
    held: JsonObject
    is_required: bool
    description: str


def _content(operation: JsonObject, schemas: Schemas) -> _Content | None:
    if "requestBody" not in operation:
        return None
    body = schemas.resolve(operation["requestBody"])
    content = body.get("content")
    if not isinstance(content, dict) or not content:
        return None
    media_type = min(content, key=lambda name: _RANKS[_kind(name)])
    held = content[media_type]
    return _Content(
        media_type=media_type,
        held=held if isinstance(held, dict) else {},
        is_required=body.get("required") is True,
        description=body.get("description") or "",
    )


_RANKS: Mapping[BodyKind, int] = {"json": 0, "form": 1, "multipart": 2, "text": 3, "binary": 4}


def _kind(media_type: str) -> BodyKind:
    plain = media_type.partition(";")[0].strip().lower()
    if plain.endswith(("/json", "+json", "/*")) and not plain.startswith(("text/*", "image/", "audio/", "video/")):
        return "json"
    if plain == "application/x-www-form-urlencoded":
        return "form"
    if plain == "multipart/form-data":
        return "multipart"
    is_text = plain.startswith("text/") or plain.endswith(("/xml", "+xml", "/yaml", "+yaml", "/x-ndjson"))
    return "text" if is_text else "binary"


def _body(content: _Content, schemas: Schemas, references: set[str]) -> tuple[Body, JsonObject]:
    media_type, held = content.media_type, content.held
    kind = _kind(media_type)
    schema = schemas.translate(held.get("schema", {}), references)
    schema = {} if schema is True else {"not": {}} if schema is False else dict(schema)
    body = Body(media_type, kind, held.get("encoding") or {})
    match kind:
        case "multipart":
            files = _files(held.get("schema", {}), schemas)
            if files:
                schema["description"] = _both(schema.get("description"), wording.form_with_files(files))
            body = Body(media_type, kind, body.encoding, frozenset(files))
        case "text" if schema.get("type") != "string":
            schema = {"type": "string", "contentMediaType": media_type, "contentSchema": schema}
            schema["description"] = wording.text_body(media_type)
        case "binary":
            schema = {"type": "string", **schema}
            schema["description"] = _both(schema.get("description"), wording.binary_body())
    if content.description:
        schema["description"] = _both(schema.get("description"), content.description)
    return body, schema


def _files(schema: Any, schemas: Schemas) -> list[str]:
    """The properties of a multipart form that hold files, by themselves or in a list."""
    properties = schemas.resolve(schema).get("properties")
    if not isinstance(properties, dict):
        return []
    found = []
    for name, raw in properties.items():
        kind = schemas.resolve(raw)
        if _is_binary(kind) or _is_binary(schemas.resolve(kind.get("items", {}))):
            found.append(name)
    return found


def _is_binary(schema: JsonObject) -> bool:
    if schema.get("format") == "binary" or schema.get("contentEncoding") == "binary":
        return True
    return "contentMediaType" in schema and schema.get("contentMediaType") != "application/json"


def _both(first: str | None, second: str) -> str:
    return f"{first}\n\n{second}" if first else second


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
