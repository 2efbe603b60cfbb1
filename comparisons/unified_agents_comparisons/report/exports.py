"""The cells of a comparison for other programs: JUnit XML for CI servers, CSV for spreadsheets."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree  # it only writes

from unified_agents_comparisons.analysis.outcomes import phrase
from unified_agents_comparisons.analysis.sides import Side, by_side
from unified_agents_comparisons.records import Cell, write_atomically
from unified_agents_comparisons.report.summary import decides

MAX_TEXT = 4_000
COLUMNS = (
    "suite",
    "task",
    "backend",
    "handling",
    "variant",
    "fault",
    "perturb",
    "repeat",
    "status",
    "passed",
    "score",
    "error_kind",
    "verdict",
    "requests",
    "retries",
    "input_tokens",
    "output_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cost",
    "request_bytes",
    "total_seconds",
    "model_seconds",
    "tool_seconds",
    "waiting_seconds",
    "overhead_seconds",
    "first_token_seconds",
    "model",
    "what",
    "output",
)
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes a text that begins with one of these for a formula."""


class Exports(NamedTuple):
    """The files that a comparison writes besides its folder.

    Attributes:
        junit: The JUnit XML file; None for none.
        csv: The CSV file; None for none.
    """

    junit: Path | None = None
    csv: Path | None = None

    def write(self, cells: Sequence[Cell]) -> None:
        """Write what is asked for."""
        if self.junit is not None:
            write_atomically(self.junit, junit(cells))
        if self.csv is not None:
            write_atomically(self.csv, table(cells))


def junit(cells: Sequence[Cell]) -> str:
    """Return the cells as JUnit XML, a test suite for each side.

    A cell that makes the comparison fail is a failure, or an error where its run ended in one. A cell that did not pass
    and judges nobody, as under native handling, is skipped.
    """
    root = ElementTree.Element("testsuites", name=_xml(cells[0].suite if cells else "comparison"))
    for side, some in by_side(cells).items():
        suite = ElementTree.SubElement(root, "testsuite", _counts(side, some))
        for cell in some:
            _add_case(suite, side, cell)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def table(cells: Sequence[Cell]) -> str:
    """Return the cells as CSV, a line for each."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([_plain(value) for value in _row(cell)] for cell in cells)
    return text.getvalue()


def _counts(side: Side, cells: Sequence[Cell]) -> dict[str, str]:
    kinds = [_kind(cell) for cell in cells]
    return {
        "name": _xml(f"{side.backend}.{side.handling}"),
        "tests": str(len(cells)),
        "failures": str(kinds.count("failure")),
        "errors": str(kinds.count("error")),
        "skipped": str(kinds.count("skipped")),
        "time": f"{sum(_seconds(cell) for cell in cells):.6f}",
    }


def _kind(cell: Cell) -> str | None:
    if decides(cell):
        return "error" if cell.error is not None else "failure"
    return "skipped" if not cell.passed and cell.perturb is None else None


def _add_case(suite: ElementTree.Element, side: Side, cell: Cell) -> None:
    parts = filter(None, (cell.task, cell.fault, cell.perturb, f"repeat {cell.repeat + 1}"))
    case = ElementTree.SubElement(
        suite,
        "testcase",
        name=_xml(", ".join(parts)),
        classname=_xml(f"{cell.suite}.{side.backend}.{side.handling}"),
        time=f"{_seconds(cell):.6f}",
    )
    kind = _kind(cell)
    if kind == "skipped":
        ElementTree.SubElement(case, kind, message=_xml(f"judges nobody: {phrase(cell)}"))
    elif kind is not None:
        found = ElementTree.SubElement(case, kind, message=_xml(phrase(cell)), type=_xml(_type(cell)))
        found.text = _xml("\n".join(cell.reasons))


def _type(cell: Cell) -> str:
    return cell.error.kind if cell.error is not None else cell.verdict or "not as expected"


def _seconds(cell: Cell) -> float:
    return cell.seconds.total if cell.seconds is not None else 0.0


def _xml(text: str) -> str:
    """Return a text without the characters that XML cannot hold, cut."""
    return _NO_XML.sub("\ufffd", text[:MAX_TEXT])


def _row(cell: Cell) -> list[object]:
    times = cell.seconds
    return [
        *(cell.suite, cell.task, cell.backend, cell.handling, cell.variant, cell.fault, cell.perturb, cell.repeat),
        *(cell.status, int(cell.passed), cell.score, cell.error.kind if cell.error else None, cell.verdict),
        *(cell.requests, cell.retries, cell.usage.input_tokens, cell.usage.output_tokens),
        *(cell.usage.cached_input_tokens, cell.usage.cache_write_tokens, cell.usage.reasoning_tokens, cell.cost),
        sum(cell.request_bytes),
        *((times.total, times.model, times.tool, times.waiting, times.overhead) if times else (None,) * 5),
        *(cell.time_to_first_token, cell.model, phrase(cell), cell.output),
    ]


def _plain(value: object) -> object:
    """Return a value that no spreadsheet takes for a formula, and that can be written."""
    if not isinstance(value, str):
        return value
    text = _NO_XML.sub("\ufffd", value[:MAX_TEXT])
    return f"'{text}" if text.startswith(_FORMULA) else text
