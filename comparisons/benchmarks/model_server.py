"""A scripted model behind HTTP, in a process of its own, so that its CPU is not counted."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Json = dict[str, Any]
END_SECONDS = 10.0
"""How long the server may take to end."""


DONE: Json = {"text": "done"}
"""The last answer of a run."""


def one_by_one(calls: int, last: Json = DONE) -> list[Json]:
    """Return answers that ask for so many calls of `add`, one in each step, and then say `done`, or end otherwise."""
    steps: list[Json] = [{"tool_calls": [{"name": "add", "arguments": {"a": step, "b": 2}}]} for step in range(calls)]
    return [*steps, last]


def at_once(calls: int) -> list[Json]:
    """Return answers that ask for so many calls of `add` in one step, and then say `done`."""
    return [{"tool_calls": [{"name": "add", "arguments": {"a": n, "b": 2}} for n in range(calls)]}, DONE]


@contextmanager
def serving(answers: list[Json]) -> Iterator[str]:
    """Serve a script; yield the base URL."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "script.json")
        script.write_text(json.dumps({"answers": answers}), encoding="utf-8")
        command = [sys.executable, "-m", "unified_agents.scripted.server", str(script)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin
            assert process.stdout
            try:
                yield process.stdout.readline().strip()
            finally:
                process.stdin.close()
                process.wait(END_SECONDS)
