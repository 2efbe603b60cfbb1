"""The result of a run: its outcome, its messages, its tool calls, its times and its trace."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import Any, Generic, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter
from typing_extensions import TypeVar

from unified_agents.elicitation import Elicitation
from unified_agents.errors import ErrorRecord
from unified_agents.messages import JsonObject, Message, Usage
from unified_agents.tracing.spans import Span

PendingReason = Literal["approval", "in_flight", "elicitation"]
"""Why a call waits: its tool asks for approval, nobody knows whether it was carried out before a process died, or its
MCP server asks something."""
RunStatus = Literal["completed", "limit", "suspended", "cancelled", "failed"]
MAX_REPR_CHARS = 60

ValueT_co = TypeVar("ValueT_co", covariant=True, default=Any)
"""The type of `RunResult.value`: that of the agent's `output_type`, or None where a run ends without a value."""


class _ResultModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, arbitrary_types_allowed=True)


class ToolCallRecord(_ResultModel):
    """A tool call that the model asked for, and its outcome.

    Attributes:
        step: The step that asked for it, from 0.
        index: Its place among the calls of that step, from 0.
        id: Unique within the run.
        name: The tool's own name; for a tool that does not exist, what the model wrote.
        arguments: JSON text as the model wrote it.
        ok: Whether the tool ran and returned.
        reached: Whether the call reached the tool runner; False when the framework dropped it.
        received: The arguments that the tool's function was called with; None when it was not called.
        coerced: A line for each argument that a `lenient` tool took in another JSON type than the model wrote.
        content: The text that the model read; None when there was none, or when the framework decided under `native`.
        error: Why it is not ok; None when it is, or when the reason is unknown.
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


class PendingCall(ToolCallRecord):
    """A tool call that waits for a decision, which `Agent.resume` takes under the call's id.

    Attributes:
        reason: `approval`: its tool asks for approval. `in_flight`: the process died while it ran, and its tool is not
            idempotent, so nobody but you can tell whether it was carried out. `elicitation`: its MCP server asks
            something before it carries the call out.
        elicitation: What the server asks; None for the other reasons.
    """

    reason: PendingReason
    elicitation: Elicitation | None = None


@dataclass(slots=True)  # as a model it would take several times as long to make, for each request
class ModelCallRecord:
    """A request to a model, and what its answer said of itself.

    Attributes:
        step: The step it belongs to; None for a model call that a tool made.
        attempt: From 1; a retry has the same step.
        model: The model that was asked, by the name in its config.
        status: The HTTP status of the answer; None when there was no answer.
        finish_reason: Why the answer ended, as the provider says, or `refusal`; None where it does not say.
        request_id: The server's id of the request, which its support asks for; None where it gave none.
        rate_limits: The headers about rate limits, by their names in lower case, such as
            `x-ratelimit-remaining-requests` and `retry-after`.
        usage: The tokens of the answer; None when there was none that could be read.
        cost: What it cost, in the unit of the model's price; None without a price or its usage.
    """

    step: int | None
    attempt: int
    model: str
    status: int | None
    finish_reason: str | None = None
    request_id: str | None = None
    rate_limits: dict[str, str] = field(default_factory=dict)
    usage: Usage | None = None
    cost: float | None = None


class Exchange(_ResultModel):
    """A request to a model and its answer. The texts are bodies as they were sent, without headers.

    Attributes:
        step: The step it belongs to; None for a model call that a tool made.
        attempt: From 1; a retry has the same step.
        received: The body that the framework sent.
        sent: The body that we sent to the model.
        status: The HTTP status of the answer; None when there was no answer.
        answered: The body that the model answered.
        returned: The body that the framework got.
    """

    step: int | None
    attempt: int
    received: str
    sent: str
    status: int | None
    answered: str
    returned: str


class Timing(_ResultModel):
    """The times of a run, in seconds of wall clock.

    Attributes:
        total: From start to end.
        model: From sending a request to receiving the last byte of its answer.
        tool: Inside tools.
        waiting: Between attempts; and of tools, for their turn or for another call's result.
        overhead: `total` without the union of the other three: the time of framework and library.
    """

    total: float
    model: float
    tool: float
    waiting: float
    overhead: float


class RunResult(_ResultModel, Generic[ValueT_co]):
    """The outcome of one run.

    Attributes:
        run_id: The run's id.
        backend: The backend that ran it.
        handling: `unified` or `native`.
        status: `completed`; or `limit`, `suspended`, `cancelled`, `failed`. Only `completed` is a success.
        limit: The key of `Limits` that ended the run, such as `max_steps`; None where none did.
        output: The final answer; None when there is none. Of a run that failed because its answer could not be used,
            that answer.
        messages: The conversation as the model saw it, with the final answer and without the instructions.
        usage: Tokens of all answers.
        errors: What went wrong, in order: what the model was told, and last what ended the run. Attempts that a
            retry made good are not here; they are in the trace.
        finish_reason: Why the agent's last answer ended, as the provider says; `refusal` where the output is that of a
            refusal; None where the last request got no answer.
        tool_calls: Every call that the model asked for, in order.
        model_calls: Every request to a model, in order, retries too.
        requests: Requests that reached the model's server, retries too.
        retries: How many of these were retries.
        request_bytes: The size of each request's body, in order.
        seconds: The times of the run.
        time_to_first_token: Seconds from the first request to its first token; None when nothing was streamed.
        trace: The span tree, from `invoke_agent` down.
        exchanges: Bodies as they stood on the wire; empty unless the run was told to record them.
        pending: Calls that wait for a decision, where the status is `suspended`; empty otherwise.
        cost: What all answers cost whose usage is known, in the unit of the model's `price`; None without any.
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
    pending: tuple[PendingCall, ...] = ()
    cost: float | None = None
    value: ValueT_co = None  # type: ignore[assignment]  # the type includes None
    limit: str | None = None
    finish_reason: str | None = None
    model_calls: tuple[ModelCallRecord, ...] = ()

    def __repr__(self) -> str:
        tokens = "" if self.usage.total_tokens is None else f", {self.usage.total_tokens} tokens"
        return (
            f"<RunResult {self.status} on {self.backend}: {_shortened(self.output)}, {self.requests} requests, "
            f"{len(self.tool_calls)} tool calls{tokens}, {self.seconds.total:.2f} s>"
        )

    __str__ = __repr__

    def _repr_html_(self) -> str:
        """Return the outcome and the waterfall for a notebook."""
        outcome = html.escape(f"{self.status}: {self.output or (self.errors[-1].message if self.errors else '')}")
        return f"<p>{outcome}</p>{self.trace._repr_html_()}<p>{html.escape(repr(self))}</p>"

    def to_dict(self) -> dict[str, Any]:
        """Return the whole result as JSON values."""
        fields = self.model_dump(mode="json", exclude={"trace", "value"})
        of_any: TypeAdapter[Any] = TypeAdapter(Any)
        value = of_any.dump_python(self.value, mode="json")
        return fields | {"trace": self.trace.to_dict(), "value": value}


def _shortened(text: str | None) -> str:
    shown = repr(text)
    return shown if len(shown) <= MAX_REPR_CHARS else f"{shown[: MAX_REPR_CHARS - 1]}…"
