"""A journal in memory, for tests and for sessions of an agent without a journal."""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Generator, Sequence
from dataclasses import dataclass, field

from unified_agents.errors import JournalError, RunBusyError, RunNotFoundError
from unified_agents.journal.encoding import earlier_failure, last_status, lost, read_rows
from unified_agents.journal.lease import Lease
from unified_agents.journal.protocol import SESSION_PREFIX, Addition, RunInfo
from unified_agents.journal.rows import Row, StoredStatus, write_row


@dataclass(slots=True, eq=False)
class _StoredRun:
    created: float
    fence: int = 1
    is_owned: bool = True
    status: StoredStatus | None = None
    bodies: list[bytes] = field(default_factory=list)

    @property
    def still_completed(self) -> StoredStatus | None:
        """The status of a run that somebody owns again: only one that is completed keeps it."""
        return "completed" if self.status == "completed" else None


class MemoryJournal:
    """A journal that ends with the process. Its rows are kept as JSON, as those of any other."""

    def __init__(self) -> None:
        self._runs: dict[str, _StoredRun] = {}
        self._lock = threading.Lock()  # runs of several event loops

    async def begin(self, run_id: str, rows: Sequence[Row]) -> Lease:
        """Store the first rows of a new run; see `Journal.begin`."""
        with self._lock:
            if run_id in self._runs:
                raise RunBusyError(f"the journal has a run {run_id!r} already: resume it, or name another")
            run = self._runs[run_id] = _StoredRun(time.time(), status=last_status(rows))
            run.bodies += map(write_row, rows)
        return Lease(run_id, 1, len(rows))

    async def claim(self, run_id: str) -> tuple[Lease, list[Row]]:
        """Become the owner of a run; see `Journal.claim`."""
        with self._lock:
            run = self._stored(run_id)
            if run.is_owned:
                raise RunBusyError(f"run {run_id} is driven by this process; wait for its end, or end it")
            run.fence, run.is_owned, run.status = run.fence + 1, True, run.still_completed
            return Lease(run_id, run.fence, len(run.bodies)), read_rows(run_id, run.bodies)

    def append(
        self, lease: Lease, rows: Sequence[Row], *, release: bool = False, also: Addition | None = None
    ) -> Awaitable[None]:
        """Store rows; see `Journal.append`."""
        additions = [Addition(lease, rows, release), *([] if also is None else [also])]
        with self._lock:
            error = next(filter(None, map(self._refusal, additions)), None)
            for addition in additions:
                run = self._runs.get(addition.lease.run_id)
                if error is not None:
                    addition.lease.fail(error)
                elif run is not None:
                    run.bodies += map(write_row, addition.rows)
                    status = last_status(addition.rows)
                    if status is not None or addition.release:
                        run.status = status or run.still_completed
                if addition.release and run is not None and run.fence == addition.lease.fence:
                    run.is_owned = False
        return _Done(error)

    def _refusal(self, addition: Addition) -> JournalError | None:
        lease, run = addition.lease, self._runs.get(addition.lease.run_id)
        if lease.failure is not None:
            return earlier_failure(lease)
        return None if run is not None and run.fence == lease.fence else lost(lease, is_deleted=run is None)

    async def read(self, run_id: str) -> list[Row]:
        """Return the rows of a run; see `Journal.read`."""
        with self._lock:
            return read_rows(run_id, self._stored(run_id).bodies)

    async def runs(self) -> list[RunInfo]:
        """Return all runs, the newest first; see `Journal.runs`."""
        with self._lock:
            found = [
                RunInfo(run_id, run.status, run.created, run.is_owned, len(run.bodies))
                for run_id, run in self._runs.items()
                if not run_id.startswith(SESSION_PREFIX)
            ]
        return sorted(found, key=lambda info: -info.created)

    async def delete(self, run_ids: Sequence[str]) -> int:
        """Delete runs that nobody drives; see `Journal.delete`."""
        with self._lock:
            idle = [run_id for run_id in dict.fromkeys(run_ids) if run_id in self._runs]
            idle = [run_id for run_id in idle if not self._runs[run_id].is_owned]
            for run_id in idle:
                del self._runs[run_id]
        return len(idle)

    async def aclose(self) -> None:
        """Do nothing: the rows stay, and the journal may be used again."""

    def _stored(self, run_id: str) -> _StoredRun:
        run = self._runs.get(run_id)
        if run is None:
            raise RunNotFoundError(f"the journal has no run {run_id!r}")
        return run


class _Done:
    """Something to await that has its outcome already."""

    def __init__(self, error: Exception | None) -> None:
        self._error = error

    def __await__(self) -> Generator[None, None, None]:
        if self._error is not None:
            raise self._error
        yield from ()
