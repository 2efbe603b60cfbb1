"""The one concrete agent: what a user's settings become, over whatever backend is named."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from unified_agents import wording
from unified_agents.agent.arguments import check_run_arguments
from unified_agents.agent.stream import _Events, _Stream
from unified_agents.backend import INVALID_CALL_TOOL, AgentSpec, BoundTool, Capability, ModelClient, variants_of
from unified_agents.catalogue.catalogue import Catalogue
from unified_agents.concurrency.background_loop import run_in_background
from unified_agents.config import (
    Handling,
    Limits,
    ModelConfig,
    ModelParameters,
    ToolPolicy,
    Variant,
)
from unified_agents.errors import ConfigError, UnifiedAgentsError, UnsupportedCapabilityError
from unified_agents.events import Event
from unified_agents.messages import Task, check_text, task_messages
from unified_agents.registry import load_backend
from unified_agents.result import RunResult
from unified_agents.run.context import Cancelled, Run, current_call
from unified_agents.run.driver import Loop, drive
from unified_agents.tools.definition import Tool
from unified_agents.tools.offer import Offer
from unified_agents.tracing import spans
from unified_agents.tracing.live import LiveTrace
from unified_agents.wire.endpoint import Target
from unified_agents.wire.output_format import OutputFormat, OutputType
from unified_agents.wire.react.protocol import TextProtocol
from unified_agents.wire.unified import Wire
from unified_agents.wire.upstream import Upstream

if TYPE_CHECKING:
    from unified_agents.agent.protocol import EventStream
    from unified_agents.catalogue.selection import Choice, Selector


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
        self._unpriced = [config.name for config, _, _ in servers if config.price is None]
        self._check_cost(limits)
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
        run = self._new_run(task, run_id, limits, record_exchanges, on_event)
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

    def stream(
        self, task: Task, *, run_id: str | None = None, limits: Limits | None = None, record_exchanges: bool = False
    ) -> AbstractAsyncContextManager[EventStream]:
        """Run one task and follow its events; see `Agent.stream`."""

        def start(events: _Events) -> tuple[Run, asyncio.Task[RunResult]]:
            run = self._new_run(task, run_id, limits, record_exchanges)
            run.streaming = True
            run.sinks.append(events.put)
            return run, asyncio.create_task(self._drive(run), name=f"unified-agents stream {run.id}")

        return _Stream(start)

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
        if self._instructions is not None:
            check_text(self._instructions, "the instructions")
        if self._offer is not None:
            self._offer.payload()  # made once; a schema that is wrong is told here, before a framework can hide it
        outer = current_call.get()
        if outer is not None and outer.run.shut:
            raise UnifiedAgentsError("the run that this one would belong to has ended")
        bounds = _bounded(limits or self.limits, outer.run if outer else None)
        self._check_cost(bounds)
        messages = task_messages(task)
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
            limits=bounds,
            messages=messages,
            given_ids=frozenset(call.id for message in messages for call in message.tool_calls),
            trace=trace,
            root=trace.open(f"invoke_agent {self.name}", attributes, None),
            parent=outer.run if outer else None,
            record_exchanges=record_exchanges,
            tool_policy=self._tool_policy,
        )

    async def _drive(self, run: Run) -> RunResult:
        done = self._runs[run] = asyncio.get_running_loop().create_future()
        if run.parent is not None:
            run.parent.kids.add(run)
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
            if run.parent is not None:
                run.parent.kids.discard(run)
            done.set_result(None)
            for upstream in self._upstreams:
                upstream.forget(run.id)

    def _check_cost(self, limits: Limits) -> None:
        if limits.max_cost is not None and self._unpriced:
            raise ConfigError(
                f"limits.max_cost needs a price of model {', '.join(self._unpriced)}: "
                "model.price, what a million input and output tokens cost"
            )

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
    from unified_agents.catalogue.selection import Choice  # noqa: PLC0415  # only who selects pays for it

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
