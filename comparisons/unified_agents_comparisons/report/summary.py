"""The summary of a comparison, which every form of the report shows."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from pydantic import Field, ValidationError

from unified_agents.config import Variant
from unified_agents.config.providers import ProtocolName
from unified_agents.errors import ConfigError
from unified_agents_comparisons.analysis.fault_matrix import FaultRow, fault_matrix
from unified_agents_comparisons.analysis.metrics import (
    CategoryCount,
    ControlCount,
    Group,
    categories,
    control_counts,
    groups,
)
from unified_agents_comparisons.analysis.outcomes import TaskOutcomes, phrase, task_outcomes
from unified_agents_comparisons.analysis.paired_tests import PairedTest, paired_tests, power_line
from unified_agents_comparisons.analysis.sides import SCRIPTED, by_side
from unified_agents_comparisons.analysis.tracing_rows import TracingRow, tracing_rows
from unified_agents_comparisons.execution.abilities import Abilities
from unified_agents_comparisons.execution.comparison import Comparison, recorded_comparison
from unified_agents_comparisons.execution.plan import ComparisonPlan
from unified_agents_comparisons.frozen_model import FrozenModel
from unified_agents_comparisons.records import Cell, Perturbation, model_label, write_atomically
from unified_agents_comparisons.report.formatting import counted
from unified_agents_comparisons.report.notebook import summary_html
from unified_agents_comparisons.schema_fidelity import SideFidelity, side_fidelity

SUMMARY = "summary.json"
OF_A_RECORDING = "a recording answered, the same on every backend: this shows the backends, never a model's quality"
OF_A_SCRIPT = "a scripted model answered: this proves the plumbing, never a model's quality"
REAL = "a real model answered: with few tasks and repeats, chance decides as much as the backends"


class Surprise(FrozenModel):
    """A cell that makes the comparison fail: one under `unified` that did not pass, or a negative control that did.

    Attributes:
        task: The task's id.
        backend: The backend.
        handling: The handling.
        repeat: From 0.
        what: What happened, in plain words.
        reasons: Why it did not pass.
    """

    task: str
    backend: str
    handling: str
    repeat: int
    what: str
    reasons: tuple[str, ...]


class Summary(FrozenModel):
    """A comparison in numbers and words; the file `summary.json`.

    Attributes:
        suite: The suite's name.
        description: The suite's own line.
        digest: Hash of the suite with its tools and data.
        variant: The loop within the backends.
        model: Which model answered.
        protocols: What it was asked in, that of `unified` first; empty where an older version compared.
        note: What an answer of this model proves.
        perturb: The negative controls; none in an ordinary comparison.
        ok: Whether every `unified` cell passed; under a negative control, whether every cell failed.
        out: The folder of the records, as the user wrote it.
        tasks: How many tasks were run.
        repeats: How often each.
        seed: What decided their order.
        cells: How many cells there are: all that the folder holds.
        beyond: How many of these the last sitting did not ask for: an earlier one did.
        missing: How many cells are missing, since the comparison was interrupted.
        left_out: What was not run because a backend lacks it; a line each.
        versions: By backend, what its worker ran with.
        groups: The numbers of each backend under each handling.
        categories: The same by the tasks' categories; empty when they have none.
        controls: Of each negative control, how many cells failed; empty in an ordinary comparison.
        schemas: What each backend made of the tools' schemas; of the first repeat, and of no negative control.
        tests: Paired tests of the sides; none of negative controls and of faults.
        power: Which changes the tests find, in words; None where the noise is not known.
        tracing: What the frameworks' own tracing told; empty where it was not scored.
        abilities: By backend, what it offers whatever the task; without agents as they are.
        currency: The unit of the costs; None where nobody said.
        looks: How often the tests were looked at, to stop when they are decided; they are corrected for it.
        date: When the report was made, with its time zone.
        machine: What it ran on.
        outcomes: What came of each task everywhere; empty where there are faults.
        faults: What came of each fault everywhere; empty without any.
        surprises: The cells because of which `ok` is false.
    """

    suite: str
    description: str
    digest: str
    variant: Variant = "tool_calling"
    model: str
    protocols: tuple[ProtocolName, ...] = ()
    note: str
    perturb: tuple[Perturbation, ...]
    ok: bool
    out: str
    tasks: int
    repeats: int
    seed: int
    cells: int
    beyond: int = 0
    missing: int = 0
    left_out: tuple[str, ...] = ()
    versions: dict[str, dict[str, str]]
    groups: tuple[Group, ...]
    categories: tuple[CategoryCount, ...]
    controls: tuple[ControlCount, ...]
    schemas: tuple[SideFidelity, ...]
    tests: tuple[PairedTest, ...]
    power: str | None = None
    tracing: tuple[TracingRow, ...] = ()
    abilities: dict[str, Abilities] = Field(default_factory=dict)
    currency: str | None = None
    looks: int = 1
    date: str = ""
    machine: str = ""
    outcomes: tuple[TaskOutcomes, ...]
    faults: tuple[FaultRow, ...] = ()
    surprises: tuple[Surprise, ...]

    def _repr_html_(self) -> str:
        """Return the summary for a notebook."""
        title = f"{self.suite}: {counted(self.cells, 'cell')}, model {self.model}"
        return summary_html(title, self.groups, self.currency, (self.verdict, f"Mind that {self.note}."))

    @property
    def differing(self) -> tuple[TaskOutcomes, ...]:
        """Return the tasks whose outcome is not the same everywhere."""
        return tuple(task for task in self.outcomes if task.differs)

    @property
    def verdict(self) -> str:
        """Say in words what `ok` says."""
        if self.missing:
            return f"Interrupted: {counted(self.missing, 'cell')} of those asked for not run; nothing is judged."
        if self.perturb:
            wrong = f"{len(self.surprises)} of {self.cells} passed: this suite does not prove what it should"
            named = f"Negative control{'s'[: len(self.perturb) > 1]} {', '.join(self.perturb)}"
            return f"{named}: {'every cell failed, as it must' if self.ok else wrong}."
        if not any(group.handling == "unified" for group in self.groups):
            return "Nothing was run under unified handling, so nothing is judged."
        failed = f"{counted(len(self.surprises), 'cell')} under unified handling did not pass."
        return "Every cell under unified handling passed." if self.ok else failed


def summarise(comparison: Comparison, *, looks: int = 1) -> Summary:
    """Summarise a comparison.

    Args:
        comparison: What was run.
        looks: How often it was looked at, to stop when it is decided.
    """
    plan, cells = comparison.plan, comparison.cells
    sources = {task.id: task.source for task in comparison.tasks if task.source}
    surprises = tuple(_surprise(cell) for cell in cells if decides(cell))
    faults = fault_matrix(cells)
    repeats = max((cell.repeat + 1 for cell in cells), default=plan.repeats)
    tested = not faults and not plan.perturb
    return Summary(
        suite=plan.suite.suite.name,
        description=plan.suite.suite.description,
        digest=plan.suite.digest,
        variant=plan.variant,
        model=model_label(plan.model, plan.cassettes.replay),
        protocols=tuple(dict.fromkeys(plan.model.for_handling(name).spoken_protocol for name in plan.handlings)),
        note=_note(plan),
        perturb=plan.perturb,
        ok=not surprises,
        out=str(plan.out),
        tasks=len(comparison.tasks),
        repeats=repeats,
        seed=plan.seed,
        cells=len(cells),
        beyond=comparison.beyond,
        missing=comparison.missing,
        left_out=comparison.left_out,
        versions={backend: dict(versions) for backend, versions in comparison.versions.items()},
        groups=groups(cells, sources),
        categories=categories(comparison.tasks, cells),
        controls=control_counts(cells),
        schemas=_schemas(cells),
        tests=paired_tests(cells, sources, looks=looks) if tested else (),
        power=power_line(cells, repeats, looks=looks) if tested else None,
        tracing=tracing_rows(cells),
        abilities=dict(comparison.abilities),
        currency=plan.currency,
        looks=looks,
        date=f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}",
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        outcomes=() if faults else task_outcomes(comparison.tasks, cells),
        faults=faults,
        surprises=surprises,
    )


def _note(plan: ComparisonPlan) -> str:
    if plan.cassettes.replay is not None:
        return OF_A_RECORDING
    return OF_A_SCRIPT if plan.model.provider in SCRIPTED else REAL


def write_summary(summary: Summary, folder: Path) -> Path:
    """Write `summary.json`; return its path."""
    return write_atomically(folder / SUMMARY, summary.model_dump_json(indent=2) + "\n")


def read_summary(folder: Path) -> Summary:
    """Return the summary that a comparison's folder holds.

    Raises:
        ConfigError: there is none, or it is of another version.
    """
    path = folder / SUMMARY
    if not path.is_file():
        raise ConfigError(f"{folder}: holds no summary: let the comparison end, with compare --out {folder}")
    try:
        return Summary.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ConfigError(f"{path}: is no summary of this version; write it with compare --out {folder}") from error


def summary_of(folder: Path, cells: Sequence[Cell]) -> Summary:
    """Return the summary of a comparison's folder: that which it holds, or one of the cells that there are by now.

    Raises:
        ConfigError: it is of another version, or the folder does not say what was compared.
    """
    if (folder / SUMMARY).is_file() and (found := read_summary(folder)).cells == len(cells):
        return found
    return summarise(recorded_comparison(folder))


def _schemas(cells: Sequence[Cell]) -> tuple[SideFidelity, ...]:
    counted = [cell for cell in cells if cell.schemas and cell.repeat == 0 and cell.perturb is None]
    sides = by_side(sorted(counted, key=lambda cell: cell.task))
    return tuple(
        side_fidelity(*side, [record for cell in some for record in cell.schemas]) for side, some in sides.items()
    )


def decides(cell: Cell) -> bool:
    """Tell whether a cell makes the comparison fail."""
    if cell.perturb is not None:
        return cell.passed
    return cell.handling == "unified" and not cell.passed


def _surprise(cell: Cell) -> Surprise:
    wrong = f"passed, though it was made wrong on purpose ({cell.perturb})"
    what = wrong if cell.passed else phrase(cell)
    if cell.fault is not None:
        what = f"{cell.fault}: {cell.verdict or what}"
    return Surprise(
        task=cell.task,
        backend=cell.backend,
        handling=cell.handling,
        repeat=cell.repeat,
        what=what,
        reasons=tuple(reason for reason in cell.reasons if reason != what),
    )
