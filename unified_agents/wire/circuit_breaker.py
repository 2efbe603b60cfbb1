"""The circuit breaker before a server: one that fails many times in a row is left alone for a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from unified_agents.config import ModelPolicy
from unified_agents.errors import (
    AuthenticationError,
    BadRequestError,
    BadResponseError,
    ModelError,
    NetworkError,
    RateLimitError,
    ServerError,
)

_ANSWERS = (BadRequestError, RateLimitError, AuthenticationError, BadResponseError)
"""The errors of a server that is alive."""
_LOOK_AGAIN_SECONDS = 0.05


@dataclass(slots=True, eq=False)
class Admission:
    """The leave of one request to go out.

    Attributes:
        number: How many have been given so far.
        waited: Whether the request was held back.
        failures: How many attempts of its call have failed.
    """

    number: int
    waited: bool
    failures: int = 0


@dataclass(slots=True, eq=False)
class _Held:
    """A request that is held back.

    Attributes:
        failures: How many attempts of its call have failed.
        turn: Done when it is to look again: with an error when the trial failed.
    """

    failures: int
    turn: asyncio.Future[None]

    def wake(self, error: ModelError | None) -> None:
        """Let the request look again, or fail with an error; from any thread."""

        def settle() -> None:
            if self.turn.done():
                return
            if error is None:
                self.turn.set_result(None)
            else:
                self.turn.set_exception(error)

        with suppress(RuntimeError):  # its event loop has been closed
            self.turn.get_loop().call_soon_threadsafe(settle)


class CircuitBreaker:
    """Stops asking a server that is dead, and asks it again from time to time.

    Failures of requests that were under way together count as one, as they tell no more than one does; and so do the
    second attempts of calls that began together, however far apart they come, and the third ones. While the circuit is
    open requests are held back. After `breaker_seconds` one of them is tried: when it succeeds, the others go out too,
    and when it fails, they fail.

    Args:
        policy: How many failures in a row open it, and for how long.
        clock: Returns seconds; for tests.
    """

    def __init__(self, policy: ModelPolicy, clock: Callable[[], float] = time.monotonic) -> None:
        self._policy = policy
        self._clock = clock
        self._failures = 0
        self._admitted = 0
        self._admitted_at_last_failure = 0
        self._counted_attempts = 0  # how often a call had failed before, at most, since a first attempt was counted
        self._open_until = 0.0
        self._trial: Admission | None = None
        self._last: ModelError | None = None
        self._held: list[_Held] = []

    def admit_at_once(self, failures: int = 0) -> Admission | None:
        """Let a request through while the circuit is closed; None while it is open. See `admit` for the argument."""
        if self._last is not None and self._failures >= self._policy.breaker_failures:
            return None
        self._admitted += 1
        return Admission(self._admitted, waited=False, failures=failures)

    async def admit(self, failures: int = 0, *, patience: float) -> Admission:
        """Let a request through, or hold it back until a trial has found out whether the server is back.

        Args:
            failures: How many attempts of the call have failed. Of the requests that are held back, the one with the
                most is tried first.
            patience: For how many seconds it may be held back.

        Raises:
            ModelError: the trial failed, or the patience ended; of the last failure's class, and not to be tried again.
        """
        deadline = self._clock() + patience
        waited = False
        while self._last is not None and self._failures >= self._policy.breaker_failures:
            now = self._clock()
            if self._trial is None and now >= self._open_until:
                first = max(self._held, key=lambda held: held.failures, default=None)
                if first is None or first.failures <= failures:
                    self._trial = self._admission(waited, failures)
                    return self._trial
                first.wake(None)
            elif max(now, self._open_until) >= deadline:
                raise self._refusal(self._last, f"; it is tried again in {max(0.0, self._open_until - now):.1f} s")
            waited = True
            # The one that is to be tried may be cancelled before it looks.
            until = deadline if self._trial is not None else max(self._open_until, now + _LOOK_AGAIN_SECONDS)
            await self._hold(failures, min(deadline, until) - now)
        return self._admission(waited, failures)

    def record(self, admission: Admission, error: BaseException | None) -> None:
        """Learn from how an admitted request ended."""
        is_trial = admission is self._trial
        if is_trial:
            self._trial = None
        if error is None or isinstance(error, _ANSWERS):
            self._failures, self._counted_attempts, self._last = 0, 0, None
            if self._held:
                self._wake_held(None)
        elif isinstance(error, ServerError | NetworkError):
            self._last = error
            if is_trial or self._tells_more(admission):
                self._admitted_at_last_failure = self._admitted
                self._counted_attempts = admission.failures
                self._failures += 1
                if self._failures >= self._policy.breaker_failures:
                    self._open_until = self._clock() + self._policy.breaker_seconds
            if is_trial:
                self._wake_held(error)
                error.final = True
        elif is_trial:
            self._wake_held(None)  # nothing was found out: another is tried

    def _tells_more(self, admission: Admission) -> bool:
        """Tell whether a failure says more than those that were counted."""
        if admission.number <= self._admitted_at_last_failure:
            return False  # it was under way then
        return not admission.failures or admission.failures > self._counted_attempts

    def _admission(self, waited: bool, failures: int) -> Admission:
        self._admitted += 1
        return Admission(self._admitted, waited, failures)

    def _wake_held(self, failure: ModelError | None) -> None:
        for request in tuple(self._held):
            request.wake(None if failure is None else self._refusal(failure))

    def _refusal(self, last: ModelError, more: str = "") -> ModelError:
        refusal = type(last)(f"not asked: the last {self._failures} requests failed ({last}){more}")
        refusal.final = True
        return refusal

    async def _hold(self, failures: int, seconds: float) -> None:
        held = _Held(failures, asyncio.get_running_loop().create_future())
        self._held.append(held)
        try:
            async with asyncio.timeout(seconds):
                await held.turn
        except TimeoutError:
            return
        finally:
            self._held.remove(held)
