"""The password in the URL of a journal is told to nobody, and the command that goes on needs none on its line."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

import psycopg
import pytest

from postgres import PASSWORD, Server
from secret_forms import traces
from support import asks_for, run_program, scripted_model
from unified_agents import create_agent, tool

FILES = {
    "agent.yaml": "model: {provider: script, name: script.yaml}\ntools: ['shop:send', 'shop:look']\n",
    "script.yaml": """
answers:
  - tool_calls: [{name: look, arguments: {}}]
  - tool_calls: [{name: send, arguments: {}}]
  - text: Sent.
""",
    "shop.py": """
import os
from unified_agents import tool

@tool
def look() -> str:
    raise ConnectionError("no connection to " + os.environ["THE_URL"])

@tool(approval="always")
def send() -> str:
    return "sent with " + os.environ["THE_URL"]
""",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def place(postgres: Server) -> str:
    return postgres.new_place()


def stored(place: str) -> bytes:
    with psycopg.connect(place) as connection:
        return b"\n".join(
            row[0] for row in connection.execute("SELECT body FROM unified_agents_rows ORDER BY run, number")
        )


@pytest.mark.parametrize("where", ["option", "file", "variable"])
def test_a_run_goes_on_by_the_printed_command_which_holds_no_password(folder: Path, place: str, where: str) -> None:
    environment = {**os.environ, "THE_URL": place}
    if where == "file":
        with (folder / "agent.yaml").open("a") as file:
            file.write("journal: ${THE_URL}\n")
    elif where == "variable":
        environment["UNIFIED_AGENTS_JOURNAL"] = place
    options = ("--journal", place) if where == "option" else ()
    begun = run_program("run", "agent.yaml", "Go.", *options, cwd=folder, env=environment)
    assert (begun.returncode, begun.stdout) == (4, ""), begun.stderr
    assert ("PGPASSWORD" in begun.stderr) is (where == "option")
    told = begun.stderr.partition("go on with: ")[2].partition(", or ")[0]
    command = shlex.split(told)[1:]
    if where == "option":
        environment["PGPASSWORD"] = PASSWORD
    done = run_program(*command, "--json", cwd=folder.parent, env=environment)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["output"] == "Sent."
    rows = stored(place)
    assert b"{{secret journal/password|plain}}" in rows
    for text in (begun.stderr, json.dumps(result["trace"]), json.dumps(result["errors"]), rows.decode()):
        assert traces(text.encode(), PASSWORD) == []


async def test_no_error_log_trace_or_cassette_holds_it(
    place: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    @tool
    def look() -> str:
        """Look."""
        raise ConnectionError(f"no connection to {place}")

    told: list[Any] = []
    model = scripted_model(asks_for("look"), asks_for("look"), {"text": "Sorry."})
    cassette = tmp_path / "c.jsonl"
    async with create_agent(model=model, tools=[look], journal=place, record=cassette) as agent:
        result = await agent.run("Look.", on_event=told.append)
        assert place not in repr(agent._settings)  # type: ignore[attr-defined]
    assert len(result.tool_calls) == 2
    assert traces(str(result.messages).encode(), PASSWORD) != []  # the search can find it: the model is told
    known = [
        str(result.trace),
        json.dumps(result.to_dict()["trace"]),
        str(result.errors),
        caplog.text,
        cassette.read_text(),
    ]
    for text in (*known, *(call.error.message for call in result.tool_calls if call.error)):
        assert traces(text.encode(), PASSWORD) == []
