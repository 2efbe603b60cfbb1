"""Servers that refuse what others take, on every backend."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from pydantic import BaseModel

from unified_agents import (
    BadRequestError,
    Limits,
    Script,
    ScriptedModel,
    backend_names,
    create_agent,
    tool,
)
from unified_agents.wire.local_upstream import Reply


class Sky(BaseModel):
    """The answer's form."""

    sky: str


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


@pytest.fixture(params=backend_names())
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


CALL = {"tool_calls": [{"name": "weather", "arguments": {"city": "Oslo"}}]}
SUNNY = {"text": '{"sky": "sunny"}'}


class Strict:
    """A scripted model that refuses some requests."""

    def __init__(self, refuses: Callable[..., bool], *answers: Mapping[str, Any]) -> None:
        self._model = ScriptedModel(Script.model_validate({"answers": list(answers)}))
        self._refuses = refuses
        self.requests: list[Mapping[str, Any]] = []

    def reply(self, request: Mapping[str, Any], key: str = "") -> Reply:
        self.requests.append(request)
        if self._refuses(request):
            return Reply(400, "application/json", chunks=(json.dumps({"error": {"message": "not so"}}).encode(),))
        return self._model.reply(request, key)

    def forget(self, key: str) -> None:
        self._model.forget(key)


async def test_a_form_that_is_refused_in_any_words_is_asked_for_in_words(backend: str) -> None:
    model = Strict(lambda request: "response_format" in request, CALL, SUNNY)
    agent = create_agent(backend=backend, model=model, tools=[weather], output_type=Sky, instructions="Be brief.")
    assert (await agent.run("q")).value == Sky(sky="sunny")
    assert (await agent.run("q")).value == Sky(sky="sunny")
    assert ["response_format" in request for request in model.requests] == [True, False, False, False, False]
    for request in model.requests:
        assert [message["role"] for message in request["messages"]].count("system") == 1
    await agent.aclose()


async def test_a_request_that_is_wrong_anyway_is_asked_without_the_form_once(backend: str) -> None:
    model = Strict(lambda _: True, SUNNY)
    agent = create_agent(backend=backend, model=model, output_type=Sky)
    with pytest.raises(BadRequestError, match="not so"):
        await agent.run("q")
    assert ["response_format" in request for request in model.requests] == [True, False]
    with pytest.raises(BadRequestError):
        await agent.run("q")
    assert "response_format" in model.requests[2]  # nothing was learnt of it
    await agent.aclose()


async def test_the_last_answer_has_the_tools_where_they_are_taken(backend: str) -> None:
    limits = Limits(max_steps=1, on_limit="answer")
    for refuses_tools in (False, True):
        refused = "none" if refuses_tools else "nothing"
        model = Strict(lambda request, choice=refused: request.get("tool_choice") == choice, CALL, SUNNY)
        agent = create_agent(backend=backend, model=model, tools=[weather], limits=limits)
        result = await agent.run("q")
        assert (result.status, result.output) == ("limit", SUNNY["text"])
        sent = [(bool(request.get("tools")), request.get("tool_choice")) for request in model.requests[1:]]
        assert sent == [(True, "none")] + [(False, None)] * refuses_tools
        await agent.aclose()
