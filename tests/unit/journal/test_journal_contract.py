"""The shipped contract suite of journals, on each journal."""

from __future__ import annotations

from pathlib import Path

from unified_agents import MemoryJournal, SqliteJournal
from unified_agents.testing import DurableJournalContract, JournalContract


class TestMemory(JournalContract):
    def make(self, folder: Path) -> MemoryJournal:
        return MemoryJournal()


class TestSqlite(DurableJournalContract):
    def make(self, folder: Path) -> SqliteJournal:
        return SqliteJournal(folder / "runs.db")
