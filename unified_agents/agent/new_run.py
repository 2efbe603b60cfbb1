"""Makes the runs of an agent, and checks what they are given."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from unified_agents.agent.settings import AgentSettings
from unified_agents.config import Limits
from unified_agents.errors import ConfigError, UnifiedAgentsError
from unified_agents.messages import Task, check_text, task_messages, with_all_calls_answered
from unified_agents.run.context import Run, current_call
from unified_agents.run.measurements import Measurements
from unified_agents.tools.offer import Offer
from unified_agents.tracing import conventions as names
from unified_agents.tracing.live import LiveTrace
from unified_agents.tracing.spans import AttributeValue
from unified_agents.wire.endpoint import ModelEndpoint


def new_run(
    settings: AgentSettings,
    endpoints: Sequence[ModelEndpoint],
    offer: Offer,
    task: Task,
    *,
    run_id: str | None,
    limits: Limits | None,
    record_exchanges: bool,
    hides_tools: bool,
) -> Run:
    """Make a run of an agent, below the run whose tool asks for it, where there is one.

    Args:
        settings: What the agent is made of.
        endpoints: Its models.
        offer: The tools that the model is offered.
        task: What the user asks.
        run_id: The run's id; None takes a new one.
        limits: The run's limits; None takes the agent's.
        record_exchanges: Whether bodies are kept.
        hides_tools: Whether the framework knows none of the tools.

    Raises:
        ConfigError: the task is no conversation, or a limit on cost has no price.
        InvalidInputError: the task or the instructions cannot be sent.
        UnifiedAgentsError: the run above has ended.
    """
    outer = current_call.get()
    messages = task_messages(task)
    if settings.handling == "unified":
        messages = with_all_calls_answered(messages)
    if settings.instructions is not None:
        check_text(settings.instructions, "the instructions")
    if settings.handling == "unified" and settings.selector is None:
        offer.payload()  # made once; a schema that is wrong is told here, before a framework can hide it
    if outer is not None and outer.run.lifecycle.shut:
        raise UnifiedAgentsError("the run that this one would belong to has ended")
    bounds = _bounded(limits or settings.limits, outer.run if outer else None)
    check_cost(endpoints, bounds)
    trace, run_id = LiveTrace(), run_id or secrets.token_hex(16)
    attributes: dict[str, AttributeValue] = {
        names.OPERATION: names.INVOKE_AGENT,
        names.AGENT_NAME: settings.name,
        names.REQUEST_MODEL: settings.model.name,
        names.BACKEND: settings.backend,
        names.HANDLING: settings.handling,
        names.RUN_ID: run_id,
    }
    return Run(
        id=run_id,
        backend=settings.backend,
        handling=settings.handling,
        limits=bounds,
        messages=messages,
        instructions=settings.instructions,
        trace=trace,
        root=trace.open(f"{names.INVOKE_AGENT} {settings.name}", attributes, None),
        offer=offer,
        parent=outer.run if outer else None,
        tool_policy=settings.tool_policy,
        hides_tools=hides_tools,
        measurements=Measurements(exchanges=[] if record_exchanges else None),
    )


def check_cost(endpoints: Sequence[ModelEndpoint], limits: Limits) -> None:
    """Check that every model has a price where cost is limited.

    Raises:
        ConfigError: one has none.
    """
    unpriced = [endpoint.model.name for endpoint in endpoints if endpoint.model.price is None]
    if limits.max_cost is not None and unpriced:
        raise ConfigError(
            f"limits.max_cost needs a price of model {', '.join(unpriced)}: "
            "model.price, what a million input and output tokens cost"
        )


def _bounded(limits: Limits, parent: Run | None) -> Limits:
    if parent is None:
        return limits
    left = max(parent.limits.timeout - parent.trace.now(), 0.001)
    return limits.model_copy(update={"timeout": min(limits.timeout, left)})
