"""`--record` and `--replay` of the commands, in a process each, where the network is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import openai
import pytest

from support import BACKENDS, run_program, serving_model
from unified_agents_comparisons.loading import load_suite

AGENT = """
model: {model}
instructions: Add.
tools: ["sums:add"]
"""
SUMS = '''
from pathlib import Path
from unified_agents import tool


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    with (Path(__file__).parent / "ran.txt").open("a") as file:
        file.write("ran\\n")
    return a + b
'''
SCRIPT = """
answers:
  - {tool_calls: [{name: add, arguments: {a: 1, b: 2}}]}
  - {text: {$template: "It is {0}.", values: [{$result: {step: 0, index: 0}}]}}
"""
REFUSE = """
import socket


def refuse(*_):
    raise OSError("the network was asked")


socket.socket.connect = socket.socket.connect_ex = refuse
"""
QUESTION = "What is 1 + 2?"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sums.py").write_text(SUMS)
    (tmp_path / "script.yaml").write_text(SCRIPT)
    (tmp_path / "scripted.yaml").write_text(AGENT.format(model="script:script.yaml"))
    (tmp_path / "real.yaml").write_text(AGENT.format(model="openai:gpt-5-mini"))
    return tmp_path


@pytest.fixture
def offline(tmp_path: Path) -> dict[str, str]:
    """The environment of a process that can open no connection, and has no key."""
    refusing = tmp_path / "offline"
    refusing.mkdir()
    (refusing / "sitecustomize.py").write_text(REFUSE)
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    return kept | {"PYTHONPATH": f"{refusing}:{os.environ.get('PYTHONPATH', '')}"}


def run(folder: Path, *arguments: object, **options: Any) -> tuple[int, str, str]:
    done = run_program(*arguments, cwd=folder, **options)
    return done.returncode, done.stdout, done.stderr


def test_a_run_is_recorded_once_and_replayed_without_key_or_network(folder: Path, offline: dict[str, str]) -> None:
    recorded = run(folder, "run", "scripted.yaml", QUESTION, "--record", "c.jsonl")
    assert recorded == (0, "It is 3.\n", "")
    for backend in ("custom", "langchain"):
        again = run(folder, "run", "real.yaml", QUESTION, "--replay", "c.jsonl", "--backend", backend, env=offline)
        assert again == (0, "It is 3.\n", "")
    assert (folder / "ran.txt").read_text() == "ran\n" * 3  # the tools run
    code, _, _ = run(folder, "run", "real.yaml", QUESTION, env=offline | {"OPENAI_API_KEY": "sk-0123456789"})
    assert code == 1  # the network is refused indeed


def test_a_miss_ends_with_code_1_and_one_line_that_tells_the_difference(folder: Path, offline: dict[str, str]) -> None:
    run(folder, "run", "scripted.yaml", QUESTION, "--record", "c.jsonl")
    code, out, errors = run(folder, "run", "real.yaml", "What is 1 + 7?", "--replay", "c.jsonl", env=offline)
    assert (code, out) == (1, "")
    assert len(errors.splitlines()) == 1
    assert "nearest recording, exchange 1 of 2" in errors
    assert "it was 'What is 1 + 2?', and now is 'What is 1 + 7?'" in errors
    code, out, _ = run(folder, "run", "real.yaml", "What is 1 + 7?", "--replay", "c.jsonl", "--json", env=offline)
    assert (code, json.loads(out)["errors"][-1]["kind"]) == (1, "divergence")


def test_a_recording_is_not_overwritten_and_wrong_options_are_usage(folder: Path) -> None:
    (folder / "c.jsonl").write_text("precious\n")
    for options, words in (
        (("--record", "c.jsonl"), "the file is there"),
        (("--replay", "c.jsonl"), "line 1"),
        (("--replay", "none.jsonl"), "No such file"),
        (("--record", "a", "--replay", "b"), "give one of them"),
    ):
        code, out, errors = run(folder, "run", "scripted.yaml", QUESTION, *options)
        assert (code, out, len(errors.splitlines())) == (2, "", 1)
        assert words in errors
    assert (folder / "c.jsonl").read_text() == "precious\n"


def test_a_chat_is_recorded_and_replayed_and_a_miss_ends_it(folder: Path, offline: dict[str, str]) -> None:
    said = f"{QUESTION}\n{QUESTION}\n"
    code, out, errors = run(folder, "chat", "scripted.yaml", "--record", "c.jsonl", input=said)
    assert (code, out, errors) == (0, "It is 3.\nIt is 3.\n", "")
    assert run(folder, "chat", "real.yaml", "--replay", "c.jsonl", input=said, env=offline) == (0, out, "")
    code, out, errors = run(
        folder, "chat", "real.yaml", "--replay", "c.jsonl", input=f"{QUESTION}\nAnd now?\n{QUESTION}\n", env=offline
    )
    assert (code, out) == (1, "It is 3.\n")
    assert "and now is 'And now?'" in errors


def test_a_server_replays_for_any_client(folder: Path) -> None:
    run(folder, "run", "scripted.yaml", QUESTION, "--record", "c.jsonl")
    messages: list[Any] = [{"role": "system", "content": "Add."}, {"role": "user", "content": QUESTION}]
    with serving_model("--replay", str(folder / "c.jsonl")) as url:
        client = openai.OpenAI(api_key="none", base_url=url, max_retries=0)
        for _ in range(2):
            answer = client.chat.completions.create(model="m", messages=messages)
            assert answer.choices[0].message.tool_calls[0].function.arguments == '{"a":1,"b":2}'
        found = client.responses.create(model="m", instructions="Add.", input=QUESTION)
        assert [item.type for item in found.output] == ["function_call"]
        with pytest.raises(openai.BadRequestError, match="differs at message 2"):
            client.chat.completions.create(model="m", messages=[*messages[:1], {"role": "user", "content": "Why?"}])
    for options in (("--replay", "c.jsonl", "--strict"), (), ("--replay", "c.jsonl", "--script", "script.yaml")):
        code, _, errors = run(folder, "model", "serve", *options)
        assert (code, len(errors.splitlines())) == (2, 1)


@pytest.mark.slow
def test_the_quickstart_recorded_on_one_backend_replays_on_the_others_without_a_network(
    tmp_path: Path, offline: dict[str, str]
) -> None:
    first, *others = BACKENDS
    compare = ("compare", "quickstart", "--handling", "unified", "--json")
    code, out, errors = run(tmp_path, *compare, "--backends", first, "--record", "c.jsonl", "--out", "recorded")
    assert code == 0, errors
    tasks = len(load_suite("quickstart").suite.tasks)
    options = ("--backends", ",".join(others), "--replay", "c.jsonl", "--out", "replayed")
    code, out, errors = run(tmp_path, *compare, *options, "--model", "openai:gpt-5-mini", env=offline)
    assert code == 0, errors
    summary = json.loads(out)
    assert summary["cells"] == tasks * len(others)
    assert summary["model"] == "replay of c.jsonl"
    lines = [json.loads(line) for line in (tmp_path / "replayed" / "cells.jsonl").read_text().splitlines()]
    assert all(line["passed"] for line in lines)
    for path in (tmp_path / "replayed" / "workers").iterdir():
        assert "the network was asked" not in path.read_text()


@pytest.mark.slow
def test_a_comparison_that_lacks_a_recording_fails_the_cell_and_says_where(
    tmp_path: Path, offline: dict[str, str]
) -> None:
    task = load_suite("quickstart").suite.tasks[0].id
    compare = ("compare", "quickstart", "--handling", "unified", "--json", "--backends", "custom", "--tasks", task)
    assert run(tmp_path, *compare, "--record", "c.jsonl", "--out", "recorded")[0] == 0
    whole = (tmp_path / "c.jsonl").read_text()
    (tmp_path / "c.jsonl").write_text("".join(whole.splitlines(keepends=True)[:-1]))
    code, _, errors = run(tmp_path, *compare, "--replay", "c.jsonl", "--out", "replayed", env=offline)
    assert code == 1, errors
    cell = json.loads((tmp_path / "replayed" / "cells.jsonl").read_text())
    assert (cell["passed"], cell["error"]["kind"]) == (False, "divergence")
    assert "nearest recording" in cell["error"]["message"]
    refused = ("compare", "faults", "--backends", "custom", "--record", "f.jsonl", "--out", "faults")
    assert run(tmp_path, *refused)[0] == 2
    assert run(tmp_path, *compare, "--record", "c.jsonl", "--out", "third")[0] == 2
