"""Faults in front of a model that is not ours: here a server on loopback stands for it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from unified_agents import (
    ConfigError,
    ModelConfig,
    RunResult,
    Script,
    backend_info,
    backend_names,
    create_agent,
    tool,
)
from unified_agents.config import FaultShare, ModelPolicy
from unified_agents.errors import ModelError
from unified_agents.wire.faults import FaultyUpstream, ShareFault
from unified_agents.wire.request import Offer
from unified_agents.wire.server import ScriptServer
from unified_agents.wire.target import Target
from unified_agents.wire.upstream import HttpUpstream

INSTALLED = [name for name in backend_names() if backend_info(name).installed]
POLICY = ModelPolicy(
    attempts=dict.fromkeys(("rate_limit", "network", "server", "timeout", "bad_response"), 20),
    wait_initial=0.001,
    wait_max=0.002,
    jitter=0.0,
    breaker_failures=1000,
)
CALLS = [{"tool_calls": [{"name": "add", "arguments": {"a": step, "b": 1}}]} for step in range(5)]
SCRIPT = Script.model_validate({"answers": [*CALLS, {"text": "x"}]})


@tool
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@pytest.fixture
async def server() -> AsyncIterator[ScriptServer]:
    async with ScriptServer() as running:
        yield running


async def run(backend: str, server: ScriptServer, faults: FaultShare | None, run_id: str = "one") -> RunResult:
    model = ModelConfig(name="m", base_url=server.add(SCRIPT), policy=POLICY, faults=faults)
    agent = create_agent(backend=backend, model=model, tools=[add])
    try:
        return await agent.run("q", run_id=run_id)
    finally:
        await agent.aclose()


async def test_the_same_seed_spoils_the_same_answers_on_every_backend(server: ScriptServer) -> None:
    faults = FaultShare(share=0.5, seed=3)
    results = [await run(backend, server, faults) for backend in INSTALLED]
    assert {result.status for result in results} == {"completed"}
    assert len({(result.requests, result.retries) for result in results}) == 1
    assert results[0].retries > 0


@pytest.mark.parametrize("faults", [None, FaultShare(share=0.0)])
async def test_without_a_share_nothing_is_spoilt(faults: FaultShare | None, server: ScriptServer) -> None:
    result = await run(INSTALLED[0], server, faults)
    assert (result.requests, result.retries) == (6, 0)


async def test_seed_and_run_decide_which_answers(server: ScriptServer) -> None:
    async def retries(seed: int, run_id: str) -> int:
        return (await run(INSTALLED[0], server, FaultShare(share=0.4, seed=seed), run_id)).retries

    assert await retries(1, "a") == await retries(1, "a")
    assert len({await retries(seed, "a") for seed in range(8)}) > 1
    assert len({await retries(1, str(number)) for number in range(8)}) > 1


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("429", "rate_limit"),
        ("500", "server"),
        ("reset", "network"),
        ("cut-body", "network"),
        ("html", "bad_response"),
        ("not-json", "bad_response"),
        ("empty-choices", "bad_response"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
async def test_each_fault_is_what_it_says(fault: ShareFault, kind: str, streamed: bool, server: ScriptServer) -> None:
    model = ModelConfig(name="m", base_url=server.add(SCRIPT))
    upstream = FaultyUpstream(HttpUpstream(model.url, None), share=1.0, seed=0, faults=[fault])
    body = b'{"model":"m","messages":[{"role":"user","content":"q"}],"stream":%s}' % str(streamed).lower().encode()
    listener = (lambda _texts, _begun: None) if streamed else None
    with pytest.raises(ModelError) as caught:
        await Target(model, upstream, Offer([]), None).post(body, "k", 1.0, listener, None)
    assert caught.value.kind == kind
    assert upstream.injected == {fault: 1}
    await upstream.aclose()


def test_what_is_no_share_is_refused() -> None:
    with pytest.raises(ConfigError, match="share must be from 0 to 1"):
        FaultyUpstream(HttpUpstream("http://127.0.0.1:1/v1", None), share=1.5, seed=0)
    with pytest.raises(ConfigError, match="faults must be some of"):
        FaultyUpstream(HttpUpstream("http://127.0.0.1:1/v1", None), share=0.5, seed=0, faults=[])
