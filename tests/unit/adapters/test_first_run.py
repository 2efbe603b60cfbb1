"""The first run of a process imports what a framework puts off to then, and not on the event loop's thread."""

from __future__ import annotations

import subprocess
import sys

import pytest

from support import BACKENDS, EVERY_BACKEND

FEW = 5
"""So many small modules may be imported on the loop's thread: some milliseconds at most."""

IMPORTING_MOST = [("unified", "streamed"), ("native", "whole")]
"""Handling and way of the answer."""

PROGRAM = """
import asyncio, sys, threading
from unified_agents import ModelConfig, create_agent
from unified_agents.scripted.model import Script
from unified_agents.testing.harness import ServerThread, add, answer, call, calls

backend, handling, stream = sys.argv[1:]


class Noting:
    def __init__(self):
        self.on_loop, self.elsewhere = [], []

    def find_spec(self, name, path=None, target=None):
        (self.on_loop if threading.current_thread() is threading.main_thread() else self.elsewhere).append(name)


with ServerThread() as server:
    script = Script.model_validate({"answers": [calls(call("add", {"a": 1, "b": 2})), answer("3")]})
    model = ModelConfig(name="m", base_url=server.add(script), parameters={"stream": stream == "streamed"})
    agent = create_agent(backend=backend, handling=handling, model=model, tools=[add])

    async def first_run():
        async with agent:
            await agent.run("Add.")

    noting = Noting()
    sys.meta_path.insert(0, noting)
    asyncio.run(first_run())
    sys.meta_path.remove(noting)
    print(*noting.on_loop)
    print(*noting.elsewhere)
"""


CASES = [
    (backend, handling, stream)
    for backend in EVERY_BACKEND
    for handling in ("unified", "native")
    for stream in ("whole", "streamed")
    if backend == "custom" or (handling, stream) in IMPORTING_MOST[: 2 if backend in BACKENDS else 1]
    if (backend, handling) != ("smolagents", "native")
]
"""A framework imports about the same, however it is asked; smolagents has no `native`."""


@pytest.mark.parametrize(("backend", "handling", "stream"), CASES)
def test_a_first_run_imports_nothing_large_on_the_loops_thread(backend: str, handling: str, stream: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, backend, handling, stream],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    on_loop, elsewhere = (line.split() for line in done.stdout.splitlines())
    assert len(on_loop) <= FEW, on_loop
    assert not [name for name in on_loop if name.partition(".")[0] in ("openai", "workflows", "tiktoken")]
    assert "unified_agents.wire.http_client" in elsewhere, "the finder must see what is imported"
    late = [name for name in elsewhere if name.partition(".")[0] == "openai"]
    loads_late = backend == "llamaindex" or (backend, handling) == ("agno", "native")
    assert bool(late) is loads_late, "the others load the client with the adapter"
