"""The rate limiter before a server, for all runs of an agent together: how many requests may be under way at once."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from unified_agents.errors import RateLimitError


@dataclass(slots=True, eq=False)
class Permit:
    """The right of one request to be under way.

    Attributes:
        limiter: What gave it.
        since: When it was given, by the limiter's clock.
        waited: Whether the request had to wait for it.
    """

    limiter: AdaptiveRateLimiter
    since: float
    waited: bool

    def release(self, error: BaseException | None) -> None:
        """Give the permit back, and let the limiter learn from how the request ended."""
        self.limiter._release(self, error)


class AdaptiveRateLimiter:
    """Limits how many requests are under way, learning from a server's 429s as TCP learns from lost packets.

    Unbounded until the first 429. Then the number of requests under way is halved, once for all requests that had
    been sent before, and grows by one for each round of successes. A `Retry-After` holds back every request. Where it
    is longer than the longest wait, requests are refused for that long, and then one finds out.

    Args:
        max_wait: The longest wait that a server may ask for, in seconds.
        clock: Returns seconds; for tests.

    Attributes:
        window: How many requests may be under way at once.
    """

    def __init__(self, max_wait: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_wait = max_wait
        self._clock = clock
        self.window = float("inf")
        self._under_way = 0
        self._held_until = 0.0
        self._refused_for: float | None = None
        self._cut_at = float("-inf")
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def held_seconds(self) -> float:
        """For how many seconds every request is held back."""
        return max(0.0, self._held_until - self._clock())

    async def acquire(self) -> Permit:
        """Wait for a permit. Requests get theirs in the order in which they came.

        Raises:
            RateLimitError: the server asked for a wait that is too long.
        """
        waited = self._held_until > 0 and await self._until_allowed()
        if self._waiting or self._under_way + 1 > self.window:
            waited = True
            await self._turn()
        else:
            self._under_way += 1
        return Permit(self, self._clock(), waited)

    async def _turn(self) -> None:
        """Wait in the line for a place, which is this request's own from the moment that it is woken."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
            await self._until_allowed()
        except (asyncio.CancelledError, RateLimitError):
            if turn in self._waiting:
                self._waiting.remove(turn)
            elif not turn.cancelled():
                self._under_way -= 1
            self._wake()
            raise

    async def _until_allowed(self) -> bool:
        waited = False
        while (held := self.held_seconds) > 0:
            if self._refused_for is not None:
                raise _refusal(self._refused_for, held)
            waited = True
            await asyncio.sleep(held)  # meanwhile it may be put off further
        return waited

    def _release(self, permit: Permit, error: BaseException | None) -> None:
        self._under_way -= 1
        if isinstance(error, RateLimitError):
            self._slow_down(permit.since, error)
        elif error is None and self.window < float("inf"):
            self.window += 1 / self.window
        if self._waiting:
            self._wake()

    def _slow_down(self, since: float, error: RateLimitError) -> None:
        now = self._clock()
        if error.retry_after is not None:
            too_long = error.retry_after > self._max_wait
            until = now + min(error.retry_after, self._max_wait)
            if until >= self._held_until:
                self._held_until = until
                self._refused_for = error.retry_after if too_long else None
            if too_long:
                self.window = 1.0  # one request finds out, and the others wait for it
        if since >= self._cut_at:  # else it was sent before the last cut, which answers it already
            self.window = max(1.0, min(self.window, self._under_way + 1) / 2)
            self._cut_at = now

    def _wake(self) -> None:
        while self._waiting and self._under_way + 1 <= self.window:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                self._under_way += 1


def _refusal(asked: float, left: float) -> RateLimitError:
    refusal = RateLimitError(
        f"not asked: the model's server asked to wait for {asked:.0f} seconds; it is asked again in {left:.0f} seconds"
    )
    refusal.final = True
    return refusal
