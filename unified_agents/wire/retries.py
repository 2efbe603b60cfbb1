"""The retry policy of model calls: which kinds of error are tried again, how often, and after how long."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from unified_agents.config import ModelPolicy
from unified_agents.errors import ModelError, RateLimitError, ServerError
from unified_agents.retry.engine import retry, wait_seconds

T = TypeVar("T")


async def retry_model_call(
    policy: ModelPolicy,
    first: ModelError,
    attempt: Callable[[int], Awaitable[T]],
    before_wait: Callable[[ModelError, int, float], None],
) -> T:
    """Carry on with a model call whose first attempt failed; see `retry`.

    Raises:
        ModelError: the error of the last attempt.
    """
    return await retry(ModelError, first, attempt, next_wait=partial(_next_wait, policy), before_wait=before_wait)


def _next_wait(policy: ModelPolicy, error: ModelError, failures: int) -> float | None:
    attempts = {str(kind): number for kind, number in policy.attempts.items()}.get(error.kind, 1)
    if error.final or failures >= attempts:
        return None
    asked = error.retry_after if isinstance(error, RateLimitError | ServerError) else None
    return wait_seconds(policy, failures, asked)
