"""The default policies on every backend: bounded failures, timeouts, retries, references and hung tools."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from aiohttp import web

from support import BACKENDS, add, asks_for, is_alive, make_script
from unified_agents import (
    AttemptDiscarded,
    ConfigError,
    Event,
    Limits,
    ModelCallFailed,
    ModelConfig,
    ModelParameters,
    ModelPolicy,
    RunEnded,
    RunError,
    RunResult,
    ToolCallFailed,
    ToolCallRetried,
    ToolPolicy,
    Transient,
    create_agent,
    load_config,
    tool,
)
from unified_agents.scripted.server import ScriptServer

QUICK = {"wait_initial": 0.001, "wait_max": 0.002, "jitter": 0.001}
AT_ONCE = ToolPolicy(wait_initial=0.0, jitter=0.0)
HELLO = {"text": "hello"}


# ---- a fault that never clears, under the default policy ----

FOR_EVER: dict[str, tuple[dict[str, Any], set[str], int]] = {
    "429": ({"status": 429}, {"rate_limit"}, 4),
    "500": ({"status": 500}, {"server"}, 4),
    "503": ({"status": 503}, {"server"}, 4),
    "reset": ({"disconnect": True}, {"network"}, 4),
    "cut body": ({"truncate": True}, {"network", "bad_response"}, 4),
    "HTML": ({"html": True}, {"bad_response"}, 2),
    "no JSON": ({"not_json": True}, {"bad_response"}, 2),
    "no choices": ({"empty_choices": True}, {"bad_response"}, 2),
    "empty": ({"empty_answer": True}, {"bad_response"}, 2),
}
LONGEST_TEXT = {"text": " ".join(map(str, range(300)))}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_a_fault_that_never_clears_ends_after_waits_of_under_8_seconds_and_alike(
    streamed: bool, server: ScriptServer
) -> None:
    async def run(backend: str, fault: dict[str, Any]) -> tuple[str, int, float]:
        waits: list[float] = []

        def listen(event: Event) -> None:
            if isinstance(event, AttemptDiscarded):
                waits.append(event.wait)

        url = server.add(make_script({"fault": fault, "times": 99}, LONGEST_TEXT))
        config = ModelConfig(name="m", base_url=url, parameters=ModelParameters(stream=streamed or None))
        agent = create_agent(backend=backend, model=config)
        started = time.monotonic()
        with pytest.raises(RunError) as caught:
            await agent.run("q", on_event=listen)
        assert time.monotonic() - started >= sum(waits), "the waits were waited for"
        await agent.aclose()
        return caught.value.kind, len(server.requests(url)), sum(waits)

    places = [(backend, name) for name in FOR_EVER for backend in BACKENDS]
    seen = await asyncio.gather(*(run(backend, FOR_EVER[name][0]) for backend, name in places))
    found = dict(zip(places, seen, strict=True))
    for name, (_, kinds, requests) in FOR_EVER.items():
        outcomes = {found[backend, name][:2] for backend in BACKENDS}
        assert len(outcomes) == 1, f"{name}: {outcomes}"
        ((kind, asked),) = outcomes
        assert kind in kinds
        assert asked == requests
    longest = max(waits for _, _, waits in seen)
    assert 0.25 + 0.5 + 1.0 < longest < 8


def test_timeouts_are_there_by_default_and_cannot_be_taken_away(tmp_path: Path) -> None:
    config, limits = ModelConfig(name="m"), Limits()

    @tool
    def nothing() -> str:
        return ""

    times = [config.timeout, config.first_token_timeout, config.token_timeout, limits.timeout, nothing.timeout]
    assert all(isinstance(seconds, float) and 0 < seconds < float("inf") for seconds in times)
    for key in ("timeout", "first_token_timeout", "token_timeout"):
        (tmp_path / "agent.yaml").write_text(f"model: {{name: m, {key}: null}}")
        with pytest.raises(ConfigError, match=key):
            load_config(tmp_path / "agent.yaml")


# ---- everything that is retried, repaired or given up is logged, and an event ----


@tool(idempotent=True)
async def flaky(times: int) -> str:
    """Fail so many times."""
    tried[0] += 1
    if tried[0] <= times:
        raise Transient("busy")
    return "at last"


tried = [0]
DEAD = {"fault": {"status": 500}, "times": 99}
FORM = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
Watched = tuple[list[dict[str, Any]], dict[str, Any], type[Event], str, str, str]
WATCHED: dict[str, Watched] = {
    "a request": (
        [{"fault": {"status": 503}}, HELLO],
        {},
        AttemptDiscarded,
        "server",
        "model call: retry after server",
        "retry",
    ),
    "a model": ([DEAD, HELLO], {"fallback": True}, AttemptDiscarded, "server", "fallback after server", "fallback"),
    "a form": (
        [{"text": "{}"}, {"text": '{"n": 1}'}],
        {"output_type": FORM},
        AttemptDiscarded,
        "bad_response",
        "asked to mend its answer",
        "repair",
    ),
    "a cut answer": (
        [{"fault": {"finish_reason_length": True}}, {"text": "a long story"}, HELLO],
        {},
        AttemptDiscarded,
        "bad_response",
        "asked to mend its answer",
        "repair",
    ),
    "arguments": (
        [asks_for("add", a="x", b=1), HELLO],
        {},
        ToolCallFailed,
        "invalid_input",
        "tool call failed: invalid_input",
        "",
    ),
    "broken JSON": (
        [{"tool_calls": [{"name": "add", "arguments": '{"a": 1'}]}, HELLO],
        {},
        ToolCallFailed,
        "invalid_input",
        "tool call failed: invalid_input",
        "",
    ),
    "a tool's name": (
        [asks_for("ad", a=1, b=1), HELLO],
        {},
        ToolCallFailed,
        "tool_not_found",
        "tool call failed: tool_not_found",
        "",
    ),
    "a tool": (
        [asks_for("flaky", times=1), HELLO],
        {},
        ToolCallRetried,
        "tool_error",
        "tool call: retry after tool_error",
        "retry",
    ),
    "a tool for good": (
        [asks_for("flaky", times=99), HELLO],
        {},
        ToolCallFailed,
        "tool_error",
        "tool call failed: tool_error",
        "retry",
    ),
    "a model for good": ([DEAD, HELLO], {}, ModelCallFailed, "server", "run failed: server", "retry"),
}


async def watched(
    backend: str, server: ScriptServer, answers: list[dict[str, Any]], *, fallback: bool = False, **options: Any
) -> tuple[list[Event], RunResult]:
    tried[0] = 0
    spare = (ModelConfig(name="spare", base_url=server.add(make_script(HELLO))),) if fallback else ()
    policy = ModelPolicy(**QUICK | {"attempts": {"server": 2, "bad_response": 2}})
    config = ModelConfig(name="m", base_url=server.add(make_script(*answers)), policy=policy, fallback=spare)
    agent = create_agent(backend=backend, model=config, tools=[add, flaky], tool_policy=AT_ONCE, **options)
    events: list[Event] = []
    try:
        await agent.run("q", on_event=events.append)
    except RunError:
        pass  # it stands in the result of the last event
    finally:
        await agent.aclose()
    last = events[-1]
    assert isinstance(last, RunEnded)
    return events, last.result


NOTICES = (AttemptDiscarded, ModelCallFailed, ToolCallFailed, ToolCallRetried)


@pytest.mark.parametrize("what", WATCHED)
async def test_what_is_tried_again_mended_or_given_up_is_told(
    what: str, backend: str, server: ScriptServer, caplog: pytest.LogCaptureFixture
) -> None:
    answers, options, event, kind, line, in_trace = WATCHED[what]
    caplog.set_level(logging.INFO, "unified_agents")
    events, result = await watched(backend, server, answers, **options)
    notices = [one for one in events if isinstance(one, event)]
    assert notices
    assert {one.error.kind for one in notices} == {kind}  # type: ignore[attr-defined]
    assert line in caplog.text
    assert {record.run_id for record in caplog.records if line in record.getMessage()} == {result.run_id}  # type: ignore[attr-defined]
    if in_trace:
        assert in_trace in {name for span in result.trace.walk() for name, _, _ in span.events}
    else:
        assert kind in {span.error for span in result.trace.walk()}


async def test_of_a_run_without_a_fault_nothing_of_that_is_told(
    backend: str, server: ScriptServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "unified_agents")
    events, result = await watched(backend, server, [asks_for("add", a=1, b=2), asks_for("flaky", times=0), HELLO])
    assert not [event for event in events if isinstance(event, NOTICES)]
    assert not [span for span in result.trace.walk() if span.events or span.error]
    assert {record.getMessage().partition(":")[0] for record in caplog.records} <= {"run started", "run ended"}


# ---- calls that refer to each other ----


@tool
def rows() -> dict[str, Any]:
    """Rows."""
    return {"rows": [{"n": 7}, {"n": 9}]}


@tool
def show(value: Any) -> str:
    """Show a value."""
    return json.dumps(value)


@tool
def double(n: int) -> int:
    """Double a number."""
    return 2 * n


@tool
def boom() -> str:
    """Fail."""
    raise ValueError("no")


TURN = [
    {"name": "show", "arguments": {"value": {"$call": "mine", "path": "/rows/1"}}},
    {"name": "rows", "arguments": {}, "id": "mine"},
    {"name": "double", "arguments": {"n": {"$call": 1, "path": "/rows/0/n"}}},
    {"name": "double", "arguments": {"n": {"$call": 1}}},
    {"name": "show", "arguments": {"value": ["a", {"deep": {"$call": 2}}]}},
    {"name": "show", "arguments": {"value": 'see {"$call": 1}'}},
    {"name": "show", "arguments": {"value": {"$call": 7}}},
    {"name": "show", "arguments": {"value": {"$call": 6}}},
    {"name": "boom", "arguments": {}},
    {"name": "show", "arguments": {"value": {"$call": 8}}},
]


@pytest.mark.parametrize("references", [True, False])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_calls_that_refer_to_each_other(
    backend: str, streamed: bool, references: bool, server: ScriptServer
) -> None:
    url = server.add(make_script({"tool_calls": TURN}, HELLO))
    config = ModelConfig(name="m", base_url=url, parameters=ModelParameters(stream=streamed or None))
    agent = create_agent(
        backend=backend, model=config, tools=[rows, show, double, boom], tool_references=references, instructions="x"
    )
    result = await agent.run("q", limits=Limits(timeout=10))
    await agent.aclose()
    assert result.output == "hello"
    told = [call.content or "" for call in result.tool_calls]
    system = server.requests(url)[0].body["messages"][0]["content"]
    assert ("$call" in system) is references
    if not references:  # then it is data like any other
        assert json.loads(told[0]) == {"$call": "mine", "path": "/rows/1"}
        assert [call.ok for call in result.tool_calls].count(
            False
        ) == 3  # two that want a number, and the one that fails
        return
    assert [json.loads(told[place]) for place in (0, 2, 4)] == [{"n": 9}, 14, ["a", {"deep": 14}]]
    assert json.loads(told[5]) == 'see {"$call": 1}'  # whole values only, never a part of a text
    assert "n: " in told[3]  # resolved before it is validated
    assert "must be an integer" in told[3]
    assert "in a circle (call 6 → call 7 → call 6)" in told[6]
    assert "in a circle (call 7 → call 6 → call 7)" in told[7]
    assert "needs the result of call 8 ('boom'), which failed" in told[9]
    assert result.tool_calls[3].received is None


# ---- hard stops ----

HANGING = """
import os, time
from pathlib import Path

def hang(folder: str) -> str:
    path = Path(folder)
    (path / "new").write_text(str(os.getpid()))
    (path / "new").rename(path / "pid")
    while not (path / "release").exists():
        time.sleep(0.01)
    return "released"
"""


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[ModuleType]:
    (tmp_path / "hanging_tools_of_a_test.py").write_text(HANGING)
    sys.path.insert(0, str(tmp_path))
    yield importlib.import_module("hanging_tools_of_a_test")
    sys.path.remove(str(tmp_path))
    del sys.modules["hanging_tools_of_a_test"]


@pytest.mark.parametrize("isolate", ["process", None])
async def test_a_hung_tool_is_killed_where_it_has_a_process_and_given_up_where_it_has_a_thread(
    isolate: Any, hanging: ModuleType, tmp_path: Path, server: ScriptServer
) -> None:
    async def run(backend: str) -> tuple[RunResult, int, bool]:
        folder = tmp_path / backend
        folder.mkdir()
        url = server.add(make_script(asks_for("hang", folder=str(folder)), HELLO))
        one = tool(hanging.hang, isolate=isolate, timeout=3.0 if isolate else 0.3)
        agent = create_agent(backend=backend, model=ModelConfig(name="m", base_url=url), tools=[one])
        try:
            result = await agent.run("q")
            pid = int((folder / "pid").read_text())
            return result, pid, is_alive(pid)
        finally:
            (folder / "release").touch()
            await agent.aclose()

    for result, pid, alive in await asyncio.gather(*map(run, BACKENDS)):
        assert (result.status, result.output) == ("completed", "hello")
        assert result.errors[0].kind == "timeout"
        assert "did not finish within" in (result.tool_calls[0].content or "")
        abandoned = [error for error in result.errors if "abandoned" in error.message]
        if isolate is None:
            assert pid == os.getpid()
            assert len(abandoned) == 1
            continue
        assert pid != os.getpid()
        assert not abandoned
        assert not alive


# ---- the pace that a server bears ----


class Narrow:
    """A server that refuses whoever comes while as many as it bears are inside."""

    def __init__(self, bears: int) -> None:
        self.bears = bears
        self.inside = self.refused = self.served = 0

    async def handle(self, request: web.Request) -> web.Response:
        if self.inside >= self.bears:
            self.refused += 1
            return web.json_response({"error": {"message": "slow down"}}, status=429)
        self.inside += 1
        try:
            await asyncio.sleep(0.02)
        finally:
            self.inside -= 1
        self.served += 1
        message = {"role": "assistant", "content": "hello"}
        return web.json_response({"id": "x", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})


async def refusals(backend: str, *, adaptive: bool, runs: int = 40) -> int:
    narrow = Narrow(bears=4)
    app = web.Application()
    app.router.add_post("/{rest:.*}", narrow.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    policy = ModelPolicy(
        attempts={"rate_limit": 200}, wait_initial=0.005, wait_max=0.02, jitter=0.005, adaptive_rate=adaptive
    )
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    agent = create_agent(backend=backend, model=ModelConfig(name="m", base_url=url, policy=policy))
    try:
        results = await asyncio.gather(*(agent.run("q") for _ in range(runs)))
    finally:
        await agent.aclose()
        await runner.cleanup()
    assert [result.output for result in results] == ["hello"] * runs
    assert narrow.served == runs
    assert sum(result.retries for result in results) == narrow.refused
    return narrow.refused


async def test_runs_at_once_share_the_pace_that_the_server_bears(backend: str) -> None:
    adaptive, stubborn = await refusals(backend, adaptive=True), await refusals(backend, adaptive=False)
    assert stubborn > 40
    assert adaptive < 0.7 * stubborn
