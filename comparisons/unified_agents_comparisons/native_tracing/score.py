"""What a framework's own spans tell of a run, against what passed the seams."""

from __future__ import annotations

from collections.abc import Sequence

from unified_agents.result import RunResult
from unified_agents.tracing.conventions import CHAT, EXECUTE_TOOL, OPERATION
from unified_agents_comparisons.frozen_model import FrozenModel
from unified_agents_comparisons.native_tracing.spans import ForeignSpan


class TracingScore(FrozenModel):
    """How much of one run the framework's own spans tell.

    Attributes:
        model_calls: Model calls on the wire; further attempts of one are the same call.
        model_calls_seen: Spans of model calls.
        requests: Requests on the wire, further attempts included.
        input_tokens: What the answers reported; None when none did.
        output_tokens: The same of the output.
        input_tokens_seen: What the spans say; None when none does.
        output_tokens_seen: The same of the output.
        tools: Tool calls that ran.
        tools_seen: Spans of tool calls.
        errors: Tool calls that failed, and the last model call where it failed.
        errors_seen: Spans of model calls and tool calls whose status is an error.
        traces: How many traces the spans are in; one, where they all belong together.
        orphans: Spans whose parent is not among the run's spans, beyond the first root.
        cpu_without: CPU seconds of a run without the framework's tracing; None where it was not measured.
        cpu_with: CPU seconds of the run with it; None where it was not measured.
    """

    model_calls: int
    model_calls_seen: int
    requests: int
    input_tokens: int | None
    output_tokens: int | None
    input_tokens_seen: int | None
    output_tokens_seen: int | None
    tools: int
    tools_seen: int
    errors: int
    errors_seen: int
    traces: int
    orphans: int
    cpu_without: float | None = None
    cpu_with: float | None = None

    @property
    def has_tokens_right(self) -> bool:
        """Whether the spans tell the tokens that the wire counted."""
        return (self.input_tokens or 0, self.output_tokens or 0) == (
            self.input_tokens_seen or 0,
            self.output_tokens_seen or 0,
        )

    @property
    def has_parents_right(self) -> bool:
        """Whether all spans are one tree."""
        return self.traces <= 1 and not self.orphans


def score_tracing(result: RunResult, spans: Sequence[ForeignSpan]) -> TracingScore:
    """Compare the spans that a framework made during a run with what passed the seams.

    Args:
        result: The run.
        spans: The framework's own.
    """
    models = [span for span in spans if span.kind == "model"]
    tools = [span for span in spans if span.kind == "tool"]
    ids = {span.span_id for span in spans}
    roots = [span for span in spans if span.parent_id not in ids]
    children = result.trace.children
    ran = [span for span in children if span.attributes.get(OPERATION) == EXECUTE_TOOL]
    chats = [span for span in children if span.attributes.get(OPERATION) == CHAT]
    usage = result.usage
    return TracingScore(
        model_calls=len({call.step for call in result.model_calls if call.step is not None}),
        model_calls_seen=len(models),
        requests=result.requests,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        input_tokens_seen=_sum([span.input_tokens for span in models]),
        output_tokens_seen=_sum([span.output_tokens for span in models]),
        tools=len(ran),
        tools_seen=len(tools),
        errors=sum(span.error is not None for span in ran) + bool(chats and chats[-1].error is not None),
        errors_seen=sum(span.failed for span in (*models, *tools)),
        traces=len({span.trace_id for span in spans}),
        orphans=max(0, len(roots) - 1),
    )


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
