"""The circuit breaker before a server: one that fails many times in a row is left alone for a while."""

from __future__ import annotations

import time
from collections.abc import Callable

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


class CircuitBreaker:
    """Stops asking a server that is dead, and asks it again from time to time.

    Args:
        policy: How many failures in a row open it, and for how long.
        clock: Returns seconds; for tests.
    """

    def __init__(self, policy: ModelPolicy, clock: Callable[[], float] = time.monotonic) -> None:
        self._policy = policy
        self._clock = clock
        self._failures = 0
        self._open_until = 0.0
        self._last: ModelError | None = None

    def check(self) -> None:
        """Let a request through, or refuse it at once.

        Raises:
            ModelError: the circuit is open; of the last failure's class, and not to be tried again.
        """
        if self._last is None or self._failures < self._policy.breaker_failures:
            return
        left = self._open_until - self._clock()
        if left <= 0:
            self._open_until = self._clock() + self._policy.breaker_seconds  # one request finds out, the others wait
            return
        refusal = type(self._last)(
            f"not asked: the last {self._failures} requests failed ({self._last}); it is tried again in {left:.1f} s"
        )
        refusal.final = True
        raise refusal

    def record(self, error: BaseException | None) -> None:
        """Learn from how a request ended."""
        if error is None or (isinstance(error, _ANSWERS) and not error.final):  # a final one comes from no server
            self._failures, self._last = 0, None
        elif isinstance(error, ServerError | NetworkError) and not error.final:
            self._failures += 1
            self._last = error
            if self._failures >= self._policy.breaker_failures:
                self._open_until = self._clock() + self._policy.breaker_seconds
