"""The coroutine of an async tool: watched, and left where it ignores the end of its run."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from typing import Any

from unified_agents import wording
from unified_agents.concurrency.abandoned_tasks import give_up
from unified_agents.run.lifecycle import Lifecycle

MAX_STEP_SECONDS = 0.5
"""The time for which a coroutine may keep the event loop before a warning is logged."""


CANCEL_GRACE_SECONDS = 15.0
"""How long a coroutine may take to end after its timeout has cancelled it, before it is left."""


class ToolCoroutine:
    """A coroutine to await, of a tool that a run calls.

    It is left where it ignores its cancel: by the run that has ended, and some time after the tool's own timeout. The
    waiting then ends, whatever the coroutine does, so that nothing else waits for it for ever.

    Args:
        work: The coroutine.
        lifecycle: The run's.
        blocked: Told when a step of the coroutine has kept the event loop too long, and for how many seconds.
        suspends: Called before the coroutine waits for the first time.
        on_left: Called when it is left after the tool's timeout, with whether a task that it waited for runs on.
    """

    __slots__ = ("_blocked", "_is_overdue", "_lifecycle", "_on_left", "_runs_on", "_suspends", "_timer", "_work")

    def __init__(
        self,
        work: Coroutine[Any, Any, Any],
        lifecycle: Lifecycle,
        blocked: Callable[[float], None],
        suspends: Callable[[], None] | None = None,
        on_left: Callable[[bool], None] | None = None,
    ) -> None:
        self._work = work
        self._lifecycle = lifecycle
        self._blocked = blocked
        self._suspends = suspends
        self._on_left = on_left
        self._timer: asyncio.TimerHandle | None = None
        self._is_overdue = False
        self._runs_on = False

    def __await__(self) -> Generator[Any, Any, Any]:
        step: Callable[[], Any] = functools.partial(self._work.send, None)
        try:
            while True:
                try:
                    waits_for = self._timed(step)
                except StopIteration as end:
                    return end.value
                if self._suspends is not None:
                    self._suspends()
                    self._suspends = None
                try:
                    sent = None
                    if waits_for is None or type(waits_for) is asyncio.Future:
                        sent = yield waits_for
                    else:
                        yield from self._apart(waits_for)
                except BaseException as error:  # handed to the coroutine, as `await` does
                    if self._is_end(error):
                        raise
                    step = functools.partial(self._work.throw, error)
                else:
                    step = functools.partial(self._work.send, sent)
        finally:
            if self._timer is not None:
                self._timer.cancel()

    def _timed(self, step: Callable[[], Any]) -> Any:
        """Take a step of the coroutine, and tell where it kept the event loop."""
        start = time.monotonic()
        try:
            return step()
        except GeneratorExit as error:  # the coroutine's own: it would pass for the end of whoever awaits this
            raise RuntimeError(wording.tool_raised(type(error).__name__)) from error
        finally:
            seconds = time.monotonic() - start
            if seconds > MAX_STEP_SECONDS:
                self._blocked(seconds)

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
                if self._is_overdue or self._lifecycle.gives_up:
                    self._runs_on = True
                    give_up([inner])
                    raise
                self._start_grace()
                inner.cancel()
            finally:
                inner.remove_done_callback(wake)

    def _is_end(self, error: BaseException) -> bool:
        """Tell whether nothing more is awaited after this error, and then end the coroutine."""
        if isinstance(error, GeneratorExit):
            self._work.close()
            return True
        if not isinstance(error, asyncio.CancelledError):
            return False
        if self._is_overdue or self._lifecycle.gives_up:
            self._leave()
            return True
        self._start_grace()
        return False

    def _start_grace(self) -> None:
        """See that the coroutine is left where it has not ended some time after this cancel."""
        task = asyncio.current_task()
        if self._timer is None and self._on_left is not None and task is not None:
            self._timer = task.get_loop().call_later(CANCEL_GRACE_SECONDS, self._end_grace, task)

    def _leave(self) -> None:
        task = asyncio.current_task()
        if self._is_overdue and task is not None and self._on_left is not None:
            task.uncancel()  # the last cancel was ours, and a timeout counts its own
            self._on_left(self._runs_on)
        with suppress(RuntimeError):  # it may ignore this too
            self._work.close()

    def _end_grace(self, task: asyncio.Task[Any]) -> None:
        self._timer = None
        # The cancel may have been the tool's own, such as a timeout within it; at its end the run sees to it.
        if task.cancelling() and not self._lifecycle.shut:
            self._is_overdue = True
            task.cancel()


def _wake(waiter: asyncio.Future[None], _: object) -> None:
    if not waiter.done():
        waiter.set_result(None)
