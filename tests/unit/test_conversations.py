"""A conversation that was stored is the task of a further run."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from support import BACKENDS
from unified_agents import ConfigError, Message, RunResult, Script, ScriptedModel, create_agent
from unified_agents.messages import task_messages

STORED: dict[str, Callable[[RunResult], list[Any]]] = {
    "model_dump": lambda result: [message.model_dump() for message in result.messages],
    "model_dump in JSON": lambda result: [message.model_dump(mode="json") for message in result.messages],
    "to_dict": lambda result: list(result.to_dict()["messages"]),
    "to_chat": lambda result: [message.to_chat() for message in result.messages],
    "dict": lambda result: [dict(message) for message in result.messages],
}


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def scripted(*answers: dict[str, Any]) -> ScriptedModel:
    return ScriptedModel(Script.model_validate({"answers": answers}))


@pytest.mark.parametrize("how", STORED)
async def test_a_stored_conversation_goes_on(how: str) -> None:
    call = {"tool_calls": [{"name": "add", "arguments": {"a": 1, "b": 2}}]}
    first = create_agent(model=scripted(call, {"text": "3"}), tools=[add])
    result = await first.run("1 + 2?")
    await first.aclose()
    stored = STORED[how](result)
    if how != "dict":
        stored = json.loads(json.dumps(stored))
    assert task_messages(stored) == result.messages
    second = create_agent(model=scripted({"text": "Yes."}), tools=[add])
    further = await second.run([*stored, {"role": "user", "content": "Sure?"}])
    await second.aclose()
    assert further.messages[:-2] == result.messages


@pytest.mark.parametrize(
    ("calls", "reason"),
    [
        ([{"id": "1"}], "no 'function'"),
        ([{"id": "1", "function": {}}], "no 'name'"),
        ([{"id": "1", "name": 3}], "name: "),
        (["add"], "message 1 of the task"),
    ],
)
def test_what_is_no_message_is_refused_with_the_reason_and_the_remedy(calls: list[Any], reason: str) -> None:
    with pytest.raises(ConfigError, match="message 1 of the task") as caught:
        task_messages([{"role": "assistant", "content": None, "tool_calls": calls}])
    assert reason in str(caught.value)
    assert "message.to_chat()" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_message_of_a_dump_is_the_same_message() -> None:
    message = Message(role="tool", content="3", tool_call_id="1", name="add")
    assert Message.from_chat(message.model_dump()) == message


CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
OTHER = {**CALL, "id": "c2"}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "conversation",
    [
        [{"role": "assistant", "content": None, "tool_calls": [CALL, OTHER]}],
        [{"role": "assistant", "content": None, "tool_calls": [CALL, OTHER]}, {"role": "user", "content": "Go on."}],
        [
            {"role": "assistant", "content": None, "tool_calls": [CALL, OTHER]},
            {"role": "tool", "content": "done", "tool_call_id": "c2"},
            {"role": "assistant", "content": "Well."},
        ],
    ],
)
async def test_a_call_that_was_never_answered_gets_a_result_that_says_so(backend: str, conversation: Any) -> None:
    model = ScriptedModel(Script.model_validate({"answers": [{"text": "done"}] * 5}))
    async with create_agent(backend=backend, model=model) as agent:
        result = await agent.run([{"role": "user", "content": "x"}, *conversation], record_exchanges=True)
    sent = json.loads(result.exchanges[0].sent)["messages"]
    told = {message["tool_call_id"]: message["content"] for message in sent if message["role"] == "tool"}
    assert told.keys() == {"c1", "c2"}
    assert told["c1"].startswith("This call has no result: the run ended before it.")
    assert [message["role"] for message in sent[1:4]] == ["assistant", "tool", "tool"]
