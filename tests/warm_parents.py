"""The processes that carry out runs which are killed; their program is `crash_runs.py`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).with_name("crash_runs.py")


class Parents:
    """The processes that obey orders: for each framework and place a warm parent, or a cold process for each order.

    Places differ in their working folders and hash seeds.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._processes: dict[tuple[str, str], subprocess.Popen[str]] = {}

    def order(self, backend: str, place: str, *, is_cold: bool = False, **values: Any) -> int:
        """Give an order, and return the exit code of the process that obeyed it."""
        folder = self.folder / place
        folder.mkdir(exist_ok=True)
        order = json.dumps({"folder": str(folder), **values})
        if is_cold:
            with self._start(backend, place, order) as process:
                return process.wait()
        if (backend, place) not in self._processes:
            self._processes[backend, place] = started = self._start(backend, place)
            assert started.stdout is not None
            assert started.stdout.readline() == "ready\n"
        process = self._processes[backend, place]
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(order + "\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    def _start(self, *arguments: str) -> subprocess.Popen[str]:
        seed = str(zlib.crc32(arguments[1].encode()) % 1000)
        path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
        return subprocess.Popen(
            [sys.executable, PROGRAM, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": path},
        )

    def close(self) -> None:
        """End the parents."""
        for process in self._processes.values():
            with process:
                assert process.stdin is not None
                process.stdin.close()


@contextmanager
def warm_parents(folder: Path) -> Iterator[Parents]:
    """Start parents as they are needed, and end them with the block."""
    parents = Parents(folder)
    try:
        yield parents
    finally:
        parents.close()
