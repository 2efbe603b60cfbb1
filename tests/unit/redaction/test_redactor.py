"""Secrets that a server repeats are redacted, and other text is kept."""

from __future__ import annotations

import json

import pytest

from unified_agents.redaction.redactor import MASK, MAX_ADDED_SECRETS, MIN_SECRET_CHARS_IN_ANSWERS, Redactor
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


def redactor(secret: str) -> Redactor:
    return Redactor({secret: MASK})


def read(redactor: Redactor, *chunks: bytes) -> tuple[str, str | None, list[str]]:
    reader = StreamReader(redactor.stream())
    told = [text for chunk in chunks for text in reader.feed(chunk)]
    answer = reader.answer()
    return "".join(told), answer.text, [call.arguments for call in answer.calls]


@pytest.mark.parametrize("cut", range(len(KEY) + 1))
def test_a_key_is_found_wherever_its_deltas_are_cut(cut: int) -> None:
    texts = ("it is ", KEY[:cut], KEY[cut:], ", and sk-live-", "no more: sk-")
    told, text, _ = read(redactor(KEY), streamed(*texts))
    assert told == text == "it is ***, and sk-live-no more: sk-"
    assert read(Redactor({}), streamed(*texts))[1] == f"it is {KEY}, and sk-live-no more: sk-"


def test_a_key_is_found_wherever_its_bytes_are_cut() -> None:
    raw = streamed(f"it is {KEY}.", arguments=json.dumps({"key": KEY}))
    for cut in range(len(raw)):
        told, text, arguments = read(redactor(KEY), raw[:cut], raw[cut:])
        assert told == text == "it is ***."
        assert arguments == ['{"key": "***"}']


def test_a_server_that_does_not_stream_is_no_way_round() -> None:
    body = {"choices": [{"message": {"content": f"it is {KEY}"}, "finish_reason": "stop"}]}
    reader = StreamReader(redactor(KEY).stream())
    reader.feed(json.dumps(body).encode())
    assert reader.answer().text == "it is ***"


@pytest.mark.parametrize("key", ["EMPTY", "ollama", "lm-studio", "not-needed"])
def test_a_word_that_stands_for_a_key_stays_in_answers(key: str) -> None:
    raw = streamed(f"the cart is {key}", arguments=json.dumps({"state": key}))
    in_answers = Redactor({key: MASK}, MIN_SECRET_CHARS_IN_ANSWERS)
    assert read(in_answers, raw)[1:] == (f"the cart is {key}", [json.dumps({"state": key})])
    assert in_answers.redact_bytes(raw) == raw


def test_records_and_errors_hold_no_key_and_short_words_stay() -> None:
    assert redactor("s3cret").redact("bad s3cret") == "bad ***"
    assert redactor("s3cret").redact_bytes(b"bad s3cret") == b"bad ***"
    assert redactor("none").redact("there is none") == "there is none"
    assert Redactor({}).redact("text") == "text"
    assert redactor("").redact("text") == "text"


@pytest.mark.parametrize(
    "echo", ["k3y/with+odd=signs ö", "k3y%2Fwith%2Bodd%3Dsigns%20%C3%B6", "k3y/with+odd=signs \\u00f6"]
)
def test_a_key_is_found_in_each_encoding(echo: str) -> None:
    redact = redactor("k3y/with+odd=signs ö")
    assert redact.redact(f"it is {echo}!") == "it is ***!"
    assert redact.redact_bytes(f"it is {echo}!".encode()) == b"it is ***!"
    stream = redact.stream()
    assert stream is not None
    assert "".join(map(stream.feed, f"it is {echo}!")) + stream.flush() == "it is ***!"


def test_each_secret_has_its_own_mask_also_where_one_holds_the_other() -> None:
    redact = Redactor({"inner-key": "[INNER]", "outer-inner-key": "[OUTER]"})
    assert redact.redact("inner-key and outer-inner-key") == "[INNER] and [OUTER]"


def test_an_end_may_begin_several_secrets() -> None:
    stream = Redactor({"t0ken-of-many": MASK, "secret-t-secret": MASK}).stream()
    assert stream is not None
    pieces = ["it is secret-t", "-secret, and t0ken", "-of-many!"]
    assert "".join(map(stream.feed, pieces)) + stream.flush() == "it is ***, and ***!"


def test_a_secret_that_comes_later_is_taken_out_by_copies_too() -> None:
    first, other = redactor("the-first-secret"), Redactor({})
    assert other.stream() is None
    other.grows = True
    both = first.with_secrets_of(other)
    stream = both.stream()
    assert stream is not None
    for number in range(MAX_ADDED_SECRETS + 1):
        other.add(f"later-secret-{number}")
    assert stream.feed("the-first-secret later-secret-8.") == "*** ***."
    assert both.redact("later-secret-1") == other.redact("later-secret-1") == "***"
    assert other.redact("later-secret-0") == "later-secret-0"  # it has expired long ago
    assert first.redact("later-secret-8") == "later-secret-8"
