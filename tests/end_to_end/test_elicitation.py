"""An MCP server that asks the user in the middle of a call: the run waits for the answer."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import logging
import os
import pty
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import EVERY_BACKEND, PROGRAM, ROOT, call_handler, make_script, run_program, scripted_model
from unified_agents import (
    Agent,
    ConfigError,
    Decision,
    McpConnection,
    McpServerConfig,
    MemoryJournal,
    RunResult,
    ScriptedModel,
    accept,
    approve,
    cancel,
    create_agent,
    decline,
    deny,
)
from unified_agents.concurrency.background_loop import run_in_background

pytest.importorskip("mcp")

SERVER = ROOT / "tests" / "eliciting_server.py"
PROTOCOLS = ("legacy", "modern")
BOOKING = {"day": "2027-01-31", "seats": 2, "meal": "soup"}
SURE = {"sure": True}
REFUSALS = {"decline": decline, "cancel": cancel}
tables = itertools.count()
PLAIN_AND_BOOK = ({"tool_calls": [{"name": name, "arguments": {}} for name in ("plain", "book")]},)


class Inn:
    """One server for the tests of a module, whose tools ask; each test has tables of its own."""

    def __init__(self, folder: Path, protocol: str) -> None:
        self.folder, self.protocol = folder, protocol
        self.command = (sys.executable, str(SERVER), str(folder), protocol)
        self.connection = McpConnection(McpServerConfig(command=self.command, name="inn", elicitation=True))
        self.tools = run_in_background(self.connection.open)
        self.table = ""

    def served(self) -> list[str]:
        """What the server did about the tables of this test."""
        file = self.folder / "served.txt"
        lines = file.read_text().splitlines() if file.exists() else []
        return [line.replace(self.table, "") for line in lines if self.table in line]

    def agent(self, *calls: str, backend: str = "custom", journal: Any = None, tools: Any = None) -> Agent:
        """An agent whose model calls these tools in one step, each for a table."""
        asked = [(name, table + self.table) for name, _, table in (call.partition(" ") for call in calls)]
        calling = [{"name": name, "arguments": {"table": table}} for name, table in asked]
        return create_agent(
            backend=backend,
            model=ScriptedModel(make_script({"tool_calls": calling}, {"text": "Done."})),
            tools=self.tools if tools is None else tools,
            journal=MemoryJournal() if journal is None else journal,
        )


@pytest.fixture(scope="module", params=PROTOCOLS)
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inn]:
    inn = Inn(tmp_path_factory.mktemp("inn"), request.param)
    yield inn
    run_in_background(inn.connection.aclose)


@pytest.fixture
def inn(opened: Inn) -> Inn:
    opened.table = f"-{next(tables)}-"
    return opened


async def resumed(agent: Agent, waits: RunResult, *decisions: Decision) -> RunResult:
    assert waits.status == "suspended"
    given = dict(zip([call.id for call in waits.pending], decisions, strict=True))
    return await agent.resume(waits.run_id, decisions=given)


@pytest.mark.parametrize(
    "backend",
    ["langchain", *(pytest.param(name, marks=pytest.mark.proof) for name in EVERY_BACKEND if name != "langchain")],
)
async def test_the_run_waits_for_the_answer_and_another_backend_goes_on_with_it(
    inn: Inn, backend: str, tmp_path: Path
) -> None:
    async with inn.agent("book a", backend=backend, journal=tmp_path / "runs.db") as agent:
        waits = await agent.run("Go.")
    (call,) = waits.pending
    assert (waits.status, call.reason, call.name) == ("suspended", "elicitation", "book")
    assert call.elicitation is not None
    assert (call.elicitation.server, call.elicitation.message) == ("inn", "When?\x1b[31m")
    assert call.elicitation.requested_schema["required"] == ["day", "seats"]
    assert not any("carried out" in line for line in inn.served())
    async with inn.agent("book a", journal=tmp_path / "runs.db") as agent:
        still = await agent.resume(waits.run_id)
        assert (still.status, still.pending[0].elicitation) == ("suspended", call.elicitation)
        result = await resumed(agent, waits, accept(BOOKING))
        with pytest.raises(ConfigError, match="used once"):
            await resumed(agent, waits, accept(BOOKING))
    assert (result.status, result.output, result.tool_calls[0].ok) == ("completed", "Done.", True)
    assert (result.tool_calls[0].content or "").startswith("book a")
    told_first = ["book a: the call was cancelled"] if inn.protocol == "legacy" else []
    carried_out = f"book a: carried out with {json.dumps([BOOKING])}"
    assert inn.served() == ["book a: asks", *told_first, "book a: asks", carried_out]


@pytest.mark.parametrize("choice", REFUSALS)
async def test_the_server_is_told_of_a_refusal(inn: Inn, choice: str) -> None:
    async with inn.agent("book a") as agent:
        result = await resumed(agent, await agent.run("Go."), REFUSALS[choice]())
    assert result.status == "completed"
    assert (result.tool_calls[0].content or "").endswith(f": the user chose to {choice}")
    assert inn.served()[-1] == f"book a: {choice}"


async def test_a_denied_call_is_not_made_again(inn: Inn) -> None:
    async with inn.agent("book a") as agent:
        result = await resumed(agent, await agent.run("Go."), deny("Not today."))
    assert "Not today." in (result.tool_calls[0].content or "")
    assert inn.served().count("book a: asks") == 1


async def test_calls_that_ask_at_once_and_again_each_get_their_own_answers(inn: Inn) -> None:
    answers = {"order": iter([SURE, SURE]), "twice": iter([SURE, {"sure": False}])}
    asked: list[tuple[str, str]] = []
    async with inn.agent("order a", "plain b", "twice c") as agent:
        result = await agent.run("Go.")
        while result.status == "suspended":
            asked += [(call.name, call.elicitation.message) for call in result.pending if call.elicitation]
            decisions = {call.id: accept(next(answers[call.name])) for call in result.pending}
            result = await agent.resume(result.run_id, decisions=decisions)
    assert result.status == "completed"
    assert sorted(asked) == [("order", "Really sure?"), ("order", "Sure?"), ("twice", "Sure?"), ("twice", "Sure?")]
    assert sorted(line for line in inn.served() if "carried out" in line) == [
        f"order a: carried out with {json.dumps([SURE, SURE])}",
        "plain b: carried out with []",
        f"twice c: carried out with {json.dumps([SURE, {'sure': False}])}",
    ]


async def test_a_call_whose_tool_is_idempotent_waits_too(inn: Inn) -> None:
    inn_tools = [tool.with_options(dataclasses.replace(tool.options, idempotent=True)) for tool in inn.tools]
    async with inn.agent("book a", tools=inn_tools) as agent:
        waits = await agent.run("Go.")
        still = await agent.resume(waits.run_id)
        assert (still.status, still.pending[0].reason) == ("suspended", "elicitation")
        assert inn.served().count("book a: asks") == 1
        result = await resumed(agent, waits, accept(BOOKING))
    assert (result.status, result.tool_calls[0].ok) == ("completed", True)


WRONG = [
    (accept({"day": "tomorrow", "seats": 2}), "day: "),
    (accept({"day": "2027-01-31", "seats": 10}), "seats: "),
    (accept({"day": "2027-01-31"}), "seats"),
    (accept({"day": "2027-01-31", "seats": 2, "meal": "meat"}), "meal: "),
    (accept(BOOKING | {"more": 1}), "'more': the form has no such field"),
    (accept(BOOKING | {"day": "x" * 70_000}), "more than"),
    (approve(), "waits for an answer"),
]


async def test_an_answer_that_does_not_fit_is_refused_and_the_call_waits_on(inn: Inn) -> None:
    async with inn.agent("plain b", "book a") as agent:
        waits = await agent.run("Go.")
        for decision, said in WRONG:
            with pytest.raises(ConfigError, match=said) as refused:
                await resumed(agent, waits, decision)
            assert "tomorrow" not in str(refused.value)
            assert "xxx" not in str(refused.value)
        with pytest.raises(ConfigError, match="finished"):
            await agent.resume(waits.run_id, decisions={waits.tool_calls[0].id: accept({})})
        result = await resumed(agent, waits, accept(BOOKING))
    assert result.status == "completed"


@pytest.mark.parametrize("call", ["nested a", "long a"])
async def test_a_form_that_is_not_flat_or_too_long_is_refused_to_the_server(inn: Inn, call: str) -> None:
    async with inn.agent(call) as agent:
        result = await agent.run("Go.")
    assert (result.status, result.tool_calls[0].ok) == ("completed", False)
    assert not any("carried out" in line for line in inn.served())


async def test_a_call_outside_a_run_with_a_journal_is_told_that_nobody_answers(inn: Inn) -> None:
    book = next(tool for tool in inn.tools if tool.name == "book")
    said = await call_handler(book, {"table": "a" + inn.table})
    assert said.endswith("the user chose to cancel")


async def test_the_server_knows_that_it_may_ask_with_forms_alone(inn: Inn) -> None:
    async with inn.agent("plain a") as agent:
        result = await agent.run("Go.")
    assert (result.tool_calls[0].content or "").endswith('elicitation is {"form": {}}')


@pytest.mark.parametrize("protocol", ["legacy", pytest.param("modern", marks=pytest.mark.proof)])
async def test_a_server_that_may_not_ask_knows_that_and_needs_no_journal(protocol: str, tmp_path: Path) -> None:
    server = {"command": [sys.executable, str(SERVER), str(tmp_path), protocol]}
    agent = create_agent(model=scripted_model(*PLAIN_AND_BOOK, {"text": "Done."}), tools=[{"mcp": server}])
    async with agent:
        result = await agent.run("Go.")
    assert (result.status, [call.ok for call in result.tool_calls]) == ("completed", [True, False])
    assert (result.tool_calls[0].content or "").endswith("elicitation is null")
    assert not any("book" in line and "carried" in line for line in (tmp_path / "served.txt").read_text().splitlines())


def test_a_server_that_may_ask_needs_a_journal(opened: Inn) -> None:
    with pytest.raises(ConfigError, match="needs a journal"):
        create_agent(model=ScriptedModel(make_script({"text": "Hi."})), tools=opened.tools)


async def test_an_answer_is_in_no_log_result_or_trace(inn: Inn, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with inn.agent("book a") as agent:
            waits = await agent.run("Go.")
            result = await resumed(agent, waits, accept(BOOKING | {"day": "2028-02-29"}))
    assert inn.served()[-1].endswith(json.dumps([BOOKING | {"day": "2028-02-29"}]))
    assert any(record.name.startswith("unified_agents") for record in caplog.records)
    logged = "".join(f"{record.getMessage()} {record.exc_text}" for record in caplog.records)
    for text in (logged, repr(accept({"day": "2028-02-29"})), json.dumps(result.to_dict())):
        assert "2028-02-29" not in text


def written(folder: Path, protocol: str) -> Path:
    """An agent's file and its model's, whose server notes in the folder what it does."""
    command = json.dumps([sys.executable, str(SERVER), str(folder), protocol])
    server = f"{{command: {command}, name: inn, elicitation: true}}"
    (folder / "agent.yaml").write_text(f"model: script:script.yaml\njournal: runs.db\ntools: [{{mcp: {server}}}]\n")
    calls = [{"name": "book", "arguments": {"table": "a"}}]
    (folder / "script.yaml").write_text(json.dumps({"answers": [{"tool_calls": calls}, {"text": "Booked."}]}))
    return folder / "agent.yaml"


@pytest.mark.proof
def test_the_command_line_ends_with_the_command_that_answers_in_another_process(tmp_path: Path) -> None:
    begun = run_program("run", written(tmp_path, "legacy"), "Go.", cwd=tmp_path)
    assert (begun.returncode, begun.stdout) == (4, ""), begun.stderr
    told = begun.stderr.partition("go on with: ")[2]
    (call,) = re.findall(r"book \((\S+)\)", begun.stderr)
    assert f"--accept {call}=JSON, or --decline {call}" in told
    assert "--approve" not in told
    command = shlex.split(told.partition(f"{call}=JSON")[0])[1:]
    done = run_program(*command, f"{call}={json.dumps(BOOKING)}", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "Booked.\n"), done.stderr
    assert (tmp_path / "served.txt").read_text().splitlines()[-1].endswith(json.dumps([BOOKING]))


PAY = """
from pathlib import Path
from unified_agents import tool

@tool(approval="always")
def pay(amount: int) -> str:
    (Path(__file__).parent / "paid.txt").write_text(str(amount))
    return "paid"
"""


def test_a_terminal_is_asked_and_obeys_nothing_that_the_server_says(tmp_path: Path) -> None:
    """About a call that needs approval, and field by field about what the server asks."""
    agent = written(tmp_path, "modern")
    agent.write_text(agent.read_text().replace("tools: [", "tools: [{python: purse:pay}, "))
    (tmp_path / "purse.py").write_text(PAY)
    script = tmp_path / "script.yaml"
    script.write_text(
        script.read_text().replace('[{"name"', '[{"name": "pay", "arguments": {"amount": 5}}, {"name"', 1)
    )
    command = [str(PROGRAM), "run", str(agent), "Go."]
    mine, its = pty.openpty()
    with subprocess.Popen(command, stdin=its, stdout=subprocess.PIPE, stderr=its, cwd=tmp_path) as program:
        os.close(its)
        os.write(mine, b"y\na\n2027-01-31\n2\ny\n\n")
        shown = b""
        with contextlib.suppress(OSError):  # a terminal whose other end is closed
            while piece := os.read(mine, 4096):
                shown += piece
        output, _ = program.communicate(timeout=60)
    os.close(mine)
    assert (program.returncode, output) == (0, b"Booked.\n"), shown
    asked = shown.decode()
    assert r"MCP server inn asks, before it carries book out: When?\x1b[31m" in asked
    assert "\x1b" not in asked
    assert 'Run pay({"amount":5})? [y]es' in asked
    assert (tmp_path / "paid.txt").read_text() == "5"
    assert "Day [date]: " in asked
    assert "meal [one of: soup, salad] (may be empty): " in asked
    given = {"day": "2027-01-31", "seats": 2, "window": True}
    assert (tmp_path / "served.txt").read_text().splitlines()[-1] == f"book a: carried out with {json.dumps([given])}"
