"""When a tool call is tried again."""

from __future__ import annotations

import math
import random

from unified_agents import wording
from unified_agents.config import ToolPolicy
from unified_agents.errors import RateLimited, ToolCallError, ToolFailedError, ToolTimeoutError, Transient, native_name
from unified_agents.tools.definition import Tool


def wait_before_next(policy: ToolPolicy, error: ToolCallError, tried: int) -> float | None:
    """Seconds until the next attempt, after `tried` attempts of an idempotent tool; None when it is given up."""
    cause = error.__cause__
    is_timeout = isinstance(error, ToolTimeoutError)
    if not is_timeout and not isinstance(cause, Transient):
        return None
    if tried >= (policy.timeout_attempts if is_timeout else policy.attempts):
        return None
    if isinstance(cause, RateLimited) and cause.retry_after is not None and not math.isnan(cause.retry_after):
        return max(0.0, cause.retry_after) if cause.retry_after <= policy.retry_after_max else None
    backoff = min(policy.wait_initial * 2.0 ** (tried - 1), policy.wait_max)
    return backoff + random.uniform(0.0, policy.jitter)  # noqa: S311  # spreads load, keeps no secret


def given_up(tool: Tool, error: ToolCallError, tried: int) -> ToolCallError:
    """The error that the model is told after the last of several attempts."""
    cause = error.__cause__
    if isinstance(error, ToolTimeoutError):
        return ToolTimeoutError(wording.tool_timed_out_again(tool.name, tool.timeout or 0.0, tried))
    if cause is None:
        return error
    return ToolFailedError(wording.tool_gave_up(tool.name, cause, tried), native_type=native_name(cause))
