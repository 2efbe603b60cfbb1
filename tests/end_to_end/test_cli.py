"""The command line, as a shell sees it: output, one clear line on error, exit codes."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from support import BACKENDS, MCP_STAND_IN, PROGRAM, ROOT, run_program
from unified_agents.backend import variants_of
from unified_agents.registry import backend_names, load_backend

QUESTION = "What is 15% of the population of Tokyo?"
ANSWER = "15 % of the population of Tokyo is 2100000.0 people."


def call(*arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if key != "OPENAI_API_KEY"} | environment
    return run_program(*arguments, cwd=cwd, env=env)


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("unified-agents: ")
    assert done.stdout == ""
    return lines[0]


def agent_file(folder: Path, text: str) -> str:
    (folder / "answers.yaml").write_text("answers: [{text: hello}]")
    (folder / "agent.yaml").write_text(text)
    return str(folder / "agent.yaml")


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_option_swaps_the_framework(backend: str) -> None:
    done = call("run", "examples/agent.yaml", QUESTION, "--backend", backend, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["backend"], result["status"], result["output"]) == (backend, "completed", ANSWER)
    assert result["run_id"]
    assert [call["name"] for call in result["tool_calls"]] == ["population", "percentage"]


def test_run_prints_the_answer() -> None:
    done = call("run", "examples/agent.yaml", QUESTION)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, ANSWER, "")


@pytest.mark.parametrize("backend", BACKENDS)
def test_stream_prints_the_text_of_every_answer(backend: str, tmp_path: Path) -> None:
    answers = """
        answers:
          - text: Let me look.
            tool_calls: [{name: population, arguments: {city: Oslo}}]
          - text: It is 717000.
    """
    (tmp_path / "answers.yaml").write_text(textwrap.dedent(answers))
    (tmp_path / "agent.yaml").write_text("model: script:answers.yaml\ntools: [examples.tools:population]\n")
    done = call("run", str(tmp_path / "agent.yaml"), "Oslo?", "--stream", "--backend", backend)
    assert (done.returncode, done.stdout, done.stderr) == (0, "Let me look.\nIt is 717000.\n", "")


def test_stream_and_json_do_not_go_together() -> None:
    done = call("run", "examples/agent.yaml", QUESTION, "--stream", "--json")
    assert done.returncode == 2
    assert "give one of them" in json.loads(done.stdout)["error"]["message"]


def test_help_names_every_command_and_the_exit_codes() -> None:
    done = call("--help")
    assert done.returncode == 0
    for word in ("run", "compare", "backends", "Exit codes"):
        assert word in done.stdout
    assert "resume" not in done.stdout


def test_backends_lists_what_is_registered() -> None:
    rows = json.loads(call("backends", "--json").stdout)
    assert [row["name"] for row in rows] == list(backend_names())
    assert all(row["installed"] for row in rows)


def test_a_limit_exits_with_3(tmp_path: Path) -> None:
    path = agent_file(
        tmp_path, "model: script:answers.yaml\nlimits: {max_steps: 1}\ntools: [examples.tools:population]"
    )
    (tmp_path / "answers.yaml").write_text(
        "repeat_last: true\nanswers: [{tool_calls: [{name: population, arguments: {city: Oslo}}]}]"
    )
    done = call("run", path, "go")
    assert done.returncode == 3
    assert "max_steps: 1" in one_line(done)
    done = call("run", path, "go", "--json")
    assert done.returncode == 3
    assert json.loads(done.stdout)["status"] == "limit"


BAD_FILES = {
    "malformed YAML": ("model: [", ["not valid YAML", "line"]),
    "not a mapping": ("- a", ["must be a mapping"]),
    "unknown key": ("model: script:answers.yaml\nbackned: custom", ["backned: unknown key", "did you mean 'backend'?"]),
    "unknown inner key": ("model: script:answers.yaml\nlimits: {max_step: 3}", ["limits.max_step", "'max_steps'"]),
    "unknown backend": (
        "model: script:answers.yaml\nbackend: langchian",
        ["unknown backend 'langchian'", "did you mean"],
    ),
    "no model": ("backend: custom", ["model: is missing; give it, such as openai:gpt-5-mini"]),
    "no provider": ("model: gpt-5", ["provider:name"]),
    "no key": ("model: openai:gpt-5-mini", ["OPENAI_API_KEY"]),
    "own key variable": ("model: {provider: openai, name: m, api_key_env: MY_KEY}", ["MY_KEY"]),
    "bad base_url": ("model: {provider: openai, name: m, base_url: localhost}", ["model.base_url", "http"]),
    "oracle outside a suite": ("model: 'oracle:'", ["oracle", "compare"]),
    "no such tool module": (
        "model: script:answers.yaml\ntools: [nowhere_at_all:x]",
        ["importing nowhere_at_all failed"],
    ),
    "no such tool": ("model: script:answers.yaml\ntools: [examples.tools:nope]", ["has no 'nope'"]),
    "bad tool definition": ("model: script:answers.yaml\ntools: [bad_tools:untyped]", ["untyped", "x"]),
    "tool twice": (
        "model: script:answers.yaml\ntools: [examples.tools:population, examples.tools:population]",
        ["population"],
    ),
    "bad limit": ("model: script:answers.yaml\nlimits: {timeout: 0}", ["limits.timeout"]),
    "no script": ("model: script:missing.yaml", ["missing.yaml", "cannot be read"]),
}


@pytest.mark.parametrize(("text", "words"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_input_is_one_clear_line(tmp_path: Path, text: str, words: list[str]) -> None:
    (tmp_path / "bad_tools.py").write_text("def untyped(x):\n    return x\n")
    done = call("run", agent_file(tmp_path, text), "go", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2, done.stderr
    line = one_line(done)
    for word in words:
        assert word in line


MISUSES = {
    "run, no file": (("run", "nothing.yaml", "go"), "config", "nothing.yaml: cannot be read"),
    "run, no backend": (("run", "examples/agent.yaml", "go", "--backend", "langchian"), "config", "did you mean"),
    "run, no task": (("run", "examples/agent.yaml"), "usage", "Missing argument"),
    "run, unknown option": (("run", "examples/agent.yaml", "go", "--limit", "3"), "usage", "No such option"),
    "run, unknown variant": (
        ("run", "examples/agent.yaml", "go", "--variant", "act"),
        "usage",
        "--variant': 'act' is not",
    ),
    "compare, no suite": (("compare", "quikstart"), "config", "did you mean 'quickstart'?"),
    "compare, no file": (("compare", "suites/none.yaml"), "config", "there is no suite file suites/none.yaml; the"),
    "compare, bad number": (("compare", "quickstart", "--repeats", "0"), "usage", "repeats"),
    "backends, unknown option": (("backends", "--all"), "usage", "No such option"),
    "tools, no catalogue": (("tools", "check", "nowhere_at_all:x"), "config", "nowhere_at_all"),
    "tools, bad backend": (("tools", "check", "examples.tools:population", "--backends", "x"), "config", "'x'"),
    "no such command": (("walk",), "usage", "No such command"),
}


@pytest.mark.parametrize(("arguments", "kind", "words"), MISUSES.values(), ids=MISUSES)
def test_with_json_a_script_is_told_what_went_wrong(arguments: tuple[str, ...], kind: str, words: str) -> None:
    done = call(*arguments, "--json")
    assert done.returncode == 2
    told = json.loads(done.stdout)
    assert told.keys() == {"error"}
    assert told["error"]["kind"] == kind
    assert told["error"]["type"]
    assert words in told["error"]["message"]
    assert done.stderr == f"unified-agents: {told['error']['message']}\n"


def test_without_json_wrong_usage_is_told_to_people_alone() -> None:
    done = call("backends", "--all")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "unified-agents: No such option: --all; see unified-agents backends --help\n"
    done = call()
    assert (done.returncode, done.stderr) == (2, "")
    assert "Usage:" in done.stdout, "without any word the help is shown"


def test_with_json_a_run_that_fails_is_still_a_result(tmp_path: Path) -> None:
    path = agent_file(tmp_path, "model: script:answers.yaml")
    (tmp_path / "answers.yaml").write_text("answers: [{fault: {status: 400, message: no such thing}, times: 9}]")
    done = call("run", path, "go", "--json")
    assert done.returncode == 1
    result = json.loads(done.stdout)
    assert "error" not in result
    assert (result["status"], result["errors"][-1]["kind"]) == ("failed", "bad_request")


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_option_changes_the_loop(backend: str, tmp_path: Path) -> None:
    path = agent_file(tmp_path, f"backend: {backend}\nmodel: script:answers.yaml\ntools: [examples.tools:population]")
    action = 'Action: population\\nAction Input: {\\"city\\": \\"Oslo\\"}'
    (tmp_path / "answers.yaml").write_text(f'answers: [{{text: "{action}"}}, {{text: "Final Answer: many"}}]')
    done = call("run", path, "go", "--variant", "react", "--json")
    printed = json.loads(done.stdout)
    if "react" not in variants_of(load_backend(backend)):
        assert done.returncode == 2
        assert printed["error"]["kind"] == "unsupported"
        assert f"backend '{backend}' has no variant 'react'" in printed["error"]["message"]
        return
    assert done.returncode == 0, done.stderr
    assert (printed["output"], [call["name"] for call in printed["tool_calls"]]) == ("many", ["population"])
    without = json.loads(call("run", path, "go", "--json").stdout)
    assert without["output"].startswith("Action: population")
    assert without["tool_calls"] == []


def test_a_missing_file_is_one_clear_line() -> None:
    done = call("run", "nothing.yaml", "go")
    assert done.returncode == 2
    assert "nothing.yaml: cannot be read" in one_line(done)


def test_an_unreachable_server_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = agent_file(tmp_path, f"model: {{name: m, base_url: 'http://127.0.0.1:{port}/v1'}}")
    done = call("run", path, "go")
    assert done.returncode == 1
    assert f"127.0.0.1:{port} cannot be reached" in one_line(done)


SERVE = """
import asyncio, sys
from unified_agents.scripted.model import Script
from unified_agents.scripted.server import ScriptServer

async def main():
    async with ScriptServer() as server:
        script = Script.model_validate({"answers": [{"fault": {"stall": True}}, {"text": "hello"}]})
        print(server.add(script, api_key="right-key"), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

asyncio.run(main())
"""


@pytest.fixture
def guarded_server():
    process = subprocess.Popen([sys.executable, "-c", SERVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdin is not None
    yield process.stdout.readline().strip()
    process.stdin.close()
    process.wait(timeout=20)
    process.stdout.close()


def test_a_wrong_key_names_its_variable_and_not_its_value(tmp_path: Path, guarded_server: str) -> None:
    path = agent_file(tmp_path, f"model: {{name: m, base_url: '{guarded_server}', api_key_env: MY_KEY}}")
    done = call("run", path, "go", MY_KEY="wrong-secret")
    assert done.returncode == 1
    line = one_line(done)
    assert "401" in line
    assert "MY_KEY" in line
    assert "wrong-secret" not in line


def ends_interrupted(process: subprocess.Popen[str], *, as_json: bool) -> None:
    process.send_signal(signal.SIGINT)
    printed, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert said == "unified-agents: interrupted\n"
    error = {"kind": "cancelled", "type": "KeyboardInterrupt", "message": "interrupted"}
    assert [json.loads(line) for line in printed.splitlines()] == [{"error": error}] * as_json


def started(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [PROGRAM, *arguments],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["plain", "json"])
def test_an_interrupt_exits_with_130(options: tuple[str, ...], tmp_path: Path, guarded_server: str) -> None:
    path = agent_file(
        tmp_path, f"model: {{name: m, base_url: '{guarded_server}', api_key_env: MY_KEY}}\ntools: [waiting:tell]"
    )
    (tmp_path / "waiting.py").write_text("print('ready', flush=True)\ndef tell(x: int) -> int:\n    return x\n")
    with started("run", path, "go", *options, MY_KEY="right-key", PYTHONPATH=str(tmp_path)) as process:
        printed = process.stderr if options else process.stdout
        assert printed is not None
        assert printed.readline() == "ready\n"  # its modules are loaded, and asyncio handles the signal
        ends_interrupted(process, as_json=bool(options))


@pytest.mark.parametrize("options", [(), ("--stream",), ("--json",)])
def test_a_run_with_the_tools_of_an_mcp_server(options: tuple[str, ...], tmp_path: Path) -> None:
    command = json.dumps([sys.executable, str(MCP_STAND_IN)])
    path = agent_file(
        tmp_path, f"model: script:answers.yaml\ntools: [{{mcp: {{command: {command}}}, include: [echo]}}]"
    )
    call_echo = "{tool_calls: [{name: echo, arguments: {text: hello}}]}"
    (tmp_path / "answers.yaml").write_text(f"answers: [{call_echo}, {{text: done}}]")
    done = call("run", path, "go", *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert "done" in done.stdout


BLOCKING = """
import time

async def hold() -> str:
    print("ready", flush=True)
    time.sleep(60)
    return ""
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_async_tool_that_blocks_is_told_of_and_left_at_the_second_signal(
    number: signal.Signals, tmp_path: Path
) -> None:
    path = agent_file(tmp_path, "model: script:answers.yaml\ntools: [blocking:hold]")
    (tmp_path / "answers.yaml").write_text("answers: [{tool_calls: [{name: hold}]}, {text: done}]")
    (tmp_path / "blocking.py").write_text(BLOCKING)
    with started("run", path, "go") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert "an async tool that blocks holds the event loop up; interrupt again" in process.stderr.readline()
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
    expected = {signal.SIGINT: ("interrupted", 130), signal.SIGTERM: ("terminated", 143)}[number]
    assert (said, process.returncode) == (f"unified-agents: {expected[0]}\n", expected[1])


def slow_module(folder: Path, name: str) -> Path:
    """A module that is never through with its import; and the pipe that it opens then, to read from.

    It waits in steps: a signal that arrives just before one long wait would only be looked at after it. It keeps
    the pipe in a variable: Python drops an interrupt that is raised while a file is closed by the collector.
    """
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    (folder / f"{name}.py").write_text(f"import time\npipe = open({str(pipe)!r})\nwhile True:\n    time.sleep(0.05)\n")
    return pipe


def opened_by_a_reader(pipe: Path) -> int:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:  # nobody has opened it yet
                raise
            time.sleep(0.02)
    pytest.fail("nobody reads")


@pytest.mark.parametrize("options", [("--json",), ()], ids=["json", "text"])
@pytest.mark.parametrize(
    ("command", "module"),
    [
        pytest.param(("tools", "check", "slow_catalogue"), "slow_catalogue", id="tools"),
        pytest.param(("compare", "quickstart"), "jinja2", id="compare"),
        pytest.param(("backends",), "slow_command", id="loading"),
    ],
)
def test_an_interrupt_is_told_at_any_time(
    command: tuple[str, ...], module: str, options: tuple[str, ...], tmp_path: Path
) -> None:
    pipe = slow_module(tmp_path, module)
    if module == "slow_command":
        info = tmp_path / "slow_command-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: slow-command\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[unified_agents.commands]\nslow = slow_command:slow\n")
    with started(*command, *options, PYTHONPATH=str(tmp_path)) as process:
        try:
            writing = opened_by_a_reader(pipe)
            ends_interrupted(process, as_json=bool(options))
            os.close(writing)
        finally:
            process.kill()


def backend_package(folder: Path, body: str) -> None:
    """A distribution that registers a backend, as an installer would leave it."""
    (folder / "odd_backend.py").write_text(body)
    info = folder / "odd_backend-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: odd-backend\nVersion: 1.0\nProvides-Extra: odd\n"
        'Requires-Dist: a-framework-nobody-has>=1; extra == "odd"\n'
    )
    (info / "entry_points.txt").write_text("[unified_agents.backends]\nodd = odd_backend:Odd\n")


def test_a_framework_that_is_not_installed_names_the_command(tmp_path: Path) -> None:
    backend_package(tmp_path, "import a_framework_nobody_has\n")
    path = agent_file(tmp_path, "model: script:answers.yaml\nbackend: odd")
    done = call("run", path, "go", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    line = one_line(done)
    assert "not installed" in line
    assert "pip install 'a-framework-nobody-has>=1'" in line
    listed = call("backends", PYTHONPATH=str(tmp_path), COLUMNS="200").stdout
    assert "pip install 'a-framework-nobody-has>=1'" in listed


def test_a_backend_that_is_registered_twice_is_one_clear_line(tmp_path: Path) -> None:
    backend_package(tmp_path, "")
    other = tmp_path / "other_backend-1.0.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: other-backend\nVersion: 1.0\n")
    (other / "entry_points.txt").write_text("[unified_agents.backends]\nodd = other_backend:Odd\n")
    done = call("backends", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert "registered more than once, by odd-backend, other-backend" in one_line(done)
    told = json.loads(call("backends", "--json", PYTHONPATH=str(tmp_path)).stdout)
    assert told["error"]["kind"] == "config"


def test_a_framework_that_breaks_on_import_says_why(tmp_path: Path) -> None:
    backend_package(tmp_path, "raise RuntimeError('two versions of one thing')\n")
    metadata = tmp_path / "odd_backend-1.0.dist-info" / "METADATA"
    metadata.write_text("Metadata-Version: 2.1\nName: odd-backend\nVersion: 1.0\n")
    path = agent_file(tmp_path, "model: script:answers.yaml\nbackend: odd")
    done = call("run", path, "go", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    line = one_line(done)
    assert "fails on import" in line
    assert "two versions of one thing" in line
