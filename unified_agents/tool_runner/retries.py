"""The retry policy of tool calls: which failures of an idempotent tool are tried again, and after how long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from unified_agents import wording
from unified_agents.config import ToolPolicy
from unified_agents.errors import RateLimited, ToolCallError, ToolFailedError, ToolTimeoutError, Transient, native_name
from unified_agents.retry.engine import retry, wait_seconds
from unified_agents.tool_runner.observation import ObservedCall
from unified_agents.tools.definition import Tool

_DEFAULT_POLICY = ToolPolicy()


async def retry_tool_call(
    observed: ObservedCall, tool: Tool, first: ToolCallError, attempt: Callable[[int], Awaitable[Any]]
) -> Any:
    """Carry on with a call whose first attempt failed; see `retry`.

    Raises:
        ToolCallError: what the model is told when the call is given up.
    """
    run = observed.run
    policy = run.tool_policy or _DEFAULT_POLICY

    def next_wait(error: ToolCallError, failures: int) -> float | None:
        may_repeat = tool.options.idempotent and not run.lifecycle.draining and not _blocks_itself(observed)
        seconds = _next_wait(policy, error, failures) if may_repeat else None
        if seconds is None and failures > 1:
            raise _given_up(tool, error, failures) from error.__cause__
        return seconds

    async def sleep(seconds: float) -> None:
        with observed.waiting():
            await asyncio.sleep(seconds)

    return await retry(ToolCallError, first, attempt, next_wait=next_wait, before_wait=observed.retried, sleep=sleep)


def _blocks_itself(observed: ObservedCall) -> bool:
    """Tell whether an attempt that was given up still holds the resource that the next one would need."""
    return observed.left_behind is not None and not observed.left_behind.done()


def _next_wait(policy: ToolPolicy, error: ToolCallError, failures: int) -> float | None:
    cause = error.__cause__
    is_timeout = isinstance(error, ToolTimeoutError)
    if not is_timeout and not isinstance(cause, Transient):
        return None
    if failures >= (policy.timeout_attempts if is_timeout else policy.attempts):
        return None
    return wait_seconds(policy, failures, cause.retry_after if isinstance(cause, RateLimited) else None)


def _given_up(tool: Tool, error: ToolCallError, failures: int) -> ToolCallError:
    """Return the error that the model is told after the last of several attempts."""
    cause = error.__cause__
    if isinstance(error, ToolTimeoutError):
        return ToolTimeoutError(wording.tool_timed_out_again(str(error), failures))
    if cause is None:
        return error
    return ToolFailedError(wording.tool_gave_up(tool.name, cause, failures), native_type=native_name(cause))
