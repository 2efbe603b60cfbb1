"""Answers that servers break off, report as errors, or write in shapes of their own."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from unified_agents.errors import (
    AuthenticationError,
    BadRequestError,
    BadResponseError,
    ContentFilterError,
    ModelError,
    RateLimitError,
    ServerError,
)
from unified_agents.wire.http_errors import error_for_status, reported_error
from unified_agents.wire.protocols import chat_completions_fields, stream_lines
from unified_agents.wire.protocols.answer import Answer
from unified_agents.wire.protocols.chat_completions import StreamReader, parse_answer
from unified_agents.wire.protocols.chat_completions_fields import RawCall
from unified_agents.wire.protocols.finish_reasons import finish_error
from unified_agents.wire.steps import without_repeats


def event(finish_reason: str | None = None, choice: int = 0, **delta: Any) -> bytes:
    return line({"choices": [{"index": choice, "delta": delta, "finish_reason": finish_reason}]})


def line(chunk: Any) -> bytes:
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def call(arguments: str, *, name: str | None = "f", **fields: Any) -> bytes:
    return event(tool_calls=[fields | {"function": {"name": name, "arguments": arguments}}])


def read(*pieces: bytes, end: bytes = b"data: [DONE]\n\n") -> Answer:
    reader = StreamReader()
    for piece in (*pieces, end):
        reader.feed(piece)
    return reader.answer()


def whole(*messages: dict[str, Any], finish_reason: str | None = "stop", **fields: Any) -> bytes:
    choices = [{"index": n, "message": m, "finish_reason": finish_reason} for n, m in enumerate(messages)]
    return json.dumps({"choices": choices} | fields).encode()


@pytest.mark.parametrize(
    ("code", "kind"),
    [(502, ServerError), ("429", RateLimitError), ("rate_limit_exceeded", RateLimitError), (401, AuthenticationError),
     ("content_filter", ContentFilterError), (400, BadRequestError), (None, BadResponseError)],
)  # fmt: skip
def test_an_error_beside_an_answer_is_an_error(code: Any, kind: type[ModelError]) -> None:
    error = {"code": code, "message": "it went away"}
    choice = {"index": 0, "delta": {"content": ""}, "message": {"content": "half"}, "finish_reason": "error"}
    for body in ({"error": error, "choices": [choice]}, {"choices": [choice | {"error": error}]}, {"error": error}, [{"error": error}]):  # fmt: skip  # noqa: E501
        with pytest.raises(kind, match="it went away") as raised:
            parse_answer(json.dumps(body).encode())
        assert type(raised.value) is kind
        with pytest.raises(kind, match="it went away"):
            read(event(content="half"), line(body))


def test_nothing_of_a_half_answer_counts_for_who_reads_on() -> None:
    reader = StreamReader()
    reader.feed(event(content="half"))
    with pytest.raises(ServerError):
        reader.feed(line({"error": {"code": 500}, "choices": []}))
    reader.feed(event("stop"))
    with pytest.raises(ServerError):
        reader.answer()


@pytest.mark.parametrize(
    "tail", [b'{"error": "out of memory"}\n', b'event: error\ndata: {"message": "out of memory"}\n\n']
)
def test_a_server_that_breaks_off_says_why(tail: bytes) -> None:
    with pytest.raises(ModelError, match="out of memory"):
        read(event(content="half"), tail, end=b"")


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        *[(reason, None) for reason in (None, "", "stop", "STOP", "length", "eos", "end_turn")],
        *[(reason, ServerError) for reason in ("error", "abort", "insufficient_system_resource", "MALFORMED_CALL")],
        *[(reason, ContentFilterError) for reason in ("content_filter", "SAFETY", "sensitive")],
        *[(reason, BadResponseError) for reason in ("tool_calls", "function_call", "what is this")],
    ],
)
def test_each_finish_reason_has_its_meaning(reason: str | None, kind: type[ModelError] | None) -> None:
    error = finish_error(reason, [])
    assert (type(error) if error else None) is kind
    assert finish_error("tool_calls", [RawCall("", "f", "")]) is None


def test_a_refusal_is_read_whole_and_streamed() -> None:
    parts = [{"type": "refusal", "refusal": "I cannot."}]
    for answer in (
        parse_answer(whole({"content": None, "refusal": "I cannot."})),
        parse_answer(whole({"content": parts})),
        read(event(content=None, refusal=""), event(refusal="I "), event(refusal="cannot."), event("stop")),
    ):
        assert (answer.text, answer.finish_reason) == ("I cannot.", "refusal")


def test_calls_in_another_choice_are_read() -> None:
    item = {"id": "a", "function": {"name": "f", "arguments": "{}"}}
    answer = parse_answer(whole({"content": "I look."}, {"content": None, "tool_calls": [item]}))
    streamed = read(event(content="I look."), event(choice=1, tool_calls=[item]), event("tool_calls"))
    for seen in (answer, streamed):
        assert (seen.text, seen.calls) == ("I look.", [RawCall("a", "f", "{}")])


@pytest.mark.parametrize(
    ("pieces", "calls"),
    [
        ([call('{"a":1}', id="x", index=0), call('{"a":2}', id="y", index=0)], [("x", '{"a":1}'), ("y", '{"a":2}')]),
        ([call("", id="x"), call('{"a":', id="x"), call("1}", id="x")], [("x", '{"a":1}')]),
        ([call("{}", id="x", index=0), call('{"a":1}', name=None, index=0)], [("x", '{"a":1}')]),
        ([call('{"a":', id="x", index=0), call("1}", id="y", index=0, name=None)], [("x", '{"a":1}')]),
        ([call('{"a":1}', id="x", index=0), call('{"a":1}', id="x", index=0)], [("x", '{"a":1}')]),
        ([call('{"a":1}', id="x", index=0), call('{"a":2}', id="x", index=0)], [("x", '{"a":1}'), ("x", '{"a":2}')]),
        ([call("", id="x", index=0, name=""), call('{"a":1}', index=0)], [("x", '{"a":1}')]),
    ],
)  # fmt: skip
def test_calls_are_put_together(pieces: list[bytes], calls: list[tuple[str, str]]) -> None:
    assert read(*pieces).calls == [RawCall(id_, "f", arguments) for id_, arguments in calls]


def test_a_name_in_pieces_is_joined() -> None:
    assert read(call("", name="get_", index=0), call("{}", name="time", index=0)).calls == [
        RawCall("", "get_time", "{}")
    ]


def test_one_call_under_one_id_stays_once() -> None:
    calls = [RawCall("a", "f", "1"), RawCall("a", "f", "1"), RawCall("a", "f", "2"), RawCall("", "f", ""), RawCall("", "f", "")]  # fmt: skip  # noqa: E501
    assert without_repeats(calls) == [calls[0], calls[2], calls[3], calls[4]]


@pytest.mark.parametrize(
    "raw",
    [
        event(content="It is ") + line({"usage": {}}) + b"data:\n\n" + event(content="sunny."),
        b"\xef\xbb\xbf" + event(content="It is sunny."),
        b'data: {"choices": [{"index": 0,\ndata: "delta": {"content": "It is sunny."}}]}\n\n',
        b"data: " + whole({"content": "It is sunny."}) + b"\n\n",
        b": alive\n\n" + event(content="It is sunny."),
    ],
)
def test_streams_of_other_shapes_are_read(raw: bytes) -> None:
    assert read(raw).text == "It is sunny."
    assert parse_answer(raw + b"data: [DONE]\n\n").text == "It is sunny."


def test_what_python_writes_is_read() -> None:
    halves = (
        b'data: {"choices":[{"delta":{"content":"\\ud83d"}}]}\n',
        b'data: {"choices":[{"delta":{"content":"\\ude00"}}]}\n',
    )
    assert read(*halves).text == "\U0001f600"
    assert parse_answer(whole({"content": "yes"}, logprob=float("-inf"))).text == "yes"
    assert parse_answer(whole({"content": [{"type": "thinking", "thinking": []}, {"type": "text", "text": "yes"}]})).text == "yes"  # fmt: skip  # noqa: E501


def test_the_one_call_of_an_older_server_is_read() -> None:
    assert parse_answer(whole({"function_call": {"name": "f", "arguments": "{}"}})).calls == [RawCall("", "f", "{}")]
    pieces = [event(function_call={"name": "f", "arguments": ""}), event(function_call={"arguments": '{"a"'})]
    answer = read(*pieces, event(function_call={"arguments": ": 1}"}), event("function_call"))
    assert answer.calls == [RawCall("", "f", '{"a": 1}')]


def test_words_and_kinds_of_errors() -> None:
    body = [{"error": {"message": "API key not valid.", "details": [{"reason": "API_KEY_INVALID"}]}}]
    error = error_for_status(400, {}, json.dumps(body).encode())
    assert isinstance(error, AuthenticationError)
    assert "400: API key not valid." in str(error)
    failed = {"error": {"code": "tool_use_failed", "message": "no call"}}
    assert isinstance(error_for_status(400, {}, json.dumps(failed).encode()), BadResponseError)
    assert "teapot" in str(error_for_status(400, {}, b'{"error": {"message": null, "code": "teapot"}}'))
    assert "too long" in str(reported_error({"detail": [{"loc": ["a"], "msg": "too long"}]}))


def test_bounds_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_completions_fields, "MAX_CALLS", 2)
    monkeypatch.setattr(chat_completions_fields, "MAX_ARGUMENTS_CHARS", 100)
    monkeypatch.setattr(stream_lines, "MAX_LINE_BYTES", 1000)
    for pieces in ([call("", index=n) for n in range(3)], [call("x" * 60, index=0)] * 2, [b"data: " + b"x" * 2000]):
        with pytest.raises(BadResponseError):
            read(*pieces)


def seconds(pieces: list[bytes]) -> float:
    best = 9.0
    for _ in range(3):
        reader, start = StreamReader(), time.process_time()
        for piece in pieces:
            reader.feed(piece)
        best = min(best, time.process_time() - start)
    return best


@pytest.mark.timed
@pytest.mark.parametrize("kind", ["arguments", "line"])
def test_the_work_grows_with_the_size(kind: str) -> None:
    piece = call("x" * 200, name=None, index=0) if kind == "arguments" else b"x" * 4096
    assert seconds([piece] * 8000) < 12 * seconds([piece] * 2000) + 0.01
