"""The Anthropic Messages protocol writes what the API takes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Literal

import orjson
import pytest
from pydantic import BaseModel, Field

from messages_samples import (
    ASKED,
    PROTOCOL,
    TOOL,
    USER,
    asks,
    call,
    read_whole,
    result,
    written,
)
from unified_agents.config.model import ModelParameters
from unified_agents.scripted.rendering.chat_completions import RenderedCall, RenderedChoice
from unified_agents.wire.protocols.base import ModelRequest
from unified_agents.wire.protocols.messages_request import DEFAULT_MAX_TOKENS


def test_it_says_where_requests_go_and_with_what_key() -> None:
    assert PROTOCOL.path(ModelRequest("m")) == "messages"
    assert dict(PROTOCOL.headers) == {"anthropic-version": "2023-06-01"}


def test_system_texts_stand_beside_the_conversation() -> None:
    body = written(
        {"role": "system", "content": "Be brief."},
        USER,
        {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
    )
    assert body == {
        "model": "claude-x",
        "max_tokens": DEFAULT_MAX_TOKENS,
        "system": "Be brief.\n\nBe kind.",
        "messages": [ASKED],
    }


def test_a_turn_without_its_original_goes_out_as_text_and_calls() -> None:
    body = written(
        USER,
        asks(call("t1", arguments='{"a": 1}'), call("t2", "find"), text="So:"),
        result("t1"),
        result("t2", [{"type": "text", "text": "here"}]),
        {"role": "user", "content": "and?"},
        {"role": "assistant", "content": "3"},
        USER,
    )
    assert body["messages"] == [
        ASKED,
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "So:"},
                {"type": "tool_use", "id": "t1", "name": "add", "input": {"a": 1}},
                {"type": "tool_use", "id": "t2", "name": "find", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": "3"},
                {"type": "tool_result", "tool_use_id": "t2", "content": "here"},
                {"type": "text", "text": "and?"},
            ],
        },
        {"role": "assistant", "content": [{"type": "text", "text": "3"}]},
        ASKED,
    ]


def test_results_stand_first_whatever_stood_between_them() -> None:
    body = written(USER, asks(call("t1"), call("t2")), result("t1"), USER, result("t2"))
    assert [block["type"] for block in body["messages"][2]["content"]] == ["tool_result", "tool_result", "text"]


def test_messages_of_one_role_are_merged_and_empty_ones_left_out() -> None:
    body = written(
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": [{"type": "text", "text": ""}, {"type": "text", "text": "two"}]},
        {"role": "assistant", "content": "a"},
        {"role": "assistant", "content": None, "refusal": "b"},
        USER,
    )
    texts = [[{"type": "text", "text": text} for text in both] for both in (("one", "two"), ("a", "b"))]
    assert body["messages"] == [
        {"role": "user", "content": texts[0]},
        {"role": "assistant", "content": texts[1]},
        ASKED,
    ]


@pytest.mark.parametrize("arguments", ['{"a": 1,', "[1]", "null", "7", '{"a":' * 300 + "1" + "}" * 300])
def test_arguments_that_are_no_object_go_out_within_one(arguments: str) -> None:
    body = written(USER, asks(call("t1", arguments=arguments)), result("t1"))
    assert body["messages"][1]["content"][0]["input"] == {"INVALID_JSON": arguments}


def test_ids_of_another_provider_become_ids_that_the_api_takes() -> None:
    body = written(
        USER,
        asks(call("functions.add:0"), call("functions.add:1"), call("")),
        *(result(id_, f"result of {id_}") for id_ in ("functions.add:1", "functions.add:0", "")),
        asks(call("functions.add:0")),
        result("functions.add:0", "again"),
    )
    ids = [block["id"] for place in (1, 3) for block in body["messages"][place]["content"]]
    assert ids == ["functions_add_0", "functions_add_1", "call", "functions_add_0_2"]
    results = {b["tool_use_id"]: b["content"] for place in (2, 4) for b in body["messages"][place]["content"]}
    assert results == {
        "functions_add_1": "result of functions.add:1",
        "functions_add_0": "result of functions.add:0",
        "call": "result of ",
        "functions_add_0_2": "again",
    }


def test_results_name_the_ids_of_the_original_by_the_place_of_their_call() -> None:
    content = [{"type": "tool_use", "id": f"toolu_{n}", "name": "add", "input": {}} for n in (1, 2)]
    body = written(
        USER,
        asks(call("run_1"), call("run_2"), original={"content": content}),
        result("run_2", "b"),
        result("run_1", "a"),
    )
    assert body["messages"][1]["content"] == content
    assert [(b["tool_use_id"], b["content"]) for b in body["messages"][2]["content"]] == [
        ("toolu_2", "b"),
        ("toolu_1", "a"),
    ]


@pytest.mark.parametrize("ids", [("same", "same"), (None, ""), ("same", None)])
def test_ids_that_repeat_or_are_missing_in_the_original_are_mended(ids: tuple[str | None, str | None]) -> None:
    content = [{"type": "tool_use", "id": id_, "name": "add", "input": {}} for id_ in ids]
    body = written(
        USER,
        asks(call("run_1"), call("run_2"), original={"content": content}),
        result("run_1", "a"),
        result("run_2", "b"),
    )
    sent = [block["id"] for block in body["messages"][1]["content"]]
    assert [(b["tool_use_id"], b["content"]) for b in body["messages"][2]["content"]] == [
        (sent[0], "a"),
        (sent[1], "b"),
    ]


def test_calls_under_one_id_are_answered_in_their_order() -> None:
    body = written(USER, asks(call("x"), call("x")), result("x", "a"), result("x", "b"))
    results = [(block["tool_use_id"], block["content"]) for block in body["messages"][2]["content"]]
    assert results == [("x", "a"), ("x_2", "b")]


def test_images_and_files_go_out_as_blocks() -> None:
    parts = [
        {"type": "text", "text": "Look:"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}},
        {"type": "file", "file": {"filename": "a.txt", "file_data": "data:text/plain;base64,aGk="}},
        {"type": "file", "file": {"filename": "b.txt", "file_data": "data:text/plain,h%69"}},
        {"type": "file", "file": {"file_id": "file_1"}},
    ]
    body = written({"role": "user", "content": parts})
    text = {"type": "text", "media_type": "text/plain", "data": "hi"}
    assert body["messages"][0]["content"] == [
        {"type": "text", "text": "Look:"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
        {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "aGk="},
            "title": "a.pdf",
        },
        {"type": "document", "source": text, "title": "a.txt"},
        {"type": "document", "source": text, "title": "b.txt"},
        {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
    ]


def test_a_part_without_a_counterpart_goes_out_as_it_is() -> None:
    part = {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}
    assert written({"role": "user", "content": [part]}, valid=False)["messages"][0]["content"] == [part]


def test_tools_are_written_with_their_schemas() -> None:
    bare = {"type": "function", "function": {"name": "now", "description": "", "strict": True}}
    own = {"type": "web_search_20250305", "name": "web_search"}
    assert written(USER, tools=[TOOL, bare, own])["tools"] == [
        {
            "name": "add",
            "description": "Adds.",
            "input_schema": {"type": "object", "properties": {"a": {}}},
        },
        {"name": "now", "input_schema": {"type": "object", "properties": {}}, "strict": True},
        own,
    ]


@pytest.mark.parametrize(
    ("choice", "parallel", "expected"),
    [
        (None, None, None),
        (None, True, None),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        ("auto", None, {"type": "auto"}),
        ("required", False, {"type": "any", "disable_parallel_tool_use": True}),
        ("add", None, {"type": "tool", "name": "add"}),
        ("none", False, {"type": "none"}),
    ],
)
def test_tool_choice(choice: str | None, parallel: bool | None, expected: Any) -> None:
    body = written(USER, tools=[TOOL], tool_choice=choice, parallel_tool_calls=parallel)
    assert body.get("tool_choice") == expected
    assert "tool_choice" not in written(USER, tool_choice=choice, parallel_tool_calls=parallel)


def test_parameters() -> None:
    body = written(USER, parameters=ModelParameters(temperature=0.5, max_tokens=5, seed=7), stream=True)
    assert body == {
        "model": "claude-x",
        "max_tokens": 5,
        "messages": [ASKED],
        "temperature": 0.5,
        "stream": True,
    }


def parameters(**more: Any) -> Any:
    """Parameters with fields that the settings of a model may have."""
    reasoning = more.pop("reasoning", None)
    if reasoning is not None:
        reasoning = SimpleNamespace(**{"effort": None, "budget": None, "summary": None} | reasoning)
    return SimpleNamespace(**{"temperature": None, "max_tokens": None} | more, reasoning=reasoning)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"top_p": 0.9}, {"top_p": 0.9}),
        ({"stop": "END"}, {"stop_sequences": ["END"]}),
        ({"stop": ("A", "B")}, {"stop_sequences": ["A", "B"]}),
        ({"service_tier": "auto"}, {"service_tier": "auto"}),
        ({"service_tier": "default"}, {"service_tier": "standard_only"}),
        ({"reasoning": {}}, {}),
        (
            {"reasoning": {"budget": 2000}},
            {"thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": DEFAULT_MAX_TOKENS + 2000},
        ),
        (
            {"reasoning": {"budget": 2000, "summary": "auto"}, "max_tokens": 3000},
            {"thinking": {"type": "enabled", "budget_tokens": 2000, "display": "summarized"}, "max_tokens": 3000},
        ),
        ({"reasoning": {"effort": "minimal"}}, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}),
        ({"reasoning": {"effort": "high"}}, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}),
        ({"reasoning": {"effort": "none"}}, {"thinking": {"type": "disabled"}}),
        ({"reasoning": {"budget": 0}}, {"thinking": {"type": "disabled"}}),
    ],
)
def test_further_parameters(more: dict[str, Any], expected: dict[str, Any]) -> None:
    body = written(USER, parameters=parameters(**more))
    assert body == {"model": "claude-x", "max_tokens": DEFAULT_MAX_TOKENS, "messages": [ASKED]} | expected


def test_the_form_of_an_answer_stands_beside_the_effort() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}
    body = written(USER, parameters=parameters(reasoning={"effort": "low"}), response_format=form)
    assert body["output_config"] == {"effort": "low", "format": {"type": "json_schema", "schema": schema}}


class Row(BaseModel):
    name: str = Field(max_length=9, description="A name.")
    share: float | None = Field(default=None, ge=0, lt=1)


class Table(BaseModel):
    rows: list[Row] = Field(min_length=2, max_length=5)
    title: Literal["a", "b"]


def test_the_form_of_an_answer_is_written_as_the_api_takes_it() -> None:
    schema = Table.model_json_schema()
    form = {"type": "json_schema", "json_schema": {"name": "table", "schema": schema}}
    sent = written(USER, response_format=form)["output_config"]["format"]["schema"]
    assert sent["additionalProperties"] is sent["$defs"]["Row"]["additionalProperties"] is False
    rows = sent["properties"]["rows"]
    assert (rows["type"], rows["items"]) == ("array", {"$ref": "#/$defs/Row"})
    assert orjson.loads(rows["description"]) == {"minItems": 2, "maxItems": 5}
    row = sent["$defs"]["Row"]["properties"]
    assert row["name"]["description"] == 'A name.\n\n{"maxLength":9}'
    assert row["share"]["anyOf"][0]["description"] == '{"exclusiveMaximum":1,"minimum":0}'
    assert schema == Table.model_json_schema()  # the caller's schema stays as it is


def test_an_object_with_any_keys_is_left_to_the_api_to_refuse() -> None:
    schema = {"type": "object", "additionalProperties": {"type": "integer"}}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    assert written(USER, response_format=form, valid=False)["output_config"]["format"]["schema"] == schema


def test_a_turn_that_began_without_thinking_goes_on_without_it() -> None:
    thinks = parameters(reasoning={"budget": 2000})
    begun = [USER, asks(call("t1")), result("t1")]
    assert "thinking" not in written(*begun, parameters=thinks)
    assert written(*begun, {"role": "assistant", "content": "3"}, USER, parameters=thinks)["thinking"]
    thought = read_whole(RenderedChoice(None, (RenderedCall("t1", "add", "{}"),), "tool_calls"), "I add.")
    again = [USER, asks(call("t1"), original=thought.original), result("t1")]
    assert written(*again, parameters=thinks)["thinking"]
