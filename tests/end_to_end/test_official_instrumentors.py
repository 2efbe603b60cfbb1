"""Where an official OpenTelemetry instrumentor makes a span of a run, ours of the same call says the same."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gen_ai_conventions import SPANS
from support import EVERY_BACKEND, add, asks_for, make_script, run_once
from unified_agents import ModelConfig, ModelParameters, RunError, create_agent, tool
from unified_agents.scripted.server import ScriptServer

OPERATION = "gen_ai.operation.name"
TIMES = {"gen_ai.response.time_to_first_chunk"}
"""What is measured at another place, and so is never quite the same."""
USAGE = {"prompt_tokens": 100, "completion_tokens": 20}
INSTRUMENTORS = {
    "langchain": ("opentelemetry.instrumentation.genai.langchain", "LangChainInstrumentor"),
    "openai": ("opentelemetry.instrumentation.genai.openai", "OpenAIInstrumentor"),
}
CASES = [
    ("langchain", "langchain"),
    ("openai", "langchain"),
    *(("openai", name) for name in ("agent_framework", "pydantic_ai") if name in EVERY_BACKEND),
]


@tool
async def divide(a: int, b: int) -> float:
    """Divide."""
    return a / b


@dataclass(frozen=True)
class Seen:
    """A span as it is compared."""

    name: str
    kind: str
    failed: bool
    attributes: dict[str, Any]


def paired(official: list[Seen], ours: list[Seen]) -> list[tuple[Seen, Seen]]:
    """Pair the spans of the same calls: those of an operation, in the order of their start."""
    pairs = []
    for operation in {one.attributes[OPERATION] for one in official}:
        theirs, own = ([one for one in some if one.attributes[OPERATION] == operation] for some in (official, ours))
        pairs += list(zip(theirs, own, strict=True))
    return pairs


def seen(span: ReadableSpan) -> Seen:
    return Seen(span.name, span.kind.name, not span.status.is_ok, dict(span.attributes or {}))


class Kept:
    """A provider that keeps its spans."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def spans(self, scope: str = "") -> list[Seen]:
        """Return those whose scope begins so: some frameworks send spans of their own to the global provider."""
        found = sorted(self._exporter.get_finished_spans(), key=lambda one: one.start_time or 0)
        scopes = [(one.instrumentation_scope.name if one.instrumentation_scope else "") for one in found]
        return [seen(one) for one, name in zip(found, scopes, strict=True) if name.startswith(scope)]


@contextmanager
def instrumented(name: str) -> Iterator[Kept]:
    module, of_class = INSTRUMENTORS[name]
    loaded = pytest.importorskip(module, reason="the official instrumentor is not installed", exc_type=ImportError)
    kept, instrumentor = Kept(), getattr(importlib.import_module(loaded.__name__), of_class)()
    instrumentor.instrument(tracer_provider=kept.provider)
    try:
        yield kept
    finally:
        instrumentor.uninstrument()


def disagreements(theirs: Seen, ours: Seen, *, model_is_hidden: bool) -> list[str]:
    """Return where two spans of the same call differ in name, kind or attributes.

    Args:
        theirs: The official instrumentor's.
        ours: Ours.
        model_is_hidden: Whether the framework was told a model's name that is not the real one.
    """
    found = []
    rule = SPANS[theirs.attributes[OPERATION]]
    hidden = {"gen_ai.request.model"} if model_is_hidden else set()
    operation = theirs.attributes[OPERATION]
    if theirs.name != ours.name and not model_is_hidden and theirs.name != operation:
        found.append(f"{theirs.name}: ours is {ours.name}")
    if theirs.kind != ours.kind:
        found.append(f"{theirs.name}: {theirs.kind}, and ours is {ours.kind}")
    found += [f"{theirs.name}: {key} is missing in ours" for key in rule.required if key not in ours.attributes]
    for key, value in theirs.attributes.items():
        if key == "error.type":  # the class of an exception there, the kind of an error here
            same = isinstance(ours.attributes.get(key), str)
        else:
            same = key in ours.attributes and (key in TIMES | hidden or ours.attributes[key] == value)
        if not same:
            found.append(f"{theirs.name}: {key} is {value!r}, and ours is {ours.attributes.get(key)!r}")
    return found


async def both(
    instrumentor: str, backend: str, handling: Any, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[Seen], list[Seen]]:
    """Run an agent whose second tool fails; return the official spans and ours."""
    kept = Kept()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", kept.provider)
    answers = [asks_for("add", a=1, b=2), asks_for("divide", a=1, b=0), {"text": "done"}]
    async with ScriptServer() as server:
        url = server.add(make_script(*({**answer, "usage": USAGE} for answer in answers)))
        with instrumented(instrumentor) as official:
            agent = create_agent(
                backend=backend,
                model=ModelConfig(name="m", base_url=url),
                model_parameters=ModelParameters(temperature=0.5, max_tokens=77, stream=stream),
                tools=[add, divide],
                handling=handling,
                name="counter",
            )
            with suppress(RunError):  # under `native` some frameworks end with the tool's own error
                await run_once(agent)
    return official.spans(), kept.spans("unified_agents")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("handling", ["native", "unified"])
@pytest.mark.parametrize(("instrumentor", "backend"), CASES)
async def test_our_spans_agree_with_those_of_the_official_instrumentor(
    instrumentor: str, backend: str, handling: Any, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    official, ours = await both(instrumentor, backend, handling, stream, monkeypatch)
    operations = {one.attributes[OPERATION] for one in official}
    assert operations == ({"chat", "execute_tool", "invoke_agent"} if instrumentor == "langchain" else {"chat"})
    hidden = handling == "unified"
    faults = [fault for one, own in paired(official, ours) for fault in disagreements(one, own, model_is_hidden=hidden)]
    assert faults == []


async def test_the_comparison_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    official, ours = await both("openai", "langchain", "native", False, monkeypatch)
    (theirs, own), *_ = paired(official, ours)
    assert disagreements(theirs, own, model_is_hidden=False) == []
    without = {key: value for key, value in own.attributes.items() if key != "gen_ai.provider.name"}
    for spoilt in (
        Seen("chat", own.kind, own.failed, own.attributes),
        Seen(own.name, "INTERNAL", own.failed, own.attributes),
        Seen(own.name, own.kind, own.failed, without),
        Seen(own.name, own.kind, own.failed, own.attributes | {"gen_ai.usage.input_tokens": 99}),
    ):
        assert disagreements(theirs, spoilt, model_is_hidden=False)
