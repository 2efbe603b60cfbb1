"""Helpers that tests of several rooms share: places, scripted models, runs, processes and loopback servers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from unified_agents import (
    ModelConfig,
    RunResult,
    Script,
    ScriptedModel,
    Tool,
    ToolContext,
    backend_info,
    backend_names,
    create_agent,
    tool,
)
from unified_agents.agent import Agent
from unified_agents.config import Handling
from unified_agents.scripted.server import ScriptServer
from unified_agents.testing import harness
from unified_agents.wire.protocols.base import ModelRequest, ProviderProtocol

ROOT = Path(__file__).parents[1]
"""The folder of the repository."""
MCP_STAND_IN = ROOT / "tests" / "unit" / "interop" / "mcp_stand_in.py"
"""The program that is a small MCP server over stdio."""
PROGRAM = Path(sys.executable).with_name("unified-agents")
"""The command line, as it is installed."""
CORPORA = Path(os.environ.get("UNIFIED_AGENTS_CORPORA", ""))
"""The folder of the public data sets; tests that read it are marked with `needs_corpora`."""
EVERY_BACKEND = [name for name in backend_names() if backend_info(name).installed]
"""The names of the installed backends."""
BACKENDS = [
    name
    for name in EVERY_BACKEND
    if os.environ.get("UNIFIED_AGENTS_EVERY_BACKEND") or name in ("custom", "langchain", "llamaindex")
]
"""The names of those on which tests of whole runs are made. The contract suite holds them all in any case."""

CUSTOM_AND_OTHERS_IN_THE_PROOF = [
    name if name == "custom" else pytest.param(name, marks=pytest.mark.proof) for name in BACKENDS
]
"""The same, for a test that the proof alone runs on the frameworks."""


def on_each_backend(cases: Sequence[Any], *, on_frameworks: Collection[Any]) -> list[Any]:
    """Return a backend and a case for each test: all cases on custom; on a framework the proof alone has the others."""
    return [
        pytest.param(*(name, case), marks=() if name == "custom" or case in on_frameworks else pytest.mark.proof)
        for name in BACKENDS
        for case in cases
    ]


_THE_FIRST = {"custom", "langchain", "llamaindex"}
PAIRS = [(a, b) for a in BACKENDS for b in BACKENDS if {a, b} <= _THE_FIRST or "custom" in (a, b)]
"""Where a run begins and where it goes on: all pairs of the first backends, and each further one to and from custom."""

needs_corpora = pytest.mark.skipif(
    not os.environ.get("UNIFIED_AGENTS_CORPORA"), reason="UNIFIED_AGENTS_CORPORA names no folder with the corpora"
)


@tool
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def written_request(
    protocol: ProviderProtocol, model: str, messages: Iterable[Mapping[str, Any]], **fields: Any
) -> dict[str, Any]:
    """Return the body of a request about a conversation, which is the same if a request was made after each message."""
    first, *others = [*messages, {}]
    is_system = first.get("role") in ("system", "developer")
    request = ModelRequest(model, first if is_system else None, **fields)
    whole, grown = protocol.conversation(model), protocol.conversation(model)
    for message in [*([] if is_system else [first]), *others]:
        if message:
            whole.add(message)
            grown.body(request)
            grown.add(message)
    body = whole.body(request)
    assert grown.body(request) == grown.copy().body(request) == body
    return json.loads(body)  # type: ignore[no-any-return]


def make_script(*answers: Any, **options: Any) -> Script:
    """Make a script of a model from its answers."""
    return Script.model_validate({"answers": answers, **options})


def scripted_model(*answers: Any, **options: Any) -> ScriptedModel:
    """Make a model that gives these answers, without a server."""
    return ScriptedModel(make_script(*answers, **options))


def asks_for(name: str, /, **arguments: Any) -> dict[str, Any]:
    """Make an answer of a script that asks for one tool call."""
    return {"tool_calls": [{"name": name, "arguments": arguments}]}


def agent_at(server: ScriptServer, *answers: Any, handling: Handling = "unified") -> tuple[Agent, str]:
    """Make an agent with the synchronous `add` whose model answers these at the server; return it and the base URL."""
    url = server.add(make_script(*answers))
    model = ModelConfig(name="m", base_url=url)
    return create_agent(backend="custom", model=model, tools=[harness.add], handling=handling), url


async def run_once(agent: Agent, task: Any = "Go.", **options: Any) -> RunResult:
    """Run an agent on a task, and close it however the run ends."""
    async with aclosing(agent):
        return await agent.run(task, **options)


async def call_handler(
    tool: Tool, arguments: dict[str, Any] | None = None, on_progress: Callable[..., None] | None = None
) -> Any:
    """Call the asynchronous handler of a tool as a run does, without validating the arguments."""
    context = ToolContext(run_id="r", call_id="c", step=0, tool=tool.name, on_progress=on_progress)
    return await tool.handler(**tool.arguments_for(arguments or {}, context))


def run_process(
    *command: object, timeout: float = 110, check: bool = False, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, and return its exit code and what it wrote, as text."""
    words = [str(word) for word in command]
    return subprocess.run(words, capture_output=True, text=True, timeout=timeout, check=check, **options)


def run_program(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command line `unified-agents`; the options are those of `run_process`."""
    return run_process(PROGRAM, *arguments, **options)


def run_code(code: str, *arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run Python code in an interpreter of its own; the options are those of `run_process`."""
    return run_process(sys.executable, "-c", code, *arguments, **options)


@contextmanager
def serving_model(*options: str) -> Iterator[str]:
    """Serve a model by the command, and give its URL."""
    command = [str(PROGRAM), "model", "serve", *options]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        yield url
    finally:
        _, errors = process.communicate(timeout=20)  # the end of its standard input ends it
    assert (process.returncode, errors) == (0, "")


@contextmanager
def running_code(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run Python code that prints `begun` at once and then waits for its standard input; it is killed at the end."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        try:
            yield process
        finally:
            process.kill()


def is_alive(pid: int) -> bool:
    """Tell whether a process is running."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@asynccontextmanager
async def http_server(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    *,
    method: str = "*",
    path: str = "/{rest:.*}",
    **options: Any,
) -> AsyncIterator[str]:
    """Serve HTTP on loopback while the block runs, and yield the server's URL.

    Args:
        handler: It answers each request.
        method: The method that is answered; by default each is.
        path: The path that is answered; by default each is.
        options: What else the application is made with.
    """
    app = web.Application(**options)
    app.router.add_route(method, path, handler)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def bfcl_to_json_schema(value: Any) -> Any:
    """Return a schema in BFCL's words for types as JSON Schema, at every depth."""
    words = {"dict": "object", "float": "number", "tuple": "array"}
    if isinstance(value, list):
        return [bfcl_to_json_schema(item) for item in value]
    if not isinstance(value, dict):
        return value
    schema = {
        key: bfcl_to_json_schema(item) for key, item in value.items() if key != "optional" or isinstance(item, dict)
    }
    if isinstance(schema.get("type"), str):
        schema["type"] = words.get(schema["type"], schema["type"])
        if schema["type"] == "any":
            del schema["type"]
    return schema
