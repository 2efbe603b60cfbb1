"""Import of slow modules in a thread, so that the event loop goes on meanwhile."""

from __future__ import annotations

import asyncio
import importlib
import threading
from collections.abc import Iterable
from contextlib import suppress
from types import ModuleType

from unified_agents.concurrency.uncollected_import import importing_uncollected

_imported_off_loop: dict[str, ModuleType] = {}
"""Modules whose import has ended; `sys.modules` also holds those that another thread is still importing."""
_not_there: set[str] = set()


async def import_all_off_loop(names: Iterable[str]) -> None:
    """Import modules in threads, one after the other, each once, while the event loop goes on.

    One that this release of its package does not have is passed over: whoever needs it will say so.
    """
    for name in names:
        if name not in _imported_off_loop and name not in _not_there:
            try:
                await import_off_loop(name)
            except ModuleNotFoundError:
                _not_there.add(name)


async def import_off_loop(name: str) -> ModuleType:
    """Import a module in a thread, once, while the event loop goes on."""
    if name in _imported_off_loop:
        return _imported_off_loop[name]
    loop = asyncio.get_running_loop()
    done: asyncio.Future[ModuleType] = loop.create_future()

    def settle(outcome: ModuleType | Exception) -> None:
        if done.cancelled():
            return
        if isinstance(outcome, Exception):
            done.set_exception(outcome)
        else:
            done.set_result(outcome)

    def work() -> None:
        try:
            with importing_uncollected(name):
                outcome: ModuleType | Exception = _imported_off_loop.setdefault(name, importlib.import_module(name))
        except Exception as error:
            outcome = error
        with suppress(RuntimeError):  # nobody waits any more where the loop is closed
            loop.call_soon_threadsafe(settle, outcome)

    threading.Thread(target=work, name=f"import {name}", daemon=True).start()
    return await done
