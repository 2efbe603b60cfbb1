"""Faults put in front of a real model, for which a server on loopback stands here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, get_args

import pytest

from support import BACKENDS, add
from unified_agents import (
    ConfigError,
    FaultShare,
    ModelConfig,
    ModelPolicy,
    RunError,
    RunResult,
    Script,
    create_agent,
    tool,
)
from unified_agents.config import Handling, ModelParameters, ShareFault
from unified_agents.errors import ModelError
from unified_agents.run.measurements import ExchangeRecord
from unified_agents.scripted.faults import FAULTS, RECOVERABLE, FaultyUpstream
from unified_agents.scripted.server import ScriptServer
from unified_agents.wire.connection import ServerConnection
from unified_agents.wire.endpoint import ModelEndpoint
from unified_agents.wire.http_upstream import HttpUpstream

POLICY = ModelPolicy(
    attempts=dict.fromkeys(("rate_limit", "network", "server", "timeout", "bad_response"), 20),
    wait_initial=0.001,
    wait_max=0.002,
    jitter=0.0,
    breaker_failures=1000,
)
CALLS = [{"tool_calls": [{"name": "add", "arguments": {"a": step, "b": 1}}]} for step in range(5)]
SCRIPT: dict[str, Any] = {"answers": [*CALLS, {"text": "x"}]}
TWO = [{"name": "add", "arguments": {"a": 1, "b": 2}}, {"name": "add", "arguments": {"a": 3, "b": 4}}]
TRANSPORT: tuple[ShareFault, ...] = ("status-429", "status-500", "reset", "cut-body", "html", "empty-answer")
SILENT = {"slow-first-token", "slow-stream", "stalled"}
IN_CALLS = RECOVERABLE[RECOVERABLE.index("broken-json") :]


async def run(
    backend: str,
    url: str,
    faults: FaultShare | None,
    run_id: str = "one",
    *,
    stream: bool = False,
    handling: Handling = "unified",
) -> RunResult:
    wait = 0.3 if faults is not None and SILENT & set(faults.kinds) else 10.0
    model = ModelConfig(
        name="m",
        base_url=url,
        policy=POLICY,
        faults=faults,
        timeout=wait,
        parameters=ModelParameters(stream=stream),
    )
    agent = create_agent(backend=backend, model=model, tools=[add], handling=handling)
    try:
        return await agent.run("q", run_id=run_id)
    finally:
        await agent.aclose()


def served(server: ScriptServer, *answers: Mapping[str, Any]) -> str:
    """A model that repeats its answer when it is told of a fault, as one that is real may."""
    return server.add(Script.model_validate({"answers": list(answers)}))


def seen(result: RunResult) -> dict[str, object]:
    """What must be the same everywhere."""
    return {
        "requests": result.requests,
        "retries": result.retries,
        "calls": [(call.name, call.arguments, call.ok, call.content) for call in result.tool_calls],
        "errors": [(error.kind, error.message) for error in result.errors],
    }


@pytest.mark.parametrize("kinds", [TRANSPORT, (*TRANSPORT, *IN_CALLS)], ids=["transport", "calls too"])
async def test_the_same_seed_spoils_the_same_answers_on_every_backend(
    kinds: tuple[ShareFault, ...], server: ScriptServer
) -> None:
    faults = FaultShare(share=0.5, seed=3, kinds=kinds)
    url = server.add(Script.model_validate(SCRIPT))
    results = [await run(backend, url, faults) for backend in BACKENDS]
    assert {result.status for result in results} == {"completed"}
    assert all(seen(result) == seen(results[0]) for result in results)
    assert trouble(results[0])[kinds is not TRANSPORT] > 0


@pytest.mark.parametrize("faults", [None, FaultShare(share=0.0)])
async def test_without_a_share_nothing_is_spoilt(faults: FaultShare | None, server: ScriptServer) -> None:
    result = await run(BACKENDS[0], server.add(Script.model_validate(SCRIPT)), faults)
    assert (result.requests, result.retries, result.errors) == (6, 0, ())


async def test_seed_and_run_decide_which_answers(server: ScriptServer) -> None:
    url = server.add(Script.model_validate(SCRIPT))

    async def retries(seed: int, run_id: str) -> int:
        faults = FaultShare(share=0.4, seed=seed, kinds=TRANSPORT)
        return (await run(BACKENDS[0], url, faults, run_id)).retries

    assert await retries(1, "a") == await retries(1, "a")
    assert len({await retries(seed, "a") for seed in range(8)}) > 1
    assert len({await retries(1, str(number)) for number in range(8)}) > 1


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("kind", RECOVERABLE)
async def test_each_kind_is_got_over_alike_on_every_backend(
    kind: ShareFault, stream: bool, server: ScriptServer
) -> None:
    if kind == "slow-stream" and not stream:
        pytest.skip("an answer that is not streamed has no pieces")
    faults = FaultShare(share=1.0, kinds=(kind,), most=1)
    found = []
    for backend in BACKENDS:
        url = served(server, {"tool_calls": TWO}, *([{"tool_calls": TWO}] if again(kind) else []), {"text": "done"})
        result = await run(backend, url, faults, stream=stream)
        assert (result.status, result.output) == ("completed", "done")
        assert {call.content for call in result.tool_calls[-2:]} == {"3", "7"}
        found.append(seen(result))
        assert trouble(result) == expected_trouble(kind)
    assert all(one == found[0] for one in found)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_without_a_fault_there_is_no_trouble(stream: bool, server: ScriptServer) -> None:
    for backend in BACKENDS:
        result = await run(backend, served(server, {"tool_calls": TWO}, {"text": "done"}), None, stream=stream)
        assert trouble(result) == (0, 0)


def trouble(result: RunResult) -> tuple[int, int]:
    """How many requests were made again, and how many calls were refused."""
    return result.retries, sum(not call.ok for call in result.tool_calls)


def expected_trouble(kind: ShareFault) -> tuple[int, int]:
    """What a single fault gives; calls that have no id, or share one, only run."""
    if kind in ("duplicate-ids", "empty-ids"):
        return 0, 0
    return (0, 1) if again(kind) else (1, 0)


def again(kind: ShareFault) -> bool:
    """Whether the model is told of the fault, and asked what to do about it."""
    return kind in ("length", *IN_CALLS) and kind not in ("duplicate-ids", "empty-ids")


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("status-400", "bad_request"),
        ("status-401", "auth"),
        ("status-403", "auth"),
        ("status-404", "bad_request"),
        ("retry-after-too-long", "rate_limit"),
    ],
)
async def test_what_ends_a_run_comes_only_where_it_is_named(kind: ShareFault, error: str, server: ScriptServer) -> None:
    assert kind not in RECOVERABLE
    for backend in BACKENDS:
        url = served(server, {"text": "done"})
        with pytest.raises(RunError) as caught:
            await run(backend, url, FaultShare(share=1.0, kinds=(kind,), most=1))
        assert caught.value.kind == error
        assert not server.requests(url)


async def test_where_a_kind_does_not_fit_another_is_taken_or_none(server: ScriptServer) -> None:
    url = served(server, {"text": "done"})
    none = await run(BACKENDS[0], url, FaultShare(share=1.0, kinds=IN_CALLS))
    assert (none.requests, none.retries) == (1, 0)
    other = await run(BACKENDS[0], url, FaultShare(share=1.0, kinds=(*IN_CALLS, "empty-answer"), most=1))
    assert other.retries == 1


async def test_an_answer_is_never_altered_into_another_that_is_right(server: ScriptServer) -> None:
    """A call may leave out what has a default: that is no missing argument."""

    @tool
    async def look(query: str, pages: int = 1) -> str:
        """Look."""
        return f"{query} {pages}"

    url = served(
        server, *[{"tool_calls": [{"name": "look", "arguments": {"query": "q", "pages": 2}}]}] * 2, {"text": "x"}
    )
    faults = FaultShare(share=1.0, kinds=("missing-argument",), most=1)
    async with create_agent(model=ModelConfig(name="m", base_url=url, faults=faults), tools=[look]) as agent:
        result = await agent.run("q")
    assert [json.loads(call.arguments) for call in result.tool_calls] == [{"pages": 2}, {"query": "q", "pages": 2}]
    assert [call.ok for call in result.tool_calls] == [False, True]


async def test_under_native_handling_the_framework_meets_them(server: ScriptServer) -> None:
    faults = FaultShare(share=1.0, kinds=("unknown-tool",), most=1)
    for backend in BACKENDS:
        url = served(server, {"tool_calls": TWO[:1]}, {"text": "done"})
        result = await run(backend, url, faults, handling="native")
        assert result.tool_calls[0].name == "add_now"


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("status-429", "rate_limit"),
        ("status-500", "server"),
        ("reset", "network"),
        ("cut-body", "network"),
        ("html", "bad_response"),
        ("not-json", "bad_response"),
        ("empty-choices", "bad_response"),
        ("slow-first-token", "timeout"),
        ("stalled", "timeout"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
async def test_each_fault_is_what_it_says(fault: ShareFault, kind: str, streamed: bool, server: ScriptServer) -> None:
    model = ModelConfig(name="m", base_url=server.add(Script.model_validate(SCRIPT)), timeout=0.3)
    upstream = FaultyUpstream(HttpUpstream(ServerConnection(model.url)), FaultShare(share=1.0, kinds=(fault,)))
    body = b'{"model":"m","messages":[{"role":"user","content":"q"}],"stream":%s}' % str(streamed).lower().encode()
    listener = (lambda _texts, _begun, _thoughts: None) if streamed else None
    with pytest.raises(ModelError) as caught:
        await ModelEndpoint(model, upstream).post(
            body, "k", 1.0, listener, ExchangeRecord(0, 1, "m", keeps_bodies=False)
        )
    assert caught.value.kind == kind
    assert upstream.injected == {fault: 1}
    await upstream.aclose()


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("fault", "ids"), [("empty-ids", {""}), ("duplicate-ids", {"earlier"})])
async def test_ids_are_no_ids(fault: ShareFault, ids: set[str], streamed: bool, server: ScriptServer) -> None:
    model = ModelConfig(name="m", base_url=served(server, {"text": "unasked"}, {"tool_calls": TWO}))
    upstream = FaultyUpstream(HttpUpstream(ServerConnection(model.url)), FaultShare(share=1.0, kinds=(fault,)))
    call = {"id": "earlier", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    said = [{"role": "user", "content": "q"}, {"role": "assistant", "content": None, "tool_calls": [call]}]
    body = json.dumps({"model": "m", "messages": said, "stream": streamed}).encode()
    listener = (lambda _texts, _begun, _thoughts: None) if streamed else None
    answer = await ModelEndpoint(model, upstream).post(
        body, "k", 1.0, listener, ExchangeRecord(0, 1, "m", keeps_bodies=False)
    )
    assert ({call.id for call in answer.calls}, len(answer.calls)) == (ids, 2)
    assert answer.finish_reason == "tool_calls"
    await upstream.aclose()


def test_every_name_has_a_fault() -> None:
    assert set(FAULTS) == set(get_args(ShareFault))


def test_what_is_no_share_is_refused() -> None:
    with pytest.raises(ConfigError, match="share: must be at most 1"):
        FaultShare(share=1.5)
    with pytest.raises(ConfigError, match=r"kinds\.0: did you mean 'status-408'"):
        FaultShare(kinds=("status-418",))  # type: ignore[arg-type]
