"""What a journal is: a store of rows in which each run has one owner."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from unified_agents.journal.lease import Lease
from unified_agents.journal.rows import Row, StoredStatus

SESSION_PREFIX = "session:"
"""Begins the ids under which a journal keeps the conversations of sessions, which are no runs."""


@dataclass(slots=True, frozen=True)
class RunInfo:
    """What a journal's list says of a run.

    Attributes:
        run_id: The run.
        status: How it ended, or `forked` for a fork that nobody has resumed yet; None while it goes on, and where its
            process died.
        created: Seconds since 1970.
        is_owned: Whether an owner drives it that lives, as far as is known.
        rows: How many rows it has.
    """

    run_id: str
    status: StoredStatus | None
    created: float
    is_owned: bool
    rows: int

    @property
    def is_orphan(self) -> bool:
        """Whether the run has not ended, and nobody drives it."""
        return self.status is None and not self.is_owned


@dataclass(slots=True, frozen=True)
class Addition:
    """Rows that are stored together with those of another run.

    Attributes:
        lease: The right to write them.
        rows: They follow those that the run has.
        release: Whether the owner gives the run back with them.
    """

    lease: Lease
    rows: Sequence[Row]
    release: bool = False


@runtime_checkable
class Journal(Protocol):
    """A store of rows. Its methods may be awaited on any event loop, and none of them blocks one.

    A journal renews the leases that it gave, until they are given back. `JournalContract` in `unified_agents.testing`
    proves an implementation.
    """

    async def begin(self, run_id: str, rows: Sequence[Row]) -> Lease:
        """Store the first rows of a new run, and make the caller its owner.

        Raises:
            RunBusyError: there is a run of that id.
            JournalError: the journal cannot be written.
        """

    async def claim(self, run_id: str) -> tuple[Lease, list[Row]]:
        """Make the caller the owner of a run, and return its rows. A run that is completed stays so.

        Raises:
            RunNotFoundError: there is no such run.
            RunBusyError: it has an owner that lives.
            JournalError: the journal cannot be read or written, or a row is damaged.
        """

    def append(
        self, lease: Lease, rows: Sequence[Row], *, release: bool = False, also: Addition | None = None
    ) -> Awaitable[None]:
        """Store rows, all of them or none. What is awaited ends when they are durable.

        Rows are stored in the order of the calls, whether or not they are awaited. After one call of a lease has
        failed, each further one fails too.

        Args:
            lease: The right to write them.
            rows: They follow those that the run has.
            release: Whether the owner gives the run back with them. It is given back also where they cannot be
                stored, as soon as the journal can be written again.
            also: Rows of another run that are stored with them, or not at all.

        Raises:
            LeaseLostError: a run has another owner. Nothing is stored.
            JournalError: the journal cannot be written.
        """

    async def read(self, run_id: str) -> list[Row]:
        """Return the rows of a run, without becoming its owner.

        Raises:
            RunNotFoundError: there is no such run.
            JournalError: the journal cannot be read, or a row is damaged.
        """

    async def runs(self) -> list[RunInfo]:
        """Return all runs, the newest first; without the conversations of sessions."""

    async def delete(self, run_ids: Sequence[str]) -> int:
        """Delete runs that have no owner that lives, and return how many it were."""

    async def aclose(self) -> None:
        """Close the journal. Rows that were given to it are stored before."""
