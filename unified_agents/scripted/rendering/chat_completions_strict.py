"""Says what OpenAI's Chat Completions would refuse of a request, so that a scripted model can refuse it too."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

KNOWN_FIELDS = frozenset(
    {
        "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs", "max_completion_tokens",
        "max_tokens", "messages", "metadata", "modalities", "model", "moderation", "n", "parallel_tool_calls",
        "prediction", "presence_penalty", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention",
        "reasoning_effort", "response_format", "safety_identifier", "seed", "service_tier", "stop", "store", "stream",
        "stream_options", "temperature", "tool_choice", "tools", "top_logprobs", "top_p", "user", "verbosity",
        "web_search_options",
    }
)  # fmt: skip
"""The fields of a request, from the type that OpenAI's Python package publishes."""
_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_REASONS_WITHOUT_TOOLS = re.compile(r"gpt-(5\.[4-9]|[6-9])")


def strict_problem(body: Mapping[str, Any]) -> str | None:
    """Return what the API says when it refuses a request with status 400; None where it takes it."""
    return next(_problems(body), None)


def _problems(body: Mapping[str, Any]) -> Iterator[str]:
    # Source: the published type of the request.
    yield from (f"Unrecognized request argument supplied: {name}" for name in body if name not in KNOWN_FIELDS)
    if not body.get("tools"):
        # Source: the API reference, https://platform.openai.com/docs/api-reference/chat/create.
        for name in ("tool_choice", "parallel_tool_calls"):
            if name in body:
                yield f"Invalid value for '{name}': '{name}' is only allowed when 'tools' are specified."
    elif body.get("reasoning_effort") not in (None, "none") and _REASONS_WITHOUT_TOOLS.match(str(body.get("model"))):
        # Source: openai/openai-openapi#541, pipecat-ai/pipecat#4043.
        yield (
            f"Function tools with reasoning_effort are not supported for {body['model']} in /v1/chat/completions."
            " Please use /v1/responses instead."
        )
    if "stream_options" in body and body.get("stream") is not True:
        # Source: the API reference: "Only set this when you set stream: true".
        yield "The 'stream_options' parameter is only allowed when 'stream' is enabled."
    messages = body.get("messages")
    if isinstance(messages, list) and all(isinstance(message, Mapping) for message in messages):
        yield from _problems_of_messages(messages)


def _problems_of_messages(messages: list[Mapping[str, Any]]) -> Iterator[str]:
    open_calls: list[str] = []
    answered: set[str] = set()
    for place, message in enumerate(messages):
        role = message.get("role")
        if role not in _ROLES:
            yield f"Invalid value: '{role}'. Supported values are: {', '.join(sorted(_ROLES))}."
        if role == "tool":
            call_id = str(message.get("tool_call_id"))
            if call_id in answered:
                # Source: the same check as below, for a result that is sent twice.
                yield f"Invalid parameter: Duplicate value for 'tool_call_id' of '{call_id}'."
            elif call_id not in open_calls:
                # Source: langchain-ai/langchain-academy#59.
                yield (
                    f"Invalid parameter: messages with role 'tool' must be a response to a preceding message with"
                    f" 'tool_calls' (messages.[{place}].role)."
                )
            else:
                open_calls.remove(call_id)
                answered.add(call_id)
            continue
        yield from _unanswered(open_calls)
        answered = set()
        open_calls = [str(call.get("id")) for call in message.get("tool_calls") or ()] if role == "assistant" else []
    yield from _unanswered(open_calls)


def _unanswered(open_calls: list[str]) -> Iterator[str]:
    # Source: BloomLabsInc/genkit-plugins#225, langgenius/dify#32222.
    if open_calls:
        yield (
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each"
            f" 'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(open_calls)}"
        )
