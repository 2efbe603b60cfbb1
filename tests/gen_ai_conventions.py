"""What OpenTelemetry's GenAI conventions 0.1.0 want of the spans and metrics of an agent, as a check."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

TEXT, NUMBER, COUNT, TRUTH, TEXTS = (str,), (float, int), (int,), (bool,), (tuple, list)

_TOKENS = {
    f"gen_ai.usage.{name}": COUNT
    for name in (
        "input_tokens",
        "output_tokens",
        "cache_read.input_tokens",
        "cache_write.input_tokens",
        "reasoning.output_tokens",
    )
}
_ADDRESS = {"server.address": TEXT, "server.port": COUNT}
_CONTENT = {"gen_ai.input.messages": TEXT, "gen_ai.output.messages": TEXT, "gen_ai.system_instructions": TEXT}


@dataclass(frozen=True)
class SpanRule:
    """What is wanted of the spans of one operation."""

    kind: str
    named_by: str
    required: Mapping[str, tuple[type, ...]]
    allowed: Mapping[str, tuple[type, ...]] = field(default_factory=dict)


SPANS = {
    "invoke_agent": SpanRule(
        "INTERNAL",
        "gen_ai.agent.name",
        {"gen_ai.operation.name": TEXT, "gen_ai.agent.name": TEXT, "gen_ai.request.model": TEXT},
        {
            "gen_ai.conversation.id": TEXT,
            "gen_ai.usage.input_tokens": COUNT,
            "gen_ai.usage.output_tokens": COUNT,
            **_CONTENT,
        },
    ),
    "chat": SpanRule(
        "CLIENT",
        "gen_ai.request.model",
        {"gen_ai.operation.name": TEXT, "gen_ai.provider.name": TEXT, "gen_ai.request.model": TEXT},
        {
            "gen_ai.conversation.id": TEXT,
            "gen_ai.output.type": TEXT,
            "gen_ai.request.stream": TRUTH,
            "gen_ai.request.temperature": NUMBER,
            "gen_ai.request.max_tokens": COUNT,
            "gen_ai.request.seed": COUNT,
            "gen_ai.request.top_p": NUMBER,
            "gen_ai.request.stop_sequences": TEXTS,
            "gen_ai.request.reasoning.level": TEXT,
            "gen_ai.response.id": TEXT,
            "gen_ai.response.model": TEXT,
            "gen_ai.response.finish_reasons": TEXTS,
            "gen_ai.response.time_to_first_chunk": NUMBER,
            **_TOKENS,
            **_ADDRESS,
            **_CONTENT,
        },
    ),
    "execute_tool": SpanRule(
        "INTERNAL",
        "gen_ai.tool.name",
        {"gen_ai.operation.name": TEXT, "gen_ai.tool.name": TEXT},
        {
            "gen_ai.tool.call.id": TEXT,
            "gen_ai.tool.type": TEXT,
            "gen_ai.tool.description": TEXT,
            "gen_ai.tool.call.arguments": TEXT,
            "gen_ai.tool.call.result": TEXT,
        },
    ),
}
PROVIDERS = {"openai", "anthropic", "gcp.gemini"}
METRICS = {
    "gen_ai.client.inference.duration": ("s", "histogram"),
    "gen_ai.client.inference.time_to_first_chunk": ("s", "histogram"),
    "gen_ai.client.inference.time_per_output_chunk": ("s", "histogram"),
    "gen_ai.client.inference.operation.input_tokens": ("{token}", "histogram"),
    "gen_ai.client.inference.operation.output_tokens": ("{token}", "histogram"),
    "gen_ai.client.inference.usage.input_tokens": ("{token}", "sum"),
    "gen_ai.client.inference.usage.output_tokens": ("{token}", "sum"),
    "gen_ai.client.inference.usage.cache_read.input_tokens": ("{token}", "sum"),
    "gen_ai.client.inference.usage.cache_write.input_tokens": ("{token}", "sum"),
    "gen_ai.client.inference.usage.reasoning.output_tokens": ("{token}", "sum"),
    "gen_ai.invoke_agent.duration": ("s", "histogram"),
    "gen_ai.invoke_agent.inference_calls": ("{call}", "histogram"),
    "gen_ai.invoke_agent.tool_calls": ("{call}", "histogram"),
    "gen_ai.execute_tool.duration": ("s", "histogram"),
}


def faults_of_span(name: str, kind: str, attributes: Mapping[str, Any], *, failed: bool) -> Iterator[str]:
    """Yield what is wrong with a span.

    Args:
        name: Its name.
        kind: `CLIENT`, `INTERNAL` or another.
        attributes: Its attributes; those of our own namespace are nobody's affair.
        failed: Whether its status is an error.
    """
    operation = attributes.get("gen_ai.operation.name")
    rule = SPANS.get(str(operation))
    if rule is None:
        yield f"{name}: the operation {operation!r} is none"
        return
    if kind != rule.kind:
        yield f"{name}: kind {kind}, and not {rule.kind}"
    if name != f"{operation} {attributes.get(rule.named_by)}":
        yield f"{name}: not named by its operation and {rule.named_by}"
    if failed != ("error.type" in attributes):
        yield f"{name}: status and error.type do not agree"
    for key in rule.required:
        if key not in attributes:
            yield f"{name}: {key} is missing"
    known = {**rule.required, **rule.allowed, "error.type": TEXT}
    for key, value in attributes.items():
        if key.startswith("unified_agents."):
            continue
        if key not in known:
            yield f"{name}: {key} is in no convention for it"
        elif not isinstance(value, known[key]) or (isinstance(value, bool) and known[key] is not TRUTH):
            yield f"{name}: {key} is {value!r}"
    if operation == "chat" and attributes.get("gen_ai.provider.name") not in PROVIDERS:
        yield f"{name}: no known provider: {attributes.get('gen_ai.provider.name')}"
    if ("server.address" in attributes) != ("server.port" in attributes):
        yield f"{name}: server.address without server.port"
