"""What happened in each task, in plain words, and where the sides differ."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence

from unified_agents.messages import JsonObject
from unified_agents_comparisons.analysis.sides import Side, SidePasses, by_side
from unified_agents_comparisons.frozen_model import FrozenModel
from unified_agents_comparisons.records import CallSummary, Cell
from unified_agents_comparisons.scoring import equal, parsed_arguments
from unified_agents_comparisons.suite.model import Task

EXPECTED = "as expected"
MAX_PHRASE_LENGTH = 300


class Outcome(SidePasses):
    """What happened in a task on one side.

    Attributes:
        what: In plain words; different outcomes of repeats each with their number.
    """

    what: str


class TaskOutcomes(FrozenModel):
    """A task with what happened in it on every side.

    Attributes:
        task: Its id.
        description: What it shows.
        differs_native: What the suite says of it under `native`, with tool calling; None where it says nothing.
        outcomes: One for each side.
        differs: Whether the sides have different outcomes.
    """

    task: str
    description: str
    differs_native: str | None
    outcomes: tuple[Outcome, ...]
    differs: bool

    def by_what(self) -> list[tuple[str, list[Outcome]]]:
        """Group the outcomes that are alike, the expected one last."""
        found: dict[str, list[Outcome]] = {}
        for outcome in self.outcomes:
            found.setdefault(outcome.what, []).append(outcome)
        return sorted(found.items(), key=lambda item: item[0] == EXPECTED)


def task_outcomes(tasks: Iterable[Task], cells: Sequence[Cell]) -> tuple[TaskOutcomes, ...]:
    """Return what happened in each task on every side."""
    found: dict[str, list[Cell]] = {}
    for cell in sorted(cells, key=lambda one: one.repeat):
        found.setdefault(cell.task, []).append(cell)
    return tuple(_task_outcomes(task, found.get(task.id, [])) for task in tasks)


def phrase(cell: Cell) -> str:
    """Say in plain words what happened in a cell, from its record alone."""
    if cell.passed:
        return EXPECTED
    if cell.error is not None and cell.seconds is None:
        return f"run failed: {cell.error.message}"
    facts = [*_calls(cell), *_failures_before(cell), *_ending(cell)]
    if cell.status == "completed" and not (cell.output or "").strip():
        facts.append("the answer was empty")
    what = "; ".join(facts or cell.reasons[:1])
    return what if len(what) <= MAX_PHRASE_LENGTH else f"{what[:MAX_PHRASE_LENGTH]}…"


def _task_outcomes(task: Task, cells: Sequence[Cell]) -> TaskOutcomes:
    outcomes = tuple(_outcome(side, some) for side, some in by_side(cells).items())
    calls_tools = all(cell.variant == "tool_calling" for cell in cells)
    return TaskOutcomes(
        task=task.id,
        description=task.description,
        differs_native=task.differs_native if calls_tools else None,
        outcomes=outcomes,
        differs=len({outcome.what for outcome in outcomes}) > 1,
    )


def _outcome(side: Side, cells: Sequence[Cell]) -> Outcome:
    counted = Counter(phrase(cell) for cell in cells)
    parts = [what if number == len(cells) else f"{number} of {len(cells)}: {what}" for what, number in counted.items()]
    passed = sum(cell.passed for cell in cells)
    what = "; ".join(sorted(parts))
    return Outcome(backend=side.backend, handling=side.handling, passed=passed, total=len(cells), what=what)


def _ending(cell: Cell) -> list[str]:
    if cell.error is None:
        return [] if cell.status == "completed" else [f"the run's status is {cell.status}"]
    if cell.status == "limit":
        return [f"stopped by a limit: {cell.error.message}"]
    name = (cell.error.native_type or cell.error.type).rpartition(".")[2]
    message = cell.error.message if name in cell.error.message else f"{name}: {cell.error.message}"
    return [f"run failed: {cell.error.kind}: {message}"]


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


def _failures_before(cell: Cell) -> list[str]:
    """Return the failed calls before a request that was refused: a script refuses it for want of their results."""
    if cell.error is None or cell.error.kind != "bad_request":
        return []
    return [call.error.message for call in cell.tool_calls if not call.ok and call.error is not None]


def _change(call: CallSummary) -> str | None:
    """Say how the arguments that the tool's function got differ from what the model wrote; None when they do not."""
    if call.received is None:
        return None
    asked = parsed_arguments(call.arguments)
    if not isinstance(asked, dict):
        return f"on what was read of broken arguments: {_shown(call.received)}"
    dropped = asked.keys() - call.received.keys()
    if dropped:
        return f"without {', '.join(sorted(dropped))}, which the model gave"
    changed = {name: call.received[name] for name in asked if not equal(asked[name], call.received[name])}
    written = {name: asked[name] for name in changed}
    return f"with {_shown(changed)}, where the model wrote {_shown(written)}" if changed else None


def _shown(values: JsonObject) -> str:
    return ", ".join(f"{name}={json.dumps(value, ensure_ascii=False, default=str)}" for name, value in values.items())
