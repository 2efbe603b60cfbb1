"""The agent that users hold: one class over every backend."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from unified_agents import wording
from unified_agents.backend import INVALID_CALL_TOOL, AgentSpec, BoundTool, Capability, ModelClient, variants_of
from unified_agents.config import (
    AgentConfig,
    Handling,
    Limits,
    ModelConfig,
    ModelParameters,
    SelectConfig,
    ToolPolicy,
    Variant,
    load_config,
)
from unified_agents.errors import ConfigError, UnifiedAgentsError, UnsupportedCapabilityError
from unified_agents.events import AnyEvent, Event, RunEnded
from unified_agents.importing import import_named
from unified_agents.messages import Task, task_messages
from unified_agents.registry import load_backend
from unified_agents.run.background import run_in_background
from unified_agents.run.context import Cancelled, Run, current_call
from unified_agents.run.driver import Loop, drive
from unified_agents.run.result import RunResult
from unified_agents.tools.catalogue import Catalogue, ToolLike, open_catalogue
from unified_agents.tools.definition import Tool
from unified_agents.tracing import spans
from unified_agents.tracing.live import LiveTrace
from unified_agents.wire.exchange import Wire
from unified_agents.wire.request import Offer
from unified_agents.wire.structured import OutputFormat, OutputType
from unified_agents.wire.target import Target
from unified_agents.wire.text_protocol import TextProtocol
from unified_agents.wire.upstream import HttpUpstream, LocalUpstream, ReplyingModel, Upstream

if TYPE_CHECKING:
    from unified_agents.tools.selection import Choice, Selector


__all__ = ["Agent", "ComposedAgent", "EventStream", "ToolLike", "create_agent"]


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
        self,
        task: Task,
        *,
        run_id: str | None = None,
        limits: Limits | None = None,
        record_exchanges: bool = False,
        on_event: Callable[[Event], None] | None = None,
    ) -> RunResult:
        """Run one task to its end.

        Args:
            task: What the user asks, as plain text, or a conversation in Chat Completions terms.
            run_id: A name for the run; None takes a new unique one.
            limits: Bounds of this run; None takes the agent's own.
            record_exchanges: Whether `result.exchanges` keeps the bodies of all requests and answers.
            on_event: Called with each event as it happens, on the run's event loop; must not block.

        Returns:
            The outcome. A run that meets a limit raises nothing: its `status` is "limit".

        Raises:
            RunError: the run failed; `kind` says how, and `result` holds what there is, with its trace.
            ConfigError: the task is empty, or no conversation.
        """

    def run_sync(
        self,
        task: Task,
        *,
        run_id: str | None = None,
        limits: Limits | None = None,
        record_exchanges: bool = False,
        on_event: Callable[[Event], None] | None = None,
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
    output_type: OutputType | str | None = None,
    selector: Selector | SelectConfig | None = None,
    tool_policy: ToolPolicy | None = None,
    tool_references: bool | None = None,
    variant: Variant | None = None,
) -> Agent:
    """Make an agent, from a config file, from arguments, or from both: an argument wins over the file.

    Args:
        config: A YAML file's path, or its values.
        backend: What runs the loop; "custom" by default.
        model: `provider:name`, a `ModelConfig`, or a model in this process such as `ScriptedModel`.
        instructions: The system text.
        tools: What the model may call: tools, typed functions, `module:name`, and sources of many tools, which are
            opened now and closed with the agent.
        limits: Bounds of each run.
        handling: "unified" (default): every backend behaves alike; "native": the framework as it comes, only watched.
        name: The agent's name, in its trace.
        model_parameters: What is asked of the model; None takes those of `model`.
        output_type: The form of the final answer: a pydantic model or another type, `module:Name` of one, or a JSON
            Schema. The answer is validated, the model told once what does not fit, and `result.value` holds the value.
        selector: Chooses, by each run's task, what the model is offered of a large catalogue; None offers all tools.
        tool_policy: What is done about an idempotent tool that fails for now.
        tool_references: Whether a call may refer to the result of another call of the same answer, as
            `{"$call": 0, "path": "/rows/0"}`, and the model is told how. False by default.
        variant: "tool_calling" (default), or "react": thought, action and input in plain text, one call at a time, for
            a model that does not call tools.

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
    catalogue = open_catalogue(tools if tools is not None else values.tools)
    try:
        return ComposedAgent(
            backend=backend or values.backend,
            model=settings,
            servers=_servers(settings, local, variant or values.variant),
            instructions=instructions if instructions is not None else values.instructions,
            catalogue=catalogue,
            selector=_selector(selector if selector is not None else values.select),
            limits=limits or values.limits,
            handling=handling or values.handling,
            name=name or values.name or "agent",
            output_type=_output_type(output_type if output_type is not None else values.output_type),
            tool_policy=tool_policy or values.tool_policy,
            tool_references=tool_references if tool_references is not None else values.tool_references,
            variant=variant or values.variant,
        )
    except BaseException:
        catalogue.close()
        raise


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


def _servers(
    model: ModelConfig, local: ReplyingModel | None, variant: Variant
) -> list[tuple[ModelConfig, Upstream, str | None]]:
    first = (model, *_upstream(model, local, variant))
    return [first, *((other, *_upstream(other, None, variant)) for other in model.fallback)]


def _upstream(model: ModelConfig, local: ReplyingModel | None, variant: Variant) -> tuple[Upstream, str | None]:
    if local is not None:
        return LocalUpstream(local), None
    if model.provider == "oracle":
        raise ConfigError(
            "oracle: answers from a suite task's own script, so it works only within `unified-agents compare`"
        )
    if model.provider == "script":
        from unified_agents.wire.script import Script, ScriptedModel  # noqa: PLC0415  # only who has a script pays for it

        script = Script.load(model.name)
        return LocalUpstream(ScriptedModel(script.in_text() if variant == "react" else script)), None
    key = model.api_key()
    return HttpUpstream(model.url, key), key


def _selector(selector: Selector | SelectConfig | None) -> Selector | None:
    if not isinstance(selector, SelectConfig):
        return selector
    from unified_agents.tools.selection import make_selector  # noqa: PLC0415  # only who selects pays for it

    return make_selector(selector)


def _output_type(output_type: OutputType | str | None) -> OutputType | None:
    return import_named(output_type, "output_type") if isinstance(output_type, str) else output_type


class ComposedAgent:
    """The one implementation of `Agent`, over whatever backend is named."""

    def __init__(
        self,
        *,
        backend: str,
        model: ModelConfig,
        servers: Sequence[tuple[ModelConfig, Upstream, str | None]],
        instructions: str | None,
        catalogue: Catalogue,
        selector: Selector | None,
        limits: Limits,
        handling: Handling,
        name: str,
        output_type: OutputType | None,
        tool_policy: ToolPolicy,
        tool_references: bool,
        variant: Variant,
    ) -> None:
        adapter = load_backend(backend)
        tools = catalogue.tools
        _check(adapter.capabilities, backend, handling, tools, model.parameters)
        _check_variant(variant, variants_of(adapter), backend, model.parameters, tool_references)
        if limits.max_cost is not None and model.price is None:
            raise ConfigError("limits.max_cost needs model.price: what a million input and output tokens cost")
        if output_type is not None and handling == "native":
            raise UnsupportedCapabilityError("output_type needs `handling: unified`: native only watches")
        if selector is not None and handling == "native":
            raise UnsupportedCapabilityError("a selector needs `handling: unified`: native only watches")
        if tool_references and handling == "native":
            raise UnsupportedCapabilityError("tool_references needs `handling: unified`: native only watches")
        offer = Offer(tools)
        self._offer = offer if selector is None and handling == "unified" else None
        self._tool_policy = tool_policy
        self.backend = backend
        self.name = name
        self.handling = handling
        self.limits = limits
        self._instructions = instructions
        self._upstreams = [upstream for _, upstream, _ in servers]
        targets = [Target(config, upstream, offer, secret) for config, upstream, secret in servers]
        self._catalogue = catalogue
        self._wire = Wire(
            targets,
            offer,
            OutputFormat(output_type) if output_type is not None else None,
            _choice(selector, tools, model) if selector is not None else None,
            references=tool_references,
            protocol=TextProtocol() if variant == "react" else None,
        )
        self._model = ModelClient(self._wire)
        self._agent = adapter.build(
            AgentSpec(
                name=name,
                instructions=instructions,
                tools=_bound(offer if selector is None else offer.cut([]), handling),
                model=self._model,
                handling=handling,
                variant=variant,
            )
        )
        self._runs: dict[Run, asyncio.Future[None]] = {}
        self._closed = False

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
    ) -> RunResult:
        """Run one task to its end; see `Agent.run`."""
        run = self._new_run(task, run_id, limits, record_exchanges)
        if on_event is not None:
            run.sinks.append(on_event)
        return await self._drive(run)

    def run_sync(
        self,
        task: Task,
        *,
        run_id: str | None = None,
        limits: Limits | None = None,
        record_exchanges: bool = False,
        on_event: Callable[[Event], None] | None = None,
    ) -> RunResult:
        """`run`, for code that is not asynchronous; see `Agent.run_sync`."""
        return run_in_background(
            lambda: self.run(task, run_id=run_id, limits=limits, record_exchanges=record_exchanges, on_event=on_event)
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
        for upstream in self._upstreams:
            await upstream.aclose()
        await self._catalogue.aclose()

    async def __aenter__(self) -> ComposedAgent:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    def _new_run(self, task: Task, run_id: str | None, limits: Limits | None, record_exchanges: bool) -> Run:
        if self._closed:
            raise UnifiedAgentsError("the agent is closed: create a new one")
        if self._offer is not None:
            self._offer.payload()  # made once; a schema that is wrong is told here, before a framework can hide it
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
            tool_policy=self._tool_policy,
        )

    async def _drive(self, run: Run) -> RunResult:
        done = self._runs[run] = asyncio.get_running_loop().create_future()
        stream = self._wire.model.parameters.stream
        asks = run.handling == "native" and run.streaming if stream is None else stream
        try:
            return await drive(
                run,
                Loop(
                    start=lambda: self._agent.run(run.messages, stream=asks),
                    translate=self._agent.translate,
                    last_answer=lambda: self._last_answer(run),
                    parse=self._wire.output.parse if self._wire.output is not None else None,
                ),
            )
        finally:
            del self._runs[run]
            done.set_result(None)
            for upstream in self._upstreams:
                upstream.forget(run.id)

    async def _last_answer(self, run: Run) -> str | None:
        system = [] if self._instructions is None else [{"role": "system", "content": self._instructions}]
        note = {"role": "user", "content": wording.answer_now(str(run.cause))}
        return (await self._wire.last_answer(run, [*system, *run.conversation(), note])).text


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


def _check_variant(
    variant: Variant, variants: frozenset[Variant], backend: str, parameters: ModelParameters, references: bool
) -> None:
    if variant not in variants:
        raise UnsupportedCapabilityError(
            f"backend {backend!r} has no variant {variant!r}; it has {', '.join(sorted(variants))}"
        )
    asked = {
        "parallel_tool_calls": parameters.parallel_tool_calls,
        "tool_choice": parameters.tool_choice,
        "tool_references": references,
    }
    refused = [name for name, value in asked.items() if value]
    if variant == "react" and refused:
        raise UnsupportedCapabilityError(
            f"variant 'react' makes one call at a time, which the model chooses; leave {', '.join(refused)} out"
        )


def _choice(selector: Selector, tools: Sequence[Tool], model: ModelConfig) -> Choice:
    from unified_agents.tools.selection import Choice  # noqa: PLC0415  # only who selects pays for it

    forced = model.parameters.tool_choice
    return Choice(selector, tools, () if forced is None else (forced,))


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
        self._queue.put_nowait(None)  # so that whoever asks again is told that this is the end
        if self._driving is not None and not self._driving.cancelled() and (error := self._driving.exception()):
            raise error
