"""Reading turns of the ReAct protocol, as models really write them."""

from __future__ import annotations

import json
import time
from contextlib import suppress

import pytest

from unified_agents.wire.react.parser import Action, ReactParseError, begins_answer, has_mark, read_turn

ADD = '{"a": 1, "b": 2}'


def action(text: str) -> Action:
    """The action of a turn that has one."""
    reading = read_turn(text)
    assert reading.answer is None
    assert reading.action is not None
    return reading.action


def test_the_plain_form() -> None:
    reading = read_turn(f"Thought: I add.\nThen I see.\nAction: add\nAction Input: {ADD}")
    assert reading.thought == "I add.\nThen I see."
    assert reading.action == Action("add", ADD)
    assert reading.answer is None
    assert reading.ignored == ()


def test_the_final_answer() -> None:
    reading = read_turn("Thought: I know.\nFinal Answer: It is 3.\n\nReally.\n")
    assert (reading.thought, reading.action, reading.answer) == ("I know.", None, "It is 3.\n\nReally.")


@pytest.mark.parametrize(
    "text",
    [
        f"Action: add\nAction Input: {ADD}",
        f"Action:add\nAction Input:{ADD}",
        f"action: add\naction input: {ADD}",
        f"ACTION: add\nACTION_INPUT: {ADD}",
        f"Action: `add`\nAction Input: `{ADD}`",
        f"Action: **add**\nAction Input: {ADD}",
        f"**Action:** add\n**Action Input:** {ADD}",
        f"**Action**: add\n**Action Input**: {ADD}",
        f"### Action: add\n### Action Input: {ADD}",
        f"> Action: add\n> Action Input: {ADD}",
        f'Action: "add"\nAction Input: {ADD}',
        f"Action: add.\nAction Input: {ADD}",
        f"Action:\nadd\nAction Input:\n{ADD}",
        f"Action: add\n\nAction Input:\n\n```json\n{ADD}\n```",
        f"Action: add\nAction Input: ```{ADD}```",
        f"Action: add\nAction Input: the input is {ADD}.",
        f"Action: add\nAction Input: {ADD} because of that",
        f"Action: add\nAction Input: {json.dumps(ADD)}",
        f"Action: add({ADD})",
        f"Action: add {ADD}",
        f"Action: add\n{ADD}",
        f"Action: add\r\nAction Input: {ADD}\r\n",
        f"Action 2: add\nAction Input 2: {ADD}",
        f"Action：add\nAction Input：{ADD}",
        f"```\nAction: add\nAction Input: {ADD}\n```",
        f'{{"action": "add", "action_input": {ADD}}}',
        f'  {{"action": "add", "action_input": {ADD}}}  ',
        f'{{"thought": "I add", "action": "add", "action_input": {ADD}}}',
        f'{{"tool": "add", "arguments": {ADD}}}',
        f'{{"tool_name": "add", "tool_input": {ADD}}}',
        f'{{"name": "add", "arguments": {ADD}}}',
        f'{{"name": "add", "parameters": {ADD}}}',
        f'{{"action": {{"name": "add", "arguments": {ADD}}}}}',
        f'{{"function": {{"name": "add", "arguments": {json.dumps(ADD)}}}}}',
        f'{{"tool_calls": [{{"function": {{"name": "add", "arguments": {json.dumps(ADD)}}}}}]}}',
        f'[{{"action": "add", "action_input": {ADD}}}]',
        f'I add.\n```json\n{{"action": "add", "action_input": {ADD}}}\n```\nand wait.',
        f'Action:\n```json\n{{"action": "add", "action_input": {ADD}}}\n```',
        f'Action: {{"action": "add", "action_input": {ADD}}}',
        f'Action: {{"action": "add"}}\nAction Input: {ADD}',
    ],
)
def test_forms_of_an_action(text: str) -> None:
    assert action(text) == Action("add", ADD)


@pytest.mark.parametrize(
    ("written", "arguments"),
    [
        ("{'a': 1, 'b': 'it''s'}".replace("''", '"'), {"a": 1, "b": 'it"s'}),
        ("{'a': True, 'b': None, 'c': False}", {"a": True, "b": None, "c": False}),
        ('{"a": [1, 2,], "b": {"c": {},},}', {"a": [1, 2], "b": {"c": {}}}),
        ('{"path": "C:\\dir\\x", "re": "\\d+"}', {"path": "C:\\dir\\x", "re": "\\d+"}),
        ('{"code": "a\nb\tc"}', {"code": "a\nb\tc"}),
        ("{'text': 'it\\'s \"so\"'}", {"text": 'it\'s "so"'}),
        ('{"city": "Zürich", "x": "\\u00fc", "e": "🙂"}', {"city": "Zürich", "x": "ü", "e": "🙂"}),
        ('{"s": "} Action: no \\n Observation: {"}', {"s": "} Action: no \n Observation: {"}),
        ('{"s": "one\nAction: two\nObservation: three"}', {"s": "one\nAction: two\nObservation: three"}),
        ("{}", {}),
        ("", {}),
        ("None", {}),
        ("N/A", {}),
    ],
)
def test_inputs_read_leniently(written: str, arguments: object) -> None:
    found = action(f"Thought: x\nAction: add\nAction Input: {written}")
    assert found.name == "add"
    assert json.loads(found.arguments) == arguments


def test_missing_input_is_an_empty_object() -> None:
    assert action("Thought: x\nAction: now") == Action("now", "{}")
    assert action('{"action": "now"}') == Action("now", "{}")


@pytest.mark.parametrize(
    "written", ["null", "[1, 2]", "Tokyo", '"Tokyo"', '{"a": 1', "{a: 1}", '{"a": 1}'[:-1] + ",}}"[:1]]
)
def test_what_is_no_object_is_handed_on_as_it_stands(written: str) -> None:
    """So the tool's own check refuses it, in the same words as everywhere."""
    found = action(f"Action: add\nAction Input: {written}")
    assert found.arguments in (written, written.strip('"'))


def test_what_is_json_is_not_touched() -> None:
    """Repeated keys and long numbers are for the validation to see."""
    for written in ('{"a": 1, "a": 2}', '{"a": 123456789012345678901234567890, "b": 1.50}', '{ "a" :1 }'):
        assert action(f"Action: add\nAction Input: {written}").arguments == written


def test_the_first_of_several_actions_counts() -> None:
    reading = read_turn(f"Action: add\nAction Input: {ADD}\nAction: sub\nAction Input: {{}}\nAction: mul")
    assert reading.action == Action("add", ADD)
    assert reading.ignored == ("sub", "mul")
    reading = read_turn('[{"action": "add"}, {"action": "sub"}]\n{"action": "mul"}')
    assert reading.action == Action("add", "{}")
    assert reading.ignored == ("sub", "mul")


def test_a_made_up_observation_is_cut() -> None:
    reading = read_turn(
        f"Thought: x\nAction: add\nAction Input: {ADD}\nObservation: 7\nThought: y\nAction: sub\nFinal Answer: 7"
    )
    assert reading.action == Action("add", ADD)
    assert reading.kept == f"Thought: x\nAction: add\nAction Input: {ADD}"
    assert reading.ignored == ()


def test_what_stands_first_decides() -> None:
    assert (
        read_turn(f"Final Answer: 3\nAction: add\nAction Input: {ADD}").answer == f"3\nAction: add\nAction Input: {ADD}"
    )
    assert action(f"Action: add\nAction Input: {ADD}\nFinal Answer: 3") == Action("add", ADD)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("It is 3.", "It is 3."),
        ("Answer: 3", "3"),
        ("**Final Answer:** 3", "3"),
        ("Final_Answer: 3", "3"),
        ("Thought: I now know the final answer. Final Answer: 3", "3"),
        ("Action: None\nAction Input: None\nFinal Answer: 3", "3"),
        ("Action: Final Answer\nAction Input: It is 3.", "It is 3."),
        ('{"action": "Final Answer", "action_input": "It is 3."}', "It is 3."),
        ('{"action": "final_answer", "action_input": {"n": 3}}', '{"n": 3}'),
        ('{"thought": "x", "final_answer": "3"}', "3"),
        ("```\nThought: x\nFinal Answer: 3\n```", "3"),
        ("Final Answer:\n```json\n{}\n```", "```json\n{}\n```"),
        ('{"name": "Bob", "age": 3}', '{"name": "Bob", "age": 3}'),
        ('{"answer": 3}', '{"answer": 3}'),
        ("In action: the hero acts.", "In action: the hero acts."),
        ('The call is {"action": "add"} in JSON.', 'The call is {"action": "add"} in JSON.'),
    ],
)
def test_forms_of_an_answer(text: str, answer: str) -> None:
    reading = read_turn(text)
    assert reading.action is None
    assert reading.answer == answer


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n",
        "Thought: I wonder.",
        "Final Answer:",
        "Action:",
        "Action: none",
        "Action: .",
        "Action Input: {}",
        "Thought:",
    ],
)
def test_what_cannot_be_read(text: str) -> None:
    with pytest.raises(ReactParseError):
        read_turn(text)


def test_a_call_in_broken_json_is_told_as_such() -> None:
    found = action('Thought: x\n```json\n{"action": "add", "action_input": {"a": 1,\n```')
    assert found.name == "add"
    with pytest.raises(ValueError, match="Expecting"):
        json.loads(found.arguments)


@pytest.mark.parametrize("deep", [10_000, 200_000])
def test_deep_nesting_is_no_object(deep: int) -> None:
    found = action("Action: add\nAction Input: " + '{"a":' * deep)
    assert found.arguments.startswith('{"a":')


@pytest.mark.parametrize(
    "line", ["[1,\n", "{\n", "Action: add\n", '{"action": "a"}\n', "Action:\n{'x\n", "```\n", "* * *\n"]
)
def test_long_texts_take_linear_time(line: str) -> None:
    text = line * (400_000 // len(line))
    try:
        read_turn(text)
    except ReactParseError:
        assert has_mark(text)


@pytest.mark.timed
@pytest.mark.parametrize("unit", [" ", "\n", "*", "`", "> ", "```\n", "{", "action ", "Action: ", "Observation: x\n"])
@pytest.mark.parametrize("before", ["", "Thought: x\n", "Action: add\nAction Input:", "Final Answer:", "```"])
@pytest.mark.parametrize("after", ["", "x"])
def test_the_time_of_a_turn_grows_with_its_length(before: str, unit: str, after: str) -> None:
    def seconds(length: int) -> float:
        text = before + unit * (length // len(unit)) + after
        times = []
        for _ in range(3):
            read_turn.cache_clear()
            began = time.process_time()
            with suppress(ReactParseError):
                read_turn(text)
            times.append(time.process_time() - began)
        return min(times)

    assert seconds(32_000) < 30 * seconds(4_000) + 0.001  # 8 where it is linear, 64 where it grows with the square


def test_an_answer_is_known_from_its_first_line() -> None:
    assert begins_answer("Final Answer: 3", ended=False) == (True, 13)
    assert begins_answer("Final Answer:", ended=False) == (None, 13)
    assert begins_answer("Final Answer:", ended=True)[0] is True
    assert begins_answer("Thought: Final Answer: 3", ended=True)[0] is None
    for line in ("Action: add", "Observation: 3", "  {", "```json", "["):
        assert begins_answer(line, ended=False)[0] is False
