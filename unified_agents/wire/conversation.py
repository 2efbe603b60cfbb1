"""A conversation in the order and the form in which it goes upstream."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Literal

from unified_agents import wording
from unified_agents.messages import JsonObject
from unified_agents.run.calls import Call, Step
from unified_agents.run.context import Run
from unified_agents.tools.offer import INVALID_CALL_TOOL
from unified_agents.tools.parts import Part


def with_system_text(messages: Sequence[Mapping[str, Any]], text: str) -> list[Mapping[str, Any]]:
    """Return the conversation with a text at the end of its system message, or in a new one where there is none."""
    first = messages[0] if messages else {}
    if first.get("role") in ("system", "developer"):
        content = first.get("content") or ""
        joined = [*content, {"type": "text", "text": text}] if isinstance(content, list) else f"{content}\n\n{text}"
        return [{**first, "content": joined}, *messages[1:]]
    return [{"role": "system", "content": text}, *messages]


def in_call_order(run: Run, messages: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the conversation with each assistant turn as the model wrote it, and its results in call order.

    Frameworks rewrite arguments and send parallel results back in the order in which the tools ended.
    """
    ordered: list[Mapping[str, Any]] = []
    results: list[tuple[int, Mapping[str, Any]]] = []
    step: Step | None = None
    for message in messages:
        call = _answered_call(run, message)
        if call is not None and step is not None and call.step == step.index:
            results.append((call.index, message))
            continue
        ordered += _in_order(results)
        results.clear()
        step = _step_of(run, message)
        ordered.append(message if step is None else step.message)
    return ordered + _in_order(results)


def _in_order(results: list[tuple[int, Mapping[str, Any]]]) -> list[Mapping[str, Any]]:
    return [message for _, message in sorted(results, key=itemgetter(0))]


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


def with_parts(
    run: Run, messages: Iterable[Mapping[str, Any]], place: Literal["tool", "user"], *, in_text: bool = False
) -> list[Mapping[str, Any]]:
    """Return the conversation, in call order, with the images and files that tools of this run returned.

    Args:
        run: The run.
        messages: The conversation.
        place: `tool` puts them into the tool messages, in the place of their description. `user` puts those that user
            messages take into one after the last tool message of each step.
        in_text: Whether the text protocol will write results as user messages, which then hold them.
    """
    if in_text:
        return _in_observations(run, messages, place)
    if place == "user":
        return _after_results(run, messages)
    answered = ((message, _answered_call(run, message)) for message in messages)
    return [_with_parts_of(call, message, place) for message, call in answered]


def _after_results(run: Run, messages: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    written: list[Mapping[str, Any]] = []
    attached: list[JsonObject] = []
    for message in messages:
        if attached and message.get("role") != "tool":
            written.append({"role": "user", "content": attached})
            attached = []
        written.append(message)
        if (call := _answered_call(run, message)) is not None:
            attached += _attached(call)
    return [*written, {"role": "user", "content": attached}] if attached else written


def _attached(call: Call) -> list[JsonObject]:
    content = [taken for part in _parts(call) if part.type != "text" and (taken := part.to_user()) is not None]
    return [{"type": "text", "text": wording.attached_result(call.wire_name, call.id)}, *content] if content else []


def _in_observations(
    run: Run, messages: Iterable[Mapping[str, Any]], place: Literal["tool", "user"]
) -> list[Mapping[str, Any]]:
    # Frameworks write an observation without its call's id: it answers the call of the turn before it.
    written: list[Mapping[str, Any]] = []
    last_call: Call | None = None
    for message in messages:
        call = last_call if wording.is_observation(message) else _answered_call(run, message)
        written.append(_with_parts_of(call, message, place))
        step = _step_of(run, message)
        last_call = step.calls[0] if step is not None else None
    return written


def _answered_call(run: Run, message: Mapping[str, Any]) -> Call | None:
    """Return the call of this run that a tool message answers."""
    return run.calls.get(message.get("tool_call_id", "")) if message.get("role") == "tool" else None


def _parts(call: Call | None) -> Sequence[Part]:
    return call.outcome.parts if call is not None and call.outcome is not None else ()


def _with_parts_of(call: Call | None, message: Mapping[str, Any], place: Literal["tool", "user"]) -> Mapping[str, Any]:
    """Return the message with the parts of the result that it stands for, where there is more than text."""
    parts = _parts(call)
    if call is None or not parts:
        return message
    content = [
        part.to_chat() if place == "tool" else part.to_user() or {"type": "text", "text": part.as_text()}
        for part in parts
    ]
    return {**message, "role": "tool", "tool_call_id": call.id, "content": content}


def _step_of(run: Run, message: Mapping[str, Any]) -> Step | None:
    """Return the step of this run that an assistant turn with calls stands for."""
    calls = message.get("tool_calls")
    if message.get("role") != "assistant" or not calls:
        return None
    call = run.calls.get(calls[0].get("id"))
    return run.steps[call.step] if call is not None else None
