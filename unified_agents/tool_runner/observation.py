"""The observation of a tool call, alike for `unified` and `native`: its span, its events, its time and its record."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from unified_agents.errors import ErrorRecord, ToolCallError
from unified_agents.events import (
    ToolCallCompleted,
    ToolCallFailed,
    ToolCallProgress,
    ToolCallRetried,
    ToolCallStarted,
)
from unified_agents.run.calls import Call, ToolOutcome
from unified_agents.run.context import Run, RunningCall, current_call
from unified_agents.tools.definition import Tool, ToolContext
from unified_agents.tracing import conventions as names
from unified_agents.tracing.spans import AttributeValue

logger = logging.getLogger("unified_agents.tools")


class ObservedCall(RunningCall):
    """A tool call from its start to its end; the current call while it is entered.

    Whoever enters it says how it ended, with `completed` or `failed`. One that is left by an exception was cancelled.
    Under `native` all of this may happen in a thread of the framework's.

    Args:
        run: The run.
        call: The call, which now starts.
    """

    __slots__ = ("_start", "_token")

    def __init__(self, run: Run, call: Call) -> None:
        attributes: dict[str, AttributeValue] = {
            names.OPERATION: names.EXECUTE_TOOL,
            names.TOOL_NAME: call.name,
            names.TOOL_CALL_ID: call.id,
            names.TOOL_TYPE: "function",
        }
        tool = run.offer.by_own_name(call.name)
        if tool is not None and (description := tool.description):
            attributes[names.TOOL_DESCRIPTION] = description
        super().__init__(run, call, run.trace.open(f"{names.EXECUTE_TOOL} {call.name}", attributes, run.root))

    def __enter__(self) -> Self:
        run, call = self.run, self.call
        if run.sinks:
            now = run.trace.now()
            run.emit_threadsafe(ToolCallStarted(run.id, now, call.step, call.index, call.id, call.name, call.arguments))
        self._token = current_call.set(self)
        self._start = run.trace.now()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            self._stop()
            self.span.close("cancelled")

    def completed(self, outcome: ToolOutcome) -> None:
        """Record the result, and end the observation."""
        run, call = self.run, self.call
        now = self._stop()
        call.outcome = outcome
        if self.span.takes_content:
            self._give_content(outcome.content)
        self.span.close()
        if run.sinks:
            run.emit_threadsafe(
                ToolCallCompleted(run.id, now, call.step, call.index, call.id, call.name, outcome.content, call.seconds)
            )

    def failed(self, error: ToolCallError, outcome: ToolOutcome | None) -> None:
        """Record a failure, with what the model reads of it where we tell it, and end the observation."""
        run, call = self.run, self.call
        now = self._stop()
        call.outcome, call.error = outcome, self._record(error)
        run.errors.append(call.error)
        if self.span.takes_content:
            self._give_content(None if outcome is None else outcome.content)
        self.span.close(error.kind, type(error).__name__)
        logger.info(
            "tool call failed: %s (%s, run %s)",
            error.kind,
            call.name,
            run.label,
            extra={"run_id": run.id, "call_id": call.id},
        )
        if run.sinks:
            content = outcome.content if outcome is not None else None
            run.emit_threadsafe(
                ToolCallFailed(
                    run.id, now, call.step, call.index, call.id, call.name, call.error, content, call.seconds
                )
            )

    def retried(self, error: ToolCallError, failures: int, seconds: float) -> None:
        """Record that another attempt follows a failed one, after so many seconds."""
        run, call = self.run, self.call
        self.span.event("retry", attempt=failures, reason=error.kind, seconds=seconds)
        ids = {"run_id": run.id, "call_id": call.id}
        logger.info("tool call: retry after %s (%s, run %s)", error.kind, call.name, run.label, extra=ids)
        if run.sinks:
            now = run.trace.now()
            run.emit(
                ToolCallRetried(
                    run.id, now, call.step, call.index, call.id, call.name, failures, self._record(error), seconds
                )
            )

    def blocked(self, seconds: float) -> None:
        """Record that the tool kept the event loop for so long."""
        self.span.event("blocked_event_loop", seconds=seconds)
        logger.warning(
            "tool %r blocked the event loop for %.1f seconds, and with it every run; make it a plain function, which"
            " runs in a thread, or await what it waits for",
            self.call.name,
            seconds,
            extra={"run_id": self.run.id},
        )

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time that is spent within as waiting, and not as the tool's."""
        run, call = self.run, self.call
        start = run.trace.now()
        try:
            yield
        finally:
            pause = (start, run.trace.now())
            run.measurements.waiting_time.append(pause)
            call.pauses = [*(call.pauses or ()), pause]

    def context(self, tool: Tool) -> ToolContext:
        """Return what the tool's function may know of its call; progress that it reports becomes an event."""
        run, call = self.run, self.call
        journal = run.journal

        def report(progress: float, total: float | None, message: str) -> None:
            if run.sinks and call.outcome is None and not run.lifecycle.shut:
                now = run.trace.now()
                run.emit_threadsafe(
                    ToolCallProgress(run.id, now, call.step, call.index, call.id, call.name, progress, total, message)
                )

        return ToolContext(
            run.id,
            call.id,
            call.step,
            tool.name,
            on_progress=report,
            dependencies=run.dependencies,
            idempotency_key=f"{run.id}-{call.id}"
            if journal is None
            else journal.idempotency_key(call.step, call.index),
            state=run.state,
            elicitation_answers=None if journal is None else journal.elicitation_answers(call.id),
        )

    def _record(self, error: ToolCallError) -> ErrorRecord:
        """Return the record of a failure. What the tool said stays as it is only where the model reads it."""
        record = error.record()
        safe = self.run.redactor.redact(record.message)
        return record if safe == record.message else record.model_copy(update={"message": safe})

    def _give_content(self, result: str | None) -> None:
        """Put on the user's span what the tool was told and said, without the secrets of the models."""
        redact = self.run.redactor.redact
        self.span.content(names.TOOL_ARGUMENTS, redact(self.call.arguments))
        if result is not None:
            self.span.content(names.TOOL_RESULT, redact(result))

    def _stop(self) -> float:
        """Note how long the tool ran, without its pauses, and return the time on the run's clock."""
        run, call, start = self.run, self.call, self._start
        current_call.reset(self._token)
        for pause, resumed in call.pauses or ():
            run.measurements.tool_time.append((start, pause))
            call.seconds += pause - start
            start = resumed
        end = run.trace.now()
        run.measurements.tool_time.append((start, end))
        call.seconds += end - start
        return end
