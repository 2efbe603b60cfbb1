"""What stores share: rows as bytes and back, and the words for a lease that no longer holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from unified_agents.errors import JournalError, LeaseLostError
from unified_agents.journal.commit_thread import EncodedRows
from unified_agents.journal.lease import Lease
from unified_agents.journal.protocol import Addition, Journal
from unified_agents.journal.rows import EndRow, Row, RunRow, StoredStatus, read_row, write_row


def read_rows(run_id: str, stored: Iterable[bytes]) -> list[Row]:
    """Return the rows of a run.

    Raises:
        JournalError: a row is damaged.
    """
    return [read_row(data, run_id, number) for number, data in enumerate(stored)]


async def claimed_rows(journal: Journal, lease: Lease, stored: Iterable[bytes]) -> tuple[Lease, list[Row]]:
    """Return what `Journal.claim` gives; the lease is given back where a row is damaged.

    Raises:
        JournalError: a row is damaged.
    """
    try:
        return lease, read_rows(lease.run_id, stored)
    except JournalError:
        await journal.append(lease, [], release=True)
        raise


def last_status(rows: Sequence[Row]) -> StoredStatus | None:
    """Return the status that the last of these rows gives the run; None where it goes on."""
    last = rows[-1] if rows else None
    return last.status if isinstance(last, EndRow) else None


def status_of(status: StoredStatus | None, run_id: str, first: bytes | None) -> StoredStatus | None:
    """Return how a run stands of which the first process has stored no end.

    Earlier versions stored a fork without an end row. As long as nobody has resumed it, it has not begun.

    Args:
        status: What the store says; None where it holds no end.
        run_id: The run.
        first: The run's first row, where no second process has ever owned it; else None.
    """
    if status is not None or first is None or b'"forked_from":{' not in first:
        return status
    try:
        row = read_row(first, run_id, 0)
    except JournalError:  # whoever reads the run is told
        return None
    return "forked" if isinstance(row, RunRow) and row.forked_from is not None else None


def entries_of(lease: Lease, rows: Sequence[Row], release: bool, also: Addition | None) -> tuple[EncodedRows, ...]:
    """Return what `Journal.append` is given, for a `CommitThread`."""
    if also is None:
        return (_entry(lease, rows, release),)
    return _entry(lease, rows, release), _entry(also.lease, also.rows, also.release)


def _entry(lease: Lease, rows: Sequence[Row], release: bool) -> EncodedRows:
    bodies = [write_row(row) for row in rows]
    return EncodedRows(lease, lease.numbers(len(bodies)), bodies, last_status(rows), release)


def earlier_failure(lease: Lease) -> JournalError:
    """Return the error for rows after one that could not be stored."""
    return JournalError(f"run {lease.run_id}: a row before could not be written: {lease.failure}")


def lost(lease: Lease, *, is_deleted: bool) -> LeaseLostError:
    """Return the error for rows of an owner that is none any more."""
    what = "was deleted from" if is_deleted else "has another owner in"
    return LeaseLostError(f"run {lease.run_id} {what} the journal: this process ends it here")
