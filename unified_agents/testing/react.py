"""The contract: variant `react`, where the model writes thought, action and input as plain text."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, get_args

import pytest

from unified_agents.agent import create_agent
from unified_agents.backend import Capability, Variant, variants_of
from unified_agents.config import Handling, Limits, ModelConfig, ModelParameters
from unified_agents.errors import BadResponseError, UnsupportedCapabilityError
from unified_agents.events import Event, TextDelta
from unified_agents.messages import JsonObject
from unified_agents.registry import load_backend
from unified_agents.scripted.model import Script
from unified_agents.testing.contract import Contract, either_way
from unified_agents.testing.harness import (
    MODEL_NAME,
    Bench,
    Held,
    Stage,
    add,
    call,
    calls,
    exactly,
    fault,
    new_tasks,
    say,
)

AT_ONCE = 3.0
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
    """The loops of a backend."""

    async def test_variants(self, bench: Bench) -> None:
        """`variants` names all that there are; any other is refused in one line."""
        named = variants_of(load_backend(self.backend))
        assert "tool_calling" in named
        model = ModelConfig(
            name=MODEL_NAME, base_url=bench.server.add(Script.model_validate({"answers": [say("Yes.")]}))
        )
        for variant in get_args(Variant):
            if variant in named:
                bench.agents.append(create_agent(backend=self.backend, model=model, variant=variant))
                continue
            with pytest.raises(UnsupportedCapabilityError) as caught:
                create_agent(backend=self.backend, model=model, variant=variant)
            assert repr(variant) in str(caught.value)
            assert len(str(caught.value).splitlines()) == 1


class ReactContract(Contract, needs=(Capability.TOOLS,)):
    """The loop in plain text. Not in `BackendContract`: a backend that names the variant takes it beside that."""

    @either_way
    async def test_react_tool_call(self, bench: Bench, stream: bool) -> None:
        """No `tools` go out: they stand in the system text, and the result comes as a user message."""
        stage = _stage(
            bench,
            calls(call("add", {"a": 2, "b": 3})),
            say("It is {0}.", (0, 0)),
            stream=stream,
            instructions="Be brief.",
        )
        result = await stage.completes()
        assert result.output == "It is 5."
        assert result.trace.shape() == "invoke_agent(chat, execute_tool add, chat)"
        [record] = result.tool_calls
        assert (record.name, record.ok, record.received, record.content) == ("add", True, {"a": 2, "b": 3}, "5")
        assert all("tools" not in body and "tool_choice" not in body for body in stage.sent)
        system, user, turn, observation = stage.sent[1]["messages"]
        assert system["content"].startswith("Be brief.")
        assert "add: Add two numbers." in system["content"]
        assert '"required"' in system["content"]
        assert (user["role"], user["content"]) == ("user", "Do it.")
        assert turn["content"] == 'Thought: I use a tool.\nAction: add\nAction Input: {"a":2,"b":3}'
        assert observation == {"role": "user", "content": "Observation: 5"}

    @pytest.mark.parametrize("turn", list(_TURNS.values()), ids=list(_TURNS))
    async def test_react_turn_as_models_write_it(self, bench: Bench, turn: str) -> None:
        """The framework's own parser is given one canonical action, whatever the model made of the form."""
        stage = _stage(bench, {"text": turn}, say("It is {0}.", (0, 0)))
        result = await stage.completes()
        assert result.output == "It is 5."
        assert [record.received for record in result.tool_calls] == [{"a": 2, "b": 3}]
        assert result.requests == 2

    async def test_react_made_up_observation(self, bench: Bench) -> None:
        """What the model made up does not go back to it."""
        stage = _stage(bench, {"text": _TURNS["a made-up end"]}, say("Done."))
        await stage.completes()
        assert "99" not in exactly(stage.sent[1]["messages"])

    async def test_react_further_actions(self, bench: Bench) -> None:
        """The first action counts, and the model is told of the rest."""
        stage = _stage(bench, {"text": _TURNS["several actions"]}, say("Done."))
        result = await stage.completes()
        assert len(result.tool_calls) == 1
        told = stage.sent[1]["messages"][-1]["content"]
        assert told.startswith("Observation: 5\n")
        assert "Only your first action was carried out" in told

    @pytest.mark.parametrize(
        ("asked", "told"),
        [
            (call("add", {"a": "x", "b": 3}), 'a: "x" given, must be an integer'),
            (call("add", {}), "a: missing, required"),
            (call("add", '{"a": 1,'), "must be a JSON object"),
            (call("add", "null"), "must be an object"),
            (call("nope", {}), "there is no tool 'nope'"),
        ],
        ids=["wrong type", "missing", "broken JSON", "null", "unknown tool"],
    )
    async def test_react_bad_call(self, bench: Bench, asked: JsonObject, told: str) -> None:
        """A call that cannot be carried out reaches no handler, and the model is told why."""
        stage = _stage(bench, calls(asked), say("Done."))
        result = await stage.completes()
        [record] = result.tool_calls
        assert (record.ok, record.reached, record.received) == (False, True, None)
        assert told in stage.sent[1]["messages"][-1]["content"]
        assert stage.sent[1]["messages"][-1]["content"].startswith("Observation: Error")

    async def test_react_unreadable_turn(self, bench: Bench) -> None:
        """A turn without action and answer is mended within its step: the model is told once."""
        stage = _stage(bench, {"text": "Thought: I wonder."}, say("Done."))
        result = await stage.completes()
        assert result.output == "Done."
        assert (len(stage.sent), result.retries) == (2, 1)
        assert stage.sent[1]["messages"][-2:][0] == {"role": "assistant", "content": "Thought: I wonder."}
        assert stage.sent[1]["messages"][-1]["content"].startswith("Your turn could not be read")

    async def test_react_unreadable_twice(self, bench: Bench) -> None:
        """The second time it is a bad response."""
        stage = _stage(bench, {"text": "Thought: I wonder."}, repeat_last=True)
        error = await stage.fails(BadResponseError)
        assert error.kind == "bad_response"
        assert len(stage.sent) == 2

    @pytest.mark.parametrize(
        "answer",
        ["Use this:\nAction: add\nAction Input: {}", "Thought: none.\nAnswer: 4", "```\n1 + 1\n```", "Größe: 3 µm 🙂"],
        ids=["an action", "an answer", "a fence", "not ASCII"],
    )
    @either_way
    async def test_react_answer_that_holds_marks(self, bench: Bench, stream: bool, answer: str) -> None:
        """What follows the final answer's mark is the answer, whatever it looks like."""
        stage = _stage(bench, {"text": f"Thought: I know.\nFinal Answer: {answer}"}, stream=stream)
        result = await stage.completes()
        assert result.output == answer
        assert result.tool_calls == ()

    async def test_react_answer_without_marks(self, bench: Bench) -> None:
        """A text without any mark is the final answer."""
        stage = _stage(bench, {"text": "It is 5. {Really}"}, plain=True)
        assert (await stage.completes()).output == "It is 5. {Really}"

    async def test_react_streamed_text(self, bench: Bench) -> None:
        """Only the final answer's text is streamed as output, not thoughts and actions."""
        stage = _stage(bench, calls(call("add", {"a": 2, "b": 3})), say("It is {0}, I think.", (0, 0)))
        events: list[Event] = []
        async with stage.agent.stream("Do it.") as running:
            async for event in running:
                events.append(event)
        texts = [event.text for event in events if isinstance(event, TextDelta)]
        assert "".join(texts) == "It is 5, I think."
        assert len(texts) > 1, "the answer must not wait for its end"
        kinds = [event.type for event in events if event.type != "text_delta"]
        middle = ["model_call_started", "model_call_completed", "tool_call_started", "tool_call_completed"]
        assert kinds == ["run_started", *middle, *middle[:2], "run_ended"]

    async def test_react_limits(self, bench: Bench) -> None:
        """Steps and tool calls have their limits, as everywhere."""
        stage = _stage(bench, calls(call("add", {"a": 2, "b": 3})), repeat_last=True)
        result = await stage.meets_limit("max_steps", limits=Limits(max_steps=3))
        assert len(result.tool_calls) == len(stage.sent) == 3
        result = await stage.meets_limit("max_tool_calls", limits=Limits(max_tool_calls=2))
        assert [record.ok for record in result.tool_calls] == [True, True, False]

    async def test_react_last_answer(self, bench: Bench) -> None:
        """At a limit the model may answer once more; it is told of no tools then."""
        stage = _stage(bench, calls(call("add", {"a": 2, "b": 3})), say("5, I think."))
        result = await stage.agent.run("Do it.", limits=Limits(max_steps=1, on_limit="answer"))
        assert (result.status, result.output) == ("limit", "5, I think.")
        roles = [message["role"] for message in stage.sent[1]["messages"]]
        assert roles == ["user", "assistant", "user", "user"]
        assert stage.sent[1]["messages"][2]["content"] == "Observation: 5"

    async def test_react_retry(self, bench: Bench) -> None:
        """A failing server is tried again, as everywhere."""
        stage = _stage(bench, calls(call("add", {"a": 2, "b": 3})), fault(status=500), say("It is {0}.", (0, 0)))
        result = await stage.completes()
        assert (result.output, result.requests, result.retries) == ("It is 5.", 3, 1)

    async def test_react_runs_at_once(self, bench: Bench) -> None:
        """One agent serves several runs, and none sees another's calls."""
        stage = _stage(bench, calls(call("add", {"a": 2, "b": 3})), say("It is {0}.", (0, 0)))
        results = await asyncio.gather(*(stage.agent.run(f"Run {number}.") for number in range(5)))
        assert {result.output for result in results} == {"It is 5."}
        assert [len(result.tool_calls) for result in results] == [1] * 5

    async def test_react_earlier_calls(self, bench: Bench) -> None:
        """Calls in a given conversation are told as text: the model is offered no tools."""
        stage = _stage(bench, say("Done."))
        asked = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1, "b": 1}'}}
        given: list[Mapping[str, Any]] = [
            {"role": "user", "content": "1 + 1?"},
            {"role": "assistant", "content": "Let me see.", "tool_calls": [asked]},
            {"role": "tool", "tool_call_id": "c1", "content": "2"},
            {"role": "assistant", "content": "2."},
            {"role": "user", "content": "Sure?"},
        ]
        result = await stage.agent.run(given)
        assert result.output == "Done."
        turn, observation, *_ = stage.sent[0]["messages"][2:]
        assert turn["content"] == 'Thought: Let me see.\nAction: add\nAction Input: {"a": 1, "b": 1}'
        assert observation == {"role": "user", "content": "Observation: 2"}
        assert {message["role"] for message in stage.sent[0]["messages"]} == {"system", "user", "assistant"}

    async def test_react_cancel(self, bench: Bench) -> None:
        """The caller's cancel ends the run and its tool at once."""
        held = Held(expected=1)
        before = asyncio.all_tasks()
        stage = _stage(bench, calls(call("hold", {"n": 1})), say("Done."), tool=held.tool)
        running = asyncio.create_task(stage.agent.run("Do it."))
        await held.all_started.wait()
        running.cancel()
        done, _ = await asyncio.wait([running], timeout=AT_ONCE)
        assert done, f"a cancelled run must end at once, and this one did not within {AT_ONCE:g} seconds"
        assert running.cancelled()
        assert held.cancelled == 1
        assert not new_tasks(before)

    @pytest.mark.parametrize("name", ["tool_choice", "parallel_tool_calls"])
    async def test_react_what_text_cannot_do(self, bench: Bench, name: str) -> None:
        """What has no meaning in the text protocol is refused, not dropped."""
        _stage(bench, say("Done."))
        value = "required" if name == "tool_choice" else True
        with pytest.raises(UnsupportedCapabilityError, match=name):
            _stage(bench, say("Done."), parameters={name: value})

    async def test_react_native(self, bench: Bench) -> None:
        """Under native the framework writes its own prompt and reads the text itself, and the record is kept."""
        if Capability.NATIVE not in load_backend(bench.backend).capabilities:
            pytest.skip("the backend has no handling native")
        stage = _stage(bench, calls(call("add", {"a": 2, "b": 3})), say("It is {0}.", (0, 0)), handling="native")
        result = await stage.completes()
        assert result.output == "It is 5."
        assert [(record.name, record.ok, record.received) for record in result.tool_calls] == [
            ("add", True, {"a": 2, "b": 3})
        ]
        assert result.trace.shape() == "invoke_agent(chat, execute_tool add, chat)"
        assert all("tools" not in body for body in stage.sent)


def _stage(
    bench: Bench,
    *answers: JsonObject,
    tool: Any = add,
    handling: Handling = "unified",
    stream: bool | None = None,
    repeat_last: bool = False,
    plain: bool = False,
    instructions: str | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Stage:
    """An agent of variant `react`, over a script that is served on a real socket."""
    protocol = "tools" if plain else "react"
    script = Script.model_validate({"answers": answers, "repeat_last": repeat_last, "protocol": protocol})
    url = bench.server.add(script)
    asked = ModelParameters.model_validate({"stream": stream} | dict(parameters or {}))
    model = ModelConfig(name=MODEL_NAME, base_url=url, parameters=asked, timeout=10.0)
    agent = create_agent(
        backend=bench.backend, model=model, tools=[tool], handling=handling, instructions=instructions, variant="react"
    )
    bench.agents.append(agent)
    return Stage(agent, url, bench.server)
