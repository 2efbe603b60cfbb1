"""Serialization of parameters and forms, in the styles that OpenAPI defines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote

from unified_agents import wording
from unified_agents.errors import ToolFailedError
from unified_agents.interop.openapi.request_plan import Parameter
from unified_agents.messages import JsonObject

_RESERVED = ":/?[]@!$'()*,;"
_DELIMITERS = {"spaceDelimited": "%20", "pipeDelimited": "%7C"}


def plain(value: Any) -> str:
    """Return a value as text: a string as it is, anything else as JSON."""
    return value if isinstance(value, str) else json_text(value)


def json_text(value: Any) -> str:
    """Return a value as compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def path_text(parameter: Parameter, value: Any) -> str:
    """Serialize a path parameter, percent-encoded (styles simple, label and matrix).

    Raises:
        ToolFailedError: it would be empty, and so name another path.
    """
    if parameter.is_json:
        return _quoted(json_text(value))
    if value is None:
        raise ToolFailedError(wording.empty_in_path(parameter.argument))
    name, explode = _quoted(parameter.name), parameter.explode
    items = list(_items(value, explode))
    match parameter.style:
        case "label":
            text = "." + ("." if explode else ",").join(items)
        case "matrix" if isinstance(value, dict) and explode:
            text = "".join(f";{item}" for item in items)
        case "matrix" if explode:
            text = "".join(f";{name}={item}" for item in items)
        case "matrix":
            text = f";{name}={','.join(items)}"
        case _:
            text = ",".join(items)
    if not text:
        raise ToolFailedError(wording.empty_in_path(parameter.argument))
    return text


def query_pairs(parameter: Parameter, value: Any) -> list[str]:
    """Serialize a query or cookie parameter as `name=value` texts, percent-encoded.

    The styles are form, spaceDelimited, pipeDelimited and deepObject. Null and empty lists and objects are left out.
    The specification does not say how deepObject writes lists: `name[]=a&name[]=b`, and `name[0][key]=a` for objects.
    """
    name = _quoted(parameter.name)
    safe = _RESERVED if parameter.allow_reserved else ""
    if value is None or (value in ([], {}) and not parameter.is_json):
        return []
    if parameter.is_json:
        return [f"{name}={_quoted(json_text(value), safe)}"]
    if parameter.style == "deepObject":
        return [f"{key}={text}" for key, text in _deep(name, value, safe)]
    items = list(_items(value, parameter.explode, safe))
    if parameter.explode:
        return items if isinstance(value, dict) else [f"{name}={item}" for item in items]
    return [f"{name}={_DELIMITERS.get(parameter.style, ',').join(items)}"]


def form_pairs(value: Any, encoding: Mapping[str, JsonObject]) -> list[str]:
    """Serialize an object as the `name=value` texts of a URL-encoded form.

    Nested values are written as JSON, unless the document declares a style for them.

    Args:
        value: The object.
        encoding: The document's `encoding` object: how each property is written.

    Raises:
        ToolFailedError: it is no object.
    """
    if not isinstance(value, Mapping):
        raise ToolFailedError(wording.form_is_no_object())
    pairs = []
    for name, item in value.items():
        declared = encoding.get(name) or {}
        style = declared.get("style")
        is_declared = str(declared.get("contentType")).endswith("json") and not isinstance(item, str)
        is_json = style is None and (isinstance(item, dict) or is_declared)
        explode = bool(declared.get("explode", style in {None, "form"}))
        parameter = Parameter(name, name, "query", style or "form", explode, is_json=is_json)
        pairs += query_pairs(parameter, item)
    return pairs


def multipart_texts(name: str, value: Any, declared: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Serialize a property of a multipart form in the style that the document declares for it.

    The names and texts of its parts are those of a query, which nothing there has to be escaped for.
    """
    style = str(declared.get("style") or "form")
    parameter = Parameter(name, name, "query", style, bool(declared.get("explode", style == "form")))
    pairs = (pair.partition("=") for pair in query_pairs(parameter, value))
    return [(unquote(key), unquote(text)) for key, _, text in pairs]


def header_text(parameter: Parameter, value: Any) -> str:
    """Serialize a header parameter (style simple).

    Raises:
        ToolFailedError: it holds a line break or another control character.
    """
    if parameter.is_json:
        text = json_text(value)
    elif not isinstance(value, list | dict):
        text = plain(value)
    elif isinstance(value, dict):
        text = ",".join(f"{key}{'=' if parameter.explode else ','}{plain(item)}" for key, item in value.items())
    else:
        text = ",".join(map(plain, value))
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ToolFailedError(wording.control_in_header(parameter.argument))
    return text


def _items(value: Any, explode: bool, safe: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if explode:
                yield f"{_quoted(key)}={_quoted(plain(item), safe)}"
            else:
                yield _quoted(key)
                yield _quoted(plain(item), safe)
    elif isinstance(value, list):
        for item in value:
            yield _quoted(plain(item), safe)
    else:
        yield _quoted(plain(value), safe)


def _deep(name: str, value: Any, safe: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _deep(f"{name}%5B{_quoted(key)}%5D", item, safe)
    elif isinstance(value, list):
        # Plain values in PHP's way; lists of more are numbered, so that one object is not mixed with the next.
        is_flat = not any(isinstance(item, dict | list) for item in value)
        for index, item in enumerate(value):
            yield from _deep(f"{name}%5B{'' if is_flat else index}%5D", item, safe)
    elif value is not None:
        yield name, _quoted(plain(value), safe)


def _quoted(text: str, safe: str = "") -> str:
    return quote(text, safe=safe)
