"""A key that a server echoes is told to nobody; what is no key stays."""

from __future__ import annotations

import json

import pytest

from unified_agents.redaction.redactor import Secret
from unified_agents.wire.protocols.chat_completions import StreamReader

KEY = "sk-live-SECRET-123456"


def streamed(*texts: str, arguments: str | None = None) -> bytes:
    deltas: list[dict[str, object]] = [{"content": text} for text in texts]
    if arguments is not None:
        function = {"name": "fill", "arguments": arguments}
        deltas.append({"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": function}]})
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": "stop"})
    events = (json.dumps({"id": "a", "choices": [choice]}) for choice in choices)
    return "".join(f"data: {event}\n\n" for event in [*events, "[DONE]"]).encode()


def read(secret: Secret, *chunks: bytes) -> tuple[str, str | None, list[str]]:
    reader = StreamReader(secret.veil())
    told = [text for chunk in chunks for text in reader.feed(chunk)]
    answer = reader.answer()
    return "".join(told), answer.text, [call.arguments for call in answer.calls]


@pytest.mark.parametrize("cut", range(len(KEY) + 1))
def test_a_key_is_found_wherever_its_deltas_are_cut(cut: int) -> None:
    texts = ("it is ", KEY[:cut], KEY[cut:], ", and sk-live-", "no more: sk-")
    told, text, _ = read(Secret(KEY), streamed(*texts))
    assert told == text == "it is ***, and sk-live-no more: sk-"
    assert read(Secret(None), streamed(*texts))[1] == f"it is {KEY}, and sk-live-no more: sk-"


def test_a_key_is_found_wherever_its_bytes_are_cut() -> None:
    raw = streamed(f"it is {KEY}.", arguments=json.dumps({"key": KEY}))
    for cut in range(len(raw)):
        told, text, arguments = read(Secret(KEY), raw[:cut], raw[cut:])
        assert told == text == "it is ***."
        assert arguments == ['{"key": "***"}']


def test_a_server_that_does_not_stream_is_no_way_round() -> None:
    body = {"choices": [{"message": {"content": f"it is {KEY}"}, "finish_reason": "stop"}]}
    reader = StreamReader(Secret(KEY).veil())
    reader.feed(json.dumps(body).encode())
    assert reader.answer().text == "it is ***"


@pytest.mark.parametrize("key", ["EMPTY", "ollama", "lm-studio", "not-needed"])
def test_a_word_that_stands_for_a_key_stays_in_answers(key: str) -> None:
    raw = streamed(f"the cart is {key}", arguments=json.dumps({"state": key}))
    assert read(Secret(key), raw)[1:] == (f"the cart is {key}", [json.dumps({"state": key})])
    assert Secret(key).out_of_answer(raw) == raw


def test_records_and_errors_hold_no_key_and_short_words_stay() -> None:
    assert Secret("s3cret").out_of("bad s3cret") == "bad ***"
    assert Secret("s3cret").out_of_record(b"bad s3cret") == b"bad ***"
    assert Secret("none").out_of("there is none") == "there is none"
    assert Secret(None).out_of("text") == "text"
    assert Secret("").out_of("text") == "text"
