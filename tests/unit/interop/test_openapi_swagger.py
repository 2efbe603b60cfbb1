"""Swagger 2.0 documents, read as OpenAPI 3.0."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from unified_agents import ConfigError, InvalidInputError, OpenApiConfig, Tool
from unified_agents.interop.openapi.operation import Operation
from unified_agents.interop.openapi.source import open_openapi


def one(tmp_path: Path, declared: list[Any], *, options: Any = None, **more: Any) -> Tool:
    operation = {"operationId": "op", "parameters": declared, "responses": {}}
    operation |= {key: more.pop(key) for key in ("consumes", "security") if key in more}
    document = {
        "swagger": "2.0",
        "host": "api.example.com",
        "basePath": "/v2/",
        "schemes": ["http", "https"],
        "paths": {"/a": {"post": operation, "parameters": more.pop("of_the_path", [])}},
        **more,
    }
    file = tmp_path / "swagger.json"
    file.write_text(json.dumps(document))
    (tool,) = open_openapi(OpenApiConfig.model_validate({"openapi": file, **(options or {})})).tools
    return tool


def request_of(tool: Tool, **arguments: Any) -> Any:
    assert isinstance(tool.handler, Operation)
    return tool.handler._request(tool.validate(json.dumps(arguments)))


def test_parameters_have_schemas_and_are_written_as_declared(tmp_path: Path) -> None:
    strings = {"type": "array", "items": {"type": "string", "collectionFormat": "csv"}}
    parameters = [
        {"name": "n", "in": "query", "type": "integer", "minimum": 1, "exclusiveMinimum": True, "description": "N."},
        {"name": "csv", "in": "query", **strings},
        {"name": "multi", "in": "query", **strings, "collectionFormat": "multi"},
        {"name": "pipes", "in": "query", **strings, "collectionFormat": "pipes"},
        {"name": "X-H", "in": "header", "type": "string", "x-nullable": True, "required": True},
    ]
    tool = one(tmp_path, parameters)
    assert tool.parameters["properties"]["n"] == {"type": "integer", "exclusiveMinimum": 1, "description": "N."}
    assert tool.parameters["properties"]["csv"] == {"type": "array", "items": {"type": "string"}}
    assert tool.parameters["properties"]["X-H"] == {"type": ["string", "null"]}
    assert tool.parameters["required"] == ["X-H"]
    sent = request_of(tool, n=2, csv=["a", "b"], multi=["a", "b"], pipes=["a", "b"], **{"X-H": "x"})
    assert str(sent.url) == "https://api.example.com/v2/a?n=2&csv=a,b&multi=a&multi=b&pipes=a%7Cb"


def test_a_body_has_its_schema_among_the_definitions(tmp_path: Path) -> None:
    pet = {
        "type": "object",
        "discriminator": "kind",
        "required": ["kind"],
        "properties": {"kind": {"type": "string"}, "child": {"$ref": "#/definitions/Pet"}},
    }
    body = {"name": "pet", "in": "body", "required": True, "schema": {"$ref": "#/definitions/Pet"}}
    tool = one(tmp_path, [body], definitions={"Pet": pet}, consumes=["application/vnd.shop+json"])
    assert tool.parameters["properties"] == {"body": {"$ref": "#/$defs/Pet"}}
    assert tool.parameters["required"] == ["body"]
    assert "discriminator" not in tool.parameters["$defs"]["Pet"]
    sent = request_of(tool, body={"kind": "cat", "child": {"kind": "dog"}})
    assert sent.headers["Content-Type"] == "application/vnd.shop+json"
    with pytest.raises(InvalidInputError):
        request_of(tool, body={"kind": "cat", "child": {}})


def test_form_fields_are_one_body_and_a_file_makes_it_multipart(tmp_path: Path) -> None:
    name = {"name": "name", "in": "formData", "type": "string", "required": True, "description": "A name."}
    tags = {"name": "tags", "in": "formData", "type": "array", "items": {"type": "string"}}
    tool = one(tmp_path, [name, tags])
    assert tool.parameters["properties"]["body"]["properties"]["name"] == {"type": "string", "description": "A name."}
    assert tool.parameters["required"] == ["body"]
    assert request_of(tool, body={"name": "a b", "tags": ["x", "y"]}).body == b"name=a%20b&tags=x,y"
    handler: Any = one(tmp_path, [name, {"name": "f", "in": "formData", "type": "file"}]).handler
    assert handler.plan.body.kind == "multipart"
    assert handler.plan.body.files == {"f"}


def test_parameters_of_paths_and_references_are_found(tmp_path: Path) -> None:
    parameters = {"Page": {"name": "page", "in": "query", "type": "integer"}}
    of_the_path = [{"name": name, "in": "query", "type": "string"} for name in ("page", "q")]
    tool = one(tmp_path, [{"$ref": "#/parameters/Page"}], parameters=parameters, of_the_path=of_the_path)
    assert tool.parameters["properties"] == {"page": {"type": "integer"}, "q": {"type": "string"}}


@pytest.mark.parametrize(
    ("scheme", "sent"),
    [
        ({"type": "basic"}, ("Authorization", "Basic bWU6c2VjcmV0")),
        ({"type": "apiKey", "in": "header", "name": "X-Key"}, ("X-Key", "me:secret")),
        ({"type": "oauth2", "flow": "implicit", "scopes": {}}, ("Authorization", "Bearer me:secret")),
    ],
)
def test_secrets_go_where_their_definitions_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: Any, sent: tuple[str, str]
) -> None:
    monkeypatch.setenv("SHOP_KEY", "me:secret")
    options = {"auth": {"s": {"env": "SHOP_KEY"}}}
    tool = one(tmp_path, [], securityDefinitions={"s": scheme}, security=[{"s": []}], options=options)
    assert request_of(tool).headers[sent[0]] == sent[1]


def test_a_document_without_a_host_needs_a_base_url(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="names no server: give base_url"):
        one(tmp_path, [], host=None)
    tool = one(tmp_path, [], host=None, options={"base_url": "https://b.example.com"})
    assert str(request_of(tool).url) == "https://b.example.com/a"
