"""OpenAPI documents on every backend: their schemas on the wire, and their calls at a real server."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from support import BACKENDS, CORPORA, asks_for, http_server, needs_corpora, run_once, scripted_model
from unified_agents import (
    OpenApiConfig,
    Tool,
    compare_schemas,
    create_agent,
    load_catalogue,
    load_openapi,
)
from unified_agents.result import RunResult

DOCUMENTS = {"petstore.openapi.yaml": 19, "discord.openapi.json": 242}


def corpus(name: str) -> Path:
    return CORPORA / "openapi" / name


@needs_corpora
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("document", DOCUMENTS)
async def test_every_operation_reaches_the_model_with_every_keyword(document: str, backend: str) -> None:
    tools = load_openapi(OpenApiConfig(openapi=corpus(document)))
    assert len(tools) == DOCUMENTS[document]
    agent = create_agent(backend=backend, model=scripted_model({"text": "ok"}), tools=tools)
    try:
        result = await agent.run("Go.", record_exchanges=True)
    finally:
        await agent.aclose()
    sent = {tool["function"]["name"]: tool["function"] for tool in json.loads(result.exchanges[0].sent)["tools"]}
    assert sent.keys() == {tool.name for tool in tools}
    for tool in tools:
        assert sent[tool.name]["description"] == tool.description
        assert compare_schemas(tool.parameters, sent[tool.name]["parameters"]) == ()


SHEDDABLE = {"title", "xml", "externalDocs", "example", "nullable", "description"}


def keywords(schema: Any, root: Any, path: str = "", seen: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Each keyword with its place, references followed; read without any of our code."""
    if not isinstance(schema, dict):
        return
    if "$ref" in schema:
        if schema["$ref"] in seen:
            return
        target: Any = root
        for part in schema["$ref"].split("/")[1:]:
            target = target[part.replace("~1", "/").replace("~0", "~")]
        yield from keywords(target, root, path, (*seen, schema["$ref"]))
    for key, value in schema.items():
        if key in ("properties", "patternProperties"):
            for name, item in value.items():
                yield from keywords(item, root, f"{path}/{name}", seen)
        elif key in ("allOf", "anyOf", "oneOf", "prefixItems"):
            for index, item in enumerate(value):
                yield from keywords(item, root, f"{path}/{key}{index}", seen)
        elif key in ("items", "additionalProperties", "not", "contentSchema") and isinstance(value, dict):
            yield from keywords(value, root, f"{path}/{key}", seen)
        elif key not in SHEDDABLE and key not in ("$ref", "$defs") and not key.startswith("x-"):
            yield path, key


def lost(tool: Tool, item: Any, operation: Any, root: Any) -> list[tuple[str, str]]:
    schema = tool.parameters
    found = []
    for parameter in [*item.get("parameters", []), *operation.get("parameters", [])]:
        there = set(keywords(schema["properties"][parameter["name"]], schema))
        found += [place for place in keywords(parameter["schema"], root) if place not in there]
    body = operation.get("requestBody")
    while body and "$ref" in body:
        body = root["components"]["requestBodies"][body["$ref"].rpartition("/")[2]]
    if body:
        content = body["content"]
        kind = next(name for name in ("application/json", "multipart/form-data", *content) if name in content)
        there = set(keywords(schema["properties"]["body"], schema))
        found += [place for place in keywords(content[kind]["schema"], root) if place not in there]
    return found


@needs_corpora
@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_canonical_schema_has_every_keyword_of_the_document(document: str) -> None:
    import yaml

    root = yaml.load(corpus(document).read_bytes(), yaml.CSafeLoader)
    tools = {tool.name: tool for tool in load_openapi(OpenApiConfig(openapi=corpus(document)))}
    checked = 0
    for item in root["paths"].values():
        for operation in (value for value in item.values() if isinstance(value, dict) and "responses" in value):
            assert lost(tools[operation["operationId"]], item, operation, root) == []
            checked += 1
    assert checked == DOCUMENTS[document]


def test_the_check_of_keywords_can_fail() -> None:
    whole = {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"type": "string"}}}
    assert ("/a", "type") in set(keywords(whole, whole))
    assert ("/a", "pattern") not in set(keywords(whole, whole))


PETS = {
    "openapi": "3.0.3",
    "servers": [{"url": "https://pets.example/v1"}],
    "paths": {
        "/pets/{id}": {
            "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1}}],
            "get": {
                "operationId": "getPet",
                "summary": "Find a pet.",
                "parameters": [
                    {"name": "fields", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}}
                ],
                "security": [{"key": []}],
            },
            "put": {
                "operationId": "savePet",
                "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
            },
        }
    },
    "components": {"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}}},
}


class PetStore:
    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str | None, str]] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        key = request.headers.get("X-Key")
        self.seen.append((request.method, request.path_qs, key, await request.text()))
        if request.path.endswith("/404"):
            return web.json_response({"message": f"no pet 404 for {key}"}, status=404)
        return web.json_response({"id": int(request.path.rpartition("/")[2]), "key": key})


@pytest.fixture
async def store() -> AsyncIterator[PetStore]:
    running = PetStore()
    async with http_server(running.handle) as url:
        running.url = f"{url}/v1"
        yield running


async def run(backend: str, tools: Any, *answers: Any) -> RunResult:
    agent = create_agent(backend=backend, model=scripted_model(*answers), tools=tools)
    return await run_once(agent, record_exchanges=True)


@pytest.mark.parametrize("backend", BACKENDS)
async def test_an_agent_calls_a_real_server(
    backend: str, store: PetStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PET_KEY", "very-s3cret")
    file = tmp_path / "pets.json"
    file.write_text(json.dumps(PETS))
    config = OpenApiConfig.model_validate(
        {"openapi": file, "base_url": store.url, "allow_private": True, "auth": {"key": {"env": "PET_KEY"}}}
    )
    result = await run(
        backend,
        [config],
        asks_for("getPet", id=7, fields=["name", "a b"]),
        asks_for("savePet", id=7, body={"name": "Rex"}),
        asks_for("getPet", id=404),
        asks_for("getPet", id=0),
        {"text": "done"},
    )
    assert store.seen == [
        ("GET", "/v1/pets/7?fields=name&fields=a%20b", "very-s3cret", ""),
        ("PUT", "/v1/pets/7", None, '{"name":"Rex"}'),
        ("GET", "/v1/pets/404", "very-s3cret", ""),
    ]
    contents = [record.content for record in result.tool_calls]
    assert contents[:2] == ['{"id":7,"key":"***"}', '{"id":7,"key":null}']
    assert "HTTP 404 Not Found: no pet 404 for ***" in (contents[2] or "")
    assert "id: 0 given, must be at least 1" in (contents[3] or "")
    assert [record.error.kind if record.error else None for record in result.tool_calls] == [
        None,
        None,
        "tool_error",
        "invalid_input",
    ]
    assert "very-s3cret" not in result.model_dump_json()
    assert "very-s3cret" not in repr(config)


@pytest.mark.parametrize("backend", BACKENDS)
async def test_loopback_is_refused_by_default(backend: str, store: PetStore, tmp_path: Path) -> None:
    file = tmp_path / "pets.json"
    port = store.url.split(":")[2].split("/")[0]
    file.write_text(json.dumps(PETS | {"servers": [{"url": f"http://0x7f.1:{port}"}]}))  # a name, not an address
    result = await run(
        backend, load_openapi(OpenApiConfig(openapi=file)), asks_for("savePet", id=7, body={}), {"text": "x"}
    )
    assert "is not a public address: calls to it need allow_private: true" in (result.tool_calls[0].content or "")
    assert store.seen == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_config_file_names_a_document_beside_it(backend: str, tmp_path: Path) -> None:
    (tmp_path / "pets.json").write_text(json.dumps(PETS))
    (tmp_path / "answers.yaml").write_text("answers: [{text: ok}]")
    (tmp_path / "agent.yaml").write_text(
        f"backend: {backend}\nmodel: script:answers.yaml\ntools: [{{openapi: pets.json, include: ['get*']}}]\n"
    )
    result = create_agent(tmp_path / "agent.yaml").run_sync("Go.", record_exchanges=True)
    offered = json.loads(result.exchanges[0].sent)["tools"]
    assert [tool["function"]["name"] for tool in offered] == ["getPet"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_operation_that_cannot_be_a_tool_is_left_out_and_the_others_work(backend: str, tmp_path: Path) -> None:
    paths = {"/bad": {"get": {"operationId": "bad", "parameters": [{"$ref": "#/components/parameters/Gone"}]}}}
    (tmp_path / "pets.json").write_text(json.dumps(PETS | {"paths": PETS["paths"] | paths}))
    agent = create_agent(
        backend=backend, model=scripted_model({"text": "ok"}), tools=[{"openapi": str(tmp_path / "pets.json")}]
    )
    result = agent.run_sync("Go.", record_exchanges=True)
    offered = json.loads(result.exchanges[0].sent)["tools"]
    assert {tool["function"]["name"] for tool in offered} == {"getPet", "savePet"}


def thousand() -> dict[str, Any]:
    """The shipped document, repeated under new prefixes up to 1,000 operations."""
    document: dict[str, Any] = json.loads(corpus("discord.openapi.json").read_bytes())
    paths: dict[str, Any] = {}
    left = 1_000
    for round_ in range(5):
        for path, item in document["paths"].items():
            kept: dict[str, Any] = {}
            for key, value in item.items():
                if key == "parameters":
                    kept[key] = value
                elif left:
                    kept[key] = {**value, "operationId": f"v{round_}_{value['operationId']}"}
                    left -= 1
            paths[f"/v{round_}{path}"] = kept
    return {**document, "paths": paths}


@pytest.mark.timed
@needs_corpora
@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_a_thousand_operations_are_a_catalogue_in_less_than_two_seconds(tmp_path: Path, suffix: str) -> None:
    import yaml

    file = tmp_path / f"large{suffix}"
    document = thousand()

    class Dumper(yaml.CSafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    text = json.dumps(document, indent=2) if suffix == ".json" else yaml.dump(document, Dumper=Dumper)
    file.write_text(text)
    place = tmp_path / "catalogue.yaml"
    place.write_text(f"tools: [{{openapi: {{file: large{suffix}, base_url: 'https://api.example.com'}}}}]")
    start, clock = time.process_time(), time.perf_counter()
    with load_catalogue(place) as catalogue:
        built = time.process_time() - start
        schemas = [tool.parameters for tool in catalogue.tools]  # made when they are first needed
        seconds, waited = time.process_time() - start, time.perf_counter() - clock
    print(
        f"{len(text) / 1e6:.1f} MB of {suffix}: {len(schemas)} tools in {built:.2f} s of CPU, with all schemas in "
        f"{seconds:.2f} s, {waited:.2f} s in all"
    )
    assert len(text) > (2_700_000 if suffix == ".json" else 1_800_000)
    assert len(schemas) == 1_000
    assert seconds < 2.0
