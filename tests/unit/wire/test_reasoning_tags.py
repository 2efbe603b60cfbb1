"""Thinking at the beginning of a text is split off, however the text is cut."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, strategies as st

from unified_agents.wire.protocols.chat_completions import StreamReader
from unified_agents.wire.protocols.reasoning_tags import ReasoningSplitter, SplittingReader, without_reasoning

CASES = [
    ("<think>\nhm\n</think>\n\nYes.", "Yes.", "hm"),
    ("\n <think>hm</think>Yes.", "Yes.", "hm"),
    ("<think></think>Yes.", "Yes.", None),
    ("<think>one</think>\n<think>two</think>Yes.", "Yes.", "one\n\ntwo"),
    ("<think>it never ends", "", "it never ends"),
    ("<think>a </think", "", "a </think"),
    ("<think>a < b </thi </think>Yes. <think>", "Yes. <think>", "a < b </thi"),
    ("Use <think>x</think>.", "Use <think>x</think>.", None),
    ("  Yes.", "  Yes.", None),
    ("<thin ice", "<thin ice", None),
    ("<thi", "<thi", None),
    ("\n\n", "\n\n", None),
    ("", "", None),
]


@pytest.mark.parametrize(("text", "answer", "reasoning"), CASES)
def test_what_is_thinking(text: str, answer: str, reasoning: str | None) -> None:
    assert without_reasoning(text) == (answer, reasoning)


@given(st.lists(st.sampled_from(["<think>", "</think>", "<", "think>", "</", " ", "\n", "a"]), max_size=12), st.data())
def test_it_does_not_matter_where_a_text_is_cut(words: list[str], data: st.DataObject) -> None:
    text = "".join(words)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    splitter = ReasoningSplitter()
    ends = zip([0, *cuts], [*cuts, len(text)], strict=True)
    answer = "".join(splitter.feed(text[start:end]) for start, end in ends) + splitter.flush()
    assert (answer, splitter.reasoning) == without_reasoning(text)


@pytest.mark.timed
@pytest.mark.parametrize("text", ["<think>" + "x" * 300_000, " " * 300_000, "<think>" + "<" * 300_000])
def test_a_long_text_in_small_pieces_takes_linear_time(text: str) -> None:
    def seconds(size: int) -> float:
        splitter, start = ReasoningSplitter(), time.process_time()
        for place in range(size):
            splitter.feed(text[place])
        splitter.flush()
        return time.process_time() - start

    short = min(seconds(30_000) for _ in range(3))
    assert seconds(300_000) < 30 * max(short, 0.005)


def test_a_streamed_answer_has_its_thinking_apart() -> None:
    reader = SplittingReader(StreamReader())
    texts: list[str] = []
    for piece in ("<th", "ink>h", "m</thi", "nk>\n\nY", "es", ". <thi"):
        choice = {"index": 0, "delta": {"content": piece}, "finish_reason": None}
        texts += reader.feed(b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n")
        assert reader.first_delta
    last = {"index": 0, "delta": {}, "finish_reason": "stop"}
    texts += reader.feed(b"data: " + json.dumps({"choices": [last]}).encode() + b"\n\ndata: [DONE]\n\n")
    answer = reader.answer()
    assert reader.done
    assert texts == ["Y", "es", ". <thi"]
    assert (answer.text, answer.reasoning) == ("Yes. <thi", "hm")
    assert b"ink>h" in reader.raw
