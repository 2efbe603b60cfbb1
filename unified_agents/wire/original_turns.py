"""Puts what a provider wrote back into the turns of a conversation, where the same model gets it again."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from unified_agents.config import ModelConfig
from unified_agents.messages import JsonObject, Message
from unified_agents.run.context import Run
from unified_agents.tracing.live import OpenSpan


def origin_of(model: ModelConfig, protocol: str) -> JsonObject:
    """Return what a model's turns are known by: `protocol`, `endpoint` and `model`, as in `Message.original`."""
    parts = urlsplit(model.url)
    endpoint = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
    return {"protocol": protocol, "endpoint": endpoint, "model": model.name}


def with_originals(
    run: Run, messages: Sequence[Mapping[str, Any]], origin: JsonObject | None, span: OpenSpan
) -> list[Mapping[str, Any]]:
    """Return the conversation with the original of each turn that has one of this origin, under the key `original`.

    A framework may have rewritten a turn, so it is found by the id of its first call, or by its text; of turns with
    the same text by their order.

    Args:
        run: The run.
        messages: The conversation.
        origin: What the turns of the asked model are known by; None where its server takes no originals.
        span: Is told how many stayed behind.
    """
    given = _given(run.messages)
    left_behind = 0
    found: list[Mapping[str, Any]] = []
    for message in messages:
        original = _original(run, message, given)
        if original is None:
            found.append(message)
        elif origin is not None and {name: original.get(name) for name in origin} == origin:
            found.append({**message, "original": original["body"]})
        else:
            left_behind += 1
            found.append({name: value for name, value in message.items() if name != "original"})
    if left_behind:
        span.event("originals_left_behind", turns=left_behind)
    return found


def _given(messages: Sequence[Message]) -> dict[str, deque[JsonObject | None]]:
    """Return the originals of the turns that the run was given, by their first call's id or their text, in order."""
    given: dict[str, deque[JsonObject | None]] = {}
    for message in messages:
        if message.role == "assistant":
            given.setdefault(_key(message.to_chat()), deque()).append(message.original)
    return given


def _original(run: Run, message: Mapping[str, Any], given: Mapping[str, deque[JsonObject | None]]) -> JsonObject | None:
    if message.get("role") != "assistant":
        return None
    original: JsonObject | None = message.get("original")
    if original is not None:
        return original
    calls = message.get("tool_calls")
    call = run.calls.get(calls[0].get("id")) if calls else None
    if call is not None:
        return run.steps[call.step].original
    places = given.get(_key(message))
    return places.popleft() if places else None


def _key(message: Mapping[str, Any]) -> str:
    if calls := message.get("tool_calls"):
        return f"id {calls[0].get('id')}"
    content = message.get("content")
    if isinstance(content, list):  # some frameworks write a text as a list of parts
        content = "".join(part.get("text") or "" for part in content if isinstance(part, dict))
    return f"text {content or ''}"
