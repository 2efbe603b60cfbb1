"""The metrics of OpenTelemetry's GenAI conventions, taken from spans that have ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from unified_agents.tracing import conventions as names
from unified_agents.tracing.spans import AttributeValue, Span

if TYPE_CHECKING:
    from opentelemetry.metrics import Histogram, Meter

_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_CHUNK_SECONDS = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 2.0, 5.0, 10.0)
_TOKENS = tuple(4**power for power in range(14))
_CALLS = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256)
_OF_A_CALL = (
    names.OPERATION,
    names.PROVIDER,
    names.REQUEST_MODEL,
    names.RESPONSE_MODEL,
    names.SERVER_ADDRESS,
    names.SERVER_PORT,
)
_BREAKDOWN = (names.CACHED_INPUT_TOKENS, names.CACHE_WRITE_TOKENS, names.REASONING_TOKENS)

Attributes = dict[str, AttributeValue]
_Totals = dict[tuple[tuple[str, AttributeValue], ...], dict[str, int]]
"""For attributes of calls, what these used of each kind of tokens."""


class GenAIMetrics:
    """The instruments of one meter.

    Args:
        meter: The user's.
        has_old_names: Whether the conventions' older metrics are recorded beside the new ones.
    """

    def __init__(self, meter: Meter, *, has_old_names: bool) -> None:
        self._duration = _histogram(meter, names.INFERENCE_DURATION, "s", _SECONDS, "Duration of a model call.")
        self._first = _histogram(
            meter, names.INFERENCE_FIRST_CHUNK, "s", _SECONDS, "Time from a request to the first chunk of its answer."
        )
        self._chunk = _histogram(
            meter, names.INFERENCE_OUTPUT_CHUNK, "s", _CHUNK_SECONDS, "Time from one chunk of an answer to the next."
        )
        self._input = _histogram(meter, names.INFERENCE_INPUT, "{token}", _TOKENS, "Input tokens of a model call.")
        self._output = _histogram(meter, names.INFERENCE_OUTPUT, "{token}", _TOKENS, "Output tokens of a model call.")
        self._counters = {
            attribute: meter.create_counter(name, "{token}", f"Tokens counted as {attribute}.")
            for attribute, name in names.USAGE_COUNTERS.items()
        }
        self._agent = _histogram(meter, names.AGENT_DURATION, "s", _SECONDS, "Duration of a run of an agent.")
        self._agent_calls = _histogram(
            meter, names.AGENT_INFERENCE_CALLS, "{call}", _CALLS, "Model calls of a run of an agent."
        )
        self._agent_tools = _histogram(
            meter, names.AGENT_TOOL_CALLS, "{call}", _CALLS, "Tool calls of a run of an agent."
        )
        self._tool = _histogram(meter, names.TOOL_DURATION, "s", _SECONDS, "Duration of a tool call.")
        self._old = _OldMetrics(meter) if has_old_names else None

    def run_ended(self, root: Span) -> None:
        """Record what the spans of a run say, once it is over: all at once costs the run the least."""
        self._run(root)
        totals: _Totals = {}
        for span in root.walk():
            operation = span.attributes.get(names.OPERATION)
            if operation == names.CHAT:
                self._model_call(span, totals)
            elif operation == names.EXECUTE_TOOL:
                attributes = _with_error({names.TOOL_NAME: span.attributes[names.TOOL_NAME]}, span)
                self._tool.record(_seconds(span), attributes)
        for counted, tokens in totals.items():
            for name, count in tokens.items():
                self._counters[name].add(count, dict(counted))

    def chunk(self, seconds: float, attributes: Attributes) -> None:
        """Record the time between two chunks of a streamed answer.

        Args:
            seconds: Since the chunk before.
            attributes: Those of the `chat` span.
        """
        own = {name: attributes[name] for name in _OF_A_CALL if name in attributes}
        self._chunk.record(seconds, own)
        if self._old is not None:
            self._old.chunk.record(seconds, own)

    def _model_call(self, span: Span, totals: _Totals) -> None:
        found = span.attributes
        own: Attributes = {name: found[name] for name in _OF_A_CALL if name in found}
        with_error = _with_error(own, span)
        seconds, first = _seconds(span), found.get(names.TIME_TO_FIRST_CHUNK)
        self._duration.record(seconds, with_error)
        if isinstance(first, float):
            self._first.record(first, own)
        tokens = {name: _count(found.get(name)) for name in names.USAGE_COUNTERS}
        self._input.record(tokens[names.INPUT_TOKENS], with_error)
        self._output.record(tokens[names.OUTPUT_TOKENS], with_error)
        is_known = names.INPUT_TOKENS in found or names.OUTPUT_TOKENS in found
        counted = (*own.items(), (names.TOKEN_MODALITY, "text" if is_known else "unknown"))
        total = totals.setdefault(counted, {})
        for name, count in tokens.items():
            if name in found or name not in _BREAKDOWN:
                total[name] = total.get(name, 0) + count
        if self._old is not None:
            self._old.model_call(own, with_error, seconds, first, tokens if is_known else {})

    def _run(self, span: Span) -> None:
        own: Attributes = {names.AGENT_NAME: span.attributes[names.AGENT_NAME]}
        self._agent.record(_seconds(span), _with_error(own, span))
        operations = [child.attributes.get(names.OPERATION) for child in span.children]
        self._agent_calls.record(operations.count(names.CHAT), own)
        self._agent_tools.record(operations.count(names.EXECUTE_TOOL), own)


class _OldMetrics:
    """The metrics of a model call as the semantic conventions 1.41 had them."""

    def __init__(self, meter: Meter) -> None:
        self._duration = _histogram(meter, names.OLD_DURATION, "s", _SECONDS, "Duration of a model call.")
        self._first = _histogram(meter, names.OLD_FIRST_CHUNK, "s", _SECONDS, "Time to the first chunk.")
        self.chunk = _histogram(meter, names.OLD_OUTPUT_CHUNK, "s", _CHUNK_SECONDS, "Time per output chunk.")
        self._tokens = _histogram(meter, names.OLD_TOKEN_USAGE, "{token}", _TOKENS, "Tokens of a model call.")

    def model_call(
        self, own: Attributes, with_error: Attributes, seconds: float, first: object, tokens: dict[str, int]
    ) -> None:
        self._duration.record(seconds, with_error)
        if isinstance(first, float):
            self._first.record(first, own)
        for name, kind in ((names.INPUT_TOKENS, "input"), (names.OUTPUT_TOKENS, "output")):
            if name in tokens:
                self._tokens.record(tokens[name], own | {names.OLD_TOKEN_TYPE: kind})


def _histogram(meter: Meter, name: str, unit: str, bounds: Sequence[float], description: str) -> Histogram:
    return meter.create_histogram(name, unit, description, explicit_bucket_boundaries_advisory=bounds)


def _with_error(attributes: Attributes, span: Span) -> Attributes:
    return attributes if span.error is None else attributes | {names.ERROR_TYPE: span.error}


def _count(value: AttributeValue | None) -> int:
    return value if isinstance(value, int) else 0


def _seconds(span: Span) -> float:
    return 0.0 if span.end is None else span.end - span.start
