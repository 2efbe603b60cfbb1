"""Standard output holds only what the command prints, and tables in a file are not cut."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support import PROGRAM, run_program
from unified_agents.cli.tables import console

NOISY = '''\
import atexit, os, sys
from unified_agents import tool

print("on import")
atexit.register(print, "on exit")

@tool
def shout() -> int:
    """Shout."""
    print("in a call")
    sys.__stdout__.write("past the replaced stream\\n")
    os.system("echo in a child")
    return 1

@tool(isolate="process")
def apart() -> int:
    """Shout, apart."""
    print("in a process of its own")
    os.system("echo in its child")
    return 1
'''
IN_A_RUN = {
    *("on import", "on exit", "in a call", "past the replaced stream"),
    *("in a child", "in a process of its own", "in its child"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "noisy.py").write_text(NOISY)
    (tmp_path / "agent.yaml").write_text("model: script:answers.yaml\ntools: [noisy:shout, noisy:apart]")
    calls = [{"name": "shout", "arguments": {}}, {"name": "apart", "arguments": {}}]
    (tmp_path / "answers.yaml").write_text(json.dumps({"answers": [{"tool_calls": calls}, {"text": "ok"}]}))
    return tmp_path


def environment(folder: Path, unbuffered: str | None) -> dict[str, str]:
    rest = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return rest | {"PYTHONPATH": str(folder)} | ({"PYTHONUNBUFFERED": unbuffered} if unbuffered else {})


def call(folder: Path, *arguments: str, unbuffered: str | None = None) -> subprocess.CompletedProcess[str]:
    return run_program(*arguments, cwd=folder, env=environment(folder, unbuffered))


@pytest.mark.parametrize("unbuffered", ["1", None])
def test_with_json_a_run_prints_its_object_alone(folder: Path, unbuffered: str | None) -> None:
    done = call(folder, "run", "agent.yaml", "hi", "--json", unbuffered=unbuffered)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    assert (result["output"], [one["ok"] for one in result["tool_calls"]]) == ("ok", [True, True])
    assert set(done.stderr.splitlines()) == IN_A_RUN


def add_command(folder: Path) -> None:
    """A distribution that brings a command, as an installer would leave it."""
    (folder / "noisy_command.py").write_text("print('on import')\ndef command() -> None:\n    pass\n")
    info = folder / "noisy_command-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: noisy-command\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[unified_agents.commands]\nnoisy = noisy_command:command\n")


@pytest.mark.parametrize("arguments", [("tools", "check", "noisy", "--backends", "custom"), ("backends",)])
def test_with_json_the_other_commands_print_theirs_alone(folder: Path, arguments: tuple[str, ...]) -> None:
    if arguments == ("backends",):
        add_command(folder)
    done = call(folder, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
    assert "on import" in done.stderr.splitlines()


def test_without_json_a_tool_prints_where_it_wants(folder: Path) -> None:
    done = call(folder, "run", "agent.yaml", "hi")
    assert {"in a call", "in a child", "ok"} <= set(done.stdout.splitlines())


def test_help_is_printed_with_json_too(folder: Path) -> None:
    done = call(folder, "run", "--help", "--json")
    assert done.returncode == 0
    assert "Usage" in done.stdout


@pytest.mark.parametrize("unbuffered", ["1", None])
def test_a_server_on_standard_output_sends_its_protocol_alone(folder: Path, unbuffered: str | None) -> None:
    pytest.importorskip("mcp")
    about = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
    with subprocess.Popen(
        [PROGRAM, "tools", "serve", "noisy"],
        cwd=folder,
        env=environment(folder, unbuffered),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        answers = []
        for id_, method, parameters in [
            (1, "initialize", about),
            (None, "notifications/initialized", {}),
            (2, "tools/call", {"name": "shout", "arguments": {}}),
        ]:
            message = {"jsonrpc": "2.0", "method": method, "params": parameters} | ({"id": id_} if id_ else {})
            process.stdin.write(json.dumps(message) + "\n")
            process.stdin.flush()
            if id_:
                answers.append(json.loads(process.stdout.readline()))
        rest, said = process.communicate(timeout=30)
    assert answers[1]["result"]["content"][0]["text"] == "1"
    assert (process.returncode, rest.splitlines()) == (0, [])
    assert {"on import", "in a call", "in a child"} <= set(said.splitlines())


@pytest.fixture
def smiling(tmp_path: Path) -> Path:
    (tmp_path / "agent.yaml").write_text("model: script:answers.yaml")
    (tmp_path / "answers.yaml").write_text(json.dumps({"answers": [{"text": "smile \U0001f600"}]}))
    return tmp_path


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
@pytest.mark.parametrize("options", [(), ("--stream",), ("--json",)])
def test_what_the_encoding_of_the_output_lacks_is_escaped(smiling: Path, encoding: str, options: tuple[str]) -> None:
    env = os.environ | {"PYTHONIOENCODING": encoding}
    done = run_program("run", "agent.yaml", "hi", *options, cwd=smiling, env=env)
    assert done.returncode == 0, done.stderr
    if options == ("--json",):
        assert json.loads(done.stdout)["output"] == "smile \U0001f600"
    else:
        assert done.stdout == "smile \\U0001f600\n"


def test_what_is_said_in_another_encoding_ends_no_conversation(smiling: Path) -> None:
    env = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = run_program("chat", "agent.yaml", cwd=smiling, env=env, input="smile \U0001f600\n")
    assert (done.returncode, done.stdout) == (0, "smile \\U0001f600\n"), done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")
@pytest.mark.parametrize(
    "arguments", [("run", "agent.yaml", "hi"), ("run", "agent.yaml", "hi", "--json"), ("--version",), ("run", "--help")]
)
def test_an_output_that_cannot_be_written_is_one_line(smiling: Path, arguments: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [PROGRAM, *arguments],
            cwd=smiling,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert "No space left on device" in done.stderr


def test_tables_in_a_pipe_are_not_wrapped(folder: Path) -> None:
    done = call(folder, "backends")
    names = [row["name"] for row in json.loads(call(folder, "backends", "--json").stdout)]
    rows = [line for line in done.stdout.splitlines() if line.startswith("│")]
    assert [row.split("│")[1].strip() for row in rows] == names, "a line for each"


def test_a_terminal_keeps_its_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "37")
    assert console().width > 1000
    monkeypatch.setenv("FORCE_COLOR", "1")  # which stands for a terminal
    assert console().width == 37


def shown_on_terminal(*arguments: object, cwd: Path) -> str:
    """Run a command whose standard output and error are a terminal, and return what the terminal got."""
    mine, its = pty.openpty()
    with subprocess.Popen(
        [str(PROGRAM), *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=its, stderr=its, cwd=cwd
    ):
        os.close(its)
        shown = b""
        with contextlib.suppress(OSError):  # a terminal whose other end is closed
            while piece := os.read(mine, 4096):
                shown += piece
    os.close(mine)
    return shown.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("options", [[], ["--stream"]])
def test_a_terminal_obeys_nothing_of_an_answer_and_a_file_gets_it_whole(tmp_path: Path, options: list[str]) -> None:
    answer = "red: \x1b[31m\x9bK,\r back: \u202e\n👩\u200d🔬 done"
    (tmp_path / "agent.yaml").write_text("model: script:answers.yaml")
    (tmp_path / "answers.yaml").write_text(json.dumps({"answers": [{"text": answer}]}))
    shown = shown_on_terminal("run", "agent.yaml", "hi", *options, cwd=tmp_path)
    assert shown == "red: \\x1b[31m\\x9bK,\\r back: \\u202e\n👩\u200d🔬 done\n"
    with (tmp_path / "out.txt").open("wb") as out:
        subprocess.run([str(PROGRAM), "run", "agent.yaml", "hi", *options], cwd=tmp_path, stdout=out, check=True)
    assert (tmp_path / "out.txt").read_bytes().decode() == answer + "\n"


def test_a_terminal_obeys_nothing_of_an_error(tmp_path: Path) -> None:
    (tmp_path / "agent.yaml").write_text('model: script:answers.yaml\n"mo\\e[31m\\u202edel": 1')
    shown = shown_on_terminal("run", "agent.yaml", "hi", cwd=tmp_path)
    assert "mo\\x1b[31m\\u202edel: unknown key" in shown
    assert "\x1b" not in shown


HOSTILE_CALL = '''\
import logging
from unified_agents import tool

@tool(approval="always")
def pay(to: str) -> int:
    """Pay."""
    return 1

@tool
def warn() -> int:
    """Warn."""
    logging.getLogger("a.framework").warning("the model wrote \x1b[2J\u202e")
    return 1
'''


def test_a_terminal_obeys_nothing_of_a_call_that_waits(tmp_path: Path) -> None:
    (tmp_path / "purse.py").write_text(HOSTILE_CALL)
    (tmp_path / "agent.yaml").write_text("model: script:answers.yaml\ntools: [purse:pay, purse:warn]\njournal: runs.db")
    calls = [{"name": "warn", "arguments": {}}, {"name": "pay", "arguments": '{"to": "a\x9b31m\u202eda"}'}]
    (tmp_path / "answers.yaml").write_text(json.dumps({"answers": [{"tool_calls": calls}]}))
    shown = shown_on_terminal("run", "agent.yaml", "Task \x1b]0;T\x07", cwd=tmp_path)
    assert "the model wrote \\x1b[2J\\u202e" in shown
    journal = ("--journal", "runs.db")
    (run,) = json.loads(run_program("runs", "list", *journal, "--json", cwd=tmp_path).stdout)
    table = shown_on_terminal("runs", "show", run["run"], *journal, cwd=tmp_path)
    assert "Task \\x1b]0;T\\x07" in table
    assert "\\x9b31m\\u202e" in table
    rows = shown_on_terminal("runs", "events", run["run"], *journal, cwd=tmp_path)
    assert '"Task \\u001b]0;T\\u0007"' in rows
    assert "\\u009b31m\\u202e" in rows
    for text in (shown, table, rows):
        assert not re.search("[\x1b\x07\x9b\u202e]", text)
    piped = run_program("runs", "events", run["run"], *journal, cwd=tmp_path).stdout
    assert "\x9b31m\u202e" in piped, "in a file the JSON is as it was written"
