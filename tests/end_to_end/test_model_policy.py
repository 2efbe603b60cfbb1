"""The model policy on every backend: retries, fallback, limits, cost and structured output, through a real socket."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import BaseModel, Field

from support import add, make_script
from unified_agents import (
    Agent,
    AttemptDiscarded,
    BadRequestError,
    BadResponseError,
    ConfigError,
    Limits,
    ModelConfig,
    ModelTimeoutError,
    NetworkError,
    RunEnded,
    Script,
    ScriptedModel,
    ServerError,
    UnsupportedCapabilityError,
    create_agent,
)
from unified_agents.config import ModelPolicy, ModelPrice
from unified_agents.scripted.server import ScriptServer
from unified_agents.wire.local_upstream import Reply

QUICK = {"wait_initial": 0.001, "wait_max": 0.002, "jitter": 0.001}


CALL = {"tool_calls": [{"name": "add", "arguments": {"a": 1, "b": 2}}]}
HELLO = {"text": "hello"}


def model(url: str, policy: Mapping[str, Any] | None = None, **more: Any) -> ModelConfig:
    return ModelConfig(name="m", base_url=url, policy=ModelPolicy(**QUICK | dict(policy or {})), **more)


class Timed:
    """A model that notes when each request came."""

    def __init__(self, of: Script) -> None:
        self._model = ScriptedModel(of)
        self.times: list[float] = []

    def reply(self, request: Mapping[str, Any], key: str = "") -> Reply:
        self.times.append(time.monotonic())
        return self._model.reply(request, key)


@pytest.mark.timed
async def test_a_retry_after_holds_back_every_run_of_the_agent(backend: str, server: ScriptServer) -> None:
    for adaptive in (True, False):
        timed = Timed(make_script({"fault": {"status": 429, "retry_after": 0.4}}, HELLO))
        agent = create_agent(backend=backend, model=model(server.add(timed), {"adaptive_rate": adaptive}))
        async with agent.stream("first") as events:
            async for event in events:
                if isinstance(event, AttemptDiscarded):
                    refused_at = time.monotonic()
                    assert (await agent.run("second")).output == "hello"
        waited = min(moment for moment in timed.times[1:]) - refused_at
        assert (waited > 0.3) is adaptive
        await agent.aclose()


async def test_a_dead_server_is_left_alone_and_asked_again_later(backend: str, server: ScriptServer) -> None:
    url = server.add(make_script({"fault": {"status": 500}, "times": 4}, HELLO))
    policy = {"breaker_failures": 4, "breaker_seconds": 0.3}
    agent = create_agent(backend=backend, model=model(url, policy))
    with pytest.raises(ServerError, match="500"):
        await agent.run("q")
    opened = time.monotonic()
    results = await asyncio.gather(*(agent.run("q") for _ in range(3)))  # held back until one of them has found out
    assert time.monotonic() - opened > 0.25
    assert [result.output for result in results] == ["hello"] * 3
    await agent.aclose()


async def test_nobody_waits_longer_for_a_dead_server_than_for_an_answer(backend: str, server: ScriptServer) -> None:
    url = server.add(make_script({"fault": {"status": 500}, "times": 99}, HELLO))
    policy = {"breaker_failures": 4, "breaker_seconds": 30}
    agent = create_agent(backend=backend, model=model(url, policy, timeout=2))
    with pytest.raises(ServerError, match="500"):
        await agent.run("q")
    with pytest.raises(ServerError, match="not asked: the last 4 requests failed"):
        await agent.run("q")
    assert len(server.requests(url)) == 4
    await agent.aclose()


async def test_where_another_model_stands_in_nobody_waits_for_a_dead_server(backend: str, server: ScriptServer) -> None:
    dead = server.add(make_script({"fault": {"status": 500}, "times": 99}, HELLO))
    policy = {"breaker_failures": 4, "breaker_seconds": 30}
    spare = ModelConfig(name="spare", base_url=server.add(make_script(HELLO)))
    agent = create_agent(backend=backend, model=model(dead, policy, fallback=(spare,)))
    assert [(await agent.run("q")).output for _ in range(3)] == ["hello"] * 3
    assert len(server.requests(dead)) == 4
    await agent.aclose()


async def test_without_a_low_bound_the_circuit_stays_closed(backend: str, server: ScriptServer) -> None:
    url = server.add(make_script({"fault": {"status": 500}, "times": 8}, HELLO))
    agent = create_agent(backend=backend, model=model(url))
    for _ in range(2):
        with pytest.raises(ServerError, match="answered 500"):
            await agent.run("q")
    assert len(server.requests(url)) == 8
    await agent.aclose()


async def test_another_model_stands_in(backend: str, server: ScriptServer) -> None:
    fault = {"fault": {"status": 503}, "times": 99}
    dead = server.add(make_script(fault, HELLO, fault, HELLO))
    other = server.add(make_script(CALL, {"text": "from the other"}))
    config = model(dead, {"attempts": {"server": 2}}, fallback=(ModelConfig(name="spare", base_url=other),))
    agent = create_agent(backend=backend, model=config, tools=[add])
    result = await agent.run("q")
    assert (result.status, result.output) == ("completed", "from the other")
    assert len(server.requests(dead)) == 4  # twice for each of the two steps
    assert [request.body["model"] for request in server.requests(other)] == ["spare", "spare"]
    assert [event[0] for event in result.trace.children[0].events] == ["retry", "fallback"]
    await agent.aclose()


async def test_no_other_model_is_asked_what_is_simply_wrong(backend: str, server: ScriptServer) -> None:
    wrong = server.add(make_script({"fault": {"status": 400}}, HELLO))
    other = server.add(make_script(HELLO))
    config = model(wrong, fallback=(ModelConfig(name="spare", base_url=other),))
    agent = create_agent(backend=backend, model=config)
    with pytest.raises(BadRequestError):
        await agent.run("q")
    assert server.requests(other) == []
    await agent.aclose()


@pytest.mark.parametrize(
    ("status", "error"),
    [(402, {"message": "no credit"}), (404, {"message": "no such model"}), (429, {"code": "insufficient_quota"})],
)
async def test_what_only_this_model_lacks_is_asked_of_another_at_once(
    backend: str, status: int, error: dict[str, str]
) -> None:
    asked = 0

    class Lacking:
        def reply(self, request: Mapping[str, Any], key: str = "") -> Reply:
            nonlocal asked
            asked += 1
            return Reply(status, "application/json", chunks=(json.dumps({"error": error}).encode(),))

        def forget(self, key: str) -> None:
            """Nothing is kept."""

    async with ScriptServer() as server:
        spare = ModelConfig(name="spare", base_url=server.add(make_script(HELLO)))
        agent = create_agent(backend=backend, model=model(server.add(Lacking()), fallback=(spare,)))
        assert (await agent.run("q")).output == "hello"
        await agent.aclose()
    assert asked == 1


async def test_the_number_of_attempts_is_the_users(backend: str, server: ScriptServer) -> None:
    url = server.add(make_script({"fault": {"disconnect": True}, "times": 99}, HELLO))
    agent = create_agent(backend=backend, model=model(url, {"attempts": {"network": 6}}))
    with pytest.raises(NetworkError):
        await agent.run("q")
    assert len(server.requests(url)) == 6
    await agent.aclose()


async def test_a_second_attempt_after_a_timeout_has_more_time(backend: str, server: ScriptServer) -> None:
    url = server.add(make_script({"fault": {"delay": 0.5}, "times": 99}, HELLO))
    for factor, comes in ((3.0, True), (1.0, False)):
        agent = create_agent(backend=backend, model=model(url, {"longer_timeout": factor}, timeout=0.25))
        if comes:
            result = await agent.run("q")
            assert (result.output, result.retries) == ("hello", 1)
        else:
            with pytest.raises(ModelTimeoutError):
                await agent.run("q")
        await agent.aclose()


@pytest.mark.parametrize("fault", [{"stall": True}, {"delay": 30.0}])  # headers and no body; no headers either
async def test_a_stream_that_never_begins_is_given_up(
    backend: str, fault: dict[str, Any], server: ScriptServer
) -> None:
    url = server.add(make_script({"fault": fault, "times": 2}, HELLO))
    agent = create_agent(backend=backend, model=model(url, {"longer_timeout": 1.0}, first_token_timeout=0.15))
    with pytest.raises(ModelTimeoutError, match=r"went silent for 0\.15 seconds"):
        async with agent.stream("q") as events:
            assert [event async for event in events]
    result = await agent.run("q")
    assert result.output == "hello"
    await agent.aclose()


async def test_an_answer_that_was_cut_is_asked_for_again_once(backend: str, server: ScriptServer) -> None:
    url = server.add(make_script({"fault": {"finish_reason_length": True}}, {"text": "a long story"}, HELLO))
    agent = create_agent(backend=backend, model=model(url))
    result = await agent.run("q")
    assert (result.status, result.output, result.requests) == ("completed", "hello", 2)
    cut, told = server.requests(url)[1].body["messages"][-2:]
    assert cut["role"] == "assistant"
    assert told == {
        "role": "user",
        "content": "Your answer was cut off at the token limit. Answer again, more briefly.",
    }
    await agent.aclose()


async def test_an_answer_that_is_cut_again_is_an_error(backend: str, server: ScriptServer) -> None:
    fault = {"fault": {"finish_reason_length": True}}
    url = server.add(make_script(fault, {"text": "a long story"}, fault, {"text": "as long again"}))
    agent = create_agent(backend=backend, model=model(url))
    with pytest.raises(BadResponseError, match="cut off at the token limit"):
        await agent.run("q")
    await agent.aclose()


class Town(BaseModel):
    name: str
    people: int = Field(ge=0)


GOOD = {"text": '{"name": "Oslo", "people": 717000}'}
BAD = {"text": '{"name": "Oslo", "people": "many"}'}


async def test_structured_output_is_a_value(backend: str, server: ScriptServer) -> None:
    url = server.add(make_script(CALL, GOOD))
    agent = create_agent(backend=backend, model=model(url), tools=[add], output_type=Town)
    result = await agent.run("q")
    assert result.value == Town(name="Oslo", people=717_000)
    assert result.to_dict()["value"] == {"name": "Oslo", "people": 717_000}
    assert result.requests == 2
    for request in server.requests(url):
        assert request.body["response_format"]["json_schema"]["schema"] == Town.model_json_schema()
    await agent.aclose()


async def test_structured_output_that_does_not_fit_is_told_once(backend: str, server: ScriptServer) -> None:
    url = server.add(make_script(BAD, GOOD))
    agent = create_agent(backend=backend, model=model(url), output_type=Town.model_json_schema())
    result = await agent.run("q")
    assert result.value == {"name": "Oslo", "people": 717_000}
    assert (result.requests, len([span for span in result.trace.walk() if span.name.startswith("chat")])) == (2, 1)
    told = server.requests(url)[1].body["messages"][-1]["content"]
    assert "people" in told
    assert "must be an integer" in told
    await agent.aclose()


async def test_structured_output_that_never_fits_is_an_error(backend: str, server: ScriptServer) -> None:
    agent = create_agent(backend=backend, model=model(server.add(make_script(BAD, BAD, GOOD))), output_type=Town)
    with pytest.raises(BadResponseError, match="people"):
        await agent.run("q")
    await agent.aclose()


async def test_a_server_that_refuses_the_field_gets_the_schema_in_words(backend: str, server: ScriptServer) -> None:
    refusal = {"fault": {"status": 400, "message": "unknown field response_format"}}
    url = server.add(make_script(refusal, GOOD))
    agent = create_agent(backend=backend, model=model(url), output_type=Town)
    assert (await agent.run("q")).value == Town(name="Oslo", people=717_000)
    assert (await agent.run("q")).requests == 1  # it is not tried again
    request = server.requests(url)[-1].body
    assert "response_format" not in request
    assert '"people"' in request["messages"][0]["content"]
    await agent.aclose()


async def test_the_refusal_of_the_field_counts_also_after_a_retry(backend: str, server: ScriptServer) -> None:
    busy = {"fault": {"status": 503, "retry_after": 0}}
    refusal = {"fault": {"status": 400, "message": "unknown field response_format"}}
    url = server.add(make_script(busy, refusal, GOOD))
    agent = create_agent(backend=backend, model=model(url), output_type=Town)
    result = await agent.run("q")
    assert result.value == Town(name="Oslo", people=717_000)
    assert ["response_format" in request.body for request in server.requests(url)] == [True, True, False]
    await agent.aclose()


def test_structured_output_needs_our_handling_and_a_schema() -> None:
    local = ScriptedModel(make_script(HELLO))
    with pytest.raises(UnsupportedCapabilityError, match="output_type"):
        create_agent(model=local, output_type=Town, handling="native")
    with pytest.raises(ConfigError, match="output_type"):
        create_agent(model=local, output_type={"type": "nonsense"})
    with pytest.raises(ConfigError, match="output_type"):
        create_agent(model=local, output_type=type("Odd", (), {"__init__": lambda self, x: None}))


async def told_at_the_limit(agent: Agent) -> str:
    async with agent.stream("q") as events:
        ended = [event async for event in events][-1]
    assert isinstance(ended, RunEnded)
    assert ended.result.status == "limit"
    assert ended.result.errors[-1].kind == "limit"
    return str(ended.result.output)


@pytest.mark.parametrize(
    "limits",
    [{"max_steps": 2}, {"max_model_calls": 2}, {"max_tool_calls": 1}, {"max_tokens": 1}, {"max_cost": 0.000001}],
    ids=lambda limits: next(iter(limits)),
)
async def test_at_a_limit_the_model_may_answer_once_more(
    backend: str, server: ScriptServer, limits: dict[str, Any]
) -> None:
    price = ModelPrice(input=1.0, output=1.0)
    for on_limit in ("answer", "stop"):
        url = server.add(make_script(CALL, CALL, repeat_last=True))
        asked = Limits(**limits, on_limit=on_limit)
        agent = create_agent(
            backend=backend, model=model(url, price=price), tools=[add], limits=asked, instructions="be brief"
        )
        before = len(server.requests(url))
        result = await agent.run("q")
        assert result.status == "limit"
        assert next(iter(limits)) in result.errors[-1].message
        last = server.requests(url)[-1].body
        if on_limit == "stop":
            assert result.output is None
            assert "tools" in last
        else:
            assert (last["tool_choice"], len(last["tools"])) == ("none", 1)
            assert last["messages"][0] == {"role": "system", "content": "be brief"}
            assert next(iter(limits)) in last["messages"][-1]["content"]
        assert len(server.requests(url)) - before == result.requests
        await agent.aclose()


async def test_the_last_answer_is_the_output_and_still_no_success(backend: str, server: ScriptServer) -> None:
    url = server.add(make_script(CALL, {"text": "as far as I got: 3"}))
    agent = create_agent(backend=backend, model=model(url), tools=[add], limits=Limits(max_steps=1, on_limit="answer"))
    assert await told_at_the_limit(agent) == "as far as I got: 3"
    await agent.aclose()


async def test_cost_is_counted_and_bounded(backend: str, server: ScriptServer) -> None:
    used = {"prompt_tokens": 1_000, "completion_tokens": 500}
    url = server.add(make_script(CALL | {"usage": used}, CALL | {"usage": used}, HELLO | {"usage": used}))
    config = model(url, price=ModelPrice(input=2.0, output=10.0))
    agent = create_agent(backend=backend, model=config, tools=[add])
    result = await agent.run("q")
    assert result.cost == pytest.approx(3 * (0.002 + 0.005))
    limited = await agent.run("q", limits=Limits(max_cost=0.01))
    assert (limited.status, limited.requests) == ("limit", 2)
    assert "max_cost" in limited.errors[-1].message
    await agent.aclose()


def test_a_bound_of_cost_needs_a_price() -> None:
    with pytest.raises(ConfigError, match=r"model\.price"):
        create_agent(model=ScriptedModel(make_script(HELLO)), limits=Limits(max_cost=1.0))
