"""A forked process makes its own connections, to model servers and to MCP servers; the parent goes on with its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import MCP_STAND_IN, PROGRAM, ROOT, run_code
from unified_agents import Script
from unified_agents.testing.harness import ServerThread

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")

MODEL = """
import asyncio, os, sys, warnings
warnings.simplefilter("ignore")
from unified_agents import create_agent

backend, url, way = sys.argv[1:]
model = {"provider": "openai", "name": "m", "base_url": url}
agent = create_agent(backend=backend, model=model)

def ask():
    for number in range(3):
        assert agent.run_sync("q").output == "fine"
        assert asyncio.run(agent.run("q")).output == "fine"

if way == "warm":
    ask()
child = os.fork()
ask()
os.write(1, b"child\\n" if child == 0 else b"parent\\n")
if child:
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    ask()
"""

MCP = """
import asyncio, os, sys, time, warnings
warnings.simplefilter("ignore")
from unified_agents import McpServerConfig, open_catalogue
from unified_agents.tool_runner.standalone import call_tool, call_tool_sync

kind, place = sys.argv[1:]
where = {"command": [sys.executable, place]} if kind == "stdio" else {"url": place, "allow_private": True}
catalogue = open_catalogue([McpServerConfig(**where, start_timeout=20, timeout=10)])
tools = {tool.name.removeprefix("far_"): tool for tool in catalogue.tools}

def server():
    assert asyncio.run(call_tool(tools["echo"], {"text": "a"}))[0] == "{'text': 'a'}"
    return call_tool_sync(tools["pid"], {})[0]

before = server()
child = os.fork()
if child == 0:
    assert (server() == before) == (kind == "http")
    print("child", flush=True)
    sys.exit(0)
assert server() == before
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0
assert server() == before

idle = os.fork()
if idle == 0:
    sys.exit(0)  # it has not used the server, and does not wait for it
began = time.monotonic()
_, status = os.waitpid(idle, 0)
assert os.waitstatus_to_exitcode(status) == 0 and time.monotonic() - began < 5
assert server() == before
print("parent", flush=True)
"""


@pytest.mark.parametrize("way", ["warm", "cold"])
def test_a_forked_process_asks_its_model_by_connections_of_its_own(backend: str, way: str) -> None:
    with ServerThread() as server:
        url = server.add(Script.model_validate({"answers": [{"text": "fine"}], "repeat_last": True}))
        done = run_code(MODEL, backend, url, way)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split()) == ["child", "parent"]
    assert "Traceback" not in done.stderr
    assert "Unclosed" not in done.stderr


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The URL of an MCP server over HTTP that has the stand-in's tools."""
    catalogue = tmp_path / "tools.yaml"
    command = f"[{sys.executable}, {MCP_STAND_IN}]"
    catalogue.write_text(f"tools:\n  - mcp: {{command: {command}}}\n    prefix: far_\n")
    arguments = ["tools", "serve", str(catalogue), "--transport", "http", "--port", "0"]
    with subprocess.Popen([str(PROGRAM), *arguments], cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = next(line for line in process.stderr if "http" in line)
        yield "http" + line.rpartition("http")[2].split()[0].rstrip(".,")
        process.terminate()


def test_a_forked_process_starts_an_mcp_server_of_its_own() -> None:
    done = run_code(MCP, "stdio", MCP_STAND_IN)
    assert (done.returncode, done.stdout.split()) == (0, ["child", "parent"]), done.stderr
    assert "Traceback" not in done.stderr


def test_a_forked_process_begins_an_mcp_session_of_its_own(served: str) -> None:
    done = run_code(MCP, "http", served)
    assert (done.returncode, done.stdout.split()) == (0, ["child", "parent"]), done.stderr
    assert "Traceback" not in done.stderr
