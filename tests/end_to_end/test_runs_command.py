"""The commands `runs …`, and how `run` ends where a call waits for a decision."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml

from support import run_code, run_program
from unified_agents.cli.agent_options import AgentOptions

AGENT = """
model: script:script.yaml
tools: ["outbox:send_email"]
"""
SCRIPT = """
answers:
  - tool_calls: [{name: send_email, arguments: {to: ada@example.org}}]
  - text: Sent.
"""
OUTBOX = """
from pathlib import Path
from unified_agents import tool


@tool(approval="always")
def send_email(to: str) -> str:
    with (Path(__file__).parent / "sent.txt").open("a") as file:
        file.write(to + "\\n")
    return "sent"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (("agent.yaml", AGENT), ("script.yaml", SCRIPT), ("outbox.py", OUTBOX)):
        (tmp_path / name).write_text(text)
    return tmp_path


def sent(folder: Path) -> list[str]:
    file = folder / "sent.txt"
    return file.read_text().split() if file.exists() else []


def listed(folder: Path, *options: str) -> list[dict[str, Any]]:
    done = run_program("runs", "list", "--json", *options, cwd=folder)
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def test_a_run_that_waits_ends_with_code_4_and_goes_on_by_command(folder: Path) -> None:
    journal = ("--journal", str(folder / "runs.db"))
    begun = run_program("run", folder / "agent.yaml", "Write to Ada.", *journal, cwd=folder)
    assert (begun.returncode, begun.stdout) == (4, "")
    assert "runs resume" in begun.stderr
    assert begun.stderr.count("\n") == 1
    (row,) = listed(folder, *journal)
    assert row["state"] == "suspended"
    shown = json.loads(run_program("runs", "show", row["run"][:6], *journal, "--json", cwd=folder).stdout)
    (call,) = shown["unfinished"]
    assert (call["tool"], call["arguments"]) == ("send_email", '{"to":"ada@example.org"}')
    assert "ada@example.org" in run_program("runs", "show", row["run"], *journal, cwd=folder).stdout
    still = run_program("runs", "resume", row["run"], *journal, cwd=folder.parent)
    assert still.returncode == 4
    assert sent(folder) == []
    done = run_program("runs", "resume", row["run"], *journal, "--approve", call["id"], cwd=folder.parent)
    assert (done.returncode, done.stdout) == (0, "Sent.\n"), done.stderr
    assert sent(folder) == ["ada@example.org"]
    again = run_program("runs", "resume", row["run"], *journal, "--approve", call["id"], cwd=folder)
    assert again.returncode == 2
    assert "used once" in again.stderr
    events = run_program("runs", "events", row["run"], *journal, cwd=folder).stdout.splitlines()
    kinds = [json.loads(line)["row"] for line in events]
    assert [kind for kind in kinds if kind != "end"] == [
        "run",
        "answer",
        "decision",
        "tool_start",
        "tool_end",
        "answer",
    ]
    assert listed(folder, *journal)[0]["state"] == "completed"


@pytest.mark.parametrize(
    ("option", "expected", "output"),
    [
        ("--deny={}=No mail today.", [], "Sent.\n"),
        ('--edit={}={{"to": "bob@example.org"}}', ["bob@example.org"], "Sent.\n"),
        ("--finished={}=sent already", [], "Sent.\n"),
    ],
)
def test_a_call_is_decided_by_an_option(folder: Path, option: str, expected: list[str], output: str) -> None:
    begun = run_program("run", folder / "agent.yaml", "Go.", "--journal", folder / "runs.db", "--json", cwd=folder)
    result = json.loads(begun.stdout)
    assert (begun.returncode, result["status"]) == (4, "suspended")
    (call,) = result["pending"]
    arguments = ("runs", "resume", result["run_id"], "--journal", folder / "runs.db", option.format(call["id"]))
    done = run_program(*arguments, "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["output"] == output.strip()
    assert sent(folder) == expected


@pytest.mark.parametrize(
    "options",
    [
        ("--deny={}=never", '--edit={}={{"to": "bob@example.org"}}'),
        ("--approve={}", "--deny={}"),
        ("--finished={}=sent", "--approve={}"),
        ('--edit={}={{"to": "a@example.org"}}', '--edit={}={{"to": "b@example.org"}}'),
        ("--approve={}", "--approve={}"),
    ],
)
def test_two_decisions_about_one_call_are_refused_and_nothing_runs(folder: Path, options: tuple[str, str]) -> None:
    begun = run_program("run", folder / "agent.yaml", "Go.", "--journal", folder / "runs.db", "--json", cwd=folder)
    result = json.loads(begun.stdout)
    (call,) = result["pending"]
    given = [option.format(call["id"]) for option in options]
    done = run_program("runs", "resume", result["run_id"], "--journal", folder / "runs.db", *given, cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"both decide about call {call['id']}: give one decision" in done.stderr
    assert done.stderr.count("\n") == 1
    assert sent(folder) == []
    assert [row["state"] for row in listed(folder, "--journal", str(folder / "runs.db"))] == ["suspended"]


def test_the_journal_is_the_options_else_the_files_else_the_variables(folder: Path) -> None:
    (folder / "agent.yaml").write_text(AGENT + "journal: own.db\n")
    environment = os.environ | {"UNIFIED_AGENTS_JOURNAL": str(folder / "variable.db")}
    run_program("run", folder / "agent.yaml", "Go.", "--journal", folder / "option.db", cwd=folder, env=environment)
    assert {path.name for path in folder.glob("*.db")} == {"option.db"}
    run_program("run", folder / "agent.yaml", "Go.", cwd=folder, env=environment)
    assert {path.name for path in folder.glob("*.db")} == {"option.db", "own.db"}
    assert len(listed(folder, "--agent", str(folder / "agent.yaml"))) == 1
    (folder / "agent.yaml").write_text(AGENT)
    run_program("run", folder / "agent.yaml", "Go.", cwd=folder, env=environment)
    assert {path.name for path in folder.glob("*.db")} == {"option.db", "own.db", "variable.db"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("list",), "give --journal FILE, or the --agent FILE whose journal it is, or set UNIFIED_AGENTS_JOURNAL"),
        (("list", "--journal", "nothing.db"), "there is no journal"),
        (("show", "nobody", "--journal", "runs.db"), "has no run 'nobody'"),
        (("resume", "nobody", "--journal", "runs.db"), "has no run 'nobody'"),
    ],
)
def test_wrong_usage_is_one_line_with_the_remedy(folder: Path, arguments: tuple[str, ...], words: str) -> None:
    run_program("run", "agent.yaml", "Go.", "--journal", "runs.db", cwd=folder)
    done = run_program("runs", *arguments, cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "answered"),
    [
        (("run", "agent.yaml", "Go."), ("Sent.", "custom")),
        (("run", "agent.yaml", "Go.", "--backend", "langchain"), ("Sent.", "langchain")),
        (("run", "agent.yaml", "Go.", "--model", "script:other.yaml"), ("Otherwise.", "custom")),
        (("run", "agent.yaml", "Go.", "--variant", "react"), ("Sent.", "custom")),
        (("chat", "agent.yaml"), ("Sent.", "custom")),
    ],
)
def test_the_printed_command_goes_on_from_another_folder(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, arguments: tuple[str, ...], answered: tuple[str, str]
) -> None:
    """With the options that were given, and also of a conversation, which ends where nobody can be asked."""
    (folder / "other.yaml").write_text(SCRIPT.replace("Sent.", "Otherwise."))
    begun = run_program(*arguments, "--journal", "runs.db", cwd=folder, input="Go.\nGo on.\n")
    assert (begun.returncode, begun.stdout) == (4, ""), begun.stderr
    assert begun.stderr.count("\n") == 1
    told = begun.stderr.partition("go on with: ")[2].partition(", or ")[0]
    command = shlex.split(told)
    assert command[0] == "unified-agents"
    assert ("react" in arguments) == ("react" in command)
    done = run_program(*command[1:], "--json", cwd=tmp_path_factory.mktemp("elsewhere"))
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["output"], result["backend"]) == answered
    assert sent(folder) == ["ada@example.org"]


def test_the_printed_command_has_the_server_that_was_asked_for() -> None:
    options = AgentOptions(model="openai:m", base_url="http://127.0.0.1:1/v1", api_key_env="KEY")
    words = ["--model", "openai:m", "--base-url", "http://127.0.0.1:1/v1", "--api-key-env", "KEY"]
    assert options.as_given() == words


SPOILING = """
def needs_approval(arguments):
    Path(__file__).with_name("agent.yaml").write_text("size: 1")
    return True

"""


def test_a_file_that_is_spoilt_while_its_agent_runs_hides_no_command(folder: Path) -> None:
    (folder / "outbox.py").write_text(SPOILING + OUTBOX.replace('"always"', "needs_approval"))
    begun = run_program("run", "agent.yaml", "Go.", "--journal", "runs.db", cwd=folder)
    assert (folder / "agent.yaml").read_text() == "size: 1"
    assert (begun.returncode, begun.stdout, begun.stderr.count("\n")) == (4, "", 1)
    assert "go on with: unified-agents runs resume" in begun.stderr


DYING = """
import os, signal
from pathlib import Path
from unified_agents import tool


@tool
def send_email(to: str) -> str:
    with (Path(__file__).parent / "sent.txt").open("a") as file:
        file.write(to + "\\n")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_call_that_was_under_way_is_told_from_one_that_waits_for_approval(folder: Path) -> None:
    (folder / "outbox.py").write_text(DYING)
    died = run_program("run", "agent.yaml", "Go.", "--journal", "runs.db", cwd=folder)
    assert died.returncode == -signal.SIGKILL
    (run,) = listed(folder, "--journal", "runs.db")
    resume = ("runs", "resume", run["run"], "--journal", "runs.db")
    waits = run_program(*resume, cwd=folder)
    assert waits.returncode == 4, waits.stderr
    (call,) = re.findall(r"send_email \((\S+), under way when its process died\)", waits.stderr)
    for way in (f"--finished {call}=RESULT (it was carried out)", f"--approve {call} (run it again)", f"--deny {call}"):
        assert way in waits.stderr
    wrong = run_program(*resume, "--approve", "nobody", cwd=folder)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert f"has no call 'nobody'; those that wait: {call}" in wrong.stderr
    done = run_program(*resume, "--finished", f"{call}=sent", cwd=folder)
    assert (done.returncode, done.stdout) == (0, "Sent.\n"), done.stderr
    assert sent(folder) == ["ada@example.org"]


@pytest.mark.parametrize("arguments", [("run", "agent.yaml", "Go."), ("runs", "list"), ("chat", "agent.yaml")])
def test_a_file_that_is_no_journal_is_wrong_usage_for_every_command(folder: Path, arguments: tuple[str, ...]) -> None:
    done = run_program(*arguments, "--journal", "script.yaml", cwd=folder, input="Go.\n")
    assert (done.returncode, done.stdout) == (2, "")
    assert "file is not a database" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_tool_that_asks_for_approval_without_a_journal_is_refused(folder: Path) -> None:
    done = run_program("run", "agent.yaml", "Go.", cwd=folder)
    assert done.returncode == 2
    assert "needs a journal" in done.stderr


KILLED = """
import asyncio, os, signal, sys
from unified_agents import create_agent

async def main():
    agent = create_agent(sys.argv[1], journal=sys.argv[2])
    agent._journal._open.store.append = lambda *arguments, **options: os.kill(os.getpid(), signal.SIGKILL)
    await agent.run("Go.")

asyncio.run(main())
"""


def test_orphans_are_recovered_and_old_runs_pruned(folder: Path) -> None:
    (folder / "outbox.py").write_text(OUTBOX.replace('(approval="always")', ""))
    journal = ("--journal", str(folder / "runs.db"))
    for _ in range(2):
        run_code(KILLED, folder / "agent.yaml", folder / "runs.db", cwd=folder)
    assert [row["state"] for row in listed(folder, *journal)] == ["orphan", "orphan"]
    done = run_program("runs", "recover", *journal, cwd=folder.parent)
    assert done.returncode == 0, done.stderr
    assert [line.split()[1] for line in done.stdout.splitlines()] == ["completed", "completed"]
    assert sent(folder) == ["ada@example.org"] * 2
    run = listed(folder, *journal)[0]["run"]
    script = yaml.safe_load(run_program("runs", "export", run, *journal, cwd=folder).stdout)
    assert script == {
        "answers": [
            {"tool_calls": [{"name": "send_email", "arguments": '{"to":"ada@example.org"}'}]},
            {"text": "Sent."},
        ]
    }
    forked = run_program("runs", "fork", run, "--at", "1", "--answer", "Never mind.", *journal, cwd=folder)
    assert listed(folder, *journal)[0]["state"] == "forked"
    assert run_program("runs", "recover", *journal, cwd=folder).stdout == "", "nobody has begun the fork"
    resumed = run_program("runs", "resume", forked.stdout.strip(), *journal, cwd=folder)
    assert resumed.stdout == "Never mind.\n"
    kept = run_program("runs", "prune", "1", *journal, cwd=folder)
    pruned = run_program("runs", "prune", "0", *journal, cwd=folder)
    assert (kept.stdout, pruned.stdout) == ("0\n", "3\n")
    assert listed(folder, *journal) == []
