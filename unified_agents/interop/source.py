"""The protocols of a source of many tools, such as an MCP server or an OpenAPI document."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from unified_agents.tools.definition import Tool


class Source(Protocol):
    """A source of tools that is ready to be called."""

    @property
    def tools(self) -> Sequence[Tool]:
        """What it has."""

    @property
    def aclose(self) -> Callable[[], Awaitable[None]]:
        """Ends it. May be awaited on any event loop, and more than once."""


@dataclass(slots=True, frozen=True)
class OpenSource:
    """The plainest `Source`.

    Attributes:
        tools: What it has.
        aclose: Ends it. May be awaited on any event loop, and more than once.
    """

    tools: Sequence[Tool]
    aclose: Callable[[], Awaitable[None]]


@runtime_checkable
class Openable(Protocol):
    """Settings of a source, such as an MCP server's."""

    def open(self) -> Source:
        """Make it ready.

        Raises:
            ConfigError: it cannot be opened.
        """
