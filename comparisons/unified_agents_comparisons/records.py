"""The records of a comparison: one JSON line per cell, written as soon as the cell ends."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal, NamedTuple, Self
from urllib.parse import quote

import orjson
from pydantic import ValidationError

from unified_agents.config import Handling, ModelConfig, Variant
from unified_agents.errors import ConfigError, ErrorRecord
from unified_agents.messages import JsonObject, Usage
from unified_agents.result import RunResult, RunStatus, Timing
from unified_agents_comparisons.bfcl.mutations import Mutation
from unified_agents_comparisons.frozen_model import FrozenModel
from unified_agents_comparisons.native_tracing.score import TracingScore
from unified_agents_comparisons.schema_fidelity import SchemaRecord

CELLS = "cells.jsonl"
DETAILS = "details"
REPLAY = "replay of "
"""What the label of a model begins with when a cassette answers in its place."""

Perturbation = Literal["wrong-oracle", "altered-result"] | Mutation
"""A negative control: every cell run under one must fail."""

Verdict = Literal["recovered", "failed clearly", "failed silently", "wrong result", "hung"]
"""What a fault led to."""

Tracing = Literal["native"]
"""Whose tracing is scored beside the runs: that of the frameworks themselves."""

Keep = Literal["all", "failed", "none"]
"""Which cells leave a file of details; of a negative control, `failed` are those that passed."""


class CellKey(NamedTuple):
    """The key of one cell of a comparison.

    Attributes:
        task: The task's id.
        backend: The backend.
        handling: The handling.
        repeat: From 0.
        perturb: Its negative control; None for none.
        fault: Its fault; None for none.
        variant: The loop within the backend.
    """

    task: str
    backend: str
    handling: Handling
    repeat: int
    perturb: Perturbation | None = None
    fault: str | None = None
    variant: Variant = "tool_calling"

    @property
    def file_name(self) -> str:
        """Return the name of the cell's file in the folder of details."""
        variant = None if self.variant == "tool_calling" else self.variant
        rest = filter(None, (self.perturb, self.fault, variant))
        parts = [self.task, self.backend, self.handling, str(self.repeat), *rest]
        return quote(f"{'.'.join(parts)}.json", safe="")


def model_label(model: ModelConfig, replay: Path | None = None) -> str:
    """Return the name that records and reports give a model, or the cassette that answers in its place."""
    if replay is not None:
        return f"{REPLAY}{replay.name}"
    return "oracle" if model.provider == "oracle" else f"{model.provider}:{model.name}"


class CallSummary(FrozenModel):
    """The record of a tool call that the model asked for.

    Attributes:
        name: The tool's name, as the model wrote it.
        arguments: JSON text, as the model wrote it.
        ok: Whether the tool ran and returned.
        reached: Whether the call came to the tool at all.
        lost: Whether a well-formed call of a tool that was offered did not come to it.
        received: What the tool's function was called with; None when it was not.
        fault: What in `received` does not fit the tool's schema; None when it fits.
        error: Why it is not ok, when that is known.
    """

    name: str
    arguments: str
    ok: bool
    reached: bool
    lost: bool = False
    received: JsonObject | None = None
    fault: str | None = None
    error: ErrorRecord | None = None


class Yardstick(FrozenModel):
    """How long a worker took for the same piece of work as beside each cell: the lesser of just before and just after.

    Attributes:
        seconds: Of wall clock.
        cpu_seconds: Of processor time.
        work: The number of the piece of work; times of another one are no measure for this.
    """

    seconds: float
    cpu_seconds: float
    work: int = 1


class Cell(FrozenModel):
    """The record of one run: a task on a backend under a handling.

    Attributes:
        suite: The suite's name.
        task: The task's id.
        backend: The backend that ran it.
        variant: The loop within the backend.
        handling: `unified` or `native`.
        fault: The injected fault, such as `html@first.streamed`; None without one.
        verdict: What it led to; None without a fault.
        told: What the model was told because of it.
        seconds_lost: How much longer the run took than one without it.
        repeat: From 0.
        perturb: The negative control that it was run under; None in an ordinary comparison.
        status: How the run ended.
        passed: Whether everything expected holds.
        score: The share of what is expected that holds, from 0 to 1.
        reasons: Why it did not pass, one line each.
        output: The final answer; None when there is none.
        error: What ended the run; None when it completed.
        requests: Requests that reached the model, retries included.
        retries: How many of these were retries.
        usage: Tokens; a count is None when the model did not report it.
        cost: What these tokens cost, by the prices that were given; None where that is not known.
        request_bytes: The size of each request's body, in order.
        request_tokens: The input tokens of each request, in order; None where the model did not report them.
        seconds: Where the time went; None when the worker did not live to tell.
        cpu_seconds: Processor time of the worker in this run; None where others ran beside it.
        yardstick: How fast the machine was; None of a run with a fault, and where the worker did not live to tell.
        time_to_first_token: Seconds; None when nothing was streamed.
        tool_calls: Every call that the model asked for, in order.
        schemas: What the framework made of each tool that was offered, in the first request; empty without one.
        model: Which model answered, such as `oracle` or `openai:gpt-5-mini`.
        versions: Of python, unified-agents and the backend's distributions.
        trace_shape: The span tree without times; empty when the worker did not live to tell.
        tracing: What the framework's own tracing told of the run; None where it was not scored.
        documents: How many documents the task needs, and how many of them reached the model in full; None where it
            needs none.
    """

    suite: str
    task: str
    backend: str
    variant: Variant = "tool_calling"
    handling: Handling
    fault: str | None = None
    verdict: Verdict | None = None
    told: tuple[str, ...] = ()
    seconds_lost: float | None = None
    repeat: int
    perturb: Perturbation | None = None
    status: RunStatus
    passed: bool
    score: float
    reasons: tuple[str, ...] = ()
    output: str | None = None
    error: ErrorRecord | None = None
    requests: int = 0
    retries: int = 0
    usage: Usage = Usage()
    cost: float | None = None
    request_bytes: tuple[int, ...] = ()
    request_tokens: tuple[int | None, ...] = ()
    seconds: Timing | None = None
    cpu_seconds: float | None = None
    yardstick: Yardstick | None = None
    time_to_first_token: float | None = None
    tool_calls: tuple[CallSummary, ...] = ()
    schemas: tuple[SchemaRecord, ...] = ()
    model: str
    versions: dict[str, str]
    trace_shape: str = ""
    tracing: TracingScore | None = None
    documents: tuple[int, int] | None = None

    @property
    def key(self) -> CellKey:
        """Return the key of this cell."""
        return CellKey(self.task, self.backend, self.handling, self.repeat, self.perturb, self.fault, self.variant)


@dataclass(slots=True)
class CellFile:
    """The file of a comparison's cells, opened for appending; each line is flushed as it is written.

    Attributes:
        cells: What the file held when it was opened.
        torn: Whether its last line was torn: it is dropped, and its cell runs again.
    """

    cells: tuple[Cell, ...]
    torn: bool
    _file: BinaryIO

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open the folder's file, without the torn last line that a killed process or a full disk leaves behind.

        Raises:
            ConfigError: a line is no cell, and not the last one torn; the file is left as it is.
        """
        path = folder / CELLS
        found = path.read_bytes() if path.exists() else b""
        whole = _untorn(found)
        cells = tuple(_parse(whole.splitlines(), path))
        if len(whole) < len(found):
            os.truncate(path, len(whole))
        return cls(cells, len(whole) < len(found), path.open("ab"))

    def append(self, cell: Cell) -> None:
        """Write one cell."""
        self._file.write(cell.model_dump_json().encode() + b"\n")
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def read_cells(folder: Path) -> tuple[Cell, ...]:
    """Return the cells of a comparison's folder, without a torn last line; the file is left as it is.

    Raises:
        ConfigError: there is no such file, or a line is no cell.
    """
    path = folder / CELLS
    if not path.is_file():
        raise ConfigError(f"{folder}: holds no comparison: there is no {CELLS}")
    return tuple(_parse(_untorn(path.read_bytes()).splitlines(), path))


def is_torn(folder: Path) -> bool:
    """Tell whether the last line of a comparison's cells is cut, as where the machine died while it was written."""
    found = (folder / CELLS).read_bytes()
    return len(_untorn(found)) < len(found)


def _untorn(found: bytes) -> bytes:
    """Return a file's bytes without a last line that has no end, or is no whole JSON."""
    whole = found[: found.rfind(b"\n") + 1]
    last = whole[whole.rfind(b"\n", 0, -1) + 1 :]
    try:
        orjson.loads(last)
    except orjson.JSONDecodeError:
        return whole[: len(whole) - len(last)]
    return whole


def write_atomically(path: Path, text: str) -> Path:
    """Write a text file whole or not at all; return its path."""
    temporary = path.with_name(f"{path.name}.new")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
    return path


def write_details(folder: Path, keep: Keep, cell: Cell, result: RunResult | None) -> None:
    """Write a cell's exchanges and its trace, if those of such a cell are kept.

    It comes before the cell's line in the file of cells, so that no cell is without its details however the comparison
    ends.
    """
    unexpected = cell.passed is (cell.perturb is not None)
    if keep == "all" or (keep == "failed" and unexpected):
        details = {"cell": cell.model_dump(mode="json"), "result": result.to_dict() if result else None}
        text = orjson.dumps(details, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode()
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / cell.key.file_name, text)


def _parse(lines: Iterable[bytes], path: Path) -> Iterable[Cell]:
    for number, line in enumerate(lines, 1):
        try:
            yield Cell.model_validate_json(line)
        except ValidationError as error:
            fault = error.errors(include_url=False, include_input=False)[0]
            raise ConfigError(f"{path}, line {number}: not a cell: {fault['msg']}; give another --out") from error
