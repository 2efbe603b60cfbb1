"""The cells of a comparison as columns, and what the report claims of them, for the page to show and to recompute."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from unified_agents_comparisons.analysis.outcomes import phrase
from unified_agents_comparisons.analysis.sides import Side, is_infrastructure
from unified_agents_comparisons.native_tracing.score import TracingScore
from unified_agents_comparisons.records import Cell
from unified_agents_comparisons.report.classic_table import classic_table
from unified_agents_comparisons.report.conclusions import conclusions
from unified_agents_comparisons.report.formatting import scope
from unified_agents_comparisons.report.summary import Summary

MAX_TEXT = 400
"""Characters of an answer or a reason in the matrix; a cell's own view has the whole."""
MAX_CHANGES = 60


class _Table:
    """Strings by number."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def add(self, text: str | None) -> int:
        """Return the number of a string; -1 for None."""
        if text is None:
            return -1
        cut = text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"
        return self.numbers.setdefault(cut, len(self.numbers))


def page_data(summary: Summary, cells: Sequence[Cell], repeated: Mapping[int, int]) -> dict[str, Any]:
    """Return everything that the page shows, but for bodies and traces.

    Args:
        summary: What the report says of the cells.
        cells: The cells.
        repeated: By a cell's place, how many bytes its requests repeat; only of those whose requests are kept.
    """
    strings = _Table()
    sides = list(dict.fromkeys(Side(group.backend, group.handling) for group in summary.groups))
    tasks = list(dict.fromkeys(cell.task for cell in cells))
    described = {outcome.task: outcome for outcome in summary.outcomes}
    return {
        "head": _head(summary, cells),
        "sentences": [one.model_dump() for one in conclusions(summary)],
        "tasks": [
            {
                "id": task,
                "description": described[task].description if task in described else "",
                "native": (described[task].differs_native or "") if task in described else "",
            }
            for task in tasks
        ],
        "sides": [side._asdict() for side in sides],
        "cells": _columns(cells, tasks, sides, strings) | {"repeated": [repeated.get(at) for at in range(len(cells))]},
        "scored": list(TracingScore.model_fields),
        "strings": list(strings.numbers),
        "claims": {
            "groups": [group.model_dump(mode="json") for group in summary.groups],
            "tests": [_test(test.model_dump(mode="json"), sides) for test in summary.tests],
            "tracing": [
                row.model_dump(mode="json") | {"side": sides.index(Side(row.backend, row.handling))}
                for row in summary.tracing
            ],
        },
        "faults": [
            row.model_dump(mode="json") | {"what": [one.what for one in row.outcomes]} for row in summary.faults
        ],
        "schemas": [_schema(one.model_dump(mode="json")) for one in summary.schemas],
        "classic": [row.model_dump() for row in classic_table(summary, cells)],
    }


def _head(summary: Summary, cells: Sequence[Cell]) -> dict[str, Any]:
    return {
        "suite": summary.suite,
        "description": summary.description,
        "digest": summary.digest,
        "variant": summary.variant,
        "model": summary.model,
        "protocol": " and ".join(summary.protocols),
        "models": sorted({cell.model for cell in cells}),
        "note": summary.note,
        "ok": summary.ok,
        "repeats": summary.repeats,
        "seed": summary.seed,
        "currency": summary.currency,
        "looks": summary.looks,
        "power": summary.power,
        "perturb": list(summary.perturb),
        "date": summary.date,
        "machine": summary.machine,
        "versions": summary.versions,
        "scope": scope(summary.left_out, summary.beyond),
    }


def _columns(cells: Sequence[Cell], tasks: Sequence[str], sides: Sequence[Side], strings: _Table) -> dict[str, Any]:
    task_numbers = {task: number for number, task in enumerate(tasks)}
    side_numbers = {side: number for number, side in enumerate(sides)}

    def column(value: Callable[[Cell], Any]) -> list[Any]:
        return [value(cell) for cell in cells]

    def time(name: str) -> list[float | None]:
        return column(lambda cell: None if cell.seconds is None else _micro(getattr(cell.seconds, name)))

    return {
        "task": column(lambda cell: task_numbers[cell.task]),
        "side": column(lambda cell: side_numbers[Side.of(cell)]),
        "repeat": column(lambda cell: cell.repeat),
        "fault": column(lambda cell: strings.add(cell.fault)),
        "perturb": column(lambda cell: strings.add(cell.perturb)),
        "status": column(lambda cell: strings.add(cell.status)),
        "passed": column(lambda cell: int(cell.passed)),
        "infrastructure": column(lambda cell: int(is_infrastructure(cell))),
        "total": time("total"),
        "model": time("model"),
        "tool": time("tool"),
        "waiting": time("waiting"),
        "overhead": time("overhead"),
        "first_token": column(lambda cell: _micro(cell.time_to_first_token)),
        "requests": column(lambda cell: cell.requests),
        "retries": column(lambda cell: cell.retries),
        "input": column(lambda cell: cell.usage.input_tokens),
        "output": column(lambda cell: cell.usage.output_tokens),
        "cached": column(lambda cell: cell.usage.cached_input_tokens),
        "written": column(lambda cell: cell.usage.cache_write_tokens),
        "reasoning": column(lambda cell: cell.usage.reasoning_tokens),
        "cost": column(lambda cell: cell.cost),
        "bytes": column(lambda cell: list(cell.request_bytes)),
        "tokens": column(lambda cell: list(cell.request_tokens)),
        "kind": column(lambda cell: strings.add(None if cell.error is None else cell.error.kind)),
        "verdict": column(lambda cell: strings.add(cell.verdict)),
        "what": column(lambda cell: strings.add(phrase(cell))),
        "answer": column(lambda cell: strings.add(cell.output)),
        "reasons": column(lambda cell: [strings.add(reason) for reason in cell.reasons]),
        "calls": column(lambda cell: [strings.add(call.name) for call in cell.tool_calls]),
        "cpu": column(lambda cell: _micro(cell.cpu_seconds)),
        "reached": column(lambda cell: sum(call.reached for call in cell.tool_calls)),
        "documents": column(lambda cell: cell.documents),
        "shape": column(lambda cell: strings.add(cell.trace_shape)),
        "tracing": column(lambda cell: None if cell.tracing is None else list(cell.tracing.model_dump().values())),
    }


def _test(test: dict[str, Any], sides: Sequence[Side]) -> dict[str, Any]:
    return test | {name: sides.index(Side(*test[name])) for name in ("left", "right")}


def _schema(one: dict[str, Any]) -> dict[str, Any]:
    changes: Iterable[dict[str, Any]] = one["changes"]
    return one | {"changes": list(changes)[:MAX_CHANGES], "more": max(0, len(one["changes"]) - MAX_CHANGES)}


def _micro(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1_000_000, 2)
