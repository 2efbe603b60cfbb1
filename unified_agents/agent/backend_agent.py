"""The one implementation of `Agent`: joins a backend's native agent to the two seams."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TYPE_CHECKING, Any, Self

from unified_agents import wording
from unified_agents.agent.arguments import check_resume_arguments, check_run_arguments, check_session
from unified_agents.agent.capabilities import check_approval, check_capabilities
from unified_agents.agent.decisions import Decision
from unified_agents.agent.journaling import AgentJournal, OnDivergence, replay_finished_steps, replay_whole
from unified_agents.agent.model_servers import model_servers
from unified_agents.agent.new_run import check_cost, new_run
from unified_agents.agent.sessions import Sessions
from unified_agents.agent.settings import AgentSettings
from unified_agents.agent.stream import QueuedEvents, RunStream
from unified_agents.agent.summaries import summarised
from unified_agents.backend import (
    INVALID_CALL_TOOL,
    AgentSpec,
    Backend,
    BoundTool,
    ModelClient,
    calls_by_id,
    native_tool_name,
)
from unified_agents.catalogue.catalogue import open_catalogue
from unified_agents.concurrency.background_loop import run_in_background
from unified_agents.config import Handling, Limits, ModelConfig
from unified_agents.errors import BackendError, ConfigError, UnifiedAgentsError, UnsupportedCapabilityError, native_name
from unified_agents.events import Event
from unified_agents.journal.memory import MemoryJournal
from unified_agents.journal.turns import SessionTurn
from unified_agents.messages import Task
from unified_agents.registry import UNFINISHED, load_backend
from unified_agents.result import RunResult
from unified_agents.run.context import Run
from unified_agents.run.driver import Loop, drive
from unified_agents.run.lifecycle import Cancelled
from unified_agents.run.outcome import finish
from unified_agents.tools.definition import Tool
from unified_agents.tools.offer import Offer
from unified_agents.tracing.conventions import CONVERSATION_ID
from unified_agents.wire.output_format import OutputFormat
from unified_agents.wire.react.protocol import TextProtocol
from unified_agents.wire.unified import Wire

if TYPE_CHECKING:
    from unified_agents.agent.protocol import EventStream
    from unified_agents.catalogue.selection import Choice, Selector


class BackendAgent:
    """An agent over any backend.

    Args:
        settings: What the agent is made of. Sources of tools are opened now, and closed with the agent.
        adapter: What builds the native agent; None takes the backend that the settings name.

    Raises:
        ConfigError: a setting does not fit.
        UnsupportedCapabilityError: the backend cannot do what is asked.
    """

    def __init__(self, settings: AgentSettings, adapter: Backend | None = None) -> None:
        self._settings = settings
        self.backend = settings.backend
        self._catalogue = open_catalogue(settings.tools, coercion=settings.coercion)
        try:
            self._build(settings, load_backend(settings.backend) if adapter is None else adapter)
            secrets = {name: value for one in self._endpoints for name, value in one.secrets.items()}
            self._journal = AgentJournal(settings, self._catalogue.tools, secrets) if settings.journal else None
            store = self._journal.store if self._journal else MemoryJournal()
            summarise = functools.partial(summarised, self._new_run, self._drive, self._wire.without_output())
            self._sessions = Sessions(store, settings.memory, summarise)
        except BaseException:
            self._catalogue.close()
            raise
        self._runs: dict[Run, asyncio.Future[None]] = {}
        self._closed = False

    def _build(self, settings: AgentSettings, adapter: Backend) -> None:
        tools, selector = self._catalogue.tools, settings.selector
        check_capabilities(settings, adapter, has_tools=bool(tools))
        check_approval(settings, tools)
        self._offer = Offer(tools)
        if settings.handling == "native":
            self._offer.renamed = {native_tool_name(adapter, name): name for name in self._offer.tools}
        self._choice = _choice(selector, tools, settings.model) if selector is not None else None
        self._endpoints = model_servers(settings)
        self._redactor, self._answer_redactor = self._endpoints[0].redactor, self._endpoints[0].answer_redactor
        for other in self._endpoints[1:]:
            self._redactor = self._redactor.with_secrets_of(other.redactor)
            self._answer_redactor = self._answer_redactor.with_secrets_of(other.answer_redactor)
        check_cost(self._endpoints, settings.limits)
        self._wire = Wire(
            self._endpoints,
            OutputFormat(settings.output_type) if settings.output_type is not None else None,
            references=settings.tool_references and bool(tools),
            protocol=TextProtocol() if settings.variant == "react" else None,
        )
        self._model = ModelClient(self._wire)
        self._hides_tools = selector is not None or (settings.handling == "unified" and calls_by_id(adapter))
        spec = AgentSpec(
            name=settings.name,
            instructions=settings.instructions,
            tools=_bound(self._offer.cut([]) if self._hides_tools else self._offer, settings.handling),
            model=self._model,
            handling=settings.handling,
            variant=settings.variant,
        )
        try:
            self._agent = adapter.build(spec)
        except UnifiedAgentsError:
            raise
        except NotImplementedError as error:
            raise UnsupportedCapabilityError(f"the adapter of {adapter.name!r} is {UNFINISHED}: {error}") from error

    @property
    def native(self) -> object:
        """The framework's own object. Its shape is the framework's and may change with it."""
        return self._agent.native

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
    ) -> RunResult:
        """Run one task to its end; see `Agent.run`."""

        def start(messages: Task, turn: SessionTurn | None) -> Awaitable[RunResult]:
            run = self._new_run(messages, run_id, limits, record_exchanges, on_event)
            run.dependencies, run.turn = dependencies, turn
            if turn is not None:
                run.root.span.attributes[CONVERSATION_ID] = turn.session
            return self._drive(run)

        check_session(session)
        return await (start(task, None) if session is None else self._sessions.turn(session, task, start))

    def run_sync(self, task: Task, **options: Any) -> RunResult:
        """`run`, for code that is not asynchronous; see `Agent.run_sync`."""
        return run_in_background(lambda: self.run(task, **options))

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
    ) -> RunResult:
        """Go on with a run that its journal holds; see `Agent.resume`."""
        if self._journal is None:
            raise ConfigError('resume needs a journal: create_agent(…, journal="runs.db")')
        check_resume_arguments(run_id, decisions, on_divergence)
        record = await self._journal.completed(run_id, decisions)
        if record is None:
            record = await self._journal.claim(run_id, decisions, on_divergence)
        if record.is_completed:
            run = self._new_run(record.run.messages, run_id, limits, record_exchanges, on_event)
            return finish(run, replay_whole(run, record), self._wire.parse)
        try:
            run = self._new_run(record.run.messages, run_id, limits, record_exchanges, on_event)
        except BaseException:
            await record.release()
            raise
        run.journal, run.state, run.dependencies = record, dict(record.state), dependencies
        return await self._drive(run)

    def resume_sync(self, run_id: str, **options: Any) -> RunResult:
        """`resume`, for code that is not asynchronous; see `Agent.resume_sync`."""
        return run_in_background(lambda: self.resume(run_id, **options))

    def stream(
        self,
        task: Task,
        *,
        run_id: str | None = None,
        limits: Limits | None = None,
        record_exchanges: bool = False,
        dependencies: object = None,
    ) -> AbstractAsyncContextManager[EventStream]:
        """Run one task and follow its events; see `Agent.stream`."""

        def start(events: QueuedEvents) -> tuple[Run, asyncio.Task[RunResult]]:
            run = self._new_run(task, run_id, limits, record_exchanges)
            run.streaming, run.dependencies = True, dependencies
            run.sinks.append(events.put)
            return run, asyncio.create_task(self._drive(run), name=f"unified-agents stream {run.id}")

        return RunStream(start)

    async def aclose(self) -> None:
        """End the runs that are under way, and close all connections; see `Agent.aclose`."""
        self._closed = True
        for run in list(self._runs):
            run.lifecycle.ended.get_loop().call_soon_threadsafe(run.lifecycle.end, Cancelled("the agent was closed"))
        loop = asyncio.get_running_loop()
        here = [done for run, done in list(self._runs.items()) if run.lifecycle.ended.get_loop() is loop]
        async with AsyncExitStack() as parts:  # each is closed, whatever happens to another
            if self._journal is not None:
                parts.push_async_callback(self._journal.aclose)
            parts.push_async_callback(self._catalogue.aclose)
            for endpoint in self._endpoints:
                parts.push_async_callback(endpoint.upstream.aclose)
            parts.push_async_callback(self._model.aclose)
            if (close := getattr(self._agent, "aclose", None)) is not None:
                parts.push_async_callback(close)
            if here:
                await asyncio.wait(here)

    def close(self) -> None:
        """`aclose`, for code that is not asynchronous; see `Agent.close`."""
        _refuse_in_event_loop("close()", "await agent.aclose()")
        run_in_background(self.aclose)

    def __repr__(self) -> str:
        settings = self._settings
        model = f"{settings.model.provider}:{settings.model.name}"
        tools = f"{len(self._catalogue.tools)} tools"
        return f"<Agent {settings.name!r} on {self.backend}, {settings.handling}, model {model}, {tools}>"

    def __enter__(self) -> Self:
        _refuse_in_event_loop("`with`", "use `async with`")
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    def _new_run(
        self,
        task: Task,
        run_id: str | None,
        limits: Limits | None,
        record_exchanges: bool,
        on_event: Callable[[Event], None] | None = None,
    ) -> Run:
        if self._closed:
            raise UnifiedAgentsError("the agent is closed: create a new one")
        check_run_arguments(run_id, limits, on_event)
        run = new_run(
            self._settings,
            self._endpoints,
            self._offer,
            task,
            run_id=run_id,
            limits=limits,
            record_exchanges=record_exchanges,
            hides_tools=self._hides_tools,
        )
        run.redactor, run.answer_redactor = self._redactor, self._answer_redactor
        if on_event is not None:
            run.sinks.append(on_event)
        return run

    async def _drive(self, run: Run, other: Callable[[], Coroutine[Any, Any, str | None]] | None = None) -> RunResult:
        done = self._runs[run] = asyncio.get_running_loop().create_future()
        siblings = run.parent.lifecycle.child_runs if run.parent is not None else set()
        siblings.add(run.lifecycle)
        loop = Loop(
            start=other or (lambda: self._native_run(run)),
            translate=self._agent.translate,
            last_answer=lambda: _last_answer(self._wire, run),
            parse=None if other else self._wire.parse,
        )
        try:
            if self._journal is not None and other is None:
                return await self._journal.driven(run, lambda: drive(run, loop))
            return await drive(run, loop)
        finally:
            del self._runs[run]
            siblings.discard(run.lifecycle)
            done.set_result(None)
            run.release()
            for endpoint in self._endpoints:
                endpoint.upstream.forget(run.id)

    async def _native_run(self, run: Run) -> str | None:
        if self._choice is not None:
            run.offer = self._offer.cut(await _chosen(self._choice, run))
        if run.journal is not None and run.journal.answers:
            replay_finished_steps(run, run.journal)
        asked = self._settings.model.parameters.stream
        stream = run.handling == "native" and run.streaming if asked is None else asked
        return await self._agent.run(run.messages, stream=stream)


async def _last_answer(wire: Wire, run: Run) -> str | None:
    return (await wire.last_answer(run, wording.answer_now(str(run.lifecycle.cause)))).text


def _refuse_in_event_loop(what: str, instead: str) -> None:
    """Refuse to close where an event loop runs in this thread: its connections are closed on it, and it would stand.

    Raises:
        UnsupportedCapabilityError: one runs.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise UnsupportedCapabilityError(f"{what} would wait for the event loop that it holds up: {instead} there")


async def _chosen(choice: Choice, run: Run) -> Sequence[Tool]:
    try:
        return await choice.tools_for(run.messages)
    except Exception as error:
        message = f"the selector failed: {type(error).__name__}: {error}"
        raise BackendError(message, native_type=native_name(error)) from error


def _choice(selector: Selector, tools: Sequence[Tool], model: ModelConfig) -> Choice:
    from unified_agents.catalogue.selection import Choice  # noqa: PLC0415  # only who selects pays for it

    forced = model.parameters.tool_choice
    return Choice(selector, tools, () if forced is None else (forced,))


def _bound(offer: Offer, handling: Handling) -> tuple[BoundTool, ...]:
    bound = [BoundTool(name, tool) for name, tool in offer.tools.items()]
    if handling == "unified":
        bound.append(BoundTool(INVALID_CALL_TOOL, None))
    return tuple(bound)
