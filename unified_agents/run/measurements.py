"""What is measured and recorded of a run: times, bytes and the exchanges with the model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from unified_agents.messages import Usage
from unified_agents.result import Exchange, ModelCallRecord, Timing

Interval = tuple[float, float]
"""Begin and end, in seconds on the run's clock."""


@dataclass(slots=True, eq=False, repr=False)
class ExchangeRecord:
    """A request to a model and its answer while it is under way; see `Exchange` and `ModelCallRecord` for the fields.

    Attributes:
        keeps_bodies: Whether its bodies are kept; where they are not, they stay empty.
    """

    step: int | None
    attempt: int
    model: str
    keeps_bodies: bool
    received: bytes = b""
    sent: bytes = b""
    status: int | None = None
    finish_reason: str | None = None
    request_id: str | None = None
    rate_limits: dict[str, str] | None = None
    usage: Usage | None = None
    cost: float | None = None
    answered: bytes = b""
    returned: bytes = b""

    def exchange(self) -> Exchange:
        """Return the exchange as it stands in a result."""
        texts = {name: _text(getattr(self, name)) for name in ("received", "sent", "answered", "returned")}
        return Exchange(step=self.step, attempt=self.attempt, status=self.status, **texts)

    def model_call(self) -> ModelCallRecord:
        """Return what is told of the request in a result, without its bodies."""
        return ModelCallRecord(
            self.step,
            self.attempt,
            self.model,
            self.status,
            self.finish_reason,
            self.request_id,
            self.rate_limits or {},
            self.usage,
            self.cost,
        )


@dataclass(slots=True, eq=False, repr=False)
class Measurements:
    """The measurements of one run. All times are seconds on the run's clock.

    Attributes:
        retries: Requests that were further attempts.
        request_bytes: The size of each request's body.
        time_to_first_token: From the first streamed request to its first token; None when nothing was streamed.
        model_time: When requests were under way.
        tool_time: When tools ran.
        waiting_time: When something was put off: for a retry, for the rate limit, for another call.
        exchanges: The exchanges whose bodies are kept; None when bodies are not kept.
        model_calls: All requests to a model, in order.
    """

    retries: int = 0
    request_bytes: list[int] = field(default_factory=list)
    time_to_first_token: float | None = None
    model_time: list[Interval] = field(default_factory=list)
    tool_time: list[Interval] = field(default_factory=list)
    waiting_time: list[Interval] = field(default_factory=list)
    exchanges: list[ExchangeRecord] | None = None
    model_calls: list[ExchangeRecord] = field(default_factory=list)

    def record_exchange(
        self, step: int | None, attempt: int, model: str, received: bytes, sent: bytes
    ) -> ExchangeRecord:
        """Begin the record of an exchange."""
        if self.exchanges is None:
            record = ExchangeRecord(step, attempt, model, keeps_bodies=False)
        else:
            record = ExchangeRecord(step, attempt, model, keeps_bodies=True, received=received, sent=sent)
            self.exchanges.append(record)
        self.model_calls.append(record)
        return record

    def finish_reason(self) -> str | None:
        """Return why the agent's last answer ended; None where the last request got none."""
        for call in reversed(self.model_calls):
            if call.step is not None:
                return call.finish_reason
        return None

    def first_token(self, seconds: float) -> None:
        """Record the time to first token; only the run's first counts."""
        if self.time_to_first_token is None:
            self.time_to_first_token = seconds

    def timing(self, total: float) -> Timing:
        """Return where the time of a run of `total` seconds went."""
        busy = _union([*self.model_time, *self.tool_time, *self.waiting_time])
        return Timing.model_construct(
            total=total,
            model=_union(self.model_time),
            tool=_union(self.tool_time),
            waiting=_union(self.waiting_time),
            overhead=max(0.0, total - busy),
        )


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _union(intervals: Iterable[Interval]) -> float:
    length, reached = 0.0, float("-inf")
    for start, end in sorted(intervals):
        if end > reached:
            length += end - max(start, reached)
            reached = end
    return length
