"""Spans and metrics reach the user's own OpenTelemetry providers, over OTLP, and cost the run no time."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from opentelemetry import metrics as metrics_api, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler

from gen_ai_conventions import METRICS, faults_of_span
from support import BACKENDS, EVERY_BACKEND, add, asks_for, http_server, make_script, run_once
from unified_agents import (
    Event,
    Limits,
    ModelConfig,
    ModelParameters,
    RunError,
    TextDelta,
    UnsupportedCapabilityError,
    create_agent,
    tool,
)
from unified_agents.scripted.server import ScriptServer

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="no exporter of OTLP is installed")
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

from otlp_receiver import OtlpReceiver, ReceivedSpan, otlp_receiver

USAGE = {"prompt_tokens": 100, "completion_tokens": 20}
SECRET = "s3cret-words-of-the-user"


class Providers:
    """The user's providers, which send to a receiver."""

    def __init__(self, url: str, sampler: Sampler = ALWAYS_ON, timeout: float = 2) -> None:
        self.tracers = TracerProvider(sampler=sampler)
        self.exporter = OTLPSpanExporter(f"{url}/v1/traces", timeout=timeout)
        self.tracers.add_span_processor(BatchSpanProcessor(self.exporter))
        reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{url}/v1/metrics", timeout=2), 3_600_000)
        self.meters = MeterProvider([reader])

    async def flush(self) -> None:
        await asyncio.to_thread(self.tracers.force_flush)
        await asyncio.to_thread(self.meters.force_flush)

    def shutdown(self) -> None:
        self.tracers.shutdown()
        self.meters.shutdown()


@pytest.fixture
async def receiver() -> AsyncIterator[OtlpReceiver]:
    async with otlp_receiver() as running:
        yield running


Provide = Callable[..., Providers]


@pytest.fixture
async def provide(receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Provide]:
    """Sets providers as a program does at its start, and shuts them down while the receiver is there."""
    made: list[Providers] = []

    def set_providers(url: str = receiver.url, sampler: Sampler = ALWAYS_ON, timeout: float = 2) -> Providers:
        made.append(Providers(url, sampler, timeout))
        monkeypatch.setattr(trace, "_TRACER_PROVIDER", made[-1].tracers)
        monkeypatch.setattr(metrics_api._internal, "_METER_PROVIDER", made[-1].meters)
        return made[-1]

    yield set_providers
    for one in made:
        await asyncio.to_thread(one.shutdown)


@pytest.fixture
def providers(provide: Provide) -> Providers:
    return provide()


@pytest.fixture
async def server() -> AsyncIterator[ScriptServer]:
    async with ScriptServer() as running:
        yield running


@tool
async def divide(a: int, b: int) -> float:
    """Divide."""
    return a / b


ANSWERS = (
    {**asks_for("add", a=1, b=2), "usage": USAGE},
    {**asks_for("divide", a=1, b=0), "usage": USAGE},
    {"text": "done", "usage": USAGE},
)


def agent_at(url: str, backend: str = "custom", **options: Any) -> Any:
    return create_agent(
        backend=backend, model=ModelConfig(name="m", base_url=url), tools=[add, divide], name="counter", **options
    )


async def received(providers: Providers, receiver: OtlpReceiver) -> list[ReceivedSpan]:
    await providers.flush()
    assert receiver.refused == []
    return receiver.spans


def faults(spans: list[ReceivedSpan]) -> list[str]:
    return [fault for one in spans for fault in faults_of_span(one.name, one.kind, one.attributes, failed=one.failed)]


def tree(spans: list[ReceivedSpan]) -> Any:
    """Return the spans as nested names with kinds, the keys of their attributes, and errors, without times and ids."""
    ours = {one.span_id for one in spans}

    def below(parent: str) -> Any:
        found = sorted((one for one in spans if one.parent_id == parent), key=lambda one: one.start)
        return [
            (one.name, one.kind, sorted(one.attributes), one.attributes.get("error.type"), below(one.span_id))
            for one in found
        ]

    roots = [one for one in spans if one.parent_id not in ours]
    assert len(roots) == 1, [one.name for one in roots]
    return below(roots[0].parent_id)


async def test_spans_and_metrics_are_valid_and_follow_the_conventions(
    providers: Providers, receiver: OtlpReceiver, server: ScriptServer
) -> None:
    result = await run_once(agent_at(server.add(make_script(*ANSWERS))))
    spans = await received(providers, receiver)
    assert [one.name for one in spans] == [
        "chat m",
        "execute_tool add",
        "chat m",
        "execute_tool divide",
        "chat m",
        "invoke_agent counter",
    ]
    assert faults(spans) == []
    assert result.trace.shape() == "invoke_agent(chat, execute_tool add, chat, execute_tool divide, chat)"
    failed = spans[3]
    assert failed.failed
    assert failed.attributes["error.type"] == "tool_error"
    assert failed.attributes["gen_ai.tool.description"] == "Divide."
    root = spans[-1]
    assert root.attributes["gen_ai.usage.input_tokens"] == 300
    for one, own in zip(sorted(spans[:-1], key=lambda span: span.start), result.trace.children, strict=True):
        assert one.parent_id == root.span_id
        assert own.end is not None
        assert abs((one.end - one.start) / 1e9 - (own.end - own.start)) < 1e-6
        assert root.start <= one.start <= one.end <= root.end
    check_metrics(receiver.metrics)


def check_metrics(found: dict[str, Any]) -> None:
    for name, metric in found.items():
        assert (metric["unit"], metric["kind"]) == METRICS[name]
    totals = {name: sum(number for _, (_, number) in metric["points"]) for name, metric in found.items()}
    counts = {name: sum(count for _, (count, _) in metric["points"]) for name, metric in found.items()}
    usage = "gen_ai.client.inference.usage."
    assert totals[f"{usage}input_tokens"] == totals["gen_ai.client.inference.operation.input_tokens"] == 300
    assert totals[f"{usage}output_tokens"] == 60
    assert counts["gen_ai.client.inference.duration"] == 3
    assert counts["gen_ai.execute_tool.duration"] == 2
    assert totals["gen_ai.invoke_agent.inference_calls"] == 3
    assert totals["gen_ai.invoke_agent.tool_calls"] == 2
    [(attributes, _)] = found["gen_ai.invoke_agent.duration"]["points"]
    assert attributes == {"gen_ai.agent.name": "counter"}
    of_tools = [attributes for attributes, _ in found["gen_ai.execute_tool.duration"]["points"]]
    assert {"gen_ai.tool.name": "divide", "error.type": "tool_error"} in of_tools
    [(attributes, _)] = found["gen_ai.client.inference.duration"]["points"]
    assert set(attributes) == {
        "gen_ai.operation.name",
        "gen_ai.provider.name",
        "gen_ai.request.model",
        "gen_ai.response.model",
        "server.address",
        "server.port",
    }


async def test_kinds_of_tokens_are_counted_where_the_provider_reports_them(
    providers: Providers, receiver: OtlpReceiver
) -> None:
    async def answer(request: web.Request) -> web.Response:
        usage = {
            "prompt_tokens": 100,
            "completion_tokens": 20,
            "total_tokens": 120,
            "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 8},
            "completion_tokens_details": {"reasoning_tokens": 5},
        }
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "done"}}
        return web.json_response({"id": "1", "model": "m-1", "choices": [choice], "usage": usage})

    async with http_server(answer) as url:
        await run_once(agent_at(url))
    chat, root = await received(providers, receiver)
    kinds = {"cache_read.input_tokens": 60, "cache_write.input_tokens": 8, "reasoning.output_tokens": 5}
    for kind, count in kinds.items():
        assert chat.attributes[f"gen_ai.usage.{kind}"] == count
        assert f"gen_ai.usage.{kind}" not in root.attributes  # the break-down stands on the model call
        [(_, (_, total))] = receiver.metrics[f"gen_ai.client.inference.usage.{kind}"]["points"]
        assert total == count


async def test_the_check_of_the_conventions_finds_faults() -> None:
    good = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "add"}
    assert list(faults_of_span("execute_tool add", "INTERNAL", good, failed=False)) == []
    for name, kind, attributes, failed in (
        ("execute_tool sub", "INTERNAL", good, False),
        ("execute_tool add", "CLIENT", good, False),
        ("execute_tool add", "INTERNAL", good, True),
        ("execute_tool add", "INTERNAL", good | {"gen_ai.provider.name": "openai"}, False),
        ("execute_tool add", "INTERNAL", good | {"gen_ai.tool.call.id": 3}, False),
        ("execute_tool add", "INTERNAL", {"gen_ai.operation.name": "execute_tool"}, False),
        ("add", "INTERNAL", {}, False),
    ):
        assert list(faults_of_span(name, kind, attributes, failed=failed))


async def test_the_receiver_refuses_what_is_invalid(
    providers: Providers, receiver: OtlpReceiver, server: ScriptServer
) -> None:
    await run_once(agent_at(server.add(make_script(*ANSWERS))))
    bodies: list[bytes] = []

    async def keep(request: web.Request) -> web.Response:
        bodies.append(await request.read())
        return web.Response()

    async with http_server(keep) as url:
        exporter = OTLPSpanExporter(f"{url}/v1/traces")
        providers.tracers.add_span_processor(BatchSpanProcessor(exporter))
        await run_once(agent_at(server.add(make_script(*ANSWERS))))
        await providers.flush()
    [body] = bodies
    whole = body.find(b"execute_tool add")
    assert whole > 0
    async with ClientSession() as session:
        for spoilt, path in (
            (body[: len(body) // 2], "/v1/traces"),
            (b"{}", "/v1/traces"),
            (b"", "/v1/traces"),
            (body, "/v1/metrics"),
            (body, "/v1/logs"),
        ):
            async with session.post(receiver.url + path, data=spoilt) as response:
                assert response.status == 400, path
        async with session.post(f"{receiver.url}/v1/traces", data=body) as response:
            assert response.status == 200
    assert len(receiver.refused) == 5


def without_what_streams_change(attributes: dict[str, Any]) -> dict[str, Any]:
    changed = ("gen_ai.usage.", "gen_ai.request.stream", "gen_ai.response.time_to_first_chunk")
    return {name: value for name, value in attributes.items() if not name.startswith(changed)}


@pytest.mark.parametrize("handling", ["unified", "native"])
async def test_every_backend_gives_the_same_tree(handling: Any, provide: Provide, server: ScriptServer) -> None:
    trees = {}
    for backend in EVERY_BACKEND:
        async with otlp_receiver() as receiver:
            providers = provide(receiver.url)
            url = server.add(make_script(asks_for("add", a=1, b=2), {**asks_for("add", a=3, b=4)}, {"text": "done"}))
            try:
                await run_once(agent_at(url, backend, handling=handling))
            except UnsupportedCapabilityError:
                assert handling == "native"
                continue
            spans = [one for one in await received(providers, receiver) if one.scope == "unified_agents"]
            assert faults(spans) == []
            if handling == "native":  # a framework may stream unasked, and then no usage is reported
                spans = [replace(one, attributes=without_what_streams_change(one.attributes)) for one in spans]
            trees[backend] = tree(spans)
            await asyncio.to_thread(providers.shutdown)
    for backend, found in trees.items():
        assert found == trees["custom"], backend


async def test_names_of_before_beside_the_new_ones_where_asked(
    monkeypatch: pytest.MonkeyPatch, provide: Provide, receiver: OtlpReceiver, server: ScriptServer
) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "http/dup, gen_ai/dup")
    providers = provide()
    await run_once(agent_at(server.add(make_script(*ANSWERS))))
    spans = await received(providers, receiver)
    assert spans[0].attributes["gen_ai.system"] == spans[0].attributes["gen_ai.provider.name"] == "openai"
    found = receiver.metrics
    assert found["gen_ai.client.operation.duration"]["points"][0][1][0] == 3
    tokens = {one["gen_ai.token.type"]: total for one, (_, total) in found["gen_ai.client.token.usage"]["points"]}
    assert tokens == {"input": 300, "output": 60}
    new = {name for name in found if name in METRICS}
    assert len(new) == len(found) - 2


async def test_chunks_of_a_streamed_answer_are_timed(providers: Providers, receiver: OtlpReceiver) -> None:
    read = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for text in ("one ", "two ", "three"):
            choice = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}
            await response.write(f"data: {json.dumps({'id': '1', 'model': 'm', 'choices': [choice]})}\n\n".encode())
            await asyncio.wait_for(read.wait(), 10)
            read.clear()
        end = {"id": "1", "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        await response.write(f"data: {json.dumps(end)}\n\ndata: [DONE]\n\n".encode())
        return response

    def note(event: Event) -> None:
        if isinstance(event, TextDelta):
            read.set()

    async with http_server(answer) as url:
        model = ModelConfig(name="m", base_url=url, parameters=ModelParameters(stream=True))
        result = await run_once(create_agent(model=model), on_event=note)
    assert result.output == "one two three"
    spans = await received(providers, receiver)
    assert faults(spans) == []
    assert spans[0].attributes["gen_ai.request.stream"] is True
    found = receiver.metrics
    assert found["gen_ai.client.inference.time_to_first_chunk"]["points"][0][1][0] == 1
    # Three chunks, and what ends the answer.
    assert found["gen_ai.client.inference.time_per_output_chunk"]["points"][0][1][0] == 3


async def test_a_failed_model_call_counts_no_tokens(providers: Providers, receiver: OtlpReceiver) -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.json_response({"error": {"message": "no"}}, status=400)

    async with http_server(refuse) as url:
        with pytest.raises(RunError):
            await run_once(agent_at(url))
    spans = await received(providers, receiver)
    assert faults(spans) == []
    assert [(one.failed, one.attributes["error.type"]) for one in spans] == [(True, "bad_request")] * 2
    [(attributes, (_, total))] = receiver.metrics["gen_ai.client.inference.usage.input_tokens"]["points"]
    assert (attributes["gen_ai.token.modality"], total) == ("unknown", 0)


@pytest.mark.parametrize("opted_in", [True, False])
async def test_content_only_where_the_user_opts_in(
    opted_in: bool, monkeypatch: pytest.MonkeyPatch, provide: Provide, receiver: OtlpReceiver, server: ScriptServer
) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true" if opted_in else "")
    monkeypatch.setenv("THE_KEY", "k3y-of-the-model")
    providers = provide()

    @tool
    async def tell(words: str) -> str:
        """Tell."""
        return f"told {words} by k3y-of-the-model"

    url = server.add(make_script(asks_for("tell", words=SECRET), {"text": f"said {SECRET}"}))
    model = ModelConfig(name="m", base_url=url, api_key_env="THE_KEY")
    result = await run_once(create_agent(model=model, tools=[tell], instructions=f"I: {SECRET}"), f"Q: {SECRET}")
    spans = await received(providers, receiver)
    assert faults(spans) == []
    seen = json.dumps([one.attributes for one in spans])
    assert "k3y-of-the-model" not in seen
    assert SECRET not in json.dumps(result.trace.to_dict())
    assert (SECRET in seen) == opted_in
    if not opted_in:
        return
    chat = next(one for one in reversed(spans) if one.name == "chat m").attributes
    assert json.loads(chat["gen_ai.output.messages"]) == [
        {"role": "assistant", "parts": [{"type": "text", "content": f"said {SECRET}"}]}
    ]
    roles = [one["role"] for one in json.loads(chat["gen_ai.input.messages"])]
    assert roles == ["user", "assistant", "tool"]
    call = json.loads(chat["gen_ai.input.messages"])[1]["parts"][0]
    assert (call["type"], call["name"], call["arguments"]) == ("tool_call", "tell", {"words": SECRET})
    told = next(one for one in spans if one.name == "execute_tool tell").attributes
    assert json.loads(told["gen_ai.tool.call.arguments"]) == {"words": SECRET}
    assert told["gen_ai.tool.call.result"].startswith(f"told {SECRET} by ")


TELLS_META = """
import asyncio
import json

import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server


async def list_tools(context, params):
    return types.ListToolsResult(tools=[types.Tool(name="meta", input_schema={"type": "object"})])


async def call_tool(context, params):
    meta = params.meta.model_dump() if hasattr(params.meta, "model_dump") else dict(params.meta or {})
    return types.CallToolResult(content=[types.TextContent(text=json.dumps(meta))])


async def main():
    async with stdio_server() as (read, write):
        server = Server("meta", on_list_tools=list_tools, on_call_tool=call_tool)
        await server.run(read, write, server.create_initialization_options())


asyncio.run(main())
"""
"""An MCP server whose tool says what stands in the `_meta` of its call."""


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_tool_passes_the_trace_on(
    backend: str,
    monkeypatch: pytest.MonkeyPatch,
    providers: Providers,
    receiver: OtlpReceiver,
    server: ScriptServer,
    tmp_path: Path,
) -> None:
    """An HTTP tool by headers, an MCP tool by `_meta`, and a plain function by the current span."""
    # The SDK's tracer stays with the first provider that it saw.
    monkeypatch.setattr("mcp.shared._otel._tracer", providers.tracers.get_tracer("mcp-python-sdk"))
    headers: list[str | None] = []
    current: list[str] = []

    async def shop(request: web.Request) -> web.Response:
        headers.append(request.headers.get("traceparent"))
        return web.json_response({"stock": 3})

    @tool
    def look() -> str:
        """Look from a thread."""
        current.append(f"{trace.get_current_span().get_span_context().span_id:016x}")
        return "seen"

    async with http_server(shop) as shop_url:
        document = {
            "openapi": "3.1.0",
            "info": {"title": "Shop", "version": "1"},
            "servers": [{"url": shop_url}],
            "paths": {"/stock": {"get": {"operationId": "stock", "responses": {}}}},
        }
        (tmp_path / "shop.json").write_text(json.dumps(document))
        (tmp_path / "server.py").write_text(TELLS_META)
        calls = [{"name": name, "arguments": {}} for name in ("stock", "look", "meta")]
        agent = await asyncio.to_thread(
            create_agent,
            backend=backend,
            model=ModelConfig(name="m", base_url=server.add(make_script({"tool_calls": calls}, {"text": "done"}))),
            tools=[
                {"openapi": {"file": str(tmp_path / "shop.json"), "allow_private": True}},
                {"mcp": {"command": [sys.executable, str(tmp_path / "server.py")]}},
                look,
            ],
        )
        result = await run_once(agent)
    spans = {one.name: one for one in await received(providers, receiver)}
    trace_id = spans["invoke_agent agent"].trace_id
    [header] = headers
    assert str(header).startswith(f"00-{trace_id}-{spans['execute_tool stock'].span_id}-")
    assert current == [spans["execute_tool look"].span_id]
    meta = json.loads(result.tool_calls[2].content or "")
    sender = next(one for name, one in spans.items() if name.startswith("MCP send tools/call"))
    assert sender.parent_id == spans["execute_tool meta"].span_id
    assert meta["traceparent"].startswith(f"00-{trace_id}-{sender.span_id}-")


async def test_a_run_stands_below_the_callers_span(
    providers: Providers, receiver: OtlpReceiver, server: ScriptServer
) -> None:
    with providers.tracers.get_tracer("mine").start_as_current_span("mine") as mine:
        await run_once(agent_at(server.add(make_script({"text": "done"}))))
    spans = {one.name: one for one in await received(providers, receiver)}
    assert spans["invoke_agent counter"].parent_id == f"{mine.get_span_context().span_id:016x}"


@pytest.mark.parametrize("sampled", [True, False])
async def test_the_users_sampler_decides(
    sampled: bool, provide: Provide, receiver: OtlpReceiver, server: ScriptServer
) -> None:
    flags: list[str] = []

    @tool
    async def look() -> str:
        """Look."""
        flags.append(str(trace.get_current_span().get_span_context().trace_flags.sampled))
        return "seen"

    providers = provide(sampler=ParentBased(ALWAYS_ON if sampled else ALWAYS_OFF))
    url = server.add(make_script(asks_for("look"), {"text": "done"}))
    result = await run_once(create_agent(model=ModelConfig(name="m", base_url=url), tools=[look]))
    await providers.flush()
    assert len(receiver.spans) == (4 if sampled else 0)
    assert flags == [str(sampled)]
    assert result.trace.shape() == "invoke_agent(chat, execute_tool look, chat)"
    assert receiver.metrics["gen_ai.client.inference.duration"]["points"]


@pytest.mark.parametrize("threaded", [False, True], ids=["coroutine", "thread"])
async def test_a_tool_may_do_with_its_span_what_opentelemetry_allows(
    threaded: bool, providers: Providers, receiver: OtlpReceiver, server: ScriptServer
) -> None:
    """The span of a call begins at the provider when the tool first looks at it, and is then the SDK's own."""
    during: list[object] = []

    def use(span: Any) -> None:
        assert span.is_recording()
        span.set_attribute("mine", 1)
        span.set_attributes({"mine too": "b"})
        span.add_event("looked", {"at": "shelf"})
        span.add_link(trace.get_tracer("user").start_span("linked").get_span_context())
        span.record_exception(ValueError("told"))
        span.set_status(trace.StatusCode.ERROR, "the tool says so")
        span.update_name("looking")
        during.extend([span.attributes["gen_ai.tool.name"], len(span.links)])
        with trace.get_tracer("user").start_as_current_span("below"):
            pass

    def look_in_thread() -> str:
        """Look."""
        use(trace.get_current_span())
        return "seen"

    async def look() -> str:
        """Look."""
        return look_in_thread()

    made = tool(look_in_thread, name="look") if threaded else tool(look)
    url = server.add(make_script(asks_for("look"), {"text": "done"}))
    await run_once(create_agent(model=ModelConfig(name="m", base_url=url), tools=[made]))
    spans = {one.name: one for one in await received(providers, receiver)}
    looking, root = spans["looking"], spans["invoke_agent agent"]
    assert during == ["look", 1]
    assert looking.parent_id == root.span_id
    assert spans["below"].parent_id == looking.span_id
    assert root.start <= looking.start <= spans["below"].start <= spans["below"].end <= looking.end <= root.end
    assert (looking.attributes["mine"], looking.attributes["mine too"]) == (1, "b")
    assert (looking.attributes["gen_ai.tool.call.id"], looking.failed) == ("call_1_0_0", True)
    assert looking.events == ["looked", "exception"]


LONG = Limits(max_steps=1000, max_model_calls=1000, max_tool_calls=1000)


@pytest.mark.parametrize("how", ["down", "slow", "failing"])
async def test_a_receiver_that_does_not_take_costs_a_run_nothing(
    how: str, provide: Provide, receiver: OtlpReceiver, server: ScriptServer
) -> None:
    """A run has more spans than a batch, so that the exporter is at work meanwhile, and waits for the receiver.

    The exporter has an hour. A slow receiver answers once the run is over. The exporter asks one that is down or
    failing six times within at least 24 seconds. So a run that waited for the exporter would not end in time.
    """
    script = make_script(*[asks_for("add", a=1, b=2)] * 300, {"text": "done"})
    if how == "slow":
        receiver.answers.clear()
    receiver.status = 503 if how == "failing" else 200
    providers = provide("http://127.0.0.1:9" if how == "down" else receiver.url, timeout=3600)
    async with asyncio.timeout(20):
        result = await run_once(agent_at(server.add(script), limits=LONG))
    assert (result.output, len(result.tool_calls)) == ("done", 300)
    assert receiver.spans == []
    receiver.answers.set()
    if how == "slow":
        await received(providers, receiver)
        assert len(receiver.spans) == 602
    providers.exporter.shutdown()


async def test_nothing_is_loaded_where_nobody_traces() -> None:
    """The run's own spans need no SDK, and make no provider."""
    from support import run_code

    code = (
        "import sys; from unified_agents import create_agent, ScriptedModel, Script\n"
        "agent = create_agent(model=ScriptedModel(Script.model_validate({'answers': [{'text': 'x'}]})))\n"
        "print(agent.run_sync('Go.').trace.shape(), [m for m in sys.modules if m.startswith('opentelemetry')])\n"
        "agent.close()"
    )
    done = run_code(code)
    assert done.stdout.strip() == "invoke_agent(chat) []", done.stdout + done.stderr
