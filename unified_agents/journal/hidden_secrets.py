"""A journal whose rows hold no secret: it stores placeholders, and fills them again when it reads."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import replace

from unified_agents.errors import JournalError
from unified_agents.journal.lease import Lease
from unified_agents.journal.protocol import Addition, Journal, RunInfo
from unified_agents.journal.rows import Row, read_row, write_row
from unified_agents.redaction.placeholders import Placeholders


class JournalWithoutSecrets:
    """A journal that keeps secrets out of another one.

    Args:
        journal: The other one.
        placeholders: What stands for each secret.
    """

    def __init__(self, journal: Journal, placeholders: Placeholders) -> None:
        self._journal = journal
        self._placeholders = placeholders

    async def begin(self, run_id: str, rows: Sequence[Row]) -> Lease:
        """Begin a run; see `Journal.begin`."""
        return await self._journal.begin(run_id, self._hidden(run_id, rows))

    async def claim(self, run_id: str) -> tuple[Lease, list[Row]]:
        """Become the owner of a run; see `Journal.claim`."""
        lease, rows = await self._journal.claim(run_id)
        try:
            return lease, self._filled(run_id, rows)
        except JournalError:
            await self._journal.append(lease, [], release=True)
            raise

    def append(
        self, lease: Lease, rows: Sequence[Row], *, release: bool = False, also: Addition | None = None
    ) -> Awaitable[None]:
        """Store rows; see `Journal.append`."""
        if also is not None:
            also = replace(also, rows=self._hidden(also.lease.run_id, also.rows))
        return self._journal.append(lease, self._hidden(lease.run_id, rows), release=release, also=also)

    async def read(self, run_id: str) -> list[Row]:
        """Return the rows of a run; see `Journal.read`."""
        return self._filled(run_id, await self._journal.read(run_id))

    async def runs(self) -> list[RunInfo]:
        """Return all runs; see `Journal.runs`."""
        return await self._journal.runs()

    async def delete(self, run_ids: Sequence[str]) -> int:
        """Delete runs; see `Journal.delete`."""
        return await self._journal.delete(run_ids)

    async def aclose(self) -> None:
        """Do nothing: whoever opened the other journal closes it."""

    def _hidden(self, run_id: str, rows: Sequence[Row]) -> list[Row]:
        hidden = []
        for row in rows:
            data = write_row(row)
            safe = self._placeholders.hide(data)
            hidden.append(row if safe is data else read_row(safe, run_id, 0))
        return hidden

    def _filled(self, run_id: str, rows: Iterable[Row]) -> list[Row]:
        filled = []
        for number, row in enumerate(rows):
            data = write_row(row)
            try:
                whole = self._placeholders.fill(data)
            except KeyError as error:
                raise JournalError(
                    f"run {run_id} needs the secret {error.args[0]!r}, which the agent's configuration does not have: "
                    "resume it with the model that it began with, or set the key"
                ) from error
            filled.append(row if whole is data else read_row(whole, run_id, number))
        return filled
