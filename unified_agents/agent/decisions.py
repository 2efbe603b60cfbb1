"""Decisions about tool calls that wait for one, as `Agent.resume` takes them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from unified_agents.elicitation import ElicitationAction, is_elicitation_action
from unified_agents.errors import ConfigError, InvalidInputError
from unified_agents.journal.record import RunRecord
from unified_agents.journal.rows import DecisionRow
from unified_agents.tools.definition import Tool
from unified_agents.tools.elicitation_forms import answer_problems
from unified_agents.tools.json_values import to_json
from unified_agents.tools.results import to_text


class Decision(BaseModel):
    """What is decided about one tool call.

    `approve`, `deny`, `edit` and `finished` make one; `accept`, `decline` and `cancel` do for a call whose MCP server
    asks something.

    Attributes:
        kind: What is decided.
        text: The reason, the arguments as JSON, the result, or the answer as JSON; it is not shown.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    kind: Literal["approve", "deny", "edit", "finished"] | ElicitationAction
    text: str = Field(default="", repr=False)


def approve() -> Decision:
    """Let a call run. One that was in flight when its process died is run again, under the same idempotency key."""
    return Decision(kind="approve")


def deny(reason: str = "") -> Decision:
    """Do not let a call run; the model is told the reason."""
    return Decision(kind="deny", text=reason)


def edit(arguments: Mapping[str, Any]) -> Decision:
    """Let a call run with other arguments than the model's."""
    return Decision(kind="edit", text=to_json(dict(arguments)).decode())


def finished(result: object) -> Decision:
    """Say that a call was carried out before its process died, and what it returned."""
    return Decision(kind="finished", text=to_text(result))


def accept(content: Mapping[str, Any] | None = None) -> Decision:
    """Answer what a call's MCP server asks, with the form that it wants filled in. The call is made again with it."""
    return Decision(kind="accept", text=to_json(dict(content or {})).decode())


def decline() -> Decision:
    """Tell a call's MCP server that the user refuses to answer. The call is made again with that."""
    return Decision(kind="decline")


def cancel() -> Decision:
    """Tell a call's MCP server that the user made no choice. The call is made again with that."""
    return Decision(kind="cancel")


def decision_rows(record: RunRecord, decisions: Mapping[str, Decision], tools: Sequence[Tool]) -> list[DecisionRow]:
    """Return decisions as rows of a run's journal.

    Args:
        record: What the journal holds of the run.
        decisions: They are by call id.
        tools: The agent's tools.

    Raises:
        ConfigError: a call does not wait for a decision, or the arguments do not fit its tool.
    """
    calls = {
        call.call_id: (row.step, index, call) for row in record.answers.values() for index, call in enumerate(row.calls)
    }
    by_name = {tool.name: tool for tool in tools}
    rows = []
    for call_id, decision in decisions.items():
        if not isinstance(decision, Decision):
            made = "approve(), deny(…), edit(…), finished(…), accept(…), decline() or cancel()"
            raise ConfigError(f"decisions: give {made}, not {type(decision).__name__}")
        if call_id not in calls:
            waiting = [known for known, (step, index, _) in calls.items() if (step, index) not in record.ends]
            told = f"those that wait: {', '.join(waiting)}" if waiting else "none waits"
            raise ConfigError(f"decisions: run {record.run_id} has no call {call_id!r}; {told}")
        step, index, call = calls[call_id]
        if (step, index) in record.ends:
            raise ConfigError(f"decisions: call {call_id!r} is finished: a decision is used once")
        if record.is_completed:
            raise ConfigError(f"decisions: run {record.run_id} is completed: resume it without a decision")
        if call_id in record.decisions:
            raise ConfigError(f"decisions: call {call_id!r} is decided already: resume the run without a decision")
        _check_answer(record, call_id, decision)
        tool = by_name.get(call.name)
        if decision.kind == "edit" and tool is not None:
            _check(tool, decision.text)
        rows.append(DecisionRow(call_id=call_id, decision=decision.kind, text=decision.text))
    return rows


def _check_answer(record: RunRecord, call_id: str, decision: Decision) -> None:
    elicitation = record.open_elicitations.get(call_id)
    is_answer = is_elicitation_action(decision.kind)
    if elicitation is None:
        if is_answer:
            raise ConfigError(f"decisions: call {call_id!r} waits for no answer to an MCP server: not {decision.kind}")
        return
    if not is_answer and decision.kind != "deny":
        raise ConfigError(
            f"decisions: call {call_id!r} waits for an answer to its MCP server: give accept(…), decline(), cancel() "
            f"or deny(…), not {decision.kind}"
        )
    if decision.kind == "accept" and (problems := answer_problems(elicitation, json.loads(decision.text))):
        raise ConfigError(f"decisions: the answer for call {call_id!r} does not fit: {'; '.join(problems)}")


def _check(tool: Tool, arguments: str) -> None:
    try:
        tool.validate(arguments)
    except InvalidInputError as error:
        raise ConfigError(f"decisions: tool {tool.name!r}: {'; '.join(error.problems)}") from error
