"""The one layer of retries: which kinds are tried again, how often, and after how long."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from unified_agents.errors import ErrorKind, ModelError, RateLimitError, ServerError

T = TypeVar("T")


@dataclass(slots=True, frozen=True)
class RetryPolicy:
    """When a failed request is sent again.

    Attributes:
        attempts: For each kind, how many requests in all; kinds that are absent are never tried again.
        wait_initial: Seconds before the second attempt; doubles with each further one.
        wait_max: Bound of that, in seconds.
        jitter: Up to so many random seconds are added.
        retry_after_max: A longer `Retry-After` than this many seconds is not waited for: the error stands.
        longer_timeout: What the timeout of a second attempt is multiplied by, after a timeout.
    """

    attempts: dict[ErrorKind, int] = field(
        default_factory=lambda: {"rate_limit": 4, "network": 4, "server": 4, "timeout": 2, "bad_response": 2}
    )
    wait_initial: float = 0.25
    wait_max: float = 4.0
    jitter: float = 0.25
    retry_after_max: float = 60.0
    longer_timeout: float = 2.0

    def retries(self, error: ModelError, tried: int) -> bool:
        """Whether to try again after `tried` attempts."""
        asked = asked_wait(error)
        return tried < self.attempts.get(error.kind, 1) and (asked is None or asked <= self.retry_after_max)


def asked_wait(error: ModelError) -> float | None:
    """The seconds that the server asked to wait, where it did."""
    return error.retry_after if isinstance(error, RateLimitError | ServerError) else None


async def again(
    policy: RetryPolicy,
    first: ModelError,
    attempt: Callable[[int], Awaitable[T]],
    noticed: Callable[[ModelError, int, float], None],
) -> T:
    """Go on after a first attempt that failed.

    Args:
        policy: When to try again.
        first: What the first attempt raised.
        attempt: Makes attempt number n, from 2.
        noticed: Told of each failed attempt that will be made good, before the wait: the error, its number, and the
            seconds until the next one.

    Raises:
        ModelError: of the last attempt.
    """
    import tenacity  # noqa: PLC0415  # only who fails pays for it

    backoff = tenacity.wait_exponential(policy.wait_initial, policy.wait_max) + tenacity.wait_random(0, policy.jitter)

    def error_of(state: tenacity.RetryCallState) -> BaseException | None:
        return state.outcome.exception() if state.outcome is not None else None

    def retries(state: tenacity.RetryCallState) -> bool:
        error = error_of(state)
        return isinstance(error, ModelError) and policy.retries(error, state.attempt_number)

    def wait(state: tenacity.RetryCallState) -> float:
        error = error_of(state)
        asked = asked_wait(error) if isinstance(error, ModelError) else None
        return backoff(state) if asked is None else asked

    def before_sleep(state: tenacity.RetryCallState) -> None:
        error = error_of(state)
        if isinstance(error, ModelError) and state.next_action is not None:
            noticed(error, state.attempt_number, state.next_action.sleep)

    number = 0

    async def next_attempt() -> T:
        nonlocal number
        number += 1
        if number == 1:
            raise first
        return await attempt(number)

    retrying = tenacity.AsyncRetrying(retry=retries, wait=wait, before_sleep=before_sleep, reraise=True)
    return await retrying(next_attempt)
