"""Trying again after a failure: how long to wait, and the loop over the attempts."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

T = TypeVar("T")
ErrorT = TypeVar("ErrorT", bound=Exception)

MAX_DOUBLINGS = 60
"""Bound of the exponent, so that no number of attempts leaves the range of a float."""


class WaitPolicy(Protocol):
    """The bounds of the waits between attempts, in seconds."""

    @property
    def wait_initial(self) -> float:
        """The wait before the second attempt, which doubles with each further one."""

    @property
    def wait_max(self) -> float:
        """The longest wait, without jitter."""

    @property
    def jitter(self) -> float:
        """The most that is added at random."""

    @property
    def retry_after_max(self) -> float:
        """The longest wait that the other side may ask for."""


def wait_seconds(policy: WaitPolicy, failures: int, asked: float | None = None) -> float | None:
    """Return the seconds to wait after this many failures, or None when the other side asks for too long a wait.

    Args:
        policy: The bounds.
        failures: How many attempts have failed, from 1.
        asked: The wait that the other side asked for, which takes the place of the backoff; None for none.
    """
    if asked is not None and not math.isnan(asked):
        return max(0.0, asked) if asked <= policy.retry_after_max else None
    backoff = min(policy.wait_initial * 2.0 ** min(failures - 1, MAX_DOUBLINGS), policy.wait_max)
    return backoff + random.uniform(0.0, policy.jitter)  # noqa: S311  # spreads load, keeps no secret


async def retry(
    kind: type[ErrorT],
    first: ErrorT,
    attempt: Callable[[int], Awaitable[T]],
    *,
    next_wait: Callable[[ErrorT, int], float | None],
    before_wait: Callable[[ErrorT, int, float], None],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> T:
    """Carry on after a first attempt that failed. A first attempt that succeeds never comes here, and pays nothing.

    Args:
        kind: The errors that may be followed by another attempt; all others are raised at once.
        first: The error of the first attempt.
        attempt: Makes attempt number n, from 2.
        next_wait: Gives the seconds until the next attempt, from an error and the number of failures; None gives up.
        before_wait: Told of each failure that another attempt follows: the error, its number, and the seconds.
        sleep: Waits for that long.

    Raises:
        ErrorT: the error of the last attempt.
    """
    error, failures = first, 1
    while (seconds := next_wait(error, failures)) is not None:
        before_wait(error, failures, seconds)
        await sleep(seconds)
        failures += 1
        try:
            return await attempt(failures)
        except kind as latest:
            error = latest
    raise error
