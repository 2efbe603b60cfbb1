"""One operation of a document: makes a request of the arguments that a model gave, and sends it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from unified_agents import wording
from unified_agents.errors import ConfigError, ToolFailedError
from unified_agents.interop.openapi.client import HttpRequest, OpenApiClient
from unified_agents.interop.openapi.client_token import ClientToken
from unified_agents.interop.openapi.credentials import Credential, Credentials
from unified_agents.interop.openapi.document import Document, as_list
from unified_agents.interop.openapi.file_content import file_content
from unified_agents.interop.openapi.request_plan import BODY, PATH_PARAMETER, RequestBody, RequestPlan, plan_request
from unified_agents.interop.openapi.schemas import SchemaTranslator
from unified_agents.interop.openapi.serialization import (
    form_pairs,
    header_text,
    json_text,
    multipart_texts,
    path_text,
    plain,
    query_pairs,
)
from unified_agents.messages import JsonObject

_SAFE_IN_PATH = "/%:@!$&'()*+,;=~"
_DEFAULT_MEDIA_TYPES = {
    "json": "application/json",
    "form": "application/x-www-form-urlencoded",
    "text": "text/plain",
    "binary": "application/octet-stream",
}
"""The content type of each kind of body where the document says no more than `*/*`."""


@dataclass(slots=True, frozen=True, repr=False)
class OperationContext:
    """What the operations of a document have in common.

    Attributes:
        base_url: Where calls go; None where only paths and operations have servers.
        is_overridden: Whether the config names `base_url`, so that no operation has a server of its own.
    """

    document: Document
    schemas: SchemaTranslator
    credentials: Credentials
    client: OpenApiClient
    base_url: URL | None
    is_overridden: bool


@dataclass(eq=False, repr=False)
class Operation:
    """One operation of a document, as the handler of a tool.

    Attributes:
        method: The HTTP method in capitals.
        path: The path, with its parameters in braces.
    """

    _context: OperationContext
    method: str
    path: str
    _item: JsonObject
    _operation: JsonObject

    @property
    def id(self) -> str | None:
        """The `operationId`; None where there is none."""
        operation_id = self._operation.get("operationId")
        return operation_id if isinstance(operation_id, str) and operation_id else None

    @property
    def description(self) -> str:
        """The summary and the description; method and path where there is neither."""
        texts = [self._operation.get("summary"), self._operation.get("description")]
        if self._operation.get("deprecated") is True:
            texts.append(wording.DEPRECATED)
        present = [text.strip() for text in texts if isinstance(text, str) and text.strip()]
        return "\n\n".join(dict.fromkeys(present)) or wording.operation_without_words(self.method, self.path)

    @property
    def tags(self) -> list[Any]:
        """The tags by which the document groups it."""
        return as_list(self._operation.get("tags"))

    @property
    def sent_schemes(self) -> frozenset[str]:
        """The security schemes whose secrets a call carries."""
        return self._context.credentials.sent_with(self._operation)

    def check_server(self) -> None:
        """Check that there is a server to call.

        Raises:
            ConfigError: there is none, or its URL cannot be called.
        """
        self._server_url()

    def parameters(self) -> JsonObject:
        """Return the JSON Schema of the arguments."""
        return self.plan.schema

    @cached_property
    def plan(self) -> RequestPlan:
        """How the arguments become a request; made when it is first needed."""
        credentials = self._context.credentials
        filled = [*((credential.location, credential.name) for credential in self._credentials())]
        filled += [("header", name) for name in credentials.headers]
        hidden = {(place, name.lower() if place == "header" else name) for place, name in filled}
        return plan_request(
            self.path,
            self._item,
            self._operation,
            self._context.schemas,
            hidden=hidden,
            fixed=credentials.arguments,
        )

    async def __call__(self, /, **arguments: Any) -> Any:
        """Call the operation.

        Raises:
            ToolFailedError: see `OpenApiClient.send`; also, an argument cannot stand where it belongs.
        """
        request = self._request(arguments)
        return await self._context.client.send(request, self._context.credentials.missing_schemes(self._operation))

    def _credentials(self) -> Sequence[Credential]:
        return self._context.credentials.for_operation(self._operation)

    def _token(self) -> ClientToken | None:
        return next((found for credential in self._credentials() if (found := credential.token)), None)

    def _request(self, arguments: Mapping[str, Any]) -> HttpRequest:
        arguments = {**arguments, **self.plan.fixed}
        path_values: dict[str, str] = {}
        query: list[str] = []
        cookies: list[str] = []
        headers = dict(self._context.credentials.headers)
        for parameter in self.plan.parameters:
            if parameter.argument not in arguments:
                continue
            value = arguments[parameter.argument]
            match parameter.location:
                case "path":
                    path_values[parameter.name] = path_text(parameter, value)
                case "query":
                    query += query_pairs(parameter, value)
                case "header" if value is not None:  # for which no text stands
                    headers[parameter.name] = header_text(parameter, value)
                case "cookie":
                    cookies += query_pairs(parameter, value)
        for credential in dict.fromkeys(self._credentials()):  # two schemes may put one key into one place
            match credential.location:
                case "header":
                    headers[credential.name] = credential.value
                case "query":
                    query.append(f"{quote(credential.name, safe='')}={quote(credential.value, safe='')}")
                case _:
                    cookies.append(f"{credential.name}={quote(credential.value, safe='')}")
        if cookies:
            headers["Cookie"] = "; ".join(cookies)
        request = HttpRequest(self.method, self._url(path_values, query), headers, token=self._token())
        if self.plan.body is not None and BODY in arguments:
            _write_body(request, self.plan.body, arguments[BODY])
        return request

    def _url(self, path_values: Mapping[str, str], query: Sequence[str]) -> URL:
        base = self._server()
        # Some documents tell operations apart by a query in the path, or by a fragment, which no request carries.
        path_template, _, query_template = self.path.partition("#")[0].partition("?")
        path = _filled(path_template, path_values)
        if any(part in {".", ".."} for part in path.split("/")):
            raise ToolFailedError(wording.dots_in_path())
        parts = [part for part in (base.raw_query_string, _filled(query_template, path_values), *query) if part]
        text = f"{base.origin()}{base.raw_path.rstrip('/')}{path}"
        return URL(f"{text}?{'&'.join(parts)}" if parts else text, encoded=True)

    def _server(self) -> URL:
        try:
            return self._server_url()
        except ConfigError as error:
            raise ToolFailedError(str(error)) from error

    def _server_url(self) -> URL:
        context = self._context
        servers = as_list(self._operation.get("servers")) or as_list(self._item.get("servers"))
        if servers and not context.is_overridden:
            return server_url(servers[0], context.document, context.base_url)
        if context.base_url is None:
            raise ConfigError(f"{context.document.where}: names no server for {self.method} {self.path}: give base_url")
        return context.base_url


def _filled(template: str, values: Mapping[str, str]) -> str:
    """Return a path or query with the values of its parameters."""
    pieces = PATH_PARAMETER.split(template)  # literal text and names of parameters in turn
    return "".join(
        values[piece] if index % 2 else quote(piece, safe=_SAFE_IN_PATH) for index, piece in enumerate(pieces)
    )


def _write_body(request: HttpRequest, body: RequestBody, value: Any) -> None:
    match body.kind:
        case "json":
            request.body = json_text(value).encode()
        case "form":
            request.body = "&".join(form_pairs(value, body.encoding)).encode()
        case "multipart":
            request.body = _multipart(body, value)
            return  # whose content type has a boundary
        case _:
            content = file_content(value if isinstance(value, str) else plain(value))
            request.body = content.data
            if content.media_type is not None and "*" in body.media_type:
                request.headers["Content-Type"] = content.media_type
                return
    request.headers["Content-Type"] = _DEFAULT_MEDIA_TYPES[body.kind] if "*" in body.media_type else body.media_type


def _multipart(body: RequestBody, value: Any) -> aiohttp.FormData:
    form = aiohttp.FormData(default_to_multipart=True)
    if not isinstance(value, Mapping):
        raise ToolFailedError(wording.form_is_no_object())
    for name, item in value.items():
        encoding = body.encoding.get(name) or {}
        if body.has_styles and name not in body.files and not encoding.keys().isdisjoint(("style", "explode")):
            for key, text in multipart_texts(name, item, encoding):
                form.add_field(key, text)
            continue
        kind = encoding.get("contentType")
        declared = kind if isinstance(kind, str) and "," not in kind and "*" not in kind else None
        for part in item if isinstance(item, list) and not _is_json(declared) else [item]:
            if part is None and not _is_json(declared):
                continue  # no text stands for null
            if name in body.files and isinstance(part, str):
                content = file_content(part)
                content_type = content.media_type or declared or "application/octet-stream"
                form.add_field(
                    name, content.data, filename=content.name_for(name, content_type), content_type=content_type
                )
            elif isinstance(part, dict | list):
                form.add_field(name, json_text(part), content_type=declared or "application/json")
            else:
                form.add_field(name, plain(part), content_type=declared)
    return form


def _is_json(media_type: str | None) -> bool:
    return media_type is not None and media_type.endswith("json")


def server_url(server: Any, document: Document, base: URL | None) -> URL:
    """Return the URL of a server object, with the defaults of its variables.

    Args:
        server: The object in the document.
        document: For messages.
        base: The base of a relative URL; None refuses those.

    Raises:
        ConfigError: it has no URL that can be called.
    """
    if not isinstance(server, Mapping) or not isinstance(server.get("url"), str):
        raise ConfigError(f"{document.where}: a server has no url: give base_url")
    variables = server.get("variables") or {}

    def value_of(match: re.Match[str]) -> str:
        variable = variables.get(match[1])
        if not isinstance(variable, Mapping) or "default" not in variable:
            raise ConfigError(f"{document.where}: the server's variable {match[1]!r} has no default: give base_url")
        return str(variable["default"])

    text = PATH_PARAMETER.sub(value_of, server["url"])
    if base is not None and "://" not in text:
        text = str(base.join(URL(text)))
    return parse_server_url(text, document)


def parse_server_url(text: str, document: Document) -> URL:
    """Return a text as a URL that calls can go to.

    Raises:
        ConfigError: it is no http or https URL, or holds a password.
    """
    try:
        url = URL(text)
    except ValueError as error:
        raise ConfigError(f"{document.where}: the server's URL cannot be read: give base_url") from error
    if not url.absolute or url.scheme not in {"http", "https"}:
        raise ConfigError(f"{document.where}: the server {text!r} is no http or https URL: give base_url")
    if url.user or url.password:
        raise ConfigError(f"{document.where}: the server's URL holds a user or password: use auth instead")
    return url
