"""Tools of the contract's tests: they keep what they were given, and stay in flight for as long as a test wants."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from unified_agents.messages import JsonObject
from unified_agents.tools.decorator import tool
from unified_agents.tools.definition import Tool

TEST_SECONDS = 30.0
"""Seconds that a single test may take before it fails; a backend that hangs must not hang the suite."""


class RecordingTool:
    """A tool with a JSON Schema and no typed function, which keeps the arguments of each call.

    Attributes:
        received: The arguments of each call, in order.
    """

    def __init__(self, name: str, parameters: JsonObject, *, returns: str) -> None:
        self.received: list[JsonObject] = []
        self._returns = returns
        self.tool = Tool(name=name, description="Take it.", parameters=parameters, handler=self._take)

    async def _take(self, /, **arguments: Any) -> str:
        self.received.append(arguments)
        return self._returns


class HeldTool:
    """An asynchronous tool, `hold`, whose calls stay in flight until they are released or cancelled.

    Attributes:
        started: How many calls have begun.
        cancelled: How many saw a CancelledError.
        finished: How many came to their end.
        all_started: Set when as many as expected have begun.
        release: Set it to let them finish.
    """

    def __init__(self, expected: int = 1) -> None:
        self.started = self.cancelled = self.finished = 0
        self.all_started = asyncio.Event()
        self.release = asyncio.Event()
        self._expected = expected
        self.tool: Tool = tool(self._hold, name="hold")

    async def _hold(self, n: int) -> int:
        """Hold a number."""  # some frameworks take no function without a docstring
        self.started += 1
        if self.started == self._expected:
            self.all_started.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self.finished += 1
        return n


class HangingTool:
    """A synchronous tool, `hang`, whose calls do not end before they are released, whatever is cancelled.

    Attributes:
        all_started: Set when as many calls as expected have begun.
        release: Set it, in any case, before the test ends.
    """

    def __init__(self, expected: int = 2) -> None:
        self.all_started = asyncio.Event()
        self.release = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._expected = expected
        self.tool: Tool = tool(self._hang, name="hang")

    def _count_start(self) -> None:
        self._expected -= 1
        if not self._expected:
            self.all_started.set()

    def _hang(self, n: int) -> int:
        """Hang with a number."""
        self._loop.call_soon_threadsafe(self._count_start)  # so that only the loop's own thread counts
        self.release.wait(TEST_SECONDS)
        return n
