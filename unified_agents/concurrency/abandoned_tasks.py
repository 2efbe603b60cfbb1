"""Tasks that ignore their cancel, and that are given up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

_kept: set[asyncio.Task[Any]] = set()
"""Tasks that were given up; they are never collected while they wait, which would end them in a foreign context."""


def give_up(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Let the end of the event loop not wait for tasks, what they wait for, and what waits for them.

    `asyncio.run` cancels all tasks that are left and waits for them without a bound, which would keep the program.
    """
    stuck: set[asyncio.Future[Any]] = set().union(*map(_waits_for, tasks))
    for task in asyncio.all_tasks():
        chain = _waits_for(task)
        if not stuck.isdisjoint(chain):
            stuck |= chain
    for future in stuck:
        if isinstance(future, asyncio.Task) and not future.done():
            asyncio._unregister_task(future)
            future._log_destroy_pending = False  # type: ignore[attr-defined]  # it was reported already
            _kept.add(future)
            future.add_done_callback(_kept.discard)


def _waits_for(future: asyncio.Future[Any]) -> set[asyncio.Future[Any]]:
    """Return a future with all that it waits for, directly or by way of others."""
    found: set[asyncio.Future[Any]] = set()
    remaining = [future]
    while remaining:
        here = remaining.pop()
        if here not in found:
            found.add(here)
            following = (getattr(here, "_fut_waiter", None), *getattr(here, "_children", ()))
            remaining.extend(item for item in following if item is not None)
    return found
