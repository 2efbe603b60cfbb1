"""What a run leaves behind."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter

from unified_agents.errors import ErrorRecord
from unified_agents.messages import JsonObject, Message, Usage
from unified_agents.tracing.spans import Span

RunStatus = Literal["completed", "limit", "suspended", "cancelled", "failed"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, arbitrary_types_allowed=True)


class ToolCallRecord(_Frozen):
    """One call that the model asked for, and what became of it.

    Attributes:
        step: The model call that asked for it, from 0.
        index: Its place among the calls of that step, from 0.
        id: Unique within the run.
        name: The tool's own name; for a tool that does not exist, what the model wrote.
        arguments: JSON text as the model wrote it.
        ok: Whether the tool ran and returned.
        reached: Whether the call came to the tool runner at all. A framework that drops a call leaves it False.
        received: What the tool's function was called with; None when it was never called.
        coerced: What a `lenient` tool took in another JSON type than the model wrote, a line for each argument.
        content: What the model was told; None when nothing was, or when the framework decided under `native`.
        error: Why it is not ok; None when it is, or when nobody can tell.
        seconds: How long the tool ran.
    """

    step: int
    index: int
    id: str
    name: str
    arguments: str
    ok: bool
    reached: bool
    received: JsonObject | None = None
    coerced: tuple[str, ...] = ()
    content: str | None = None
    error: ErrorRecord | None = None
    seconds: float = 0.0


class Exchange(_Frozen):
    """One request to a model and its answer, as it stood on the wire. The texts are bodies without headers.

    Attributes:
        step: The step it belongs to; None for a model call that a tool made.
        attempt: From 1; a retry has the same step.
        received: What the framework sent.
        sent: What we sent upstream.
        status: The HTTP status upstream; None when there was no answer.
        answered: What the model answered.
        returned: What the framework got.
    """

    step: int | None
    attempt: int
    received: str
    sent: str
    status: int | None
    answered: str
    returned: str


class Timing(_Frozen):
    """Where the time went, in seconds of wall clock.

    Attributes:
        total: From start to end.
        model: From the request sent upstream to its last byte received.
        tool: Inside tools.
        waiting: Between attempts; and of tools, for their turn or for another call's result.
        overhead: `total` without the union of the other three: what framework and library cost.
    """

    total: float
    model: float
    tool: float
    waiting: float
    overhead: float


class RunResult(_Frozen):
    """The outcome of one run.

    Attributes:
        run_id: The run's id.
        backend: The backend that ran it.
        handling: `unified` or `native`.
        status: `completed`; or `limit`, `cancelled`, `failed`. Only `completed` is a success.
        limit: The key of `Limits` that ended the run, such as `max_steps`; None where none did.
        output: The final answer; None when there is none.
        messages: The conversation as the model saw it, without the instructions, with the final answer.
        usage: Tokens of all answers.
        errors: What went wrong, in order: what the model was told, and last what ended the run. Attempts that a
            retry made good are not here; they are in the trace.
        tool_calls: Every call that the model asked for, in order.
        requests: Requests that reached the model's server, retries too.
        retries: How many of these were retries.
        request_bytes: The size of each request's body, in order.
        seconds: Where the time went.
        time_to_first_token: Seconds from the first request to its first token; None when nothing was streamed.
        trace: The span tree, from `invoke_agent` down.
        exchanges: Bodies as they stood on the wire; empty unless the run was told to record them.
        pending: Calls that wait for a decision; empty.
        cost: What all answers cost, in the unit of the model's `price`; None without a price.
        value: The final answer as a value of the agent's `output_type`; None without one.
    """

    run_id: str
    backend: str
    handling: str
    status: RunStatus
    output: str | None
    messages: tuple[Message, ...]
    usage: Usage
    errors: tuple[ErrorRecord, ...]
    tool_calls: tuple[ToolCallRecord, ...]
    requests: int
    retries: int
    request_bytes: tuple[int, ...]
    seconds: Timing
    time_to_first_token: float | None
    trace: Span
    exchanges: tuple[Exchange, ...] = ()
    pending: tuple[ToolCallRecord, ...] = ()
    cost: float | None = None
    value: Any = None
    limit: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The whole result as JSON values."""
        fields = self.model_dump(mode="json", exclude={"trace", "value"})
        value = TypeAdapter(Any).dump_python(self.value, mode="json")
        return fields | {"trace": self.trace.to_dict(), "value": value}
