"""What each answer says of itself (finish reason, request id, rate limits) in results, events and errors."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from aiohttp import web

from support import BACKENDS, http_server
from unified_agents import (
    AttemptDiscarded,
    ContentFilterError,
    ModelCallCompleted,
    ModelCallFailed,
    ModelConfig,
    ModelParameters,
    ModelPolicy,
    RateLimitError,
    RunError,
    RunResult,
    ServerError,
    create_agent,
)

KEY = "sk-0123456789abcdef"
LIMITS = {"x-ratelimit-remaining-requests": "59", "anthropic-ratelimit-tokens-remaining": "100"}
QUICK = ModelPolicy(attempts={"rate_limit": 2, "server": 1}, wait_initial=0.01, wait_max=0.01, jitter=0.0)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def headers(number: int) -> dict[str, str]:
    return {"X-Request-ID": f"req_{number}", "X-RateLimit-Remaining-Requests": "59", **dict(list(LIMITS.items())[1:])}


def body(text: str, finish_reason: str, *, stream: bool, error: Any = None) -> tuple[str, bytes]:
    message = {"role": "assistant", "content": text}
    if not stream:
        choice = {"index": 0, "message": message, "finish_reason": finish_reason}
        return "application/json", json.dumps({"id": "a", "object": "chat.completion", "choices": [choice]}).encode()
    deltas: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": message, "finish_reason": None}]}]
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": finish_reason}]}
    deltas.append(error or end)
    lines = [*(json.dumps({"id": "a", "object": "chat.completion.chunk"} | delta) for delta in deltas), "[DONE]"]
    return "text/event-stream", "".join(f"data: {line}\n\n" for line in lines).encode()


class Server:
    """A server that gives these answers, and the last of them again and again; a number is a status of failure."""

    def __init__(self, *answers: Any, heads: bool = True) -> None:
        self._answers = answers
        self._heads = heads
        self.requests = 0

    async def answer(self, request: web.Request) -> web.Response:
        stream = bool((await request.json()).get("stream"))
        answer = self._answers[min(self.requests, len(self._answers) - 1)]
        self.requests += 1
        head = headers(self.requests) if self._heads else {}
        if isinstance(answer, int):
            return web.Response(status=answer, headers=head | {"Retry-After": "0.01"}, body=b'{"error": {}}')
        kind, raw = body(*answer[:2], stream=stream, error=answer[2] if len(answer) > 2 else None)
        return web.Response(headers={"Content-Type": kind} | head, body=raw)


async def run(
    server: Any, backend: str, *, stream: bool = False, handling: Any = "unified", key: str | None = None
) -> tuple[RunResult, RunError | None, list[Any]]:
    events: list[Any] = []
    async with http_server(getattr(server, "answer", server)) as url:
        model = ModelConfig(
            name="m",
            base_url=f"{url}/v1",
            policy=QUICK,
            api_key_env=key,
            parameters=ModelParameters(stream=True if stream else None),
        )
        async with create_agent(backend=backend, model=model, handling=handling) as agent:
            try:
                return await agent.run("q", on_event=events.append), None, events
            except RunError as error:
                return cast("RunResult", error.result), error, events


@pytest.mark.parametrize("handling", ["unified", "native"])
@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_names_its_request_and_its_limits(backend: str, handling: str, stream: bool) -> None:
    result, error, events = await run(Server(("hi", "stop")), backend, stream=stream, handling=handling)
    assert (error, result.output, result.finish_reason) == (None, "hi", "stop")
    [call] = result.model_calls
    assert (call.step, call.attempt, call.model, call.status, call.finish_reason) == (0, 1, "m", 200, "stop")
    assert (call.request_id, call.rate_limits) == ("req_1", LIMITS)
    [event] = [event for event in events if isinstance(event, ModelCallCompleted)]
    assert (event.finish_reason, event.request_id, event.rate_limits) == ("stop", "req_1", LIMITS)
    assert result.to_dict()["model_calls"][0]["rate_limits"] == LIMITS
    assert not result.exchanges


@pytest.mark.parametrize("handling", ["unified", "native"])
async def test_a_server_that_says_nothing_leaves_nothing(backend: str, handling: str) -> None:
    result, _, events = await run(Server(("hi", "stop"), heads=False), backend, handling=handling)
    assert [(call.request_id, call.rate_limits) for call in result.model_calls] == [(None, {})]
    assert [event.request_id for event in events if isinstance(event, ModelCallCompleted)] == [None]


@pytest.mark.parametrize("stream", [False, True])
async def test_each_attempt_has_its_own_record(backend: str, stream: bool) -> None:
    result, _, events = await run(Server(429, ("hi", "stop")), backend, stream=stream)
    assert [(call.attempt, call.status, call.request_id) for call in result.model_calls] == [
        (1, 429, "req_1"),
        (2, 200, "req_2"),
    ]
    assert result.model_calls[0].rate_limits == LIMITS | {"retry-after": "0.01"}
    [discarded] = [event for event in events if isinstance(event, AttemptDiscarded)]
    assert (discarded.error.request_id, discarded.error.rate_limits["retry-after"]) == ("req_1", "0.01")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_failed_run_names_the_last_request(backend: str, stream: bool) -> None:
    result, error, events = await run(Server(429), backend, stream=stream)
    assert isinstance(error, RateLimitError)
    assert (error.request_id, error.rate_limits["retry-after"]) == ("req_2", "0.01")
    assert (result.errors[-1].request_id, result.finish_reason) == ("req_2", None)
    [failed] = [event for event in events if isinstance(event, ModelCallFailed)]
    assert failed.error.request_id == "req_2"


async def test_a_failed_native_run_names_its_request_too(backend: str) -> None:
    result, error, _ = await run(Server(500), backend, handling="native")
    assert isinstance(error, ServerError)
    assert error.request_id == result.model_calls[-1].request_id == f"req_{result.requests}"
    assert error.rate_limits["retry-after"] == "0.01"


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_that_was_broken_off_says_why(backend: str, stream: bool) -> None:
    result, error, _ = await run(Server(("ha", "content_filter")), backend, stream=stream)
    assert isinstance(error, ContentFilterError)
    assert (error.finish_reason, error.request_id) == ("content_filter", "req_1")
    assert (result.finish_reason, result.errors[-1].finish_reason) == ("content_filter", "content_filter")


@pytest.mark.parametrize("handling", ["unified", "native"])
async def test_an_error_within_a_stream_names_its_request(backend: str, handling: str) -> None:
    went_away = ("ha", "", {"error": {"message": "it went away", "code": 502}})
    _, error, _ = await run(Server(went_away), backend, stream=True, handling=handling)
    assert isinstance(error, ServerError)
    assert "it went away" in str(error)
    assert error.request_id is not None


@pytest.mark.parametrize("handling", ["unified", "native"])
async def test_a_key_that_a_head_echoes_is_kept_nowhere(
    backend: str, handling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def echo(request: web.Request) -> web.Response:
        given = request.headers["Authorization"].removeprefix("Bearer ")
        kind, raw = body("hi", "stop", stream=False)
        said = {"request-id": f"r-{given}", "x-ratelimit-key": given, "retry-after": "x" * 1000}
        return web.Response(headers={"Content-Type": kind} | said, body=raw)

    monkeypatch.setenv("ECHOED_KEY", KEY)
    result, _, events = await run(echo, backend, handling=handling, key="ECHOED_KEY")
    assert result.model_calls[0].request_id == "r-***"
    assert len(result.model_calls[0].rate_limits["retry-after"]) == 200
    assert KEY not in str(result.to_dict()) + str(events)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_wait_that_a_head_asks_for_is_kept_where_the_body_has_the_error(backend: str, stream: bool) -> None:
    async def answer(request: web.Request) -> web.Response:
        error = b'{"error": {"code": 429, "message": "too many"}}'
        return web.Response(headers={"Content-Type": "application/json", "Retry-After": "0.2"}, body=error)

    _, error, events = await run(answer, backend, stream=stream)
    assert isinstance(error, RateLimitError)
    assert error.retry_after == 0.2
    assert [event.wait for event in events if isinstance(event, AttemptDiscarded)] == [0.2]
