"""Forks: a new run that begins with the first steps of another, as they were or edited."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from unified_agents.errors import ConfigError, JournalError
from unified_agents.journal.fingerprint import Fingerprint
from unified_agents.journal.protocol import Journal
from unified_agents.journal.rows import (
    AnsweredCall,
    AnswerRow,
    EndRow,
    ForkPoint,
    Row,
    RunRow,
    ToolEndRow,
    ToolStartRow,
)
from unified_agents.journal.turns import with_history
from unified_agents.messages import JsonObject, Message, Usage


async def fork_run(
    journal: Journal,
    run_id: str,
    at: int,
    *,
    message: str | None = None,
    results: Mapping[str, str] | None = None,
    answer: Mapping[str, Any] | None = None,
) -> str:
    """Store a new run that begins with the steps of another one, and return its id. `Agent.resume` goes on with it.

    Until then it stands as `forked` in the journal: it is no run whose process died.

    A fork of a turn of a session is given the turns before it, and adds nothing to the session.

    Args:
        journal: Where the other run is, and the new one will be.
        run_id: The other run. It stays as it is.
        at: The first step that the new run makes itself; 0 begins anew.
        message: The last message that the run was given, in the place of the old one.
        results: Results of finished calls, by their ids, in the place of the old ones.
        answer: The model's answer of step `at`: `text`, and `tool_calls` with `name` and `arguments`. None asks it.

    Raises:
        RunNotFoundError: there is no such run.
        ConfigError: the run has no such step or call, or a call before the step is not finished.
        JournalError: the journal cannot be read or written.
    """
    found = await journal.read(run_id)
    if isinstance(found[0], RunRow):
        found[0] = await with_history(journal, found[0])
    rows = forked_rows(found, run_id, at, message=message, results=results or {}, answer=answer)
    new_id = secrets.token_hex(16)
    end = EndRow(status="forked", output=None, error=None, ended=time.time())
    lease = await journal.begin(new_id, [*rows, end])  # should this process die now, the fork has not begun either
    await journal.append(lease, [end], release=True)
    return new_id


def forked_rows(
    rows: Sequence[Row],
    run_id: str,
    at: int,
    *,
    message: str | None,
    results: Mapping[str, str],
    answer: Mapping[str, Any] | None,
) -> list[Row]:
    """Return the rows of a fork; see `fork_run`."""
    first = rows[0]
    if not isinstance(first, RunRow):
        raise JournalError(f"run {run_id} is damaged: its first row does not say what the run is")
    answers = {row.step: row for row in rows if isinstance(row, AnswerRow)}
    if not 0 <= at <= len(answers):
        raise ConfigError(f"run {run_id} has {len(answers)} steps: fork it at 0 to {len(answers)}, not at {at}")
    ends = {(row.step, row.index): row for row in rows if isinstance(row, ToolEndRow)}
    starts = {(row.step, row.index): row for row in rows if isinstance(row, ToolStartRow)}
    _check_results(run_id, [answers[step] for step in range(at)], results)
    messages = first.messages
    if message is not None:
        messages = (*messages[:-1], messages[-1].model_copy(update={"content": message}))
    fork = ForkPoint(run_id=run_id, step=at)
    run = replace(first, created=time.time(), messages=messages, session=None, history=0, forked_from=fork)
    forked: list[Row] = [run]
    fingerprint = _begun(run)
    for step in range(at):
        row = answers[step]
        forked.append(replace(row, fingerprint=fingerprint.text()))
        fingerprint.add(_turn(row))
        for index, call in enumerate(row.calls):
            end = ends.get((step, index))
            if end is None:
                raise ConfigError(f"call {call.call_id} of step {step} is not finished: fork the run at {step}")
            if call.call_id in results:
                end = replace(end, content=results[call.call_id], is_error=False, parts=(), whole=None, error=None)
            fingerprint.add({"role": "tool", "content": end.content})
            forked += [start] if (start := starts.get((step, index))) is not None else []
            forked.append(end)
    if answer is not None:
        forked.append(_edited_answer(at, answer, fingerprint.text(), first.model))
    return forked


def _check_results(run_id: str, kept: Sequence[AnswerRow], results: Mapping[str, str]) -> None:
    known = {call.call_id for row in kept for call in row.calls}
    if unknown := sorted(results.keys() - known):
        raise ConfigError(f"run {run_id} has no call {unknown[0]!r} before the step that it is forked at")


def _begun(run: RunRow) -> Fingerprint:
    fingerprint = Fingerprint()
    if run.instructions is not None:
        fingerprint.add({"role": "system", "content": run.instructions})
    for message in run.messages:
        fingerprint.add(message.to_chat())
    return fingerprint


def _turn(row: AnswerRow) -> JsonObject:
    calls = [{"function": {"name": call.name, "arguments": call.arguments}} for call in row.calls]
    return {"role": "assistant", "content": row.text, "tool_calls": calls}


def _edited_answer(step: int, answer: Mapping[str, Any], fingerprint: str, model: str) -> AnswerRow:
    calls = [{"id": f"edited_{step}_{index}", **call} for index, call in enumerate(answer.get("tool_calls") or ())]
    turn = Message.from_chat({"role": "assistant", "content": answer.get("text"), "tool_calls": calls})
    if not isinstance(turn.content, str | None) or not (turn.content or calls):
        raise ConfigError("the edited answer: give a text, or tool_calls with name and arguments")
    return AnswerRow(
        step=step,
        fingerprint=fingerprint,
        model=model,
        requests=0,
        text=turn.content,
        calls=tuple(
            AnsweredCall(id=call.id, call_id=call.id, name=call.name, arguments=call.arguments)
            for call in turn.tool_calls
        ),
        finish_reason="tool_calls" if calls else "stop",
        usage=Usage(),
        cost=None,
    )


def script_of(rows: Sequence[Row]) -> JsonObject:
    """Return the model's answers of a run as a script for the scripted model."""
    answers: list[JsonObject] = []
    for row in rows:
        if isinstance(row, AnswerRow):
            calls = [{"name": call.name, "arguments": call.arguments} for call in row.calls]
            text = {} if row.text is None else {"text": row.text}
            answers.append(text | ({"tool_calls": calls} if calls else {}))
    return {"answers": answers}
