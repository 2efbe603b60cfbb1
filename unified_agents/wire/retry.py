"""The one layer of retries: which kinds are tried again, how often, and after how long."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from unified_agents.config import ModelPolicy
from unified_agents.errors import ModelError, RateLimitError, ServerError

T = TypeVar("T")


def retries(policy: ModelPolicy, error: ModelError, tried: int) -> bool:
    """Whether to try again after `tried` attempts."""
    asked = asked_wait(error)
    allowed = {str(kind): number for kind, number in policy.attempts.items()}.get(error.kind, 1)
    return not error.final and tried < allowed and (asked is None or asked <= policy.retry_after_max)


def asked_wait(error: ModelError) -> float | None:
    """The seconds that the server asked to wait, where it did."""
    return error.retry_after if isinstance(error, RateLimitError | ServerError) else None


async def again(
    policy: ModelPolicy,
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

    def is_retried(state: tenacity.RetryCallState) -> bool:
        error = error_of(state)
        return isinstance(error, ModelError) and retries(policy, error, state.attempt_number)

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

    retrying = tenacity.AsyncRetrying(retry=is_retried, wait=wait, before_sleep=before_sleep, reraise=True)
    return await retrying(next_attempt)
