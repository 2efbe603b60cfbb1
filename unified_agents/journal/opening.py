"""Opens the journal that a setting names. Agents of one process that name the same file share it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from threading import Lock

from unified_agents.errors import ConfigError
from unified_agents.journal.addresses import is_postgres, shown_place
from unified_agents.journal.protocol import Journal


class _Shared:
    """A journal that several agents have open; the last that closes it closes the file."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.users = 0


_open: dict[str, _Shared] = {}
_lock = Lock()  # agents may be made in several threads


class OpenJournal:
    """A journal that one agent has open.

    Args:
        journal: The journal's place, or the journal itself, which its maker closes.

    Raises:
        ConfigError: it names none.

    Attributes:
        store: The journal itself.
    """

    def __init__(self, journal: str | Path | Journal) -> None:
        self._key: str | None = None
        if not isinstance(journal, str | Path):
            self.store = journal
            return
        self._key = str(journal) if is_postgres(journal) else os.path.realpath(_file(journal))
        with _lock:
            shared = _open.get(self._key)
            if shared is None:
                shared = _open[self._key] = _Shared(_opened(self._key))
            shared.users += 1
        self.store = shared.journal

    async def aclose(self) -> None:
        """Close the journal, where no other agent has it open. A second call does nothing."""
        if self._key is None:
            return
        key, self._key = self._key, None
        with _lock:
            shared = _open[key]
            shared.users -= 1
            is_last = not shared.users
            if is_last:
                del _open[key]
        if is_last:
            await shared.journal.aclose()


def _opened(key: str) -> Journal:
    """Open a journal. Only who keeps one pays for the import of its store."""
    if is_postgres(key):
        from unified_agents.journal.postgres import PostgresJournal  # noqa: PLC0415

        return PostgresJournal(key)
    from unified_agents.journal.sqlite import SqliteJournal  # noqa: PLC0415

    return SqliteJournal(key)


def _file(place: str | Path) -> Path:
    text = str(place)
    if "://" in text:
        scheme = text.partition("://")[0]
        raise ConfigError(
            f"journal: there is no journal for {scheme}:// addresses; "
            "give a file, such as runs.db, or a postgresql:// URL"
        )
    if re.match(r"\s*(host|hostaddr|dbname|user|password)\s*=", text):
        raise ConfigError("journal: give PostgreSQL's address as a URL, postgresql://user:password@host:port/database")
    if not text.strip():
        raise ConfigError("journal: give a file, such as runs.db, or a postgresql:// URL")
    path = Path(place).expanduser()
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"journal: the folder of {shown_place(text)} does not exist; make it, or name another file")
    return path
