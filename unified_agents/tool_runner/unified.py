"""Seam 2 under `handling: unified`: the one function behind every translated tool."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, NoReturn

from unified_agents.errors import BackendError, ToolCallError, UnsupportedCapabilityError
from unified_agents.messages import JsonObject
from unified_agents.run.calls import Call, Step, ToolOutcome
from unified_agents.run.context import Run, current_run
from unified_agents.tool_runner.attempt import Attempt
from unified_agents.tool_runner.call_references import link_references, resolve_references
from unified_agents.tool_runner.input_output import accept_arguments, read_result, recorded
from unified_agents.tool_runner.journaled import begin_call, commit_end, elicited, finished_outcome
from unified_agents.tool_runner.observation import ObservedCall
from unified_agents.tool_runner.retries import retry_tool_call
from unified_agents.tools.definition import Tool, ToolContext
from unified_agents.tools.elicitation_forms import UnansweredElicitationError
from unified_agents.tools.results import to_text
from unified_agents.tools.signature import NO_CONTEXT


async def run_call(call_id: str) -> ToolOutcome:
    """Carry out a call that the model asked for.

    The arguments are those on the wire, whatever the framework made of them. A call that is claimed twice runs once.

    Args:
        call_id: The id under which the framework was given the call.

    Returns:
        What the model shall read.

    Raises:
        asyncio.CancelledError: the run is shut.
    """
    run = _current_run()
    call = run.calls.get(call_id)
    if call is None:
        run.lifecycle.fail(
            BackendError(f"the framework carried out a tool call {call_id!r} that no answer of the model asked for")
        )
        raise asyncio.CancelledError(f"run {run.id} has ended")
    return await _claim(run, call)


async def run_step(step: Step) -> list[ToolOutcome]:
    """Carry out all calls of a step at once; the outcomes are in call order.

    Raises:
        asyncio.CancelledError: the run is shut.
    """
    if step.elsewhere is not None:
        return await step.elsewhere()
    run = _current_run()
    if len(step.calls) == 1:
        return [await _claim(run, step.calls[0], alone=True)]
    return await asyncio.gather(*(_claim(run, call) for call in step.calls))


def start_calls(run: Run, step: Step, given_ids: Sequence[str]) -> None:
    """Start all calls of a step at once, before anybody claims them: they may refer to each other.

    So a framework that carries out one call at a time, or waits for the first before it claims the second, never makes
    one wait for a call that is not started.

    Args:
        run: The run.
        step: The calls.
        given_ids: The id of each as the provider gave it.
    """
    link_references(step, given_ids)
    for call in step.calls:
        if not run.admits(run.budget.tool_call_limit):
            return
        _start(run, call)


def _needs_no_task(run: Run, call: Call) -> bool:
    """Tell whether the run's own task may carry out a call itself: the tool is a function, which runs in a thread.

    A coroutine has a task of its own. What it sets in its context is for no other call, and it may never end.
    """
    tool = call.tool
    if tool is None or tool.is_async or tool.options.isolate is not None:
        return False
    return run.journal is None and run.lifecycle.is_native_task()


async def _carry_out_here(run: Run, call: Call) -> ToolOutcome:
    run.budget.count_tool_call()
    here = call.here = asyncio.get_running_loop().create_future()
    try:
        outcome = await run.lifecycle.carry_out(_carry_out(run, call))
    except BaseException:
        here.cancel()
        raise
    here.set_result(outcome)
    return outcome


async def _claim(run: Run, call: Call, *, alone: bool = False) -> ToolOutcome:
    """Return the outcome of a call, which is carried out where that has not begun.

    Args:
        run: The run.
        call: The call.
        alone: Whether nothing else of the run goes on meanwhile.
    """
    call.reached = True
    if call.here is not None:
        return await asyncio.shield(call.here)
    if call.task is not None:
        return await _outcome_of(run, call.task, shielded=True)
    if not run.admits(run.budget.tool_call_limit):
        await run.stay_out()
    if alone and _needs_no_task(run, call):
        return await _carry_out_here(run, call)
    task = _start(run, call)
    return await (task if run.journal is None else _outcome_of(run, task, shielded=False))


async def _outcome_of(run: Run, task: asyncio.Task[ToolOutcome], *, shielded: bool) -> ToolOutcome:
    """Wait for a call that may never end by itself, as it waits for another call or for a decision.

    Args:
        run: The run.
        task: The call's task.
        shielded: Whether the task outlives a cancel of whoever waits here.
    """
    try:
        return await (asyncio.shield(task) if shielded else task)
    except asyncio.CancelledError:
        if task.cancelled() and run.lifecycle.draining and not run.lifecycle.shut:
            await asyncio.wait([run.lifecycle.ended])  # what the call waited for never comes; others may still finish
        raise


def _start(run: Run, call: Call) -> asyncio.Task[ToolOutcome]:
    run.budget.count_tool_call()
    call.task = run.lifecycle.spawn(_carry_out(run, call))
    return call.task


async def _carry_out(run: Run, call: Call) -> ToolOutcome:
    if run.journal is not None and (finished := finished_outcome(run, run.journal, call)) is not None:
        return finished
    with ObservedCall(run, call) as observed:
        try:
            outcome = await _outcome(observed)
        except ToolCallError as error:
            if isinstance(error, UnansweredElicitationError) and run.journal is not None:
                raise await elicited(run, run.journal, call, error.elicitation) from error
            outcome = ToolOutcome(str(error), is_error=True)
            observed.failed(error, outcome)
        else:
            observed.completed(outcome)
    if run.journal is not None:
        await commit_end(run, run.journal, call, outcome)
    return outcome


async def _outcome(observed: ObservedCall) -> ToolOutcome:
    call = observed.call
    if call.problem is not None:
        raise call.problem
    tool = call.tool
    if tool is None:
        raise BackendError(f"tool {call.name!r} was claimed and does not exist")
    text = call.arguments
    if call.references:
        with observed.waiting():
            text = await resolve_references(call)
    accepted = accept_arguments(tool, text)
    if (record := observed.run.journal) is not None:
        begun = await begin_call(observed.run, record, call, tool, text)
        if isinstance(begun, ToolOutcome):
            return begun
        if begun is not text:
            text, accepted = begun, accept_arguments(tool, begun)
    call.received, call.coerced = recorded(accepted.arguments), tuple(map(str, accepted.coerced))
    if accepted.coerced:
        observed.span.event("coerced", paths=tuple(coerced.place for coerced in accepted.coerced))
    value = await _value(observed, tool, accepted.arguments, text)
    content, parts = read_result(tool, value)
    if call.is_referred_to:
        call.whole = to_text(value)
    return ToolOutcome(content, parts=parts)


async def _value(observed: ObservedCall, tool: Tool, keywords: JsonObject, text: str) -> Any:
    """Return what the tool returns, after as many attempts as it may have."""
    context = observed.context(tool) if tool.arguments_for({}, NO_CONTEXT) else NO_CONTEXT
    try:
        return await _attempt(observed, tool, keywords, text, context)
    except ToolCallError as first:
        return await retry_tool_call(observed, tool, first, partial(_next_attempt, observed, tool, text, context))


async def _next_attempt(observed: ObservedCall, tool: Tool, text: str, context: ToolContext, _number: int) -> Any:
    keywords = tool.validate(text)  # anew: the handler may have changed them
    return await _attempt(observed, tool, keywords, text, context)


async def _attempt(observed: ObservedCall, tool: Tool, keywords: JsonObject, text: str, context: ToolContext) -> Any:
    """Run the tool once, as soon as one of the run's slots is free."""
    slots = observed.run.slots
    if slots.locked():
        with observed.waiting():
            await slots.acquire()
    else:
        await slots.acquire()
    try:
        return await Attempt(tool, keywords, text, context, observed).result()
    finally:
        slots.release()


def refuse_sync(what: Literal["tool", "model"]) -> NoReturn:
    """Refuse a synchronous call of a translated tool, or of the model, by a framework.

    Raises:
        UnsupportedCapabilityError: always.
    """
    raise UnsupportedCapabilityError(
        f"a synchronous {what} call would go past unified-agents; use `agent.run_sync(…)`, or the asynchronous call"
    )


def _current_run() -> Run:
    run = current_run.get()
    if run is None:
        raise UnsupportedCapabilityError(
            "this tool belongs to an agent; call it through `agent.run(…)` or `agent.run_sync(…)`"
        )
    return run
