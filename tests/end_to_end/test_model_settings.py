"""What can be said of a model reaches its server alike on every backend, under both handlings."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from support import BACKENDS, http_server, run_once
from unified_agents import (
    AuthenticationError,
    ConfigError,
    ModelCallCompleted,
    ModelParameters,
    RunError,
    RunResult,
    TextDelta,
    create_agent,
)
from unified_agents.config import load_config

BOTH = [(backend, handling) for backend in BACKENDS for handling in ("unified", "native")]
KEY = "the-k3y-of-the-model"


class ModelServer:
    """A server that answers each request with the same text, and keeps what it was sent."""

    url = ""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.bodies: list[dict[str, Any]] = []
        self.answer: dict[str, Any] = {"content": "Yes."}
        self.usage: dict[str, Any] = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        self.refusal: web.Response | None = None
        self.refuse_token = ""

    async def handle(self, request: web.Request) -> web.Response:
        """Answer a request."""
        self.requests.append(request)
        self.bodies.append(await request.json())
        if self.refuse_token and request.headers.get("Authorization") == self.refuse_token:
            return web.json_response({"error": {"message": "expired"}}, status=401)
        if self.refusal is not None:
            return self.refusal
        head = {"id": "a", "object": "chat.completion", "created": 1, "model": "m"}
        if not self.bodies[-1].get("stream"):
            choice = {"index": 0, "message": {"role": "assistant", **self.answer}, "finish_reason": "stop"}
            return web.json_response({**head, "choices": [choice], "usage": self.usage})
        head["object"] = "chat.completion.chunk"
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{"content": piece} for piece in re.findall(r"(?s).{1,5}", self.answer["content"])]
        chunks: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
        chunks += [{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]
        chunks += [{"choices": [], "usage": self.usage}]
        events = "".join(f"data: {json.dumps(head | chunk)}\n\n" for chunk in chunks)
        return web.Response(text=events + "data: [DONE]\n\n", content_type="text/event-stream")

    async def run(self, backend: str, handling: Any = "unified", **model: Any) -> RunResult:
        """Run an agent on this server."""
        settings = {"name": "m", "base_url": f"{self.url}/v1", **model}
        agent = create_agent(config={"backend": backend, "handling": handling, "model": settings})
        return await run_once(agent, record_exchanges=True)


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    running = ModelServer()
    async with http_server(running.handle) as running.url:
        yield running


@pytest.mark.parametrize(("backend", "handling"), BOTH)
async def test_parameters(server: ModelServer, backend: str, handling: str) -> None:
    same = {
        "temperature": 0.5,
        "top_p": 0.25,
        "stop": ["END"],
        "seed": 3,
        "presence_penalty": 0.5,
        "frequency_penalty": -0.5,
        "service_tier": "flex",
        "verbosity": "low",
    }
    await server.run(backend, handling, parameters={**same, "reasoning": {"effort": "high"}})
    sent = server.bodies[0]
    assert {name: sent.get(name) for name in (*same, "reasoning_effort")} == {**same, "reasoning_effort": "high"}
    assert "reasoning" not in sent


@pytest.mark.parametrize("reasoning", [{"budget": 100}, {"effort": "low", "summary": "auto"}])
def test_what_chat_completions_has_no_field_for_is_refused(reasoning: dict[str, Any]) -> None:
    match = r"Chat Completions has no field for reasoning\.(budget|summary)"
    with pytest.raises(ConfigError, match=match):
        create_agent(
            config={"model": {"name": "m", "base_url": "http://127.0.0.1:9/v1", "parameters": {"reasoning": reasoning}}}
        )
    parameters = ModelParameters.model_validate({"reasoning": reasoning})
    with pytest.raises(ConfigError, match=match):
        create_agent(model={"name": "m", "base_url": "http://127.0.0.1:9/v1"}, model_parameters=parameters)
    create_agent(model="script:examples/answers.yaml", model_parameters=parameters)


@pytest.mark.parametrize(("backend", "handling"), BOTH)
async def test_extra_body_headers_and_query(
    server: ModelServer, backend: str, handling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_HEADER", KEY + "\n")
    await server.run(
        backend,
        handling,
        base_url=f"{server.url}/v1?deployment=d%2Fe",
        parameters={"top_p": 0.5},
        extra_body={"top_k": 4, "provider": {"order": ["a"]}, "top_p": 0.25},
        headers={"X-Title": "plain", "X-Gateway": {"env": "MODEL_HEADER"}, "User-Agent": "mine"},
        query={"api-version": "2024-10-21", "more": {"env": "MODEL_HEADER"}},
    )
    (body,), (request,) = server.bodies, server.requests
    assert {name: body.get(name) for name in ("top_k", "provider", "top_p")} == {
        "top_k": 4,
        "provider": {"order": ["a"]},
        "top_p": 0.25,
    }
    assert "extra_body" not in body
    names = ("X-Title", "X-Gateway", "User-Agent", "Content-Type")
    assert [request.headers[name] for name in names] == ["plain", KEY, "mine", "application/json"]
    assert request.path == "/v1/chat/completions"
    assert dict(request.query) == {"deployment": "d/e", "api-version": "2024-10-21", "more": KEY}


@pytest.mark.parametrize(("backend", "handling"), BOTH)
@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
async def test_the_field_of_max_tokens(server: ModelServer, backend: str, handling: str, name: str) -> None:
    await server.run(backend, handling, max_tokens_field=name, parameters={"max_tokens": 99})
    sent = {key: value for key, value in server.bodies[0].items() if key.startswith("max_")}
    assert sent == {name: 99}


@pytest.mark.parametrize(
    ("auth", "sent"),
    [
        ("bearer", {"Authorization": f"Bearer {KEY}"}),
        ("api-key", {"api-key": KEY}),
        ("x-api-key", {"x-api-key": KEY}),
        ("x-goog-api-key", {"x-goog-api-key": KEY}),
    ],
)
@pytest.mark.parametrize(("backend", "handling"), BOTH)
async def test_how_a_key_is_sent(
    server: ModelServer,
    backend: str,
    handling: str,
    auth: str,
    sent: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("THE_KEY", KEY)
    await server.run(backend, handling, api_key_env="THE_KEY", auth=auth)
    names = ("Authorization", "api-key", "x-api-key", "x-goog-api-key")
    assert {name: server.requests[0].headers[name] for name in names if name in server.requests[0].headers} == sent


def test_no_key_is_looked_for_where_none_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    create_agent(model={"name": "m", "auth": "none"})
    with pytest.raises(ConfigError, match="api_key_env holds a key that this auth does not send"):
        create_agent(model={"name": "m", "auth": "none", "api_key_env": "THE_KEY"})


@pytest.mark.parametrize(("backend", "handling"), BOTH)
@pytest.mark.parametrize("is_async", [False, True])
async def test_a_function_gives_the_token_of_each_request(
    server: ModelServer, backend: str, handling: str, is_async: bool
) -> None:
    tokens = iter([f"t0ken-number-{number}-of-many" for number in range(9)])

    async def later() -> str:
        return next(tokens)

    server.refuse_token = "Bearer t0ken-number-1-of-many"
    settings = {"name": "m", "base_url": server.url, "auth": later if is_async else lambda: next(tokens)}
    agent = create_agent(backend=backend, handling=handling, model=settings)  # type: ignore[call-overload]
    async with agent:
        await agent.run("Go.")
        await agent.run("Go.")
    assert [request.headers["Authorization"][-9:-8] for request in server.requests] == ["0", "1", "2"]


@pytest.mark.parametrize("token", [None, "", "a\nb", ValueError("no login")])
async def test_a_function_that_gives_no_token_is_told_of(server: ModelServer, token: Any) -> None:
    def give() -> Any:
        if isinstance(token, Exception):
            raise token
        return token

    with pytest.raises(AuthenticationError, match=r"the function that returns the model's token (failed|returned)"):
        await run_once(create_agent(model={"name": "m", "base_url": server.url, "auth": give}))
    assert server.requests == []


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("handling", ["unified", "native"])
@pytest.mark.parametrize("backend", BACKENDS)
async def test_no_secret_is_in_errors_records_and_spans(
    server: ModelServer, backend: str, handling: Any, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_HEADER", "head3r-" + KEY)
    secrets = ["head3r-" + KEY, "qu3ry-" + KEY, "c00kie-" + KEY, "t0ken-" + KEY]
    model = {
        "name": "m",
        "base_url": server.url,
        "headers": {"X-Plain": {"env": "MODEL_HEADER"}, "Cookie": secrets[2]},
        "query": {"sig": secrets[1]},
        "auth": lambda: secrets[3],
        "policy": {"attempts": {}},
        "fallback": [{"name": "n", "base_url": server.url}],
        "parameters": {"stream": stream},
    }
    said = " and ".join([*secrets, "plain-and-no-secret"])
    server.answer = {"content": said}
    agent = create_agent(backend=backend, handling=handling, model=model)  # type: ignore[call-overload]
    async with agent:
        events = [event async for event in _events(agent)]
        result = await agent.run("Go.", record_exchanges=True)
        server.refusal = web.json_response(
            {"error": {"message": said}}, status=400, headers={"x-request-id": secrets[3]}
        )
        with pytest.raises(RunError) as raised:
            await agent.run("Go.", record_exchanges=True)
    assert secrets[3] in server.requests[0].headers["Authorization"]
    failed = raised.value.result
    assert failed is not None
    results = [str(one) for one in (failed.model_dump(), result.model_dump(), result.trace.to_dict())]
    streamed = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert [secret for secret in secrets if secret in repr(events) + streamed] == []
    for text in (str(raised.value), *results):
        assert "plain-and-no-secret" in text or "chat m" in text
        assert [secret for secret in secrets if secret in text] == []


async def _events(agent: Any) -> AsyncIterator[Any]:
    async with agent.stream("Go.") as events:
        async for event in events:
            yield event


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"extra_body": {"messages": []}}, "extra_body: messages cannot be set here"),
        ({"headers": {"a b": "c"}}, "headers: 'a b' can be no header's name"),
        ({"headers": {"Host": "c"}}, "headers: Host is set by the HTTP client"),
        ({"headers": {"X-A": "c\nd"}}, "headers: the value of X-A has a character"),
        ({"headers": {"X-A": {"env": "NO_SUCH_VARIABLE"}}}, "headers.X-A: set the environment variable NO_SUCH"),
        ({"query": {"a": {"env": "sk-1 2"}}}, "query.a.env: must be the name of an environment variable"),
        ({"proxy": "socks5://a"}, "proxy: must be the URL of an HTTP proxy"),
        ({"auth": "beerer"}, "auth: give .*'bearer'"),
        ({"tls": {"key": "k"}}, "tls: key needs cert"),
        ({"tls": {"ca": "no/such/file"}}, "tls.ca: cannot be used: No such file"),
        ({"tls": {"cert": "README.md"}}, "tls.cert: cannot be used"),
    ],
)
def test_what_cannot_be_is_refused_when_the_agent_is_made(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        create_agent(config={"model": {"name": "m", "base_url": "http://127.0.0.1:9", **settings}})


def test_the_key_is_sent_in_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_KEY", KEY)
    settings = {"name": "m", "api_key_env": "THE_KEY", "headers": {"authorization": "Basic eA=="}}
    with pytest.raises(ConfigError, match=r"headers\.Authorization: the key is sent there too"):
        create_agent(model=settings)


def test_a_version_that_yaml_reads_as_a_date_is_text(tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text("model: {name: m, query: {api-version: 2024-10-21}}")
    assert load_config(file).model.query == {"api-version": "2024-10-21"}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("backend", "handling"), BOTH)
async def test_each_kind_of_token_is_counted_and_has_its_price(
    server: ModelServer, backend: str, handling: str, stream: bool
) -> None:
    server.usage = {
        "prompt_tokens": 1000,
        "completion_tokens": 100,
        "total_tokens": 1100,
        "prompt_tokens_details": {"cached_tokens": 600, "cache_write_tokens": 300},
        "completion_tokens_details": {"reasoning_tokens": 70},
    }
    price = {"input": 10, "output": 20, "cached_input": 1, "cache_write": 12.5}
    settings = {"name": "m", "base_url": server.url, "price": price, "parameters": {"stream": stream}}
    agent = create_agent(config={"backend": backend, "handling": handling, "model": settings})
    async with agent:
        events = [event async for event in _events(agent)]
        result = await agent.run("Go.")
    expected = {
        "input_tokens": 1000,
        "output_tokens": 100,
        "cached_input_tokens": 600,
        "cache_write_tokens": 300,
        "reasoning_tokens": 70,
    }
    cost = (100 * 10 + 600 * 1 + 300 * 12.5 + 100 * 20) / 1_000_000
    assert result.usage.model_dump() == expected
    assert result.cost == pytest.approx(cost)
    (call,) = result.model_calls
    assert call.usage == result.usage
    assert call.cost == pytest.approx(cost)
    assert [event.usage for event in events if isinstance(event, ModelCallCompleted)] == [result.usage]
    (chat,) = result.trace.children
    assert {name: value for name, value in chat.attributes.items() if name.startswith("gen_ai.usage")} == {
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
        "gen_ai.usage.cache_read.input_tokens": 600,
        "gen_ai.usage.cache_write.input_tokens": 300,
        "gen_ai.usage.reasoning.output_tokens": 70,
    }


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("backend", BACKENDS)
async def test_thinking_in_the_text_is_kept_out_of_the_answer(server: ModelServer, backend: str, stream: bool) -> None:
    server.answer = {"content": "<think>\nHm, perhaps.\n</think>\n\nYes."}
    settings = {"name": "m", "base_url": server.url, "parameters": {"stream": stream}}
    for tags, expected in ((True, "Yes."), (False, server.answer["content"])):
        agent = create_agent(config={"backend": backend, "model": {**settings, "reasoning_tags": tags}})
        async with agent:
            events = [event async for event in _events(agent)]
            result = await agent.run("Go.")
        assert result.output == result.messages[-1].content == expected
        assert "".join(event.text for event in events if isinstance(event, TextDelta)) == expected


@pytest.mark.parametrize("tags", [False, True])
@pytest.mark.parametrize("backend", BACKENDS)
async def test_thinking_is_no_part_of_a_form(server: ModelServer, backend: str, tags: bool) -> None:
    server.answer = {"content": '<think>\nMaybe {"sky": 1}?\n</think>\n\n{"sky": "sunny"}'}
    schema = {"type": "object", "properties": {"sky": {"type": "string"}}, "required": ["sky"]}
    settings = {"name": "m", "base_url": server.url, "reasoning_tags": tags}
    agent = create_agent(config={"backend": backend, "model": settings}, output_type=schema)
    assert (await run_once(agent)).value == {"sky": "sunny"}
    assert len(server.requests) == 1


async def test_an_answer_that_is_thinking_alone_says_why_it_is_empty(server: ModelServer) -> None:
    server.answer = {"content": "<think>and so on"}
    with pytest.raises(RunError, match="the model's answer is empty"):
        await server.run("custom", reasoning_tags=True, policy={"attempts": {}})


@pytest.mark.parametrize(("backend", "handling"), BOTH)
async def test_the_address_of_the_environment_is_obeyed(
    server: ModelServer, backend: str, handling: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/gateway/v1")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    agent = create_agent(backend=backend, handling=handling, model="openai:m", model_parameters={"max_tokens": 5})
    async with agent:
        await agent.run("Go.")
    (request,) = server.requests
    assert (request.path, request.headers["Authorization"]) == ("/gateway/v1/chat/completions", f"Bearer {KEY}")
    if handling == "unified":
        assert server.bodies[0]["max_tokens"] == 5


@pytest.mark.parametrize("url", ["gateway.example", "http://user:a-l0ng-word@gateway.example/v1"])
def test_an_address_of_the_environment_that_cannot_be_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with pytest.raises(ConfigError, match=r"OPENAI_BASE_URL must be|must not hold a user") as raised:
        create_agent(model="openai:m")
    assert "a-l0ng-word" not in str(raised.value)
    create_agent(model="script:examples/answers.yaml")
