"""Options of a tool: how long it may run, how often, where, and what becomes of its arguments and its result."""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from types import UnionType
from typing import Any, Literal, get_args

from unified_agents.errors import ToolDefinitionError

Coercion = Literal["strict", "lenient"]
"""The policy for an argument in the wrong JSON type: refused, or converted to the right one."""
Isolation = Literal["process"]
"""The place of a tool that must be stoppable at any time: a process of its own."""

Approval = Literal["always", "never"] | Callable[[dict[str, Any]], bool]
"""When somebody must approve a call: always, never, or where a function of its arguments says so."""
Recover = Callable[[str], Any]
"""A function, sync or async, that finds out what became of a call by its idempotency key."""


class _NeverRan(Enum):
    """What `recover` returns for a call that was never carried out, and may be run."""

    NEVER_RAN = "never ran"


NEVER_RAN = _NeverRan.NEVER_RAN
"""What `recover` returns for a call that was never carried out, and may be run."""

DEFAULT_TIMEOUT = 60.0
"""Seconds that a tool may take unless it sets another timeout."""
DEFAULT_RESULT_CHARS = 100_000
"""Characters of a result that the model reads unless the tool sets another number."""


@dataclass(slots=True, frozen=True)
class ToolOptions:
    """The options of one tool.

    Attributes:
        timeout: Seconds that a call may take; None leaves only the run's own clock.
        max_result_chars: Characters of its result that the model reads; None sends all.
        coercion: Whether an argument in the wrong JSON type is refused or converted.
        idempotent: Whether a call may be repeated, because running it twice does no more than running it once.
        exclusive: The name of a resource that only one tool at a time may use; None for none.
        isolate: Where it runs; None runs it in this process.
        approval: When somebody must approve a call before it runs.
        recover: Finds out what became of a call that was in flight when its process died; None where nobody can.
    """

    timeout: float | None = DEFAULT_TIMEOUT
    max_result_chars: int | None = DEFAULT_RESULT_CHARS
    coercion: Coercion = "strict"
    idempotent: bool = False
    exclusive: str | None = None
    isolate: Isolation | None = None
    approval: Approval = "never"
    recover: Recover | None = None

    def check(self, tool: str, handler: Callable[..., Any]) -> None:
        """Refuse options that no tool can have, or not this handler.

        Args:
            tool: The tool's name, for messages.
            handler: The function that the tool calls.

        Raises:
            ToolDefinitionError: an option has a wrong value, or another process could not import the handler.
        """
        timeout, chars, resource = self.timeout, self.max_result_chars, self.exclusive
        rules = (
            ("timeout", "must be seconds above 0, or None", timeout is None or _is_positive(timeout, int | float)),
            ("max_result_chars", "must be above 0, or None", chars is None or _is_positive(chars, int)),
            ("coercion", "must be strict or lenient", self.coercion in get_args(Coercion)),
            ("idempotent", "must be true or false", isinstance(self.idempotent, bool)),
            (
                "exclusive",
                "must name a resource, or be None",
                resource is None or (isinstance(resource, str) and resource != ""),
            ),
            (
                "approval",
                "must be always, never, or a plain function of the arguments",
                self.approval in ("always", "never")
                or (callable(self.approval) and not inspect.iscoroutinefunction(self.approval)),
            ),
            (
                "recover",
                "must be a function of the idempotency key, or None",
                self.recover is None or callable(self.recover),
            ),
            ("isolate", "must be 'process' or None", self.isolate in (None, *get_args(Isolation))),
        )
        for name, rule, holds in rules:
            if not holds:
                raise ToolDefinitionError(f"tool {tool!r}: {name} {rule}, not {getattr(self, name)!r:.80}")
        if self.isolate is not None:
            _check_isolation(tool, handler)


def _is_positive(value: float, kind: type | UnionType) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool) and 0 < value < math.inf


def _check_isolation(tool: str, handler: Callable[..., Any]) -> None:
    if not hasattr(os, "killpg"):
        raise ToolDefinitionError(f"tool {tool!r}: isolate='process' needs a POSIX system; leave it out here")
    if (reason := _obstacle_to_import(handler)) is not None:
        raise ToolDefinitionError(
            f"tool {tool!r}: isolate='process' needs a function that another process can import, and this one {reason};"
            " define it at the top of a module"
        )


def _obstacle_to_import(handler: Callable[..., Any]) -> str | None:
    """Return why another process cannot import a handler; None when nothing speaks against it."""
    module, qualname = getattr(handler, "__module__", None), getattr(handler, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(qualname, str):
        return "has no name of its own"
    if module == "__main__":
        return "stands in the program's main file"
    if "<" in qualname:
        return "is a lambda, or stands in another function"
    if inspect.ismethod(handler) and not inspect.isclass(handler.__self__):
        return "is a method of an object"
    return None
