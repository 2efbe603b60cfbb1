"""Becoming the owner of a run, so that a caller who is cancelled meanwhile leaves no run owned."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from unified_agents.journal.lease import Lease
from unified_agents.journal.protocol import Journal
from unified_agents.journal.rows import Row

T = TypeVar("T")


async def begin_run(journal: Journal, run_id: str, rows: Sequence[Row]) -> Lease:
    """Begin a run; see `Journal.begin`."""
    return await _owned(journal, journal.begin(run_id, rows), lambda lease: lease)


async def claim_run(journal: Journal, run_id: str) -> tuple[Lease, list[Row]]:
    """Become the owner of a run; see `Journal.claim`."""
    return await _owned(journal, journal.claim(run_id), lambda claimed: claimed[0])


async def _owned(journal: Journal, owning: Coroutine[Any, Any, T], lease_of: Callable[[T], Lease]) -> T:
    task = asyncio.ensure_future(owning)

    def give_back(ended: asyncio.Future[T]) -> None:
        if not ended.cancelled() and ended.exception() is None:
            journal.append(lease_of(ended.result()), [], release=True)

    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(give_back)
        raise
