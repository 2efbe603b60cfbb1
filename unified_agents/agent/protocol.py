"""What users hold: the `Agent` protocol, the same on every backend."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from unified_agents.agent.decisions import Decision
from unified_agents.agent.journaling import OnDivergence
from unified_agents.config import Limits
from unified_agents.events import AnyEvent, Event
from unified_agents.messages import Task
from unified_agents.result import RunResult, ValueT_co


class EventStream(Protocol[ValueT_co]):
    """The events of one run, in their order; the last is `RunEnded`."""

    def __aiter__(self) -> AsyncIterator[AnyEvent]:
        """The events as they happen."""

    @property
    def result(self) -> RunResult[ValueT_co] | None:
        """The result, once the run has ended."""


@runtime_checkable
class Agent(Protocol[ValueT_co]):
    """One agent, whatever framework runs it. An agent serves many runs at once.

    `async with create_agent(…) as agent:` closes it at the end of the block.
    """

    @property
    def backend(self) -> str:
        """The backend's name."""

    @property
    def native(self) -> object:
        """The framework's own object. Its shape is the framework's and may change with it."""

    async def run(
        self,
        task: Task,
        *,
        run_id: str | None = None,
        limits: Limits | None = None,
        record_exchanges: bool = False,
        on_event: Callable[[Event], None] | None = None,
        dependencies: object = None,
        session: str | None = None,
    ) -> RunResult[ValueT_co]:
        """Run one task to its end.

        Args:
            task: What the user asks, as plain text, or a conversation in Chat Completions terms.
            run_id: A name for the run; None takes a new unique one.
            limits: Bounds of this run; None takes the agent's own.
            record_exchanges: Whether `result.exchanges` keeps the bodies of all requests and answers.
            on_event: Called with each event as it happens, on the run's event loop; must not block.
            dependencies: What tools get as `ToolContext.dependencies`, such as a user or a connection. The model never
                sees it.
            session: The id of a conversation, of which this run is a turn: it is given the turns before it, as the
                agent's `memory` says. The journal keeps it, or without one the agent. Only a completed turn counts.

        Returns:
            The outcome. A run that hits a limit does not raise: its `status` is "limit".

        Raises:
            RunError: the run failed; `kind` says how, and `result` holds everything produced before the failure.
            ConfigError: the task has no messages or is no conversation, or an argument is of a wrong type.
            InvalidInputError: the task or the instructions hold what cannot be sent, such as half a surrogate pair.
        """

    def run_sync(
        self,
        task: Task,
        *,
        run_id: str | None = None,
        limits: Limits | None = None,
        record_exchanges: bool = False,
        on_event: Callable[[Event], None] | None = None,
        dependencies: object = None,
        session: str | None = None,
    ) -> RunResult[ValueT_co]:
        """`run`, for code that is not asynchronous. Also works where an event loop is running, and blocks it."""

    def stream(
        self,
        task: Task,
        *,
        run_id: str | None = None,
        limits: Limits | None = None,
        record_exchanges: bool = False,
        dependencies: object = None,
    ) -> AbstractAsyncContextManager[EventStream[ValueT_co]]:
        """Run one task and follow its events: `async with agent.stream(…) as events: async for event in events`.

        The model's answers are streamed. Leaving the block early cancels the run; `events.result` then says so. A run
        that fails raises its error from the iteration, after `RunEnded`. Arguments and errors are those of `run`.
        """

    async def resume(
        self,
        run_id: str,
        *,
        decisions: Mapping[str, Decision] | None = None,
        on_divergence: OnDivergence = "stop",
        limits: Limits | None = None,
        record_exchanges: bool = False,
        on_event: Callable[[Event], None] | None = None,
        dependencies: object = None,
    ) -> RunResult[ValueT_co]:
        """Go on with a run that the agent's journal holds, whichever process and backend began it.

        Model calls and tool calls that are finished are answered from the journal, and are told to no listener. A call
        that was in flight when its process died is run again with the same `ToolContext.idempotency_key` if its tool is
        idempotent; else the run is suspended, and `result.pending` names the call.

        Args:
            run_id: The run.
            decisions: What is decided about the calls of `result.pending`, by their ids: `approve()`, `deny(reason)`,
                `edit(arguments)` or `finished(result)`; where an MCP server asks, `accept(content)`, `decline()` or
                `cancel()`. Each is used once.
            on_divergence: What happens where the agent has other tools than before, or asks the model something else:
                `stop` raises `DivergenceError`; `continue` goes on with what the journal holds.
            limits: Bounds of the whole run, what the journal holds included; None takes the agent's own. Only the
                wall clock begins anew.
            record_exchanges: As for `run`; what the journal holds has none.
            on_event: As for `run`.
            dependencies: As for `run`.

        Returns:
            The outcome of the whole run. That of a completed run is returned without a request.

        Raises:
            RunNotFoundError: the journal has no such run.
            RunBusyError: it has an owner that lives.
            DivergenceError: see `on_divergence`.
            JournalError: the journal cannot be read or written.
            RunError: the run failed.
            ConfigError: there is no journal, or a decision is about a call that does not wait for one.
        """

    def resume_sync(
        self,
        run_id: str,
        *,
        decisions: Mapping[str, Decision] | None = None,
        on_divergence: OnDivergence = "stop",
        limits: Limits | None = None,
        record_exchanges: bool = False,
        on_event: Callable[[Event], None] | None = None,
        dependencies: object = None,
    ) -> RunResult[ValueT_co]:
        """`resume`, for code that is not asynchronous. Also works where an event loop is running, and blocks it."""

    async def aclose(self) -> None:
        """End the runs that are under way, and close all connections. The agent cannot be used after."""

    def close(self) -> None:
        """Do the same as `aclose` in code that is not asynchronous.

        Raises:
            UnsupportedCapabilityError: an event loop runs in this thread, which would wait for itself.
        """

    def __enter__(self) -> Self:
        """Return the agent."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Close the agent, as `close` does."""

    async def __aenter__(self) -> Self:
        """Return the agent."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Close the agent, as `aclose` does."""
