"""`runs export`: a run of a journal as a cassette, and as a test that repeats it and can fail."""

from __future__ import annotations

import json
import os
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from secret_forms import KEY, traces
from support import asks_for, make_script, run_process, run_program
from unified_agents import ConfigError, DivergenceError, RunError, create_agent, replay_run
from unified_agents.scripted.server import ScriptServer

FORMS = (KEY, quote(KEY, safe=""), KEY.encode().hex(), json.dumps({"k": KEY}), b64encode(b"x" + KEY.encode()).decode())
AGENT = """
model: {{provider: openai, name: m, base_url: "{url}", api_key_env: THE_KEY}}
instructions: Be brief.
tools: ["outbox:send_email", "outbox:leak"]
"""
OUTBOX = f"""
from pathlib import Path
from unified_agents import tool

FORMS = {FORMS!r}


@tool
def send_email(to: str) -> str:
    "Send an e-mail."
    with (Path(__file__).parent / "sent.txt").open("a") as file:
        file.write(to + "\\n")
    if "@" not in to:
        raise ValueError("this is no address")
    return "sent"


@tool
def leak(number: int) -> dict[str, str]:
    "Give a secret away."
    return {{"text": FORMS[number]}}
"""
STORED = ("runs", "runs.db-wal", "run_run_1", "test_run_run_1")
TASK = "Write to Ada and Bob."


@pytest.fixture
async def folder(tmp_path: Path, server: ScriptServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an agent, and with the journal of a run of it that has sent an e-mail."""
    monkeypatch.setenv("THE_KEY", KEY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "outbox", raising=False)
    emails = {"tool_calls": [asks_for("send_email", to=to)["tool_calls"][0] for to in ("ada@example.org", "Bob")]}
    script = make_script(
        emails, *(asks_for("leak", number=number) for number in range(len(FORMS))), {"text": "Done.\n'"}
    )
    (tmp_path / "agent.yaml").write_text(AGENT.format(url=server.add(script)))
    (tmp_path / "outbox.py").write_text(OUTBOX)
    async with create_agent(tmp_path / "agent.yaml", journal=tmp_path / "runs.db") as agent:
        result = await agent.run(f"{TASK} My key is {KEY}.", run_id="run-1")
    assert result.output == "Done.\n'"
    assert sent(tmp_path) == ["Bob", "ada@example.org"]
    return tmp_path


def sent(folder: Path) -> list[str]:
    return sorted((folder / "sent.txt").read_text().split())


def exported(folder: Path, *options: object) -> Any:
    return run_program("runs", "export", "run-1", "--journal", "runs.db", *options, cwd=folder)


def run_tests(folder: Path, **variables: str) -> Any:
    env = {name: value for name, value in os.environ.items() if name != "THE_KEY"} | variables
    return run_process(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests", cwd=folder, env=env)


async def test_an_exported_test_repeats_the_run_without_its_tools_and_fails_where_the_agent_changed(
    folder: Path,
) -> None:
    (folder / "tests").mkdir()
    done = exported(folder, "--as", "test", "--out", "tests")
    assert (done.returncode, done.stdout) == (0, "tests/test_run_run_1.py\n"), done.stderr
    for variables in ({}, {"THE_KEY": KEY}):
        passed = run_tests(folder, **variables)
        assert passed.returncode == 0, passed.stdout
        assert "1 passed" in passed.stdout
    assert sent(folder) == ["Bob", "ada@example.org"]  # nothing was sent again
    for backend in ("langchain", "llamaindex"):
        result = await _replayed(folder, backend)
        assert result.output == "Done.\n'"
        assert [call.ok for call in result.tool_calls] == [True, False, *[True] * len(FORMS)]
    rows = folder / "tests" / "run_run_1.jsonl"
    for file, old, new in (
        (folder / "agent.yaml", "Be brief.", "Be long."),
        (rows, '"content":"sent"', '"content":"lost"'),
        (folder / "outbox.py", "to: str", "to: int"),
        (folder / "tests" / "test_run_run_1.py", "'completed'", "'limit'"),
    ):
        before = file.read_text()
        assert old in before
        file.write_text(before.replace(old, new))
        failed = run_tests(folder)
        assert failed.returncode == 1, (str(file), failed.stdout)
        file.write_text(before)
    assert exported(folder, "--as", "test", "--out", "tests").returncode == 2  # it is there


async def _replayed(folder: Path, backend: str) -> Any:
    import asyncio

    return await asyncio.to_thread(
        replay_run, folder / "agent.yaml", folder / "tests" / "run_run_1.jsonl", backend=backend
    )


async def test_an_exported_cassette_answers_the_same_run(folder: Path) -> None:
    done = exported(folder, "--as", "cassette", "--out", "c.jsonl")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    for backend in ("custom", "langchain"):
        async with create_agent(folder / "agent.yaml", backend=backend, replay=folder / "c.jsonl") as agent:
            assert (await agent.run(f"{TASK} My key is {KEY}.")).output == "Done.\n'"
            with pytest.raises(DivergenceError, match="message 2"):
                await agent.run(f"{TASK} My key is another.")


async def test_no_export_and_no_journal_holds_the_key(folder: Path) -> None:
    (folder / "tests").mkdir()
    exported(folder, "--as", "test", "--out", "tests")
    files = [path for place in (folder, folder / "tests") for path in place.iterdir() if path.stem in STORED]
    assert len(files) >= 3
    texts = [exported(folder, "--as", form).stdout.encode() for form in ("cassette", "script")]
    assert b"***" in texts[0]
    assert [found for data in (*texts, *(file.read_bytes() for file in files)) for found in traces(data)] == []
    assert traces(OUTBOX.encode()) != []  # the search can find it


async def test_what_cannot_be_a_test_is_refused(folder: Path, server: ScriptServer) -> None:
    (folder / "agent.yaml").write_text(AGENT.format(url=server.add(make_script({"fault": {"status": 401}}))))
    async with create_agent(folder / "agent.yaml", journal=folder / "runs.db") as agent:
        with pytest.raises(RunError):
            await agent.run("Go.", run_id="failed")
    for options, words in (
        (("failed", "--as", "test", "--out", "."), "is failed: only one that is completed"),
        (("run-1", "--as", "test"), "give --out FOLDER"),
        (("run-1", "--as", "cassette", "--out", "agent.yaml"), "the file is there"),
        (("run-1", "--as", "cassette", "--out", "no/c.jsonl"), "cannot be written"),
    ):
        done = run_program("runs", "export", *options, "--journal", "runs.db", cwd=folder)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        assert words in done.stderr
    (folder / "two.jsonl").write_text("")
    with pytest.raises(ConfigError, match="not the rows of one run"):
        replay_run(folder / "agent.yaml", folder / "two.jsonl")
