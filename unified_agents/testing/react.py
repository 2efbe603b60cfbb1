"""The contract: variant `react`, where the model writes thought, action and input as plain text."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, get_args

import pytest

from unified_agents.backend import Capability, Variant, variants_of
from unified_agents.config import Limits
from unified_agents.errors import BadResponseError, UnsupportedCapabilityError
from unified_agents.events import TextDelta
from unified_agents.messages import JsonObject
from unified_agents.registry import load_backend
from unified_agents.result import RunResult
from unified_agents.testing.contract import Contract, needs, spoken_in, whole_and_streamed
from unified_agents.testing.harness import (
    ContractBench,
    Scenario,
    add,
    answer,
    call,
    calls,
    cancel,
    canonical_json,
    fault,
    no_task_left,
)

_ADD = calls(call("add", {"a": 2, "b": 3}))
_SUM = answer("It is {0}.", (0, 0))
_ASKED = 'Thought: Add.\nAction: add\nAction Input: {"a": 2, "b": 3}'
_TURNS = {
    "bold marks": '**Thought:** Add.\n**Action:** `add`\n**Action Input:** {"a": 2, "b": 3}',
    "fenced input": 'Thought: Add.\nAction: add\nAction Input:\n```json\n{"a": 2,\n "b": 3}\n```',
    "fenced turn": '```\nThought: Add.\nAction: add\nAction Input: {"a": 2, "b": 3}\n```',
    "JSON": 'Thought: Add.\n```json\n{"action": "add", "action_input": {"a": 2, "b": 3}}\n```',
    "JSON after the mark": 'Thought: Add.\nAction:\n{"name": "add", "arguments": {"a": 2, "b": 3}}',
    "Python's quotes": "Thought: Add.\nAction: add\nAction Input: {'a': 2, 'b': 3,}",
    "several actions": f'{_ASKED}\nAction: add\nAction Input: {{"a": 9, "b": 9}}',
    "a made-up end": f"{_ASKED}\nObservation: 99\nFinal Answer: 99",
    "prose after it": f"{_ASKED}\n\nI wait for the result.",
    "numbered": 'Thought 1: Add.\nAction 1: add\nAction Input 1: {"a": 2, "b": 3}',
}


class VariantContract(Contract):
    """The variants of a backend's loop."""

    async def test_variants(self, bench: ContractBench) -> None:
        """`variants` names all variants of the backend; any other is refused in one line."""
        named = variants_of(load_backend(self.backend))
        assert "tool_calling" in named
        for variant in get_args(Variant):
            if variant in named:
                bench.scenario(answer("Yes."), variant=variant)
                continue
            with pytest.raises(UnsupportedCapabilityError) as caught:
                bench.scenario(answer("Yes."), variant=variant)
            assert repr(variant) in str(caught.value)
            assert len(str(caught.value).splitlines()) == 1


class ReactContract(Contract, needs=(Capability.TOOLS,)):
    """The loop in plain text. It is not in `BackendContract`: a backend that has the variant inherits from both."""

    @whole_and_streamed
    async def test_react_tool_call(self, bench: ContractBench, stream: bool) -> None:
        """The tools are described in the system text, not in `tools`, and the result comes as a user message."""
        scenario, result = await _complete(bench, _ADD, _SUM, stream=stream, instructions="Be brief.")
        assert result.output == "It is 5."
        assert result.trace.shape() == "invoke_agent(chat, execute_tool add, chat)"
        [record] = result.tool_calls
        assert (record.name, record.ok, record.received, record.content) == ("add", True, {"a": 2, "b": 3}, "5")
        assert all("tools" not in body and "tool_choice" not in body for body in scenario.sent)
        system, user, turn, observation = scenario.sent[1]["messages"]
        assert system["content"].startswith("Be brief.")
        assert "add: Add two numbers." in system["content"]
        assert '"required"' in system["content"]
        assert (user["role"], user["content"]) == ("user", "Do it.")
        assert turn["content"] == 'Thought: I use a tool.\nAction: add\nAction Input: {"a":2,"b":3}'
        assert observation == {"role": "user", "content": "Observation: 5"}

    @pytest.mark.parametrize("turn", list(_TURNS.values()), ids=list(_TURNS))
    async def test_react_turn_as_models_write_it(self, bench: ContractBench, turn: str) -> None:
        """The framework's own parser is given one canonical action, whatever the model made of the form."""
        _, result = await _complete(bench, {"text": turn}, _SUM)
        assert result.output == "It is 5."
        assert [record.received for record in result.tool_calls] == [{"a": 2, "b": 3}]
        assert result.requests == 2

    async def test_react_made_up_observation(self, bench: ContractBench) -> None:
        """What the model made up does not go back to it."""
        scenario, _ = await _complete(bench, {"text": _TURNS["a made-up end"]}, answer("Done."))
        assert "99" not in canonical_json(scenario.sent[1]["messages"])

    async def test_react_further_actions(self, bench: ContractBench) -> None:
        """The first action counts, and the model is told of the rest."""
        scenario, result = await _complete(bench, {"text": _TURNS["several actions"]}, answer("Done."))
        assert len(result.tool_calls) == 1
        observation = scenario.sent[1]["messages"][-1]["content"]
        assert observation.startswith("Observation: 5\n")
        assert "Only your first action was carried out" in observation

    @pytest.mark.parametrize(
        ("asked", "reason"),
        [
            (call("add", {"a": "x", "b": 3}), 'a: "x" given, must be an integer'),
            (call("add", {}), "a: missing, required"),
            (call("add", '{"a": 1,'), "must be a JSON object"),
            (call("add", "null"), "must be an object"),
            (call("nope", {}), "there is no tool 'nope'"),
        ],
        ids=["wrong type", "missing", "broken JSON", "null", "unknown tool"],
    )
    async def test_react_bad_call(self, bench: ContractBench, asked: JsonObject, reason: str) -> None:
        """A call that cannot be carried out reaches no handler, and the model is told why."""
        scenario, result = await _complete(bench, calls(asked), answer("Done."))
        [record] = result.tool_calls
        assert (record.ok, record.reached, record.received) == (False, True, None)
        assert reason in scenario.sent[1]["messages"][-1]["content"]
        assert scenario.sent[1]["messages"][-1]["content"].startswith("Observation: Error")

    async def test_react_unreadable_turn(self, bench: ContractBench) -> None:
        """A turn without action and answer is repaired within its step: the model is asked once more."""
        scenario, result = await _complete(bench, {"text": "Thought: I wonder."}, answer("Done."))
        assert result.output == "Done."
        assert (len(scenario.sent), result.retries) == (2, 1)
        assert scenario.sent[1]["messages"][-2:][0] == {"role": "assistant", "content": "Thought: I wonder."}
        assert scenario.sent[1]["messages"][-1]["content"].startswith("Your turn could not be read")

    async def test_react_unreadable_twice(self, bench: ContractBench) -> None:
        """A second such turn is a bad response."""
        scenario = _react(bench, {"text": "Thought: I wonder."}, repeat_last=True)
        error = await scenario.fails(BadResponseError)
        assert (error.kind, len(scenario.sent)) == ("bad_response", 2)

    @pytest.mark.parametrize(
        "answer",
        ["Use this:\nAction: add\nAction Input: {}", "Thought: none.\nAnswer: 4", "```\n1 + 1\n```", "Größe: 3 µm 🙂"],
        ids=["an action", "an answer", "a fence", "not ASCII"],
    )
    @whole_and_streamed
    async def test_react_answer_that_holds_marks(self, bench: ContractBench, stream: bool, answer: str) -> None:
        """What follows the final answer's mark is the answer, whatever it looks like."""
        _, result = await _complete(bench, {"text": f"Thought: I know.\nFinal Answer: {answer}"}, stream=stream)
        assert result.output == answer
        assert result.tool_calls == ()

    async def test_react_answer_without_marks(self, bench: ContractBench) -> None:
        """A text without any mark is the final answer."""
        _, result = await _complete(bench, {"text": "It is 5. {Really}"}, protocol="tools")
        assert result.output == "It is 5. {Really}"

    async def test_react_streamed_text(self, bench: ContractBench) -> None:
        """Only the final answer's text is streamed as output, not thoughts and actions."""
        scenario = _react(bench, _ADD, answer("It is {0}, I think.", (0, 0)))
        events = await scenario.events()
        texts = [event.text for event in events if isinstance(event, TextDelta)]
        assert "".join(texts) == "It is 5, I think."
        assert len(texts) > 1, "the answer must not wait for its end"
        kinds = [event.type for event in events if event.type != "text_delta"]
        middle = ["model_call_started", "model_call_completed", "tool_call_started", "tool_call_completed"]
        assert kinds == ["run_started", *middle, *middle[:2], "run_ended"]

    async def test_react_limits(self, bench: ContractBench) -> None:
        """Steps and tool calls have their limits, as everywhere."""
        scenario = _react(bench, _ADD, repeat_last=True)
        result = await scenario.meets_limit("max_steps", limits=Limits(max_steps=3))
        assert len(result.tool_calls) == len(scenario.sent) == 3
        result = await scenario.meets_limit("max_tool_calls", limits=Limits(max_tool_calls=2))
        assert [record.ok for record in result.tool_calls] == [True, True, False]

    @spoken_in("chat_completions", "responses", "generate_content")
    async def test_react_last_answer(self, bench: ContractBench) -> None:
        """At a limit the model may answer once more, and its instructions then name no tools."""
        scenario = _react(bench, _ADD, answer("5, I think."))
        result = await scenario.agent.run("Do it.", limits=Limits(max_steps=1, on_limit="answer"))
        assert (result.status, result.output) == ("limit", "5, I think.")
        roles = [message["role"] for message in scenario.sent[1]["messages"]]
        assert roles == ["user", "assistant", "user", "user"]
        assert scenario.sent[1]["messages"][2]["content"] == "Observation: 5"

    async def test_react_retry(self, bench: ContractBench) -> None:
        """A failing server is tried again, as everywhere."""
        _, result = await _complete(bench, _ADD, fault(status=500), _SUM)
        assert (result.output, result.requests, result.retries) == ("It is 5.", 3, 1)

    async def test_react_runs_at_once(self, bench: ContractBench) -> None:
        """One agent serves several runs, and none sees another's calls."""
        scenario = _react(bench, _ADD, _SUM)
        results = await asyncio.gather(*(scenario.agent.run(f"Run {number}.") for number in range(5)))
        assert {result.output for result in results} == {"It is 5."}
        assert [len(result.tool_calls) for result in results] == [1] * 5

    async def test_react_earlier_calls(self, bench: ContractBench) -> None:
        """Calls in the conversation of the task are written as text, since the model is offered no tools."""
        scenario = _react(bench, answer("Done."))
        asked = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1, "b": 1}'}}
        task: list[Mapping[str, Any]] = [
            {"role": "user", "content": "1 + 1?"},
            {"role": "assistant", "content": "Let me see.", "tool_calls": [asked]},
            {"role": "tool", "tool_call_id": "c1", "content": "2"},
            {"role": "assistant", "content": "2."},
            {"role": "user", "content": "Sure?"},
        ]
        result = await scenario.agent.run(task)
        assert result.output == "Done."
        turn, observation, *_ = scenario.sent[0]["messages"][2:]
        assert turn["content"] == 'Thought: Let me see.\nAction: add\nAction Input: {"a": 1, "b": 1}'
        assert observation == {"role": "user", "content": "Observation: 2"}
        assert {message["role"] for message in scenario.sent[0]["messages"]} == {"system", "user", "assistant"}

    async def test_react_cancel(self, bench: ContractBench) -> None:
        """The caller's cancel ends the run and its tool at once."""
        with no_task_left():
            scenario, held = bench.holding(protocol="react", variant="react")
            await cancel(await scenario.start(held))
            assert held.cancelled == 1

    @spoken_in("chat_completions", "responses", "messages")
    @pytest.mark.parametrize("name", ["tool_choice", "parallel_tool_calls"])
    async def test_react_what_text_cannot_do(self, bench: ContractBench, name: str) -> None:
        """What has no meaning in the text protocol is refused, not dropped."""
        _react(bench, answer("Done."))
        value = "required" if name == "tool_choice" else True
        with pytest.raises(UnsupportedCapabilityError, match=name):
            _react(bench, answer("Done."), parameters={name: value})

    @needs(Capability.NATIVE)
    async def test_react_native(self, bench: ContractBench) -> None:
        """Under native the framework writes its own prompt and reads the text itself, and the record is kept."""
        scenario, result = await _complete(bench, _ADD, _SUM, handling="native")
        assert result.output == "It is 5."
        assert [(record.name, record.ok, record.received) for record in result.tool_calls] == [
            ("add", True, {"a": 2, "b": 3})
        ]
        assert result.trace.shape() == "invoke_agent(chat, execute_tool add, chat)"
        assert all("tools" not in body for body in scenario.sent)


def _react(bench: ContractBench, *answers: JsonObject, protocol: str = "react", **options: Any) -> Scenario:
    """Make a scenario of variant `react` with the tool `add`, whose model writes its calls as text."""
    return bench.scenario(*answers, tools=[add], protocol=protocol, variant="react", **options)


async def _complete(bench: ContractBench, *answers: JsonObject, **options: Any) -> tuple[Scenario, RunResult]:
    """Make a scenario as `_react` does, run one task on it, and check that it completed."""
    scenario = _react(bench, *answers, **options)
    return scenario, await scenario.completes()
