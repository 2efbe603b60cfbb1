"""The tasks of a run, and the three ways in which it ends.

A run owns the tasks that its seams start. It ends in one of three ways: the native loop returns or raises; somebody
calls `end` (a fatal error, the wall clock, a cancel), which cancels those tasks at once; or a limit calls `drain`,
after which nothing new starts and what runs may finish. From the moment it is shut, the cause recorded first decides
the result, whatever the framework then does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from unified_agents.errors import RunError

T = TypeVar("T")

logger = logging.getLogger("unified_agents.run")


class Cancelled(Exception):  # noqa: N818  # a cause of ending, never raised
    """The caller cancelled the run."""


class Suspended(Exception):  # noqa: N818  # a cause of ending, never raised
    """Calls of the run wait for a decision."""


class Lifecycle:
    """The tasks of one run, and its end. Belongs to the event loop that it is made on.

    Args:
        run_id: The run's id, for the log.
        label: The run's id and backend, for people.

    Attributes:
        cause: Why the run ended; None while it goes on, and when it completed.
        shut: Whether the run has ended.
        gives_up: Whether what ignores its cancel is left now.
        draining: Whether a limit ended the run, and what ran then may finish.
        native: The task of the native loop while it runs.
        is_cancelled: Whether somebody cancelled it, though a limit may have ended it before.
        last_answer: The model call after a limit, which a cancel ends too.
        ended: Done once the run is shut.
        over: Done once the run is shut or its native loop has ended; only the run's driver waits for it.
        tasks: The tasks that the seams have started and that are not done.
        child_runs: The runs that tools of this run have started and that are not done. They end with it.
    """

    __slots__ = (
        "_label",
        "_run_id",
        "cause",
        "child_runs",
        "draining",
        "ended",
        "gives_up",
        "is_cancelled",
        "last_answer",
        "native",
        "over",
        "shut",
        "tasks",
    )

    def __init__(self, run_id: str, label: str) -> None:
        self._run_id = run_id
        self._label = label
        self.cause: Exception | None = None
        self.shut = False
        self.gives_up = False
        self.draining = False
        self.is_cancelled = False
        self.last_answer: asyncio.Task[str | None] | None = None
        self.native: asyncio.Task[Any] | None = None
        loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = loop.create_future()
        self.over: asyncio.Future[None] = loop.create_future()
        self.tasks: set[asyncio.Task[Any]] = set()
        self.child_runs: set[Lifecycle] = set()

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start a task that ends with the run."""
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._task_done)
        return task

    def is_native_task(self) -> bool:
        """Tell whether the running task is the native loop's own."""
        return self.native is not None and asyncio.current_task() is self.native

    async def carry_out(self, work: Coroutine[Any, Any, T]) -> T:
        """Do a piece of work that ends with the run.

        The native loop's own task does it itself, since the run owns that task; any other task has a child task do it,
        because the framework that owns that task decides on its life.
        """
        task = self.native
        if task is None or not self.is_native_task():
            return await self.spawn(work)
        self.tasks.add(task)
        try:
            return await work
        finally:
            self._leave(task)

    def end(self, cause: Exception | None) -> None:
        """Shut the run at once and cancel what the seams have started. Only the first cause counts."""
        if isinstance(cause, Cancelled):
            self.is_cancelled = True
            if self.last_answer is not None:
                self.last_answer.cancel()
        if self.shut:
            return
        self.shut = True
        self.cause = self.cause or cause
        for task in self.tasks:
            task.cancel()
        for future in (self.ended, self.over):
            if not future.done():
                future.set_result(None)
        for child in tuple(self.child_runs):  # their own loops, in other threads, add and remove them
            child.end_threadsafe(Cancelled("the outer run has ended"))

    def end_threadsafe(self, cause: Exception) -> None:
        """Shut the run from whatever thread this is."""
        with suppress(RuntimeError):  # its loop may be closed already
            self.ended.get_loop().call_soon_threadsafe(self.end, cause)

    def drain(self, cause: Exception) -> None:
        """Let nothing new start, and end the run when what runs has finished."""
        if self.shut or self.draining:
            return
        self.draining = True
        self.cause = cause
        logger.info("run is draining: %s", self._label, extra={"run_id": self._run_id})
        if not self.tasks:
            self.end(cause)

    def fail(self, error: RunError) -> None:
        """End the run with an error that it does not survive."""
        logger.warning("run failed: %s (run %s)", error.kind, self._label, extra={"run_id": self._run_id})
        self.end(error)

    def _task_done(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled():
            task.exception()  # retrieved by whoever awaits it; a cancelled waiter must not leave a warning
        self._leave(task)

    def _leave(self, task: asyncio.Task[Any]) -> None:
        self.tasks.discard(task)
        if self.draining and not self.tasks:
            self.end(self.cause)
