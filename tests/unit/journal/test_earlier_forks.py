"""A fork as earlier versions stored it, without an end row, stands as one that has not begun."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from unified_agents import PostgresJournal, SqliteJournal
from unified_agents.journal.protocol import Journal
from unified_agents.journal.rows import ForkPoint
from unified_agents.testing.journals import first_row


@pytest.fixture(params=["sqlite", "postgres"])
async def journal(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Journal]:
    if request.param == "sqlite":
        opened: SqliteJournal | PostgresJournal = SqliteJournal(tmp_path / "runs.db")
    else:
        opened = PostgresJournal(request.getfixturevalue("postgres").new_place())
    yield opened
    await opened.aclose()


async def test_it_is_no_orphan_until_the_process_that_resumed_it_dies(journal: Journal) -> None:
    async def stand() -> dict[str, tuple[str | None, bool]]:
        return {info.run_id: (info.status, info.is_orphan) for info in await journal.runs()}

    fork = replace(first_row(), forked_from=ForkPoint(run_id="r", step=1))
    for run_id, row in (("fork", fork), ("run", first_row())):
        lease = await journal.begin(run_id, [row])
        await journal.append(lease, [], release=True)
    assert await stand() == {"fork": ("forked", False), "run": (None, True)}
    lease, _ = await journal.claim("fork")
    assert (await stand())["fork"] == (None, False)
    await journal.append(lease, [], release=True)
    assert (await stand())["fork"] == (None, True)
