"""The command `runs export`: a run as a script, as a cassette, or as a test that repeats it."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
import yaml

from unified_agents.cli.journals import AgentOption, JournalOption, RunArgument, file_of, need_journal, read_run
from unified_agents.cli.stdio import can_be_put, exit_on_wrong_usage, put, put_json_text
from unified_agents.errors import ConfigError
from unified_agents.journal.forks import script_of
from unified_agents.journal.rows import AnswerRow, EndRow, Row, RunRow, ToolEndRow, write_row
from unified_agents.messages import JsonObject
from unified_agents.redaction.placeholders import without_placeholders
from unified_agents.wire.cassette import exchanges_of

REPEATABLE = ("completed", "suspended")

TEST = '''"""The run {run} of {date}: the model's answers and the tools' results come from the file beside this one."""

from pathlib import Path

from unified_agents import replay_run

HERE = Path(__file__).parent


def test_{name}() -> None:
    result = replay_run(HERE / {agent!r}, HERE / {rows!r})
    assert result.status == {status!r}
    assert result.output == {output!r}
    assert [(call.name, call.arguments, call.ok) for call in result.tool_calls] == {calls!r}
'''


def export(
    run: RunArgument,
    *,
    form: Annotated[
        Literal["script", "cassette", "test"],
        typer.Option("--as", help="script: `model: script:FILE` answers so; cassette: for --replay; test: for pytest."),
    ] = "script",
    out: Annotated[
        Path | None, typer.Option(help="The file to write, else standard output; for a test its folder.")
    ] = None,
    journal: JournalOption = None,
    agent: AgentOption = None,
) -> None:
    """Write what a run's model answered as a script or a cassette, or a test that repeats the run.

    The test takes the tools' results from the run, so that no tool runs again, and fails where the agent has changed.
    """
    with exit_on_wrong_usage():
        info, rows = asyncio.run(read_run(need_journal(journal, agent), run))
        if form == "test":
            put(str(_write_test(info.run_id, rows, out, agent)) + "\n")
            return
        if form == "cassette":
            text = b"".join(write_row(row) + b"\n" for row in exchanges_of(rows)).decode()
        else:
            text = _yaml(script_of(rows), as_ascii=False)
            if out is None and not can_be_put(text):
                text = _yaml(script_of(rows), as_ascii=True)
        if out is None:
            (put_json_text if form == "cassette" else put)(text)
        else:
            _write(out, text)


def _yaml(script: JsonObject, *, as_ascii: bool) -> str:
    text = yaml.safe_dump(script, sort_keys=False, allow_unicode=not as_ascii)
    return without_placeholders(text.encode()).decode()


def _write_test(run_id: str, rows: Sequence[Row], out: Path | None, agent: Path | None) -> Path:
    if out is None or not out.is_dir():
        raise ConfigError("--as test writes two files: give --out FOLDER, a folder that is there")
    first, end = rows[0], rows[-1]
    if not isinstance(first, RunRow) or not isinstance(end, EndRow) or end.status not in REPEATABLE:
        how = end.status if isinstance(end, EndRow) else "not ended"
        raise ConfigError(f"run {run_id} is {how}: only one that is completed or suspended can be a test")
    name = "run_" + re.sub(r"\W", "_", run_id)[:12]
    file = (agent or file_of(rows)).resolve()
    test = out / f"test_{name}.py"
    text = TEST.format(
        run=re.sub(r"[^\w.-]", "_", run_id),
        date=f"{datetime.fromtimestamp(first.created, UTC):%Y-%m-%d}",
        name=name,
        agent=os.path.relpath(file, out.resolve()),
        rows=f"{name}.jsonl",
        status=end.status,
        output=end.output,
        calls=_calls(rows),
    )
    _write(out / f"{name}.jsonl", "".join(write_row(row).decode() + "\n" for row in rows))
    _write(test, text)
    return test


def _calls(rows: Sequence[Row]) -> list[Any]:
    ends = {(row.step, row.index): row for row in rows if isinstance(row, ToolEndRow)}
    return [
        (call.name, call.arguments, (end := ends.get((row.step, index))) is not None and not end.is_error)
        for row in rows
        if isinstance(row, AnswerRow)
        for index, call in enumerate(row.calls)
    ]


def _write(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise ConfigError(f"{path}: the file is there; delete it, or name another place") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror or error}") from error
