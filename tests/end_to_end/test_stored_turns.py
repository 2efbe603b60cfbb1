"""With `stored_turns` a server of Responses keeps the conversation, and a request holds only what came since."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tests.support import BACKENDS, add, make_script
from unified_agents import ModelConfig, RunResult, create_agent
from unified_agents.errors import ConfigError
from unified_agents.messages import Message
from unified_agents.scripted.server import ReceivedRequest, ScriptServer

ANSWERS: list[dict[str, Any]] = [
    {"reasoning": "Two sums.", "tool_calls": [{"name": "add", "arguments": {"a": 1, "b": n}} for n in (2, 6)]},
    {"text": "And one more.", "tool_calls": [{"name": "add", "arguments": {"a": 3, "b": 7}}]},
    {"text": "It is 10."},
]


async def run(
    server: ScriptServer, url: str, task: Any = "Add.", backend: str = "custom", **more: Any
) -> RunResult[Any]:
    model = ModelConfig(name="gpt-5-mini", base_url=url, protocol="responses", stored_turns=True, **more)
    async with create_agent(backend=backend, model=model, tools=[add], instructions="Be brief.") as agent:
        return await agent.run(task)


def inputs(requests: list[ReceivedRequest]) -> list[list[str]]:
    return [[item.get("type", item.get("role")) for item in request.body["input"]] for request in requests]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_request_names_the_response_before_and_holds_what_came_since(backend: str, stream: bool) -> None:
    async with ScriptServer() as server:
        url = server.add(make_script(*ANSWERS), strict=True)
        result = await run(server, url, backend=backend, parameters={"stream": stream})
        requests = server.requests(url)
    assert result.output == "It is 10."
    assert inputs(requests) == [["message"], ["function_call_output"] * 2, ["function_call_output"]]
    assert ["previous_response_id" in request.body for request in requests] == [False, True, True]
    assert all(request.body["store"] is True for request in requests)
    assert {request.body["instructions"] for request in requests} == {"Be brief."}


async def test_a_conversation_that_goes_on_names_it_too() -> None:
    async with ScriptServer() as server:
        url = server.add(make_script(*ANSWERS), strict=True)
        first = await run(server, url)
        await run(server, url, [*first.messages, Message(role="user", content="Again.")])
        requests = server.requests(url)
    assert inputs(requests)[3] == ["message"]
    assert requests[3].body["input"][0]["content"] == "Again."


async def test_a_response_that_the_server_has_lost_is_sent_in_whole() -> None:
    async with ScriptServer() as server:
        first = await run(server, url := server.add(make_script(*ANSWERS)))
        conversation = [*first.messages, Message(role="user", content="Again.")]
        lost = [
            message.model_copy(update={"original": message.original | {"body": message.original["body"] | {"id": "x"}}})
            if message.original
            else message
            for message in conversation
        ]
        result = await run(server, url, lost)
        requests = server.requests(url)[3:]
    assert result.output == "It is 10."
    assert requests[0].body["previous_response_id"] == "x"
    assert "previous_response_id" not in requests[1].body
    assert len(requests[1].body["input"]) > 5
    assert len(requests) == 4  # once is enough


async def test_without_it_nothing_is_stored() -> None:
    async with ScriptServer() as server:
        url = server.add(make_script(*ANSWERS), strict=True)
        model = ModelConfig(name="gpt-5-mini", base_url=url, protocol="responses")
        async with create_agent(model=model, tools=[add]) as agent:
            result = await agent.run("Add.")
        bodies = [request.body for request in server.requests(url)]
    assert result.output == "It is 10."
    assert all(body["store"] is False and "previous_response_id" not in body for body in bodies)


def test_other_protocols_have_no_such_thing() -> None:
    with pytest.raises((ConfigError, ValidationError), match="stored_turns needs protocol: responses"):
        ModelConfig(name="m", base_url="http://127.0.0.1:9/v1", stored_turns=True)
