"""The negative controls change a scripted model's answers so that a task must fail."""

from __future__ import annotations

import json
from typing import Any

import pytest

from unified_agents_comparisons.negative_controls import WRONG, altered, has_results, scripted_model, wrong_oracle
from unified_agents_comparisons.suite.model import Task

RESULT = {"$result": {"step": 0, "index": 0}}
CALL = {"tool_calls": [{"name": "add", "arguments": {"a": 1, "b": {"c": ["x"]}}}]}
SAY = {"text": {"$template": "It is {0}.", "values": [RESULT]}}


def make_task(*answers: dict[str, Any], **expect: Any) -> Task:
    values = {"id": "t", "question": "?", "expect": expect or {"output": "It is 3."}, "oracle": {"answers": answers}}
    return Task.model_validate(values)


def oracle_of(task: Task) -> dict[str, Any]:
    assert task.oracle is not None
    return task.oracle


def ask(perturbation: str | None, task: Task, *contents: str) -> str:
    messages: list[dict[str, Any]] = [{"role": "user", "content": "?"}]
    if contents:
        calls = [
            {"id": f"c{at}", "type": "function", "function": {"name": "add", "arguments": "{}"}}
            for at in range(len(contents))
        ]
        messages.append({"role": "assistant", "content": None, "tool_calls": calls})
    messages += [{"role": "tool", "tool_call_id": f"c{at}", "content": text} for at, text in enumerate(contents)]
    request = {"model": "m", "messages": messages}
    before = json.dumps(request)
    reply = scripted_model(task, oracle_of(task), perturbation).reply(request)
    assert json.dumps(request) == before, "the request itself is left alone"
    answer: str = json.loads(reply.chunks[0])["choices"][0]["message"]["content"]
    return answer


def test_without_a_perturbation_the_oracle_answers() -> None:
    assert ask(None, make_task(CALL, SAY), "3") == "It is 3."


def test_a_wrong_oracle_says_something_else() -> None:
    task = make_task(CALL, SAY)
    before = json.dumps(oracle_of(task))
    assert "3" not in ask("wrong-oracle", task, "3")
    assert json.dumps(oracle_of(task)) == before


def ask_in_text(perturbation: str | None, task: Task, *observed: str) -> str:
    turns = [
        message
        for text in observed
        for message in (
            {"role": "assistant", "content": "Action: add\nAction Input: {}"},
            {"role": "user", "content": f"Observation: {text}"},
        )
    ]
    request = {"model": "m", "messages": [{"role": "user", "content": "Observation is all?"}, *turns]}
    before = json.dumps(request)
    reply = scripted_model(task, oracle_of(task), perturbation, "react").reply(request)
    assert json.dumps(request) == before, "the request itself is left alone"
    answer: str = json.loads(reply.chunks[0])["choices"][0]["message"]["content"]
    return answer


def test_in_text_the_controls_bite_as_well() -> None:
    task = make_task(CALL, SAY)
    assert ask_in_text(None, task, "3").endswith("Final Answer: It is 3.")
    assert ask_in_text("altered-result", task, "3").endswith("Final Answer: It is 4.")
    assert ask_in_text("altered-result", task, '{"a": "x"}').endswith(f'It is {{"a":"{WRONG}"}}.')
    assert "3" not in ask_in_text("wrong-oracle", task, "3").partition("Final Answer:")[2]
    assert ask_in_text("altered-result", task).startswith("Thought:"), "without a result nothing is altered"


def test_without_an_expected_text_the_last_call_goes_wrong() -> None:
    task = make_task(CALL, SAY, files={"a": "b"})
    wrong = wrong_oracle(task, oracle_of(task))
    arguments = wrong["answers"][0]["tool_calls"][0]["arguments"]
    assert arguments["a"] == 2
    assert arguments["b"]["c"] != ["x"]
    assert wrong["answers"][1] == SAY


@pytest.mark.parametrize("content", ["3", "true", "null", '"3"', "[]", "{}", "[3]", '{"a": {"b": 3}}', "three", ""])
def test_an_altered_result_is_another_one(content: str) -> None:
    task = make_task(CALL, SAY)
    assert ask(None, task, content) != ask("altered-result", task, content)


def test_only_the_last_result_is_altered() -> None:
    say = {"text": {"$template": "{0} {1}", "values": [RESULT, {"$result": {"step": 0, "index": 1}}]}}
    assert ask("altered-result", make_task(CALL, say), "3", "5") == "3 6"


def test_a_reference_is_replaced_whole() -> None:
    assert isinstance(altered({"a": RESULT})["a"], str)


def test_which_tasks_have_a_result() -> None:
    assert has_results(make_task(CALL, SAY))
    assert not has_results(make_task({"text": "hi"}))
    assert not has_results(make_task({"text": "hi"}, CALL)), "nothing is asked of the model after the call"
