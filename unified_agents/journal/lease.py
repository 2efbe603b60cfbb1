"""Who may write the rows of a run: one owner at a time, known by its process, with a number that fences others off."""

from __future__ import annotations

import functools
import os
import platform
import uuid
from dataclasses import dataclass, field
from pathlib import Path

LEASE_SECONDS = 30.0
"""How long a lease lasts unless it is renewed. A journal renews its leases three times as often."""


@dataclass(slots=True, eq=False)
class Lease:
    """The right to write the rows of one run.

    Attributes:
        run_id: The run.
        fence: Grows with each new owner. A journal takes rows only under the newest.
        next_number: The number of the row that comes next.
        key: The store's own name for the run.
        failure: Why a row could not be written; None while all were. No row follows one that is missing.
    """

    run_id: str
    fence: int
    next_number: int
    key: int = 0
    failure: Exception | None = field(default=None, repr=False)

    def fail(self, error: Exception) -> None:
        """Note that a row could not be written. The first failure counts."""
        if self.failure is None:
            self.failure = error

    def numbers(self, count: int) -> int:
        """Take the numbers of so many rows, and return the first."""
        first = self.next_number
        self.next_number += count
        return first


@dataclass(slots=True, frozen=True)
class Owner:
    """A process that holds leases.

    Attributes:
        id: Unique for each process, also where a machine gives a process number again.
        host: The machine since its last start, and its set of process numbers; containers have sets of their own.
        pid: The process number.
        started: When the process began, as the system tells; empty where it does not.
    """

    id: str
    host: str
    pid: int
    started: str

    def is_dead(self) -> bool:
        """Tell whether it is known that the process has ended. Nothing is known of other machines."""
        if self.host != _host() or self.id == this_owner().id:
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        return bool(self.started) and _started(self.pid) != self.started


_own: list[Owner] = []


def this_owner() -> Owner:
    """Return this process as an owner."""
    if not _own or _own[0].pid != os.getpid():
        _own[:] = [Owner(uuid.uuid4().hex, _host(), os.getpid(), _started(os.getpid()))]
    return _own[0]


@functools.cache
def _host() -> str:
    return " ".join([platform.node(), *map(_read, ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"))])


def _read(path: str) -> str:
    try:
        return os.readlink(path) if path.endswith("ns/pid") else Path(path).read_text().strip()
    except OSError:
        return ""


def _started(pid: int) -> str:
    """Return the start of a process in ticks since the machine's; empty where the system has no such file."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()  # the name in parentheses may hold anything
    return "" if fields[0] == "Z" else fields[19]
