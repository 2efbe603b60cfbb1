"""What happened in each task, in plain words, and where it was not the same everywhere."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from unified_agents.config import Handling
from unified_agents.messages import JsonObject
from unified_agents_comparisons.records import CallSummary, Cell
from unified_agents_comparisons.scoring import equal
from unified_agents_comparisons.suite.model import Task

EXPECTED = "as expected"
LONGEST = 300


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Outcome(_Frozen):
    """What came of a task on one backend under one handling.

    Attributes:
        backend: The backend.
        handling: The handling.
        passed: Cells that passed.
        total: Cells that were run.
        what: In plain words; different outcomes of repeats each with their number.
    """

    backend: str
    handling: Handling
    passed: int
    total: int
    what: str


class TaskOutcomes(_Frozen):
    """A task with what came of it everywhere.

    Attributes:
        task: Its id.
        description: What it shows.
        differs_native: What the suite says of it under `native`, with tool calling; None where it says nothing.
        outcomes: One for each backend and handling.
        differs: Whether something else happened on another backend, or under the other handling.
    """

    task: str
    description: str
    differs_native: str | None
    outcomes: tuple[Outcome, ...]
    differs: bool

    def by_what(self) -> list[tuple[str, list[Outcome]]]:
        """The outcomes that are alike together, the expected one last."""
        found: dict[str, list[Outcome]] = {}
        for outcome in self.outcomes:
            found.setdefault(outcome.what, []).append(outcome)
        return sorted(found.items(), key=lambda item: item[0] == EXPECTED)


def task_outcomes(tasks: Iterable[Task], cells: Sequence[Cell]) -> tuple[TaskOutcomes, ...]:
    """What came of each task, backends by name and `unified` before `native`."""
    found: dict[str, dict[tuple[str, Handling], list[Cell]]] = {}
    for cell in sorted(cells, key=lambda one: (one.backend, one.handling != "unified", one.repeat)):
        found.setdefault(cell.task, {}).setdefault((cell.backend, cell.handling), []).append(cell)
    return tuple(_task_outcomes(task, found.get(task.id, {})) for task in tasks)


def phrase(cell: Cell) -> str:
    """What happened in a cell, in plain words taken from its record."""
    if cell.passed:
        return EXPECTED
    if cell.error is not None and cell.seconds is None:
        return f"run failed: {cell.error.message}"
    facts = [*_calls(cell), *_ending(cell)]
    if cell.status == "completed" and not (cell.output or "").strip():
        facts.append("the answer was empty")
    what = "; ".join(facts or cell.reasons[:1])
    return what if len(what) <= LONGEST else f"{what[:LONGEST]}…"


def _task_outcomes(task: Task, sides: Mapping[tuple[str, Handling], Sequence[Cell]]) -> TaskOutcomes:
    outcomes = tuple(_outcome(backend, handling, cells) for (backend, handling), cells in sides.items())
    calls_tools = all(cell.variant == "tool_calling" for cells in sides.values() for cell in cells)
    return TaskOutcomes(
        task=task.id,
        description=task.description,
        differs_native=task.differs_native if calls_tools else None,
        outcomes=outcomes,
        differs=len({outcome.what for outcome in outcomes}) > 1,
    )


def _outcome(backend: str, handling: Handling, cells: Sequence[Cell]) -> Outcome:
    counted = Counter(phrase(cell) for cell in cells)
    parts = [what if number == len(cells) else f"{number} of {len(cells)}: {what}" for what, number in counted.items()]
    passed = sum(cell.passed for cell in cells)
    return Outcome(backend=backend, handling=handling, passed=passed, total=len(cells), what="; ".join(sorted(parts)))


def _ending(cell: Cell) -> list[str]:
    if cell.error is None:
        return [] if cell.status == "completed" else [f"the run's status is {cell.status}"]
    if cell.status == "limit":
        return [f"stopped by a limit: {cell.error.message}"]
    name = (cell.error.native_type or cell.error.type).rpartition(".")[2]
    told = cell.error.message if name in cell.error.message else f"{name}: {cell.error.message}"
    return [f"run failed: {cell.error.kind}: {told}"]


def _calls(cell: Cell) -> list[str]:
    facts = []
    if any(call.lost for call in cell.tool_calls):
        reached = sum(call.reached for call in cell.tool_calls)
        facts.append(f"{reached} of {len(cell.tool_calls)} calls reached a tool")
    for call in cell.tool_calls:
        if call.fault:
            facts.append(f"wrong arguments reached the tool {call.name}: {call.fault}")
        elif change := _change(call):
            facts.append(f"the tool {call.name} ran {change}")
    return facts


def _change(call: CallSummary) -> str | None:
    """How what the tool's function got differs from what the model wrote; None when it does not."""
    if call.received is None:
        return None
    asked = _parsed(call.arguments)
    if asked is None:
        return f"on what was read of broken arguments: {_shown(call.received)}"
    dropped = asked.keys() - call.received.keys()
    if dropped:
        return f"without {', '.join(sorted(dropped))}, which the model gave"
    changed = {name: call.received[name] for name in asked if not equal(asked[name], call.received[name])}
    written = {name: asked[name] for name in changed}
    return f"with {_shown(changed)}, where the model wrote {_shown(written)}" if changed else None


def _parsed(arguments: str) -> JsonObject | None:
    try:
        parsed = json.loads(arguments or "{}")
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _shown(values: JsonObject) -> str:
    return ", ".join(f"{name}={json.dumps(value, ensure_ascii=False, default=str)}" for name, value in values.items())
