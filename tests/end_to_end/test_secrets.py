"""The values of secrets reach no model, trace, log, record or report."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml
from aiohttp import web
from opentelemetry import trace as otel
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from support import BACKENDS, MCP_STAND_IN, http_server, run_program, scripted_model
from unified_agents import (
    Event,
    RunEnded,
    RunError,
    RunResult,
    Script,
    create_agent,
)
from unified_agents.scripted.server import ScriptServer
from unified_agents.testing.harness import ServerThread

SECRETS = {
    "MODEL_KEY": "m0del-s3cret-value",
    "SHOP_KEY": "sh0p-s3cret-value",
    "STAND_IN_SECRET": "st4nd-in-s3cret-value",
}
PLAIN = "plain-and-no-secret"
"""Goes the same ways as the secrets, and is seen: what looks for them would see them."""


class Shop:
    """Tells everybody what key it was called with, in an answer and in an error."""

    url = ""

    def __init__(self) -> None:
        self.keys: list[str | None] = []

    async def handle(self, request: web.Request) -> web.Response:
        key = request.headers.get("X-Key")
        self.keys.append(key)
        status = 400 if request.path.endswith("broken") else 200
        return web.json_response({"message": f"your key is {key}, and {PLAIN}"}, status=status)


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    running = Shop()
    async with http_server(running.handle) as running.url:
        yield running


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """What OpenTelemetry would send away."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(otel, "_TRACER_PROVIDER", provider)
    return exporter


def agent_file(folder: Path, model_url: str, shop_url: str) -> Path:
    document = {
        "openapi": "3.1.0",
        "info": {"title": "Shop", "version": "1"},
        "servers": [{"url": shop_url}],
        "paths": {
            f"/{name}": {"get": {"operationId": name, "responses": {}, "security": [{"key": []}]}}
            for name in ("orders", "broken")
        },
        "components": {"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}}},
    }
    (folder / "shop.json").write_text(json.dumps(document))
    server = {
        "command": [sys.executable, str(MCP_STAND_IN)],
        "env": ["STAND_IN_SECRET"],
        "set_env": {"STAND_IN_PLAIN": PLAIN},
    }
    openapi = {"file": "shop.json", "allow_private": True, "auth": {"key": {"env": "SHOP_KEY"}}}
    config = {
        "model": {"name": "m", "base_url": model_url, "api_key_env": "MODEL_KEY"},
        "tools": [{"openapi": openapi}, {"mcp": server, "include": "environment"}],
    }
    path = folder / "agent.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


CALLS = [{"name": name, "arguments": {}} for name in ("orders", "broken", "environment")]
DONE = {"text": "done"}
REFUSED = {"fault": {"status": 400, "message": f"bad key {SECRETS['MODEL_KEY']}, {PLAIN}"}, "times": 9}


@pytest.mark.parametrize(("backend", "ending"), [(BACKENDS[0], "completed"), *((name, "failed") for name in BACKENDS)])
async def test_no_secret_leaves_a_run(
    backend: str,
    ending: str,
    shop: Shop,
    spans: InMemorySpanExporter,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pytest.importorskip("mcp")
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    caplog.set_level(logging.DEBUG)
    answers = [{"tool_calls": CALLS}, *([REFUSED] if ending == "failed" else []), DONE]
    told: list[str] = []
    async with ScriptServer() as server:
        url = server.add(Script.model_validate({"answers": answers}), api_key=SECRETS["MODEL_KEY"])
        agent = await asyncio.to_thread(
            create_agent, agent_file(tmp_path, url, shop.url), backend=backend, instructions="Be brief."
        )
        ended: list[RunResult] = []

        def listen(event: Event) -> None:
            told.append(repr(event))
            if isinstance(event, RunEnded):
                ended.append(event.result)

        try:
            await agent.run("Go.", record_exchanges=True, on_event=listen)
        except RunError as error:
            told.append(f"{error!r} {error}")
        finally:
            await agent.aclose()
        requests = server.requests(url)
    (result,) = ended
    assert result.status == ending
    assert [request.headers["Authorization"] for request in requests] == [f"Bearer {SECRETS['MODEL_KEY']}"] * 2
    assert shop.keys == [SECRETS["SHOP_KEY"]] * 2  # they did go where they belong
    assert result.tool_calls[2].content == f"[STAND_IN_SECRET] {PLAIN}"
    kept = {
        "the model": " ".join(request.raw.decode() for request in requests),
        "the result": json.dumps(result.to_dict()),
        "the events": " ".join(told),
        "the agent": repr(agent),
    }
    finished = spans.get_finished_spans()
    ours = [span.name for span in finished if span.instrumentation_scope.name == "unified_agents"]  # type: ignore[union-attr]
    assert len(ours) == 6  # the run, two model calls, three tools
    exported = [span.to_json() for span in finished]  # the MCP package's own too
    every_place = kept | {"the log": caplog.text, "OpenTelemetry": " ".join(exported)}
    for value in SECRETS.values():
        assert [place for place, text in every_place.items() if value in text] == []
    assert all(PLAIN in kept[place] for place in ("the model", "the result", "the events"))


def test_no_secret_stands_in_what_commands_print_and_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mcp")
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    with ServerThread() as server:
        url = server.add(Script.model_validate({"answers": [REFUSED, DONE]}), api_key=SECRETS["MODEL_KEY"])
        file = agent_file(tmp_path, url, "http://127.0.0.1:9")
        checked = run_program("tools", "check", file, "--json", "--backends", "custom")
        out = tmp_path / "out"
        compared = run_program(
            *("compare", "quickstart", "--backends", "custom", "--tasks", "no-tools-offered"),
            *("--model", "openai:m", "--base-url", url, "--api-key-env", "MODEL_KEY", "--out", out),
        )
        assert server.requests(url), compared.stderr
    assert {row["tool"] for row in json.loads(checked.stdout)["tools"]} == {"orders", "broken", "environment"}
    written = {str(path.relative_to(out)): path.read_text() for path in out.rglob("*") if path.is_file()}
    assert {"report.md", "summary.json", "cells.jsonl"} <= written.keys()
    everything = {
        "check": checked.stdout + checked.stderr,
        "compare": compared.stdout + compared.stderr,
        **written,
    }
    for value in SECRETS.values():
        assert [place for place, text in everything.items() if value in text] == []
    assert PLAIN in written["cells.jsonl"]  # the server's own words are kept


async def test_a_secret_in_an_argument_is_in_no_span(spans: InMemorySpanExporter) -> None:
    """What a model writes may hold anything: a trace has no content."""
    answers = [{"tool_calls": [{"name": "note", "arguments": {"text": PLAIN}}]}, {"text": PLAIN}]

    def note(text: str) -> str:
        """Take a note."""
        return text

    agent = create_agent(model=scripted_model(*answers), tools=[note])
    result = await agent.run(PLAIN)
    await agent.aclose()
    exported = [span.to_json() for span in spans.get_finished_spans()]
    assert len(exported) == 4
    assert PLAIN not in " ".join(exported)
    assert PLAIN not in json.dumps(result.trace.to_dict())


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("kind", ["answer", "refusal", "error under 200"])
async def test_no_key_that_a_server_echoes_stays_in_a_native_run(
    backend: str, kind: str, streamed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "sk-m0del-s3cret-value"
    monkeypatch.setenv("MODEL_KEY", key)

    async def echo(request: web.Request) -> web.Response:
        said = f"{PLAIN}, and your key is {request.headers['Authorization']}"
        error = {"error": {"message": said, "code": "invalid_api_key"}}
        if kind != "answer":
            return web.json_response(error, status=400 if kind == "refusal" else 200)
        message = {"role": "assistant", "content": said}
        if not streamed:
            return web.json_response({"choices": [{"message": message, "finish_reason": "stop"}]})
        chunk = json.dumps({"choices": [{"index": 0, "delta": message, "finish_reason": "stop"}]})
        text = f"data: {chunk}\n\ndata: [DONE]\n\n"
        return web.Response(text=text, content_type="text/event-stream")

    told: list[str] = []
    async with http_server(echo) as url:
        model = {"name": "m", "base_url": f"{url}/v1", "api_key_env": "MODEL_KEY", "parameters": {"stream": streamed}}
        async with create_agent(backend=backend, handling="native", model=model) as agent:
            try:
                result = await agent.run("Go.", record_exchanges=True, on_event=lambda event: told.append(repr(event)))
                told.append(json.dumps(result.to_dict()))
            except RunError as error:
                told.append(str(error))
                told.append(json.dumps(error.result.to_dict()) if error.result is not None else "")
    seen = "".join(told)
    assert PLAIN in seen
    assert key not in seen
