"""Sources of many tools, such as an MCP server or an OpenAPI document."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from unified_agents.tools.definition import Tool


@dataclass(slots=True, frozen=True)
class OpenSource:
    """A source of tools that is ready to be called.

    Attributes:
        tools: Its tools.
        aclose: Ends it. May be awaited on any event loop, and more than once.
        skipped: What cannot be a tool and is left out, by name, with the reason.
    """

    tools: Sequence[Tool]
    aclose: Callable[[], Awaitable[None]]
    skipped: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class Openable(Protocol):
    """A source of tools that has yet to be opened."""

    def open(self) -> OpenSource:
        """Make it ready to be called.

        Raises:
            ConfigError: it cannot be opened.
        """
