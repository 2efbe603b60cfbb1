"""Running one cell with a fault, and the record of what it led to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from unified_agents.config import Handling
from unified_agents.scripted.server import ScriptServer
from unified_agents.tracing.spans import ERROR_SWALLOWED
from unified_agents_comparisons.execution.cell import CellRunner, summarise_calls
from unified_agents_comparisons.execution.protocol import Job
from unified_agents_comparisons.faults.harness import FaultHarness, Observation, fault_messages
from unified_agents_comparisons.faults.verdict import GOOD_VERDICTS, verdict
from unified_agents_comparisons.native_tracing.measured import traced
from unified_agents_comparisons.native_tracing.score import TracingScore, score_tracing
from unified_agents_comparisons.records import CallSummary, Cell
from unified_agents_comparisons.scoring import output_fault
from unified_agents_comparisons.suite.fault_settings import FaultCase
from unified_agents_comparisons.suite.model import Task

RunJob = Callable[[Job], Awaitable[Cell]]
"""Runs a cell; raises ConfigError when it cannot be run, whatever the model answers."""


@asynccontextmanager
async def open_job_runner(runner: CellRunner) -> AsyncIterator[RunJob]:
    """Open the runner of a worker's cells, those with faults included; the model of these stands behind a socket."""
    settings = runner.suite.suite.faults
    if settings is None:
        yield runner.run
        return
    async with ScriptServer() as server:
        harness = FaultHarness(server, runner, settings)

        async def run(job: Job) -> Cell:
            return await (runner.run(job) if job.fault is None else _run_with_fault(harness, job, job.fault))

        yield run


async def _run_with_fault(harness: FaultHarness, job: Job, fault: str) -> Cell:
    runner, case = harness.runner, FaultCase.parse(fault)
    task = runner.suite.task(job.task)
    clean = await harness.run_clean(task, job.handling, streamed=case.streamed)
    observed, tracing = await _observed(harness, task, job.handling, case)
    calls = summarise_calls(observed.result, runner.tools_of(task)) if observed.result is not None else ()
    changes = _judged(task, observed, calls) | {
        "requests": observed.requests,
        "told": fault_messages(observed, clean),
        "seconds_lost": max(0.0, observed.seconds - clean.seconds),
        "tool_calls": calls,
        "tracing": tracing,
    }
    if observed.result is not None:
        changes |= {name: getattr(observed.result, name) for name in ("retries", "usage", "seconds")}
        changes["trace_shape"] = observed.result.trace.shape()
    cell = runner.blank_cell(job).model_copy(update=changes)
    await runner.keep_details(cell, observed.result)
    return cell


async def _observed(
    harness: FaultHarness, task: Task, handling: Handling, case: FaultCase
) -> tuple[Observation, TracingScore | None]:
    """Run a task with a fault, and score the framework's own tracing of it where that is wanted."""
    native = harness.runner.native
    if native is None:
        return await harness.run(task, handling, case), None
    observed, spans, _ = await traced(native, lambda: harness.run(task, handling, case))
    return observed, None if observed.result is None else score_tracing(observed.result, spans)


def _judged(task: Task, observed: Observation, calls: tuple[CallSummary, ...]) -> dict[str, Any]:
    result, error = observed.result, observed.error
    cancelled = error is not None and error.kind == "cancelled"
    status = result.status if result is not None else "cancelled" if cancelled else "failed"
    output = result.output if result is not None else None
    fault = output_fault(output, task.expect.output)
    swallowed = result is not None and any(name == ERROR_SWALLOWED for name, *_ in result.trace.events)
    raised = None if swallowed else error  # what the wire alone tells of, the framework failed at without a word
    found = verdict(status, output, raised, hung=observed.hung, right=fault is None, calls=calls)
    passed = found in GOOD_VERDICTS
    return {
        "status": status,
        "output": output,
        "error": error,
        "verdict": found,
        "passed": passed,
        "score": float(passed),
        "reasons": () if passed else (f"{found}: {fault}" if fault else found,),
    }
