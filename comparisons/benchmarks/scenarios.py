"""The scenarios that are measured, each called in a process of its own."""

from __future__ import annotations

import asyncio
import os
import time
import tracemalloc
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path

from benchmarks.contenders import add, add_in_a_thread, bare, carrier, ours
from benchmarks.framework_baselines import ALONE, LAST_ANSWERS
from benchmarks.measure import Samples, Work, cpu, wall
from benchmarks.model_server import DONE, at_once, one_by_one, serving
from unified_agents import Script, Tool, tool
from unified_agents.config.providers import ProtocolName
from unified_agents.scripted.server import ScriptServer

STEPS_PER_ROUND = 40
"""Model calls of a contender in each round: a burst that is short beside what disturbs a shared machine."""
MANY_ROUNDS = 75
"""For ratios of CPU that are held against a bar; short rounds in great number keep their intervals narrow."""
TOOL_SECONDS = 0.05
FEW_CONNECTIONS = 20
"""Connections with which httpx is about at its fastest under load, so that it is not measured at its worst."""
KEY_VARIABLE = "UNIFIED_AGENTS_BENCH_KEY"
KEY = "sk-benchmark-0123456789abcdef0123456789abcdef"

OTHER_PROTOCOLS: tuple[ProtocolName, ...] = ("responses", "messages", "generate_content")

Contender = Callable[[str], AbstractAsyncContextManager[Work]]
"""Makes what does one run, from the URL of the model."""


def custom_against_bare(calls: int, stream: bool, opentelemetry: bool) -> Samples:
    """Measure the CPU of our own loop, without and with a listener, and of the bare loop, twice."""
    if opentelemetry:
        _set_provider()
    return asyncio.run(_custom_against_bare(calls, stream))


def custom_with_key_against_bare(calls: int, stream: bool) -> Samples:
    """Measure the same with an API key, which both send, and which ours keeps out of all that comes back."""
    os.environ[KEY_VARIABLE] = KEY
    return asyncio.run(_custom_against_bare(calls, stream, key_variable=KEY_VARIABLE))


def custom_with_key_and_sync_tool_against_bare(calls: int, stream: bool) -> Samples:
    """Measure the same with an API key and with a synchronous tool, which both loops run in a thread."""
    os.environ[KEY_VARIABLE] = KEY
    return asyncio.run(_custom_against_bare(calls, stream, key_variable=KEY_VARIABLE, sync=True))


def _set_provider() -> None:
    from opentelemetry import trace  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415

    trace.set_tracer_provider(TracerProvider())


async def _custom_against_bare(
    calls: int, stream: bool, *, key_variable: str | None = None, sync: bool = False
) -> Samples:
    def by_hand(url: str) -> AbstractAsyncContextManager[Work]:
        return bare(url, stream=stream, key_variable=key_variable, threads=sync)

    def by_us(url: str, *, listen: bool = False) -> AbstractAsyncContextManager[Work]:
        used = add_in_a_thread if sync else add
        return ours(url, stream=stream, tool=used, listen=listen, key_variable=key_variable)

    await _see_that_both_send_the_same(calls, by_hand, by_us)
    with serving(one_by_one(calls)) as url:
        async with by_hand(url) as one, by_hand(url) as again, by_us(url) as run, by_us(url, listen=True) as listened:
            contenders = {"bare": one, "bare again": again, "ours": run, "ours, listened to": listened}
            return await cpu(contenders, repeats=_repeats(calls), rounds=MANY_ROUNDS)


async def _see_that_both_send_the_same(calls: int, *contenders: Contender) -> None:
    script = Script.model_validate({"answers": one_by_one(calls)})
    sent = []
    async with ScriptServer() as server:
        for contender in contenders:
            url = server.add(script)
            async with contender(url) as run:
                await run()
            sent.append([(request.body, request.headers.get("Authorization")) for request in server.requests(url)])
    assert sent[0] == sent[1], "the bare loop and ours send different requests"


def protocols_against_chat(calls: int, stream: bool) -> Samples:
    """Measure the CPU of our own loop over each protocol, and over Chat Completions twice."""
    return asyncio.run(_protocols_against_chat(calls, stream))


async def _protocols_against_chat(calls: int, stream: bool) -> Samples:
    async with AsyncExitStack() as stack:
        url = stack.enter_context(serving(one_by_one(calls)))
        spoken = {"chat_completions": None, "chat_completions again": None} | {name: name for name in OTHER_PROTOCOLS}
        contenders = {
            name: await stack.enter_async_context(ours(url, stream=stream, protocol=protocol))
            for name, protocol in spoken.items()
        }
        return await cpu(contenders, repeats=_repeats(calls), rounds=MANY_ROUNDS)


def framework_against_itself(backend: str, calls: int, stream: bool) -> Samples:
    """Measure the CPU of a framework through us, and alone, twice."""
    return asyncio.run(_framework_against_itself(backend, calls, stream))


async def _framework_against_itself(backend: str, calls: int, stream: bool) -> Samples:
    last = LAST_ANSWERS.get(backend, DONE)
    with serving(one_by_one(calls)) as url, serving(one_by_one(calls, last)) as own_url:
        async with ours(url, backend=backend, stream=stream) as through_us:
            contenders = {
                "alone": ALONE[backend](own_url, stream),
                "alone again": ALONE[backend](own_url, stream),
                "through us": through_us,
            }
            return await cpu(contenders, repeats=max(1, _repeats(calls) // 5), rounds=MANY_ROUNDS)


def parallel_tools(backend: str, sync: bool, calls: int) -> Samples:
    """Measure the wall clock of a run with tools that take 50 ms, and with tools that return at once."""
    return asyncio.run(_parallel_tools(backend, sync, calls))


async def _parallel_tools(backend: str, sync: bool, calls: int) -> Samples:
    with serving(at_once(calls)) as url:
        async with (
            ours(url, backend=backend, tool=_adding(sync, TOOL_SECONDS)) as slow,
            ours(url, backend=backend, tool=_adding(sync, 0.0)) as quick,
        ):
            return await wall({"slow": slow, "quick": quick}, repeats=1)


def _adding(sync: bool, seconds: float) -> Tool:
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        if seconds:
            time.sleep(seconds)
        return a + b

    async def add_later(a: int, b: int) -> int:
        """Add two numbers."""
        if seconds:
            await asyncio.sleep(seconds)
        return a + b

    return tool(add) if sync else tool(add_later, name="add")


def growth(short: int, long: int) -> Samples:
    """Measure the CPU of a step of a short and of a long run: our loop, the bare loop, carrying the same bodies."""
    return asyncio.run(_growth(short, long))


async def _growth(short: int, long: int) -> Samples:
    async with AsyncExitStack() as stack:
        contenders: dict[str, Work] = {}
        for calls in (short, long):
            url = stack.enter_context(serving(one_by_one(calls)))
            for name, made in (("bare", bare(url)), ("carrier", carrier(url)), ("ours", ours(url))):
                contenders[f"{name} {calls}"] = _repeated(await stack.enter_async_context(made), long // calls)
        samples = await cpu(contenders, repeats=2)
    steps = {
        f"{name} {calls}": long // calls * (calls + 1)
        for name in ("bare", "carrier", "ours")
        for calls in (short, long)
    }
    return {name: [seconds / steps[name] for seconds in each] for name, each in samples.items()}


def _repeated(work: Work, times: int) -> Work:
    async def one_after_another() -> str | None:
        return [await work() for _ in range(times)][-1]

    return one_after_another


def many_at_once(runs: int) -> Samples:
    """Measure the wall clock of so many runs at once, of our loop and of the bare loop."""
    return asyncio.run(_many_at_once(runs))


async def _many_at_once(runs: int) -> Samples:
    with serving(one_by_one(1)) as url:
        async with (
            bare(url) as by_hand,
            bare(url) as again,
            bare(url, connections=FEW_CONNECTIONS) as few,
            ours(url) as run,
        ):
            contenders = {
                "bare": together(by_hand, runs),
                "bare again": together(again, runs),
                "bare, few connections": together(few, runs),
                "ours": together(run, runs),
            }
            return await wall(contenders, repeats=1, rounds=11)


def together(work: Work, runs: int) -> Work:
    """Return what does so many runs at once."""

    async def all_of_them() -> str | None:
        answers = await asyncio.gather(*(work() for _ in range(runs)))
        assert set(answers) == {"done"}, set(answers)
        return "done"

    return all_of_them


def memory_of_many(contender: str, runs: int, traced: bool) -> float:
    """Measure the bytes that so many runs at once add at their peak.

    Args:
        contender: `bare` or `ours`.
        runs: How many at once.
        traced: Whether to count what Python allocates; else the process's resident memory is taken (Linux).
    """
    return asyncio.run(_memory_of_many(contender, runs, traced))


async def _memory_of_many(contender: str, runs: int, traced: bool) -> float:
    with serving(one_by_one(1)) as url:
        async with ours(url) if contender == "ours" else bare(url) as work:
            await work()
            if traced:
                tracemalloc.start()
            before = _resident_peak(reset=True)
            await together(work, runs)()
            if traced:
                return float(tracemalloc.get_traced_memory()[1])
            return float(_resident_peak() - before)


def _resident_peak(*, reset: bool = False) -> int:
    # Not `ru_maxrss`: a process inherits that from the one that started it, however small it is itself.
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _repeats(calls: int) -> int:
    return max(5, STEPS_PER_ROUND // (calls + 1))
