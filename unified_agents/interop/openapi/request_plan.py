"""The plan of a request: one JSON Schema object for the model, and where each argument goes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from unified_agents import wording
from unified_agents.errors import ToolDefinitionError
from unified_agents.interop.openapi.schemas import SchemaTranslator
from unified_agents.messages import JsonObject

ParameterLocation = Literal["path", "query", "header", "cookie"]
BodyKind = Literal["json", "form", "multipart", "text", "binary"]

PATH_PARAMETER = re.compile(r"\{([^{}]+)\}")
"""The place of a parameter in a path, or of a variable in a server's URL."""

BODY = "body"
"""The argument that holds the request body."""

_STYLES: Mapping[ParameterLocation, str] = {"path": "simple", "query": "form", "header": "simple", "cookie": "form"}
_RESERVED_HEADERS = frozenset(
    {
        *("accept", "content-type", "authorization"),  # which mean nothing, by the specification
        *(
            "connection",
            "content-length",
            "expect",
            "host",
            "keep-alive",
            "trailer",
            "transfer-encoding",
            "upgrade",
        ),
    }
)
"""Header parameters that no model fills: the HTTP client writes what a request needs of them."""


@dataclass(slots=True, frozen=True)
class Parameter:
    """A parameter of an operation.

    Attributes:
        argument: Its name for the model; its own name, with its location before it where two have the same.
        name: Its own name.
        location: Where it goes.
        style: How a list or an object is written there, in OpenAPI's terms.
        explode: Whether each of its items is written separately.
        allow_reserved: Whether a query value keeps characters such as `/` as they are.
        is_json: Whether the value is written as JSON text.
    """

    argument: str
    name: str
    location: ParameterLocation
    style: str
    explode: bool
    allow_reserved: bool = False
    is_json: bool = False


@dataclass(slots=True, frozen=True)
class RequestBody:
    """The request body of an operation.

    Attributes:
        media_type: The content type.
        kind: The way in which it is written.
        encoding: For forms: the document's `encoding` object.
        files: For multipart forms: the properties that are files.
        has_styles: For multipart forms: whether `style` and `explode` of `encoding` count, as from OpenAPI 3.1 on.
    """

    media_type: str
    kind: BodyKind
    encoding: Mapping[str, JsonObject] = field(default_factory=dict)
    files: frozenset[str] = frozenset()
    has_styles: bool = False


@dataclass(slots=True, frozen=True)
class RequestPlan:
    """A plan of how the arguments of a call become a request.

    Attributes:
        schema: JSON Schema of the arguments.
        parameters: All but the body.
        body: The request body; None when there is none.
        fixed: Values that every call has, by argument; the model does not see these.
    """

    schema: JsonObject
    parameters: tuple[Parameter, ...]
    body: RequestBody | None
    fixed: Mapping[str, Any] = field(default_factory=dict)


def plan_request(
    path: str,
    item: JsonObject,
    operation: JsonObject,
    schemas: SchemaTranslator,
    *,
    hidden: Set[tuple[str, str]],
    fixed: Mapping[str, Any],
) -> RequestPlan:
    """Plan the requests of an operation.

    Each parameter is a property of one object, and the request body is the property `body`. Of parameters that share
    a name, or are called `body` beside one, each has its location before the name: `path_id` and `query_id`.

    Args:
        path: The path; a name in braces for which no parameter is declared takes any text.
        item: The path's item, whose parameters belong to all of its operations.
        operation: The operation.
        schemas: Translates the schemas of its document.
        hidden: Location and name (of a header in small letters) of parameters that every call fills, and that the model
            shall not see.
        fixed: Values of further parameters that every call fills, by their names.

    Raises:
        ConfigError: something is no parameter, no body, or no schema.
    """
    declared = _declared_parameters(path, item, operation, schemas, hidden)
    request_body = _request_body(operation, schemas)
    names = _argument_names(declared, taken={BODY} if request_body else set())
    references: set[str] = set()
    properties: JsonObject = {}
    required: list[str] = []
    filled: JsonObject = {}
    parameters = []
    for ((location, name), raw), argument in zip(declared.items(), names, strict=True):
        schema, is_json = _parameter_schema(raw, schemas, references)
        if name in fixed:
            filled[argument] = fixed[name]
        else:
            properties[argument] = schema
            if raw.get("required") is True or location == "path":
                required.append(argument)
        style = str(raw.get("style") or _STYLES[location])
        explode = bool(raw.get("explode", style == "form"))
        allow_reserved = raw.get("allowReserved") is True
        parameters.append(Parameter(argument, name, location, style, explode, allow_reserved, is_json))
    body = None
    if request_body is not None:
        body, properties[BODY] = _body(request_body, schemas, references)
        if request_body.get("required") is True:
            required.append(BODY)
    schema = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    schema["additionalProperties"] = False
    if definitions := schemas.definitions(references):
        schema["$defs"] = definitions
    return RequestPlan(schema, tuple(parameters), body, filled)


def _declared_parameters(
    path: str, item: JsonObject, operation: JsonObject, schemas: SchemaTranslator, hidden: Set[tuple[str, str]]
) -> Mapping[tuple[ParameterLocation, str], JsonObject]:
    """Return the parameters by location and name; an operation's own take the place of its path's."""
    found: dict[tuple[ParameterLocation, str], JsonObject] = {}
    for raw in [*_list(item.get("parameters")), *_list(operation.get("parameters"))]:
        parameter = schemas.resolve(raw)
        location, name = parameter.get("in"), parameter.get("name")
        if location not in _STYLES or not isinstance(name, str):
            raise ToolDefinitionError(
                f"a parameter must have a name, and be in path, query, header or cookie: {raw!r:.80}"
            )
        comparable = name.lower() if location == "header" else name
        if (location == "header" and comparable in _RESERVED_HEADERS) or (location, comparable) in hidden:
            continue
        found[cast("ParameterLocation", location), name] = parameter
    for name in PATH_PARAMETER.findall(path):
        found.setdefault(("path", name), {"schema": {"type": "string"}})
    return found


def _argument_names(declared: Collection[tuple[str, str]], taken: set[str]) -> list[str]:
    counts = Counter(name for _, name in declared)
    used = {*taken, *(name for name, count in counts.items() if count == 1)}
    names = []
    for location, name in declared:
        argument = name
        if counts[name] > 1 or name in taken:
            argument = f"{location}_{name}"
            while argument in used:
                argument += "_"
            used.add(argument)
        names.append(argument)
    return names


def _parameter_schema(raw: JsonObject, schemas: SchemaTranslator, references: set[str]) -> tuple[JsonObject, bool]:
    content = raw.get("content")
    media_type, holder = "", raw
    if isinstance(content, dict) and "schema" not in raw:
        media_type, holder = next(iter(content.items()), ("", {}))
    schema = schemas.translate(holder.get("schema", {}), references)
    described = {} if isinstance(schema, bool) else dict(schema)
    if isinstance(text := raw.get("description"), str) and text:
        own = described.get("description")
        described["description"] = text if own in (None, text) else _paragraphs(text, str(own))
    if raw.get("deprecated") is True:
        described.setdefault("deprecated", True)
    if "example" in raw:
        described.setdefault("examples", [raw["example"]])
    is_open = "*" in media_type and described.get("type") not in {"object", "array"}
    is_json = bool(media_type) and _kind(media_type) == "json" and not is_open
    return ({"allOf": [schema]} | described if schema is False else described), is_json


def _request_body(operation: JsonObject, schemas: SchemaTranslator) -> JsonObject | None:
    """Return an operation's request body; None where it has none, or one without content."""
    body = schemas.resolve(operation["requestBody"]) if "requestBody" in operation else {}
    content = body.get("content")
    return body if content and isinstance(content, dict) else None


_FILE_TYPES = frozenset({"application/octet-stream", "application/pdf", "application/zip", "application/gzip"})
"""Media types of files, beside images, audio and video."""
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


def _body(raw: JsonObject, schemas: SchemaTranslator, references: set[str]) -> tuple[RequestBody, JsonObject]:
    """Return how a request body is written, in the simplest of its media types, and the schema of its argument."""
    content = raw["content"]
    media_type = min(content, key=lambda name: _RANKS[_kind(name)])
    media = content[media_type] if isinstance(content[media_type], dict) else {}
    kind = _kind(media_type)
    if media_type.startswith("multipart/") and kind != "multipart":
        raise ToolDefinitionError(f"a request body of {media_type} cannot be written; multipart/form-data can")
    files: list[str] = []
    schema = schemas.translate(media.get("schema", {}), references)
    schema = {} if schema is True else {"not": {}} if schema is False else dict(schema)
    if kind == "json" and "*" in media_type and schema.get("type") == "string":
        kind = "binary"  # any content, and not a text of JSON
    match kind:
        case "multipart":
            files = _files(media, schemas)
            if files:
                schema["description"] = _paragraphs(schema.get("description"), wording.form_with_files(files))
        case "text" if schema.get("type") != "string":
            schema = {"type": "string", "contentMediaType": media_type, "contentSchema": schema}
            schema["description"] = wording.text_body(media_type)
        case "binary":
            schema = {"type": "string", **schema}
            schema["description"] = _paragraphs(schema.get("description"), wording.binary_body())
    if description := raw.get("description"):
        schema["description"] = _paragraphs(schema.get("description"), description)
    return RequestBody(media_type, kind, media.get("encoding") or {}, frozenset(files), not schemas.is_3_0), schema


def _files(media: JsonObject, schemas: SchemaTranslator) -> list[str]:
    """Return the properties of a multipart form that hold files, by themselves or in a list.

    A schema may say so, or, as OpenAPI 3.1 has it, the media type in `encoding`.
    """
    encoding = media.get("encoding")
    by_encoding = {
        name
        for name, declared in (encoding.items() if isinstance(encoding, dict) else ())
        if isinstance(declared, dict) and _is_file_type(str(declared.get("contentType", "")))
    }
    found = {
        name: any(_is_binary(part) for part in schemas.branches(raw))
        for schema in schemas.branches(media.get("schema", {}))
        for name, raw in _properties(schema).items()
    }
    return [name for name, is_file in found.items() if is_file or name in by_encoding]


def _properties(schema: JsonObject) -> JsonObject:
    properties = schema.get("properties")
    return properties if isinstance(properties, dict) else {}


def _is_file_type(media_types: str) -> bool:
    names = [name.partition(";")[0].strip().lower() for name in media_types.split(",")]
    return all(name.startswith(("image/", "audio/", "video/")) or name in _FILE_TYPES for name in names)


def _is_binary(schema: JsonObject) -> bool:
    if schema.get("format") == "binary" or schema.get("contentEncoding") == "binary":
        return True
    return "contentMediaType" in schema and schema.get("contentMediaType") != "application/json"


def _paragraphs(first: str | None, second: str) -> str:
    return f"{first}\n\n{second}" if first else second


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
