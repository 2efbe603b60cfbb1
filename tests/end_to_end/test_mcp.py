"""Agents with tools of MCP servers, on every backend."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import BACKENDS, MCP_STAND_IN, PROGRAM, ROOT, scripted_model
from unified_agents import Agent, ScriptedModel, Tool, ToolCallProgress, create_agent
from unified_agents.catalogue.catalogue import Catalogue, open_catalogue
from unified_agents.interop.mcp import McpServerConfig
from unified_agents.result import RunResult

pytest.importorskip("mcp")

NPM_SERVERS = {"everything": "2026.8.31", "filesystem": "2026.8.31", "memory": "2026.8.31"}
PYPI_SERVERS = {"time": "2026.10.19", "git": "2026.10.19"}

Asked = list[tuple[str, dict[str, Any]]]


def model_asking_for(*steps: Asked) -> ScriptedModel:
    answers: list[dict[str, Any]] = [
        {"tool_calls": [{"name": name, "arguments": arguments} for name, arguments in step]} for step in steps
    ]
    return scripted_model(*answers, {"text": "done"})


async def ran(backend: str, tools: Any, *steps: Asked, handling: Any = "unified") -> RunResult:
    agent = create_agent(backend=backend, model=model_asking_for(*steps), tools=tools, handling=handling)
    try:
        return await agent.run("Go.", record_exchanges=True)
    finally:
        await agent.aclose()


def contents(result: RunResult) -> list[str]:
    return [call.content or "" for call in result.tool_calls]


def configured(folder: Path, backend: str, *steps: Asked) -> Agent:
    """An agent from a YAML file that names the stand-in, with a filter and a prefix."""
    command = json.dumps([sys.executable, str(MCP_STAND_IN)])
    text = f"""
        backend: {backend}
        model: script:unused.yaml
        tools:
          - mcp: {{command: {command}, name: stand-in}}
            prefix: far_
            exclude: [titled]
    """
    (folder / "agent.yaml").write_text(textwrap.dedent(text))
    return create_agent(folder / "agent.yaml", model=model_asking_for(*steps))


@pytest.mark.parametrize("backend", BACKENDS)
async def test_an_mcp_server_named_in_a_config_file(backend: str, tmp_path: Path) -> None:
    agent = configured(
        tmp_path,
        backend,
        [("far_echo", {"text": "a", "self": 1}), ("far_fail", {}), ("far_protocol", {})],
        [("far_steps", {}), ("far_echo", {})],
        [("far_die", {})],
        [("far_pid", {})],
    )
    progress: list[ToolCallProgress] = []
    async with agent.stream("Go.", record_exchanges=True) as events:
        async for event in events:
            if isinstance(event, ToolCallProgress):
                progress.append(event)
    result = events.result
    await agent.aclose()
    assert result is not None
    assert result.status == "completed"
    echo, fail, protocol, steps, invalid, die, pid = contents(result)
    assert echo == "{'text': 'a', 'self': 1}"
    assert fail == "Error in tool 'far_fail': no such row"
    assert "protocol error of MCP server 'stand-in': the database is on fire" in protocol
    assert steps == "done"
    assert "the arguments of tool 'far_echo' are not valid, and it was not run" in invalid
    assert "MCP server 'stand-in' ended during the call" in die
    assert [call.ok for call in result.tool_calls] == [True, False, False, True, False, False, True]
    assert [error.kind for error in result.errors] == ["tool_error", "tool_error", "invalid_input", "tool_error"]
    assert [(event.tool, event.progress, event.total, event.message) for event in progress] == [
        ("far_steps", 1, 2, "step 1"),
        ("far_steps", 2, 2, "step 2"),
    ]
    with pytest.raises(ProcessLookupError):  # closing the agent has ended the server
        os.kill(int(pid), 0)
    offered = {tool["function"]["name"]: tool["function"] for tool in json.loads(result.exchanges[0].sent)["tools"]}
    assert "far_titled" not in offered
    assert "titled" not in offered
    self_schema = offered["far_echo"]["parameters"]["properties"]["self"]["oneOf"]
    assert self_schema[0] == {"type": "integer"}


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_whole_file_of_servers_as_editors_keep_it(backend: str, tmp_path: Path) -> None:
    command = json.dumps([sys.executable, str(MCP_STAND_IN)])
    program, arguments = json.dumps(sys.executable), json.dumps([str(MCP_STAND_IN)])
    (tmp_path / "mcp.json").write_text(
        f"""{{
          // as VS Code writes it
          "inputs": [],
          "servers": {{
            "near": {{"type": "stdio", "command": {program}, "args": {arguments}, "alwaysAllow": ["echo"],}},
            "far": {{"command": {command}, "env": {{"STAND_IN_PLAIN": "red // not a comment, }}"}}}}, /* and
            another */
            "off": {{"command": "no-such-program", "disabled": true}},
          }},
        }}"""
    )
    text = f"""
        backend: {backend}
        model: script:unused.yaml
        tools:
          - mcp_file: mcp.json
            prefix: "{{server}}_"
            include: [echo, environment]
    """
    (tmp_path / "agent.yaml").write_text(textwrap.dedent(text))
    model = model_asking_for([("near_echo", {"text": "a"}), ("far_environment", {})])
    async with create_agent(tmp_path / "agent.yaml", model=model) as agent:
        result = await agent.run("Go.", record_exchanges=True)
    near, far = contents(result)
    assert near == "{'text': 'a'}"
    assert "red // not a comment, }" in far
    offered = [tool["function"]["name"] for tool in json.loads(result.exchanges[0].sent)["tools"]]
    assert sorted(offered) == ["far_echo", "far_environment", "near_echo", "near_environment"]


@pytest.mark.parametrize("backend", BACKENDS)
async def test_under_native_the_framework_calls_the_server_too(backend: str) -> None:
    with open_catalogue([McpServerConfig(command=(sys.executable, str(MCP_STAND_IN)))]) as catalogue:
        tools = [tool for tool in catalogue.tools if tool.name == "pid"]
        result = await ran(backend, tools, [("pid", {})], handling="native")
    assert result.tool_calls[0].ok
    assert (result.tool_calls[0].content or "").isdigit()


@pytest.fixture
def served_catalogue(tmp_path: Path) -> Path:
    """A catalogue of a function of ours, and of what another MCP server has."""
    command = json.dumps([sys.executable, str(MCP_STAND_IN)])
    path = tmp_path / "tools.yaml"
    path.write_text(f"tools:\n  - examples.tools:population\n  - mcp: {{command: {command}}}\n    prefix: far_\n")
    return path


async def drive(server: Any) -> None:
    """Use a served catalogue by the SDK's own client."""
    mcp = pytest.importorskip("mcp")
    seen: list[tuple[float, float | None, str | None]] = []

    async def tell(*report: Any) -> None:
        seen.append(report)

    async with mcp.Client(server) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert {"population", "far_echo", "far_steps"} < names
        found = await client.call_tool("population", {"city": "Oslo"})
        assert (found.content[0].text, found.is_error) == ("717000", False)
        wrong = await client.call_tool("population", {"town": "Oslo"})
        assert wrong.is_error
        assert "the arguments of tool 'population' are not valid" in wrong.content[0].text
        failed = await client.call_tool("far_fail", {})
        assert (failed.content[0].text, failed.is_error) == ("Error in tool 'far_fail': no such row", True)
        await client.call_tool("far_steps", {}, progress_callback=tell)
        assert seen == [(1, 2, "step 1"), (2, 2, "step 2")]


async def test_the_command_serves_over_stdio(served_catalogue: Path) -> None:
    mcp = pytest.importorskip("mcp")
    arguments = ["tools", "serve", str(served_catalogue)]
    await drive(mcp.StdioServerParameters(command=str(PROGRAM), args=arguments, cwd=ROOT))


async def test_the_command_serves_over_http_until_it_is_interrupted(served_catalogue: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(PROGRAM, "tools", "serve", served_catalogue, "--transport", "http", "--port", "0"),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    lines = [asyncio.create_task(stream.readuntil(b"/mcp")) for stream in (process.stdout, process.stderr)]
    await asyncio.wait(lines, return_when=asyncio.FIRST_COMPLETED)
    said = b"".join(line.result() for line in lines if line.done() and not line.exception()).decode()
    for line in lines:
        line.cancel()
    await drive("http" + said.rpartition("http")[2])
    process.send_signal(signal.SIGINT)
    assert await process.wait() == 0


@pytest.fixture(scope="module")
def real_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalogue]:
    """The tools of five servers that others have written, each installed apart from us."""
    npm, git = shutil.which("npm"), shutil.which("git")
    if npm is None or git is None:
        pytest.skip("npm and git are needed for real MCP servers")
    folder = tmp_path_factory.mktemp("servers")
    programs = {**_from_npm(npm, folder / "npm"), **_from_pypi(folder / "pypi")}
    files = folder / "files"
    files.mkdir()
    (files / "a.txt").write_text("Hej på dig")
    _repository(git, folder / "repository")
    servers = [
        McpServerConfig(name="everything", command=(programs["everything"],)),
        McpServerConfig(name="filesystem", command=(programs["filesystem"], str(files))),
        McpServerConfig(
            name="memory", command=(programs["memory"],), set_env={"MEMORY_FILE_PATH": str(folder / "memory.json")}
        ),
        McpServerConfig(name="time", command=(programs["time"], "--local-timezone=UTC")),
        McpServerConfig(name="git", command=(programs["git"],)),
    ]
    with open_catalogue(servers) as catalogue:
        yield catalogue


def _run(*command: str, cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


def _from_npm(npm: str, folder: Path) -> dict[str, str]:
    folder.mkdir()
    packages = [f"@modelcontextprotocol/server-{name}@{version}" for name, version in NPM_SERVERS.items()]
    _run(npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder), *packages)
    return {name: str(folder / "node_modules" / ".bin" / f"mcp-server-{name}") for name in NPM_SERVERS}


def _from_pypi(folder: Path) -> dict[str, str]:
    venv.create(folder, with_pip=True)
    packages = [f"mcp-server-{name}=={version}" for name, version in PYPI_SERVERS.items()]
    _run(str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *packages)
    return {name: str(folder / "bin" / f"mcp-server-{name}") for name in PYPI_SERVERS}


def _repository(git: str, folder: Path) -> None:
    folder.mkdir()
    _run(git, "init", "--quiet", "--initial-branch=main", cwd=folder)
    (folder / "a.txt").write_text("text")
    _run(git, "add", "a.txt", cwd=folder)
    author = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    _run(git, *author, "commit", "--quiet", "--message", "The first one", cwd=folder)


def _named(catalogue: Catalogue, *names: str) -> list[Tool]:
    found = {tool.name: tool for tool in catalogue.tools}
    return [found[name] for name in names]


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_real_servers_are_called_through_every_backend(real_servers: Catalogue) -> None:
    assert len(real_servers.tools) >= 50
    folder = Path(str(_setting(real_servers, "filesystem")))
    for backend in BACKENDS:
        result = await ran(
            backend,
            real_servers.tools,
            [
                ("echo", {"message": backend}),
                ("get-sum", {"a": 2, "b": 40}),
                ("get-tiny-image", {}),
                ("convert_time", {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}),
                ("git_log", {"repo_path": str(folder.parent / "repository"), "max_count": 1}),
                ("read_text_file", {"path": str(folder / "a.txt")}),
                ("read_text_file", {"path": "/etc/passwd"}),
                ("write_file", {"path": str(folder / f"{backend}.txt"), "content": "ü"}),
                (
                    "create_entities",
                    {"entities": [{"name": backend, "entityType": "backend", "observations": ["it works"]}]},
                ),
                ("get-sum", {"a": "two", "b": 1}),
            ],
            [("search_nodes", {"query": backend}), ("trigger-long-running-operation", {"duration": 0.2, "steps": 2})],
        )
        assert result.status == "completed"
        echo, total, image, time, log, file, outside, _, _, invalid, nodes, long = contents(result)
        assert echo == f"Echo: {backend}"
        assert "42" in total
        assert "[image image/png" in image
        assert "21:00" in time
        assert "The first one" in log
        assert "Hej på dig" in file
        assert "outside allowed directories" in outside
        assert "a: " in invalid
        assert "it was not run" in invalid
        assert "it works" in nodes
        assert "completed" in long
        assert [call.ok for call in result.tool_calls].count(False) == 2
        assert (folder / f"{backend}.txt").read_text() == "ü"


def _setting(catalogue: Catalogue, name: str) -> str:
    (tool,) = _named(catalogue, "read_text_file")
    command = tool.handler.connection.config.command
    assert tool.handler.connection.config.name == name
    return str(command[1])


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_real_server_killed_in_a_call_is_started_again(backend: str, real_servers: Catalogue) -> None:
    echo, long = _named(real_servers, "echo", "trigger-long-running-operation")
    connection = echo.handler.connection
    before = connection.restarts
    steps: list[Asked] = [
        [("echo", {"message": "1"})],
        [("trigger-long-running-operation", {"duration": 60, "steps": 600})],
        [("echo", {"message": "2"})],
    ]
    agent = create_agent(backend=backend, model=model_asking_for(*steps), tools=[echo, long])
    async with agent.stream("Go.") as events:
        async for event in events:
            if isinstance(event, ToolCallProgress) and event.progress == 1:
                _kill(connection.config.command[0])
    await agent.aclose()
    result = events.result
    assert result is not None
    first, killed, again = contents(result)
    assert (first, again) == ("Echo: 1", "Echo: 2")
    assert "MCP server 'everything' ended during the call" in killed
    assert connection.restarts == before + 1


def _kill(program: str) -> None:
    """Kill our child that runs a program."""
    found = [
        int(folder.name)
        for folder in Path("/proc").iterdir()
        if folder.name.isdigit() and program.encode() in _command_line(folder)
    ]
    assert len(found) == 1
    os.kill(found[0], signal.SIGKILL)


def _command_line(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:  # it has just ended
        return b""
