"""The yardstick: a fixed piece of work beside each cell, which tells how fast the machine was at that time."""

from __future__ import annotations

import gc
import hashlib
import json
import time
from typing import NamedTuple

from unified_agents_comparisons.records import Yardstick

ROUNDS = 16
"""About 2 ms. Measurements are comparable only while this and the document stay as they are."""
_DOCUMENT = {
    "messages": [
        {
            "role": "user" if number % 2 else "assistant",
            "content": f"line {number} of a text that is neither short nor long",
            "tool_calls": [
                {"id": f"call_{number}", "name": "add", "arguments": {"a": number, "b": number / 4, "c": [True, None]}}
            ],
        }
        for number in range(8)
    ]
}


class Measured(NamedTuple):
    """One measurement of the yardstick, in seconds of wall clock and of processor time."""

    wall: float
    cpu: float

    def mean(self, other: Measured) -> Yardstick:
        """Return the mean of two measurements, as a cell records it."""
        return Yardstick(seconds=(self.wall + other.wall) / 2, cpu_seconds=(self.cpu + other.cpu) / 2)


def measure_yardstick() -> Measured:
    """Do the work once, and return how long it took.

    The work is in the caller's thread, as a framework's own is. No garbage is collected meanwhile, since that takes
    longer the more a framework holds.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        wall, cpu = time.monotonic(), time.thread_time()
        _work()
        return Measured(time.monotonic() - wall, time.thread_time() - cpu)
    finally:
        if collects:
            gc.enable()


def _work() -> bytes:
    """Encode by Python code, decode by C code, and hash: each result is dropped before the next one is made."""
    digest = b""
    for _ in range(ROUNDS):
        text = json.dumps(_DOCUMENT, indent=1)
        json.loads(text)
        digest = hashlib.sha256(digest + text.encode()).digest()
    return digest
