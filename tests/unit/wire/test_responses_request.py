"""Requests of OpenAI Responses: what the SDK's own types say of them, and what stands in them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
from openai.types.responses import ResponseInputItem, ResponseOutputItem
from openai.types.responses.response_create_params import (
    ResponseCreateParamsNonStreaming,
    ResponseCreateParamsStreaming,
)
from pydantic import TypeAdapter, ValidationError

from tests.support import written_request
from unified_agents.config.model import ModelParameters
from unified_agents.messages import JsonObject
from unified_agents.wire.protocols.base import ModelRequest, ProviderProtocol
from unified_agents.wire.protocols.responses import ResponsesProtocol
from unified_agents.wire.protocols.responses_request import (
    MAX_CALL_ID_CHARS,
    OUTPUT_ONLY_ELSEWHERE,
    OUTPUT_ONLY_FIELDS,
)

PROTOCOL: ProviderProtocol = ResponsesProtocol()
WHOLE: TypeAdapter[Any] = TypeAdapter(ResponseCreateParamsNonStreaming)
STREAMED: TypeAdapter[Any] = TypeAdapter(ResponseCreateParamsStreaming)
PIXEL = "data:image/png;base64,iVBORw0KGgo="
TOOL: JsonObject = {
    "type": "function",
    "function": {"name": "add", "description": "Add.", "parameters": {"type": "object", "properties": {}}},
}
ASKED: JsonObject = {"role": "user", "content": "go"}


def plain(value: Any) -> Any:
    """What the SDK's types made of a value, with every lazily validated list read to its end."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return value if isinstance(value, str | int | float | None) else [plain(item) for item in value]


def check(body: JsonObject) -> JsonObject:
    """Have the SDK's types validate a request. They drop what they do not know, so nothing may be missing after."""
    assert plain((STREAMED if body.get("stream") else WHOLE).validate_python(body)) == body
    return body


def write(*messages: JsonObject, **fields: Any) -> JsonObject:
    return check(written_request(PROTOCOL, "gpt-5-mini", messages, **fields))


def call(id_: str, name: str = "add", arguments: str = "{}") -> JsonObject:
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


def assistant(*ids: str, output: list[JsonObject] | None = None) -> JsonObject:
    message: JsonObject = {"role": "assistant", "content": None, "tool_calls": [call(id_) for id_ in ids]}
    return message if output is None else message | {"original": {"output": output}}


def result(id_: str, content: Any = "3") -> JsonObject:
    return {"role": "tool", "tool_call_id": id_, "content": content}


def reasoning(number: int = 1) -> JsonObject:
    return {"id": f"rs_{number}", "type": "reasoning", "summary": [], "encrypted_content": f"gAAA{number}=="}


def function_call(call_id: str, number: int = 1, **more: Any) -> JsonObject:
    item = {"id": f"fc_{number}", "type": "function_call", "status": "completed", "call_id": call_id}
    return item | {"name": "add", "arguments": '{"a": 1}'} | more


def ids_of(body: JsonObject) -> tuple[list[str], list[str]]:
    """The ids of the calls, and those of the results."""
    kinds = ("function_call", "function_call_output")
    calls, results = ([item["call_id"] for item in body["input"] if item["type"] == kind] for kind in kinds)
    return calls, results


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"input": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}, ValidationError),
        ({"tools": [{"type": "function", "name": "add"}]}, ValidationError),
        ({"stop": "x"}, AssertionError),
        ({"input": [{"type": "message", "role": "user", "content": "x", "name": "ada"}]}, AssertionError),
    ],
)
def test_the_check_against_the_types_can_fail(body: JsonObject, problem: type[Exception]) -> None:
    with pytest.raises(problem):
        check(body)


def test_a_request_leaves_nothing_on_the_server() -> None:
    body = write(ASKED)
    assert body == {
        "model": "gpt-5-mini",
        "input": [{"type": "message", "role": "user", "content": "go"}],
        "store": False,
        "include": ["reasoning.encrypted_content"],
    }
    assert PROTOCOL.path(ModelRequest("m")) == "responses"
    assert dict(PROTOCOL.headers) == {}


@pytest.mark.parametrize(
    ("model", "asks"),
    [
        ("gpt-5", True),
        ("o4-mini", True),
        ("gpt-5.1-codex", True),
        ("qwen3", True),
        ("gpt-4.1-mini", False),
        ("gpt-4o", False),
        ("ft:gpt-4o:me", False),
        ("openai/gpt-4o", False),
        ("gpt-5-chat-latest", False),
        ("gpt-5.1-chat-latest", False),
    ],
)
def test_encrypted_reasoning_is_asked_of_models_that_may_reason(model: str, asks: bool) -> None:
    assert ("include" in written_request(PROTOCOL, model, [ASKED])) is asks


def test_system_messages_keep_their_order_and_places() -> None:
    body = write(
        {"role": "system", "content": "one"},
        {"role": "developer", "content": "two"},
        ASKED,
        {"role": "system", "content": [{"type": "text", "text": "thr"}, {"type": "text", "text": "ee"}]},
    )
    said = [(item["role"], item["content"]) for item in body["input"]]
    assert said == [("system", "one"), ("developer", "two"), ("user", "go"), ("system", "three")]


def test_parts_of_a_user_message() -> None:
    file = {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}
    parts = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": PIXEL}},
        {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
        {"type": "file", "file": file},
    ]
    body = write({"role": "user", "content": parts})
    assert body["input"][0]["content"] == [
        {"type": "input_text", "text": "look"},
        {"type": "input_image", "image_url": PIXEL, "detail": "auto"},
        {"type": "input_image", "image_url": PIXEL, "detail": "low"},
        {"type": "input_file", **file},
    ]


def test_parts_of_an_unknown_kind_go_out_as_they_are() -> None:
    part = {"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}}
    body = written_request(PROTOCOL, "m", [{"role": "user", "content": [part]}])
    assert body["input"][0]["content"] == [part]


def test_a_turn_in_its_portable_form() -> None:
    turn = assistant("a", "b") | {"content": "wait"}
    image = [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    body = write(ASKED, turn, result("a"), result("b", image), {"role": "assistant", "content": "done"})
    assert body["input"][1:] == [
        {"type": "message", "role": "assistant", "content": "wait"},
        {"type": "function_call", "call_id": "a", "name": "add", "arguments": "{}"},
        {"type": "function_call", "call_id": "b", "name": "add", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": "3"},
        {
            "type": "function_call_output",
            "call_id": "b",
            "output": [
                {"type": "input_text", "text": "see"},
                {"type": "input_image", "image_url": PIXEL, "detail": "auto"},
            ],
        },
        {"type": "message", "role": "assistant", "content": "done"},
    ]


def test_the_words_of_a_refusal_and_an_empty_turn_are_kept_as_turns() -> None:
    body = write(ASKED, {"role": "assistant", "content": None, "refusal": "no"}, ASKED, {"role": "assistant"})
    assert [item["content"] for item in body["input"]] == ["go", "no", "go", ""]


def test_a_turn_of_this_provider_goes_back_as_it_came() -> None:
    message = {
        "id": "msg_1",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "wait", "annotations": []}],
        "phase": "commentary",
    }
    output = [reasoning(1), message, reasoning(2), function_call("c1", 1), function_call("c2", 2)]
    body = write(ASKED, assistant("c1", "c2", output=output), result("c1"), result("c2"))
    assert orjson.dumps(body["input"][1:6]) == orjson.dumps(output)


def test_what_only_output_has_stays_behind_and_what_is_unknown_goes_back() -> None:
    thought = reasoning() | {"status": None, "content": None, "created_by": "me", "unheard_of": {"x": [None]}}
    output = [thought | {"status": "completed"}, function_call("c1") | {"created_by": "me", "namespace": None}]
    body = written_request(PROTOCOL, "m", [ASKED, assistant("c1", output=output)])
    assert body["input"][1:] == [reasoning() | {"unheard_of": {"x": [None]}}, function_call("c1")]
    check(write(ASKED, assistant("c1", output=[function_call("c1")])))


def literals(annotation: Any) -> Iterator[str]:
    for item in getattr(annotation, "__args__", ()):
        if isinstance(item, str):
            yield item
        else:
            yield from literals(item)


def fields_by_type(union: Any) -> dict[str, set[str]]:
    """The fields of each type of item in a union of the SDK's models."""
    fields: dict[str, set[str]] = {}
    for model in getattr(union, "__origin__", union).__args__:
        if "type" in model.model_fields:
            for kind in literals(model.model_fields["type"].annotation):
                fields.setdefault(kind, set()).update(model.model_fields)
    return fields


def test_the_list_of_output_only_fields_covers_what_the_sdk_says() -> None:
    taken = fields_by_type(ResponseInputItem)
    given = fields_by_type(ResponseOutputItem)
    assert len(given) > 20
    for kind, fields in given.items():
        assert fields - taken[kind] <= OUTPUT_ONLY_FIELDS.get(kind, OUTPUT_ONLY_ELSEWHERE), kind


@pytest.mark.parametrize(
    "output",
    [
        [function_call("c1"), reasoning()],
        [{"id": "rs_1", "type": "reasoning", "summary": []}, function_call("c1")],
        [reasoning() | {"encrypted_content": None}, function_call("c1")],
    ],
    ids=["nothing follows it", "only a name", "not encrypted"],
)
def test_reasoning_that_would_be_refused_stays_behind(output: list[JsonObject]) -> None:
    body = write(ASKED, assistant("c1", output=output), result("c1"))
    assert [item["type"] for item in body["input"]] == ["message", "function_call", "function_call_output"]


def test_reasoning_in_the_open_goes_back() -> None:
    thought = {"id": "rs_1", "type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}
    assert write(ASKED, assistant("c1", output=[thought, function_call("c1")]), result("c1"))["input"][1] == thought


def test_a_turn_of_which_nothing_can_go_back_goes_in_its_portable_form() -> None:
    body = write(ASKED, {"role": "assistant", "content": "half", "original": {"output": [reasoning()]}})
    assert body["input"][1:] == [{"type": "message", "role": "assistant", "content": "half"}]


def test_results_name_the_calls_of_the_original_by_position() -> None:
    output = [function_call("x", 1), reasoning(), function_call("y", 2)]
    messages = [ASKED, assistant("run-0", "run-1", output=output)]
    for order in (["run-0", "run-1"], ["run-1", "run-0"]):
        body = write(*messages, *(result(id_, id_) for id_ in order))
        outputs = {item["call_id"]: item["output"] for item in body["input"] if "output" in item}
        assert outputs == {"x": "run-0", "y": "run-1"}


@pytest.mark.parametrize("own", [["x", "x"], ["", "x"], ["x", "x" * 65], ["x", None]])
def test_ids_that_the_api_would_refuse_are_the_runs_own(own: list[Any]) -> None:
    output = [function_call(own[0], 1), function_call(own[1], 2, arguments="{}")]
    body = write(ASKED, assistant("r0", "r1", output=output), result("r0"), result("r1"))
    calls, results = ids_of(body)
    assert (
        calls
        == results
        == [name if name == "x" and name not in own[:place] else f"r{place}" for place, name in enumerate(own)]
    )


def test_a_call_that_a_server_repeated_goes_back_once() -> None:
    output = [function_call("x"), function_call("x"), function_call("x", arguments="{}"), function_call("y", 2)]
    body = write(ASKED, assistant("x", "r1", "y", output=output), *map(result, ("x", "r1", "y")))
    assert ids_of(body) == (["x", "r1", "y"], ["x", "r1", "y"])


def test_arguments_that_are_no_text_become_one() -> None:
    body = write(ASKED, assistant("x", output=[function_call("x", arguments={"a": 1})]), result("x"))
    assert body["input"][1]["arguments"] == '{"a":1}'


def test_ids_that_come_again_in_a_later_turn_stay_apart() -> None:
    turns = [
        turn
        for number in range(3)
        for turn in (ASKED, assistant("f:0", output=[function_call("f:0", number)]), result("f:0", str(number)))
    ]
    body = write(*turns)
    calls, results = ids_of(body)
    assert calls == results
    assert len(set(calls)) == 3
    assert calls[0] == "f:0"
    longer = ids_of(write(*turns, ASKED, assistant("f:0"), result("f:0")))
    assert longer[0][:3] == calls  # what went out once never changes


def test_a_result_answers_the_turn_before_it() -> None:
    calls, results = ids_of(write(ASKED, assistant("a"), ASKED, assistant("a"), result("a")))
    assert (calls[0], results) == ("a", calls[1:])


@pytest.mark.parametrize("id_", ["i" * 65, "i" * 3_000, "é" * 70])
def test_an_id_that_is_too_long_becomes_a_short_one(id_: str) -> None:
    calls, results = ids_of(write(ASKED, assistant(id_, "ok"), result(id_), result("ok")))
    assert calls == results
    assert calls[1] == "ok"
    assert 0 < len(calls[0]) <= MAX_CALL_ID_CHARS


def test_without_ids_results_are_in_call_order() -> None:
    turn = {"role": "assistant", "original": {"output": [function_call("x", 1), function_call("y", 2)]}}
    assert ids_of(write(ASKED, turn, result("?"), result("!")))[1] == ["x", "y"]
    calls, results = ids_of(write(ASKED, assistant("", ""), result(""), result("")))
    assert calls == results
    assert len(set(calls)) == 2


def test_a_result_that_answers_nothing_keeps_its_id() -> None:
    assert ids_of(write(ASKED, result("lost")))[1] == ["lost"]
    assert ids_of(write(assistant("a", output=[function_call("x")]), result("a"), result("a")))[1] == ["x", "x"]


def test_tools_are_flat_and_say_whether_they_are_strict() -> None:
    strict = {"type": "function", "function": TOOL["function"] | {"name": "b", "strict": True, "description": ""}}
    bare = {"type": "function", "function": {"name": "c"}}
    body = write(ASKED, tools=[TOOL, strict, bare], tool_choice="add", parallel_tool_calls=False)
    empty = {"type": "object", "properties": {}}
    assert body["tools"] == [
        {"type": "function", "name": "add", "description": "Add.", "parameters": empty, "strict": False},
        {"type": "function", "name": "b", "parameters": empty, "strict": True},
        {"type": "function", "name": "c", "parameters": empty, "strict": False},
    ]
    assert body["tool_choice"] == {"type": "function", "name": "add"}
    assert body["parallel_tool_calls"] is False


@pytest.mark.parametrize("choice", ["auto", "none", "required"])
def test_a_mode_of_tool_choice_goes_out_as_it_is(choice: str) -> None:
    assert write(ASKED, tools=[TOOL], tool_choice=choice)["tool_choice"] == choice


def test_a_choice_without_tools_does_not_go_out() -> None:
    assert set(write(ASKED, tool_choice="none", parallel_tool_calls=True)) == {"model", "input", "store", "include"}


@pytest.mark.parametrize("strict", [True, False, None])
def test_the_form_of_an_answer(strict: bool | None) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    form = {"name": "out", "schema": schema} | ({} if strict is None else {"strict": strict})
    body = write(ASKED, response_format={"type": "json_schema", "json_schema": form})
    expected = {"type": "json_schema", "name": "out", "schema": schema, "strict": bool(strict)}
    assert body["text"] == {"format": expected}


def test_parameters() -> None:
    body = write(ASKED, stream=True, parameters=ModelParameters(temperature=0, max_tokens=100, seed=1))
    assert body["stream"] is True
    assert (body["temperature"], body["max_output_tokens"], body.get("seed")) == (0, 100, None)


def test_further_parameters() -> None:
    parameters = SimpleNamespace(
        temperature=None,
        max_tokens=None,
        top_p=0.5,
        service_tier="flex",
        verbosity="low",
        reasoning=SimpleNamespace(effort="high", summary="auto", budget=None),
    )
    body = write(ASKED, parameters=cast("ModelParameters", parameters))
    assert body["reasoning"] == {"effort": "high", "summary": "auto"}
    assert (body["top_p"], body["service_tier"], body["text"]) == (0.5, "flex", {"verbosity": "low"})


def test_the_beginning_of_a_request_is_the_same_from_step_to_step() -> None:
    messages: list[JsonObject] = [{"role": "system", "content": "s"}, ASKED]
    written: list[bytes] = []
    for step in range(5):
        written.append(orjson.dumps(write(*messages)["input"])[:-1])
        output = [reasoning(step), function_call(f"c{step}", step)]
        messages += [assistant(f"r{step}", output=output), result(f"r{step}")]
    assert all(later.startswith(earlier) for earlier, later in pairwise(written))
