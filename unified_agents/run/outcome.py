"""Decides how a run has ended, and makes its result."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from unified_agents.errors import (
    BackendError,
    BadResponseError,
    ErrorRecord,
    LimitError,
    RunError,
    error_chain,
    native_name,
)
from unified_agents.events import RunEnded
from unified_agents.messages import Message
from unified_agents.result import PendingCall, RunResult, RunStatus
from unified_agents.run.calls import dropped_calls
from unified_agents.run.context import Run
from unified_agents.run.lifecycle import Cancelled, Suspended
from unified_agents.run.span_content import give_messages
from unified_agents.text import text_of
from unified_agents.tracing import conventions as names
from unified_agents.tracing.spans import ERROR_SWALLOWED, AttributeValue

logger = logging.getLogger("unified_agents.run")


def finish(run: Run, output: str | None, parse: Callable[[str], Any] | None) -> RunResult:
    """Close the run's span and make its result.

    Args:
        run: A run that has ended.
        output: The final answer.
        parse: Makes a value of the final answer; None for free text.
    """
    if output and run.handling == "native":  # what the framework got has gone past the wire as it came
        output = run.answer_redactor.redact(output)
    status = _status(run)
    for name in list(run.native_threads.values()):  # at once: threads that end take themselves out
        run.abandon("of the framework", name)
    run.errors.extend(run.abandoned)
    if isinstance(run.lifecycle.cause, RunError):
        record = run.lifecycle.cause.record()
        if record in run.errors:
            run.errors.remove(record)  # a tool's failure that ended the run is told once, as its end
        run.errors.append(record)
    elif isinstance(run.lifecycle.cause, Suspended):
        run.errors.append(ErrorRecord(kind="suspended", type="Suspended", message=str(run.lifecycle.cause)))
    elif run.lifecycle.cause is not None:
        run.errors.append(ErrorRecord(kind="cancelled", type="CancelledError", message=str(run.lifecycle.cause)))
    kind = run.errors[-1].kind if run.lifecycle.cause is not None else None
    run.root.span.attributes.update(_usage(run))
    if run.root.takes_content:
        said = None if output is None else {"role": "assistant", "content": output}
        give_messages(run.root, run, [message.to_chat() for message in run.messages], said)
    run.root.close(kind, str(run.lifecycle.cause or ""))
    result = _result(run, status, output, parse(output) if parse and output and status == "completed" else None)
    logger.info("run ended: %s (run %s)", status, run.label, extra={"run_id": run.id})
    if run.sinks:
        run.emit(RunEnded(run.id, run.trace.now(), result))
    return result


def outcome(run: Run, task: asyncio.Task[str | None], translate: Callable[[Exception], RunError | None]) -> str | None:
    """Return the native loop's final answer. Where there is none, record the cause in the run's lifecycle.

    Args:
        run: A run that has ended.
        task: Its native loop.
        translate: Returns our error for a foreign one; None for one that it does not know.
    """
    if run.lifecycle.cause is not None:
        if task.done() and not task.cancelled():
            task.exception()  # discarded: the recorded cause decides
        return None
    if not task.done() or task.cancelled():
        run.lifecycle.cause = BackendError("the framework cancelled its own run")
        return None
    error = task.exception()
    if error is None:
        failure = run.last_model_error
        run.lifecycle.cause = failure or _dropped_calls(run)
        if failure is not None:
            run.root.event(ERROR_SWALLOWED, kind=failure.kind)
            return None  # what a framework says in place of an answer that never came is no output
        return task.result()
    if not isinstance(error, Exception):
        raise error
    run.lifecycle.cause = _translated(run, error, translate)
    return None


def _translated(run: Run, error: Exception, translate: Callable[[Exception], RunError | None]) -> RunError:
    known = _tool_failure(run, error) or (error if isinstance(error, RunError) else None) or translate(error)
    seen = run.last_model_error
    # The wire's words name the key's variable, and never hold the key. A client may have no class for what a server
    # reports within a stream, and calls it an answer that cannot be read. A framework may say only that it failed.
    vague = ("bad_response", "backend")
    if known is not None and seen is not None and known is not seen and known.kind in (seen.kind, *vague):
        seen.native_type = known.native_type
        known = seen
    if known is None:
        text = text_of(error) or "without a message"
        known = BackendError(f"the framework failed: {type(error).__name__}: {text}", native_type=native_name(error))
    if known is not error:
        known.__cause__ = error
    known.args = (run.redactor.redact(str(known)),)  # a framework tells what a server said, which may echo the key
    return known


def _tool_failure(run: Run, error: BaseException) -> RunError | None:
    for link in error_chain(error):
        for raised, failure in run.raised:
            if raised is link:
                return failure
    return None


def _dropped_calls(run: Run) -> BackendError | None:
    if run.handling == "native":
        return None
    dropped = [call for step in run.steps for call in step.calls if not call.reached]
    return dropped_calls("ended", dropped) if dropped else None


def _status(run: Run) -> RunStatus:
    if run.lifecycle.cause is None:
        return "completed"
    if isinstance(run.lifecycle.cause, LimitError):
        return "limit"
    if isinstance(run.lifecycle.cause, Suspended):
        return "suspended"
    return "cancelled" if isinstance(run.lifecycle.cause, Cancelled) else "failed"


def _usage(run: Run) -> dict[str, AttributeValue]:
    counts = {names.INPUT_TOKENS: run.budget.usage.input_tokens, names.OUTPUT_TOKENS: run.budget.usage.output_tokens}
    return {name: count for name, count in counts.items() if count is not None}


def _result(run: Run, status: RunStatus, output: str | None, value: Any) -> RunResult:
    span, cause, budget, measured = run.root.span, run.lifecycle.cause, run.budget, run.measurements
    return RunResult.model_construct(
        run_id=run.id,
        backend=run.backend,
        handling=run.handling,
        status=status,
        limit=cause.limit if isinstance(cause, LimitError) else None,
        output=cause.answer if output is None and isinstance(cause, BadResponseError) else output,
        messages=_conversation(run, output),
        usage=budget.usage,
        errors=tuple(run.errors),
        finish_reason=measured.finish_reason(),
        model_calls=tuple([record.model_call() for record in measured.model_calls]),
        tool_calls=tuple(call.record() for step in run.steps for call in step.calls),
        requests=budget.requests,
        retries=measured.retries,
        request_bytes=tuple(measured.request_bytes),
        seconds=measured.timing((span.end or run.trace.now()) - span.start),
        time_to_first_token=measured.time_to_first_token,
        trace=span,
        exchanges=tuple(record.exchange() for record in measured.exchanges or ()),
        pending=_pending(run),
        cost=budget.cost,
        value=value,
    )


def _pending(run: Run) -> tuple[PendingCall, ...]:
    """Return the calls that wait for a decision, in the model's order."""
    asked = run.journal.open_elicitations if run.journal is not None else {}
    return tuple(
        [
            PendingCall(**dict(call.record()), reason=run.pending[call.id], elicitation=asked.get(call.id))
            for call in run.calls.values()
            if call.id in run.pending
        ]
    )


def _conversation(run: Run, output: str | None) -> tuple[Message, ...]:
    messages = [*run.messages, *map(Message.from_chat, run.turns(with_reasoning=True))]
    if output and not (run.steps and not run.steps[-1].calls):
        messages.append(Message(role="assistant", content=output))
    return tuple(messages)
