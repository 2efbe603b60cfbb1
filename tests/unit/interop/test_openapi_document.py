"""OpenAPI documents: reading them, and what is refused."""

from __future__ import annotations

import copy
import json
import re
import time
from pathlib import Path
from typing import Any, ClassVar

import pytest

from unified_agents import ConfigError, OpenApiConfig, Tool, load_openapi
from unified_agents.interop.openapi.source import open_openapi

GET = {"responses": {"200": {"description": "ok"}}}


def document(paths: Any, **more: Any) -> dict[str, Any]:
    return {"openapi": "3.1.0", "servers": [{"url": "https://api.example.com/v1"}], "paths": paths, **more}


def load(tmp_path: Path, content: Any, suffix: str = ".json", **options: Any) -> list[Tool]:
    path = tmp_path / f"api{suffix}"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return load_openapi(OpenApiConfig(openapi=path, **options))


def names(tools: list[Tool]) -> list[str]:
    return [tool.name for tool in tools]


YAML = """
openapi: 3.0.3
servers: [{url: 'https://{region}.example.com', variables: {region: {default: eu}}}]
paths:
  /things:
    get:
      operationId: list
      summary: All things.
      description: In order.
      parameters:
        - {name: country, in: query, schema: {type: string, enum: [no, se, 12:30, 2020-01-01]}}
      responses:
        200: {description: ok}
    post: &post
      deprecated: true
      responses: {200: {description: ok}}
  /things/{id}/parts:
    put: *post
"""


class TestReading:
    def test_yaml_has_the_values_of_json_only(self, tmp_path: Path) -> None:
        tools = load(tmp_path, YAML, ".yaml")
        assert tools[0].parameters["properties"]["country"]["enum"] == ["no", "se", "12:30", "2020-01-01"]

    def test_each_operation_is_a_tool_named_by_its_id_or_by_method_and_path(self, tmp_path: Path) -> None:
        tools = load(tmp_path, YAML, ".yaml")
        assert names(tools) == ["list", "post_things", "put_things_id_parts"]
        assert tools[0].description == "All things.\n\nIn order."
        assert tools[1].description == "Deprecated."
        assert tools[2].parameters["required"] == ["id"]  # no parameter is declared for the slot, and it is there

    def test_json_is_yaml_too(self, tmp_path: Path) -> None:
        assert names(load(tmp_path, document({"/a": {"get": GET}}), ".yaml")) == ["get_a"]

    def test_ids_given_twice_are_told_apart(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        same = GET | {"operationId": "same"}
        tools = load(tmp_path, document({"/a": {"get": same}, "/b/{x}": {"get": same}}))
        assert names(tools) == ["same", "get_b_x"]
        assert "two operations have the id 'same'" in caplog.text

    def test_reading_methods_of_http_that_may_be_repeated_makes_idempotent_tools(self, tmp_path: Path) -> None:
        tools = load(tmp_path, document({"/a": {"get": GET, "post": GET, "delete": GET}}))
        assert {tool.name: tool.options.idempotent for tool in tools} == {
            "get_a": True,
            "post_a": False,
            "delete_a": True,
        }


REFUSED: dict[str, tuple[Any, str]] = {
    "broken JSON": ('{"openapi": ', "not valid JSON"),
    "a list": ([1], "must be an OpenAPI document, not list"),
    "no version": ({"paths": {}}, "must be an OpenAPI 3.0 or 3.1 document, found none"),
    "Swagger 1": ({"swagger": "1.2"}, r"found version '1.2': convert it first"),
    "another dialect": (document({}, jsonSchemaDialect="http://json-schema.org/draft-07/schema#"), "jsonSchemaDialect"),
    "no server": (document({}, servers=[]), "names no server: give base_url"),
    "relative server": (document({}, servers=[{"url": "/v1"}]), "no http or https URL: give base_url"),
    "file server": (document({}, servers=[{"url": "file:///etc"}]), "no http or https URL"),
    "password in the server": (document({}, servers=[{"url": "https://me:pw@a.example"}]), "use auth instead"),
    "remote reference": (
        document({"/a": {"get": {"requestBody": {"$ref": "https://evil.example/x.json#/a"}}}}),
        "is another document, which is never fetched: put it into this file",
    ),
    "reference out of the folder": (
        document({"/a": {"$ref": "../secret.yaml"}}),
        "'../secret.yaml' is outside of the document's folder, and is not read",
    ),
    "lost reference": (document({"/a": {"$ref": "#/paths/~1b"}}), "leads nowhere: '~1b' is not there"),
    "anchor": (document({"/a": {"$ref": "#here"}}), "must be a path, such as"),
    "path that is no object": (document({"/a": 3}), "/a must be an object, not int"),
    "circle of paths": (document({"/a": {"$ref": "#/paths/~1a"}}), "leads back to itself"),
}


class TestRefusing:
    @pytest.mark.parametrize("case", REFUSED)
    def test_what_cannot_be_used_is_refused_with_the_file_and_the_reason(self, tmp_path: Path, case: str) -> None:
        content, reason = REFUSED[case]
        with pytest.raises(ConfigError, match=reason) as caught:
            load(tmp_path, content)
        assert str(tmp_path / "api.json") in str(caught.value)

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="cannot be read: No such file"):
            load_openapi(OpenApiConfig(openapi=tmp_path / "none.json"))

    def test_a_document_is_a_file(self) -> None:
        with pytest.raises(ValueError, match="documents are not fetched; download it"):
            OpenApiConfig.model_validate({"openapi": "https://example.com/openapi.json"})

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("a: [1", "line 2, column 1: not valid YAML"),
            ("a: 1\na: 2", "line 2, column 1: not valid YAML: the key 'a' is given twice"),
            ("a: &a [*a]", r"the alias \*a stands before or within what it means"),
            ("a: 1\n---\nb: 2", "more than one document"),
            ("[" * 5000, "nested too deeply"),
            (
                "\n".join(["a0: &a0 [1]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10))]),
                "write them out",
            ),
        ],
        ids=["broken", "key twice", "endless", "two documents", "deep", "bomb"],
    )
    def test_yaml_that_cannot_be_used(self, tmp_path: Path, text: str, reason: str) -> None:
        with pytest.raises(ConfigError, match=reason):
            load(tmp_path, text, ".yaml")

    def test_what_only_looks_like_a_reference_is_none(self, tmp_path: Path) -> None:
        body = {
            "type": "object",
            "properties": {"$ref": {"type": "string"}, "example": {"type": "integer"}},
            "example": {"$ref": "https://elsewhere.example/"},
        }
        content = {"application/json": {"schema": body}}
        (tool,) = load(tmp_path, document({"/a": {"post": {**GET, "requestBody": {"content": content}}}}))
        assert tool.parameters["properties"]["body"]["properties"]["$ref"] == {"type": "string"}
        assert tool.parameters["properties"]["body"]["properties"]["example"] == {"type": "integer"}


def with_body(schema: Any) -> dict[str, Any]:
    return {**GET, "requestBody": {"content": {"application/json": {"schema": schema}}}}


def with_parameter(parameter: Any) -> dict[str, Any]:
    return {**GET, "parameters": [parameter]}


NO_TOOL: dict[str, tuple[Any, str, str]] = {
    "schema that is none": (
        {"/a": {"get": with_parameter({"name": "q", "in": "query", "schema": {"type": "strnig"}})}},
        "get_a",
        "tool 'get_a': parameters are no valid JSON Schema",
    ),
    "parameter without a name": ({"/a": {"get": with_parameter({"in": "query"})}}, "get_a", "must have a name"),
    "parameter without a place": ({"/a": {"get": with_parameter({"name": "q", "in": "body"})}}, "get_a", "in path, "),
    "parameter whose schema is a number": (
        {"/a": {"get": with_parameter({"name": "q", "in": "query", "schema": 3})}},
        "get_a",
        "3 is no schema: write an object",
    ),
    "body of another document": (
        {"/a": {"post": {"operationId": "make", "requestBody": {"$ref": "https://evil.example/x.json#/a"}}}},
        "make",
        "is another document, which is never fetched",
    ),
    "schema that is gone": (
        {"/a": {"post": with_body({"$ref": "#/components/schemas/Gone"})}},
        "post_a",
        "leads nowhere: 'components' is not there",
    ),
    "dynamic reference without an anchor": (
        {"/a": {"post": with_body({"items": {"$dynamicRef": "#node"}})}},
        "post_a",
        "$dynamicRef is not supported",
    ),
    "body of parts that cannot be written": (
        {"/a": {"post": {"requestBody": {"content": {"multipart/related": {}}}}}},
        "post_a",
        "a request body of multipart/related cannot be written",
    ),
    "path that is gone": ({"/a": {"$ref": "#/paths/~1b"}}, "a", "leads nowhere"),
    "path that is no object": ({"/a": 3}, "a", "paths./a must be an object, not int"),
    "operation that is no object": ({"/a": {"get": []}}, "get_a", "paths./a.get must be an object, not list"),
}


class TestLeavingOut:
    def test_a_path_may_have_keys_beside_its_reference(self, tmp_path: Path) -> None:
        shared = {"pathItems": {"A": {"get": GET, "parameters": [{"name": "q", "in": "query"}]}}}
        item = {"$ref": "#/components/pathItems/A", "post": GET}
        tools = load(tmp_path, document({"/a": item}, components=shared))
        assert {tool.name: list(tool.parameters["properties"]) for tool in tools} == {"get_a": ["q"], "post_a": ["q"]}

    def test_an_extension_beside_the_paths_is_no_operation(self, tmp_path: Path) -> None:
        (tmp_path / "api.json").write_text(json.dumps(document({"/a": {"get": GET}, "x-root": "/v1", "x-more": {}})))
        source = open_openapi(OpenApiConfig(openapi=tmp_path / "api.json"))
        assert ([tool.name for tool in source.tools], source.skipped) == (["get_a"], {})

    def test_a_remark_that_is_no_text_takes_nothing_else_away(self, tmp_path: Path) -> None:
        schema = {"properties": {"a": {"description": {"en": "x"}, "title": 3, "type": "string"}}}
        (tool,) = load(tmp_path, document({"/a": {"post": with_body(schema)}}))
        assert tool.parameters["properties"]["body"] == {"properties": {"a": {"type": "string"}}}

    @pytest.mark.parametrize("schema", [None, {"properties": {"a": None}}, {"items": None}, {"allOf": [None]}])
    def test_a_schema_without_content_takes_any_value(self, tmp_path: Path, schema: Any) -> None:
        (tool,) = load(tmp_path, document({"/a": {"post": with_body(schema)}}))
        assert tool.parameters["properties"]["body"] == json.loads(json.dumps(schema or {}).replace("null", "{}"))

    @pytest.mark.parametrize("case", NO_TOOL)
    def test_what_cannot_be_a_tool_is_named_and_takes_nothing_else_away(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, case: str
    ) -> None:
        paths, name, reason = NO_TOOL[case]
        file = tmp_path / "api.json"
        file.write_text(json.dumps(document({**paths, "/good": {"get": GET}})))
        source = open_openapi(OpenApiConfig(openapi=file))
        assert [tool.name for tool in source.tools] == ["get_good"]
        assert list(source.skipped) == [name]
        assert reason in source.skipped[name]
        assert f"{file}: the operation {name} is left out: " in caplog.text

    def test_a_document_without_any_tool_is_refused(self, tmp_path: Path) -> None:
        bad = {"$ref": "#/nowhere"}
        with pytest.raises(ConfigError, match=r"none of its 2 operations can be a tool: a: .*'nowhere' is not there"):
            load(tmp_path, document({"/a": bad, "/b": bad}))

    def test_a_reference_that_no_request_needs_does_no_harm(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        gone = {"$ref": "#/components/schemas/Gone"}
        answer = {"responses": {"200": {"description": "", "content": {"application/json": {"schema": gone}}}}}
        components = {
            "x-policies": {"one": gone},
            "schemas": {"Unused": gone, "Far": {"$ref": "https://evil.example/"}},
        }
        tools = load(tmp_path, document({"/a": {"get": answer, "x-more": gone}}, components=components))
        assert names(tools) == ["get_a"]
        assert caplog.text == ""

    @pytest.mark.parametrize("bound", ["-9223372036854776000", "18446744073709551616"])
    def test_integers_beyond_64_bits_are_numbers(self, tmp_path: Path, bound: str) -> None:
        text = YAML.replace("enum: [no, se, 12:30, 2020-01-01]", f"minimum: {bound}")
        tools = load(tmp_path, text.replace("type: string", "type: integer"), ".yaml")
        assert names(tools) == ["list", "post_things", "put_things_id_parts"]

    @pytest.mark.parametrize("target", ["#/components/schemas/Gone", "Gone", "models/cat.json", "cat.yaml#/Cat", 3])
    def test_a_discriminator_that_leads_nowhere_is_left_out(self, tmp_path: Path, target: Any) -> None:
        schema = {"type": "object", "discriminator": {"propertyName": "kind", "mapping": {"a": target}}}
        (tool,) = load(tmp_path, document({"/a": {"post": with_body(schema)}}))
        assert tool.parameters["properties"]["body"]["discriminator"] == {"propertyName": "kind"}


class TestSeveralFiles:
    def test_references_lead_to_files_beside_the_document(self, tmp_path: Path) -> None:
        (tmp_path / "paths").mkdir()
        (tmp_path / "models").mkdir()
        (tmp_path / "paths" / "pets.yaml").write_text(
            "post: {operationId: make, requestBody: {content: {application/json: {schema: "
            "{$ref: '../models/all.json#/Pet'}}}}}"
        )
        pet = {
            "type": "object",
            "properties": {
                "name": {"$ref": "#/Name"},
                "parent": {"$ref": "#/Pet"},
                "page": {"$ref": "../api.json#/components/schemas/Page"},
                "size": {"$ref": "a%20size.json"},
            },
        }
        (tmp_path / "models" / "all.json").write_text(json.dumps({"Name": {"type": "string"}, "Pet": pet}))
        (tmp_path / "models" / "a size.json").write_text('{"type": "integer", "maximum": 9}')
        components = {"schemas": {"Page": {"type": "boolean"}}}
        (tool,) = load(tmp_path, document({"/pets": {"$ref": "paths/pets.yaml"}}, components=components))
        (name,) = tool.parameters["$defs"]
        assert tool.parameters["properties"]["body"] == {"$ref": f"#/$defs/{name}"}
        assert tool.parameters["$defs"][name]["properties"] == {
            "name": {"type": "string"},
            "parent": {"$ref": f"#/$defs/{name}"},
            "page": {"type": "boolean"},
            "size": {"type": "integer", "maximum": 9},
        }

    @pytest.mark.parametrize(
        ("reference", "reason"),
        [
            ("gone.json#/A", "cannot be read: there is no such file"),
            ("broken.json#/A", "cannot be read: .* not valid JSON"),
            ("../outside.json", "is outside of the document's folder, and is not read"),
            ("%2E%2E/outside.json", "is outside of the document's folder, and is not read"),
            ("/etc/passwd", "is outside of the document's folder, and is not read"),
            ("link.json", "is outside of the document's folder, and is not read"),
            ("file:///etc/passwd", "is another document, which is never fetched"),
            ("//evil.example/a.json", "is another document, which is never fetched"),
            ("good.json#/B", "leads nowhere: 'B' is not there"),
        ],
    )
    def test_nothing_else_is_read_and_nothing_fetched(self, tmp_path: Path, reference: str, reason: str) -> None:
        folder = tmp_path / "api"
        folder.mkdir()
        (tmp_path / "outside.json").write_text('{"type": "string"}')
        (folder / "link.json").symlink_to(tmp_path / "outside.json")
        (folder / "broken.json").write_text("{")
        (folder / "good.json").write_text('{"A": {"type": "string"}}')
        paths = {"/a": {"post": with_body({"$ref": reference})}, "/b": {"post": with_body({"$ref": "good.json#/A"})}}
        file = folder / "api.json"
        file.write_text(json.dumps(document(paths)))
        source = open_openapi(OpenApiConfig(openapi=file))
        assert [tool.name for tool in source.tools] == ["post_b"]
        assert re.search(reason, source.skipped["post_a"])

    def test_a_document_may_be_a_mapping(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "good.json").write_text('{"type": "string"}')
        given = document({"/a": {"get": GET}, "/b": {"post": with_body({"$ref": "good.json"})}}, info={"title": "Shop"})
        before = copy.deepcopy(given)
        config = OpenApiConfig(openapi=given)
        source = open_openapi(config)
        assert [tool.name for tool in source.tools] == ["get_a"]
        assert "Shop: $ref 'good.json' is another document, which is never fetched" in source.skipped["post_b"]
        assert given == before
        assert config.label == "Shop"
        with pytest.raises(ConfigError, match="Shop: must hold values of JSON only"):
            load_openapi(OpenApiConfig(openapi=given | {"x": {1, 2}}))


class TestServers:
    def test_they_may_stand_at_paths_and_operations_only(self, tmp_path: Path) -> None:
        own = {"servers": [{"url": "https://a.example.com/v1"}]}
        file = tmp_path / "api.json"
        paths = {"/a": {"get": GET, **own}, "/b": {"get": {**GET, **own}}, "/c": {"get": GET}}
        file.write_text(json.dumps(document(paths, servers=[])))
        source = open_openapi(OpenApiConfig(openapi=file))
        assert [tool.name for tool in source.tools] == ["get_a", "get_b"]
        assert "names no server for GET /c: give base_url" in source.skipped["get_c"]

    def test_of_several_hosts_the_config_says_which_are_allowed(self, tmp_path: Path) -> None:
        paths = {f"/{n}": {"get": GET, "servers": [{"url": f"https://{n}.example.com"}]} for n in "ab"}
        with pytest.raises(ConfigError, match=r"its servers are a\.example\.com, b\.example\.com: give allow_hosts"):
            load(tmp_path, document(paths, servers=[]))
        assert len(load(tmp_path, document(paths, servers=[]), allow_hosts=("a.example.com", "b.example.com"))) == 2
        assert len(load(tmp_path, document(paths, servers=[]), base_url="https://c.example.com")) == 2

    @pytest.mark.parametrize("variables", [None, {}, {"tenant": {}}, {"tenant": 3}, {"other": {"default": "x"}}])
    def test_a_variable_without_a_value_is_named(self, tmp_path: Path, variables: Any) -> None:
        server = {"url": "https://{tenant}.example.com", "variables": variables}
        with pytest.raises(ConfigError, match="the server's variable 'tenant' has no default: give base_url"):
            load(tmp_path, document({"/a": {"get": GET}}, servers=[server]))


class TestFilters:
    PATHS: ClassVar[Any] = {
        "/orders": {"get": {**GET, "tags": ["orders", "read"]}, "post": {**GET, "tags": ["orders"]}},
        "/orders/{id}": {"get": GET},
        "/users": {"get": {**GET, "tags": ["users"]}},
    }

    @pytest.mark.parametrize(
        ("options", "kept"),
        [
            ({"tags": ("orders",)}, ["get_orders", "post_orders"]),
            ({"tags": "re*"}, ["get_orders"]),
            ({"paths": "/orders*"}, ["get_orders", "post_orders", "get_orders_id"]),
            ({"methods": ["POST"]}, ["post_orders"]),
            (
                {"methods": "get", "paths": ["/orders", "/users"], "tags": ["orders", "users"]},
                ["get_orders", "get_users"],
            ),
        ],
    )
    def test_by_tag_path_and_method(self, tmp_path: Path, options: Any, kept: list[str]) -> None:
        assert names(load(tmp_path, document(self.PATHS), **options)) == kept

    def test_what_fits_nothing_is_told(self, tmp_path: Path) -> None:
        for options in ({"tags": "Orders"}, {"paths": "/order"}):
            with pytest.raises(ConfigError, match="matches no operation"):
                load(tmp_path, document(self.PATHS), **options)
        with pytest.raises(ValueError, match="'fetch' is no method of an operation"):
            load(tmp_path, document(self.PATHS), methods="fetch")

    def test_what_they_leave_out_is_not_looked_at(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        bad = {"/bad": {"get": with_body({"$ref": "#/gone"})}}
        assert names(load(tmp_path, document(self.PATHS | bad), paths="/users")) == ["get_users"]
        assert caplog.text == ""


class TestSize:
    @pytest.mark.timed
    def test_a_thousand_operations_of_three_megabytes_are_tools_in_less_than_two_seconds(self, tmp_path: Path) -> None:
        large = {
            "type": "object",
            "properties": {f"p{n}": {"type": "string", "description": "x" * 100} for n in range(15)},
        }
        body = {"requestBody": {"content": {"application/json": {"schema": large}}}}
        path = tmp_path / "large.json"
        path.write_text(json.dumps(document({f"/v{n}/a": {"post": {**GET, **body}} for n in range(1_000)}), indent=1))
        assert path.stat().st_size > 3_000_000
        start = time.process_time()
        tools = load_openapi(OpenApiConfig(openapi=path))
        assert time.process_time() - start < 2.0
        assert len(tools) == 1_000
        assert len(tools[999].parameters["properties"]["body"]["properties"]) == 15
