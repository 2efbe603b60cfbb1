"""The Anthropic Messages protocol reads what the API answers."""

from __future__ import annotations

import orjson
import pytest

from messages_samples import (
    ENVELOPE,
    PROTOCOL,
    USER,
    events,
    read_whole,
    result,
    stream_with,
    streamed,
    written,
)
from unified_agents.errors import (
    AuthenticationError,
    BadRequestError,
    BadResponseError,
    ModelError,
    RateLimitError,
    ServerError,
)
from unified_agents.messages import Usage
from unified_agents.redaction.redactor import Redactor
from unified_agents.scripted.rendering.chat_completions import RenderedCall, RenderedChoice
from unified_agents.scripted.rendering.messages import (
    answer_events,
    error_body,
    error_event,
    whole_answer,
)
from unified_agents.wire.protocols.finish_reasons import finish_error


def test_blocks_and_fields_that_nobody_knows_are_kept() -> None:
    odd = {"type": "tomorrows_block", "data": {"x": [1, 2.5, None]}, "seal": "ü=="}
    content = [
        {"type": "redacted_thinking", "data": "gAAAA=="},
        {"type": "thinking", "thinking": "", "signature": "s", "strength": 3},
        {"type": "text", "text": "a", "citations": [{"type": "char_location", "cited_text": "b"}]},
        odd,
        {"type": "text", "text": "b", "citations": None},
        {"type": "tool_use", "id": "t1", "name": "add", "input": {"b": 1, "a": 2}, "caller": {"type": "direct"}},
    ]
    answer = PROTOCOL.read(orjson.dumps({"type": "message", "content": content, "stop_reason": "tool_use"}))
    assert answer.text == "ab"
    assert answer.original == {"content": content}
    assert answer.calls[0].arguments == '{"b":1,"a":2}'
    turn = answer.body["choices"][0]["message"] | {"original": answer.original}
    del content[4]["citations"]  # type: ignore[arg-type]
    sent = written(USER, turn, result("t1"), valid=False)["messages"][1]["content"]
    assert orjson.dumps(sent) == orjson.dumps(content)


def test_blocks_and_deltas_that_nobody_knows_are_kept_of_a_stream_too() -> None:
    raw = stream_with(
        (
            {"type": "thinking", "thinking": "", "signature": "", "strength": 3},
            [
                {"type": "thinking_delta", "thinking": "I "},
                {"type": "thinking_delta", "thinking": "add."},
                {"type": "signature_delta", "signature": "ab"},
                {"type": "signature_delta", "signature": "cd=="},
                {"type": "signature_delta", "signature": "cd=="},
            ],
        ),
        ({"type": "redacted_thinking", "data": "gA=="}, []),
        (
            {"type": "text", "text": "", "citations": None},
            [
                {"type": "text_delta", "text": "a"},
                {"type": "citations_delta", "citation": {"cited_text": "b"}},
                {"type": "citations_delta", "citation": {"cited_text": "c"}},
                {"type": "text_delta", "text": "b"},
            ],
        ),
        (
            {"type": "tomorrows_block"},
            [{"type": "seal_delta", "seal": "x", "count": 1}, {"type": "seal_delta", "seal": "y"}],
        ),
        (
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
            [
                {"type": "input_json_delta", "partial_json": '{"q": '},
                {"type": "input_json_delta", "partial_json": '"x"}'},
            ],
        ),
    )
    answer, text = streamed(raw, 7)
    assert (answer.text, text, answer.reasoning, answer.calls) == ("ab", "ab", "I add.", [])
    assert answer.original == {
        "content": [
            {"type": "thinking", "thinking": "I add.", "signature": "abcd==", "strength": 3},
            {"type": "redacted_thinking", "data": "gA=="},
            {"type": "text", "text": "ab", "citations": [{"cited_text": "b"}, {"cited_text": "c"}]},
            {"type": "tomorrows_block", "seal": "xy", "count": 1},
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"q": "x"}},
        ]
    }


def test_empty_texts_of_an_original_stay_out_of_a_request() -> None:
    content = [{"type": "thinking", "thinking": "", "signature": "s"}, {"type": "text", "text": ""}]
    turn = {"role": "assistant", "content": "x", "original": {"content": content}}
    assert written(USER, turn, USER, valid=False)["messages"][1]["content"] == content[:1]


def test_arguments_are_those_that_were_streamed() -> None:
    pieces = ["", '{ "a"', " : 1.0", "0 }"]
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    tool_use = {"type": "tool_use", "id": "t", "name": "add", "input": {}}
    answer, _ = streamed(stream_with((tool_use, deltas), stop_reason="tool_use"), 5)
    assert answer.calls[0].arguments == '{ "a" : 1.00 }'
    broken, _ = streamed(stream_with((tool_use, deltas[:2])))
    assert broken.calls[0].arguments == '{ "a"'
    assert broken.original is None
    at_once, _ = streamed(stream_with((tool_use | {"input": {"a": 1}}, [])))
    assert at_once.calls[0].arguments == '{"a":1}'


def test_arguments_that_are_a_text_are_taken_as_written() -> None:
    broken = RenderedChoice(None, (RenderedCall("t", "add", '{"a": 1,'),), "tool_calls")
    answer = read_whole(broken, "I add.")
    assert answer.calls[0].arguments == '{"a": 1,'
    assert answer.original
    assert answer.original["content"][1]["input"] == {"INVALID_JSON": '{"a": 1,'}


@pytest.mark.parametrize(
    ("stop_reason", "finish_reason", "is_clean"),
    [
        ("end_turn", "stop", True),
        ("stop_sequence", "stop", True),
        ("max_tokens", "length", True),
        ("refusal", "refusal", True),
        ("model_context_window_exceeded", "model_context_window_exceeded", True),
        ("pause_turn", "pause_turn", False),
        ("tool_use", "tool_calls", False),
        (None, None, True),
    ],
)
def test_stop_reasons(stop_reason: str | None, finish_reason: str | None, is_clean: bool) -> None:
    body = {"type": "message", "content": [{"type": "text", "text": "x"}], "stop_reason": stop_reason}
    answer = PROTOCOL.read(orjson.dumps(body))
    assert answer.finish_reason == finish_reason
    assert answer.body["choices"][0]["finish_reason"] == finish_reason
    assert (finish_error(finish_reason, answer.calls) is None) == (is_clean or stop_reason is None)


def test_a_refusal_without_a_text_has_the_words_of_its_details() -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "not that"}
    body = {"content": [], "stop_reason": "refusal", "stop_details": details}
    answer = PROTOCOL.read(orjson.dumps(body))
    assert (answer.text, answer.finish_reason) == ("not that", "refusal")


def test_usage_counts_what_was_read_from_the_cache_and_written_to_it() -> None:
    usage = {"input_tokens": 1, "cache_read_input_tokens": 20, "cache_creation_input_tokens": 300, "output_tokens": 4}
    answer = PROTOCOL.read(orjson.dumps({"content": [], "usage": usage}))
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (321, 4)
    assert PROTOCOL.read(b'{"content": []}').usage == Usage()
    assert PROTOCOL.read(b'{"content": [], "usage": {"input_tokens": null, "output_tokens": "7"}}').usage == Usage()


def test_usage_of_a_stream_is_what_stood_in_it_last() -> None:
    start = {"type": "message_start", "message": {"content": [], "usage": {"input_tokens": 5, "output_tokens": 1}}}
    usage = {"output_tokens": 9, "cache_read_input_tokens": 2, "input_tokens": None}
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}
    answer, _ = streamed(events(start, end, {"type": "message_stop"}))
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (7, 9)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequestError),
        (401, AuthenticationError),
        (402, BadRequestError),
        (403, AuthenticationError),
        (404, BadRequestError),
        (413, BadRequestError),
        (429, RateLimitError),
        (500, ServerError),
        (504, ServerError),
        (529, ServerError),
    ],
)
def test_errors_within_an_answer(status: int, kind: type[ModelError]) -> None:
    with pytest.raises(kind, match="no luck") as whole:
        PROTOCOL.read(error_body(status, "no luck"))
    assert type(whole.value) is kind
    begun = b"".join(answer_events(RenderedChoice("Hello you", (), "stop"), ENVELOPE)[:4])
    reader = PROTOCOL.reader()
    assert reader.feed(begun) == ["Hello"]
    with pytest.raises(kind, match="no luck"):
        reader.feed(error_event(status, "no luck"))
    with pytest.raises(kind, match="no luck"):  # who only watches reads on
        reader.answer()


@pytest.mark.parametrize(
    "end",
    [
        b'event: error\ndata: {"message": "no luck", "type": "overloaded_error"}\n\n',
        b'{"error": {"message": "no luck", "type": "overloaded_error"}}\n',
        b'data: {"type": "error", "error": {"message": "no luck", "type": "overloaded_error"}}',
        b'data: [{"error": {"message": "no luck", "type": "overloaded_error"}}]\n\n',
    ],
)
def test_errors_of_a_stream_in_other_shapes(end: bytes) -> None:
    begun = b"".join(answer_events(RenderedChoice("Hello", (), "stop"), ENVELOPE)[:4])
    with pytest.raises(ServerError, match="no luck"):
        streamed(begun + end)


def test_a_stream_that_is_cut_anywhere_is_no_answer() -> None:
    raw = b"".join(answer_events(RenderedChoice("Hello", (RenderedCall("t", "add", "{}"),), "tool_calls"), ENVELOPE))
    assert streamed(raw.rstrip())[0].text == "Hello"
    for end in range(len(raw.rstrip())):
        with pytest.raises(BadResponseError):
            streamed(raw[:end])


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<html>",
        b"{}",
        b"[]",
        b"null",
        b'{"choices": []}',
        b'{"content": "x"}',
        b'{"content": [1]}',
        b'{"content": [{}]}',
        b'{"content": [{"type": "tool_use"}]}',
        b'{"content": [{"type": "tool_use", "name": 1}]}',
        b'{"content": [{"type": "text", "text": 1}]}',
        b'{"content": [], "stop_reason": 1}',
        b'{"content": [{"type": "x", "y": ' + b"[" * 400 + b"]" * 400 + b"}]}",
        b'{"content": [{"type": "x", "y": ' + b"[" * 9000 + b"]" * 9000 + b"}]}",
        b"data: {not json\n\n",
        b"data: 1\n\n",
        b'data: {"type": "message_stop"}\n\n',
        b'data: {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x"}}\n\n',
        b'data: {"type": "content_block_start", "index": 0, "content_block": {}}\n\n',
        b'data: {"type": "message_delta", "delta": {}}\n\n',
        b'data: {"type": "message_start", "message": 1}\n\n',
    ],
)
def test_what_is_no_answer_is_a_bad_response(raw: bytes) -> None:
    with pytest.raises(BadResponseError):
        PROTOCOL.read(raw)
    with pytest.raises(BadResponseError):
        streamed(raw)


def test_an_answer_of_another_server_is_read_leniently() -> None:
    raw = b'{"content": [{"type": "text", "text": "\\ud83d\\ude00 \\ud800", "score": Infinity}]}'
    assert PROTOCOL.read(raw).text == "😀 \ufffd"
    halves = stream_with(({"type": "text", "text": ""}, [{"type": "text_delta", "text": "A"}] * 2))
    halves = halves.replace(b'"A"', b'"\\ud83d"', 1).replace(b'"A"', b'"\\ude00"', 1)
    answer, text = streamed(halves)
    assert (answer.text, text) == ("😀", "😀")


def test_events_that_are_not_known_are_left_out_and_lines_may_end_as_they_like() -> None:
    raw = stream_with(({"type": "text", "text": "He"}, [{"type": "text_delta", "text": "llo"}]))
    raw = b": hello\n\nid: 1\n" + raw.replace(b"\n\n", b'\n\ndata:\n\nevent: odd\ndata: {"type": "odd"}\n\n', 2)
    for variant in (raw, raw.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + raw, raw.replace(b"\n\n", b"\n")):
        for size in (1, 2, 3, 50, len(variant)):
            answer, text = streamed(variant, size)
            assert (answer.text, text) == ("Hello", "Hello")


def test_a_body_in_place_of_a_stream_and_a_stream_in_place_of_a_body() -> None:
    choice = RenderedChoice("Hello", (), "stop")
    answer, text = streamed(whole_answer(choice, ENVELOPE))
    assert (answer.text, text) == ("Hello", "")
    assert PROTOCOL.read(b"".join(answer_events(choice, ENVELOPE))).text == "Hello"


def test_blocks_whose_numbers_repeat_are_several_blocks() -> None:
    raw = stream_with(
        ({"type": "text", "text": ""}, [{"type": "text_delta", "text": "a"}]),
        (
            {"type": "tool_use", "id": "t", "name": "add", "input": {}},
            [{"type": "input_json_delta", "partial_json": "{}"}],
        ),
    )
    answer, _ = streamed(raw.replace(b'"index":1', b'"index":0'))
    assert (answer.text, [one.id for one in answer.calls]) == ("a", ["t"])


def test_a_reader_says_when_text_or_calls_have_come_and_when_all_is_there() -> None:
    choice = RenderedChoice(None, (RenderedCall("t", "add", "{}"),), "tool_calls")
    reader = PROTOCOL.reader()
    seen = []
    for event in answer_events(choice, ENVELOPE, reasoning="I add."):
        reader.feed(event)
        seen.append((orjson.loads(event.partition(b"data: ")[2])["type"], reader.first_delta, reader.done))
    assert [kind for kind, first, _ in seen if not first][-1] == "content_block_stop"
    assert next(kind for kind, first, _ in seen if first) == "content_block_start"
    assert [done for *_, done in seen] == [False] * (len(seen) - 1) + [True]


def test_secrets_are_taken_out_of_all_that_is_kept() -> None:
    secret = "sk-0123456789abcdef"
    call_ = RenderedCall("t", "add", orjson.dumps({"key": secret}).decode())
    choice = RenderedChoice(f"It is {secret} .", (call_,), "tool_calls")
    raw = b"".join(answer_events(choice, ENVELOPE, reasoning=f"I say {secret}"))
    reader = PROTOCOL.reader(Redactor({secret: "***"}).stream())
    text = "".join(text for at in range(len(raw)) for text in reader.feed(raw[at : at + 1]))
    answer = reader.answer()
    assert text == answer.text == "It is *** ."
    assert answer.calls[0].arguments == '{"key":"***"}'
    assert answer.reasoning == "I say ***"
    assert secret not in repr(answer.original) + repr(answer.body)
    failing = PROTOCOL.reader(Redactor({secret: "***"}).stream())
    with pytest.raises(AuthenticationError) as raised:
        failing.feed(error_event(401, f"wrong key {secret}"))
    assert secret not in str(raised.value)


def test_what_a_text_ends_with_is_not_lost() -> None:
    choice = RenderedChoice("It is sk-0123", (), "stop")
    raw = b"".join(answer_events(choice, ENVELOPE))
    reader = PROTOCOL.reader(Redactor({"sk-0123456789abcdef": "***"}).stream())
    assert "".join(text for event in raw.splitlines(keepends=True) for text in reader.feed(event)) == "It is sk-0123"
    assert reader.answer().text == "It is sk-0123"
    half = stream_with(({"type": "text", "text": ""}, [{"type": "text_delta", "text": "A"}]))
    assert streamed(half.replace(b'"A"', b'"B\\ud83d"'))[0].text == "B\ufffd"


def test_a_long_answer_is_read_in_linear_time() -> None:
    piece = {"type": "input_json_delta", "partial_json": "x" * 10}
    raw = stream_with(({"type": "tool_use", "id": "t", "name": "add", "input": {}}, [piece] * 50_000))
    answer, _ = streamed(raw, 1 << 16)
    assert len(answer.calls[0].arguments) == 500_000


def test_more_calls_than_any_model_writes_are_refused() -> None:
    tool_use = {"type": "tool_use", "id": "t", "name": "add", "input": {}}
    with pytest.raises(BadResponseError, match="more than 1024 tool calls"):
        PROTOCOL.reader().feed(stream_with(*([(tool_use, [])] * 1025)))
    with pytest.raises(BadResponseError, match="more than 1024 tool calls"):
        PROTOCOL.read(orjson.dumps({"content": [tool_use] * 1025}))
