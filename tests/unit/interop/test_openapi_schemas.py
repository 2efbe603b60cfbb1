"""The schemas of operations: one object of JSON Schema 2020-12 for each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from unified_agents import ConfigError, InvalidInputError, OpenApiConfig, Tool, load_openapi


def operation(
    tmp_path: Path,
    *,
    version: str = "3.0.3",
    path: str = "/a",
    schemas: Any = None,
    item: Any = None,
    options: Any = None,
    components: Any = None,
    **stated: Any,
) -> Tool:
    document = {
        "openapi": version,
        "servers": [{"url": "https://api.example.com"}],
        "paths": {path: {"post": {"responses": {}, "operationId": "op", **stated}, **(item or {})}},
        "components": {"schemas": schemas or {}, **(components or {})},
    }
    file = tmp_path / "api.json"
    file.write_text(json.dumps(document))
    (tool,) = load_openapi(OpenApiConfig(openapi=file, **(options or {})))
    return tool


def query(name: str = "q", /, **schema: Any) -> list[dict[str, Any]]:
    return [{"name": name, "in": "query", "schema": schema}]


def body(schema: Any, media_type: str = "application/json", **more: Any) -> dict[str, Any]:
    return {"content": {media_type: {"schema": schema}}, **more}


def accepts(tool: Tool, **arguments: Any) -> bool:
    try:
        tool.validate(json.dumps(arguments))
    except InvalidInputError:
        return False
    return True


class TestTheKeywordsOf30:
    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
            ({"type": "string", "nullable": False}, {"type": "string"}),
            (
                {"type": "string", "nullable": True, "enum": ["a"]},
                {"type": ["string", "null"], "enum": ["a", None]},
            ),
            (
                {"nullable": True, "allOf": [{"type": "string"}], "description": "d"},
                {"anyOf": [{"allOf": [{"type": "string"}]}, {"type": "null"}], "description": "d"},
            ),
            ({"type": "integer", "minimum": 1, "exclusiveMinimum": True}, {"type": "integer", "exclusiveMinimum": 1}),
            ({"type": "integer", "maximum": 1, "exclusiveMaximum": False}, {"type": "integer", "maximum": 1}),
            ({"type": "string", "example": "x"}, {"type": "string", "examples": ["x"]}),
            ({"type": "string", "xml": {"name": "x"}, "x-internal": 1}, {"type": "string"}),
            ({"type": "string", "title": "T", "format": "date"}, {"type": "string", "title": "T", "format": "date"}),
        ],
    )
    def test_become_those_of_2020_12(self, tmp_path: Path, given: Any, expected: Any) -> None:
        tool = operation(tmp_path, parameters=query(**given))
        assert tool.parameters["properties"]["q"] == expected

    def test_also_deep_within(self, tmp_path: Path) -> None:
        deep = {"type": "object", "properties": {"nullable": {"type": "string", "nullable": True}}}
        tool = operation(tmp_path, requestBody=body({"type": "array", "items": {"oneOf": [deep]}}))
        assert accepts(tool, body=[{"nullable": None}])
        assert not accepts(tool, body=[{"nullable": 1}])

    @pytest.mark.parametrize(
        ("choices", "written"), [([1, 2.5, True], ["1", "2.5", "true"]), (["a", None, 3], ["a", None, "3"])]
    )
    def test_the_choices_of_a_text_are_texts(self, tmp_path: Path, choices: Any, written: Any) -> None:
        tool = operation(tmp_path, parameters=query(type="string", enum=choices))
        assert tool.parameters["properties"]["q"]["enum"] == written

    def test_a_read_only_property_belongs_to_answers_and_is_no_part_of_a_request(self, tmp_path: Path) -> None:
        schema = {
            "type": "object",
            "required": ["id", "name", "at"],
            "properties": {
                "id": {"type": "integer", "readOnly": True},
                "name": {"type": "string"},
                "at": {"$ref": "#/components/schemas/At"},
            },
        }
        at = {"type": "string", "readOnly": True}
        tool = operation(tmp_path, schemas={"At": at}, requestBody=body(schema))
        assert tool.parameters["properties"]["body"]["required"] == ["name"]
        assert tool.parameters["properties"]["body"]["properties"] == {"name": {"type": "string"}}

    @pytest.mark.parametrize(
        "whole",
        [
            {"allOf": [{"$ref": "#/components/schemas/Tag"}, {"type": "object", "required": ["id", "name"]}]},
            {"allOf": [{"$ref": "#/components/schemas/Tag"}], "required": ["id", "name"]},
            {"properties": {"id": {"readOnly": True}}, "allOf": [{"required": ["id", "name"]}]},
            {
                "allOf": [
                    {"allOf": [{"$ref": "#/components/schemas/Tag"}]},
                    {"required": ["id"]},
                    {"required": ["name"]},
                ]
            },
        ],
    )
    def test_a_read_only_property_is_not_required_by_another_part(self, tmp_path: Path, whole: Any) -> None:
        tag = {"type": "object", "properties": {"id": {"type": "string", "readOnly": True}, "name": {"type": "string"}}}
        tool = operation(tmp_path, schemas={"Tag": tag}, requestBody=body(whole))
        assert accepts(tool, body={"name": "x"})
        assert not accepts(tool, body={"id": "x"})

    @pytest.mark.parametrize("by_reference", [False, True])
    def test_a_property_that_another_part_makes_read_only_is_no_part_of_a_request(
        self, tmp_path: Path, by_reference: bool
    ) -> None:
        disk = {"required": ["size", "name"], "properties": {"size": {"type": "integer"}, "name": {"type": "string"}}}
        first = {"allOf": [{"$ref": "#/components/schemas/Disk"}]} if by_reference else disk
        whole = {"allOf": [first, {"properties": {"size": {"readOnly": True}}}]}
        tool = operation(tmp_path, schemas={"Disk": disk}, requestBody=body(whole))
        assert "size" not in json.dumps(tool.parameters)
        assert accepts(tool, body={"name": "x"})
        assert not accepts(tool, body={})

    def test_alternatives_that_every_object_fits_need_not_exclude_each_other(self, tmp_path: Path) -> None:
        one, other = ({"type": "object", "properties": {name: {"type": "string"}}} for name in "ab")
        tool = operation(
            tmp_path, schemas={"B": other}, requestBody=body({"oneOf": [one, {"$ref": "#/components/schemas/B"}]})
        )
        assert accepts(tool, body={"a": "x"})
        assert not accepts(tool, body={"a": 1, "b": 2})

    @pytest.mark.parametrize("more", [{"required": ["a"]}, {"additionalProperties": False}])
    def test_other_alternatives_exclude_each_other(self, tmp_path: Path, more: Any) -> None:
        one = {"type": "object", "properties": {"a": {"type": "string"}}, **more}
        tool = operation(tmp_path, requestBody=body({"oneOf": [one, {"type": "object", "properties": {"b": {}}}]}))
        assert not accepts(tool, body={"a": "x"})

    def test_what_stands_beside_a_reference_is_a_remark_only(self, tmp_path: Path) -> None:
        parameters = query(**{"$ref": "#/components/schemas/N", "description": "d", "maximum": 3})
        tool = operation(tmp_path, schemas={"N": {"type": "integer"}}, parameters=parameters)
        assert tool.parameters["properties"]["q"] == {"type": "integer", "description": "d"}

    def test_in_31_it_counts(self, tmp_path: Path) -> None:
        parameters = query(**{"$ref": "#/components/schemas/N", "maximum": 3})
        tool = operation(tmp_path, version="3.1.0", schemas={"N": {"type": "integer"}}, parameters=parameters)
        assert accepts(tool, q=3)
        assert not accepts(tool, q=4)
        assert not accepts(tool, q="x")


NODE = {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/Node"}, "n": {"type": "integer"}}}


class TestReferences:
    def test_recursive_ones_go_through_definitions(self, tmp_path: Path) -> None:
        tool = operation(tmp_path, schemas={"Node": NODE}, requestBody=body({"$ref": "#/components/schemas/Node"}))
        assert tool.parameters["properties"]["body"] == {"$ref": "#/$defs/Node"}
        assert tool.parameters["$defs"]["Node"]["properties"]["next"] == {"$ref": "#/$defs/Node"}
        assert accepts(tool, body={"next": {"next": {"n": 1}}})
        assert not accepts(tool, body={"next": {"next": {"n": "x"}}})

    @pytest.mark.parametrize(
        ("anchor", "reference"),
        [
            ({"$recursiveAnchor": True}, {"$recursiveRef": "#"}),
            ({"$dynamicAnchor": "node"}, {"$dynamicRef": "#node"}),
        ],
    )
    @pytest.mark.parametrize("is_named", [True, False])
    def test_recursion_by_anchors_is_that_of_references(
        self, tmp_path: Path, anchor: Any, reference: Any, is_named: bool
    ) -> None:
        leaf = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
        items = {"oneOf": [leaf, reference]}
        node = {
            **anchor,
            "type": "object",
            "properties": {"op": {"type": "string"}, "of": {"type": "array", "items": items}},
            "required": ["op"],
        }
        schema = {"$ref": "#/components/schemas/Filter"} if is_named else node
        tool = operation(tmp_path, version="3.1.0", schemas={"Filter": node}, requestBody=body(schema))
        assert accepts(tool, body={"op": "and", "of": [{"n": 1}, {"op": "or", "of": [{"n": 2}]}]})
        assert not accepts(tool, body={"op": "and", "of": [{"op": "or", "of": [{"n": "x"}]}]})

    def test_only_what_is_needed_is_defined(self, tmp_path: Path) -> None:
        schemas = {"Node": NODE, "Other": NODE}
        tool = operation(tmp_path, schemas=schemas, requestBody=body({"$ref": "#/components/schemas/Node"}))
        assert list(tool.parameters["$defs"]) == ["Node"]

    def test_short_ones_stand_where_they_are_used(self, tmp_path: Path) -> None:
        tool = operation(
            tmp_path, schemas={"Id": {"type": "integer"}}, parameters=query(**{"$ref": "#/components/schemas/Id"})
        )
        assert tool.parameters["properties"]["q"] == {"type": "integer"}
        assert "$defs" not in tool.parameters

    def test_paths_with_odd_characters_are_found(self, tmp_path: Path) -> None:
        reference = "#/paths/~1a~1%7Bid%7D/post/requestBody/content/application~1json/schema"
        schema = {"type": "object", "properties": {"again": {"$ref": reference}}}
        tool = operation(tmp_path, path="/a/{id}", requestBody=body(schema))
        assert accepts(tool, id="1", body={"again": {"again": {}}})
        assert not accepts(tool, id="1", body={"again": {"again": 1}})

    def test_a_circle_of_bare_references_is_refused(self, tmp_path: Path) -> None:
        schemas = {"A": {"$ref": "#/components/schemas/B"}, "B": {"$ref": "#/components/schemas/A"}}
        with pytest.raises(ConfigError, match=r"tool 'op': .* leads back to itself"):
            operation(tmp_path, schemas=schemas, parameters=query(**{"$ref": "#/components/schemas/A"}))

    def test_parameters_and_bodies_may_be_references(self, tmp_path: Path) -> None:
        components = {
            "parameters": {"Page": {"name": "page", "in": "query", "schema": {"type": "integer"}}},
            "requestBodies": {"Text": {"required": True, **body({"type": "string"})}},
        }
        tool = operation(
            tmp_path,
            components=components,
            parameters=[{"$ref": "#/components/parameters/Page"}],
            requestBody={"$ref": "#/components/requestBodies/Text"},
        )
        assert tool.parameters == {
            "type": "object",
            "properties": {"page": {"type": "integer"}, "body": {"type": "string"}},
            "required": ["body"],
            "additionalProperties": False,
        }

    def test_a_discriminator_names_definitions(self, tmp_path: Path) -> None:
        cat = {"type": "object", "properties": {"k": {"type": "string"}}}
        schema = {
            "oneOf": [{"$ref": "#/components/schemas/Cat"}],
            "discriminator": {"propertyName": "k", "mapping": {"c": "#/components/schemas/Cat"}},
        }
        tool = operation(tmp_path, schemas={"Cat": cat}, requestBody=body(schema))
        assert tool.parameters["properties"]["body"]["discriminator"]["mapping"] == {"c": "#/$defs/Cat"}
        assert tool.parameters["$defs"]["Cat"] == cat


class TestOneObject:
    def test_parameters_of_path_and_operation_are_merged_and_the_operation_s_wins(self, tmp_path: Path) -> None:
        item = {"parameters": query("a", type="string") + query("b", type="string")}
        tool = operation(tmp_path, item=item, parameters=query("b", type="integer"))
        assert tool.parameters["properties"] == {"a": {"type": "string"}, "b": {"type": "integer"}}

    def test_names_that_clash_have_their_place_before_them(self, tmp_path: Path) -> None:
        parameters = [
            {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}},
            {"name": "id", "in": "query", "schema": {"type": "integer"}},
            {"name": "query_id", "in": "header", "schema": {"type": "boolean"}},
            {"name": "body", "in": "query", "schema": {"type": "null"}},
        ]
        tool = operation(tmp_path, path="/a/{id}", parameters=parameters, requestBody=body({"type": "array"}))
        assert {name: schema["type"] for name, schema in tool.parameters["properties"].items()} == {
            "path_id": "string",
            "query_id_": "integer",
            "query_id": "boolean",
            "query_body": "null",
            "body": "array",
        }

    def test_descriptions_of_a_parameter_and_of_its_schema_are_both_told(self, tmp_path: Path) -> None:
        parameters = [{"name": "q", "in": "query", "description": "Which.", "schema": {"description": "An id."}}]
        tool = operation(tmp_path, parameters=parameters)
        assert tool.parameters["properties"]["q"] == {"description": "Which.\n\nAn id."}

    def test_unknown_arguments_are_refused(self, tmp_path: Path) -> None:
        tool = operation(tmp_path, parameters=query(type="string"))
        assert accepts(tool, q="x")
        assert not accepts(tool, p="x")

    def test_headers_that_have_no_meaning_as_parameters_are_left_out(self, tmp_path: Path) -> None:
        parameters = [{"name": name, "in": "header", "schema": {}} for name in ("Accept", "authorization", "X-Ok")]
        assert list(operation(tmp_path, parameters=parameters).parameters["properties"]) == ["X-Ok"]

    def test_a_parameter_with_content_has_the_content_s_schema(self, tmp_path: Path) -> None:
        content = {"application/json": {"schema": {"type": "array"}}}
        tool = operation(tmp_path, parameters=[{"name": "q", "in": "query", "content": content}])
        assert tool.parameters["properties"]["q"] == {"type": "array"}

    def test_a_parameter_that_is_filled_with_a_secret_is_hidden(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SHOP_KEY", "s3cret-value")
        stated = {
            "components": {"securitySchemes": {"key": {"type": "apiKey", "in": "query", "name": "q"}}},
            "parameters": query("q", type="string") + query("r", type="string"),
            "security": [{"key": []}],
        }
        shown = operation(tmp_path, **stated)
        hidden = operation(tmp_path, options={"auth": {"key": {"env": "SHOP_KEY"}}}, **stated)
        assert list(shown.parameters["properties"]) == ["q", "r"]
        assert list(hidden.parameters["properties"]) == ["r"]


class TestBodies:
    def test_json_is_preferred_then_forms_then_text_then_bytes(self, tmp_path: Path) -> None:
        types = ["application/octet-stream", "text/plain", "multipart/form-data", "application/x-www-form-urlencoded"]
        for count in range(1, len(types) + 1):
            content = {name: {"schema": {"type": "string", "title": name}} for name in types[:count]}
            tool = operation(tmp_path, requestBody={"content": content})
            assert tool.parameters["properties"]["body"]["title"] == types[count - 1]
        content["application/vnd.shop+json"] = {"schema": {"type": "integer"}}
        tool = operation(tmp_path, requestBody={"content": content})
        assert tool.parameters["properties"]["body"] == {"type": "integer"}

    def test_xml_is_a_text_with_its_schema(self, tmp_path: Path) -> None:
        tool = operation(tmp_path, requestBody=body({"type": "object"}, "application/xml"))
        assert tool.parameters["properties"]["body"] == {
            "type": "string",
            "contentMediaType": "application/xml",
            "contentSchema": {"type": "object"},
            "description": "The text itself, as application/xml.",
        }

    def test_how_files_are_given_is_told(self, tmp_path: Path) -> None:
        schema = {"type": "object", "properties": {"f": {"type": "string", "format": "binary"}, "n": {}}}
        tool = operation(tmp_path, requestBody=body(schema, "multipart/form-data"))
        told = tool.parameters["properties"]["body"]
        assert told["properties"] == schema["properties"]
        assert told["description"].startswith("Files (`f`): The content as text;")

    def test_a_body_that_is_not_required_may_be_absent(self, tmp_path: Path) -> None:
        assert accepts(operation(tmp_path, requestBody=body({"type": "string"})))
        assert not accepts(operation(tmp_path, requestBody=body({"type": "string"}, required=True)))
