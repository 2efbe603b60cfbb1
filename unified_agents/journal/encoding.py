"""How rows are told from bytes again, the same in every store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from unified_agents.journal.rows import EndRow, Row, read_row
from unified_agents.result import RunStatus


def read_rows(run_id: str, stored: Iterable[bytes]) -> list[Row]:
    """Return the rows of a run.

    Raises:
        JournalError: a row is damaged.
    """
    return [read_row(data, run_id, number) for number, data in enumerate(stored)]


def last_status(rows: Sequence[Row]) -> RunStatus | None:
    """Return the status that the last of these rows gives the run; None where it goes on."""
    last = rows[-1] if rows else None
    return last.status if isinstance(last, EndRow) else None
