"""The report as a Markdown file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from unified_agents.text import visible
from unified_agents_comparisons.records import Cell, write_atomically
from unified_agents_comparisons.report import formatting
from unified_agents_comparisons.report.classic_table import classic_table
from unified_agents_comparisons.report.summary import Summary

REPORT = "report.md"
MAX_TOOLS = 50
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|~&$@]|(?<=:)/(?=/)|(?<=www)\.|^[-+#=]|(?<=^\d)[.)](?=\s)|(?<=^\d\d)[.)](?=\s))")


def write_report(summary: Summary, cells: Sequence[Cell], folder: Path) -> Path:
    """Write `report.md`; return its path."""
    return write_atomically(folder / REPORT, render(summary, cells))


def render(summary: Summary, cells: Sequence[Cell]) -> str:
    """Return the report's text; every value in it is escaped, so that no text of a model works as markup."""
    classic = classic_table(summary, cells)
    return _template().render(summary=summary, classic=classic, formatting=formatting, max_tools=MAX_TOOLS)


def escaped(value: object) -> str:
    """Return Markdown that shows a value as it is, on one line: no markup, no list, no link."""
    return _SPECIAL.sub(r"\\\1", visible(" ".join(str(value).split())))


@cache
def _template() -> Template:
    # Not HTML: `finalize` escapes every expression for Markdown.
    environment = Environment(  # noqa: S701
        loader=PackageLoader("unified_agents_comparisons", "report"),
        undefined=StrictUndefined,
        finalize=escaped,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("report.md.jinja")
