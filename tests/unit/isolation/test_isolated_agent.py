"""An isolated backend: tools, events, limits and cancel are as in the process, and a killed worker is an error."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from typing import Any, ClassVar, cast

import aiohttp
import pytest

from support import EVERY_BACKEND, make_script
from unified_agents import (
    BackendError,
    BackendNotInstalledError,
    ConfigError,
    Limits,
    ModelConfig,
    RunResult,
    ScriptedModel,
    UnsupportedCapabilityError,
    create_agent,
    tool,
)
from unified_agents.agent import Agent
from unified_agents.isolation import worker_process
from unified_agents.isolation.remote_seams import RemoteCalls, RemoteModel, current_remote_run
from unified_agents.isolation.worker import _closed
from unified_agents.isolation.worker_process import POOL, Place, WorkerPool

BACKEND = "smolagents"  # the one that takes least time to import
ASKS = {"tool_calls": [{"name": "add", "arguments": {"a": 1, "b": 2}}]}
PLACE = Place(BACKEND, None)
EACH = pytest.mark.parametrize(
    "backend",
    [name if name in (BACKEND, "custom") else pytest.param(name, marks=pytest.mark.proof) for name in EVERY_BACKEND],
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def _agent(
    *answers: Any, backend: str = BACKEND, tools: Any = (add,), isolated: bool = True, **options: Any
) -> Agent[Any]:
    model = ScriptedModel(make_script(*answers))
    return create_agent(backend=backend, model=model, tools=list(tools), isolated=isolated, **options)


def _pid(backend: str) -> int:
    transport = POOL.worker(Place(backend, None))._transport
    assert transport is not None
    return transport.get_pid()


@pytest.fixture(scope="module", autouse=True)
def _ended() -> Iterator[None]:
    yield
    for worker in list(POOL._workers.values()):
        worker.end()


async def _events(agent: Agent[Any]) -> list[tuple[str, Any]]:
    async with agent, agent.stream("1 + 2?") as stream:
        return [(type(event).__name__, getattr(event, "arguments", None)) async for event in stream]


@EACH
async def test_events_are_those_of_the_process(backend: str) -> None:
    answers = (ASKS, {"text": "It is 3."})
    here = await _events(_agent(*answers, backend=backend, isolated=False))
    assert await _events(_agent(*answers, backend=backend)) == here


@EACH
async def test_a_result_is_that_of_the_process(backend: str) -> None:
    async def run(*, isolated: bool) -> RunResult:
        answers = (ASKS, {"text": "It is 3."})
        async with _agent(*answers, backend=backend, isolated=isolated, instructions="Add.") as agent:
            return await agent.run("1 + 2?", record_exchanges=True)

    one, other = await run(isolated=True), await run(isolated=False)
    assert one.output == "It is 3."
    assert one.messages == other.messages
    assert one.usage == other.usage
    assert [exchange.sent for exchange in one.exchanges] == [exchange.sent for exchange in other.exchanges]
    assert one.trace.shape() == other.trace.shape()


@EACH
async def test_a_hundred_runs_at_once_in_one_worker(backend: str) -> None:
    @tool
    async def echo(n: int) -> int:
        """Give a number back."""
        await asyncio.sleep(0)
        return n

    async def one(n: int) -> str | None:
        asks = {"tool_calls": [{"name": "echo", "arguments": {"n": n}}]}
        text = {"text": {"$template": "{0}", "values": [{"$result": {"step": 0, "index": 0}}]}}
        async with _agent(asks, text, backend=backend, tools=[echo]) as agent:
            return (await agent.run("Go.")).output

    before = _pid(backend) if Place(backend, None) in POOL._workers else None
    assert await asyncio.gather(*(one(n) for n in range(100))) == [str(n) for n in range(100)]
    assert before in (None, _pid(backend))


@EACH
async def test_a_worker_that_is_killed_in_mid_run_is_an_error_and_the_next_run_has_a_new_one(backend: str) -> None:
    begun = asyncio.Event()

    @tool
    async def hold() -> str:
        """Wait for ever."""
        begun.set()
        await asyncio.Event().wait()
        return "never"

    asks = {"tool_calls": [{"name": "hold", "arguments": {}}]}
    async with _agent(asks, backend=backend, tools=[hold]) as agent:
        running = asyncio.create_task(agent.run("Go."))
        await begun.wait()
        os.kill(_pid(backend), signal.SIGKILL)
        with pytest.raises(BackendError, match=rf"the worker of backend '{backend}' died \(signal 9\)") as caught:
            await running
    assert caught.value.kind == "backend"
    assert caught.value.result is not None
    async with _agent({"text": "Again."}, backend=backend) as agent:
        assert (await agent.run("Go.")).output == "Again."


async def test_a_cancelled_run_ends_in_the_worker_too() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    @tool
    async def hold() -> str:
        """Wait for ever."""
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return "never"

    before = asyncio.all_tasks()
    async with _agent({"tool_calls": [{"name": "hold", "arguments": {}}]}, tools=[hold]) as agent:
        running = asyncio.create_task(agent.run("Go."))
        await begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert ended.is_set()
        worker = POOL.worker(PLACE)
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(asyncio.sleep(0), worker._loop))
        assert worker._channels == {}
    assert asyncio.all_tasks() == before


async def test_a_limit_holds() -> None:
    async with _agent(ASKS, {"text": "never"}) as agent:
        result = await agent.run("Go.", limits=Limits(max_steps=1))
    assert (result.status, result.limit) == ("limit", "max_steps")


def test_it_runs_from_synchronous_code_on_another_event_loop() -> None:
    with _agent(ASKS, {"text": "It is 3."}) as agent:
        assert agent.run_sync("1 + 2?").output == "It is 3."


async def test_a_worker_that_nobody_uses_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_process, "IDLE_SECONDS", 0.0)
    agent = _agent({"text": "Done."})
    assert (await agent.run("Go.")).output == "Done."
    worker = POOL.worker(PLACE)
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    told = worker._on_end
    monkeypatch.setattr(worker, "_on_end", lambda ended: (told(ended), loop.call_soon_threadsafe(over.set)))
    await agent.aclose()
    async with asyncio.timeout(10):
        await over.wait()
    assert worker.is_over


async def test_a_worker_is_kept_from_its_last_use_on() -> None:
    class Worker:
        is_over = False
        calls: ClassVar[list[str]] = []

        def send(self, message: Any) -> None:
            self.calls.append(message["type"])

        def end(self) -> None:
            self.calls.append("end")

    pool, worker = WorkerPool(), cast("Any", Worker())
    pool._workers[PLACE] = worker
    for number in (1, 2):
        pool.take(PLACE)
        pool.give_back(PLACE, number)
    pool._end_if_idle(PLACE, worker, 1)  # the timer that the first one has set
    assert Worker.calls == ["forget", "forget"]
    pool._end_if_idle(PLACE, worker, 2)
    assert Worker.calls == ["forget", "forget", "end"]


def test_the_model_client_of_a_worker_has_what_that_of_an_agent_has() -> None:
    model = ModelConfig(name="m", base_url="http://127.0.0.1:9/v1")
    with create_agent(backend="custom", model=model) as agent:
        here: Any = agent._model  # type: ignore[attr-defined]
        names = ("name", "protocol", "base_url", "timeout", "parameters", "extra_body")
        described = {name: getattr(here, name) for name in names}
        there = RemoteModel(described | {"parameters": here.parameters.model_dump(mode="json")})
        assert vars(here).keys() - vars(there).keys() == {"_wire"}
        asyncio.run(there.aclose())


@pytest.mark.parametrize("kind", ["a base URL", "aiohttp"])
async def test_clients_without_an_httpx_transport_reach_the_agents_process_too(kind: str) -> None:
    def answers(message: dict[str, Any], payload: bytes) -> None:
        said = {"type": "answer", "call": message["call"], "status": 200, "content_type": "application/json"}
        assert (message["type"], message["path"], payload) == ("model", "chat/completions", b"{}")
        asyncio.get_running_loop().call_soon(calls.take, said, b'{"said": 1}')

    calls = RemoteCalls(1, answers)
    facts = {"name": "m", "protocol": "chat_completions", "timeout": 5.0, "parameters": {}, "extra_body": {}}
    model = RemoteModel(facts | {"base_url": "http://127.0.0.1:9/v1"})
    with pytest.raises(UnsupportedCapabilityError, match="belongs to an agent"):
        await model.loopback_url().__aenter__()
    current_remote_run.set(calls)
    if kind == "aiohttp":
        async with (
            model.aiohttp_session() as session,
            session.post("http://127.0.0.1:9/v1/chat/completions", data=b"{}") as answer,
        ):
            assert await answer.json() == {"said": 1}
    else:
        async with (
            model.loopback_url() as url,
            aiohttp.ClientSession() as session,
            session.post(f"{url}/chat/completions", data=b"{}") as answer,
        ):
            assert await answer.json() == {"said": 1}
    await model.aclose()


async def test_what_a_native_agent_opened_is_closed_in_the_worker() -> None:
    closed: list[str] = []

    class Native:
        async def aclose(self) -> None:
            closed.append("native")

    class Model:
        async def aclose(self) -> None:
            closed.append("model")

    await _closed(cast("Any", Native()), cast("Any", Model()))
    await _closed(cast("Any", object()), cast("Any", Model()))
    assert closed == ["native", "model", "model"]


def test_native_and_the_own_object_are_refused() -> None:
    with pytest.raises(UnsupportedCapabilityError, match="native"):
        create_agent(
            backend="langchain", model=ScriptedModel(make_script({"text": "x"})), handling="native", isolated=True
        )
    with _agent({"text": "x"}) as agent, pytest.raises(UnsupportedCapabilityError, match="in the worker"):
        _ = agent.native


@pytest.mark.parametrize(
    ("backend", "kind", "words"),
    [
        ("langchain==0.9.*", BackendNotInstalledError, "run: unified-agents backends install 'langchain==0.9.*'"),
        ("langchian", ConfigError, "did you mean 'langchain'"),
    ],
)
def test_what_is_not_installed_names_the_command(
    backend: str, kind: type[Exception], words: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with pytest.raises(kind, match=words.replace("*", r"\*")):
        create_agent(backend=backend, model=ScriptedModel(make_script({"text": "x"})), isolated=True)
