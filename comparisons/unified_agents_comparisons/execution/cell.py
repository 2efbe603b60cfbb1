"""Running one cell: an agent of its own, a scratch folder of its own, and the record of what happened."""

from __future__ import annotations

import asyncio
import importlib
import shutil
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import orjson

from unified_agents.agent import Agent, create_agent
from unified_agents.catalogue.catalogue import Catalogue, open_catalogue
from unified_agents.config import Handling, Limits, ModelConfig, ModelParameters
from unified_agents.config.providers import ProtocolName
from unified_agents.environments.label import BackendLabel
from unified_agents.errors import (
    ConfigError,
    ErrorRecord,
    RunError,
    ToolDefinitionError,
    UnifiedAgentsError,
    native_name,
)
from unified_agents.fidelity.report import tool_fidelity
from unified_agents.journal.memory import MemoryJournal
from unified_agents.result import Exchange, RunResult
from unified_agents.scripted.model import ScriptedModel
from unified_agents.scripted.provider_forms import ProviderModel, in_chat_completions
from unified_agents.text import closest
from unified_agents.tools.decorator import as_tool
from unified_agents.tools.definition import Tool
from unified_agents_comparisons.agent_suites import for_comparison
from unified_agents_comparisons.answer_checks import AnswerChecks
from unified_agents_comparisons.execution.protocol import Job, Start
from unified_agents_comparisons.execution.yardstick import measure_yardstick
from unified_agents_comparisons.native_tracing.collector import NativeSpans
from unified_agents_comparisons.native_tracing.measured import measured
from unified_agents_comparisons.native_tracing.score import TracingScore, score_tracing
from unified_agents_comparisons.negative_controls import scripted_model
from unified_agents_comparisons.records import CallSummary, Cell, Perturbation, write_details
from unified_agents_comparisons.retrieval import reached
from unified_agents_comparisons.schema_fidelity import SchemaRecord
from unified_agents_comparisons.scoring import Score, received_fault, score, was_lost
from unified_agents_comparisons.suite.model import LoadedSuite, SchemaTool, SuiteError, Task
from unified_agents_comparisons.wrapped_agents import wrapped_agent

STREAM_IGNORED = "the server ignored `stream`: it was asked for a stream, and answered whole"


AnyScripted: TypeAlias = ScriptedModel | ProviderModel


class _Outcome(NamedTuple):
    result: RunResult | None
    error: ErrorRecord | None
    score: Score
    tools: Sequence[Tool]


@dataclass(slots=True, frozen=True)
class CellRunner:
    """The runner of one worker's cells.

    Attributes:
        start: What the worker is for.
        suite: The suite, read in this process.
        tools: The suite's tools by their attribute's name.
        checks: The functions and the judge that expectations name.
        scratch: The variable that names a cell's folder to the tools; None when the suite has none.
        versions: Of python, unified-agents and the backend's distributions.
        cassette: The options of `create_agent` that record what the model answers a cell, or answer in its place.
        native: The framework's own tracing; None where it is not scored.
        documents: The suite's documents by name.
    """

    start: Start
    suite: LoadedSuite
    tools: dict[str, Tool]
    checks: AnswerChecks
    scratch: ContextVar[Path] | None
    versions: dict[str, str]
    cassette: dict[str, Any]
    native: NativeSpans | None = None
    documents: Mapping[str, str] = field(default_factory=dict)

    async def run(self, job: Job) -> Cell:
        """Run one cell, and write its exchanges and its trace into the folder of details, if they are to be kept.

        Raises:
            ConfigError: the cell cannot be run, whatever the model answers.
        """
        task, blank = self.suite.task(job.task), self.blank_cell(job)
        before, started = measure_yardstick(), time.process_time()
        outcome, tracing = await self._traced(
            lambda: self.attempt(task, job.handling, self._model(task, job.perturb), blank.key.file_name)
        )
        seconds = time.process_time() - started if tracing is None else tracing.cpu_without
        yardstick = before.least(measure_yardstick())
        blank = blank.model_copy(update={"cpu_seconds": seconds, "tracing": tracing, "yardstick": yardstick})
        spoken = self.start.model.for_handling(job.handling).spoken_protocol
        cell = self._with_documents(_filled(blank, outcome, spoken), task, outcome.result)
        await self.keep_details(cell, outcome.result)
        return cell

    def _with_documents(self, cell: Cell, task: Task, result: RunResult | None) -> Cell:
        if result is None or not task.documents:
            return cell
        found = reached(result, [self.documents[name] for name in task.documents])
        return cell.model_copy(update={"documents": (found, len(task.documents))})

    async def _traced(self, attempt: Callable[[], Awaitable[_Outcome]]) -> tuple[_Outcome, TracingScore | None]:
        """Make an attempt; where the framework's own tracing is scored, once before without it."""
        if self.native is None:
            return await attempt(), None
        outcome, spans, cpu = await measured(self.native, attempt)
        if outcome.result is None:
            return outcome, None
        found = score_tracing(outcome.result, spans)
        return outcome, found.model_copy(update={"cpu_without": cpu[0], "cpu_with": cpu[1]})

    def blank_cell(self, job: Job) -> Cell:
        """Return the record of a cell before anything is known of it."""
        return self.start.blank_cell(job, self.suite.suite.name, self.versions)

    async def keep_details(self, cell: Cell, result: RunResult | None) -> None:
        """Write a cell's exchanges and its trace into the folder of details, if they are to be kept."""
        await asyncio.to_thread(write_details, self.start.details, self.start.keep, cell, result)

    def tools_of(self, task: Task) -> list[Tool]:
        """Return the tools of a task, in the order in which they are offered."""
        return [*(self.tools[name] for name in task.tools), *(_schema_tool(task, one) for one in task.schema_tools)]

    def _model(self, task: Task, perturbation: Perturbation | None) -> ModelConfig | AnyScripted:
        model, faults = self.start.model, self.suite.suite.faults
        if model.provider == "oracle" and self.start.cassettes.replay is None:
            return self.oracle(task, perturbation)
        return model.model_copy(update={"faults": faults.in_front_of_a_model() if faults is not None else None})

    def oracle(self, task: Task, perturbation: Perturbation | None) -> AnyScripted:
        """Return the scripted model that answers a task by its oracle, in the plan's protocol."""
        model = scripted_model(task, task.needed_oracle(), perturbation, self.start.variant)
        spoken = self.start.model.protocol
        return model if spoken is None else ProviderModel(model, strict=True, spoken=spoken)

    async def attempt(self, task: Task, handling: Handling, model: ModelConfig | AnyScripted, run_id: str) -> _Outcome:
        """Run a task once, in a scratch folder that is gone afterwards, and score it."""
        folder = self.start.scratch / run_id
        await asyncio.to_thread(folder.mkdir)
        token = self.scratch.set(folder) if self.scratch else None
        catalogue: Catalogue | None = None
        try:
            catalogue = await self._opened()
            tools = self._offered(task, catalogue)
            result, error = await self._run_agent(task, tools, handling, model, run_id)
            files = await asyncio.to_thread(_read, folder, tuple(task.expect.files))
        finally:
            if self.scratch and token:
                self.scratch.reset(token)
            if catalogue is not None:
                await catalogue.aclose()
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        if result is None:
            return _Outcome(None, error, Score(False, 0.0, (error.message,) if error else ()), tools)
        scored = score(
            result,
            task.expect,
            tools={tool.name: tool for tool in tools},
            files=files,
            scripted=not isinstance(model, ModelConfig),
            checked=await self.checks.faults(task, result) if result.status == "completed" else (),
        )
        return _Outcome(result, error, scored, tools)

    def _offered(self, task: Task, catalogue: Catalogue | None) -> Sequence[Tool]:
        """Return the tools that we offer in a cell: none to an agent that is as it is."""
        if self.start.backend in self.suite.suite.backends:
            return ()
        return self.tools_of(task) if catalogue is None else catalogue.tools

    async def _opened(self) -> Catalogue | None:
        """Open the tools of the suite's agent, anew for each cell; None where the suite brings its tools itself."""
        agent = self.suite.agent
        if agent is None:
            return None
        return await asyncio.to_thread(open_catalogue, agent.tools, coercion=agent.coercion)

    async def _run_agent(
        self,
        task: Task,
        tools: Sequence[Tool],
        handling: Handling,
        model: ModelConfig | AnyScripted,
        run_id: str,
    ) -> tuple[RunResult | None, ErrorRecord | None]:
        wrapped = self.suite.suite.backends.get(self.start.backend)
        if wrapped is not None:
            agent = wrapped_agent(wrapped.wrap, model, self._limits(task, model))
        else:
            agent = self._agent(task, tools, handling, model)
        try:
            return await run_outcome(agent.run(task.question, run_id=run_id, record_exchanges=True))
        finally:
            await agent.aclose()

    def _agent(
        self, task: Task, tools: Sequence[Tool], handling: Handling, model: ModelConfig | AnyScripted
    ) -> Agent[Any]:
        own = self.suite.agent
        parameters = model.parameters if isinstance(model, ModelConfig) else ModelParameters()
        return create_agent(
            None if own is None else for_comparison(own),
            backend=self.start.label.name,
            model=model,
            model_parameters=parameters.model_copy(update={"stream": True}) if task.stream else parameters,
            instructions=self.suite.suite.instructions,
            tools=tools,
            limits=self._limits(task, model),
            handling=handling,
            variant=self.start.variant,
            journal=MemoryJournal() if own is not None and own.journal is not None else None,
            **self.cassette,
        )

    def _limits(self, task: Task, model: ModelConfig | AnyScripted) -> Limits:
        changed: dict[str, object] = {"timeout": self.start.timeout}
        if task.max_steps:
            changed["max_steps"] = task.max_steps
        if not isinstance(model, ModelConfig) or model.price is None:
            changed["max_cost"] = None  # a script costs nothing, and neither does what has no price
        return (self.suite.agent.limits if self.suite.agent is not None else Limits()).model_copy(update=changed)


def load_cell_runner(start: Start, suite: LoadedSuite, versions: dict[str, str]) -> CellRunner:
    """Import the suite's tools and its scratch variable.

    Raises:
        ConfigError: a module or an attribute is missing, or is no tool; the message names it.
    """
    is_wrapped = start.backend in suite.suite.backends  # it has tools of its own
    names = {name for task in suite.suite.tasks for name in task.tools if not is_wrapped}
    tools = {name: _tool(suite.suite.tools or "", name) for name in sorted(names)}
    native = None if start.tracing is None else NativeSpans(start.label.name)
    cassette = start.cassettes.options()
    scratch = _scratch(suite.suite.scratch)
    documents = {} if is_wrapped else _documents(suite)
    return CellRunner(start, suite, tools, AnswerChecks(suite), scratch, versions, cassette, native, documents)


async def run_outcome(run: Awaitable[RunResult]) -> tuple[RunResult | None, ErrorRecord | None]:
    """Await a run; return what it left behind, and what ended it.

    Raises:
        UnifiedAgentsError: it could not be run at all.
    """
    try:
        result = await run
    except RunError as error:
        return error.result, error.record()
    except UnifiedAgentsError:
        raise
    except Exception as error:  # what is not of our tree is a fault of the library or the framework: it fails the cell
        message = f"{native_name(error)}: {error}".splitlines()[0]
        return None, ErrorRecord(kind="backend", type="BackendError", message=message, native_type=native_name(error))
    return result, result.errors[-1] if result.errors and result.status != "completed" else None


def _filled(blank: Cell, outcome: _Outcome, spoken: ProtocolName) -> Cell:
    tools = outcome.tools
    changes = outcome.score._asdict() | {"error": outcome.error}
    result = outcome.result
    if result is None:
        return blank.model_copy(update=changes)
    copied = ("status", "output", "requests", "retries", "usage", "request_bytes", "seconds", "time_to_first_token")
    changes |= {name: getattr(result, name) for name in copied}
    changes["request_tokens"] = tuple(call.usage.input_tokens if call.usage else None for call in result.model_calls)
    if not outcome.score.passed and any(map(_ignores_stream, result.exchanges)):
        changes["reasons"] = (*outcome.score.reasons, STREAM_IGNORED)
    changes |= {"tool_calls": summarise_calls(result, tools), "trace_shape": result.trace.shape()}
    # In the text protocol the tools stand in the system text: there is no schema to compare theirs with.
    if tools and result.exchanges and blank.variant == "tool_calling":
        sent = in_chat_completions(spoken, result.exchanges[0].sent)
        found = tool_fidelity(tools, sent, BackendLabel.parse(blank.backend).name, blank.handling)
        changes["schemas"] = tuple(map(SchemaRecord.of, found))
    return blank.model_copy(update=changes)


def _ignores_stream(exchange: Exchange) -> bool:
    """Tell whether the server answered whole although it was asked for a stream."""
    try:
        asked = orjson.loads(exchange.sent).get("stream") is True
    except (orjson.JSONDecodeError, AttributeError):
        return False
    return asked and exchange.status == 200 and exchange.answered.lstrip().startswith("{")


def summarise_calls(result: RunResult, tools: Iterable[Tool]) -> tuple[CallSummary, ...]:
    """Return every call that the model asked for, as a cell records it."""
    offered = {tool.name: tool for tool in tools}
    return tuple(
        CallSummary(
            name=call.name,
            arguments=call.arguments,
            ok=call.ok,
            reached=call.reached,
            received=call.received,
            lost=was_lost(call, offered),
            fault=received_fault(call, offered),
            error=call.error,
        )
        for call in result.tool_calls
    )


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


def _documents(suite: LoadedSuite) -> Mapping[str, str]:
    reference = suite.suite.documents
    if reference is None:
        return {}
    read = _attribute(*reference.split(":"))
    found = read() if callable(read) else None
    if not isinstance(found, Mapping) or not all(isinstance(text, str) for text in found.values()):
        raise SuiteError(f"documents {reference}: must be a function that returns texts by name")
    for task in suite.suite.tasks:
        if unknown := next((name for name in task.documents if name not in found), None):
            raise SuiteError(f"task {task.id}: there is no document {unknown!r} in {reference}")
    return found


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
    return getattr(loaded, name)
