"""A run may be cancelled wherever it waits: nothing of it goes on, and what was recorded is kept.

The event loop counts what is scheduled on it, and cancels the run at the n-th time; n goes over the whole run. The run
meets a refused request that is tried again, two tools at once (async and sync), one that is tried again, and one that
waits for another's result. Under `native` it meets two tools, and the framework's own loop.
"""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from support import BACKENDS
from unified_agents import (
    Agent,
    Limits,
    ModelConfig,
    RunResult,
    Script,
    Tool,
    ToolPolicy,
    Transient,
    create_agent,
    tool,
)
from unified_agents.backend import Capability, variants_of
from unified_agents.config import Handling, Variant
from unified_agents.registry import load_backend
from unified_agents.scripted.server import ScriptServer
from unified_agents.testing.harness import ServerThread

TURN = [
    {"name": "wait", "arguments": {"n": {"$call": 1}}},
    {"name": "work", "arguments": {"n": 3}},
    {"name": "flaky", "arguments": {}},
]
REFUSED = {"fault": {"status": 429, "retry_after": 0.001}, "times": 2}
LAST = {"text": "Done, after a while."}
SCRIPT = {"answers": [REFUSED, {"tool_calls": TURN}, LAST]}
ALONE = [{"name": "wait", "arguments": {"n": 1}}, {"name": "work", "arguments": {"n": 3}}]


@dataclass(frozen=True)
class Scene:
    """What a run goes through."""

    variant: Variant = "tool_calling"
    handling: Handling = "unified"
    limits: Limits = field(default_factory=Limits)
    ends: str = "completed"

    @property
    def script(self) -> Script:
        script = Script.model_validate(SCRIPT if self.handling == "unified" else {"answers": [TWO_ALONE, LAST]})
        return script.in_text() if self.variant == "react" else script

    @property
    def fits(self) -> list[str]:
        """The backends that have it."""
        backends = {name: load_backend(name) for name in BACKENDS}
        return [
            name
            for name, backend in backends.items()
            if self.variant in variants_of(backend)
            and (self.handling == "unified" or Capability.NATIVE in backend.capabilities)
        ]


TWO_ALONE = {"tool_calls": ALONE}
PLAIN = Scene()
POINTS = 25
SCENES = {
    "react": Scene(variant="react"),
    "native": Scene(handling="native"),
    "last-answer": Scene(limits=Limits(max_steps=1, on_limit="answer"), ends="limit"),
}


class CountingLoop(asyncio.SelectorEventLoop):
    """Counts what is scheduled, and does something at a given count."""

    count = 0
    at = -1
    then: Callable[[], object] | None = None

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        self.count += 1
        if self.count == self.at and self.then is not None:
            super().call_soon(self.then)
        return super().call_soon(callback, *args, context=context)


@dataclass
class Watch:
    """What tools and seams did, and when they were last seen to."""

    inside: int = 0
    begun: int = 0
    attempts: int = 0
    idle: threading.Event = field(default_factory=threading.Event)

    def tools(self) -> list[Tool]:
        lock = threading.Lock()

        def enter(change: int) -> None:
            with lock:
                self.inside += change
                self.begun += change > 0

        async def wait(n: int) -> int:
            """Wait."""
            enter(1)
            try:
                await asyncio.sleep(0.001)
                return n
            finally:
                enter(-1)

        def work(n: int) -> int:
            """Work."""
            enter(1)
            try:
                time.sleep(0.001)
                return n
            finally:
                enter(-1)

        async def flaky() -> str:
            """Try."""
            enter(1)
            try:
                await asyncio.sleep(0)
                self.attempts += 1
                if self.attempts % 2:
                    raise Transient("busy")
                return "at last"
            finally:
                enter(-1)

        return [tool(wait), tool(work), tool(flaky, idempotent=True)]


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptServer]:
    with ServerThread() as server:
        yield server


def make_agent(backend: str, url: str, watch: Watch, scene: Scene) -> Agent:
    return create_agent(
        backend=backend,
        model=ModelConfig(name="m", base_url=url),
        tools=watch.tools(),
        handling=scene.handling,
        variant=scene.variant,
        limits=scene.limits,
        tool_references=scene == Scene(limits=scene.limits),
        tool_policy=ToolPolicy(wait_initial=0.001, jitter=0.0),
    )


async def follow(agent: Agent, streamed: bool, ended: list[RunResult]) -> None:
    """One run; the result of a streamed one is kept however it ends."""
    if not streamed:
        ended.append(await agent.run("Do it."))
        return
    block = agent.stream("Do it.")
    events = await block.__aenter__()
    try:
        async for _ in events:
            pass
    finally:
        await block.__aexit__(None, None, None)
        async for _ in events:
            pass  # what came while the block was left
        if events.result is not None:
            ended.append(events.result)


async def one(
    backend: str, server: ScriptServer, streamed: bool, at: int, scene: Scene = PLAIN
) -> tuple[str, int, RunResult | None]:
    """Cancel a run at a count; says how it ended, and the count at its end."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, CountingLoop)
    watch = Watch()
    url = server.add(scene.script)
    agent = make_agent(backend, url, watch, scene)
    before = asyncio.all_tasks()
    ended: list[RunResult] = []
    running = asyncio.create_task(follow(agent, streamed, ended))
    loop.count, loop.at, loop.then = 0, at, running.cancel
    async with asyncio.timeout(10):
        await asyncio.wait([running])
    count, loop.at = loop.count, -1
    left = {task for task in asyncio.all_tasks() - before if task is not running}
    if left and scene.handling == "native" and backend in LEAVES_GENERATORS:
        left = (await asyncio.wait(left, timeout=1))[1]
    assert not left, f"cancelled at {at}, and tasks are left: {left}"
    requests, begun = len(server.requests(url)), watch.begun
    await agent.aclose()
    deadline = time.monotonic() + 5
    while watch.inside and time.monotonic() < deadline:  # noqa: ASYNC110  # a thread cannot be cancelled; this is short
        await asyncio.sleep(0.001)
    assert not watch.inside, f"cancelled at {at}, and a tool goes on"
    assert len(server.requests(url)) - requests <= 1, "at most the request that was on its way arrives"
    assert watch.begun - begun <= 1, "at most the thread that was being started runs"
    if running.cancelled():
        return "cancelled", count, ended[0] if ended else None
    assert running.exception() is None, f"cancelled at {at}: {running.exception()!r}"
    return "completed", count, ended[0]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_cancelled_wherever_it_waits(backend: str, streamed: bool, server: ScriptServer) -> None:
    sweep(backend, streamed, server, PLAIN, every=1)


LEAVES_GENERATORS = {"agent_framework", "agno", "google_adk", "pydantic_ai", "semantic_kernel"}
"""Frameworks that leave a generator of their own at the end of a streamed native run, for the event loop to close."""
LEAVES_A_TASK = {
    "native-pydantic_ai-streamed": "Pydantic AI leaves the task of its run's hooks when it is cancelled as that begins"
}


def sampled() -> Iterator[Any]:
    for name, scene in SCENES.items():
        for backend in scene.fits:
            for streamed in (False, True):
                id_ = f"{name}-{backend}-{'streamed' if streamed else 'whole'}"
                marks = [pytest.mark.proof] if streamed and backend != "custom" else []
                if id_ in LEAVES_A_TASK:
                    marks.append(pytest.mark.xfail(strict=True, raises=AssertionError, reason=LEAVES_A_TASK[id_]))
                yield pytest.param(scene, backend, streamed, id=id_, marks=marks)


@pytest.mark.slow
@pytest.mark.parametrize(("scene", "backend", "streamed"), list(sampled()))
def test_cancelled_in_other_loops_too(scene: Scene, backend: str, streamed: bool, server: ScriptServer) -> None:
    sweep(backend, streamed, server, scene, every=1 if backend == "custom" else None)


def sweep(backend: str, streamed: bool, server: ScriptServer, scene: Scene, *, every: int | None) -> None:
    """Cancel a run at every count, or at some 25 that are spread over it."""
    complaints: list[str] = []
    gc.collect()  # clients that other tests left to the collector would complain in this loop
    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        runner.get_loop().set_exception_handler(lambda _, context: complaints.append(str(context)))
        counts = []
        for _ in range(3):  # the first makes what is kept for the process
            how, count, result = runner.run(one(backend, server, streamed, -1, scene))
            assert (how, result is not None and result.status) == ("completed", scene.ends)
            counts.append(count)
        sockets, threads = open_sockets(), set(threading.enumerate())
        steps = min(counts)  # chunks that come together make fewer steps
        seen = []
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for at in range(1, steps + 1, every or max(1, steps // POINTS)):
                how, count, result = runner.run(one(backend, server, streamed, at, scene))
                seen.append((how, result))
                if how != "cancelled" and count < at:
                    break  # chunks that come together make a run end before its later counts
            gc.collect()
        assert_kept(seen, streamed, scene)
        assert len(seen) >= (40 if scene == PLAIN else POINTS)
        until(lambda: open_sockets() <= sockets)
        runner.run(runner.get_loop().shutdown_default_executor())  # the loop's own pool is no leak of a run
        extra = [thread for thread in threading.enumerate() if thread not in threads]
        assert not [thread for thread in extra if not thread.daemon]
        assert len(extra) <= len([how for how, _ in seen])
    assert not complaints, complaints[:3]
    open_still = [str(it.message) for it in caught if issubclass(it.category, ResourceWarning | RuntimeWarning)]
    assert not open_still, open_still[:3]


def assert_kept(seen: list[tuple[str, RunResult | None]], streamed: bool, scene: Scene) -> None:
    hows = [how for how, _ in seen]
    assert hows.count("cancelled") > len(hows) * 0.8
    if not streamed:
        return
    results = [result for how, result in seen if how == "cancelled" and result is not None]
    assert len(results) > len(hows) * 0.7
    for result in results:
        assert result.status in {"cancelled", "completed", "limit"}
        assert result.trace.end is not None
        assert all(span.end is not None for span in result.trace.walk()), "an open span in the trace"
    cancelled = [result for result in results if result.status == "cancelled"]
    assert len(cancelled) > len(results) * (0.7 if scene.ends == "completed" else 0.4)  # what was first, stands
    assert all(result.errors[-1].kind == "cancelled" for result in cancelled)
    assert max(len(list(result.trace.walk())) for result in cancelled) >= (
        5 if scene == PLAIN else 4
    )  # what had happened is kept


def open_sockets() -> int:
    count = 0
    for entry in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{entry}").startswith("socket:")
        except FileNotFoundError:
            continue
    return count


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert is_so()


def test_the_check_can_fail(server: ScriptServer, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = []

    def tools_that_leave_a_task(self: Watch) -> list[Tool]:
        async def wait(n: int) -> int:
            kept.append(asyncio.create_task(asyncio.Event().wait()))
            return n

        return [tool(wait)]

    monkeypatch.setattr(Watch, "tools", tools_that_leave_a_task)
    monkeypatch.setitem(TURN[0]["arguments"], "n", 1)
    with asyncio.Runner(loop_factory=CountingLoop) as runner, pytest.raises(AssertionError, match="tasks are left"):
        runner.run(one("custom", server, False, -1))


async def test_a_tool_that_cleans_up_when_it_is_cancelled_is_let(backend: str, server: ScriptServer) -> None:
    cleaned = []
    started = asyncio.Event()

    @tool
    async def careful() -> str:
        """Clean up."""
        started.set()
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.2)
            cleaned.append(True)
        return "done"

    script = Script.model_validate({"answers": [{"tool_calls": [{"name": "careful"}]}, {"text": "Done."}]})
    model = ModelConfig(name="m", base_url=server.add(script))
    async with create_agent(backend=backend, model=model, tools=[careful]) as agent:
        running = asyncio.create_task(agent.run("Go."))
        await started.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert cleaned == [True]
