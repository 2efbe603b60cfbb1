"""The synchronous pieces of a step, by pytest-benchmark's own clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.contenders import add
from unified_agents import Limits, ModelConfig, TextDelta, Tool
from unified_agents.events import Event
from unified_agents.run.context import Run
from unified_agents.scripted.model import Script, ScriptedModel
from unified_agents.tools.offer import Offer
from unified_agents.tools.results import to_text
from unified_agents.tracing.live import LiveTrace
from unified_agents.wire.protocols.chat_completions import StreamReader, parse_answer
from unified_agents.wire.protocols.chat_completions_writer import stream_of
from unified_agents.wire.request import RequestWriter

SCHEMA_TOOL = Tool(
    name="add",
    parameters={"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}},
    handler=lambda a, b: a + b,
)
ARGUMENTS = '{"a": 1, "b": 2}'
CONVERSATION: list[dict[str, Any]] = [
    {"role": "user", "content": "What is the sum?"},
    *(
        message
        for step in range(10)
        for message in (
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": f"c{step}", "type": "function", "function": {"name": "add", "arguments": ARGUMENTS}}
                ],
            },
            {"role": "tool", "tool_call_id": f"c{step}", "content": "3"},
        )
    ),
]


def _answer() -> bytes:
    script = Script.model_validate({"answers": [{"tool_calls": [{"name": "add", "arguments": {"a": 1, "b": 2}}]}]})
    reply = ScriptedModel(script).reply({"model": "m", "messages": [{"role": "user", "content": "?"}]})
    return b"".join(reply.chunks)


@pytest.fixture
def run() -> Iterator[Run]:
    """A run that nobody drives."""

    async def make() -> Run:
        trace = LiveTrace()
        return Run(
            id="r",
            backend="custom",
            handling="unified",
            limits=Limits(),
            messages=(),
            offer=Offer([add]),
            trace=trace,
            root=trace.open("invoke_agent", {}, None),
        )

    with asyncio.Runner() as runner:
        yield runner.run(make())


def test_compose_a_request(benchmark: BenchmarkFixture) -> None:
    writer, offer = RequestWriter(ModelConfig(name="m", base_url="http://127.0.0.1:1/v1")), Offer([add])

    def compose() -> bytes:
        return writer.conversation(CONVERSATION).body(writer.request(offer, first=False, stream=False))

    body = benchmark(compose)
    assert body.startswith(b'{"model":"m"')


def test_parse_an_answer(benchmark: BenchmarkFixture) -> None:
    assert benchmark(parse_answer, _answer()).calls[0].name == "add"


@pytest.mark.parametrize("defined", [add, SCHEMA_TOOL], ids=["function", "schema"])
def test_validate_arguments(benchmark: BenchmarkFixture, defined: Tool) -> None:
    assert benchmark(defined.validate, ARGUMENTS) == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("value", "text"), [("text", "text"), ({"rows": [1, 2]}, '{"rows":[1,2]}')], ids=["text", "JSON"]
)
def test_write_a_result(benchmark: BenchmarkFixture, value: object, text: str) -> None:
    assert benchmark(to_text, value) == text


def test_read_a_stream(benchmark: BenchmarkFixture) -> None:
    chunks = list(stream_of(parse_answer(_answer()).body, include_usage=True))

    def read() -> StreamReader:
        reader = StreamReader()
        for chunk in chunks:
            reader.feed(chunk)
        return reader

    assert benchmark(read).answer().calls[0].arguments == '{"a":1,"b":2}'


def test_emit_an_event(benchmark: BenchmarkFixture, run: Run) -> None:
    last: list[Event] = [TextDelta(run.id, 0.0, 0, 1, "")]
    sink: Callable[[Event], None] = lambda event: last.__setitem__(0, event)  # noqa: E731
    run.sinks.append(sink)
    benchmark(lambda: run.emit(TextDelta(run.id, run.trace.now(), 0, 1, "text")))
    assert isinstance(last[0], TextDelta)
    assert last[0].text == "text"
