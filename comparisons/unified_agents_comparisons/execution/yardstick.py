"""The yardstick: a fixed piece of work beside each cell, which tells how fast the machine was at that time."""

from __future__ import annotations

import ast
import gc
import time
from typing import NamedTuple

from unified_agents_comparisons.records import Yardstick

WORK = 2
"""The number of this piece of work. Whoever changes what is done, or how often, takes the next one."""
_FAR_MEMORY = bytes(8 << 20)
"""More than a core's own caches hold."""
_SOURCE = "".join(
    f"def f{number}(a, b={number}):\n    return {{'sum': a + b, 'products': [each * {number} for each in range(a)]}}\n"
    for number in range(50)
)


class Measured(NamedTuple):
    """One measurement of the yardstick, in seconds of wall clock and of processor time."""

    wall: float
    cpu: float

    def least(self, other: Measured) -> Yardstick:
        """Return the lesser of two measurements, as a cell records it: what disturbed one of them is no speed."""
        return Yardstick(seconds=min(self.wall, other.wall), cpu_seconds=min(self.cpu, other.cpu), work=WORK)


def measure_yardstick() -> Measured:
    """Do the work once, in about 1 ms, and return how long it took.

    The work is in the caller's thread, as a framework's own is. No garbage is collected meanwhile, since that takes
    longer the more a framework holds.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        # A run finds the caches as others have left them, and so must this: with warm ones it would not notice that
        # others take the memory's time. Parsing goes through much code and many small objects, as a framework does.
        _FAR_MEMORY[::64]
        wall, cpu = time.monotonic(), time.thread_time()
        ast.parse(_SOURCE)
        return Measured(time.monotonic() - wall, time.thread_time() - cpu)
    finally:
        if collects:
            gc.enable()
