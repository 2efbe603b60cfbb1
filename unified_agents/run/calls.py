"""Steps and calls: the tool calls that the model asked for, as they stood on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from unified_agents.errors import BackendError, ErrorRecord, ToolCallError
from unified_agents.messages import JsonObject
from unified_agents.result import ToolCallRecord
from unified_agents.tools.definition import Tool
from unified_agents.tools.parts import Part


@dataclass(slots=True, frozen=True)
class ToolOutcome:
    """The result of a call as the model reads it.

    Attributes:
        content: The text of the tool message.
        is_error: Whether the call gave no result.
        parts: The result with its images and files; empty where the text says it all.
    """

    content: str
    is_error: bool = False
    parts: tuple[Part, ...] = ()


@dataclass(slots=True, eq=False)
class Call:
    """One call of one step. Its key is (step, index); `id` is unique within the run.

    Attributes:
        step: The model call that asked for it, from 0.
        index: Its place among the calls of that step, from 0.
        id: The provider's id, or one of ours where that is missing or taken.
        name: The tool's own name; for an unknown tool what the model wrote.
        wire_name: The name on the wire: the one that it is offered under; for an unknown tool what the model wrote.
        arguments: JSON text as the model wrote it.
        tool: What runs; None when there is no such tool.
        problem: Why it cannot run, where the wire knows already.
        references: The places in its arguments that stand for the results of other calls of the step.
        task: The task that carries it out; None where none has begun, or the run's own does.
        here: Ends with its outcome, where the run's own task carries it out.
        whole: The result's text without a cut, where another call refers to it.
        pauses: When it waited: for another call, for its turn, for the next attempt. On the run's clock.
    """

    step: int
    index: int
    id: str
    name: str
    wire_name: str
    arguments: str
    tool: Tool | None
    problem: ToolCallError | None = None
    reached: bool = False
    received: JsonObject | None = None
    coerced: tuple[str, ...] = ()
    task: asyncio.Task[Any] | None = None
    here: asyncio.Future[ToolOutcome] | None = None
    outcome: ToolOutcome | None = None
    error: ErrorRecord | None = None
    seconds: float = 0.0
    references: tuple[Reference, ...] = ()
    is_referred_to: bool = False
    whole: str | None = None
    pauses: list[tuple[float, float]] | None = None

    def record(self) -> ToolCallRecord:
        """Return this call as it stands in a run's result."""
        return ToolCallRecord(
            step=self.step,
            index=self.index,
            id=self.id,
            name=self.name,
            arguments=self.arguments,
            ok=self.outcome is not None and not self.outcome.is_error,
            reached=self.reached,
            received=self.received,
            coerced=self.coerced,
            content=self.outcome.content if self.outcome else None,
            error=self.error,
            seconds=self.seconds,
        )


@dataclass(slots=True, frozen=True, eq=False)
class Reference:
    """A place in the arguments of a call that stands for the result of another call.

    Attributes:
        path: Where it stands.
        call: Whose result is meant.
        pointer: Which value of it, as a JSON Pointer; None takes all.
    """

    path: tuple[str | int, ...]
    call: Call
    pointer: str | None


@dataclass(slots=True, eq=False)
class Step:
    """One model call of the agent, with the calls that it asked for.

    Attributes:
        index: From 0.
        message: The assistant turn as the model wrote it, in Chat Completions terms, under unique call ids.
        calls: In the model's order.
        original: The turn as `Message.original` has it; None where it holds no more than the message.
        reasoning: What the provider showed of the model's thinking; None where it showed nothing.
        elsewhere: Carries out its calls in the process of the run, where that is another one; None where it is this.
    """

    index: int
    message: JsonObject
    calls: list[Call] = field(default_factory=list)
    original: JsonObject | None = None
    reasoning: str | None = None
    elsewhere: Callable[[], Awaitable[list[ToolOutcome]]] | None = None


def dropped_calls(what: str, calls: Sequence[Call]) -> BackendError:
    """Return the error of a framework that left calls out.

    Args:
        what: What it did, such as "ended".
        calls: The calls.
    """
    names = ", ".join(sorted({call.name for call in calls}))
    return BackendError(f"the framework {what} with {len(calls)} of the model's tool calls not carried out: {names}")
