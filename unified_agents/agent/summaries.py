"""Summaries of the older turns of a session, which the agent's model writes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from unified_agents import wording
from unified_agents.config import Limits
from unified_agents.errors import BadResponseError
from unified_agents.messages import Message, Task
from unified_agents.result import RunResult
from unified_agents.run.context import Run
from unified_agents.wire.unified import Wire

NewRun = Callable[[Task, str | None, Limits | None, bool], Run]
"""Makes a run of the agent."""
Drive = Callable[[Run, Callable[[], Coroutine[Any, Any, str | None]]], Awaitable[RunResult]]
"""Carries out a run by a loop that is not the framework's, and keeps no journal of it."""


async def summarised(new_run: NewRun, drive: Drive, wire: Wire, messages: list[Message]) -> Message:
    """Have the model summarise the beginning of a session, in a run of its own.

    Args:
        new_run: See `NewRun`.
        drive: See `Drive`.
        wire: Asks the model.
        messages: What was said.

    Returns:
        The message that stands in their place.

    Raises:
        RunError: the model could not be asked, or gave no summary.
    """
    run = new_run(messages, None, None, False)

    async def ask() -> str | None:
        return (await wire.last_answer(run, wording.summarise_now())).text

    result = await drive(run, ask)
    if result.status != "completed" or not result.output:
        why = f": {result.errors[-1].message}" if result.errors else ""
        raise BadResponseError(f"the model gave no summary of the session's older turns{why}")
    return Message(role="user", content=wording.summary_of_turns(result.output))
