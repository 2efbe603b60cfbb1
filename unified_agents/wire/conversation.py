"""Puts a conversation into the order and form in which it goes upstream."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from unified_agents import wording
from unified_agents.messages import JsonObject

if TYPE_CHECKING:
    from unified_agents.run.calls import Call, Step
    from unified_agents.run.context import Run


def with_system_text(messages: Sequence[Mapping[str, Any]], text: str) -> list[Mapping[str, Any]]:
    """The conversation with a text at the end of its system message; in one of its own where there is none."""
    first = messages[0] if messages else {}
    if first.get("role") in ("system", "developer") and isinstance(first.get("content"), str):
        return [{**first, "content": f"{first['content']}\n\n{text}"}, *messages[1:]]
    return [{"role": "system", "content": text}, *messages]


def in_call_order(run: Run, messages: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The conversation with each assistant turn as the model wrote it, and each turn's results in call order.

    Frameworks rewrite arguments and send parallel results back in the order in which the tools ended.
    """
    ordered: list[Mapping[str, Any]] = []
    results: list[tuple[int, Mapping[str, Any]]] = []
    step: Step | None = None
    for message in messages:
        call = run.calls.get(message.get("tool_call_id", "")) if message.get("role") == "tool" else None
        if call is not None and step is not None and call.step == step.index:
            results.append((call.index, message))
            continue
        ordered.extend(message for _, message in sorted(results, key=_index))
        results.clear()
        step = _step_of(run, message)
        ordered.append(message if step is None else step.message)
    ordered.extend(message for _, message in sorted(results, key=_index))
    return ordered


def with_parts(
    run: Run, messages: Iterable[Mapping[str, Any]], place: Literal["tool", "user"], *, in_text: bool = False
) -> list[Mapping[str, Any]]:
    """The conversation, in call order, with the images and files that tools of this run returned.

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
    shown = ((message, _shown(run, message)) for message in messages)
    return [message if call is None else _holding(message, call, place) for message, call in shown]


def _after_results(run: Run, messages: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    written: list[Mapping[str, Any]] = []
    attached: list[JsonObject] = []
    for message in messages:
        if attached and message.get("role") != "tool":
            written.append({"role": "user", "content": attached})
            attached = []
        written.append(message)
        if (call := _shown(run, message)) is not None:
            attached += _attached(call)
    return [*written, {"role": "user", "content": attached}] if attached else written


def _attached(call: Call) -> list[JsonObject]:
    parts = call.outcome.parts if call.outcome is not None else ()
    taken = [said for part in parts if part.type != "text" and (said := part.to_user()) is not None]
    return [{"type": "text", "text": wording.attached_result(call.wire_name, call.id)}, *taken] if taken else []


def _in_observations(
    run: Run, messages: Iterable[Mapping[str, Any]], place: Literal["tool", "user"]
) -> list[Mapping[str, Any]]:
    """With each observation, which frameworks write without its call's id, as a tool message that holds its parts."""
    written: list[Mapping[str, Any]] = []
    asked: Call | None = None
    for message in messages:
        call = asked if wording.is_observation(message) else _shown(run, message)
        written.append(message if call is None else _holding(message, call, place))
        step = _step_of(run, message)
        asked = step.calls[0] if step is not None and _has_parts(step.calls[0]) else None
    return written


def _shown(run: Run, message: Mapping[str, Any]) -> Call | None:
    """The call that a tool message answers, where it has more to show than text."""
    call = run.calls.get(message.get("tool_call_id", "")) if message.get("role") == "tool" else None
    return call if call is not None and _has_parts(call) else None


def _has_parts(call: Call) -> bool:
    return call.outcome is not None and bool(call.outcome.parts)


def _holding(message: Mapping[str, Any], call: Call, place: Literal["tool", "user"]) -> JsonObject:
    parts = call.outcome.parts if call.outcome is not None else ()
    content = [
        part.to_chat() if place == "tool" else part.to_user() or {"type": "text", "text": part.as_text()}
        for part in parts
    ]
    return {**message, "role": "tool", "tool_call_id": call.id, "content": content}


def _index(result: tuple[int, Mapping[str, Any]]) -> int:
    return result[0]


def _step_of(run: Run, message: Mapping[str, Any]) -> Step | None:
    calls = message.get("tool_calls")
    if message.get("role") != "assistant" or not calls:
        return None
    call: Call | None = run.calls.get(calls[0].get("id"))
    return run.steps[call.step] if call is not None else None
