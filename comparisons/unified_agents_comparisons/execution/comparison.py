"""A comparison from its plan to its cells."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from unified_agents_comparisons.execution.abilities import Abilities
from unified_agents_comparisons.execution.capabilities import SupportedSides, supported_sides
from unified_agents_comparisons.execution.folder import LOGS, Sitting, claim_folder, open_folder, read_folder
from unified_agents_comparisons.execution.plan import ComparisonPlan
from unified_agents_comparisons.execution.protocol import Job, Ready, Start
from unified_agents_comparisons.execution.worker_process import Worker, worker_command
from unified_agents_comparisons.records import DETAILS, Cell, CellFile, CellKey, Keep, read_cells
from unified_agents_comparisons.suite.model import Task

OnCell = Callable[[Cell, int, int], None]
"""Called with each cell as it ends, how many have ended, and how many there are."""

OnNote = Callable[[str], None]
"""Called with what the user should know before the first cell: what is left out, what is run again."""

WorkerCommand = Callable[[str | None], tuple[str, ...]]
"""Gives the command that starts a worker, from the interpreter that the plan names or None."""


@dataclass(slots=True, frozen=True)
class Comparison:
    """A comparison that has run to its end.

    Attributes:
        plan: What was asked for.
        tasks: The tasks that the cells are of, in the suite's order.
        cells: All cells that the folder holds, those of earlier sittings too, in the order in which they ran.
        versions: By backend, what its worker ran with.
        left_out: What was not run because a backend lacks it; a line each.
        beyond: How many of the cells the plan did not ask for: an earlier sitting did.
        missing: How many cells that were asked for are not there, since it was interrupted.
        abilities: By backend, what it offers; without agents as they are.
    """

    plan: ComparisonPlan
    tasks: tuple[Task, ...]
    cells: tuple[Cell, ...]
    versions: Mapping[str, Mapping[str, str]]
    left_out: tuple[str, ...] = ()
    beyond: int = 0
    missing: int = 0
    abilities: Mapping[str, Abilities] = field(default_factory=dict)


def _ignore(_: str) -> None:
    """Drop a note that nobody wants."""


async def compare(
    plan: ComparisonPlan, *, on_cell: OnCell, on_note: OnNote = _ignore, command: WorkerCommand = worker_command
) -> Comparison:
    """Run a comparison, one cell at a time, and record each as it ends.

    A folder that already holds cells of the same comparison is gone on with: only what is missing is run, and what
    it holds is reported together, also where this plan asks for less. When the caller cancels, the workers are ended
    and what has been recorded stays.

    Args:
        plan: What to compare.
        on_cell: Told of each cell that was run now, not of those that an earlier sitting ran.
        on_note: Told before the first cell what is left out, and what is run again.
        command: What starts a worker.

    Raises:
        ConfigError: a backend or the folder does not fit, or a backend lacks what the plan names; nothing was run.
    """
    keys = plan.cells()
    with (
        open_folder(plan),
        CellFile.open(plan.out) as file,
        tempfile.TemporaryDirectory(prefix="unified-agents-") as scratch,
    ):
        async with _started_workers(plan, Path(scratch), command, plan.kept_details(len(keys))) as workers:
            sides = supported_sides(plan, {name: one.ready for name, one in workers.items() if one.ready is not None})
            await asyncio.gather(*(worker.close() for name, worker in workers.items() if name not in sides.handlings))
            versions = {name: workers[name].versions for name in sides.handlings}
            keys = [key for key in keys if sides.has(key.backend, key.handling)]
            abilities = _abilities({name: workers[name].ready for name in sides.handlings})
            claim_folder(plan, versions, _asked(plan, len(keys), sides, abilities))
            for note in _notes(sides, file):
                on_note(note)
            known = {cell.key: cell for cell in file.cells}
            missing = [key for key in keys if key not in known]
            ended = itertools.count(len(keys) - len(missing) + 1)

            async def run(some: Iterable[CellKey]) -> None:
                for key in some:
                    cell = await workers[key.backend].run(_job(key))
                    if plan.price is not None:
                        cell = cell.model_copy(update={"cost": plan.price.cost(cell.usage)})
                    file.append(cell)
                    known[key] = cell
                    on_cell(cell, next(ended), len(keys))

            await _run_together([run(some) for some in _sequences(plan, missing)])
    tasks = _tasks_of(plan, known)
    beyond = len(known) - len(keys)
    left_out = tuple(sides.left_out)
    return Comparison(plan, tasks, tuple(known.values()), versions, left_out, beyond, abilities=abilities)


def recorded_comparison(folder: Path) -> Comparison:
    """Return what a folder holds of a comparison, which may have been interrupted.

    Raises:
        ConfigError: it holds none, or does not say what was asked for.
    """
    cells = read_cells(folder)
    plan, asked, versions = read_folder(folder)
    missing = max(0, asked.cells - len(cells))
    tasks = _tasks_of(plan, {cell.key for cell in cells})
    return Comparison(plan, tasks, cells, versions, asked.left_out, missing=missing, abilities=asked.abilities)


def _tasks_of(plan: ComparisonPlan, keys: Iterable[CellKey]) -> tuple[Task, ...]:
    with_cells = {key.task for key in keys}
    return tuple(task for task in plan.suite.suite.tasks if task.id in with_cells)


def _abilities(ready: Mapping[str, Ready | None]) -> dict[str, Abilities]:
    told = {name: None if one is None else one.abilities for name, one in ready.items()}
    return {name: one for name, one in told.items() if one is not None}


def _asked(plan: ComparisonPlan, cells: int, sides: SupportedSides, abilities: dict[str, Abilities]) -> Sitting:
    return Sitting(
        suite=plan.suite.source,
        handlings=plan.handlings,
        tasks=plan.tasks,
        repeats=plan.repeats,
        seed=plan.seed,
        cells=cells,
        left_out=tuple(sides.left_out),
        currency=plan.currency,
        abilities=abilities,
    )


def _notes(sides: SupportedSides, file: CellFile) -> Iterator[str]:
    yield from (f"left out: {what}" for what in sides.left_out)
    if file.torn:
        yield "the last line of the cells was torn: it is dropped, and its cell is run again"


def _job(key: CellKey) -> Job:
    return Job(task=key.task, handling=key.handling, repeat=key.repeat, perturb=key.perturb, fault=key.fault)


def _sequences(plan: ComparisonPlan, keys: list[CellKey]) -> list[list[CellKey]]:
    """Split cells into sequences that run side by side.

    Ordinary cells run one after the other, so that their times can be compared. Cells with faults mostly wait: those
    of each backend are a sequence.
    """
    if plan.suite.suite.faults is None:
        return [keys]
    return [[key for key in keys if key.backend == name] for name in dict.fromkeys(key.backend for key in keys)]


async def _run_together(work: Sequence[Coroutine[None, None, None]]) -> None:
    """Run all at once; the first failure ends the others, and is raised as it is."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def _started_workers(
    plan: ComparisonPlan, scratch: Path, command: WorkerCommand, keep: Keep
) -> AsyncIterator[dict[str, Worker]]:
    workers = {
        backend: Worker(
            start=_start(plan, backend, scratch / str(number), keep),
            suite=plan.suite.suite.name,
            command=command(plan.pythons.get(backend)),
            log=plan.out / LOGS / quote(f"{backend}.log", safe="="),
            grace=plan.grace,
        )
        for number, backend in enumerate(plan.backends)
    }
    try:
        # Every one is waited for, so that no process is left behind by the failure of another.
        started = await asyncio.gather(*(worker.open() for worker in workers.values()), return_exceptions=True)
        for failure in started:
            if failure is not None:
                raise failure
        yield workers
    finally:
        await asyncio.gather(*(worker.close() for worker in workers.values()))


def _start(plan: ComparisonPlan, backend: str, scratch: Path, keep: Keep) -> Start:
    scratch.mkdir()
    return Start(
        backend=backend,
        suite=plan.suite.source,
        digest=plan.suite.digest,
        model=plan.model,
        handlings=plan.run_handlings,
        variant=plan.variant,
        scratch=scratch,
        details=plan.out.resolve() / DETAILS,
        keep=keep,
        timeout=plan.timeout,
        tracing=plan.tracing,
        cassettes=plan.cassettes,
    )
