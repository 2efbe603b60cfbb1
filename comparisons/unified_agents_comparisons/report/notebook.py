"""A comparison as a notebook shows it."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from unified_agents.text import visible
from unified_agents_comparisons.analysis.metrics import Group
from unified_agents_comparisons.report import formatting

HEAD = (
    "backend",
    "handling",
    "passed",
    "median total, ms",
    "median overhead, ms",
    "requests",
    "tokens in / out",
    "cost",
)


def summary_html(title: str, groups: Sequence[Group], currency: str | None, sentences: Iterable[str]) -> str:
    """Return a comparison as HTML without scripts and styles, all text of it escaped.

    Args:
        title: What was compared.
        groups: The numbers of each side.
        currency: The unit of the costs; None where nobody said.
        sentences: What stands below the table.
    """
    rows = [
        (
            group.backend,
            group.handling,
            f"{group.passed}/{group.total}",
            formatting.milliseconds(group.seconds),
            formatting.milliseconds(group.overhead),
            f"{group.requests:,}",
            formatting.tokens(group.usage),
            formatting.cost(group, currency),
        )
        for group in groups
    ]
    parts = [f"<p><strong>{html.escape(visible(title))}</strong></p>", _table(rows)]
    return "".join([*parts, *(f"<p>{html.escape(visible(text))}</p>" for text in sentences)])


def _table(rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in HEAD)
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(visible(cell))}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
