"""A real OpenTelemetry collector takes spans and metrics of a run, where one is installed."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from opentelemetry import metrics as metrics_api, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from support import add, asks_for, make_script, run_once
from unified_agents import ModelConfig, create_agent
from unified_agents.scripted.server import ScriptServer

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="no exporter of OTLP is installed")
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

PROGRAM = next(filter(None, map(shutil.which, ("otelcol", "otelcol-contrib", "otelcorecol"))), None)
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no OpenTelemetry collector (otelcol) is on the PATH")

READY = "Everything is ready"
"""What a collector writes once it listens."""
SECONDS = 30.0


class Collector:
    """A collector at work, and what it has written."""

    def __init__(self, url: str, process: asyncio.subprocess.Process) -> None:
        self.url = url
        self.written = ""
        self._process = process

    async def until(self, *texts: str) -> None:
        """Read what it writes until it holds all of these texts."""
        assert self._process.stderr is not None
        async with asyncio.timeout(SECONDS):
            while not all(text in self.written for text in texts):
                line = await self._process.stderr.readline()
                assert line, f"the collector ended: {self.written}"
                self.written += line.decode(errors="replace")


@pytest.fixture
async def collector(tmp_path: Path) -> AsyncIterator[Collector]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{free.getsockname()[1]}"
    config = {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": place}}}},
        "exporters": {"debug": {"verbosity": "detailed"}},
        "service": {
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {name: {"receivers": ["otlp"], "exporters": ["debug"]} for name in ("traces", "metrics")},
        },
    }
    path = tmp_path / "collector.yaml"
    path.write_text(json.dumps(config))  # JSON is YAML
    process = await asyncio.create_subprocess_exec(
        str(PROGRAM), "--config", str(path), stderr=asyncio.subprocess.PIPE, limit=2**20
    )
    try:
        started = Collector(f"http://{place}", process)
        await started.until(READY)
        yield started
    finally:
        process.terminate()
        await process.communicate()


async def test_it_takes_spans_and_metrics(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{collector.url}/v1/traces")))
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{collector.url}/v1/metrics"), 3_600_000)
    meters = MeterProvider([reader])
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", tracers)
    monkeypatch.setattr(metrics_api._internal, "_METER_PROVIDER", meters)
    async with ScriptServer() as server:
        url = server.add(make_script(asks_for("add", a=1, b=2), {"text": "done"}))
        model = ModelConfig(name="m", base_url=url)
        await run_once(create_agent(backend="custom", model=model, tools=[add], name="counter"))
    assert await asyncio.to_thread(tracers.force_flush)
    assert await asyncio.to_thread(meters.force_flush)
    await asyncio.to_thread(tracers.shutdown)
    await asyncio.to_thread(meters.shutdown)
    await collector.until(
        "invoke_agent counter",
        "execute_tool add",
        "chat m",
        "gen_ai.request.model: Str(m)",
        "gen_ai.invoke_agent.duration",
    )
