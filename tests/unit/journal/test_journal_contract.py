"""The shipped contract suite of journals, on each journal."""

from __future__ import annotations

from pathlib import Path

import pytest

from postgres import Server
from unified_agents import MemoryJournal, PostgresJournal, SqliteJournal
from unified_agents.testing import DurableJournalContract, JournalContract


class TestMemory(JournalContract):
    def make(self, folder: Path) -> MemoryJournal:
        return MemoryJournal()


class TestSqlite(DurableJournalContract):
    def make(self, folder: Path) -> SqliteJournal:
        return SqliteJournal(folder / "runs.db")


class TestPostgres(DurableJournalContract):
    @pytest.fixture(autouse=True)
    def _at(self, postgres: Server) -> None:
        self._place = postgres.new_place()

    def make(self, folder: Path) -> PostgresJournal:
        return PostgresJournal(self._place)
