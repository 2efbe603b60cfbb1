"""The events of a run, which are the same on every backend.

Events are made on the wire and in the tool runner, so they show what was sent and what ran, not what a framework
reports.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

if TYPE_CHECKING:
    from unified_agents.errors import ErrorRecord
    from unified_agents.messages import Usage
    from unified_agents.result import RunResult


@dataclass(slots=True)
class Event:
    """The base class of all events.

    Attributes:
        type: The name of the kind of event.
        run_id: The run that the event belongs to.
        time: Seconds since the run began.
    """

    type: ClassVar[str] = "event"
    run_id: str
    time: float

    def to_dict(self) -> dict[str, Any]:
        """Return this event as JSON values, with its `type`."""
        return {"type": self.type} | {item.name: _json_value(getattr(self, item.name)) for item in fields(self)}


@dataclass(slots=True)
class ModelCallEvent(Event):
    """The base class of the events of a model call.

    Attributes:
        step: The step of the run, from 0.
        attempt: The attempt, from 1; a retry has the same step.
    """

    step: int
    attempt: int


@dataclass(slots=True)
class ToolCallEvent(Event):
    """The base class of the events of a tool call.

    Attributes:
        step: The step that asked for the call, from 0.
        index: The place of the call among those of its step, from 0.
        call_id: The call's id, unique within the run.
        tool: The tool's own name.
    """

    step: int
    index: int
    call_id: str
    tool: str


@dataclass(slots=True)
class RunStarted(Event):
    """A run begins.

    Attributes:
        backend: The backend that runs it.
        handling: `unified` or `native`.
    """

    type: ClassVar[str] = "run_started"
    backend: str
    handling: str


@dataclass(slots=True)
class ModelCallStarted(ModelCallEvent):
    """A request goes to the model.

    Attributes:
        request_bytes: The size of the request's body.
    """

    type: ClassVar[str] = "model_call_started"
    request_bytes: int


@dataclass(slots=True)
class TextDelta(ModelCallEvent):
    """A piece of the answer's text arrives while the answer streams.

    Attributes:
        text: The piece.
    """

    type: ClassVar[str] = "text_delta"
    text: str


@dataclass(slots=True)
class ReasoningDelta(ModelCallEvent):
    """A piece of what the provider shows of the model's thinking arrives while the answer streams.

    Attributes:
        text: The piece; it is no part of the answer.
    """

    type: ClassVar[str] = "reasoning_delta"
    text: str


@dataclass(slots=True)
class AttemptDiscarded(ModelCallEvent):
    """An attempt failed and is repeated; text that it has streamed is void.

    Attributes:
        error: Why it failed.
        wait: Seconds until the next attempt.
    """

    type: ClassVar[str] = "attempt_discarded"
    error: ErrorRecord
    wait: float


@dataclass(slots=True)
class ModelCallCompleted(ModelCallEvent):
    """The model has answered.

    Attributes:
        finish_reason: Why the answer ended, as the provider says.
        usage: The tokens of the call.
        tool_calls: How many tool calls the answer asks for.
        seconds: How long the call took.
        time_to_first_token: Seconds until the first token; None when the answer was not streamed.
        request_id: The server's id of the request; None where it gave none.
        rate_limits: The headers about rate limits that came with the answer, by their names in lower case.
    """

    type: ClassVar[str] = "model_call_completed"
    finish_reason: str | None
    usage: Usage
    tool_calls: int
    seconds: float
    time_to_first_token: float | None
    request_id: str | None = None
    rate_limits: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class ModelCallFailed(ModelCallEvent):
    """A model call failed, and no other attempt follows.

    Attributes:
        error: Why it failed.
    """

    type: ClassVar[str] = "model_call_failed"
    error: ErrorRecord


@dataclass(slots=True)
class ToolCallStarted(ToolCallEvent):
    """A tool call begins.

    Attributes:
        arguments: The JSON text of the arguments, as the model wrote it.
    """

    type: ClassVar[str] = "tool_call_started"
    arguments: str


@dataclass(slots=True)
class ToolCallProgress(ToolCallEvent):
    """A tool reports how far it has come.

    Attributes:
        progress: How far it has come, out of `total`.
        total: The value of `progress` at the end; None when that is not known.
        message: What the tool says about it.
    """

    type: ClassVar[str] = "tool_call_progress"
    progress: float
    total: float | None
    message: str


@dataclass(slots=True)
class ToolCallRetried(ToolCallEvent):
    """An attempt of an idempotent tool failed, and another follows.

    Attributes:
        attempt: The attempt that failed, from 1.
        error: Why it failed.
        wait: Seconds until the next attempt.
    """

    type: ClassVar[str] = "tool_call_retried"
    attempt: int
    error: ErrorRecord
    wait: float


@dataclass(slots=True)
class ToolCallCompleted(ToolCallEvent):
    """A tool call gave a result.

    Attributes:
        content: The text that the model reads.
        seconds: How long the tool ran.
    """

    type: ClassVar[str] = "tool_call_completed"
    content: str
    seconds: float


@dataclass(slots=True)
class ToolCallFailed(ToolCallEvent):
    """A tool call gave no result.

    Attributes:
        error: Why it failed.
        content: The text that the model reads instead; None when the framework decides.
        seconds: How long the tool ran.
    """

    type: ClassVar[str] = "tool_call_failed"
    error: ErrorRecord
    content: str | None
    seconds: float


@dataclass(slots=True)
class RunEnded(Event):
    """The run is over; this is always the last event.

    Attributes:
        result: The result of the run.
    """

    type: ClassVar[str] = "run_ended"
    result: RunResult


AnyEvent: TypeAlias = (
    RunStarted
    | ModelCallStarted
    | TextDelta
    | ReasoningDelta
    | AttemptDiscarded
    | ModelCallCompleted
    | ModelCallFailed
    | ToolCallStarted
    | ToolCallProgress
    | ToolCallRetried
    | ToolCallCompleted
    | ToolCallFailed
    | RunEnded
)
"""Every event that a stream can give."""


def _json_value(value: object) -> Any:
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    return value
