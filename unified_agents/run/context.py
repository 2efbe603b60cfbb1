"""One run: what both seams share while it lasts."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NoReturn

from unified_agents.config import Limits, ToolPolicy
from unified_agents.errors import BackendError, ErrorRecord, LimitError, ModelError, ToolFailedError
from unified_agents.events import Event, ModelCallStarted, RunEnded
from unified_agents.journal.record import RunRecord
from unified_agents.journal.turns import SessionTurn
from unified_agents.messages import JsonObject, Message
from unified_agents.redaction.redactor import NO_SECRETS, Redactor
from unified_agents.result import PendingReason
from unified_agents.run.budget import Budget
from unified_agents.run.calls import Call, Step
from unified_agents.run.lifecycle import Lifecycle
from unified_agents.run.measurements import Measurements
from unified_agents.tools.offer import Offer
from unified_agents.tracing.live import LiveTrace, OpenSpan

current_run: ContextVar[Run | None] = ContextVar("unified_agents_run", default=None)
current_call: ContextVar[RunningCall | None] = ContextVar("unified_agents_call", default=None)

logger = logging.getLogger("unified_agents.run")


@dataclass(slots=True, eq=False)
class RunningCall:
    """The tool call that the current code runs in.

    Attributes:
        run: Its run.
        call: The call.
        span: Its span.
        left_behind: The work of a thread that was given up and holds a resource which the call would need again.
    """

    run: Run
    call: Call
    span: OpenSpan
    left_behind: Future[None] | None = None


@dataclass(slots=True, eq=False, repr=False)
class Run:
    """The state of one run.

    Attributes:
        id: Unique.
        backend: The backend's name.
        handling: `unified` or `native`.
        limits: Its bounds.
        messages: What it was given.
        instructions: The system text of its agent; None where it has none.
        trace: Its live trace.
        root: The open `invoke_agent` span.
        offer: The tools that the model is offered.
        hides_tools: Whether the framework knows none of the offered tools, and is given each call by its id alone.
        dependencies: What the caller gave for the tools.
        redactor: Takes the secrets of the run's models out of what a framework says of errors.
        answer_redactor: Takes them out of the output, where short ones may be words.
        parent: The run whose tool started this one; its limits and its end hold here too.
        tool_policy: What is done about an idempotent tool that fails for now.
        bounds_calls_asked: Whether limits on tool calls hold where the model asks for them: somebody else's agent runs
            its tools itself.
        streaming: Whether its events are streamed.
        journal: What its journal holds of it; None where it keeps none.
        state: What its tools share as `ToolContext.state`.
        pending: The calls that wait for a decision, each with the reason.
        turn: The part that it has in a session; None for none.
        lifecycle: Its tasks, and how it ends.
        budget: What it has used up of its limits.
        measurements: Its times, sizes and recorded exchanges.
        steps: The model's answers so far, with their calls.
        calls: The calls by id.
        given_ids: The ids of the calls in the conversation that it was given.
        conversations: For each model that was asked: its conversation, as far as it is written.
        without_originals: The models of these that have answered only once the original turns were left out.
        has_originals: Whether a turn of the conversation has an original.
        errors: What went wrong so far.
        abandoned: What does not end, and was given up.
        given_up: The tasks among that.
        failed_request: Under `native`: the body of the last request when it failed. The same body again is a retry.
        failed_attempts: Under `native`: how often that request failed.
        last_model_error: Under `native`: why the last model call gave no whole answer, in the wire's words; a run that
            ends over it has failed, whatever its framework makes of it.
        native_threads: Under `native`: the threads that tools run in, by call id.
        raised: Under `native`: what tools raised, with our error for it.
        matching: Held while a call of a `native` tool is matched to one that the model asked for.
        sinks: Who is told of events.
        slots: One for each tool that may run at once.
    """

    id: str
    backend: str
    handling: str
    limits: Limits
    messages: tuple[Message, ...]
    trace: LiveTrace
    root: OpenSpan
    offer: Offer
    instructions: str | None = None
    dependencies: Any = None
    redactor: Redactor = NO_SECRETS
    answer_redactor: Redactor = NO_SECRETS
    parent: Run | None = None
    tool_policy: ToolPolicy | None = None
    hides_tools: bool = False
    bounds_calls_asked: bool = False
    streaming: bool = False
    journal: RunRecord | None = None
    state: JsonObject = field(default_factory=dict)
    pending: dict[str, PendingReason] = field(default_factory=dict)
    turn: SessionTurn | None = None

    lifecycle: Lifecycle = field(init=False)
    budget: Budget = field(init=False)
    measurements: Measurements = field(default_factory=Measurements)
    given_ids: frozenset[str] = field(init=False)
    slots: asyncio.Semaphore = field(init=False)
    has_originals: bool = field(init=False)

    steps: list[Step] = field(default_factory=list)
    calls: dict[str, Call] = field(default_factory=dict)
    conversations: dict[object, Any] = field(default_factory=dict)
    without_originals: set[object] = field(default_factory=set)
    errors: list[ErrorRecord] = field(default_factory=list)
    abandoned: list[ErrorRecord] = field(default_factory=list)
    given_up: set[asyncio.Task[Any]] = field(default_factory=set)
    failed_request: bytes | None = None
    failed_attempts: int = 0
    last_model_error: ModelError | None = None
    native_threads: dict[str, str] = field(default_factory=dict)
    raised: list[tuple[Exception, ToolFailedError]] = field(default_factory=list)
    matching: threading.Lock = field(default_factory=threading.Lock)
    sinks: list[Callable[[Event], None]] = field(default_factory=list)
    _has_told_end: bool = False
    _thread: int = field(default_factory=threading.get_ident)

    def __post_init__(self) -> None:
        self.lifecycle = Lifecycle(self.id, self.label)
        self.budget = Budget(self.limits, self.parent.budget if self.parent is not None else None)
        self.given_ids = frozenset(call.id for message in self.messages for call in message.tool_calls)
        self.has_originals = any(message.original is not None for message in self.messages)
        self.slots = asyncio.Semaphore(self.limits.max_parallel_tools)

    @property
    def label(self) -> str:
        """The run's id and backend, for the log."""
        return f"{self.id} on {self.backend}"

    def turns(self, *, with_reasoning: bool = False) -> Iterator[JsonObject]:
        """Yield what the run has added to the messages that it was given, with the model's thinking where asked."""
        for step in self.steps:
            done = [(call.id, call.outcome.content) for call in step.calls if call.outcome is not None]
            kept = {call_id for call_id, _ in done}
            calls = [raw for raw in step.message.get("tool_calls", ()) if raw["id"] in kept]
            turn: JsonObject = {"role": "assistant", "content": step.message["content"]}
            if step.original is not None and len(calls) == len(step.calls):
                turn["original"] = step.original
            if with_reasoning and step.reasoning is not None:
                turn["reasoning"] = step.reasoning
            if calls:
                yield turn | {"tool_calls": calls}
            elif not step.calls:
                yield turn
            for call_id, content in done:
                yield {"role": "tool", "tool_call_id": call_id, "content": content}

    def emit(self, event: Event) -> None:
        """Tell every listener. Build events only when `sinks` is not empty. A listener that raises ends the run.

        Nothing comes after `RunEnded`: a thread that was given up may end later.
        """
        if self._has_told_end:
            return
        self._has_told_end = isinstance(event, RunEnded)
        for sink in self.sinks:
            try:
                sink(event)
            except Exception as error:
                logger.exception("an event listener raised (run %s)", self.label, extra={"run_id": self.id})
                failure = BackendError(f"an event listener raised {type(error).__name__}: {error}")
                failure.__cause__ = error
                self.lifecycle.end(failure)

    def emit_threadsafe(self, event: Event) -> None:
        """Tell every listener, from whatever thread this is."""
        if threading.get_ident() == self._thread:
            self.emit(event)
        else:
            with suppress(RuntimeError):  # the run's loop has been closed
                self.lifecycle.ended.get_loop().call_soon_threadsafe(self.emit, event)

    async def admit(self, limit_met: Callable[[], LimitError | None]) -> None:
        """Enter a seam. Returns without giving way to other tasks, or never.

        Args:
            limit_met: Returns the limit that is used up; None when there is room.

        Raises:
            asyncio.CancelledError: the run is shut, or was while this waited. Never an `Exception`: frameworks turn
                those into text for the model, or into retries.
        """
        if not self.admits(limit_met):
            await self.stay_out()

    async def stay_out(self) -> NoReturn:
        """Wait for the end of a run that admits nothing new; see `admit` for what is raised."""
        if not self.lifecycle.shut and not self._inside_tool():
            await asyncio.wait([self.lifecycle.ended])
        raise asyncio.CancelledError(f"run {self.id} has ended")

    def admits(self, limit_met: Callable[[], LimitError | None]) -> bool:
        """Tell whether something new may start; where a limit forbids it, the run drains."""
        lifecycle = self.lifecycle
        if lifecycle.shut or lifecycle.draining:
            return False
        if (limit := limit_met()) is not None:
            lifecycle.drain(limit)
        return limit is None

    def begin_request(self, step: int | None, attempt: int, body: bytes) -> float:
        """Count a request that now goes to a model; returns the time on the run's clock."""
        self.budget.count_request()
        self.measurements.request_bytes.append(len(body))
        now = self.trace.now()
        if self.sinks and step is not None:
            self.emit(ModelCallStarted(self.id, now, step, attempt, len(body)))
        return now

    def abandon(self, tool: str, thread: str) -> None:
        """Record that a synchronous tool did not stop, and that its thread is given up."""
        message = f"tool {tool!r} did not stop: its thread {thread!r} was abandoned and runs on"
        logger.warning("%s (run %s)", message, self.label, extra={"run_id": self.id})
        self.abandoned.append(ErrorRecord(kind="timeout", type="ToolTimeoutError", message=message))

    def abandon_coroutine(self, tool: str) -> None:
        """Record that an asynchronous tool did not end when its timeout cancelled it."""
        message = f"tool {tool!r} does not end when it is cancelled, and was abandoned"
        logger.warning("%s (run %s)", message, self.label, extra={"run_id": self.id})
        self.abandoned.append(ErrorRecord(kind="timeout", type="ToolTimeoutError", message=message))

    def release(self) -> None:
        """Drop what holds the run in turn, once it is over: else its memory waits for the garbage collector."""
        self.conversations.clear()
        for call in self.calls.values():
            call.task = call.here = None  # the context of a task holds the run

    def _inside_tool(self) -> bool:
        # A tool that waited here for the end would keep the end waiting for the tool.
        running = current_call.get()
        return running is not None and running.run is self
