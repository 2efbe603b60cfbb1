"""Decisions about tool calls that wait for one, as `Agent.resume` takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from unified_agents.errors import ConfigError, InvalidInputError
from unified_agents.journal.record import RunRecord
from unified_agents.journal.rows import DecisionRow
from unified_agents.tools.definition import Tool
from unified_agents.tools.json_values import to_json
from unified_agents.tools.results import to_text


class Decision(BaseModel):
    """What is decided about one tool call; `approve`, `deny`, `edit` and `finished` make one.

    Attributes:
        kind: What is decided.
        text: The reason, the arguments as JSON, or the result.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    kind: Literal["approve", "deny", "edit", "finished"]
    text: str = ""


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
            raise ConfigError(f"decisions: give approve(), deny(…), edit(…) or finished(…), not {decision!r:.80}")
        if call_id not in calls:
            raise ConfigError(f"decisions: run {record.run_id} has no call {call_id!r}; result.pending names those")
        step, index, call = calls[call_id]
        if (step, index) in record.ends:
            raise ConfigError(f"decisions: call {call_id!r} is finished: a decision is used once")
        if call_id in record.decisions:
            raise ConfigError(f"decisions: call {call_id!r} is decided already: resume the run without a decision")
        tool = by_name.get(call.name)
        if decision.kind == "edit" and tool is not None:
            _check(tool, decision.text)
        rows.append(DecisionRow(call_id=call_id, decision=decision.kind, text=decision.text))
    return rows


def _check(tool: Tool, arguments: str) -> None:
    try:
        tool.validate(arguments)
    except InvalidInputError as error:
        raise ConfigError(f"decisions: tool {tool.name!r}: {'; '.join(error.problems)}") from error
