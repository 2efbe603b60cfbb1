"""The coroutine of an async tool: watched, and left where it ignores the end of its run."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from typing import Any

from unified_agents.concurrency.abandoned_tasks import give_up
from unified_agents.run.lifecycle import Lifecycle

MAX_STEP_SECONDS = 0.5
"""The time for which a coroutine may keep the event loop before a warning is logged."""


class ToolCoroutine:
    """A coroutine to await, of a tool that a run calls.

    Once the run gives up what ignores its cancel, a further cancel ends the waiting, whatever the coroutine does, so
    that nothing else waits for it for ever.

    Args:
        work: The coroutine.
        lifecycle: The run's.
        blocked: Told when a step of the coroutine has kept the event loop too long, and for how many seconds.
        suspends: Called before the coroutine waits for the first time.
    """

    __slots__ = ("_blocked", "_lifecycle", "_suspends", "_work")

    def __init__(
        self,
        work: Coroutine[Any, Any, Any],
        lifecycle: Lifecycle,
        blocked: Callable[[float], None],
        suspends: Callable[[], None] | None = None,
    ) -> None:
        self._work = work
        self._lifecycle = lifecycle
        self._blocked = blocked
        self._suspends = suspends

    def __await__(self) -> Generator[Any, Any, Any]:
        step: Callable[[], Any] = functools.partial(self._work.send, None)
        while True:
            start = time.monotonic()
            try:
                waits_for = step()
            except StopIteration as end:
                return end.value
            finally:
                seconds = time.monotonic() - start
                if seconds > MAX_STEP_SECONDS:
                    self._blocked(seconds)
            if self._suspends is not None:
                self._suspends()
                self._suspends = None
            try:
                sent = None
                if waits_for is None or type(waits_for) is asyncio.Future:
                    sent = yield waits_for
                else:
                    yield from self._apart(waits_for)
            except GeneratorExit:
                self._work.close()
                raise
            except asyncio.CancelledError as error:
                if self._lifecycle.gives_up:
                    self._leave()
                    raise
                step = functools.partial(self._work.throw, error)
            except BaseException as error:  # handed to the coroutine, as `await` does
                step = functools.partial(self._work.throw, error)
            else:
                step = functools.partial(self._work.send, sent)

    def _apart(self, inner: asyncio.Future[Any]) -> Generator[Any, Any, None]:
        """Wait for a task, or for several, and cancel it with this one, as `await` does, but in a way that can be left.

        Raises:
            asyncio.CancelledError: the run gives up.
        """
        inner._asyncio_future_blocking = False
        while not inner.done():
            waiter = inner.get_loop().create_future()
            wake = functools.partial(_wake, waiter)
            inner.add_done_callback(wake)
            try:
                yield from waiter
            except asyncio.CancelledError:
                if self._lifecycle.gives_up:
                    give_up([inner])
                    raise
                inner.cancel()
            finally:
                inner.remove_done_callback(wake)

    def _leave(self) -> None:
        """End the coroutine, where it lets itself be ended."""
        with suppress(RuntimeError):
            self._work.close()


def _wake(waiter: asyncio.Future[None], _: object) -> None:
    if not waiter.done():
        waiter.set_result(None)
