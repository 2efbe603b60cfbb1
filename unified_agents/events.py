"""What happens in a run, told while it happens: the same events on every backend.

Each is made at one of the two seams, so an event says what stood on the wire or in the tool runner, not what a
framework reports. `time` is seconds since the run began.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

if TYPE_CHECKING:
    from unified_agents.errors import ErrorRecord
    from unified_agents.messages import Usage
    from unified_agents.result import RunResult


@dataclass(slots=True)
class Event:
    """What every event has.

    Attributes:
        run_id: The run it belongs to.
        time: Seconds since the run began.
    """

    type: ClassVar[str] = "event"
    run_id: str
    time: float

    def to_dict(self) -> dict[str, Any]:
        """This event as JSON values, with its `type`."""
        fields = {name: getattr(self, name) for cls in type(self).__mro__ for name in getattr(cls, "__slots__", ())}
        return {"type": self.type} | {name: _plain(value) for name, value in fields.items()}


@dataclass(slots=True)
class RunStarted(Event):
    """The run begins."""

    type: ClassVar[str] = "run_started"
    backend: str
    handling: str


@dataclass(slots=True)
class ModelCallStarted(Event):
    """A request goes to the model. `attempt` counts from 1; a retry has the same step."""

    type: ClassVar[str] = "model_call_started"
    step: int
    attempt: int
    request_bytes: int


@dataclass(slots=True)
class TextDelta(Event):
    """A piece of the answer's text, while it streams."""

    type: ClassVar[str] = "text_delta"
    step: int
    attempt: int
    text: str


@dataclass(slots=True)
class AttemptDiscarded(Event):
    """An attempt failed after it may have streamed text: forget its deltas. `wait` is seconds until the next one."""

    type: ClassVar[str] = "attempt_discarded"
    step: int
    attempt: int
    error: ErrorRecord
    wait: float


@dataclass(slots=True)
class ModelCallCompleted(Event):
    """The model answered. `time_to_first_token` is seconds, None when the answer was not streamed."""

    type: ClassVar[str] = "model_call_completed"
    step: int
    attempt: int
    finish_reason: str | None
    usage: Usage
    tool_calls: int
    seconds: float
    time_to_first_token: float | None


@dataclass(slots=True)
class ModelCallFailed(Event):
    """The model call failed for good."""

    type: ClassVar[str] = "model_call_failed"
    step: int
    attempt: int
    error: ErrorRecord


@dataclass(slots=True)
class ToolCallStarted(Event):
    """A tool call begins. `arguments` is the JSON text as the model wrote it."""

    type: ClassVar[str] = "tool_call_started"
    step: int
    index: int
    call_id: str
    tool: str
    arguments: str


@dataclass(slots=True)
class ToolCallProgress(Event):
    """A tool tells how far it has come: so much of `total`, which is None when that is not known."""

    type: ClassVar[str] = "tool_call_progress"
    step: int
    index: int
    call_id: str
    tool: str
    progress: float
    total: float | None
    message: str


@dataclass(slots=True)
class ToolCallRetried(Event):
    """An attempt of an idempotent tool failed, and another follows. `wait` is seconds until then."""

    type: ClassVar[str] = "tool_call_retried"
    step: int
    index: int
    call_id: str
    tool: str
    attempt: int
    error: ErrorRecord
    wait: float


@dataclass(slots=True)
class ToolCallCompleted(Event):
    """A tool call ended well. `content` is what the model reads."""

    type: ClassVar[str] = "tool_call_completed"
    step: int
    index: int
    call_id: str
    tool: str
    content: str
    seconds: float


@dataclass(slots=True)
class ToolCallFailed(Event):
    """A tool call gave no result. `content` is what the model is told instead; None when the framework decides."""

    type: ClassVar[str] = "tool_call_failed"
    step: int
    index: int
    call_id: str
    tool: str
    error: ErrorRecord
    content: str | None
    seconds: float


@dataclass(slots=True)
class RunEnded(Event):
    """The run is over; always the last event."""

    type: ClassVar[str] = "run_ended"
    result: RunResult


AnyEvent: TypeAlias = (
    RunStarted
    | ModelCallStarted
    | TextDelta
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


def _plain(value: object) -> Any:
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    return value
