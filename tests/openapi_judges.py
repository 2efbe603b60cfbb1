"""Judges of the requests that tools of an OpenAPI document send: openapi-core, and bravado-core for Swagger 2.0.

A judge reads a recorded request by the document, without our code, and says what is wrong with it, or which arguments
it holds that are not those that were given.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime, time
from email.parser import BytesParser
from email.policy import HTTP
from http.cookies import SimpleCookie
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qsl, unquote, urlsplit

from aiohttp import web

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


@dataclass(slots=True, frozen=True)
class Recorded:
    """A request as it reached the server."""

    method: str
    target: str
    headers: Sequence[tuple[str, str]]
    body: bytes

    @property
    def path(self) -> str:
        """The path, percent-encoded."""
        return urlsplit(self.target).path

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(urlsplit(self.target).query, keep_blank_values=True)

    @property
    def content_type(self) -> str:
        return next((value for name, value in self.headers if name.lower() == "content-type"), "")

    def forms(self) -> list[tuple[str, str | bytes]]:
        """Return the fields of a form."""
        if self.content_type.startswith("application/x-www-form-urlencoded"):
            return list(parse_qsl(self.body.decode(), keep_blank_values=True))
        if not self.content_type.startswith("multipart/form-data"):
            return []
        message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {self.content_type}\r\n\r\n".encode() + self.body)
        return [
            (str(part.get_param("name", header="content-disposition")), part.get_payload(decode=True) or b"")
            for part in message.iter_parts()
        ]


@asynccontextmanager
async def recording_server() -> AsyncIterator[tuple[str, list[Recorded]]]:
    """Serve an answer to every request on a free port of this machine, and record the requests."""
    requests: list[Recorded] = []

    async def record(request: web.BaseRequest) -> web.Response:
        headers = [(name.decode(), value.decode("utf-8", "surrogateescape")) for name, value in request.raw_headers]
        requests.append(Recorded(request.method, request.raw_path, headers, await request.read()))
        return web.json_response({})

    runner = web.ServerRunner(web.Server(record))
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}", requests
    finally:
        await runner.cleanup()


class OpenApiCoreJudge:
    """A judge of requests by an OpenAPI 3 document.

    Args:
        root: The document.
        server: Where the requests went, which takes the place of the document's servers.
        path: The path of the judged operation: the only one that the judge knows.
    """

    def __init__(self, root: Mapping[str, Any], server: str, path: str) -> None:
        from openapi_core import Config, OpenAPI

        item = {key: value for key, value in root["paths"][path].items() if key != "servers"}
        item = {
            key: {name: part for name, part in value.items() if name != "servers"} if key in METHODS else value
            for key, value in item.items()
        }
        # A query or a fragment in a path tells operations apart; openapi-core knows paths only.
        judged_path = path.partition("#")[0].partition("?")[0]
        others = root["paths"] if b'"#/paths/' in json.dumps(root).encode() else {}
        document = {**root, "servers": [{"url": server}], "paths": {**others, judged_path: item}}
        document.pop("webhooks", None)
        components = root.get("components") or {}
        schemes = {name: _in_small_letters(scheme) for name, scheme in components.get("securitySchemes", {}).items()}
        document["components"] = {**components, "securitySchemes": schemes}
        self._server = server
        config = Config(spec_validator_cls=None, extra_media_type_deserializers=_readers_of_json(item))
        api = OpenAPI.from_dict(document, config=config)
        self._validator = api.request_validator

    def objections(self, recorded: Recorded) -> list[str]:
        """Return what is wrong with a request."""
        request = _CoreRequest(recorded, self._server)
        return [text for error in self._validator.iter_errors(request) for text in _described(error)]

    def arguments(self, recorded: Recorded) -> dict[tuple[str, str], Any]:
        """Return the values that the request holds, by their places and names; the body under ("body", "")."""
        request = _CoreRequest(recorded, self._server)
        path, operation, _, result, _ = self._validator._find_path(request)
        request.parameters.path = result.variables
        parameters = self._validator._get_parameters(request.parameters, operation, path)
        found = {
            (place, name): value
            for place in ("path", "query", "header", "cookie")
            for name, value in getattr(parameters, place).items()
        }
        if recorded.body:
            found["body", ""] = self._validator._get_body(request.body, request.content_type, operation)
        return found


def _in_small_letters(scheme: Any) -> Any:
    """Return an HTTP security scheme as openapi-core expects it: it takes `Bearer` for another scheme than `bearer`."""
    return {**scheme, "scheme": str(scheme["scheme"]).lower()} if "scheme" in scheme else scheme


def _readers_of_json(item: Any) -> dict[str, Callable[..., Any]]:
    """Return readers for the media types of JSON that a path item names, such as `application/vnd.x+json`."""
    names = re.findall(r'"([\w.+/-]+[+/]json)', json.dumps(item))
    return {name: lambda data, **_: json.loads(data) for name in names}


def _described(error: BaseException) -> list[str]:
    """Describe an error of openapi-core: each of the errors in a schema, or what it says with its causes."""
    place, name = getattr(error, "location", "body"), getattr(error, "name", "")
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None:
        chain.append(link)
        link = link.__cause__
    details = [
        f"{place} {name} {each.json_path}: {_short(each.message)}"
        for link in chain
        for each in getattr(link, "schema_errors", ())
    ]
    return details or [
        f"{place} {name}: " + " | ".join(f"{type(link).__name__}: {_short(str(link))}" for link in chain)
    ]


def _short(text: str) -> str:
    return text if len(text) <= 300 else f"{text[:150]} … {text[-150:]}"


class _CoreRequest:
    """A recorded request in the form of openapi-core's protocol."""

    def __init__(self, recorded: Recorded, server: str) -> None:
        from openapi_core.datatypes import RequestParameters
        from werkzeug.datastructures import Headers, ImmutableMultiDict

        class Parameters(RequestParameters):
            def __setattr__(self, name: str, value: Any) -> None:
                if name == "path":  # it reads the path as it was sent
                    value = {key: unquote(text) for key, text in value.items()}
                super().__setattr__(name, value)

        self.host_url = server
        self.path = recorded.path
        self.method = recorded.method.lower()
        self.body = recorded.body or None
        self.content_type = recorded.content_type
        cookies = SimpleCookie(dict(recorded.headers).get("Cookie", ""))
        self.parameters = Parameters(
            query=ImmutableMultiDict(recorded.query),
            header=Headers(list(recorded.headers)),
            cookie=ImmutableMultiDict({name: unquote(morsel.value) for name, morsel in cookies.items()}),
        )


class BravadoJudge:
    """A judge of requests by a Swagger 2.0 document."""

    def __init__(self, root: Mapping[str, Any], server: str, path: str) -> None:
        from bravado_core.spec import Spec

        self._path = path
        document = {**root, "host": urlsplit(server).netloc, "schemes": ["http"], "paths": {path: root["paths"][path]}}
        self._base = str(root.get("basePath", "")).rstrip("/")
        config = {"validate_swagger_spec": False, "use_models": False}
        with patch("bravado_core.spec.model_discovery"):  # which would read the metaschemas that openapi-core registers
            self._spec = Spec.from_dict(document, config=config)

    def objections(self, recorded: Recorded) -> list[str]:
        """Return what is wrong with a request."""
        try:
            self.arguments(recorded)
        except Exception as error:  # whatever the judge raises is an objection
            return [f"{type(error).__name__}: {_short(str(error))}"]
        return []

    def arguments(self, recorded: Recorded) -> dict[tuple[str, str], Any]:
        """Return the values that the request holds, by their places and names; the body under ("body", "")."""
        from bravado_core.operation import Operation
        from bravado_core.param import unmarshal_param

        method = recorded.method.lower()
        operation = Operation.from_spec(
            self._spec, self._path, method, self._spec.spec_dict["paths"][self._path][method]
        )
        request = _BravadoRequest(recorded, self._path)
        return {
            ("body", "") if parameter.location == "body" else (parameter.location, name): value
            for name, parameter in operation.params.items()
            if (value := unmarshal_param(parameter, request)) is not None
        }


class _BravadoRequest:
    """A recorded request in the form of bravado-core's protocol."""

    def __init__(self, recorded: Recorded, path: str) -> None:
        pieces = re.split(r"\{([^{}]+)\}", path)
        pattern = "".join("([^/]*)" if index % 2 else re.escape(piece) for index, piece in enumerate(pieces))
        match = re.search(f"{pattern}$", recorded.path)
        assert match is not None, f"{recorded.path} is not {path}"
        self.path = dict(zip(pieces[1::2], map(unquote, match.groups()), strict=True))
        self.query = _by_name(recorded.query)
        self.headers = _Headers(recorded.headers)
        fields = recorded.forms()
        self.form = _by_name([(name, value.decode() if isinstance(value, bytes) else value) for name, value in fields])
        self.files = dict(fields)
        self.raw_bytes = recorded.body
        self._body = recorded.body

    def json(self) -> Any:
        return json.loads(self._body)


class _Headers(dict[str, str]):
    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        super().__init__({name.lower(): value for name, value in pairs})

    def get(self, name: str, default: Any = None) -> Any:  # type: ignore[override]
        return super().get(name.lower(), default)


def _by_name(pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return the values by name: a text, or a list where a name stands several times."""
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def same(sent: Any, found: Any) -> bool:
    """Tell whether a judge found what was sent; it may read numbers as text, and add what is not there."""
    if isinstance(sent, Mapping) and isinstance(found, Mapping):
        return all(same(value, found.get(name)) for name, value in sent.items())
    if isinstance(sent, list) and isinstance(found, list):
        return len(sent) == len(found) and all(map(same, sent, found))
    if isinstance(found, bytes):
        found = found.decode("utf-8", "surrogateescape")
    if isinstance(found, date):  # also with a time
        return datetime.fromisoformat(sent) == (
            found if isinstance(found, datetime) else datetime.combine(found, time())
        )
    if isinstance(sent, bool) or isinstance(found, bool):
        return str(sent).lower() == str(found).lower()
    return sent == found or str(sent).strip() == str(found).strip() or (found is None and is_nothing(sent))


def is_nothing(value: Any) -> bool:
    """Tell whether a value holds no text, number or truth, so that no form or query can write it."""
    if isinstance(value, Mapping):
        return all(map(is_nothing, value.values()))
    return all(map(is_nothing, value)) if isinstance(value, list) else value is None
