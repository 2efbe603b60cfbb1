"""The text protocol on the wire, beyond what the contract shows on every backend."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st
from pydantic import BaseModel

from support import scripted_model
from unified_agents import (
    AttemptDiscarded,
    ConfigError,
    RunResult,
    ScriptedModel,
    UnsupportedCapabilityError,
    create_agent,
)
from unified_agents.testing.harness import add
from unified_agents.wire.react.parser import ReactParseError, read_turn
from unified_agents.wire.react.protocol import FinalText


def react_model(*answers: dict[str, Any], protocol: str = "react") -> ScriptedModel:
    return scripted_model(*answers, protocol=protocol)


async def run(model: ScriptedModel, **options: Any) -> RunResult:
    async with create_agent(variant="react", model=model, tools=[add], **options) as agent:  # type: ignore[attr-defined]
        result: RunResult = await agent.run("Do it.", record_exchanges=True)
        return result


class Sum(BaseModel):
    value: int


ASKED = {"tool_calls": [{"name": "add", "arguments": {"a": 1, "b": 2}}]}


async def test_the_form_of_the_answer_is_asked_for_in_words() -> None:
    result = await run(
        react_model(ASKED, {"text": "Final Answer: 3 I think"}, {"text": 'Final Answer: {"value": 3}'}), output_type=Sum
    )
    assert result.value == Sum(value=3)
    assert result.requests == 3
    sent = json.loads(result.exchanges[0].sent)
    assert "response_format" not in sent
    assert '"value"' in sent["messages"][0]["content"]


async def test_a_script_with_several_calls_in_one_answer_takes_a_turn_for_each() -> None:
    both = {"tool_calls": [{"name": "add", "arguments": {"a": n, "b": n}} for n in (1, 2)]}
    values = [{"$result": {"step": 0, "index": 1}}, {"$result": {"step": 1, "index": 0}}]
    result = await run(react_model(both, ASKED, {"text": {"$template": "{0} {1}", "values": values}}))
    assert result.output == "4 3"
    assert [(record.step, record.index) for record in result.tool_calls] == [(0, 0), (1, 0), (2, 0)]


async def test_a_value_that_was_not_observed_is_refused() -> None:
    with pytest.raises(Exception, match="no call 0 of step 0"):
        await run(react_model({"text": {"$result": {"step": 0, "index": 0}}}, protocol="react"))


async def test_a_mended_turn_is_one_step_and_is_told_as_an_event() -> None:
    model = react_model({"text": "Thought: I wonder."}, {"text": "Done."})
    async with create_agent(variant="react", model=model, tools=[add]).stream("Do it.") as events:
        seen = [event async for event in events]
    [discarded] = [event for event in seen if isinstance(event, AttemptDiscarded)]
    assert discarded.error.kind == "bad_response"
    assert events.result is not None
    assert events.result.trace.shape() == "invoke_agent(chat)"


async def test_a_script_file_is_served_as_text(tmp_path: Path) -> None:
    """So any agent's file runs under the variant as it is."""
    (tmp_path / "answers.json").write_text(json.dumps({"answers": [ASKED, {"text": "Done."}]}))
    (tmp_path / "agent.yaml").write_text("model: script:answers.json\nvariant: react\n")
    agent = create_agent(tmp_path / "agent.yaml", tools=[add])
    result = await agent.run("Do it.")
    assert (result.output, len(result.tool_calls)) == ("Done.", 1)
    plain = await create_agent(tmp_path / "agent.yaml", tools=[add], variant="tool_calling").run("Do it.")
    assert (plain.output, plain.messages[1].content) == ("Done.", None)
    assert result.messages[1].content == 'Thought: I use a tool.\nAction: add\nAction Input: {"a":1,"b":2}'


async def test_the_tool_calling_variant_reads_no_text() -> None:
    """The negative control: the same text is an answer there."""
    model = react_model({"text": "Action: add\nAction Input: {}"}, protocol="tools")
    result = await create_agent(model=model, tools=[add]).run("Do it.")
    assert result.output == "Action: add\nAction Input: {}"
    assert result.tool_calls == ()


def test_what_cannot_be() -> None:
    with pytest.raises(UnsupportedCapabilityError, match="tool_references"):
        create_agent(variant="react", model=react_model(ASKED), tools=[add], tool_references=True)


def test_spaces_between_words_are_streamed() -> None:
    final = FinalText()
    pieces = ["Final", " Answer", ":", " ", "It", " ", " ", "is", "\n", "\n", "3", ".", "\n"]
    assert "".join(map(final.feed, pieces)) == "It  is\n\n3."


def test_an_unknown_variant_is_a_config_error(tmp_path: Path) -> None:
    (tmp_path / "agent.yaml").write_text("model: script:x.yaml\nvariant: reakt\n")
    with pytest.raises(ConfigError, match="variant"):
        create_agent(tmp_path / "agent.yaml")


MARKS = ("Thought: ", "Final Answer:", "Answer:", "Action: add", "Action Input: {}", "Observation: 1", "Action: none")
OTHERS = ("```", "```json", "{", '{"a": 1}', '{"action": "add"}', "[1]", "Final", ": 3", "**", "`", "x", "ü🙂")
SPACES = ("\n", "\n\n", " ", "\r\n", "\t", "\u00a0")
PIECES = st.sampled_from((*MARKS, *OTHERS, *SPACES))


@given(st.lists(PIECES, max_size=12).map("".join), st.lists(st.integers(0, 80), max_size=80))
def test_what_is_streamed_is_the_answer(text: str, cuts: list[int]) -> None:
    places = sorted({0, *(cut for cut in cuts if cut < len(text)), len(text)})
    final = FinalText()
    out = "".join(final.feed(text[begin:end]) for begin, end in pairwise(places))
    try:
        reading = read_turn(text)
    except ReactParseError:
        assert out.strip() == ""
        return
    if reading.answer is None:
        assert out == ""
    else:
        assert out + final.rest(reading.answer) == reading.answer


@pytest.mark.timed
@pytest.mark.parametrize("unit", ["*", " ", ">", "* ", "#", "_", "word "])
def test_the_time_of_a_streamed_turn_grows_with_its_length(unit: str) -> None:
    def seconds(number: int) -> float:
        turn = FinalText()
        began = time.process_time()
        for _ in range(number):
            turn.feed(unit * 10)
        return time.process_time() - began

    short, long = (min(seconds(number) for _ in range(3)) for number in (2_000, 16_000))
    assert long < 30 * short  # 8 where it is linear, 64 where it grows with the square


@pytest.mark.timed
@pytest.mark.parametrize("unit", [" ", "\n", " x"])
def test_the_time_of_a_streamed_answer_grows_with_its_length(unit: str) -> None:
    def seconds(number: int) -> float:
        turn = FinalText()
        turn.feed("Final Answer: 3")
        began = time.process_time()
        for _ in range(number):
            turn.feed(unit)
        return time.process_time() - began

    short, long = (min(seconds(number) for _ in range(3)) for number in (5_000, 40_000))
    assert long < 20 * short


def test_a_long_line_before_the_answer_is_passed_over() -> None:
    turn = FinalText()
    pieces = ["Thought: ", *["so many words "] * 200, "\nFinal Answer: ", "it is", " 3"]
    assert "".join(map(turn.feed, pieces)) == "it is 3"
