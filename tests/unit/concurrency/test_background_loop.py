"""The loop behind synchronous calls."""

from __future__ import annotations

from support import run_code

INTERRUPTED = """
import asyncio, os, signal, threading
from unified_agents.concurrency.background_loop import run_in_background

started, ended = threading.Event(), []

async def work():
    try:
        started.set()
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0.3)
        ended.append(True)

def interrupt():
    started.wait()
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=interrupt).start()
try:
    run_in_background(work)
except KeyboardInterrupt:
    print("interrupted", ended)
"""


def test_an_interrupt_waits_for_the_end_of_the_work() -> None:
    done = run_code(INTERRUPTED, timeout=60)
    assert (done.stdout, done.stderr) == ("interrupted [True]\n", "")
