"""The record of a run's steps: each answer of the model, with its calls, and these as a framework gets them."""

from __future__ import annotations

from unified_agents import wording
from unified_agents.errors import InvalidInputError, ToolCallError, ToolNotFoundError
from unified_agents.run.calls import Call, Step
from unified_agents.run.context import Run
from unified_agents.tool_runner.input_output import invalid_arguments
from unified_agents.tools.arguments import parse_object
from unified_agents.tools.definition import Tool
from unified_agents.tools.offer import INVALID_CALL_TOOL, Offer
from unified_agents.wire.protocols.answer import Answer
from unified_agents.wire.protocols.chat_completions_fields import RawCall
from unified_agents.wire.protocols.chat_completions_writer import assistant_message

MAX_SEARCHES = 8
"""For how many unknown names of one answer the closest tool is sought; a model may write a thousand."""


def record_step(run: Run, answer: Answer, number: int | None) -> Step:
    """Record an answer as a step of the run, with each call under an id that is unique within the run.

    Args:
        run: The run.
        answer: The answer.
        number: The model call's number, as its events have it; None takes the next one.
    """
    step = Step(len(run.steps) if number is None else number, assistant_message(answer.text, answer.calls))
    step.reasoning = answer.reasoning
    if answer.original is not None:
        step.original = answer.original
        run.has_originals = True
    unknown: dict[str, str] = {}
    for index, raw in enumerate(answer.calls):
        call = _call(run, step.index, index, raw, unknown)
        run.calls[call.id] = call
        step.calls.append(call)
        step.message["tool_calls"][index]["id"] = call.id
    run.steps.append(step)
    return step


def call_for_framework(call: Call, *, by_id: bool) -> tuple[str, str]:
    """Return the name and the arguments under which a framework gets a call.

    Args:
        call: The call.
        by_id: Whether the framework knows no tool but the reserved one, and the runner finds calls by their ids.
    """
    # A call that a framework would choke on becomes one of the reserved tool, which the runner answers.
    if by_id or call.problem is not None:
        return INVALID_CALL_TOOL, "{}"
    return call.wire_name, call.arguments if call.arguments.strip() else "{}"


def without_repeats(calls: list[RawCall]) -> list[RawCall]:
    """Return calls, each once: a server may repeat one, under its id, with the same name and arguments.

    Calls under one id whose arguments differ, and calls without an id, all stay.
    """
    if len(calls) < 2:
        return calls
    seen: set[tuple[str, str, str]] = set()
    kept = []
    for call in calls:
        key = (call.id, call.name, call.arguments)
        if not call.id or key not in seen:
            kept.append(call)
        seen.add(key)
    return kept


def _call(run: Run, step: int, index: int, raw: RawCall, unknown: dict[str, str]) -> Call:
    call_id, tried = raw.id, 0
    # Some servers give no ids, or those of earlier calls again.
    while not call_id or call_id in run.calls or call_id in run.given_ids:
        call_id = f"call_{step}_{index}" + (f"_{tried}" if tried else "")
        tried += 1
    offer = run.offer
    tool, wire_name = offer.asked_for(raw.name), raw.name
    if tool is None and run.handling == "unified" and (tool := offer.by_own_name(raw.name)) is not None:
        wire_name = offer.wire_names[tool.name]
    name = tool.name if tool is not None else raw.name
    problem = _problem(raw, tool, name, offer, unknown) if run.handling == "unified" else None
    return Call(step, index, call_id, name, wire_name, raw.arguments, tool, problem)


def _problem(raw: RawCall, tool: Tool | None, name: str, offer: Offer, unknown: dict[str, str]) -> ToolCallError | None:
    """Return why a call cannot run, as far as the wire can tell; None where nothing speaks against it.

    Args:
        raw: The call.
        tool: What it calls; None for an unknown name.
        name: The tool's own name.
        offer: The tools that there are.
        unknown: What the model is told of the unknown names of this answer so far.
    """
    if tool is None:
        if raw.name not in unknown:
            searches = len(unknown) < MAX_SEARCHES
            unknown[raw.name] = wording.unknown_tool(raw.name, list(offer.tools), searches=searches)
        return ToolNotFoundError(unknown[raw.name])
    try:
        parse_object(raw.arguments, name)
    except InvalidInputError as error:
        return invalid_arguments(name, error.problems)
    return None
