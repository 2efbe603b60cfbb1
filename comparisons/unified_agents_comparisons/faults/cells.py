"""Running one cell with a fault, and the record of what came of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from unified_agents.scripted.server import ScriptServer
from unified_agents_comparisons.execution.cell import Bench, summarised
from unified_agents_comparisons.execution.protocol import Job
from unified_agents_comparisons.faults.harness import Harness, Observed, Subject, told
from unified_agents_comparisons.faults.verdict import GOOD, verdict
from unified_agents_comparisons.records import Cell
from unified_agents_comparisons.scoring import output_fault
from unified_agents_comparisons.suite.fault_settings import FaultCase
from unified_agents_comparisons.suite.model import Task

RunJob = Callable[[Job], Awaitable[Cell]]
"""Runs a cell; raises ConfigError when it cannot be run, whatever the model answers."""


@asynccontextmanager
async def open_faults(bench: Bench) -> AsyncIterator[RunJob]:
    """What runs a worker's cells, those with faults too; the model of these stands behind a socket."""
    settings = bench.suite.suite.faults
    if settings is None:
        yield bench.run
        return
    async with ScriptServer() as server:
        yield _Faults(bench, Harness(server, settings, bench.suite.suite.instructions)).run


class _Faults:
    def __init__(self, bench: Bench, harness: Harness) -> None:
        self._bench = bench
        self._harness = harness

    async def run(self, job: Job) -> Cell:
        if job.fault is None:
            return await self._bench.run(job)
        bench, case = self._bench, FaultCase.parse(job.fault)
        task = bench.suite.task(job.task)
        subject = Subject(bench.start.backend, job.handling, bench.start.variant)
        tools = bench.tools_of(task)
        clean = await self._harness.clean(subject, task, tools, streamed=case.streamed)
        observed = await self._harness.run(subject, task, tools, case)
        blank = bench.start.blank_cell(job, bench.suite.suite.name, bench.versions)
        cell = self._filled(blank, task, observed, clean)
        await bench.keep(cell, observed.result)
        return cell

    def _filled(self, blank: Cell, task: Task, observed: Observed, clean: Observed) -> Cell:
        result = observed.result
        cancelled = observed.error is not None and observed.error.kind == "cancelled"
        status = result.status if result is not None else "cancelled" if cancelled else "failed"
        output = result.output if result is not None else None
        calls = summarised(result, {tool.name: tool for tool in self._bench.tools_of(task)}) if result else ()
        fault = output_fault(output, task.expect.output)
        came_to = verdict(status, output, observed.error, hung=observed.hung, right=fault is None, calls=calls)
        passed = came_to in GOOD
        changes: dict[str, Any] = {
            "status": status,
            "output": output,
            "error": observed.error,
            "verdict": came_to,
            "passed": passed,
            "score": float(passed),
            "reasons": () if passed else (f"{came_to}: {fault}" if fault else came_to,),
            "requests": observed.requests,
            "told": told(observed, clean),
            "seconds_lost": max(0.0, observed.seconds - clean.seconds),
            "tool_calls": calls,
        }
        if result is not None:
            changes |= {"retries": result.retries, "usage": result.usage, "seconds": result.seconds}
            changes["trace_shape"] = result.trace.shape()
        return blank.model_copy(update=changes)
