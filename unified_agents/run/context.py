"""One run: what both seams share while it lasts, and how it ends.

A run owns the tasks that its seams start. It ends in one of three ways: the native loop returns or raises; somebody
calls `end` (a fatal error, the wall clock, a cancel), which cancels those tasks at once; or a limit calls `drain`,
after which nothing new starts and what runs may finish. From the moment it is shut, the cause recorded first decides
the result, whatever the framework then does.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from unified_agents.config import Limits, ToolPolicy
from unified_agents.errors import (
    BackendError,
    ErrorRecord,
    LimitError,
    ModelError,
    RunError,
    ToolFailedError,
)
from unified_agents.events import Event, ModelCallStarted
from unified_agents.messages import JsonObject, Message, Usage
from unified_agents.run.calls import Call, Step

if TYPE_CHECKING:
    from unified_agents.tools.offer import Offer
    from unified_agents.tracing.live import LiveTrace, OpenSpan

T = TypeVar("T")

current_run: ContextVar[Run | None] = ContextVar("unified_agents_run", default=None)
current_call: ContextVar[RunningCall | None] = ContextVar("unified_agents_call", default=None)

logger = logging.getLogger("unified_agents.run")


class Cancelled(Exception):  # noqa: N818  # a cause of ending, never raised
    """The caller cancelled the run."""


@dataclass(slots=True, eq=False)
class RunningCall:
    """The tool call that the current code runs in.

    Attributes:
        run: Its run.
        call: The call.
        span: Its span.
        left_behind: A thread's work that was given up and holds a resource which the call would need again.
    """

    run: Run
    call: Call
    span: OpenSpan
    left_behind: Future[Any] | None = None


Interval = tuple[float, float]


@dataclass(slots=True, eq=False, repr=False)
class ExchangeDraft:
    """An exchange while it is under way; see `Exchange` for the fields."""

    step: int | None
    attempt: int
    received: bytes
    sent: bytes
    status: int | None = None
    answered: bytes = b""
    returned: bytes = b""


@dataclass(slots=True, eq=False, repr=False)
class Run:
    """The state of one run.

    Attributes:
        id: Unique.
        backend: The backend's name.
        handling: `unified` or `native`.
        limits: Its bounds.
        messages: What it was given.
        trace: Its live trace.
        root: The open `invoke_agent` span.
        parent: The run whose tool started this one; its limits and its end hold here too.
        given_ids: Ids of the calls in the conversation that it was given.
        kids: The runs that its tools have started and that are not done.
        record_exchanges: Whether bodies are kept.
        tool_policy: What is done about an idempotent tool that fails for now.
        offer: What the model is offered, where that was chosen for this run; None offers all of the agent's tools.
    """

    id: str
    backend: str
    handling: str
    limits: Limits
    messages: tuple[Message, ...]
    trace: LiveTrace
    root: OpenSpan
    parent: Run | None = None
    record_exchanges: bool = False
    tool_policy: ToolPolicy | None = None

    given_ids: frozenset[str] = frozenset()
    kids: set[Run] = field(default_factory=set)
    steps: list[Step] = field(default_factory=list)
    calls: dict[str, Call] = field(default_factory=dict)
    errors: list[ErrorRecord] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    steps_started: int = 0
    tool_calls: int = 0
    requests: int = 0
    retries: int = 0
    request_bytes: list[int] = field(default_factory=list)
    time_to_first_token: float | None = None
    exchanges: list[ExchangeDraft] = field(default_factory=list)
    model_time: list[Interval] = field(default_factory=list)
    tool_time: list[Interval] = field(default_factory=list)
    abandoned: list[ErrorRecord] = field(default_factory=list)
    waiting_time: list[Interval] = field(default_factory=list)
    waits_since: float | None = None
    cost: float | None = None
    streaming: bool = False
    offer: Offer | None = None
    failed_request: bytes | None = None
    failed_attempts: int = 0
    last_model_error: ModelError | None = None
    native_threads: dict[str, str] = field(default_factory=dict)
    raised: list[tuple[Exception, ToolFailedError]] = field(default_factory=list)
    matching: threading.Lock = field(default_factory=threading.Lock)
    sinks: list[Callable[[Event], None]] = field(default_factory=list)

    cause: Exception | None = None
    slots: asyncio.Semaphore = field(init=False)  # one for each tool that may run at once
    _thread: int = field(default_factory=threading.get_ident)
    _shut: bool = False
    _draining: bool = False
    _ended: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    _children: set[asyncio.Task[Any]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.slots = asyncio.Semaphore(self.limits.max_parallel_tools)

    @property
    def shut(self) -> bool:
        """Whether the run has ended."""
        return self._shut

    @property
    def drained(self) -> bool:
        """Whether a limit ended the run, and what ran then was let finish."""
        return self._draining

    @property
    def ended(self) -> asyncio.Future[None]:
        """Done once the run is shut."""
        return self._ended

    @property
    def children(self) -> frozenset[asyncio.Task[Any]]:
        """The tasks that the seams have started and that are not done."""
        return frozenset(self._children)

    def conversation(self) -> list[JsonObject]:
        """The messages so far in Chat Completions terms, without the instructions; of each call that has a result."""
        return [*(message.to_chat() for message in self.messages), *self.turns()]

    def turns(self) -> Iterator[JsonObject]:
        """What the run has added to the messages that it was given."""
        for step in self.steps:
            done = [(call.id, call.outcome.content) for call in step.calls if call.outcome is not None]
            kept = {call_id for call_id, _ in done}
            calls = [raw for raw in step.message.get("tool_calls", ()) if raw["id"] in kept]
            if calls:
                yield {"role": "assistant", "content": step.message["content"], "tool_calls": calls}
            elif not step.calls:
                yield {"role": "assistant", "content": step.message["content"]}
            for call_id, content in done:
                yield {"role": "tool", "tool_call_id": call_id, "content": content}

    def emit(self, event: Event) -> None:
        """Tell every listener. Build events only when `sinks` is not empty. A listener that raises ends the run."""
        for sink in self.sinks:
            try:
                sink(event)
            except Exception as error:
                logger.exception("an event listener raised", extra={"run_id": self.id})
                failure = BackendError(f"an event listener raised {type(error).__name__}: {error}")
                failure.__cause__ = error
                self.end(failure)

    def emit_threadsafe(self, event: Event) -> None:
        """Tell every listener, from whatever thread this is."""
        loop = self._ended.get_loop()
        if threading.get_ident() == self._thread:
            self.emit(event)
        else:
            loop.call_soon_threadsafe(self.emit, event)

    async def admit(self, over: Callable[[], LimitError | None]) -> None:
        """Ask to go through a seam. Returns without giving way to other tasks, or never.

        Args:
            over: Gives the limit that is used up; None when there is room.

        Raises:
            asyncio.CancelledError: the run is shut, or was while this waited. Never an `Exception`: frameworks turn
                those into text for the model, or into retries.
        """
        if not self.admits(over) and not self._shut and not self._inside_tool():
            await asyncio.wait([self._ended])
        if self._shut or self._draining:
            raise asyncio.CancelledError(f"run {self.id} has ended")

    def admits(self, over: Callable[[], LimitError | None]) -> bool:
        """Whether something new may start; where a limit forbids it, the run drains."""
        if not self._shut and not self._draining and (limit := over()) is not None:
            self.drain(limit)
        return not self._shut and not self._draining

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start a task that ends with the run."""
        task = asyncio.create_task(work)
        self._children.add(task)
        task.add_done_callback(self._child_done)
        return task

    def end(self, cause: Exception | None) -> None:
        """Shut the run at once and cancel what the seams have started. Only the first cause counts."""
        if self._shut:
            return
        self._shut = True
        self.cause = self.cause or cause
        for child in self._children:
            child.cancel()
        for kid in self.kids:
            with suppress(RuntimeError):  # its loop may be closed already
                kid.ended.get_loop().call_soon_threadsafe(kid.end, Cancelled("the outer run has ended"))
        if not self._ended.done():
            self._ended.set_result(None)

    def drain(self, cause: Exception) -> None:
        """Let nothing new start, and end the run when what runs has finished."""
        if self._shut or self._draining:
            return
        self._draining = True
        self.cause = cause
        logger.info("run is draining", extra={"run_id": self.id})
        if not self._children:
            self.end(cause)

    def fail(self, error: RunError) -> None:
        """End the run with an error that it does not survive."""
        logger.warning("run failed: %s", error.kind, extra={"run_id": self.id})
        self.end(error)

    def room_for_model_call(self) -> LimitError | None:
        """The limit that forbids another step, or None."""
        return _first_met(self, Run._requests_met) or _first_met(self, Run._steps_met)

    def room_for_request(self) -> LimitError | None:
        """The limit that forbids another request to a model, or None."""
        return _first_met(self, Run._requests_met)

    def room_for_tool_call(self) -> LimitError | None:
        """The limit that forbids another tool call, or None."""
        return _first_met(self, Run._tool_calls_met)

    def count(
        self, *, requests: int = 0, tool_calls: int = 0, usage: Usage | None = None, cost: float | None = None
    ) -> None:
        """Count against this run and those above it."""
        run: Run | None = self
        while run is not None:
            run.requests += requests
            run.tool_calls += tool_calls
            if usage is not None:
                run.usage = run.usage + usage
            if cost is not None:
                run.cost = (run.cost or 0.0) + cost
            run = run.parent

    def begin_request(self, step: int | None, attempt: int, body: bytes) -> float:
        """Count a request that now goes to a model; returns the time on the run's clock."""
        self.count(requests=1)
        self.request_bytes.append(len(body))
        now = self.trace.now()
        if self.sinks and step is not None:
            self.emit(ModelCallStarted(self.id, now, step, attempt, len(body)))
        return now

    def waited(self, since: float) -> None:
        """Note the time that something was put off: since it was, or since the moment given."""
        self.waiting_time.append((since if self.waits_since is None else self.waits_since, self.trace.now()))
        self.waits_since = None

    def draft(self, step: int | None, attempt: int, received: bytes, sent: bytes) -> ExchangeDraft | None:
        """A place for the bodies of an exchange; None unless they are kept."""
        if not self.record_exchanges:
            return None
        draft = ExchangeDraft(step, attempt, received, sent)
        self.exchanges.append(draft)
        return draft

    def first_token(self, seconds: float) -> None:
        """Note the time to first token; only the run's first counts."""
        if self.time_to_first_token is None:
            self.time_to_first_token = seconds

    def abandon(self, tool: str, thread: str) -> None:
        """Note that a synchronous tool did not stop, and that its thread is given up."""
        message = f"tool {tool!r} did not stop: its thread {thread!r} was abandoned and runs on"
        logger.warning("%s", message, extra={"run_id": self.id})
        self.abandoned.append(ErrorRecord(kind="timeout", type="ToolTimeoutError", message=message))

    def _inside_tool(self) -> bool:
        # A tool that waited here for the end would keep the end waiting for the tool.
        running = current_call.get()
        return running is not None and running.run is self

    def _requests_met(self) -> LimitError | None:
        if self.requests >= self.limits.max_model_calls:
            return LimitError("max_model_calls", str(self.limits.max_model_calls))
        return self._spent()

    def _steps_met(self) -> LimitError | None:
        if self.steps_started >= self.limits.max_steps:
            return LimitError("max_steps", str(self.limits.max_steps))
        return None

    def _tool_calls_met(self) -> LimitError | None:
        if self.tool_calls >= self.limits.max_tool_calls:
            return LimitError("max_tool_calls", str(self.limits.max_tool_calls))
        return self._spent()

    def _spent(self) -> LimitError | None:
        tokens, cost = self.limits.max_tokens, self.limits.max_cost
        if tokens is not None and (self.usage.total_tokens or 0) >= tokens:
            return LimitError("max_tokens", str(tokens))
        if cost is not None and (self.cost or 0.0) >= cost:
            return LimitError("max_cost", f"{cost:g}")
        return None

    def _child_done(self, task: asyncio.Task[Any]) -> None:
        self._children.discard(task)
        if not task.cancelled():
            task.exception()  # retrieved by whoever awaits it; a cancelled waiter must not leave a warning
        if self._draining and not self._children:
            self.end(self.cause)


def _first_met(run: Run, met: Callable[[Run], LimitError | None]) -> LimitError | None:
    """The limit that a run, or one of those above it, has met."""
    above: Run | None = run
    while above is not None:
        if (limit := met(above)) is not None:
            return limit
        above = above.parent
    return None
