"""Catalogues: what entries name, filters, prefixes and collisions."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import MCP_STAND_IN, scripted_model
from unified_agents import (
    AgentConfig,
    Catalogue,
    ConfigError,
    OpenSource,
    Tool,
    ToolDefinitionError,
    ToolSource,
    create_agent,
    load_catalogue,
    load_config,
    open_catalogue,
    tool,
)


def made(name: str) -> Tool:
    return Tool(name=name, parameters={}, handler=lambda: name)


class Source:
    """Settings of a source that notes when it is opened and closed."""

    def __init__(self, *names: str, fails: bool = False) -> None:
        self.names = names
        self.fails = fails
        self.open_now = 0

    def open(self) -> OpenSource:
        if self.fails:
            raise ConfigError("the server does not start")
        self.open_now += 1
        return OpenSource([made(name) for name in self.names], self.aclose)

    async def aclose(self) -> None:
        self.open_now -= 1


@pytest.fixture
def package() -> Iterator[str]:
    module: Any = types.ModuleType("catalogue_of_a_test")
    module.create_issue, module.delete_issue, module.search = made("create_issue"), made("delete_issue"), made("search")
    module.again = module.search
    module.several = [module.create_issue, module.delete_issue]
    module._hidden = made("hidden")
    module.number = 5
    sys.modules[module.__name__] = module
    yield module.__name__
    del sys.modules[module.__name__]


def names(catalogue: Catalogue) -> list[str]:
    return [tool.name for tool in catalogue.tools]


def test_entries_are_tools_functions_names_and_sources(package: str) -> None:
    def plain(a: int) -> int:
        """Plain."""
        return a

    source = Source("far")
    with open_catalogue(
        [made("own"), plain, f"{package}:search", ToolSource(python=f"{package}:several"), source]
    ) as it:
        assert names(it) == ["own", "plain", "search", "create_issue", "delete_issue", "far"]
        assert source.open_now == 1
    assert source.open_now == 0


def test_a_module_offers_its_public_tools_each_once(package: str) -> None:
    assert names(open_catalogue([ToolSource(python=package)])) == ["create_issue", "delete_issue", "search"]


@pytest.mark.parametrize(
    ("filters", "left"),
    [
        ({}, ["create_issue", "delete_issue", "search"]),
        ({"include": "*_issue"}, ["create_issue", "delete_issue"]),
        ({"include": ["*"], "exclude": ["delete_*"]}, ["create_issue", "search"]),
        ({"exclude": ["nothing_of_the_kind"]}, ["create_issue", "delete_issue", "search"]),
        ({"include": ["search"], "prefix": "web_"}, ["web_search"]),
    ],
)
def test_filters_and_prefixes(package: str, filters: dict[str, Any], left: list[str]) -> None:
    assert names(open_catalogue([ToolSource(python=package, **filters)])) == left


def test_a_pattern_that_includes_nothing_is_an_error(package: str) -> None:
    with pytest.raises(ConfigError, match=r"`include` pattern 'creat_issue' matches no tool; it has create_issue"):
        open_catalogue([ToolSource(python=package, include=("creat_issue",))])


def test_a_collision_names_both_origins_and_the_remedy(package: str) -> None:
    source = Source("create_issue")
    with pytest.raises(ConfigError, match=rf"'create_issue' \(one of {package}, one of Source\).*`prefix`.*`exclude`"):
        open_catalogue([ToolSource(python=package), source])
    assert source.open_now == 0
    with open_catalogue([ToolSource(python=package, prefix="a_"), source]) as catalogue:
        assert {"a_create_issue", "create_issue"} <= set(names(catalogue))


def test_one_name_twice_in_python_is_a_collision() -> None:
    with pytest.raises(ConfigError, match=r"'a' \(both of the tools given in Python\): rename one"):
        open_catalogue([made("a"), made("a")])


def test_what_was_opened_is_closed_when_a_later_entry_fails() -> None:
    first = Source("a")
    with pytest.raises(ConfigError, match="does not start"):
        open_catalogue([first, Source(fails=True)])
    assert first.open_now == 0


async def test_an_agent_closes_its_sources_also_when_it_cannot_be_made() -> None:
    source = Source("a")
    model = scripted_model({"text": "hi"})
    agent = create_agent(model=model, tools=[source])
    assert source.open_now == 1
    await agent.aclose()
    assert source.open_now == 0
    with pytest.raises(ConfigError):
        create_agent(model=model, tools=[source], backend="no_such_backend")
    assert source.open_now == 0


def test_a_source_that_cannot_be_closed_does_not_keep_the_others_open() -> None:
    class Stuck(Source):
        async def aclose(self) -> None:
            raise RuntimeError("stuck")

    other = Source("a")
    catalogue = open_catalogue([other, Stuck("b")])
    with pytest.raises(ExceptionGroup, match="could not be closed"):
        catalogue.close()
    assert other.open_now == 0


def test_a_renamed_tool_keeps_all_but_its_name() -> None:
    @tool(timeout=5, max_result_chars=7)
    def add(a: int, b: int = 1) -> int:
        """Add."""
        return a + b

    other = add.renamed("plus")
    assert (other.name, add.name) == ("plus", "add")
    assert (other.parameters, other.description, other.timeout) == (add.parameters, "Add.", 5)
    assert (other.max_result_chars, other.validate('{"a": 1}')) == (7, {"a": 1, "b": 1})
    with pytest.raises(ToolDefinitionError, match="empty"):
        add.renamed("")


def test_a_catalogue_by_file_by_name_and_by_module(package: str, tmp_path: Path) -> None:
    own = tmp_path / "catalogue.yaml"
    own.write_text(f"tools:\n  - {{python: {package}, include: [search]}}\n")
    agent = tmp_path / "agent.yaml"
    agent.write_text(f"model: script:answers.yaml\ntools: ['{package}:search']\n")
    for place in (own, str(own), agent, f"{package}:search"):
        assert names(load_catalogue(place)) == ["search"]
    assert len(load_catalogue(package).tools) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tools: 5", "tools"),
        ("tool: []", "did you mean 'tools'"),
        ("tools: [{pyton: x}]", "entry 1: pyton: unknown key; did you mean 'python'"),
        (
            "tools: ['os:getcwd', {python: a, mcp: {command: [b]}}]",
            "entry 2: .*one of the keys python, mcp, mcp_file and openapi",
        ),
        ("tools: [{include: ['*']}]", "entry 1: .*one of the keys"),
        ("tools: ['no_such_module_at_all:x']", "importing no_such_module_at_all failed"),
        ("tools: ['os:getcwdd']", "did you mean 'getcwd"),
        ("tools: ['os']", "write module:name"),
        ("tools: [{python: os}]", "no tools are defined there"),
        ("tools: ['os:sep']", "no tool"),
    ],
)
def test_a_catalogue_that_does_not_fit_is_told_in_one_line(text: str, message: str, tmp_path: Path) -> None:
    place = tmp_path / "catalogue.yaml"
    place.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        load_catalogue(place)
    assert "\n" not in str(caught.value)


def test_paths_of_sources_are_relative_to_the_file(tmp_path: Path) -> None:
    place = tmp_path / "agent.yaml"
    place.write_text(
        "model: script:a.yaml\n"
        "tools: [{openapi: shop.yaml}, {openapi: {file: b.yaml, base_url: 'https://x.example'}}, "
        "{mcp: {command: [srv], cwd: here}}]\n"
    )
    first, second, third = (entry for entry in load_config(place).tools if isinstance(entry, ToolSource))
    assert first.openapi == {"openapi": str(tmp_path / "shop.yaml")}
    assert second.openapi == {"openapi": str(tmp_path / "b.yaml"), "base_url": "https://x.example"}
    assert third.mcp == {"command": ["srv"], "cwd": str(tmp_path / "here")}


def test_an_openapi_document_is_a_source(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(
        "openapi: 3.1.0\ninfo: {title: Shop, version: '1'}\nservers: [{url: 'https://shop.example'}]\n"
        "paths:\n  /orders:\n    get: {operationId: list_orders, responses: {'200': {description: ok}}}\n"
        "    delete: {operationId: drop_orders, responses: {'200': {description: ok}}}\n"
    )
    place = tmp_path / "catalogue.yaml"
    place.write_text("tools: [{openapi: shop.yaml, exclude: [drop_*], prefix: shop_}]")
    with load_catalogue(place) as catalogue:
        assert names(catalogue) == ["shop_list_orders"]


def test_a_config_in_python_takes_sources_too(package: str) -> None:
    config = AgentConfig.model_validate({"model": "script:x.yaml", "tools": [{"python": package, "prefix": "p_"}]})
    assert names(open_catalogue(config.tools)) == ["p_create_issue", "p_delete_issue", "p_search"]


def server(name: str, **more: Any) -> ToolSource:
    return ToolSource(mcp={"command": [sys.executable, str(MCP_STAND_IN)], "name": name}, **more)


def test_two_mcp_servers_with_the_same_tools_need_a_prefix() -> None:
    with pytest.raises(ConfigError, match=r"one of north, one of south"):
        open_catalogue([server("north"), server("south")])
    with open_catalogue([server("north"), server("south", prefix="south_")]) as catalogue:
        plain = {name for name in names(catalogue) if not name.startswith("south_")}
        assert plain
        assert set(names(catalogue)) == plain | {f"south_{name}" for name in plain}


@pytest.mark.parametrize(("coercion", "ok"), [(None, False), ("strict", False), ("lenient", True)])
async def test_the_coercion_of_a_source_holds_for_all_of_its_tools(
    backend: str, coercion: Any, ok: bool, package: str
) -> None:
    @tool
    def double(number: int) -> int:
        """Double."""
        return 2 * number

    sys.modules[package].double = double  # type: ignore[attr-defined]
    source = ToolSource(python=package, include=["double"], prefix="x_", coercion=coercion)
    model = scripted_model({"tool_calls": [{"name": "x_double", "arguments": {"number": "4"}}]}, {"text": "."})
    async with create_agent(backend=backend, model=model, tools=[source]) as agent:
        [call] = (await agent.run("Go.")).tool_calls
    assert call.ok is ok
    assert ("8" if ok else 'number: "4" given, must be an integer') in (call.content or "")
    assert double.options.coercion == "strict"


DOCUMENT = {
    "openapi": "3.1.0",
    "servers": [{"url": "https://api.example.com"}],
    "paths": {"/a": {"get": {"operationId": "find"}}},
}
REST = f"servers: {json.dumps(DOCUMENT['servers'])}\npaths: {json.dumps(DOCUMENT['paths'])}\n"


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("a.yaml", f"openapi: 3.1.0\n{REST}"),
        ("a.yml", f"# a shop\n'openapi': '3.0.2'\n{REST}"),
        ("a.yaml", f"{REST}openapi: 3.1.0\n"),
        ("a.json", json.dumps(DOCUMENT)),
        ("a.json", json.dumps(dict(reversed(DOCUMENT.items())), indent=4)),
    ],
)
def test_an_openapi_document_is_a_catalogue_of_its_operations(file: str, text: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text(text)
    with load_catalogue(tmp_path / file) as catalogue:
        assert [tool.name for tool in catalogue.tools] == ["find"]


def test_a_catalogue_with_an_openapi_entry_is_no_document(tmp_path: Path) -> None:
    (tmp_path / "tools.yaml").write_text("tools:\n  - prefix: a_\n    openapi: 3.yaml\n")
    with pytest.raises(ConfigError, match=r"tools: entry 1: openapi: there is no file .*3.yaml"):
        load_catalogue(tmp_path / "tools.yaml")
