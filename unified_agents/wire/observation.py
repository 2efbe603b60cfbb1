"""The one observation of a model call, for `unified` and `native`: its span, its events and its measurements."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from unified_agents.errors import ModelError
from unified_agents.events import AttemptDiscarded, ModelCallCompleted, ModelCallFailed, ReasoningDelta, TextDelta
from unified_agents.messages import Usage
from unified_agents.run.context import Run
from unified_agents.run.measurements import ExchangeRecord
from unified_agents.run.span_content import give_messages
from unified_agents.tracing import conventions as names
from unified_agents.tracing.live import OpenSpan
from unified_agents.wire.endpoint import ModelEndpoint
from unified_agents.wire.protocols.answer import Answer
from unified_agents.wire.react.protocol import FinalText

logger = logging.getLogger("unified_agents.wire")


class ModelCallObservation:
    """Tells the run, its trace and its listeners of one model call, over all its attempts.

    Args:
        run: The run that it belongs to.
        endpoint: Where the call goes first.
        parent: The span that the call's `chat` span stands below.
        step: The step of the run; None for a model call that a tool makes, of which listeners are told nothing.
        attempt: The number of the attempt that is made now, from 1; 0 before the first `begin_attempt`.
        in_text: Whether the model writes in the text protocol, of which only the final answer is streamed.

    Attributes:
        exchange: The record of the attempt's request; None before it is sent.
        time_to_first_token: Seconds from the attempt's request to its first token; None before it comes.
    """

    __slots__ = (
        "_chunk_at",
        "_failed_at",
        "_final_text",
        "_in_text",
        "_run",
        "_started",
        "_usage",
        "attempt",
        "exchange",
        "span",
        "step",
        "time_to_first_token",
    )

    def __init__(
        self, run: Run, endpoint: ModelEndpoint, parent: OpenSpan, step: int | None, attempt: int, *, in_text: bool
    ) -> None:
        self._run = run
        self._in_text = in_text
        self._failed_at: float | None = None  # when an attempt failed after which another one is made
        self._final_text: FinalText | None = None
        self._started = 0.0
        self._chunk_at: float | None = None  # when the chunk before came; None before the first
        self._usage: Usage | None = None  # of all answers of the call, the unusable ones too
        self.step = step
        self.attempt = attempt
        self.span = run.trace.open(f"chat {endpoint.model.name}", dict(endpoint.attributes), parent, client=True)
        self.exchange: ExchangeRecord | None = None
        self.time_to_first_token: float | None = None
        if run.turn is not None:
            self.span.span.attributes[names.CONVERSATION_ID] = run.turn.session

    def begin_attempt(self) -> None:
        """Count an attempt, whose time of waiting begins."""
        self.attempt += 1
        self.exchange = None
        self._started = self._run.trace.now()

    def admitted(self, *, waited: bool) -> None:
        """Record how long the attempt had to wait: after the attempt before it, or for its turn."""
        since = self._started if self._failed_at is None else self._failed_at
        if waited or self._failed_at is not None:
            self._started, self._failed_at = self._run.trace.now(), None
            self._run.measurements.waiting_time.append((since, self._started))

    def request_sent(self, model: str, received: bytes, sent: bytes) -> ExchangeRecord:
        """Record that the attempt's request goes out, and return its record.

        Args:
            model: The model that is asked.
            received: The body that the framework sent.
            sent: The body that goes to the model.
        """
        self._started = self._run.begin_request(self.step, self.attempt, sent)
        measurements = self._run.measurements
        self.exchange = measurements.record_exchange(self.step, self.attempt, model, received, sent)
        self.time_to_first_token = self._chunk_at = None
        self._final_text = FinalText() if self._in_text else None  # an attempt begins its text anew
        return self.exchange

    def text_received(self, texts: list[str], has_token: bool, thoughts: Sequence[str] = ()) -> None:
        """Record a piece of a streamed answer, and tell listeners of its texts.

        Args:
            texts: What the piece adds to the answer's text.
            has_token: Whether a text or a call has come so far.
            thoughts: What it shows of the model's thinking.
        """
        run = self._run
        if run.trace.telemetry is not None:
            self._time_chunk()
        if self.step is None:
            return
        if has_token and self.time_to_first_token is None:
            self.time_to_first_token = run.trace.now() - self._started
            run.measurements.first_token(self.time_to_first_token)
        # Events are not built where nobody listens: a stream has hundreds of pieces.
        if run.sinks:
            for thought in thoughts:
                if thought:
                    run.emit(ReasoningDelta(run.id, run.trace.now(), self.step, self.attempt, thought))
            for text in texts if self._final_text is None else map(self._final_text.feed, texts):
                self._emit_text(text)

    def final_answer(self, text: str) -> None:
        """Tell listeners of what a final answer in the text protocol has beyond what was streamed of it."""
        if self._final_text is not None:
            self._emit_text(self._final_text.rest(text))

    def request_ended(self) -> None:
        """Record that the attempt's request has ended, in whatever way."""
        self._run.measurements.model_time.append((self._started, self._run.trace.now()))

    def answered(self, answer: Answer, cost: float | None) -> None:
        """Count an answer's usage and cost, and put what was measured of its exchange on it."""
        answer.time_to_first_token = self.time_to_first_token
        answer.exchange = self.exchange
        if self.exchange is not None:
            self.exchange.finish_reason = answer.finish_reason
            self.exchange.usage, self.exchange.cost = answer.usage, cost
        self._usage = answer.usage if self._usage is None else self._usage + answer.usage
        run = self._run
        run.budget.count_answer(answer.usage, cost)
        # Under `native` only the wall clock is bounded.
        if (answer.usage.input_tokens is None or answer.usage.output_tokens is None) and run.handling == "unified":
            self._warn_of(run.budget.unmeasured_limits())

    def _warn_of(self, limits: list[str]) -> None:
        """Tell that limits of tokens or cost cannot hold, where there are any."""
        if not limits:
            return
        run, unmeasured = self._run, " and ".join(limits)
        self.span.event("usage_missing", limits=unmeasured)
        text = "the model's server does not report the usage of its answers, so %s cannot hold (run %s)"
        logger.warning(text, unmeasured, run.label, extra={"run_id": run.id})

    def completed(self, answer: Answer) -> None:
        """Tell listeners, where there are any, that the model has answered."""
        run = self._run
        if not run.sinks or self.step is None:
            return
        now, head = run.trace.now(), self.exchange
        run.emit(
            ModelCallCompleted(
                run.id,
                now,
                self.step,
                self.attempt,
                answer.finish_reason,
                answer.usage,
                len(answer.calls),
                now - self._started,
                answer.time_to_first_token,
                None if head is None else head.request_id,
                (None if head is None else head.rate_limits) or {},
            )
        )

    def discarded(self, error: ModelError, wait: float, reaction: str) -> None:
        """Record that an attempt failed and another one is made.

        Args:
            error: Why it failed.
            wait: Seconds until the next attempt.
            reaction: `retry`, `repair` or `fallback`.
        """
        run = self._run
        self._describe(error)
        logger.info("model call: %s after %s (run %s)", reaction, error.kind, run.label, extra={"run_id": run.id})
        self.span.event(reaction, attempt=self.attempt, reason=error.kind, seconds=wait)
        if run.sinks and self.step is not None:
            run.emit(AttemptDiscarded(run.id, run.trace.now(), self.step, self.attempt, error.record(), wait))
        self._failed_at = run.trace.now()

    def failed(self, error: ModelError) -> None:
        """Close the span of a call that failed for good, and tell listeners."""
        run = self._run
        self._describe(error)
        self._set_usage()
        self.span.close(error.kind, str(error))
        if run.sinks and self.step is not None:
            run.emit(ModelCallFailed(run.id, run.trace.now(), self.step, self.attempt, error.record()))

    def abandoned(self, message: str = "") -> None:
        """Close the span of a call that was cancelled; nothing happens to one that has ended."""
        self.span.close("cancelled", message)

    def close(self, answer: Answer) -> None:
        """Close the span with what the answer says of itself; never with its content."""
        attributes = self.span.span.attributes
        if (response_id := answer.body.get("id")) is not None:
            attributes[names.RESPONSE_ID] = response_id
        if (model := answer.body.get("model")) is not None:
            attributes[names.RESPONSE_MODEL] = model
        if answer.time_to_first_token is not None:
            attributes[names.TIME_TO_FIRST_CHUNK] = answer.time_to_first_token
            attributes[names.REQUEST_STREAM] = True
        if answer.finish_reason is not None:
            attributes[names.FINISH_REASONS] = (answer.finish_reason,)
        self._set_usage()
        if self.span.takes_content:
            self._give_content(answer)
        self.span.close()

    def _set_usage(self) -> None:
        """Put on the span what all answers of the call used, as far as it was reported."""
        usage, attributes = self._usage, self.span.span.attributes
        if usage is None:
            return
        if usage.input_tokens is not None:
            attributes[names.INPUT_TOKENS] = usage.input_tokens
        if usage.output_tokens is not None:
            attributes[names.OUTPUT_TOKENS] = usage.output_tokens
        if usage.cached_input_tokens is not None:
            attributes[names.CACHED_INPUT_TOKENS] = usage.cached_input_tokens
        if usage.cache_write_tokens is not None:
            attributes[names.CACHE_WRITE_TOKENS] = usage.cache_write_tokens
        if usage.reasoning_tokens is not None:
            attributes[names.REASONING_TOKENS] = usage.reasoning_tokens

    def _give_content(self, answer: Answer) -> None:
        run = self._run
        calls = [{"id": one.id, "function": {"name": one.name, "arguments": one.arguments}} for one in answer.calls]
        before = [*(message.to_chat() for message in run.messages), *run.turns()]
        give_messages(self.span, run, before, {"role": "assistant", "content": answer.text, "tool_calls": calls})

    def _time_chunk(self) -> None:
        """Record the time since the chunk before, where somebody takes metrics and the answer is streamed."""
        telemetry, now = self._run.trace.telemetry, self._run.trace.now()
        if telemetry is not None and telemetry.metrics is not None and self._chunk_at is not None:
            telemetry.metrics.chunk(now - self._chunk_at, self.span.span.attributes)
        self._chunk_at = now

    def _describe(self, error: ModelError) -> None:
        """Put what the answer said of itself on the error that it led to."""
        record = self.exchange
        if record is not None and error.request_id is None:
            error.finish_reason = record.finish_reason
            error.request_id, error.rate_limits = record.request_id, record.rate_limits or {}

    def _emit_text(self, text: str) -> None:
        run = self._run
        if text and run.sinks and self.step is not None:
            run.emit(TextDelta(run.id, run.trace.now(), self.step, self.attempt, text))
