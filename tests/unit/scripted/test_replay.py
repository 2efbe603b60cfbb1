"""Which recorded answer a request gets from a cassette."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from unified_agents.config.providers import ProtocolName
from unified_agents.errors import DivergenceError
from unified_agents.journal.rows import AnsweredCall, ExchangeRow
from unified_agents.messages import Usage
from unified_agents.scripted.replay import CassetteModel
from unified_agents.wire.cassette import RecordedExchange, conversation_of, fingerprint_of
from unified_agents.wire.local_upstream import Reply
from unified_agents.wire.recording import read_answer

PATHS: dict[ProtocolName, str] = {
    "chat_completions": "chat/completions",
    "responses": "responses",
    "messages": "messages",
    "generate_content": "models/m:generateContent",
}


def request(question: str, protocol: ProtocolName = "chat_completions") -> dict[str, Any]:
    if protocol == "responses":
        return {"model": "m", "input": question}
    if protocol == "generate_content":
        return {"contents": [{"role": "user", "parts": [{"text": question}]}]}
    return {"model": "m", "messages": [{"role": "user", "content": question}]}


def cassette(*rows: dict[str, Any], question: str = "Go.") -> CassetteModel:
    exchanges = []
    for number, fields in enumerate(rows, 1):
        asked = conversation_of([{"role": "user", "content": fields.pop("question", question)}])
        values = {"run": "r", "model": "m", "protocol": "chat_completions", "messages": asked} | fields
        exchanges.append(RecordedExchange(number, ExchangeRow(fingerprint=fingerprint_of(asked), **values), asked))
    return CassetteModel(exchanges, "c.jsonl")


def asked(model: CassetteModel, key: str, protocol: ProtocolName = "chat_completions", question: str = "Go.") -> Reply:
    return model.recorded(PATHS[protocol], request(question, protocol), key)


def statuses(model: CassetteModel, key: str, count: int, protocol: ProtocolName = "chat_completions") -> list[int]:
    return [asked(model, key, protocol).status for _ in range(count)]


REFUSED = {"status": 400, "body": {"error": {"message": "no such field"}}}


def test_a_refusal_that_taught_something_is_told_once_and_in_its_protocol_alone() -> None:
    assert statuses(cassette(REFUSED, {"text": "Yes."}), "1", 2) == [400, 200]
    assert statuses(cassette(REFUSED, {"text": "Yes."}), "1", 1, "messages") == [200]
    model = cassette(REFUSED, {"text": "Yes."})
    assert (statuses(model, "1", 2), statuses(model, "2", 1)) == ([400, 200], [200])
    model = cassette(REFUSED)  # it ended the run
    assert [statuses(model, key, 1, "messages") for key in "12"] == [[400], [400]]


def test_each_run_has_the_answers_of_one_recorded_run() -> None:
    failed = {"status": 503, "body": {"error": {"message": "busy"}}}
    model = cassette({"run": "a", **failed}, {"run": "b", "text": "B."}, {"run": "a", "text": "A."})
    assert asked(model, "1").status == 503
    assert asked(model, "2").status == 200
    assert asked(model, "1").status == 200
    with pytest.raises(DivergenceError, match="once more than the recorded one, which asked it 2 times"):
        asked(model, "1")
    assert asked(model, "3").status == 503
    model.forget("3")
    assert asked(model, "3").status == 200  # a new run of that name has the next one's


def test_requests_of_no_run_get_all_answers_in_turn() -> None:
    model = cassette({"text": "1"}, {"run": "s", "text": "2"})
    found = [model.reply(request("Go.")).chunks[0] for _ in range(3)]
    assert found[0] == found[2] != found[1]


def test_a_failure_that_was_tried_again_is_not_waited_for() -> None:
    failed = {"status": 429, "headers": {"retry-after": "30"}, "body": {"error": {"message": "slow"}}}
    assert asked(cassette(failed, {"text": "Yes."}), "1").headers["retry-after"] == "0"
    assert asked(cassette(failed), "1").headers["retry-after"] == "30"


CALLS = (AnsweredCall(id="call_1", call_id="call_1", name="add", arguments='{"a":1}'),)
USAGE = Usage(input_tokens=100, output_tokens=20, cached_input_tokens=64)


@pytest.mark.parametrize("protocol", PATHS)
@pytest.mark.parametrize(
    "fields",
    [
        {"text": "Yes.", "finish_reason": "stop", "usage": USAGE},
        {"text": "Let me see.", "calls": CALLS, "finish_reason": "tool_calls", "usage": USAGE},
        {"text": "Half a sentence, and", "finish_reason": "length", "usage": USAGE},
        {"text": "I will not.", "finish_reason": "refusal", "usage": USAGE},
    ],
    ids=lambda fields: fields["finish_reason"],
)
def test_an_answer_says_the_same_in_every_protocol(protocol: ProtocolName, fields: dict[str, Any]) -> None:
    answer = read_answer(protocol, asked(cassette(dict(fields)), "1", protocol).chunks[0])
    assert answer.text == fields["text"]
    assert [(call.name, orjson.loads(call.arguments)) for call in answer.calls] == [
        (call.name, orjson.loads(call.arguments)) for call in fields.get("calls", ())
    ]
    if protocol == "generate_content" and fields["finish_reason"] == "refusal":
        return  # it has no refusals
    assert answer.finish_reason == fields["finish_reason"]
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.cached_input_tokens) == (100, 20, 64)


ORIGINALS: dict[ProtocolName, dict[str, Any]] = {
    "chat_completions": {
        "role": "assistant",
        "content": "Let me see.",
        "reasoning_details": [{"index": 0, "type": "reasoning.text", "text": "Hm.", "signature": "c2ln"}],
        "heard_of_by_nobody": {"a": [1]},
        "tool_calls": [
            {
                "id": "call_1",
                "type": "function",
                "function": {"name": "add", "arguments": '{"a":1}'},
                "extra_content": {"google": {"thought_signature": "c2ln"}},
            }
        ],
    },
    "responses": {
        "id": "resp_kept",
        "output": [
            {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "gAAA"},
            {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search"}},
            {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "Let me see.", "annotations": [{"type": "file_citation"}]}],
            },
            {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "add", "arguments": '{"a":1}'},
        ],
    },
    "messages": {
        "content": [
            {"type": "thinking", "thinking": "Hm. Now.", "signature": "c2ln"},
            {"type": "redacted_thinking", "data": "AAAA"},
            {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "sums"}},
            {"type": "text", "text": "Let me see."},
            {"type": "tool_use", "id": "call_1", "name": "add", "input": {"a": 1}},
            {"type": "heard_of_by_nobody", "a": [1]},
        ]
    },
    "generate_content": {
        "role": "model",
        "parts": [
            {"text": "Hm.", "thought": True},
            {"text": "Let me see."},
            {"functionCall": {"name": "add", "args": {"a": 1}}, "thoughtSignature": "c2ln"},
        ],
    },
}


def streamed(model: CassetteModel, protocol: ProtocolName) -> Reply:
    path = PATHS[protocol].replace(":generateContent", ":streamGenerateContent")
    return model.recorded(path, request("Go.", protocol) | {"stream": True, "store": True}, "1")


@pytest.mark.parametrize("protocol", PATHS)
def test_a_turn_goes_back_as_its_provider_wrote_it(protocol: ProtocolName) -> None:
    fields = {"protocol": protocol, "text": "Let me see.", "calls": CALLS, "finish_reason": "tool_calls"}
    fields["original"] = ORIGINALS[protocol]
    pieces = streamed(cassette(dict(fields)), protocol).chunks
    assert len(pieces) > 3
    whole = cassette(dict(fields)).recorded(PATHS[protocol], request("Go.", protocol) | {"store": True}, "1").chunks
    for body in (b"".join(pieces), whole[0]):
        answer = read_answer(protocol, body)
        assert answer.original == ORIGINALS[protocol]
        assert (answer.text, [call.name for call in answer.calls]) == ("Let me see.", ["add"])
    for other in PATHS.keys() - {protocol}:
        answer = read_answer(other, asked(cassette(dict(fields)), "1", other).chunks[0])
        assert (answer.text, [call.name for call in answer.calls]) == ("Let me see.", ["add"])


@pytest.mark.parametrize("protocol", sorted(PATHS.keys() - {"chat_completions"}))
def test_a_turn_that_is_none_is_said(protocol: ProtocolName) -> None:
    model = cassette({"protocol": protocol, "text": "Yes.", "original": {"output": [3], "content": [3], "parts": [3]}})
    with pytest.raises(DivergenceError, match=f"the original turn of exchange 1 is none of {protocol}"):
        streamed(model, protocol)


@pytest.mark.parametrize("protocol", PATHS)
def test_an_error_has_the_same_words_in_every_protocol(protocol: ProtocolName) -> None:
    error = {"error": {"message": "The prompt is too long.", "code": "context_length_exceeded"}}
    reply = asked(cassette({"status": 400, "body": error}), "1", protocol)
    assert reply.status == 400
    assert b"The prompt is too long." in reply.chunks[0]


def test_the_nearest_recording_is_that_with_the_nearest_words() -> None:
    questions = ("Name a colour.", "What is the capital of Japan?", "What is the time?")
    model = cassette(*({"question": question, "text": "?"} for question in questions))
    with pytest.raises(DivergenceError, match=r"exchange 2 of 3.*now is 'What is the capital of Peru\?'"):
        asked(model, "1", question="What is the capital of Peru?")


@pytest.mark.parametrize(
    ("rows", "path", "words"),
    [([], "chat/completions", "is empty"), ([{"text": "Yes."}], "embeddings", "no request at embeddings")],
)
def test_what_is_no_request_of_the_cassette_is_said(rows: Sequence[dict[str, Any]], path: str, words: str) -> None:
    with pytest.raises(DivergenceError, match=words):
        cassette(*map(dict, rows)).recorded(path, request("Go."), "1")


def test_a_long_text_is_shown_around_its_first_difference() -> None:
    model = cassette({"text": "?"}, question="a" * 500 + "b" + "c" * 500)
    with pytest.raises(DivergenceError) as missed:
        asked(model, "1", question="a" * 500 + "d" + "c" * 500)
    assert "ab" in str(missed.value)
    assert "ad" in str(missed.value)
    assert len(str(missed.value)) < 600
