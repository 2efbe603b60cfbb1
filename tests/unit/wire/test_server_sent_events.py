"""Streams of server-sent events are split into events, however servers and networks cut them."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from unified_agents.errors import BadResponseError
from unified_agents.redaction.redactor import Redactor
from unified_agents.wire.protocols import stream_lines
from unified_agents.wire.protocols.server_sent_events import BARE_LINE, DONE, EventReader

STREAM = (
    b': a comment\r\n\r\nevent: one\r\ndata: {"a": 1}\r\n\r\n'
    b"id: 7\nretry: 5\ndata:\n\n"
    b'event: two\ndata: {"a":\ndata: [1,\ndata: 2]}\n\n'
    b"data: 3\n"
    b'{"error": "gone"}\n'
    b"data: [DONE]\n\n"
)
EVENTS = [("one", {"a": 1}), ("two", {"a": [1, 2]}), ("", 3), (BARE_LINE, {"error": "gone"}), ("", DONE)]


def read(raw: bytes, size: int | None = None) -> list[tuple[str, object]]:
    reader = EventReader()
    step = size or len(raw) or 1
    events = [event for at in range(0, len(raw), step) for event in reader.feed(raw[at : at + step])]
    events += reader.end()
    assert reader.raw == raw
    assert reader.has_events == any(name != BARE_LINE for name, *_ in events)
    return [(name, value) for name, value, _ in events]


@given(size=st.integers(1, len(STREAM)))
def test_events_are_the_same_however_the_stream_is_cut(size: int) -> None:
    assert read(STREAM, size) == EVENTS
    assert read(STREAM.rstrip(), size) == EVENTS


def test_a_byte_order_mark_is_no_part_of_the_first_event() -> None:
    assert read(b'\xef\xbb\xbfdata: {"a": 1}\n\n') == [("", {"a": 1})]


def test_an_event_is_there_with_the_line_that_completes_it() -> None:
    reader = EventReader()
    assert [event.value for event in reader.feed(b"data: 1\n")] == [1]
    assert not list(reader.feed(b'data: {"a":\n'))
    assert not list(reader.feed(b"data: 1}\n"))
    assert [event.value for event in reader.feed(b"\n")] == [{"a": 1}]


def test_json_for_a_lenient_reader_is_read_and_told() -> None:
    reader = EventReader()
    assert [event.value for event in reader.feed(b'data: "\\ud83d"\n')] == ["\ud83d"]
    assert reader.is_lenient


def test_json_outside_of_events_is_an_answer_until_an_event_has_come() -> None:
    assert read(b'{"a": 1}\n') == []
    assert read(b'data: 1\n{"a": 1}\n{"a": \n') == [("", 1), (BARE_LINE, {"a": 1})]


def test_what_is_no_json_is_refused_without_its_secrets() -> None:
    secret = "sk-0123456789abcdef"
    reader = EventReader(Redactor({secret: "***"}).stream())
    with pytest.raises(BadResponseError, match=r"not JSON: 'x \*\*\*'"):
        list(reader.feed(f"data: x {secret}\n\n".encode()))


def test_events_before_one_that_is_no_json_are_given() -> None:
    events = EventReader().feed(b"data: 1\ndata: x\n\n")
    assert next(events).value == 1
    with pytest.raises(BadResponseError):
        next(events)


def test_a_stream_and_a_line_have_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_lines, "MAX_LINE_BYTES", 20)
    reader = EventReader()
    list(reader.feed(b"data: 1\n" * 10))
    list(reader.feed(b"x" * 15))
    with pytest.raises(BadResponseError, match="a line of the streamed answer is longer than 20 bytes"):
        list(reader.feed(b"x" * 6))
    monkeypatch.setattr(stream_lines, "MAX_ANSWER_BYTES", 20)
    with pytest.raises(BadResponseError, match="the answer is longer than 20 bytes"):
        list(EventReader().feed(b"data: 1\n" * 3))
