"""The agent that users hold: one class over every backend."""

from __future__ import annotations

import asyncio
import importlib
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from unified_agents.backend import INVALID_CALL_TOOL, AgentSpec, BoundTool, Capability, ModelClient
from unified_agents.config import AgentConfig, Handling, Limits, ModelConfig, ModelParameters, load_config
from unified_agents.errors import ConfigError, UnifiedAgentsError, UnsupportedCapabilityError
from unified_agents.events import AnyEvent, Event, RunEnded
from unified_agents.messages import Task, task_messages
from unified_agents.registry import load_backend
from unified_agents.run.background import run_in_background
from unified_agents.run.context import Cancelled, Run, current_call
from unified_agents.run.driver import drive
from unified_agents.run.result import RunResult
from unified_agents.tools.definition import Tool, as_tool
from unified_agents.tracing import spans
from unified_agents.tracing.live import LiveTrace
from unified_agents.wire.exchange import Wire
from unified_agents.wire.request import Offer
from unified_agents.wire.upstream import HttpUpstream, LocalUpstream, ReplyingModel, Upstream

ToolLike = Tool | Callable[..., Any] | str
"""A tool, a typed function, or `module:name` of one."""


class EventStream(Protocol):
    """The events of one run, in their order; the last is `RunEnded`."""

    def __aiter__(self) -> AsyncIterator[AnyEvent]:
        """The events as they happen."""

    @property
    def result(self) -> RunResult | None:
        """The result, once the run has ended."""


@runtime_checkable
class Agent(Protocol):
    """One agent, whatever framework runs it. An agent serves many runs at once."""

    @property
    def backend(self) -> str:
        """The backend's name."""

    @property
    def native(self) -> object:
        """The framework's own object. Its shape is the framework's and may change with it."""

    async def run(
        self, task: Task, *, run_id: str | None = None, limits: Limits | None = None, record_exchanges: bool = False
    ) -> RunResult:
        """Run one task to its end.

        Args:
            task: What the user asks, as plain text, or a conversation in Chat Completions terms.
            run_id: A name for the run; None takes a new unique one.
            limits: Bounds of this run; None takes the agent's own.
            record_exchanges: Whether `result.exchanges` keeps the bodies of all requests and answers.

        Returns:
            The outcome. A run that meets a limit raises nothing: its `status` is "limit".

        Raises:
            RunError: the run failed; `kind` says how, and `result` holds what there is, with its trace.
            ConfigError: the task is empty, or no conversation.
        """

    def run_sync(
        self, task: Task, *, run_id: str | None = None, limits: Limits | None = None, record_exchanges: bool = False
    ) -> RunResult:
        """`run`, for code that is not asynchronous. Also works where an event loop is running, and blocks it."""

    def stream(
        self, task: Task, *, run_id: str | None = None, limits: Limits | None = None, record_exchanges: bool = False
    ) -> AbstractAsyncContextManager[EventStream]:
        """Run one task and follow its events: `async with agent.stream(…) as events: async for event in events`.

        The model's answers are streamed. Leaving the block early cancels the run. A run that fails raises its error
        from the iteration, after `RunEnded`.
        """

    async def aclose(self) -> None:
        """End the runs that are under way, and close all connections. The agent cannot be used after."""


def create_agent(
    config: str | Path | AgentConfig | None = None,
    *,
    backend: str | None = None,
    model: str | ModelConfig | ReplyingModel | None = None,
    instructions: str | None = None,
    tools: Sequence[ToolLike] | None = None,
    limits: Limits | None = None,
    handling: Handling | None = None,
    name: str | None = None,
    model_parameters: ModelParameters | None = None,
) -> Agent:
    """Make an agent, from a config file, from arguments, or from both: an argument wins over the file.

    Args:
        config: A YAML file's path, or its values.
        backend: What runs the loop; "custom" by default.
        model: `provider:name`, a `ModelConfig`, or a model in this process such as `ScriptedModel`.
        instructions: The system text.
        tools: What the model may call.
        limits: Bounds of each run.
        handling: "unified" (default): every backend behaves alike; "native": the framework as it comes, only watched.
        name: The agent's name, in its trace.
        model_parameters: What is asked of the model; None takes those of `model`.

    Raises:
        ConfigError: something does not fit; its subclasses tell an unknown backend, one that is not installed, one
            that is broken, and a bad tool.
        UnsupportedCapabilityError: the backend cannot do what is asked.
    """
    base = config if isinstance(config, AgentConfig) else load_config(config) if config is not None else None
    local = None if model is None or isinstance(model, str | ModelConfig) else model
    settings = _model_config(model, base)
    if model_parameters is not None:
        settings = settings.model_copy(update={"parameters": model_parameters})
    values = base or AgentConfig.model_construct(model=settings)
    return ComposedAgent(
        backend=backend or values.backend,
        model=settings,
        upstream=_upstream(settings, local),
        instructions=instructions if instructions is not None else values.instructions,
        tools=[resolve_tool(tool) for tool in (tools if tools is not None else values.tools)],
        limits=limits or values.limits,
        handling=handling or values.handling,
        name=name or values.name or "agent",
    )


def _model_config(model: str | ModelConfig | ReplyingModel | None, base: AgentConfig | None) -> ModelConfig:
    if isinstance(model, ModelConfig):
        return model
    if isinstance(model, str):
        return ModelConfig.parse(model)
    if model is not None:
        return ModelConfig(provider="script", name="script")
    if base is None:
        raise ConfigError('no model: give model="openai:<name>", or model="script:<file>" for a scripted one')
    return base.model


def _upstream(model: ModelConfig, local: ReplyingModel | None) -> tuple[Upstream, str | None]:
    if local is not None:
        return LocalUpstream(local), None
    if model.provider == "oracle":
        raise ConfigError(
            "oracle: answers from a suite task's own script, so it works only within `unified-agents compare`"
        )
    if model.provider == "script":
        from unified_agents.wire.script import Script, ScriptedModel  # noqa: PLC0415  # only who has a script pays for it

        return LocalUpstream(ScriptedModel(Script.load(model.name))), None
    key = model.api_key()
    return HttpUpstream(model.url, key), key


def resolve_tool(tool: ToolLike) -> Tool:
    """A tool from a definition, a typed function, or `module:name`.

    Raises:
        ConfigError: the module or the name does not exist, or the module fails on import.
        ToolDefinitionError: what is there cannot be a tool.
    """
    if not isinstance(tool, str):
        return as_tool(tool)
    module, colon, name = tool.partition(":")
    if not colon or not module or not name:
        raise ConfigError(f"tool {tool!r}: write module:name, such as my_package.tools:search")
    try:
        found = importlib.import_module(module)
    except Exception as error:
        raise ConfigError(f"tool {tool!r}: importing {module} failed: {type(error).__name__}: {error}") from error
    if not hasattr(found, name):
        raise ConfigError(f"tool {tool!r}: module {module} has no {name!r}")
    return as_tool(getattr(found, name))


class ComposedAgent:
    """The one implementation of `Agent`, over whatever backend is named."""

    def __init__(
        self,
        *,
        backend: str,
        model: ModelConfig,
        upstream: tuple[Upstream, str | None],
        instructions: str | None,
        tools: Sequence[Tool],
        limits: Limits,
        handling: Handling,
        name: str,
    ) -> None:
        adapter = load_backend(backend)
        _check(adapter.capabilities, backend, handling, tools, model.parameters)
        offer = Offer(tools)
        self.backend = backend
        self.name = name
        self.handling = handling
        self.limits = limits
        self._upstream, secret = upstream
        self._wire = Wire(model, self._upstream, offer, secret)
        self._model = ModelClient(self._wire)
        self._agent = adapter.build(
            AgentSpec(
                name=name,
                instructions=instructions,
                tools=_bound(offer, handling),
                model=self._model,
                handling=handling,
            )
        )
        self._runs: dict[Run, asyncio.Future[None]] = {}
        self._closed = False

    @property
    def native(self) -> object:
        """The framework's own object. Its shape is the framework's and may change with it."""
        return self._agent.native

    async def run(
        self, task: Task, *, run_id: str | None = None, limits: Limits | None = None, record_exchanges: bool = False
    ) -> RunResult:
        """Run one task to its end; see `Agent.run`."""
        return await self._drive(self._new_run(task, run_id, limits, record_exchanges))

    def run_sync(
        self, task: Task, *, run_id: str | None = None, limits: Limits | None = None, record_exchanges: bool = False
    ) -> RunResult:
        """`run`, for code that is not asynchronous; see `Agent.run_sync`."""
        return run_in_background(
            lambda: self.run(task, run_id=run_id, limits=limits, record_exchanges=record_exchanges)
        )

    @asynccontextmanager
    async def stream(
        self, task: Task, *, run_id: str | None = None, limits: Limits | None = None, record_exchanges: bool = False
    ) -> AsyncIterator[EventStream]:
        """Run one task and follow its events; see `Agent.stream`."""
        run = self._new_run(task, run_id, limits, record_exchanges)
        run.streaming = True
        events = _Events()
        run.sinks.append(events.put)
        driving = asyncio.create_task(self._drive(run), name=f"unified-agents stream {run.id}")
        events.follow(driving)
        try:
            yield events
        finally:
            driving.cancel()
            await asyncio.wait([driving])
            if not driving.cancelled():
                driving.exception()  # told by the iteration, or given up with it

    async def aclose(self) -> None:
        """End the runs that are under way, and close all connections; see `Agent.aclose`."""
        self._closed = True
        for run in list(self._runs):
            run.ended.get_loop().call_soon_threadsafe(run.end, Cancelled("the agent was closed"))
        here = [done for run, done in self._runs.items() if run.ended.get_loop() is asyncio.get_running_loop()]
        if here:
            await asyncio.wait(here)
        await self._model.aclose()
        await self._upstream.aclose()

    async def __aenter__(self) -> ComposedAgent:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    def _new_run(self, task: Task, run_id: str | None, limits: Limits | None, record_exchanges: bool) -> Run:
        if self._closed:
            raise UnifiedAgentsError("the agent is closed: create a new one")
        outer = current_call.get()
        trace = LiveTrace()
        model = self._wire.model
        attributes: dict[str, spans.AttributeValue] = {
            spans.OPERATION: "invoke_agent",
            spans.AGENT_NAME: self.name,
            spans.REQUEST_MODEL: model.name,
            spans.PROVIDER: model.provider,
        }
        return Run(
            id=run_id or uuid.uuid4().hex,
            backend=self.backend,
            handling=self.handling,
            limits=_bounded(limits or self.limits, outer.run if outer else None),
            messages=task_messages(task),
            trace=trace,
            root=trace.open(f"invoke_agent {self.name}", attributes, None),
            parent=outer.run if outer else None,
            record_exchanges=record_exchanges,
        )

    async def _drive(self, run: Run) -> RunResult:
        done = self._runs[run] = asyncio.get_running_loop().create_future()
        stream = self._wire.model.parameters.stream
        asks = run.handling == "native" and run.streaming if stream is None else stream
        try:
            return await drive(run, lambda: self._agent.run(run.messages, stream=asks), self._agent.translate)
        finally:
            del self._runs[run]
            done.set_result(None)
            self._upstream.forget(run.id)


def _check(
    capabilities: frozenset[Capability],
    backend: str,
    handling: Handling,
    tools: Sequence[Tool],
    parameters: ModelParameters,
) -> None:
    if tools and Capability.TOOLS not in capabilities:
        raise UnsupportedCapabilityError(f"backend {backend!r} does not call tools; leave `tools` out")
    if handling == "native" and Capability.NATIVE not in capabilities:
        raise UnsupportedCapabilityError(f"backend {backend!r} has no `handling: native`; use unified")
    if parameters.parallel_tool_calls and Capability.PARALLEL_TOOLS not in capabilities:
        raise UnsupportedCapabilityError(
            f"backend {backend!r} runs one call at a time; leave `parallel_tool_calls` out"
        )
    if parameters.stream and Capability.STREAMING not in capabilities:
        raise UnsupportedCapabilityError(f"backend {backend!r} does not stream; leave `stream` out of the parameters")


def _bound(offer: Offer, handling: Handling) -> tuple[BoundTool, ...]:
    bound = [BoundTool(name, tool) for name, tool in offer.tools.items()]
    if handling == "unified":
        bound.append(BoundTool(INVALID_CALL_TOOL, None))
    return tuple(bound)


def _bounded(limits: Limits, parent: Run | None) -> Limits:
    if parent is None:
        return limits
    left = max(parent.limits.timeout - parent.trace.now(), 0.001)
    return limits.model_copy(update={"timeout": min(limits.timeout, left)})


class _Events:
    """The events of one run, from whoever makes them to whoever follows."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._driving: asyncio.Task[RunResult] | None = None
        self.result: RunResult | None = None

    def put(self, event: Event) -> None:
        self._queue.put_nowait(event)

    def follow(self, driving: asyncio.Task[RunResult]) -> None:
        self._driving = driving
        driving.add_done_callback(lambda _: self._queue.put_nowait(None))

    async def __aiter__(self) -> AsyncIterator[AnyEvent]:
        while (event := await self._queue.get()) is not None:
            if isinstance(event, RunEnded):
                self.result = event.result
            yield event  # type: ignore[misc]  # the seams make no other events
        if self._driving is not None and not self._driving.cancelled() and (error := self._driving.exception()):
            raise error
