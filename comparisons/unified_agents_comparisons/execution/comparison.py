"""A comparison from its plan to its cells."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from unified_agents.config import Handling, ModelConfig, Variant
from unified_agents.errors import ConfigError
from unified_agents.scripted.model import Script
from unified_agents_comparisons.execution.capabilities import Abilities, Named, abilities, judged
from unified_agents_comparisons.execution.protocol import Job, Start
from unified_agents_comparisons.execution.worker_process import GRACE, Worker, worker_command
from unified_agents_comparisons.loading import load_suite
from unified_agents_comparisons.negative_controls import controls
from unified_agents_comparisons.records import CELLS, DETAILS, Cell, CellFile, CellKey, Keep, Perturbation
from unified_agents_comparisons.suite.model import LoadedSuite, Task

MANY_CELLS = 1000
"""Beyond it only the details of failed cells are kept, when nothing else is said."""

PLAN = "plan.json"
LOGS = "workers"

OnCell = Callable[[Cell, int, int], None]
"""Called with each cell as it ends, how many have ended, and how many there are."""

OnNote = Callable[[str], None]
"""Called with what the user should know before the first cell: what is left out, what is run again."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Plan(_Frozen):
    """What is to be compared.

    Attributes:
        suite: A shipped suite's name, or the path of a suite's file.
        backends: The backends, each in a worker process of its own.
        handlings: The handlings.
        variant: The loop within the backends.
        named: What of these was asked for by name: what a backend lacks of it is an error, and not left out.
        model: Which model answers; the provider `oracle` takes each task's own script.
        tasks: A shell pattern of task ids.
        repeats: How often each cell is run.
        seed: Decides the order of the cells within each repeat.
        out: The folder of the records; an existing one is gone on with.
        pythons: The interpreter of a backend's worker, where it is not this one.
        timeout: Seconds of wall clock for one run; a worker that outlives it by `grace` is ended.
        grace: Seconds.
        perturb: The negative controls, each in a cell of its own where it applies; none for an ordinary comparison.
        details: Which cells leave a file of details; None takes all, and of more than 1,000 cells the failed ones.
    """

    suite: str
    backends: tuple[str, ...] = Field(min_length=1)
    handlings: tuple[Handling, ...] = Field(default=("unified", "native"), min_length=1)
    variant: Variant = "tool_calling"
    named: frozenset[Named] = frozenset()
    model: ModelConfig = ModelConfig(provider="oracle", name="oracle")
    tasks: str = "*"
    repeats: int = Field(default=1, ge=1)
    seed: int = 0
    out: Path
    pythons: dict[str, str] = Field(default_factory=dict)
    timeout: float = Field(default=60.0, gt=0)
    grace: float = Field(default=GRACE, gt=0)
    perturb: tuple[Perturbation, ...] = ()
    details: Keep | None = None


class _Identity(_Frozen):
    """What must not change between the sittings of one comparison; written to `plan.json`."""

    suite: str
    digest: str
    variant: Variant = "tool_calling"
    model: ModelConfig
    timeout: float
    perturb: tuple[Perturbation, ...]
    pythons: dict[str, str]
    versions: dict[str, dict[str, str]]


@dataclass(slots=True, frozen=True)
class Comparison:
    """A comparison that has run to its end.

    Attributes:
        plan: What was asked for.
        suite: The suite.
        tasks: The tasks that the cells are of, in the suite's order.
        cells: All cells that the folder holds, those of earlier sittings too, in the order in which they ran.
        versions: By backend, what its worker ran with.
        left_out: What was not run because a backend lacks it; a line each.
        beyond: How many of the cells the plan did not ask for: an earlier sitting did.
    """

    plan: Plan
    suite: LoadedSuite
    tasks: tuple[Task, ...]
    cells: tuple[Cell, ...]
    versions: Mapping[str, Mapping[str, str]]
    left_out: tuple[str, ...] = ()
    beyond: int = 0


def _ignore(_: str) -> None:
    """Nobody wants to know."""


async def compare(
    plan: Plan,
    *,
    on_cell: OnCell,
    on_note: OnNote = _ignore,
    command: Callable[[str | None], tuple[str, ...]] = worker_command,
) -> Comparison:
    """Run a comparison, one cell at a time, and record each as it ends.

    A folder that already holds cells of the same comparison is gone on with: only what is missing is run, and what
    it holds is told together, also where this plan asks for less. When the caller cancels, the workers are ended and
    what has been recorded stays.

    Args:
        plan: What to compare.
        on_cell: Told of each cell that was run now, not of those that an earlier sitting ran.
        on_note: Told before the first cell what is left out, and what is run again.
        command: What starts a worker, from the interpreter that the plan gives or None.

    Raises:
        ConfigError: a suite, a backend or the folder does not fit, or a backend lacks what the plan names; nothing
            was run.
    """
    suite = await asyncio.to_thread(load_suite, plan.suite)
    applied = _applied(plan, suite)
    _check_model(plan.model, [task for task, perturbations in applied if perturbations])
    keys = list(_with_faults(plan, suite, _order(plan, applied)))
    keep = plan.details or ("all" if len(keys) <= MANY_CELLS and suite.suite.faults is None else "failed")
    with (
        _prepared(plan, suite),
        CellFile.open(plan.out) as file,
        tempfile.TemporaryDirectory(prefix="unified-agents-") as scratch,
    ):
        async with _workers(plan, suite, Path(scratch), command, keep) as workers:
            able = _abilities(plan, workers)
            await asyncio.gather(*(worker.close() for name, worker in workers.items() if name not in able.sides))
            versions = {name: dict(workers[name].versions) for name in able.sides}
            _claim(plan, suite, versions)
            for note in _notes(able, file):
                on_note(note)
            keys = [key for key in keys if able.has(key.backend, key.handling)]
            known = {cell.key: cell for cell in file.cells}
            left = [key for key in keys if key not in known]
            ended = itertools.count(len(keys) - len(left) + 1)

            async def run(some: Iterable[CellKey]) -> None:
                for key in some:
                    cell = await workers[key.backend].run(_job(key))
                    file.append(cell)
                    known[key] = cell
                    on_cell(cell, next(ended), len(keys))

            await _all_of([run(some) for some in _sequences(left, suite)])
    held = {key.task for key in known}
    tasks = tuple(task for task in suite.suite.tasks if task.id in held)
    beyond = len(known) - len(keys)
    return Comparison(plan, suite, tasks, tuple(known.values()), versions, tuple(able.left_out), beyond)


def _abilities(plan: Plan, workers: Mapping[str, Worker]) -> Abilities:
    ready = {name: worker.ready for name, worker in workers.items() if worker.ready is not None}
    return abilities(ready, plan.handlings, plan.variant, plan.named)


def _notes(able: Abilities, file: CellFile) -> Iterator[str]:
    yield from (f"left out: {what}" for what in able.left_out)
    if file.torn:
        yield "the last line of the cells was torn: it is dropped, and its cell is run again"


_Applied = tuple[tuple[Task, tuple[Perturbation | None, ...]], ...]
"""Each task with the negative controls that it is run under; None stands for an ordinary run."""


def _applied(plan: Plan, suite: LoadedSuite) -> _Applied:
    tasks = suite.select(plan.tasks)
    if not plan.perturb:
        return tuple((task, (None,)) for task in tasks)
    if plan.model.provider != "oracle":
        raise ConfigError("--perturb changes the oracle: leave --model out")
    possible = [(task, controls(task)) for task in tasks]
    for wanted in plan.perturb:
        if not any(wanted in found for _, found in possible):
            known = dict.fromkeys(one for _, found in possible for one in found)
            raise ConfigError(
                f"no task that matches {plan.tasks!r} takes the control {wanted}; it has {', '.join(known)}"
            )
    return tuple((task, tuple(one for one in plan.perturb if one in found)) for task, found in possible)


def _job(key: CellKey) -> Job:
    return Job(task=key.task, handling=key.handling, repeat=key.repeat, perturb=key.perturb, fault=key.fault)


def _check_model(model: ModelConfig, tasks: Sequence[Task]) -> None:
    if model.provider == "openai":
        model.api_key()
    if model.provider == "script":
        Script.load(model.name)
    without = [task.id for task in tasks if task.oracle is None]
    if model.provider == "oracle" and without:
        raise ConfigError(f"task {without[0]} has no oracle: give --model provider:name, or leave it out with --tasks")


def _order(plan: Plan, applied: _Applied) -> Iterator[CellKey]:
    for repeat in range(plan.repeats):
        keys = [
            CellKey(task.id, backend, handling, repeat, perturbation, variant=plan.variant)
            for task, perturbations in applied
            for perturbation in perturbations
            for backend in plan.backends
            for handling in judged(plan.handlings, plan.variant, plan.named)
        ]
        random.Random(f"{plan.seed}:{repeat}").shuffle(keys)  # noqa: S311  # an order, not a secret
        yield from keys


def _sequences(keys: list[CellKey], suite: LoadedSuite) -> list[list[CellKey]]:
    """Cells one after the other, so that their times can be compared; faults, which mostly wait, by backend at once."""
    if suite.suite.faults is None:
        return [keys]
    return [[key for key in keys if key.backend == name] for name in dict.fromkeys(key.backend for key in keys)]


async def _all_of(work: Sequence[Coroutine[None, None, None]]) -> None:
    """All at once; the first failure ends the others, and is raised as it is."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _with_faults(plan: Plan, suite: LoadedSuite, keys: Iterable[CellKey]) -> Iterator[CellKey]:
    settings = suite.suite.faults
    for key in keys:
        if settings is None or key.perturb is not None or plan.model.provider != "oracle":
            yield key
            continue
        for case in settings.cases(suite.task(key.task).oracle or {}, key.handling):
            yield key._replace(fault=str(case))


@contextmanager
def _prepared(plan: Plan, suite: LoadedSuite) -> Iterator[None]:
    """The comparison's folder; one that was not there before and gets no cell is not left behind."""
    is_new = not plan.out.exists()
    _prepare(plan.out)
    _check_identity(plan, _identity(plan, suite, {}), but=("versions",))
    try:
        yield
    finally:
        cells = plan.out / CELLS
        if is_new and (not cells.exists() or cells.stat().st_size == 0):
            shutil.rmtree(plan.out)


def _prepare(out: Path) -> None:
    if out.is_dir() and any(out.iterdir()) and not (out / LOGS).is_dir():
        raise ConfigError(f"{out}: holds something that is no comparison; give another --out")
    try:
        for folder in (out, out / DETAILS, out / LOGS):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{out}: cannot be made: {error.strerror}") from error


@asynccontextmanager
async def _workers(
    plan: Plan, suite: LoadedSuite, scratch: Path, command: Callable[[str | None], tuple[str, ...]], keep: Keep
) -> AsyncIterator[dict[str, Worker]]:
    workers = {
        backend: Worker(
            start=_start(plan, suite, backend, scratch / str(number), keep),
            suite=suite.suite.name,
            command=command(plan.pythons.get(backend)),
            log=plan.out / LOGS / f"{backend}.log",
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


def _start(plan: Plan, suite: LoadedSuite, backend: str, scratch: Path, keep: Keep) -> Start:
    scratch.mkdir()
    return Start(
        backend=backend,
        suite=suite.source,
        digest=suite.digest,
        model=plan.model,
        handlings=judged(plan.handlings, plan.variant, plan.named),
        variant=plan.variant,
        scratch=scratch,
        details=plan.out.resolve() / DETAILS,
        keep=keep,
        timeout=plan.timeout,
    )


def _claim(plan: Plan, suite: LoadedSuite, versions: dict[str, dict[str, str]]) -> None:
    """Write what the comparison is, or hold it against what the folder says.

    Raises:
        ConfigError: the folder holds another comparison; the message names what differs.
    """
    identity = _identity(plan, suite, versions)
    path = plan.out / PLAN
    if path.exists():
        _check_identity(plan, identity)
        return
    temporary = path.with_suffix(".new")
    temporary.write_text(identity.model_dump_json(indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def _identity(plan: Plan, suite: LoadedSuite, versions: dict[str, dict[str, str]]) -> _Identity:
    return _Identity(
        suite=suite.suite.name,
        digest=suite.digest,
        variant=plan.variant,
        model=plan.model,
        timeout=plan.timeout,
        perturb=plan.perturb,
        pythons=plan.pythons,
        versions=versions,
    )


def _check_identity(plan: Plan, identity: _Identity, but: tuple[str, ...] = ()) -> None:
    path = plan.out / PLAN
    if not path.exists():
        return
    try:
        before = _Identity.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ConfigError(f"{path}: is no plan of this version; give another --out") from error
    fields = (name for name in _Identity.model_fields if name not in but)
    changed = [name for name in fields if getattr(before, name) != getattr(identity, name)]
    if changed:
        raise ConfigError(f"{plan.out}: holds a comparison with another {_named(changed[0])}; give another --out")


def _named(field: str) -> str:
    names = {"digest": "state of the suite", "versions": "set of backends or versions", "perturb": "negative control"}
    return names.get(field, field)
