"""How a tool may be run: what its author says of it beside its arguments."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from unified_agents.errors import ToolDefinitionError

Isolation = Literal["process"]
"""Where a tool runs that shall be stopped for certain: in a process of its own."""


@dataclass(slots=True, frozen=True)
class RunOptions:
    """What the runner may do with a tool.

    Attributes:
        idempotent: Whether running a call twice does no more than running it once, so that it may be tried again.
        exclusive: The name of a resource that it uses alone; None for none.
        isolate: Where it runs; None runs it in this process.
    """

    idempotent: bool = False
    exclusive: str | None = None
    isolate: Isolation | None = None


PLAIN = RunOptions()


def run_options(
    name: str, handler: Callable[..., Any], idempotent: bool, exclusive: str | None, isolate: Isolation | None
) -> RunOptions:
    """The options of a tool, checked.

    Raises:
        ToolDefinitionError: one is not of its type, or the handler cannot be found by another process.
    """
    if not isinstance(idempotent, bool):
        raise ToolDefinitionError(f"tool {name!r}: idempotent must be true or false, not {idempotent!r:.80}")
    if exclusive is not None and (not isinstance(exclusive, str) or not exclusive):
        raise ToolDefinitionError(f"tool {name!r}: exclusive must name a resource, or be None, not {exclusive!r:.80}")
    if isolate not in (None, "process"):
        raise ToolDefinitionError(f"tool {name!r}: isolate must be 'process' or None, not {isolate!r:.80}")
    if isolate is not None and not hasattr(os, "killpg"):
        raise ToolDefinitionError(f"tool {name!r}: isolate='process' needs a POSIX system; leave it out here")
    if isolate is not None and (reason := _hidden(handler)) is not None:
        raise ToolDefinitionError(
            f"tool {name!r}: isolate='process' needs a function that another process can import, and this one {reason};"
            " define it at the top of a module"
        )
    return RunOptions(idempotent, exclusive, isolate) if idempotent or exclusive or isolate else PLAIN


def _hidden(handler: Callable[..., Any]) -> str | None:
    """Why another process cannot import a handler; None when nothing speaks against it."""
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
