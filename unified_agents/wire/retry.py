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
        noticed: Told of each failed attempt that will be made good: the error, its number, the least wait in seconds.

    Raises:
        ModelError: of the last attempt.
    """
    import stamina  # noqa: PLC0415  # only who fails pays for it

    tried = 1
    wait = policy.wait_initial

    def decide(error: Exception) -> bool | float:
        if not isinstance(error, ModelError) or not policy.retries(error, tried):
            return False
        asked = asked_wait(error)
        noticed(error, tried, wait if asked is None else asked)
        return True if asked is None else asked

    async for retrying in stamina.retry_context(
        on=decide,
        attempts=None,
        timeout=None,
        wait_initial=policy.wait_initial,
        wait_max=policy.wait_max,
        wait_jitter=policy.jitter,
    ):
        tried = retrying.num
        wait = retrying.next_wait
        with retrying:
            if tried == 1:
                raise first
            return await attempt(tried)
    raise first  # not reached: the context raises the last error itself
