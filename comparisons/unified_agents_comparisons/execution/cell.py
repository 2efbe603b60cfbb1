"""Running one cell: an agent of its own, a scratch folder of its own, and the record of what came of it."""

from __future__ import annotations

import asyncio
import importlib
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

import orjson

from unified_agents.agent import create_agent
from unified_agents.config import Handling, Limits, ModelConfig, ModelParameters
from unified_agents.errors import (
    ConfigError,
    ErrorRecord,
    RunError,
    ToolDefinitionError,
    UnifiedAgentsError,
    native_name,
)
from unified_agents.result import RunResult
from unified_agents.scripted.model import ScriptedModel
from unified_agents.text import closest
from unified_agents.tools.decorator import as_tool
from unified_agents.tools.definition import Tool
from unified_agents_comparisons.execution.protocol import Job, Start
from unified_agents_comparisons.negative_controls import scripted_model
from unified_agents_comparisons.records import CallSummary, Cell, Perturbation
from unified_agents_comparisons.schema_fidelity import schema_fidelity
from unified_agents_comparisons.scoring import Score, lost, misfed, score
from unified_agents_comparisons.suite.model import LoadedSuite, SchemaTool, SuiteError, Task


@dataclass(slots=True, frozen=True)
class Bench:
    """What all cells of one worker share.

    Attributes:
        start: What the worker is for.
        suite: The suite, read in this process.
        tools: The suite's tools by their attribute's name.
        scratch: The variable that names a cell's folder to the tools; None when the suite has none.
        versions: Of python, unified-agents and the backend's distributions.
    """

    start: Start
    suite: LoadedSuite
    tools: dict[str, Tool]
    scratch: ContextVar[Path] | None
    versions: dict[str, str]

    async def warm_up(self, handlings: Iterable[Handling]) -> None:
        """Run the first task once under each handling, by its oracle, so that no cell pays for imports.

        Raises:
            ConfigError: the backend cannot be used at all.
        """
        task = self.suite.suite.tasks[0]
        for handling in handlings if task.oracle is not None else ():
            model = scripted_model(task, task.oracle or {}, None, self.start.variant)
            folder = self.start.scratch / f"warm-up.{handling}"
            await _attempt(self, task, self.tools_of(task), handling, model, folder=folder)

    async def run(self, job: Job) -> Cell:
        """Run one cell, and write its exchanges and its trace into the folder of details, if they are to be kept.

        Raises:
            ConfigError: the cell cannot be run, whatever the model answers.
        """
        task = self.suite.task(job.task)
        blank = self.start.blank_cell(job, self.suite.suite.name, self.versions)
        folder = self.start.scratch / blank.key.file_name
        tools = self.tools_of(task)
        model = _model(self, task, job.perturb)
        outcome = await _attempt(self, task, tools, job.handling, model, folder=folder)
        cell = _filled(blank, outcome, {tool.name: tool for tool in tools})
        await self.keep(cell, outcome.result)
        return cell

    async def keep(self, cell: Cell, result: RunResult | None) -> None:
        """Write a cell's exchanges and its trace into the folder of details, if they are to be kept."""
        if self._keeps(cell):
            await asyncio.to_thread(_write_details, self.start.details / cell.key.file_name, cell, result)

    def tools_of(self, task: Task) -> list[Tool]:
        """The tools of a task, in the order in which they are offered."""
        return [*(self.tools[name] for name in task.tools), *(_schema_tool(task, one) for one in task.schema_tools)]

    def _keeps(self, cell: Cell) -> bool:
        keep = self.start.keep
        return keep == "all" or (keep == "failed" and cell.passed is (cell.perturb is not None))


@dataclass(slots=True, frozen=True)
class _Outcome:
    result: RunResult | None
    error: ErrorRecord | None
    score: Score


def load_bench(start: Start, suite: LoadedSuite, versions: dict[str, str]) -> Bench:
    """Import the suite's tools and its scratch variable.

    Raises:
        ConfigError: a module or an attribute is missing, or is no tool; the message names it.
    """
    names = {name for task in suite.suite.tasks for name in task.tools}
    module = suite.suite.tools or ""
    tools = {name: _tool(module, name) for name in sorted(names)}
    return Bench(start, suite, tools, _scratch(suite.suite.scratch), versions)


async def _attempt(
    bench: Bench,
    task: Task,
    tools: Sequence[Tool],
    handling: Handling,
    model: ModelConfig | ScriptedModel,
    *,
    folder: Path,
) -> _Outcome:
    await asyncio.to_thread(folder.mkdir)
    token = bench.scratch.set(folder) if bench.scratch else None
    try:
        result, error = await _run(bench, task, tools, handling, model, run_id=folder.name)
        files = await asyncio.to_thread(_read, folder, tuple(task.expect.files))
    finally:
        if bench.scratch and token:
            bench.scratch.reset(token)
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    if result is None:
        return _Outcome(None, error, Score(False, 0.0, (error.message,) if error else ()))
    offered = {tool.name: tool for tool in tools}
    scored = score(result, task.expect, tools=offered, files=files, scripted=isinstance(model, ScriptedModel))
    return _Outcome(result, error, scored)


async def _run(
    bench: Bench,
    task: Task,
    tools: Sequence[Tool],
    handling: Handling,
    model: ModelConfig | ScriptedModel,
    *,
    run_id: str,
) -> tuple[RunResult | None, ErrorRecord | None]:
    limits = Limits(timeout=bench.start.timeout, **({"max_steps": task.max_steps} if task.max_steps else {}))
    parameters = model.parameters if isinstance(model, ModelConfig) else ModelParameters()
    agent = create_agent(
        backend=bench.start.backend,
        model=model,
        model_parameters=parameters.model_copy(update={"stream": True}) if task.stream else parameters,
        instructions=bench.suite.suite.instructions,
        tools=tools,
        limits=limits,
        handling=handling,
        variant=bench.start.variant,
    )
    try:
        result = await agent.run(task.question, run_id=run_id, record_exchanges=True)
        return result, (result.errors[-1] if result.errors and result.status != "completed" else None)
    except RunError as error:
        return error.result, error.record()
    except UnifiedAgentsError:
        raise
    except Exception as error:  # what is not of our tree is a fault of the library or the framework: it fails the cell
        message = f"{native_name(error)}: {error}".splitlines()[0]
        return None, ErrorRecord(kind="backend", type="BackendError", message=message, native_type=native_name(error))
    finally:
        await agent.aclose()


def _model(bench: Bench, task: Task, perturbation: Perturbation | None) -> ModelConfig | ScriptedModel:
    model, faults = bench.start.model, bench.suite.suite.faults
    if model.provider != "oracle":
        return model.model_copy(update={"faults": faults.in_front_of_a_model() if faults is not None else None})
    if task.oracle is None:
        raise ConfigError(f"task {task.id} has no oracle: give --model provider:name, or leave it out with --tasks")
    return scripted_model(task, task.oracle, perturbation, bench.start.variant)


def _filled(blank: Cell, outcome: _Outcome, tools: Mapping[str, Tool]) -> Cell:
    scored = {"passed": outcome.score.passed, "score": outcome.score.score, "reasons": outcome.score.reasons}
    result = outcome.result
    if result is None:
        return blank.model_copy(update=scored | {"error": outcome.error})
    calls = summarised(result, tools)
    told = ("status", "output", "requests", "retries", "usage", "request_bytes", "seconds", "time_to_first_token")
    taken = {name: getattr(result, name) for name in told}
    # In the text protocol the tools stand in the system text: there is no schema to hold theirs against.
    sent = result.exchanges[0].sent if result.exchanges and blank.variant == "tool_calling" else None
    schemas = schema_fidelity(list(tools.values()), sent) if sent is not None else ()
    made = {"error": outcome.error, "tool_calls": calls, "schemas": schemas, "trace_shape": result.trace.shape()}
    return blank.model_copy(update=scored | taken | made)


def summarised(result: RunResult, tools: Mapping[str, Tool]) -> tuple[CallSummary, ...]:
    """Every call that the model asked for, as a cell records it."""
    return tuple(
        CallSummary(
            name=call.name,
            arguments=call.arguments,
            ok=call.ok,
            reached=call.reached,
            received=call.received,
            lost=lost(call, tools),
            fault=misfed(call, tools),
            error=call.error,
        )
        for call in result.tool_calls
    )


def _write_details(path: Path, cell: Cell, result: RunResult | None) -> None:
    details = {"cell": cell.model_dump(mode="json"), "result": result.to_dict() if result else None}
    path.write_bytes(orjson.dumps(details, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS))


def _read(folder: Path, names: tuple[str, ...]) -> dict[str, str | None]:
    paths = {name: folder / name for name in names}
    return {
        name: path.read_bytes().decode(errors="replace") if path.is_file() else None for name, path in paths.items()
    }


def _scratch(reference: str | None) -> ContextVar[Path] | None:
    if reference is None:
        return None
    module, _, name = reference.partition(":")
    variable = _attribute(module, name)
    if not isinstance(variable, ContextVar):
        raise SuiteError(f"scratch {reference}: must be a ContextVar, not {type(variable).__name__}")
    return variable


def _schema_tool(task: Task, described: SchemaTool) -> Tool:
    try:
        return described.as_tool()
    except ToolDefinitionError as error:
        raise SuiteError(f"task {task.id}: {error}") from error


def _tool(module: str, name: str) -> Tool:
    try:
        return as_tool(_attribute(module, name))
    except ToolDefinitionError as error:
        raise SuiteError(f"its tool {module}:{name}: {error}") from error


def _attribute(module: str, name: str) -> object:
    try:
        loaded = importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(f"the suite's module {module!r} cannot be imported: {error}") from error
    if not hasattr(loaded, name):
        close = closest(name, [key for key in vars(loaded) if not key.startswith("_")])
        hint = f": did you mean {close[0]!r}?" if close else ""
        raise SuiteError(f"its module {module!r} has no {name!r}{hint}")
    attribute: object = getattr(loaded, name)
    return attribute
