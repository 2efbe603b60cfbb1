"""`agent.stream(…)`: a run whose events are iterated while it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, NoReturn

from unified_agents.errors import UnifiedAgentsError
from unified_agents.events import AnyEvent, Event, RunEnded
from unified_agents.result import RunResult
from unified_agents.run.context import Run
from unified_agents.run.lifecycle import Cancelled

if TYPE_CHECKING:
    from unified_agents.agent.protocol import EventStream


class RunStream(AbstractAsyncContextManager["EventStream"]):
    """Starts a run when it is entered, and ends the run when it is left."""

    def __init__(self, start: Callable[[QueuedEvents], tuple[Run, asyncio.Task[RunResult]]]) -> None:
        self._start = start
        self._events: QueuedEvents | None = None

    async def __aenter__(self) -> EventStream:
        if self._events is not None:
            raise UnifiedAgentsError("a stream is entered once: call agent.stream(…) for each run")
        self._events = QueuedEvents()
        self._run, self._driving = self._start(self._events)
        self._events.follow(self._driving)
        return self._events

    async def __aexit__(self, *exc: object) -> None:
        if self._events is not None and self._events.has_begun:
            self._driving.cancel()
        else:  # a task that is cancelled before its first step ends without events
            self._run.lifecycle.end(Cancelled("the caller left the stream"))
        await asyncio.wait([self._driving])
        if not self._driving.cancelled():
            self._driving.exception()  # the iteration has raised it, or the caller has left

    def __aiter__(self) -> NoReturn:
        raise UnifiedAgentsError(
            "a stream is entered before it is followed: "
            "async with agent.stream(…) as events: async for event in events: …"
        )


class QueuedEvents:
    """A queue of one run's events, from the seams to the caller who iterates."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._driving: asyncio.Task[RunResult] | None = None
        self.result: RunResult | None = None
        self.has_begun = False

    def put(self, event: Event) -> None:
        """Add an event."""
        self.has_begun = True
        if isinstance(event, RunEnded):
            self.result = event.result
        self._queue.put_nowait(event)

    def follow(self, driving: asyncio.Task[RunResult]) -> None:
        """End the iteration when the task of the run ends."""
        self._driving = driving
        driving.add_done_callback(lambda _: self._queue.put_nowait(None))

    async def __aiter__(self) -> AsyncIterator[AnyEvent]:
        while (event := await self._queue.get()) is not None:
            yield event  # type: ignore[misc]  # the seams make no other events
        self._queue.put_nowait(None)  # a second iteration ends at once
        if self._driving is not None and not self._driving.cancelled() and (error := self._driving.exception()):
            raise error
