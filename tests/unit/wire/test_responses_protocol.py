"""Answers of OpenAI Responses, whole and streamed, as servers really send them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from unified_agents.errors import (
    AuthenticationError,
    BadRequestError,
    BadResponseError,
    ModelError,
    RateLimitError,
    ServerError,
)
from unified_agents.messages import JsonObject, Usage
from unified_agents.redaction.redactor import Redactor
from unified_agents.wire.protocols import chat_completions_fields, responses_pieces, stream_lines
from unified_agents.wire.protocols.answer import Answer
from unified_agents.wire.protocols.chat_completions import parse_answer
from unified_agents.wire.protocols.chat_completions_fields import RawCall
from unified_agents.wire.protocols.finish_reasons import finish_error
from unified_agents.wire.protocols.responses import ResponsesProtocol
from unified_agents.wire.protocols.responses_stream import ResponsesReader

PROTOCOL = ResponsesProtocol()
SECRET = "sk-0123456789abcdef"


def text_part(text: str, **more: Any) -> JsonObject:
    return {"type": "output_text", "text": text, "annotations": []} | more


def message(*parts: JsonObject, **more: Any) -> JsonObject:
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": list(parts)}
    return item | more


def function_call(call_id: str = "c1", arguments: Any = '{"a":1}', **more: Any) -> JsonObject:
    item = {"id": "fc_1", "type": "function_call", "status": "completed", "call_id": call_id, "name": "add"}
    return item | {"arguments": arguments} | more


REASONING: JsonObject = {
    "id": "rs_1",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "First"}, {"type": "summary_text", "text": "then"}],
    "encrypted_content": "gAAAé==",
}


def response(*output: JsonObject, **more: Any) -> JsonObject:
    body = {"id": "resp_1", "object": "response", "created_at": 7.5, "model": "m", "status": "completed"}
    usage = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    return body | {"error": None, "incomplete_details": None, "output": list(output), "usage": usage} | more


def event(kind: str, **members: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **members})}\n\n".encode()


def read(body: Any) -> Answer:
    return PROTOCOL.read(json.dumps(body).encode())


def stream(*pieces: bytes) -> Answer:
    return fed(PROTOCOL.reader(), *pieces)


def fed(reader: ResponsesReader, *pieces: bytes) -> Answer:
    for piece in pieces:
        reader.feed(piece)
    return reader.answer()


def added(item: JsonObject, index: int = 0) -> bytes:
    return event("response.output_item.added", item=item, output_index=index)


def done(item: JsonObject, index: int = 0) -> bytes:
    return event("response.output_item.done", item=item, output_index=index)


def text_delta(text: str, index: int = 0, content: int = 0) -> bytes:
    return event("response.output_text.delta", delta=text, output_index=index, content_index=content, item_id="msg_1")


def completed(*output: JsonObject, **more: Any) -> bytes:
    return event("response.completed", response=response(*output, **more))


def test_a_whole_answer_is_read() -> None:
    output = [REASONING, message(text_part("Höhe")), function_call(), function_call("c2", "{")]
    answer = read(response(*output))
    assert (answer.text, answer.finish_reason, answer.reasoning) == ("Höhe", "tool_calls", "First\n\nthen")
    assert answer.calls == [RawCall("c1", "add", '{"a":1}'), RawCall("c2", "add", "{")]
    assert answer.usage == Usage(input_tokens=3, output_tokens=4)
    assert answer.original == {"output": output}
    assert answer.time_to_first_token is None


def test_the_body_is_a_chat_completions_answer() -> None:
    answer = read(response(REASONING, message(text_part("Höhe")), function_call()))
    assert (answer.body["id"], answer.body["created"], answer.body["model"]) == ("resp_1", 7, "m")
    chat = parse_answer(json.dumps(answer.body).encode())
    assert (chat.text, chat.calls, chat.finish_reason) == ("Höhe", answer.calls, "tool_calls")
    assert chat.usage == answer.usage


@pytest.mark.parametrize(
    "output",
    [
        [],
        [message(text_part("x"))],
        [message(text_part("x", logprobs=[]), phase=None)],
        [message(text_part("x")), function_call(), function_call("c2")],
    ],
)
def test_a_turn_of_text_and_calls_needs_no_original(output: list[JsonObject]) -> None:
    assert read(response(*output)).original is None


@pytest.mark.parametrize(
    "output",
    [
        [REASONING, message(text_part("x"))],
        [message(text_part("x"), phase="final_answer")],
        [message(text_part("x", annotations=[{"type": "url_citation"}]))],
        [message(text_part("x"), text_part("y"))],
        [message({"type": "refusal", "refusal": "no"})],
        [function_call(), message(text_part("x"))],
        [function_call(namespace="n")],
        [{"type": "unheard_of", "data": "x"}],
    ],
)
def test_what_text_and_calls_do_not_say_is_kept(output: list[JsonObject]) -> None:
    assert read(response(*output)).original == {"output": output}
    assert stream(completed(*output)).original == {"output": output}


@pytest.mark.parametrize(
    ("output", "more", "finish_reason"),
    [
        ([message(text_part("x"))], {}, "stop"),
        ([message(text_part("x"))], {"status": None}, "stop"),
        ([function_call()], {}, "tool_calls"),
        ([message(text_part("x"))], {"status": "incomplete"}, "incomplete"),
        (
            [message(text_part("x"))],
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            "length",
        ),
        ([], {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "length"),
        (
            [message(text_part("x"))],
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            "content_filter",
        ),
        ([message({"type": "refusal", "refusal": "x"})], {}, "refusal"),
        ([message({"type": "refusal", "refusal": "x"}), function_call()], {}, "tool_calls"),
        ([message(text_part("x"))], {"status": "cancelled"}, "cancelled"),
        ([], {"status": "queued"}, "queued"),
    ],
)
def test_how_an_answer_ended(output: list[JsonObject], more: JsonObject, finish_reason: str) -> None:
    answer = read(response(*output, **more))
    assert answer.finish_reason == finish_reason
    assert answer.text == ("x" if any(item["type"] == "message" for item in output) else None)
    clean = finish_reason in ("stop", "tool_calls", "length", "refusal")
    assert (finish_error(finish_reason, answer.calls) is None) is clean


def test_shapes_of_other_servers_are_read() -> None:
    answer = read(response(message(content="plain"), function_call(call_id=None, arguments={"a": 1})))
    assert answer.text == "plain"
    assert answer.calls == [RawCall("fc_1", "add", '{"a":1}')]
    thought = {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "hm"}]}
    assert read(response(thought)).reasoning == "hm"
    assert read({"output": [], "usage": 3}).usage == Usage()


@pytest.mark.parametrize("created", ["Infinity", "-Infinity", "NaN", '"x"', "[]"])
def test_a_strange_time_does_no_harm(created: str) -> None:
    raw = json.dumps(response()).replace("7.5", created)
    assert PROTOCOL.read(raw.encode()).body["created"] == 0


def test_half_characters_and_huge_numbers_are_read() -> None:
    raw = b'{"output":[{"type":"message","content":"a\\ud83d","n":123456789012345678901234567890}]}'
    answer = PROTOCOL.read(raw)
    assert answer.text == "a\N{REPLACEMENT CHARACTER}"
    assert answer.original == {
        "output": [{"type": "message", "content": answer.text, "n": 123456789012345678901234567890}]
    }


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": "rate_limit_exceeded", "message": "slow down"}, RateLimitError),
        ({"code": "server_error", "message": "slow down"}, ServerError),
        ({"code": "invalid_prompt", "message": "slow down"}, BadRequestError),
        ({"code": "invalid_api_key", "type": "unauthorized", "message": "slow down"}, AuthenticationError),
        ({"code": "bio_policy", "message": "slow down"}, BadResponseError),
    ],
)
def test_a_failure_is_told_alike_wherever_it_stands(error: JsonObject, kind: type[ModelError]) -> None:
    failed = response(message(text_part("half")), status="failed", error=error)
    begun = (event("response.created", response=response(status="in_progress")), text_delta("half"))
    readings = (
        lambda: read(failed),
        lambda: read({"error": error}),
        lambda: read([{"error": error}]),
        lambda: stream(*begun, event("response.failed", response=failed)),
        lambda: stream(*begun, event("error", **error | {"type": "error"})),
        lambda: stream(*begun, event("error", error=error)),
        lambda: stream(*begun, b"data: " + json.dumps({"error": error}).encode() + b"\n\n"),
        lambda: stream(*begun, json.dumps({"error": error}).encode() + b"\n"),
        lambda: stream(*begun, b"data: " + json.dumps([{"error": error}]).encode() + b"\n\n"),
    )
    for number, reading in enumerate(readings):
        if number == 4 and kind is AuthenticationError:
            continue  # this event has no place for the type
        with pytest.raises(kind, match="slow down"):
            reading()


def test_a_failure_without_an_error_is_one_all_the_same() -> None:
    with pytest.raises(ModelError):
        read(response(status="failed"))
    with pytest.raises(ModelError):
        stream(event("response.failed", response={"output": []}))
    with pytest.raises(ModelError, match="not today"):
        read({"object": "error", "message": "not today"})
    with pytest.raises(ModelError, match="not today"):
        read({"detail": "not today"})


def test_an_error_stays_one_for_whoever_reads_on() -> None:
    reader = PROTOCOL.reader()
    with pytest.raises(ServerError):
        reader.feed(event("error", code="server_error", message="x"))
    reader.feed(completed(message(text_part("half"))))
    with pytest.raises(ServerError):
        reader.answer()


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        (b"<html>", "not JSON"),
        (b"", "not JSON"),
        (b"[]", "not a Responses answer"),
        (b"3", "not a Responses answer"),
        (b"{}", "not a Responses answer"),
        (b'{"choices": []}', "not a Responses answer"),
        (b'{"output": {}}', "not a Responses answer"),
        (b'{"output": [3]}', "not a Responses answer"),
        (b'{"output": [{}]}', "not a Responses answer"),
        (b'{"output": [{"type": "function_call"}]}', "not a Responses answer"),
        (b'{"output": [{"type": "message", "content": [{"type": "output_text"}]}]}', "not a Responses answer"),
        (b'{"output": [{"type": "reasoning", "summary": [3]}]}', "not a Responses answer"),
        (b'{"output": [], "status": 3}', "not a Responses answer"),
        (b"data: {broken\n\n", "not JSON"),
        (b"data: 3\n\n", "not a Responses event"),
        (b"data: [3]\n\n", "not a Responses event"),
        (b'data: {"type": 3}\n\n', "not a Responses event"),
        (b'data: {"type": "response.completed"}\n\n', "not a Responses event"),
        (b'data: {"type": "response.output_item.added"}\n\n', "not a Responses event"),
        (b'data: {"type": "response.output_text.delta", "delta": 3}\n\n', "not a Responses event"),
    ],
)
def test_what_is_no_answer_is_refused(raw: bytes, word: str) -> None:
    with pytest.raises(BadResponseError, match=word):
        PROTOCOL.read(raw)


TOLD = (
    event("response.created", response=response(status="in_progress", usage=None)),
    added(REASONING | {"summary": [], "encrypted_content": "early"}),
    event("response.reasoning_summary_text.delta", delta="First", output_index=0, summary_index=0),
    event("response.reasoning_summary_text.delta", delta="then", output_index=0, summary_index=1),
    done(REASONING),
    added(message(), 1),
    event("response.content_part.added", output_index=1, content_index=0, part=text_part("")),
    text_delta("Hö", 1),
    text_delta("he", 1),
    event("response.unheard_of.delta", delta={"x": 1}),
    done(message(text_part("Höhe")), 1),
    added(function_call(arguments=""), 2),
    event("response.function_call_arguments.delta", delta='{"a"', output_index=2),
    event("response.function_call_arguments.delta", delta=":1}", output_index=2),
    event("response.function_call_arguments.done", arguments='{"a":1}', output_index=2),
    done(function_call(), 2),
)
OUTPUT = [REASONING, message(text_part("Höhe")), function_call()]
ENDS = [
    completed(*OUTPUT),
    completed(),
    completed(*OUTPUT[:1]),
    event("response.completed", response={"usage": {"input_tokens": 3, "output_tokens": 4}}),
]


@pytest.mark.parametrize("end", ENDS, ids=["whole", "without items", "with one item", "with usage alone"])
@given(sizes=st.lists(st.integers(1, 400), max_size=12))
def test_a_stream_reads_the_same_however_it_is_cut_and_ends(end: bytes, sizes: list[int]) -> None:
    raw, position, shown = b"".join((*TOLD, end)), 0, []
    reader = PROTOCOL.reader()
    for size in [*sizes, len(raw)]:
        shown += reader.feed(raw[position : position + size])
        position += size
    answer = reader.answer()
    assert reader.done
    assert reader.raw == raw
    assert "".join(shown) == answer.text == "Höhe"
    assert answer.calls == [RawCall("c1", "add", '{"a":1}')]
    assert (answer.finish_reason, answer.reasoning) == ("tool_calls", "First\n\nthen")
    assert answer.original == {"output": OUTPUT}
    assert answer.usage == Usage(input_tokens=3, output_tokens=4)
    assert answer.body["id"] == "resp_1"


PIECES = [number for number, piece in enumerate(TOLD) if number]


@given(st.sets(st.sampled_from(PIECES)))
def test_whatever_is_left_out_the_last_object_is_the_answer(missing: set[int]) -> None:
    kept = [piece for number, piece in enumerate(TOLD) if number not in missing]
    answer = stream(*kept, ENDS[0])
    assert answer.original == {"output": OUTPUT}
    assert answer.text == "Höhe"


def test_without_the_items_that_end_the_pieces_are_the_answer() -> None:
    kept = [piece for piece in TOLD if b"output_item.done" not in piece]
    answer = stream(*kept, b"data: [DONE]\n\n")
    assert (answer.text, answer.calls, answer.finish_reason) == (
        "Höhe",
        [RawCall("c1", "add", '{"a":1}')],
        "tool_calls",
    )
    assert answer.reasoning == "First\n\nthen"


def test_pieces_without_any_item_are_the_answer() -> None:
    reader = PROTOCOL.reader()
    assert reader.feed(event("response.output_text.delta", delta="a")) == ["a"]
    assert reader.feed(event("response.output_text.done", text="a")) == []
    done_event = event(
        "response.function_call_arguments.done", item_id="fc_9", name="f", arguments="{}", output_index=1
    )
    reader.feed(done_event)
    answer = fed(reader, b"data: [DONE]\n\n")
    assert (answer.text, answer.calls) == ("a", [RawCall("fc_9", "f", "{}")])


def test_items_without_numbers_are_told_apart_by_their_ids() -> None:
    calls = [function_call("c1", "", id="fc_1"), function_call("c2", "", id="fc_2")]
    pieces = [event("response.output_item.added", item=item) for item in calls]
    pieces += [
        event("response.function_call_arguments.delta", item_id=id_, delta=delta)
        for id_, delta in (("fc_2", "{"), ("fc_1", "["), ("fc_2", "}"), ("fc_1", "]"))
    ]
    answer = stream(*pieces, b"data: [DONE]\n\n")
    assert answer.calls == [RawCall("c1", "add", "[]"), RawCall("c2", "add", "{}")]


def test_a_call_that_ends_empty_has_the_arguments_that_came() -> None:
    arguments = event("response.function_call_arguments.delta", delta='{"a":1}', output_index=0)
    answer = stream(added(function_call(arguments="")), arguments, done(function_call(arguments="")), completed())
    assert answer.calls == [RawCall("c1", "add", '{"a":1}')]


def test_an_item_that_ended_counts_more_than_its_pieces() -> None:
    pieces = [event("response.function_call_arguments.delta", delta="{", output_index=0), done(function_call())]
    assert stream(*pieces, completed()).calls == [RawCall("c1", "add", '{"a":1}')]


@pytest.mark.parametrize(
    "pieces",
    [
        [completed(message(text_part("a"), text_part("b")))],
        [done(message(text_part("a"), text_part("b"))), completed()],
        [event("response.output_text.done", text="ab", output_index=0), done(message(text_part("ab"))), completed()],
        [added(message()), completed(message(text_part("ab")))],
        [text_delta("a"), text_delta("b", content=1), done(message(text_part("a"), text_part("b"))), completed()],
        [b"data: " + json.dumps(response(message(text_part("ab")))).encode() + b"\n\n"],
        [event("response.refusal.delta", delta="a"), event("response.refusal.delta", delta="b"), completed()],
    ],
)
def test_a_text_is_shown_once_wherever_it_comes(pieces: list[bytes]) -> None:
    reader = PROTOCOL.reader()
    shown = [text for piece in pieces for text in reader.feed(piece)]
    assert "".join(shown) == "ab"
    assert reader.first_delta
    assert reader.done
    assert reader.answer().text == "ab"


def test_a_streamed_refusal_is_one() -> None:
    answer = stream(event("response.refusal.delta", delta="I can't", output_index=0), completed())
    assert (answer.text, answer.finish_reason) == ("I can't", "refusal")


def test_a_first_delta_is_a_text_or_a_call() -> None:
    reader = PROTOCOL.reader()
    for piece, is_first in [*zip(TOLD[:7], [False] * 7, strict=True), (TOLD[7], True)]:
        reader.feed(piece)
        assert reader.first_delta is is_first
    reader = PROTOCOL.reader()
    reader.feed(TOLD[11])
    assert reader.first_delta


@pytest.mark.parametrize("pieces", [TOLD, TOLD[:1], TOLD[:8], ()])
def test_a_stream_that_ends_too_early_is_refused(pieces: tuple[bytes, ...]) -> None:
    with pytest.raises(BadResponseError, match="before the answer was finished" if pieces else "not JSON"):
        stream(*pieces)


def test_a_server_that_ignores_stream_is_read_all_the_same() -> None:
    assert stream(json.dumps(response(function_call())).encode()).calls == [RawCall("c1", "add", '{"a":1}')]


def test_an_incomplete_stream_says_why() -> None:
    cut = response(message(text_part("Hö")), incomplete_details={"reason": "max_output_tokens"}, status="in_progress")
    answer = stream(*TOLD[5:8], event("response.incomplete", response=cut))
    assert (answer.text, answer.finish_reason) == ("Hö", "length")


def test_the_last_event_may_say_more_than_its_name() -> None:
    cut = response(message(text_part("x")), status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    assert stream(event("response.completed", response=cut)).finish_reason == "length"
    with pytest.raises(ServerError):
        stream(event("response.completed", response=response(status="failed", error={"code": "server_error"})))


def test_half_characters_are_joined() -> None:
    reader = PROTOCOL.reader()
    shown = [text for half in ("\\ud83d", "\\ude00") for text in reader.feed(_raw_delta(half))]
    shown += reader.feed(_raw_delta("\\ud83d"))
    shown += reader.feed(completed())
    assert "".join(shown) == "\N{GRINNING FACE}\N{REPLACEMENT CHARACTER}"
    assert reader.answer().text == "\N{GRINNING FACE}\N{REPLACEMENT CHARACTER}"


def _raw_delta(text: str) -> bytes:
    return b'data: {"type": "response.output_text.delta", "output_index": 0, "delta": "' + text.encode() + b'"}\n\n'


def test_secrets_are_taken_out_of_all_that_is_read() -> None:
    redactor = Redactor({SECRET: "***"}).stream()
    reader = PROTOCOL.reader(redactor)
    text = f"the key is {SECRET}!"
    thought = REASONING | {"summary": [{"type": "summary_text", "text": SECRET}]}
    output = [thought, message(text_part(text)), function_call(arguments=json.dumps({"key": SECRET}))]
    shown = [part for piece in (text[:15], text[15:]) for part in reader.feed(text_delta(piece, 1))]
    shown += reader.feed(completed(*output))
    answer = reader.answer()
    assert "".join(shown) == answer.text == "the key is ***!"
    seen = json.dumps([answer.text, answer.calls[0].arguments, answer.original, answer.body, answer.reasoning])
    assert SECRET not in seen
    assert seen.count("***") == 8
    with pytest.raises(ModelError) as caught:
        fed(PROTOCOL.reader(Redactor({SECRET: "***"}).stream()), event("error", message=f"bad key {SECRET}"))
    assert SECRET not in str(caught.value)
    with pytest.raises(BadResponseError) as caught:
        fed(PROTOCOL.reader(Redactor({SECRET: "***"}).stream()), b'data: ["' + SECRET.encode() + b'"]\n\n')
    assert SECRET not in str(caught.value)


def test_what_might_have_begun_a_secret_is_shown_at_the_end() -> None:
    reader = PROTOCOL.reader(Redactor({SECRET: "***"}).stream())
    assert reader.feed(text_delta("a sk-")) == ["a "]
    assert reader.feed(completed()) == ["sk-"]
    assert reader.answer().text == "a sk-"


def test_an_answer_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_completions_fields, "MAX_ARGUMENTS_CHARS", 10)
    monkeypatch.setattr(chat_completions_fields, "MAX_CALLS", 2)
    monkeypatch.setattr(stream_lines, "MAX_ANSWER_BYTES", 3_000)
    assert responses_pieces.check_bounds is chat_completions_fields.check_bounds
    with pytest.raises(BadResponseError, match="arguments"):
        read(response(function_call(arguments="x" * 11)))
    with pytest.raises(BadResponseError, match="tool calls"):
        read(response(*[function_call(str(number)) for number in range(3)]))
    reader = PROTOCOL.reader()
    reader.feed(event("response.function_call_arguments.delta", delta="x" * 6))
    with pytest.raises(BadResponseError, match="arguments"):
        reader.feed(event("response.function_call_arguments.delta", delta="x" * 6))
    with pytest.raises(BadResponseError, match="longer than 3000 bytes"):
        stream(text_delta("x" * 3_000))


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader(raw: bytes) -> None:
    for reading in (
        lambda: PROTOCOL.read(raw),
        lambda: stream(raw),
        lambda: stream(b"data: " + raw + b"\n\n"),
    ):
        try:
            reading()
        except BadResponseError:
            continue


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["output_text", "message", "x", ""]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["type", "output", "content", "summary", "text", "delta", "item", "output_index", "status",
                         "incomplete_details", "reason", "response", "id", "call_id", "arguments", "name", "usage"]),
        inner,
        max_size=5,
    ),
    max_leaves=12,
)  # fmt: skip
kinds = st.sampled_from(
    ["response.created", "response.output_item.added", "response.output_item.done", "response.completed",
     "response.output_text.delta", "response.output_text.done", "response.function_call_arguments.delta",
     "response.function_call_arguments.done", "response.reasoning_summary_text.delta", "response.incomplete"]
)  # fmt: skip


@given(
    json_values, st.lists(st.tuples(kinds, st.dictionaries(st.text(max_size=3), json_values) | json_values), max_size=4)
)
def test_no_json_breaks_the_reader(body: Any, events: list[tuple[str, Any]]) -> None:
    pieces = [
        b"data: " + json.dumps({**value, "type": kind} if isinstance(value, dict) else value).encode() + b"\n\n"
        for kind, value in events
    ]
    for reading in (lambda: read(body), lambda: read({"output": body}), lambda: stream(*pieces, b"data: [DONE]\n\n")):
        try:
            reading()
        except ModelError:
            continue
