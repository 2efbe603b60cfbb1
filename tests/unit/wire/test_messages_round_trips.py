"""What the Anthropic Messages protocol writes and reads is the same on both sides of it."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given, strategies as st

from messages_samples import (
    ENVELOPE,
    PROTOCOL,
    TOOL,
    USER,
    asks,
    call,
    read_whole,
    result,
    streamed,
    written,
)
from unified_agents.scripted.rendering.chat_completions import RenderedCall, RenderedChoice
from unified_agents.scripted.rendering.messages import (
    answer_events,
    chat_request,
    whole_answer,
)
from unified_agents.wire.protocols.answer import Answer

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
arguments_texts = st.dictionaries(texts, json_values, max_size=3).map(lambda value: orjson.dumps(value).decode())
rendered_calls = st.lists(
    st.tuples(st.from_regex(r"[a-zA-Z0-9_-]{1,20}", fullmatch=True), st.sampled_from(["add", "find"]), arguments_texts),
    max_size=3,
    unique_by=lambda item: item[0],
)


@st.composite
def choices(draw: st.DrawFn) -> RenderedChoice:
    calls = tuple(RenderedCall(*one) for one in draw(rendered_calls))
    text = draw(st.none() | texts) if calls else draw(texts)
    return RenderedChoice(text, calls, "tool_calls" if calls else "stop")


def same(answer: Answer, choice: RenderedChoice, reasoning: str | None) -> None:
    assert answer.text == choice.text
    assert [(one.id, one.name, one.arguments) for one in answer.calls] == [
        (one.id, one.name, one.arguments) for one in choice.calls
    ]
    assert answer.reasoning == (reasoning or None)
    assert answer.finish_reason == choice.finish_reason
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (12, 7)
    assert (answer.original is None) == (reasoning is None)
    message = answer.body["choices"][0]["message"]
    assert message["content"] == choice.text
    assert message.get("tool_calls", []) == [one.to_chat() for one in choice.calls]


@given(choice=choices(), reasoning=st.none() | texts, size=st.integers(1, 300))
def test_what_is_rendered_is_read(choice: RenderedChoice, reasoning: str | None, size: int) -> None:
    same(read_whole(choice, reasoning), choice, reasoning)
    raw = b"".join(answer_events(choice, ENVELOPE, reasoning=reasoning))
    answer, text = streamed(raw, size)
    same(answer, choice, reasoning)
    assert text == (choice.text or "")
    same(PROTOCOL.read(raw), choice, reasoning)


@given(choice=choices(), reasoning=texts, size=st.integers(1, 300))
def test_the_original_goes_back_byte_for_byte(choice: RenderedChoice, reasoning: str, size: int) -> None:
    whole = whole_answer(choice, ENVELOPE, reasoning=reasoning)
    blocks = orjson.dumps(orjson.loads(whole)["content"])
    answer, _ = streamed(b"".join(answer_events(choice, ENVELOPE, reasoning=reasoning)), size)
    for one in (answer, PROTOCOL.read(whole)):
        turn = one.body["choices"][0]["message"] | {"original": one.original}
        results = [result(item.id) for item in choice.calls]
        body = written(USER, turn, *results, *([] if results else [USER]))
        assert orjson.dumps(body["messages"][1]["content"]) == blocks


@st.composite
def conversations(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Conversations in which turns alternate, as a run records them."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": draw(texts)}] if draw(st.booleans()) else []
    for turn in range(draw(st.integers(1, 3))):
        messages.append({"role": "user", "content": draw(texts)})
        for step in range(draw(st.integers(0, 3))):
            ids = [f"call_{turn}_{step}_{number}" for number in range(draw(st.integers(1, 3)))]
            messages.append(
                asks(*(call(id_, arguments=draw(arguments_texts)) for id_ in ids), text=draw(st.none() | texts))
            )
            messages += [result(id_, draw(st.just("") | texts)) for id_ in draw(st.permutations(ids))]
        messages.append({"role": "assistant", "content": draw(texts)})
    return [*messages, {"role": "user", "content": draw(texts)}]


@given(messages=conversations())
def test_a_conversation_is_the_same_on_the_other_side(messages: list[dict[str, Any]]) -> None:
    assert chat_request(written(*messages, tools=[TOOL]))["messages"] == messages
