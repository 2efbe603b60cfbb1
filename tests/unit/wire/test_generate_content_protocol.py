"""Gemini's generateContent: requests as the SDK's types take them, and answers, whole and streamed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import jsonschema_rs
import pytest
from google.genai import types
from hypothesis import HealthCheck, given, settings, strategies as st

from tests.support import written_request
from unified_agents.config.model import ModelParameters
from unified_agents.errors import (
    AuthenticationError,
    BadRequestError,
    BadResponseError,
    ContentFilterError,
    ModelError,
    RateLimitError,
    ServerError,
)
from unified_agents.messages import Usage
from unified_agents.redaction.redactor import Redactor
from unified_agents.scripted.rendering.generate_content_strict import strict_problem
from unified_agents.wire.http_errors import error_for_status
from unified_agents.wire.protocols.answer import Answer
from unified_agents.wire.protocols.base import AnswerReader, ModelRequest, ProviderProtocol
from unified_agents.wire.protocols.chat_completions_fields import RawCall
from unified_agents.wire.protocols.finish_reasons import finish_error
from unified_agents.wire.protocols.generate_content import GenerateContentProtocol
from unified_agents.wire.protocols.generate_content_schema import reduced_schema

PROTOCOL: ProviderProtocol = GenerateContentProtocol()
READER: AnswerReader = PROTOCOL.reader()

SIGNED: dict[str, Any] = {
    "parts": [
        {"text": "I think so.", "thought": True},
        {"text": "Looking."},
        {"functionCall": {"name": "f", "args": {"x": 1}, "id": "g1"}, "thoughtSignature": "c2ln+/8="},
        {"functionCall": {"name": "g", "args": {}, "id": "g2"}, "neverHeardOf": {"a": [1]}},
    ],
    "role": "model",
}
WHOLE: dict[str, Any] = {
    "candidates": [{"content": SIGNED, "finishReason": "STOP", "index": 0}],
    "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2, "thoughtsTokenCount": 3, "totalTokenCount": 10},
    "modelVersion": "gemini-3-pro",
    "responseId": "r1",
}
CALLS = [
    {"id": "ours_1", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
    {"id": "ours_2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
]
FUNCTION = {
    "type": "function",
    "function": {
        "name": "f",
        "description": "Does f.",
        "parameters": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "kind": {"const": "a", "$comment": "no"},
                "const": {"type": "string", "minLength": 1},
                "n": {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 10, "minimum": -5},
                "share": {"type": "number", "exclusiveMaximum": 1},
                "place": {"$ref": "#/definitions/Place", "description": "Where."},
            },
            "required": ["kind"],
            "additionalProperties": False,
            "definitions": {"Place": {"type": "object", "properties": {"on": {"const": True}}}},
        },
    },
}


def body(*messages: dict[str, Any], **options: Any) -> dict[str, Any]:
    written = written_request(PROTOCOL, options.pop("model", "gemini-3-pro"), messages, **options)
    check_by_sdk(written)
    return written


def check_by_sdk(written: dict[str, Any]) -> None:
    """Check a request by the types of Google's SDK, which forbid unknown fields."""
    for content in [*written["contents"], *filter(None, [written.get("systemInstruction")])]:
        parts = [{name: value for name, value in part.items() if name != "neverHeardOf"} for part in content["parts"]]
        types.Content.model_validate(content | {"parts": parts})
    for item in written.get("tools", ()):
        types.Tool.model_validate(item)
    types.GenerationConfig.model_validate(written.get("generationConfig", {}))
    types.ToolConfig.model_validate(written.get("toolConfig", {}))
    known = {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "serviceTier"}
    assert written.keys() <= known


def user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


def result(id_: str, content: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id_, "content": content}


def streamed(*responses: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(response).encode() + b"\r\n\r\n" for response in responses)


def read_stream(raw: bytes, sizes: list[int] | None = None, redactor: Redactor | None = None) -> Answer:
    reader, position, texts = PROTOCOL.reader(redactor.stream() if redactor else None), 0, []
    for size in [*(sizes or ()), len(raw)]:
        texts += reader.feed(raw[position : position + size])
        position += size
    answer = reader.answer()
    assert "".join(texts) == (answer.text or "")
    assert reader.raw == raw
    assert reader.first_delta is bool(answer.text or answer.calls)
    return answer


def test_where_a_request_goes() -> None:
    request = ModelRequest("gemini-3-pro")
    assert PROTOCOL.path(request) == "models/gemini-3-pro:generateContent"
    assert PROTOCOL.path(ModelRequest("m 1", stream=True)) == "models/m%201:streamGenerateContent?alt=sse"
    assert PROTOCOL.path(ModelRequest("tunedModels/mine")) == "tunedModels/mine:generateContent"


def test_system_and_user_messages() -> None:
    written = body(
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
        user("Hello"),
        {"role": "assistant", "content": "Hi"},
        {"role": "system", "content": "Hurry."},
    )
    assert written["systemInstruction"] == {"parts": [{"text": "Be brief."}, {"text": "Be kind."}]}
    assert written["contents"] == [
        {"role": "user", "parts": [{"text": "Hello"}]},
        {"role": "model", "parts": [{"text": "Hi"}]},
        {"role": "user", "parts": [{"text": "Hurry."}]},
    ]


def test_images_and_files() -> None:
    written = body(
        user(
            [
                {"type": "text", "text": "See"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                {"type": "image_url", "image_url": {"url": "https://host/a/cat.jpg?size=1"}},
                {"type": "image_url", "image_url": {"url": "https://host/cat"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,BBBB"}},
                {"type": "input_audio", "input_audio": {"format": "mp3", "data": "CCCC"}},
            ]
        )
    )
    assert written["contents"][0]["parts"] == [
        {"text": "See"},
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://host/a/cat.jpg?size=1"}},
        {"fileData": {"fileUri": "https://host/cat"}},
        {"inlineData": {"mimeType": "application/pdf", "data": "BBBB"}},
        {"inlineData": {"mimeType": "audio/mpeg", "data": "CCCC"}},
    ]


@pytest.mark.parametrize("whole", [True, False])
def test_an_original_turn_goes_back_as_it_came(whole: bool) -> None:
    answer = PROTOCOL.read(json.dumps(WHOLE).encode()) if whole else read_stream(streamed(WHOLE))
    turn = {"role": "assistant", "content": "something else", "tool_calls": CALLS, "original": answer.original}
    results = [result("ours_2", "two"), result("ours_1", '{"one": 1}')]
    written = body(user("go"), turn, *results, user("more"))
    assert json.dumps(written["contents"][1]) == json.dumps(SIGNED)
    assert written["contents"][2] == {
        "role": "user",
        "parts": [
            {"functionResponse": {"id": "g1", "name": "f", "response": {"one": 1}}},
            {"functionResponse": {"id": "g2", "name": "g", "response": {"result": "two"}}},
        ],
    }
    assert written["contents"][3] == {"role": "user", "parts": [{"text": "more"}]}


def test_results_are_matched_by_place_where_ids_tell_nothing() -> None:
    calls = [call | {"id": ""} for call in CALLS]
    turn = {"role": "assistant", "content": None, "tool_calls": calls}
    written = body(user("go"), turn, result("", "one"), result("", "two"))
    names = [part["functionResponse"]["name"] for part in written["contents"][2]["parts"]]
    assert names == ["f", "g"]
    original = {"parts": [part for part in SIGNED["parts"] if "functionCall" in part], "role": "model"}
    written = body(user("go"), {"role": "assistant", "original": original}, result("?", "one"), result("!", "two"))
    assert [part["functionResponse"]["id"] for part in written["contents"][2]["parts"]] == ["g1", "g2"]


def test_a_turn_of_another_provider_goes_out_in_its_portable_form() -> None:
    turn = {"role": "assistant", "content": "Wait.", "tool_calls": CALLS}
    written = body(user("go"), turn, result("ours_1", "1"), result("ours_2", "2"))
    assert written["contents"][1]["parts"] == [
        {"text": "Wait."},
        {"functionCall": {"name": "f", "args": {"x": 1}}, "thoughtSignature": "skip_thought_signature_validator"},
        {"functionCall": {"name": "g", "args": {}}},
    ]
    assert "id" not in written["contents"][2]["parts"][0]["functionResponse"]
    older = body(user("go"), turn, result("ours_1", "1"), result("ours_2", "2"), model="models/gemini-2.5-pro")
    assert not any("thoughtSignature" in part for part in older["contents"][1]["parts"])


@pytest.mark.parametrize(
    ("text", "response"),
    [
        ('{"a": 1}', {"a": 1}),
        ('{"big": 123456789012345678901}', {"big": 123456789012345678901}),
        ("[1, 2]", {"result": [1, 2]}),
        ("3.50", {"result": "3.50"}),
        ("", {"result": ""}),
        ('{"a": ', {"result": '{"a": '}),
        ('{"result": 1}', {"result": {"result": 1}}),
        ('{"error": "no", "code": 1}', {"result": {"error": "no", "code": 1}}),  # Gemini would read `error` alone
        ('{"output": "o", "code": 1}', {"result": {"output": "o", "code": 1}}),
    ],
)
def test_results_become_objects(text: str, response: dict[str, Any]) -> None:
    written = body(user("go"), {"role": "assistant", "tool_calls": CALLS[:1]}, result("ours_1", text))
    assert written["contents"][2]["parts"] == [{"functionResponse": {"name": "f", "response": response}}]


def test_an_image_in_a_result_stands_beside_it() -> None:
    content = [
        {"type": "text", "text": "a map"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]
    written = body(user("go"), {"role": "assistant", "tool_calls": CALLS[:1]}, result("ours_1", content))
    response = written["contents"][2]["parts"][0]["functionResponse"]
    assert response["response"] == {"result": "a map"}
    assert response["parts"] == [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]


def test_tools_have_the_keywords_that_gemini_takes() -> None:
    bare = {"type": "function", "function": {"name": "bare", "description": "", "parameters": {"type": "object"}}}
    written = body(user("go"), tools=[FUNCTION, bare])
    first, second = written["tools"][0]["functionDeclarations"]
    assert second == {"name": "bare"}
    assert first["parametersJsonSchema"] == {
        "type": "object",
        "properties": {
            "kind": {"type": "string", "enum": ["a"]},
            "const": {"type": "string", "minLength": 1},
            "n": {"type": "integer", "minimum": 1, "maximum": 9},
            "share": {"type": "number", "maximum": 1},
            "place": {"anyOf": [{"$ref": "#/$defs/Place"}], "description": "Where."},
        },
        "required": ["kind"],
        "additionalProperties": False,
        "$defs": {"Place": {"type": "object", "properties": {"on": {"type": "boolean"}}}},
    }


KEYWORDS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["integer", "number", "string", ["string", "null"]]),
        "const": st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.text(max_size=2), st.lists(st.none())),
        "minimum": st.integers(-3, 3),
        "maximum": st.integers(-3, 3),
        "exclusiveMinimum": st.integers(-3, 3) | st.booleans() | st.floats(-3, 3),
        "exclusiveMaximum": st.integers(-3, 3),
        "$schema": st.just("https://json-schema.org/draft/2020-12/schema"),
        "$ref": st.sampled_from(["#/definitions/a", "#/$defs/a", "#"]),
        "title": st.just("t"),
    },
)
SCHEMAS = st.recursive(
    KEYWORDS,
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "properties": st.dictionaries(st.sampled_from(["const", "$ref", "a"]), inner, max_size=2),
            "items": inner | st.booleans(),
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "additionalProperties": inner | st.booleans(),
            "$ref": st.just("#/$defs/a"),
            "definitions": st.dictionaries(st.just("a"), inner, max_size=1),
        },
    ),
    max_leaves=5,
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # other load on the machine makes the making of schemas slow
@given(SCHEMAS)
def test_no_refused_keyword_is_left_in_a_schema(schema: dict[str, Any]) -> None:
    before = json.dumps(schema)
    declaration = {"name": "f", "parametersJsonSchema": reduced_schema(schema)}
    contents = [{"role": "user", "parts": [{"text": "go"}]}]
    assert strict_problem({"contents": contents, "tools": [{"functionDeclarations": [declaration]}]}) is None
    assert json.dumps(schema) == before
    assert reduced_schema(declaration["parametersJsonSchema"]) == declaration["parametersJsonSchema"]


def test_definitions_stay_at_the_root_of_a_schema() -> None:
    node = {"type": "object"}
    schema = {"$ref": "#/$defs/Node", "title": "t", "$defs": {"Node": node}}
    assert reduced_schema(schema) == {"anyOf": [{"$ref": "#/$defs/Node"}], "title": "t", "$defs": {"Node": node}}


@given(KEYWORDS.filter(lambda schema: "$ref" not in schema), st.integers(-5, 5))
def test_what_a_schema_takes_its_reduced_form_takes(schema: dict[str, Any], value: int) -> None:
    schema = {name: item for name, item in schema.items() if not (name.startswith("excl") and isinstance(item, bool))}
    if jsonschema_rs.is_valid(schema, value):
        assert jsonschema_rs.is_valid(reduced_schema(schema), value)


@pytest.mark.parametrize(
    ("tool_choice", "config"),
    [
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        ("f", {"mode": "ANY", "allowedFunctionNames": ["f"]}),
    ],
)
def test_tool_choice(tool_choice: str, config: dict[str, Any]) -> None:
    assert body(user("go"), tools=[FUNCTION], tool_choice=tool_choice)["toolConfig"] == {
        "functionCallingConfig": config
    }
    assert "toolConfig" not in body(user("go"), tool_choice=tool_choice)
    assert "toolConfig" not in body(user("go"), tools=[FUNCTION])


@dataclass
class MoreParameters:
    """Parameters beyond those of today."""

    reasoning: Any = None
    temperature: float | None = 0.0
    max_tokens: int | None = 100
    seed: int | None = 7
    top_p: float = 0.5
    stop: Any = "END"
    presence_penalty: float = 0.1
    frequency_penalty: float = 0.2


def test_parameters_and_the_form_of_the_answer() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object", "$schema": "x"}}}
    parameters: Any = MoreParameters()
    assert body(user("go"), parameters=parameters, response_format=form)["generationConfig"] == {
        "temperature": 0.0,
        "maxOutputTokens": 100,
        "seed": 7,
        "topP": 0.5,
        "stopSequences": ["END"],
        "presencePenalty": 0.1,
        "frequencyPenalty": 0.2,
        "responseMimeType": "application/json",
        "responseJsonSchema": {"type": "object"},
    }
    assert "generationConfig" not in body(user("go"), parameters=ModelParameters())


@pytest.mark.parametrize(
    ("reasoning", "config"),
    [
        ({"effort": "low", "summary": "auto"}, {"thinkingLevel": "LOW", "includeThoughts": True}),
        ({"effort": "none"}, {"thinkingBudget": 0}),
        ({"effort": "high", "budget": 500}, {"thinkingBudget": 500}),
        ({"effort": None, "budget": None, "summary": "none"}, {"includeThoughts": False}),
    ],
)
def test_reasoning(reasoning: dict[str, Any], config: dict[str, Any]) -> None:
    parameters: Any = MoreParameters(reasoning)
    assert body(user("go"), parameters=parameters)["generationConfig"]["thinkingConfig"] == config


def check_whole(answer: Answer) -> None:
    assert (answer.text, answer.reasoning, answer.finish_reason) == ("Looking.", "I think so.", "tool_calls")
    assert answer.calls == [RawCall("g1", "f", '{"x":1}'), RawCall("g2", "g", "{}")]
    assert answer.usage == Usage(input_tokens=5, output_tokens=5, reasoning_tokens=3)
    assert answer.original == SIGNED
    assert answer.body["choices"][0]["message"]["content"] == "Looking."
    assert (answer.body["id"], answer.body["model"]) == ("r1", "gemini-3-pro")
    assert answer.body["usage"]["total_tokens"] == 10


def test_a_whole_answer_is_read() -> None:
    raw = json.dumps(WHOLE).encode()
    check_whole(PROTOCOL.read(raw))
    check_whole(PROTOCOL.read(streamed(WHOLE)))
    check_whole(PROTOCOL.read(b"\xef\xbb\xbf[" + raw + b"]"))


def partial(*parts: Any, **candidate: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": list(parts), "role": "model"}, "index": 0} | candidate]}


IN_PIECES = (
    partial({"text": "I think ", "thought": True}),
    partial({"text": "so.", "thought": True}),
    partial({"text": "Loo"}),
    partial({"text": "king."}),
    partial(SIGNED["parts"][2]),
    partial(SIGNED["parts"][3]),
    {name: value for name, value in WHOLE.items() if name != "candidates"} | partial({"text": ""}, finishReason="STOP"),
)


@given(st.lists(st.integers(1, 90), max_size=40))
def test_a_stream_reads_the_same_however_it_is_cut(sizes: list[int]) -> None:
    check_whole(read_stream(streamed(*IN_PIECES), sizes))
    check_whole(read_stream_of_array(json.dumps(IN_PIECES, indent=1).encode(), sizes))


def read_stream_of_array(raw: bytes, sizes: list[int]) -> Answer:
    reader, position = PROTOCOL.reader(), 0
    for size in [*sizes, len(raw)]:
        reader.feed(raw[position : position + size])
        position += size
    return reader.answer()


def test_a_signature_in_a_last_empty_part_is_kept() -> None:
    last = {"text": "", "thoughtSignature": "bGFzdA=="}
    answer = read_stream(
        streamed(partial({"text": "Hel"}), partial({"text": "lo"}), partial(last, finishReason="STOP"))
    )
    assert (answer.text, answer.finish_reason) == ("Hello", "stop")
    assert answer.original == {"parts": [{"text": "Hello"}, last], "role": "model"}
    assert body(user("x"), {"role": "assistant", "original": answer.original})["contents"][1] == answer.original


def test_a_bare_text_has_no_original_and_a_signed_piece_stays_apart() -> None:
    assert read_stream(streamed(partial({"text": "a"}), partial({"text": "b"}, finishReason="STOP"))).original is None
    signed = {"text": "b", "thoughtSignature": "eA=="}
    answer = read_stream(streamed(partial({"text": "a"}), partial(signed), partial({"text": "c"}, finishReason="STOP")))
    assert answer.text == "abc"
    assert answer.original
    assert answer.original["parts"] == [{"text": "a"}, signed, {"text": "c"}]


def test_of_several_candidates_the_first_is_the_answer() -> None:
    second = {"content": {"parts": [{"text": "no"}], "role": "model"}, "index": 1, "finishReason": "STOP"}
    both = partial({"text": "yes"}, finishReason="STOP")
    both["candidates"].append(second)
    assert PROTOCOL.read(json.dumps(both).encode()).text == "yes"
    later = {"candidates": [second]}
    assert read_stream(streamed(later | {"candidates": both["candidates"]}, later)).text == "yes"


def test_numbers_of_any_size_stay_exact() -> None:
    args = '{"n":123456789012345678901234,"x":0.1}'
    raw = b'{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":' + args.encode() + b"}}]},"
    raw += b'"finishReason":"STOP"}]}'
    for answer in (PROTOCOL.read(raw), read_stream(b"data: " + raw + b"\n\n")):
        assert answer.calls == [RawCall("", "f", args)]
        assert answer.original
        assert answer.original["parts"][0]["functionCall"]["args"]["n"] == 123456789012345678901234


@pytest.mark.parametrize(
    ("given", "expected", "error"),
    [
        ("STOP", "stop", None),
        ("MAX_TOKENS", "length", None),
        ("SAFETY", "SAFETY", ContentFilterError),
        ("PROHIBITED_CONTENT", "PROHIBITED_CONTENT", ContentFilterError),
        ("RECITATION", "RECITATION", ContentFilterError),
        ("MODEL_ARMOR", "MODEL_ARMOR", ContentFilterError),
        ("MALFORMED_FUNCTION_CALL", "MALFORMED_FUNCTION_CALL", ServerError),
        ("UNEXPECTED_TOOL_CALL", "UNEXPECTED_TOOL_CALL", ServerError),
        ("OTHER", "OTHER", BadResponseError),
    ],
)
def test_finish_reasons(given: str, expected: str, error: type[ModelError] | None) -> None:
    bare = {"candidates": [{"finishReason": given, "index": 0}]}
    for answer in (PROTOCOL.read(json.dumps(bare).encode()), read_stream(streamed(bare))):
        assert answer.finish_reason == expected
        assert answer.text is None
        found = finish_error(answer.finish_reason, answer.calls)
        assert type(found) is error if error else found is None


FAILURES: dict[str, tuple[Any, type[ModelError], str]] = {
    "blocked": ({"promptFeedback": {"blockReason": "SAFETY"}}, ContentFilterError, "SAFETY"),
    "error": ({"error": {"code": 429, "message": "slow", "status": "RESOURCE_EXHAUSTED"}}, RateLimitError, "slow"),
    "list": ([{"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}], ServerError, "busy"),
    "no candidates": ({"usageMetadata": {}}, BadResponseError, "no candidates"),
    "text": ("hello", BadResponseError, "not a generateContent"),
    "parts": (partial("hello"), BadResponseError, "not a generateContent"),
    "parts of text": (partial({"text": 1}), BadResponseError, "not a generateContent"),
    "no name": (partial({"functionCall": {"args": {}}}), BadResponseError, "not a generateContent"),
    "candidates": ({"candidates": {"a": 1}}, BadResponseError, "not a generateContent"),
    "usage": ({"usageMetadata": "x", "candidates": []}, BadResponseError, "not a generateContent"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_what_is_no_answer_raises_its_error(name: str) -> None:
    failure, kind, words = FAILURES[name]
    with pytest.raises(kind, match=words):
        PROTOCOL.read(json.dumps(failure).encode())
    reader = PROTOCOL.reader()
    try:
        reader.feed(streamed(partial({"text": "half"})) if name == "error" else b"")
        reader.feed(streamed(failure))
    except ModelError:
        pass
    with pytest.raises(kind, match=words):
        reader.answer()  # who only watches reads on


@pytest.mark.parametrize("depth", [900, 100_000])
def test_what_is_nested_too_deeply_is_no_answer(depth: int) -> None:
    call = '{"functionCall":{"name":"f","args":{"a":' + "[" * depth + "]" * depth + "}}}"
    raw = ('{"candidates":[{"content":{"parts":[' + call + ']},"finishReason":"STOP"}]}').encode()
    if depth == 900:
        assert PROTOCOL.read(raw).calls[0].arguments.count("[") == depth
        return
    reader = PROTOCOL.reader()
    with pytest.raises(BadResponseError):
        PROTOCOL.read(raw)
    with pytest.raises(BadResponseError):
        reader.feed(b"data: " + raw + b"\n\n")


def test_half_characters_and_infinities_are_read() -> None:
    raw = b'{"candidates":[{"content":{"parts":[{"text":"a\\ud83d"}]},"finishReason":"STOP","avgLogprobs":-Infinity}]}'
    assert PROTOCOL.read(raw).text == "a\ufffd"
    assert read_stream(b"data: " + raw + b"\n\n").text == "a\ufffd"


def test_what_is_not_json() -> None:
    with pytest.raises(BadResponseError, match="not JSON"):
        PROTOCOL.read(b"<html>")
    reader = PROTOCOL.reader()
    reader.feed(b"<html>")
    with pytest.raises(BadResponseError, match="not JSON"):
        reader.answer()


@pytest.mark.parametrize("events", [0, 3, 5])
def test_a_stream_without_a_finish_is_an_error(events: int) -> None:
    reader = PROTOCOL.reader()
    reader.feed(streamed(*IN_PIECES[:events]))
    with pytest.raises(BadResponseError):
        reader.answer()


@given(st.lists(st.integers(1, 30), max_size=30))
def test_a_key_is_taken_out_wherever_it_stands(sizes: list[int]) -> None:
    key = "AIza-0123456789abcdef"
    pieces = (
        partial({"text": f"th {key}", "thought": True}),
        partial({"text": "say AIza-01234"}),
        partial({"text": "56789abcdef."}),
        partial({"functionCall": {"name": "f", "args": {"k": key}}, "thoughtSignature": "eA=="}, finishReason="STOP"),
    )
    answer = read_stream(streamed(*pieces), sizes, Redactor({key: "***"}))
    assert answer.text == "say ***."
    assert answer.calls == [RawCall("", "f", '{"k":"***"}')]
    assert answer.reasoning == "th ***"
    assert key not in json.dumps(answer.original)
    assert "eA==" in json.dumps(answer.original)


def test_what_may_begin_a_key_is_passed_on_at_the_finish() -> None:
    raw = streamed(partial({"text": "say AIza-0123"}), partial({"text": ""}, finishReason="STOP"))
    assert read_stream(raw, redactor=Redactor({"AIza-0123456789abcdef": "***"})).text == "say AIza-0123"


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, {"status": "INVALID_ARGUMENT", "message": "no"}, BadRequestError),
        (400, {"status": "INVALID_ARGUMENT", "message": "API key not valid."}, AuthenticationError),
        (403, {"status": "PERMISSION_DENIED", "message": "no"}, AuthenticationError),
        (429, {"status": "RESOURCE_EXHAUSTED", "message": "quota"}, RateLimitError),
        (500, {"status": "INTERNAL", "message": "oh"}, ServerError),
        (503, {"status": "UNAVAILABLE", "message": "overloaded"}, ServerError),
    ],
)
def test_errors_of_a_status(status: int, error: dict[str, Any], kind: type[ModelError]) -> None:
    delay = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7.5s"}]
    whole = {"error": {"code": status, "details": delay} | error}
    for raw in (whole, [whole]):
        found = error_for_status(status, {}, json.dumps(raw).encode())
        assert type(found) is kind
        if isinstance(found, RateLimitError | ServerError):
            assert found.retry_after == 7.5
