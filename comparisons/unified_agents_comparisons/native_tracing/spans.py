"""The spans that a framework's own tracing makes, in words that hold for every framework."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

SpanKind = Literal["model", "tool", "other"]

_KINDS: Mapping[str, SpanKind] = {"LLM": "model", "TOOL": "tool", "chat": "model", "execute_tool": "tool"}
"""The kinds of OpenInference, and the operations of OpenTelemetry's GenAI conventions."""


@dataclass(slots=True, frozen=True)
class ForeignSpan:
    """A span that a framework made.

    Attributes:
        kind: Whether it is of a model call or a tool call.
        trace_id: Its trace.
        span_id: Its id.
        parent_id: Its parent's id; None for a root.
        failed: Whether its status is an error.
        input_tokens: What it says of a model call's input; None where it says nothing.
        output_tokens: The same of the output.
    """

    kind: SpanKind
    trace_id: int
    span_id: int
    parent_id: int | None
    failed: bool
    input_tokens: int | None
    output_tokens: int | None


def foreign_span(span: ReadableSpan) -> ForeignSpan:
    """Return what counts of a span of OpenTelemetry's."""
    attributes = span.attributes or {}
    context = span.get_span_context()
    kind = attributes.get("openinference.span.kind") or attributes.get("gen_ai.operation.name")
    return ForeignSpan(
        kind=_KINDS.get(str(kind), "other"),
        trace_id=context.trace_id if context else 0,
        span_id=context.span_id if context else 0,
        parent_id=span.parent.span_id if span.parent is not None else None,
        failed=not span.status.is_ok,
        input_tokens=_count(attributes, "llm.token_count.prompt", "gen_ai.usage.input_tokens"),
        output_tokens=_count(attributes, "llm.token_count.completion", "gen_ai.usage.output_tokens"),
    )


def _count(attributes: Mapping[str, Any], *names: str) -> int | None:
    return next((attributes[name] for name in names if isinstance(attributes.get(name), int)), None)
