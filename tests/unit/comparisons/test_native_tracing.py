"""The frameworks' own tracing, scored against the wire."""

from __future__ import annotations

from typing import Any

import pytest

from support import add, asks_for, make_script
from unified_agents import ConfigError, ModelConfig, RunResult, create_agent, tool
from unified_agents.scripted.server import ScriptServer
from unified_agents_comparisons.analysis.tracing_rows import tracing_rows
from unified_agents_comparisons.native_tracing.collector import NativeSpans, traceable
from unified_agents_comparisons.native_tracing.measured import measured, traced
from unified_agents_comparisons.native_tracing.score import TracingScore, score_tracing
from unified_agents_comparisons.native_tracing.spans import ForeignSpan


@tool
async def divide(a: int, b: int) -> float:
    """Divide."""
    return a / b


ANSWERS = (
    {**asks_for("add", a=1, b=2), "usage": {"prompt_tokens": 100, "completion_tokens": 20}},
    {**asks_for("divide", a=1, b=0), "usage": {"prompt_tokens": 100, "completion_tokens": 20}},
    {"text": "done", "usage": {"prompt_tokens": 100, "completion_tokens": 20}},
)


async def run_of(backend: str, handling: Any = "unified", *, stream: bool = False) -> RunResult:
    async with ScriptServer() as server:
        model = ModelConfig(name="m", base_url=server.add(make_script(*ANSWERS)))
        options: dict[str, Any] = {"model_parameters": {"stream": True}} if stream else {}
        agent = create_agent(backend=backend, model=model, tools=[add, divide], handling=handling, **options)
        async with agent:
            return await agent.run("Go.")


def spans_of(result: RunResult, **changes: Any) -> list[ForeignSpan]:
    """Return spans that tell all of a run, in one tree."""
    root = ForeignSpan("other", 1, 1, None, False, None, None)
    spans = [root]
    for number, own in enumerate(result.trace.children, 2):
        is_model = own.name.startswith("chat")
        tokens = (100, 20) if is_model else (None, None)
        spans.append(ForeignSpan("model" if is_model else "tool", 1, number, 1, own.error is not None, *tokens))
    return spans


async def test_spans_that_tell_all_have_no_gap() -> None:
    result = await run_of("custom")
    found = score_tracing(result, spans_of(result))
    assert (found.model_calls, found.model_calls_seen, found.tools, found.tools_seen) == (3, 3, 2, 2)
    assert (found.errors, found.errors_seen, found.orphans, found.traces) == (1, 1, 0, 1)
    assert found.has_tokens_right
    assert found.has_parents_right


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda spans: [one for one in spans if one.kind != "model"], lambda s: s.model_calls_seen == 0),
        (lambda spans: [*spans, spans[1]], lambda s: s.model_calls_seen == 4 and not s.has_tokens_right),
        (lambda spans: [one for one in spans if one.kind != "tool"], lambda s: (s.tools_seen, s.errors_seen) == (0, 0)),
        (lambda spans: spans[1:], lambda s: not s.has_parents_right and s.orphans == 4),
        (
            lambda spans: [*spans, ForeignSpan("other", 2, 99, None, False, None, None)],
            lambda s: not s.has_parents_right and s.traces == 2,
        ),
        (lambda _: [], lambda s: s.model_calls_seen == 0 and not s.has_tokens_right),
    ],
)
async def test_each_gap_is_found(spoil: Any, fault: Any) -> None:
    result = await run_of("custom")
    assert fault(score_tracing(result, spoil(spans_of(result))))


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"model_calls_seen": 1}, "fewer_model_calls"),
        ({"model_calls_seen": 4}, "more_model_calls"),
        ({"requests": 4}, "no_repeats"),
        ({"input_tokens_seen": 99}, "other_tokens"),
        ({"output_tokens_seen": None}, "other_tokens"),
        ({"tools_seen": 1}, "fewer_tools"),
        ({"tools_seen": 3}, "more_tools"),
        ({"errors_seen": 0}, "no_error"),
        ({"traces": 2}, "no_tree"),
        ({"orphans": 1}, "no_tree"),
    ],
)
async def test_a_side_tells_how_many_runs_have_each_gap(changes: Any, kind: str, make_cell: Any) -> None:
    result = await run_of("custom")
    whole = score_tracing(result, spans_of(result)).model_copy(update={"cpu_without": 0.1, "cpu_with": 0.2})
    assert tracing_rows([make_cell()]) == ()
    [row] = tracing_rows([make_cell(tracing=whole), make_cell("two", tracing=whole)])
    assert (row.gaps, row.runs, row.with_tokens_right, row.cpu and row.cpu.estimate) == ((), 2, 2, 2.0)
    spoilt = whole.model_copy(update=changes)
    [row] = tracing_rows([make_cell(tracing=whole), make_cell("two", tracing=spoilt)])
    assert [(gap.kind, gap.runs) for gap in row.gaps] == [(kind, 1)]


def test_a_backend_without_an_instrumentor_is_left_out_or_refused() -> None:
    assert traceable(["custom", "langchain", "llamaindex"], named=False) == ("langchain", "llamaindex")
    with pytest.raises(ConfigError, match="no instrumentor is known for custom"):
        traceable(["custom", "langchain"], named=True)
    with pytest.raises(ConfigError, match="no instrumentor is known for custom"):
        traceable(["custom"], named=False)


def collector(backend: str) -> NativeSpans:
    name = {"langchain": "langchain", "llamaindex": "llama_index"}[backend]
    pytest.importorskip(f"openinference.instrumentation.{name}", reason="the instrumentor is not installed")
    return NativeSpans(backend)


async def scored(backend: str, handling: str = "unified", *, stream: bool = False) -> TracingScore:
    native = collector(backend)
    result, spans, cpu = await measured(native, lambda: run_of(backend, handling, stream=stream))
    assert min(cpu) > 0
    again, _, _ = await traced(native, lambda: run_of(backend, handling, stream=stream))
    assert again.output == "done"
    native.switch_on()
    assert native.switch_off() == ()  # nothing is left of the run before
    return score_tracing(result, spans)


async def test_langchain_does_not_tell_of_a_tool_that_failed_and_was_answered() -> None:
    """Its tool returns what the model reads of the failure, so that its span is no error."""
    found = await scored("langchain")
    assert (found.model_calls, found.model_calls_seen) == (3, 3)
    assert (found.tools, found.tools_seen) == (2, 2)
    assert found.has_tokens_right
    assert found.has_parents_right
    assert (found.errors, found.errors_seen) == (1, 0)


async def test_llamaindex_tells_each_model_call_three_times() -> None:
    """Its preparation of the tools is a model call to its instrumentor, and each call has a span within a span."""
    found = await scored("llamaindex")
    assert (found.model_calls, found.model_calls_seen) == (3, 9)
    assert (found.tools, found.tools_seen) == (2, 2)
    assert found.has_tokens_right
    assert found.has_parents_right
