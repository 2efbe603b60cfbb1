"""What stands before a server, for all runs of an agent together: how many requests at once, and whether any at all."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from unified_agents.errors import (
    RateLimitError,
)


@dataclass(slots=True, frozen=True)
class Place:
    """A request's place among those under way.

    Attributes:
        gate: What gave it.
        since: When, by the gate's clock.
        waited: Whether the request had to wait for it.
    """

    gate: RateGate
    since: float
    waited: bool

    def leave(self, error: BaseException | None) -> None:
        """Give the place back, and let the gate learn from how the request ended."""
        self.gate.leave(self, error)


class RateGate:
    """Lets requests through at the pace that the server bears; learnt from its 429s, as TCP learns from lost packets.

    Unbounded until the first 429. Then the number of requests under way is halved, once for all requests that had
    been sent before, and grows by one for each round of successes. A `Retry-After` holds back every request.

    Args:
        clock: Seconds, for tests.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._window = float("inf")
        self._under_way = 0
        self._held_until = 0.0
        self._cut_at = float("-inf")
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def window(self) -> float:
        """How many requests may be under way at once."""
        return self._window

    @property
    def held(self) -> float:
        """For how many seconds every request is held back."""
        return max(0.0, self._held_until - self._clock())

    async def enter(self) -> Place:
        """Wait for a place."""
        waited = await self._until_allowed()
        while self._under_way + 1 > self._window:
            waited = True
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
                await self._until_allowed()
            except asyncio.CancelledError:
                with suppress(ValueError):
                    self._waiting.remove(turn)
                self._wake()  # the place may have been this one's already
                raise
        self._under_way += 1
        return Place(self, self._clock(), waited)

    async def _until_allowed(self) -> bool:
        waited = False
        while self._held_until > 0 and (held := self._held_until - self._clock()) > 0:
            waited = True
            await asyncio.sleep(held)  # meanwhile it may be put off further
        return waited

    def leave(self, place: Place, error: BaseException | None) -> None:
        """Take a place back, and learn from how its request ended."""
        self._under_way -= 1
        if isinstance(error, RateLimitError):
            self._slow_down(place.since, error)
        elif error is None and self._window < float("inf"):
            self._window += 1 / self._window
        self._wake()

    def _slow_down(self, entered: float, error: RateLimitError) -> None:
        now = self._clock()
        if error.retry_after is not None:
            self._held_until = max(self._held_until, now + error.retry_after)
        if entered >= self._cut_at:
            self._window = max(1.0, min(self._window, self._under_way + 1) / 2)
            self._cut_at = now

    def _wake(self) -> None:
        if not self._waiting:
            return
        free = self._window - self._under_way
        while self._waiting and free >= 1:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                free -= 1
