"""Servers that refuse what others take, on every backend."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import BaseModel

from support import BACKENDS
from unified_agents import (
    AuthenticationError,
    BadRequestError,
    Limits,
    ModelConfig,
    ModelParameters,
    RunError,
    Script,
    ScriptedModel,
    create_agent,
    tool,
)
from unified_agents.scripted.server import ScriptServer
from unified_agents.wire.local_upstream import Reply


class Sky(BaseModel):
    """The answer's form."""

    sky: str


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


CALL = {"tool_calls": [{"name": "weather", "arguments": {"city": "Oslo"}}]}
SUNNY = {"text": '{"sky": "sunny"}'}


@asynccontextmanager
async def served(model: Any) -> AsyncIterator[str]:
    async with ScriptServer() as server:
        yield server.add(model)


class Strict:
    """A scripted model that refuses some requests, with these words."""

    def __init__(
        self, refuses: Callable[..., bool], *answers: Mapping[str, Any], words: Any = "not so", status: int = 400
    ) -> None:
        self._model = ScriptedModel(Script.model_validate({"answers": list(answers)}))
        self._refuses = refuses
        self._refusal = Reply(status, "application/json", chunks=(json.dumps(said(words)).encode(),))
        self.requests: list[Mapping[str, Any]] = []

    def reply(self, request: Mapping[str, Any], key: str = "") -> Reply:
        self.requests.append(request)
        return self._refusal if self._refuses(request) else self._model.reply(request, key)

    def forget(self, key: str) -> None:
        self._model.forget(key)


def said(words: Any) -> Any:
    return {"error": {"message": words}} if isinstance(words, str) else words


def unknown_field(name: str) -> dict[str, Any]:
    return {"detail": [{"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not permitted"}]}


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "response_format is not known"),
        (
            400,
            [{"error": {"code": 400, "message": "tools with the response mime type 'application/json' are not taken"}}],
        ),
        (404, "no endpoint supports structured outputs"),
        (422, unknown_field("response_format")),
        (422, {"detail": [{"msg": "Extra inputs are not permitted"}]}),
        (400, ""),
        (400, "Bad Request"),
    ],
)
async def test_a_form_that_is_refused_is_asked_for_in_words(backend: str, status: int, words: Any) -> None:
    model = Strict(lambda request: "response_format" in request, CALL, SUNNY, words=words, status=status)
    agent = create_agent(backend=backend, model=model, tools=[weather], output_type=Sky, instructions="Be brief.")
    assert (await agent.run("q")).value == Sky(sky="sunny")
    assert (await agent.run("q")).value == Sky(sky="sunny")
    assert ["response_format" in request for request in model.requests] == [True, False, False, False, False]
    for request in model.requests:
        assert [message["role"] for message in request["messages"]].count("system") == 1
    await agent.aclose()


@pytest.mark.parametrize("words", ["not so", "the context has 9000 tokens, and 8192 is the most", "no such model: m"])
async def test_a_refusal_that_is_about_something_else_costs_no_request_more(backend: str, words: str) -> None:
    model = Strict(lambda _: True, SUNNY, words=words)
    agent = create_agent(backend=backend, model=model, output_type=Sky)
    with pytest.raises(BadRequestError, match=words):
        await agent.run("q")
    assert ["response_format" in request for request in model.requests] == [True]
    await agent.aclose()


async def test_a_request_that_is_wrong_anyway_is_asked_without_the_form_once(backend: str) -> None:
    model = Strict(lambda _: True, SUNNY, words="the schema is not so")
    agent = create_agent(backend=backend, model=model, output_type=Sky)
    with pytest.raises(BadRequestError, match="not so"):
        await agent.run("q")
    assert ["response_format" in request for request in model.requests] == [True, False]
    with pytest.raises(BadRequestError):
        await agent.run("q")
    assert "response_format" in model.requests[2]  # nothing was learnt of it
    await agent.aclose()


async def test_runs_whose_requests_were_on_the_way_learn_it_too(backend: str) -> None:
    model = Strict(lambda request: "response_format" in request, SUNNY, words="response_format is not known")
    agent = create_agent(backend=backend, model=model, output_type=Sky)
    results = await asyncio.gather(*(agent.run("q") for _ in range(8)))
    assert [result.value for result in results] == [Sky(sky="sunny")] * 8
    await agent.aclose()


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (422, unknown_field("stream_options")),
        (400, "Unrecognized request argument supplied: stream_options"),
        (400, {"error": {"message": "unknown field", "param": "stream_options.include_usage"}}),
        (422, {"detail": [{"msg": "Extra inputs are not permitted"}]}),
    ],
)
async def test_usage_is_not_asked_for_where_that_is_refused(backend: str, status: int, words: Any) -> None:
    model = Strict(lambda request: "stream_options" in request, SUNNY, words=words, status=status)
    agent = create_agent(backend=backend, model=model)
    for _ in range(2):
        async with agent.stream("q") as events:
            async for _event in events:
                pass
        assert events.result is not None
        assert events.result.output == SUNNY["text"]
    assert [(request["stream"], "stream_options" in request) for request in model.requests] == [
        (True, True),
        (True, False),
        (True, False),
    ]
    await agent.aclose()


BOUNDED = ModelParameters(max_tokens=100)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."),
        (400, {"error": {"message": "Unsupported parameter", "param": "max_tokens"}}),
        (422, unknown_field("max_tokens")),
    ],
)
async def test_the_bound_of_an_answer_goes_out_under_its_other_name(backend: str, status: int, words: Any) -> None:
    model = Strict(lambda request: "max_tokens" in request, SUNNY, words=words, status=status)
    async with served(model) as url:
        config = ModelConfig(name="m", base_url=url, parameters=BOUNDED)
        async with create_agent(backend=backend, model=config) as agent:
            assert (await agent.run("q")).output == SUNNY["text"]
            assert (await agent.run("q")).output == SUNNY["text"]
    names = ("max_tokens", "max_completion_tokens")
    assert [[request.get(name) for name in names] for request in model.requests] == [
        [100, None],
        [None, 100],
        [None, 100],
    ]


@pytest.mark.parametrize(
    ("words", "requests"), [("max_tokens is too large: 100. The most is 50", 1), ("unknown parameter: {}", 2)]
)
async def test_a_bound_that_is_refused_under_each_name_is_an_error(backend: str, words: str, requests: int) -> None:
    model = Strict(lambda _: True, SUNNY, words=words.format("max_tokens, max_completion_tokens"))
    async with served(model) as url:
        config = ModelConfig(name="m", base_url=url, parameters=BOUNDED)
        async with create_agent(backend=backend, model=config) as agent:
            with pytest.raises(BadRequestError):
                await agent.run("q")
    assert len(model.requests) == requests


@pytest.mark.parametrize("handling", ["unified", "native"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [200, 401])
async def test_a_refused_key_is_told_by_its_variable_whatever_the_status(
    backend: str, handling: Any, stream: bool, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-0123456789abcdef")
    words = {"error": {"message": "Incorrect API key sk-0123456789abcdef", "code": 401}}
    model = Strict(lambda _: True, SUNNY, words=words, status=status)
    async with served(model) as url:
        parameters = ModelParameters(stream=True if stream else None)
        config = ModelConfig(name="m", base_url=url, api_key_env="SOME_KEY", parameters=parameters)
        async with create_agent(backend=backend, model=config, handling=handling) as agent:
            with pytest.raises(RunError) as raised:
                await agent.run("q")
    assert isinstance(raised.value, AuthenticationError)
    assert str(raised.value).count("check the key in SOME_KEY") == 1
    assert "sk-0123" not in str(raised.value)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("words", [{"error": {"message": "out of memory"}}, {"error": "out of memory"}])
async def test_an_error_instead_of_an_answer_never_completes_a_native_run(
    backend: str, stream: bool, words: Any
) -> None:
    parameters = ModelParameters(stream=True if stream else None)
    async with served(Strict(lambda _: True, SUNNY, words=words, status=200)) as url:
        config = ModelConfig(name="m", base_url=url, parameters=parameters)
        async with create_agent(backend=backend, model=config, handling="native") as agent:
            with pytest.raises(RunError, match="out of memory"):
                await agent.run("q")


@pytest.mark.parametrize(("limits", "told"), [(Limits(max_tokens=50), ["max_tokens"]), (Limits(), [])])
async def test_a_limit_that_cannot_hold_is_told_once(
    backend: str, limits: Limits, told: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    class WithoutUsage:
        def reply(self, request: Mapping[str, Any], key: str = "") -> Reply:
            done = any(message["role"] == "tool" for message in request["messages"])
            call = {"id": "c", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
            message = {"role": "assistant", "content": "sunny"} if done else {"role": "assistant", "tool_calls": [call]}
            body = {"id": "a", "object": "chat.completion", "choices": [{"index": 0, "message": message}]}
            return Reply(200, "application/json", chunks=(json.dumps(body).encode(),))

        def forget(self, key: str) -> None:
            """Keep nothing."""

    async with create_agent(backend=backend, model=WithoutUsage(), tools=[weather], limits=limits) as agent:
        result = await agent.run("q")
    assert (result.output, result.requests) == ("sunny", 2)
    messages = [record.getMessage() for record in caplog.records if "cannot hold" in record.getMessage()]
    assert len(messages) == len(told)
    assert all(name in message for name, message in zip(told, messages, strict=True))
    events = [name for span in result.trace.walk() for name, _, _ in span.events]
    assert events.count("usage_missing") == len(told)


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
