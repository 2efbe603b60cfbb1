"""Reading and writing Chat Completions bodies."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from unified_agents.config import ModelPrice
from unified_agents.errors import BadResponseError
from unified_agents.messages import Usage
from unified_agents.scripted.model import Script, ScriptedModel
from unified_agents.wire.protocols.chat_completions import StreamReader, parse_answer
from unified_agents.wire.protocols.chat_completions_fields import RawCall, usage_of
from unified_agents.wire.protocols.chat_completions_writer import stream_of

WHOLE: dict[str, Any] = {
    "id": "x",
    "model": "m",
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {
                "role": "assistant",
                "content": "Höhe: 3 m",
                "tool_calls": [
                    {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
                    {"id": "b", "type": "function", "function": {"name": "g", "arguments": '{"y":'}},
                ],
            },
        }
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens": 0, "total_tokens": 3},
}
CALLS = [RawCall("a", "f", '{"x":1}'), RawCall("b", "g", '{"y":')]


def test_a_whole_answer_is_read() -> None:
    answer = parse_answer(json.dumps(WHOLE).encode())
    assert (answer.text, answer.calls, answer.finish_reason) == ("Höhe: 3 m", CALLS, "tool_calls")
    assert answer.usage == Usage(input_tokens=3, output_tokens=0)
    assert answer.time_to_first_token is None


def test_a_refusal_beside_a_text_stands_apart_from_it() -> None:
    message = {"role": "assistant", "content": "I looked.", "refusal": "No."}
    body = {"choices": [{"index": 0, "finish_reason": "stop", "message": message}]}
    assert parse_answer(json.dumps(body).encode()).text == "I looked.\n\nNo."
    reader = StreamReader()
    parts = ({"content": "I looked."}, {"refusal": "No"}, {"refusal": "."})
    texts = [text for part in parts for text in reader.feed(event({"delta": part}))]
    texts += reader.feed(event({"delta": {}, "finish_reason": "stop"}))
    assert "".join(texts) == reader.answer().text == "I looked.\n\nNo."


@pytest.mark.parametrize("line_break", [b"\n", b"\r\n", b"\r"])
@given(sizes=st.lists(st.integers(1, 60), max_size=40))
def test_a_stream_reads_the_same_however_it_is_cut(line_break: bytes, sizes: list[int]) -> None:
    raw = b"".join(stream_of(WHOLE, include_usage=True)).replace(b"\n", line_break)
    reader, position, texts = StreamReader(), 0, []
    for size in [*sizes, len(raw)]:
        texts += reader.feed(raw[position : position + size])
        position += size
    answer = reader.answer()
    assert (answer.text, answer.calls, answer.finish_reason) == ("Höhe: 3 m", CALLS, "tool_calls")
    assert answer.usage == Usage(input_tokens=3, output_tokens=0)
    assert "".join(texts) == "Höhe: 3 m"
    assert reader.done
    assert parse_answer(json.dumps(answer.body).encode()).calls == CALLS


@pytest.mark.parametrize("shape", ["separate", "together"])
def test_both_shapes_of_streamed_calls_are_read(shape: str) -> None:
    calls = [{"name": "f", "arguments": {"n": number}} for number in range(8)]
    script = Script.model_validate({"tool_call_deltas": shape, "answers": [{"tool_calls": calls}]})
    reply = ScriptedModel(script).reply({"messages": [{"role": "user", "content": "q"}], "stream": True})
    reader = StreamReader()
    for chunk in reply.chunks:
        reader.feed(chunk)
    assert [json.loads(call.arguments)["n"] for call in reader.answer().calls] == list(range(8))


def event(choice: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


def test_calls_without_numbers_are_told_apart_by_their_names() -> None:
    reader = StreamReader()
    reader.feed(event({"delta": {"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{"}}]}}))
    reader.feed(event({"delta": {"tool_calls": [{"function": {"arguments": "}"}}]}}))
    reader.feed(event({"delta": {"tool_calls": [{"id": "b", "function": {"name": "g", "arguments": "{}"}}]}}))
    reader.feed(event({"delta": {}, "finish_reason": "tool_calls"}))
    assert reader.answer().calls == [RawCall("a", "f", "{}"), RawCall("b", "g", "{}")]


def test_arguments_that_are_an_object_become_text() -> None:
    body = {"choices": [{"message": {"tool_calls": [{"function": {"name": "f", "arguments": {"x": 1}}}]}}]}
    assert parse_answer(json.dumps(body).encode()).calls == [RawCall("", "f", '{"x":1}')]


def test_a_server_that_ignores_stream_is_read_all_the_same() -> None:
    reader = StreamReader()
    reader.feed(json.dumps(WHOLE).encode())
    assert reader.answer().calls == CALLS


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        (b"<html>", "not JSON"),
        (b"", "not JSON"),
        (b"[]", "not a Chat Completions answer"),
        (b'{"choices": []}', "no choices"),
        (b'{"choices": [{}]}', "not a Chat Completions answer"),
        (b'{"choices": [{"message": {"tool_calls": [{}]}}]}', "not a Chat Completions answer"),
    ],
)
def test_what_is_no_answer_is_refused(raw: bytes, word: str) -> None:
    with pytest.raises(BadResponseError, match=word):
        parse_answer(raw)


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        (event({"delta": {"content": "half"}}), "before the answer was finished"),
        (b"data: {broken\n\n", "not JSON"),
        (b'data: {"error": {"message": "overloaded"}}\n\n', "overloaded"),
        (b'data: {"choices": []}\n\ndata: [DONE]\n\n', "no choices"),
        (b"data: 3\n\n", "not a Chat Completions chunk"),
    ],
)
def test_a_stream_that_is_no_answer_is_refused(raw: bytes, word: str) -> None:
    reader = StreamReader()
    with pytest.raises(BadResponseError, match=word):  # noqa: PT012  # some are seen at once, some at the end
        reader.feed(raw)
        reader.answer()


@given(st.binary(max_size=400))
def test_no_bytes_break_the_reader(raw: bytes) -> None:
    for read in (lambda: parse_answer(raw), lambda: _stream(raw), lambda: _stream(b"data: " + raw + b"\n\n")):
        try:
            read()
        except BadResponseError:
            continue


def _stream(raw: bytes) -> None:
    reader = StreamReader()
    reader.feed(raw)
    reader.answer()


@pytest.mark.parametrize(
    ("more", "counts"),
    [
        ({}, (None, None, None)),
        ({"prompt_tokens_details": None, "completion_tokens_details": []}, (None, None, None)),
        ({"prompt_tokens_details": {"cached_tokens": 0}}, (0, None, None)),
        ({"prompt_cache_hit_tokens": 7, "prompt_cache_miss_tokens": 3}, (7, None, None)),
        ({"cached_tokens": 7}, (7, None, None)),
        ({"cache_read_input_tokens": 6, "cache_creation_input_tokens": 3}, (6, 3, None)),
        ({"prompt_tokens_details": {"cached_tokens": "7"}}, (None, None, None)),
        ({"completion_tokens_details": {"reasoning_tokens": 4}}, (None, None, 4)),
    ],
)
def test_the_parts_of_usage(more: dict[str, Any], counts: tuple[int | None, ...]) -> None:
    usage = usage_of({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, **more})
    assert (usage.input_tokens, usage.output_tokens) == (10, 5)
    assert (usage.cached_input_tokens, usage.cache_write_tokens, usage.reasoning_tokens) == counts


def test_thinking_that_is_counted_beside_the_answer_is_output_too() -> None:
    details = {"completion_tokens_details": {"reasoning_tokens": 90}}
    usage = usage_of({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 105, **details})
    assert (usage.output_tokens, usage.total_tokens) == (95, 105)


def test_usage_adds_up_and_compares() -> None:
    left = usage_of({"prompt_tokens": 10, "completion_tokens": 5, "cached_tokens": 4})
    both = left + usage_of({"prompt_tokens": 1}) + left
    assert both == Usage(input_tokens=21, output_tokens=10, cached_input_tokens=8)


def test_a_kind_of_token_without_a_price_has_that_of_input() -> None:
    usage = Usage(input_tokens=1000, output_tokens=10, cached_input_tokens=900, cache_write_tokens=50)
    assert ModelPrice(input=1, output=2).cost(usage) == pytest.approx(1020 / 1_000_000)
    assert ModelPrice(input=1, output=2, cached_input=0).cost(usage) == pytest.approx(120 / 1_000_000)
    too_many = Usage(input_tokens=10, output_tokens=0, cached_input_tokens=900)
    assert ModelPrice(input=1, output=2, cached_input=0.5).cost(too_many) == pytest.approx(5 / 1_000_000)
