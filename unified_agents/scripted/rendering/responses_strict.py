"""Says what OpenAI's Responses API would refuse of a request, so that a scripted model can refuse it too."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from unified_agents.scripted.rendering.responses import decrypted, reasoning_id

MAX_ID_CHARS = 64
KNOWN_FIELDS = frozenset(
    {
        "background", "context_management", "conversation", "include", "input", "instructions", "max_output_tokens",
        "max_tool_calls", "metadata", "model", "moderation", "parallel_tool_calls", "previous_response_id", "prompt",
        "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "reasoning", "safety_identifier",
        "service_tier", "store", "stream", "stream_options", "temperature", "text", "tool_choice", "tools",
        "top_logprobs", "top_p", "truncation", "user",
    }
)  # fmt: skip
"""The fields of a request, from the type that OpenAI's Python package publishes."""

_PREFIXES = {"function_call": "fc", "message": "msg", "reasoning": "rs"}
_WITHOUT_REASONING = re.compile(r"gpt-3\.5|gpt-4|chatgpt-|gpt-5[\d.]*-chat")
_IS_OUTPUT = frozenset({"message", "function_call"})
"""Kinds of items that reasoning may stand before, besides further reasoning."""


def strict_problem(body: Mapping[str, Any]) -> str | None:
    """Return what the API says when it refuses a request with status 400; None where it takes it.

    The request is one that `responses_input.chat_request` can read.
    """
    return next(_problems(body), None)


def _problems(body: Mapping[str, Any]) -> Iterator[str]:
    # Source: the published type of the request, and "Unknown parameter" in openai/openai-agents-python#3026.
    yield from (f"Unknown parameter: '{name}'." for name in body if name not in KNOWN_FIELDS)
    # Source: microsoft/agent-framework#7483.
    include = body.get("include")
    if (
        isinstance(include, list)
        and "reasoning.encrypted_content" in include
        and _WITHOUT_REASONING.match(str(body.get("model")))
    ):
        yield "Encrypted content is not supported with this model."
    items = body.get("input")
    if not isinstance(items, list):
        return
    yield from _problems_of_ids(items)
    yield from _problems_of_reasoning(items, is_stored=body.get("store") is not False)
    yield from _problems_of_calls(items)


def _problems_of_ids(items: list[Mapping[str, Any]]) -> Iterator[str]:
    seen: set[str] = set()
    for place, item in enumerate(items):
        kind, id_ = item.get("type", "message"), item.get("id")
        # Source: NousResearch/hermes-agent#73492.
        for name in ("id", "call_id"):
            length = len(str(item.get(name) or ""))
            if length > MAX_ID_CHARS:
                yield (
                    f"Invalid 'input[{place}].{name}': string too long. Expected a string with maximum length"
                    f" {MAX_ID_CHARS}, but got a string with length {length} instead."
                )
        if not isinstance(id_, str):
            continue
        # Source: nodetool-ai/nodetool#4252.
        prefix = _PREFIXES.get(kind, "")
        if not id_.startswith(prefix) and item.get("role") in (None, "assistant"):
            yield f"Invalid 'input[{place}].id': '{id_}'. Expected an ID that begins with '{prefix}'."
        # Source: openai/openai-agents-python#1789.
        if id_ in seen:
            yield f"Duplicate item found with id {id_}. Remove duplicate items from your input and try again."
        seen.add(id_)


def _problems_of_reasoning(items: list[Mapping[str, Any]], *, is_stored: bool) -> Iterator[str]:
    given = {str(item.get("id")) for item in items if item.get("type") == "reasoning"}
    for place, item in enumerate(items):
        id_ = item.get("id")
        if item.get("type") != "reasoning":
            # Source: continuedev/continue#11466.
            needed = reasoning_id(id_) if isinstance(id_, str) else None
            if needed is not None and needed not in given:
                yield (
                    f"Item '{id_}' of type '{item.get('type')}' was provided without its required 'reasoning' item:"
                    f" '{needed}'."
                )
            continue
        # Source: openai/openai-agents-python#3026.
        if "status" in item:
            yield f"Unknown parameter: 'input[{place}].status'."
        # Source: newo-ether/Agora#141.
        if not isinstance(item.get("summary"), list):
            yield f"Missing required parameter: 'input[{place}].summary'."
        yield from _problems_of_content(item, is_stored=is_stored)
        # Source: openai/openai-agents-python#1660.
        if not _is_followed(items, place):
            yield f"Item '{id_}' of type 'reasoning' was provided without its required following item."


def _problems_of_content(item: Mapping[str, Any], *, is_stored: bool) -> Iterator[str]:
    id_, content = item.get("id"), item.get("encrypted_content")
    if not content:
        # Source: vercel/ai#7543.
        advice = (
            ""
            if is_stored
            else (
                " Items are not persisted when `store` is set to false. Try again with `store` set to true, or remove"
                " this item from your input."
            )
        )
        yield f"Item with id '{id_}' not found.{advice}"
        return
    # Source: openai/codex#8145.
    opened = decrypted(str(content))
    if opened is None or id_ not in (None, opened[0]):
        yield f"The encrypted content {str(content)[:4]}...{str(content)[-4:]} could not be verified."


def _is_followed(items: list[Mapping[str, Any]], place: int) -> bool:
    """Tell whether what followed reasoning in its answer follows it here: an item of the model, and of that answer."""
    later = (items[number] for number in range(place + 1, len(items)))
    following = next((item for item in later if item.get("type") != "reasoning"), None)
    if (
        following is None
        or following.get("type", "message") not in _IS_OUTPUT
        or following.get("role", "assistant") != "assistant"
    ):
        return False
    id_, own = following.get("id"), items[place].get("id")
    needed = reasoning_id(id_) if isinstance(id_, str) else None
    return needed is None or own is None or needed == own


def _problems_of_calls(items: list[Mapping[str, Any]]) -> Iterator[str]:
    called: set[str] = set()
    answered: set[str] = set()
    for item in items:
        kind, call_id = item.get("type"), str(item.get("call_id"))
        if kind == "function_call":
            # Source: earendil-works/pi#9057.
            if call_id in called:
                yield f"Duplicate 'call_id': {call_id}"
            called.add(call_id)
        elif kind == "function_call_output":
            # Source: microsoft/vscode#320060.
            if call_id not in called:
                yield f"No tool call found for function call output with call_id {call_id}."
            # Source: NousResearch/hermes-agent#111443.
            if call_id in answered:
                yield f"Duplicate function_call_output for call_id {call_id}."
            answered.add(call_id)
    # Source: openai/openai-agents-python#673.
    yield from (
        f"No tool output found for function call {item['call_id']}."
        for item in items
        if item.get("type") == "function_call" and str(item.get("call_id")) not in answered
    )
