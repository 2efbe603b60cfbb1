"""The command `unified-agents tools check`, also on the tools of the public data sets."""

from __future__ import annotations

import gzip
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from support import BACKENDS, CORPORA, bfcl_to_json_schema, needs_corpora
from unified_agents import Tool, check_tools, load_catalogue
from unified_agents.cli.commands import app
from unified_agents.registry import backend_info, backend_names

NOTHING = {"lost": 0, "added": 0, "changed": 0, "refused": 0}

MODULE = '''\
from typing import Annotated, Literal
from pydantic import Field
from unified_agents import Tool, tool

@tool
def book(seats: Annotated[int, Field(ge=1, le=9)], row: Literal["a", "b"] = "a") -> str:
    """Book seats.

    Args:
        seats: How many.
    """
    return "booked"

orders = [Tool(name="orders.find", parameters={"properties": {"id": {"pattern": "^[A-Z]"}}}, handler=lambda id="": id)]
'''

STRICT = '''

@tool
def note(text: Annotated[str, Field(max_length=9)]) -> str:
    """Take a note."""
    return text

@tool
def whole(text: str) -> str:
    """Take all of it."""
    return text

@tool
def wide(number: Literal[tuple(range(1001))]) -> str:
    """Take one of many."""
    return str(number)
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that the command is called in."""
    (tmp_path / "shop_tools.py").write_text(MODULE)
    (tmp_path / "catalogue.yaml").write_text("tools: [{python: shop_tools}, {python: 'shop_tools:orders', prefix: x.}]")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    sys.modules.pop("shop_tools", None)


def check(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["tools", "check", *arguments], env={"COLUMNS": "200"})


def test_what_reaches_the_model_is_shown_keyword_by_keyword(folder: Path) -> None:
    done = check("catalogue.yaml")
    assert done.exit_code == 0, done.stderr
    for backend in BACKENDS:
        assert backend in done.stdout
    assert "x.orders.find on " in done.stdout
    assert "(on the wire x_orders_find)" in done.stdout
    assert "/properties/id/pattern" in done.stdout
    assert '"^[A-Z]"' in done.stdout
    assert "the translation does not carry this keyword" in done.stdout


def test_as_json(folder: Path) -> None:
    done = check("catalogue.yaml", "--json", "--handling", "unified")
    report = json.loads(done.stdout)
    installed = [name for name in backend_names() if backend_info(name).installed]
    assert [stack["backend"] for stack in report["stacks"]] == installed
    assert all(stack == stack | NOTHING for stack in report["stacks"])
    assert {row["tool"] for row in report["tools"]} == {"book", "x.orders.find"}
    assert report["beyond_threshold"] == []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--handling", "unified", "--fail-on", "changed"), 0),
        (("--handling", "both", "--fail-on", "lost"), 0),
        (("--handling", "native", "--fail-on", "none"), 0),
        (("--handling", "native", "--fail-on", "lost", "--backends", "custom"), 0),
        (("--handling", "native", "--fail-on", "lost"), 1),
    ],
)
def test_the_exit_code_follows_the_threshold(folder: Path, arguments: tuple[str, ...], code: int) -> None:
    assert check("shop_tools", *arguments).exit_code == code


def strictly(folder: Path, *arguments: str) -> Result:
    (folder / "shop_tools.py").write_text(MODULE + STRICT)
    return check("shop_tools", "--backends", "custom", "--handling", "unified", *arguments)


def test_what_the_strict_form_cannot_carry_is_shown_for_each_tool(folder: Path) -> None:
    done = strictly(folder, "--strict")
    wire, _, told = done.stdout.partition("strict form")
    assert re.search(r"openai\W+4\W+2\W+1\W", told)
    assert wire.count("strict") == 0
    assert "/parameters/properties/row/default" in told
    assert "not taken; null stands for an argument that is left out" in told
    assert "/parameters/properties/text/maxLength" in told
    assert "wide in strict form: refused: its enums have more than 1000 values" in told
    assert "whole in strict form" not in told


def test_the_strict_form_as_json(folder: Path) -> None:
    report = json.loads(strictly(folder, "--strict", "--json").stdout)
    assert {row["tool"]: (row["losses"], row["refused"]) for row in report["strict"]} == {
        "book": (
            [
                {
                    "path": "/properties/row",
                    "keyword": "default",
                    "why": "not taken; null stands for an argument that is left out",
                }
            ],
            None,
        ),
        "note": ([{"path": "/properties/text", "keyword": "maxLength", "why": "not taken"}], None),
        "whole": ([], None),
        "wide": ([], "its enums have more than 1000 values"),
    }
    assert report["beyond_threshold"] == [{"tool": name, "format": "strict"} for name in ("book", "note", "wide")]
    assert all(stack == stack | NOTHING for stack in report["stacks"])


def test_the_strict_form_is_neither_shown_nor_counted_unless_it_is_asked_for(folder: Path) -> None:
    done = strictly(folder)
    assert (done.exit_code, "strict" in done.stdout) == (0, False)
    assert json.loads(strictly(folder, "--json").stdout)["strict"] is None


@pytest.mark.parametrize(("threshold", "code"), [("lost", 1), ("added", 1), ("changed", 1), ("none", 0)])
def test_what_the_strict_form_cannot_carry_counts_as_lost(folder: Path, threshold: str, code: int) -> None:
    assert strictly(folder, "--strict", "--fail-on", threshold).exit_code == code


def test_tools_that_the_strict_form_carries_are_within_every_threshold(folder: Path) -> None:
    (folder / "shop_tools.py").write_text(MODULE + STRICT)
    done = check(
        "shop_tools:whole", "--backends", "custom", "--handling", "unified", "--strict", "--fail-on", "changed"
    )
    assert done.exit_code == 0
    assert re.search(r"openai\W+1\W+0\W+0\W", done.stdout)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("no_such_file.yaml",), "cannot be read"),
        (("no_such_module",), "importing no_such_module failed"),
        (("shop_tools:boook",), "did you mean 'book'"),
        (("shop_tools", "--backends", "custm"), "custm"),
    ],
)
def test_wrong_usage_is_one_line_and_2(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    done = check(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def mcp_tools() -> list[Tool]:
    """The tools of all servers, with the server's name before each."""
    tools = []
    for file in sorted((CORPORA / "mcp").glob("*.json")):
        for item in json.loads(file.read_text())["tools"]:
            tools.append(
                Tool(
                    name=f"{file.stem}.{item['name']}",
                    description=item.get("description") or "",
                    parameters=item["inputSchema"],
                    handler=lambda **_: None,
                )
            )
    return tools


def bfcl_tools() -> list[Tool]:
    """Every function document, each once."""
    documents: dict[str, dict[str, Any]] = {}
    for file in sorted((CORPORA / "bfcl").glob("*.jsonl.gz")):
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            for entry in map(json.loads, lines):
                functions = entry.get("function") or []
                for document in [functions] if isinstance(functions, dict) else functions:
                    documents[json.dumps(document, sort_keys=True)] = document
    return [
        Tool(
            name=f"{document['name']}.{number}",
            description=document["description"],
            parameters=bfcl_to_json_schema(document["parameters"]),
            handler=lambda **_: None,
        )
        for number, document in enumerate(documents.values())
    ]


@needs_corpora
async def test_the_112_mcp_tools_reach_every_stack_whole(record_property: Any) -> None:
    tools = mcp_tools()
    assert len(tools) == 112
    report = await check_tools(tools)
    for backend in BACKENDS:
        assert report.counts(backend, "unified") == NOTHING
    record_property("mcp_native", {backend: report.counts(backend, "native") for backend in BACKENDS})
    print({backend: report.counts(backend, "native") for backend in BACKENDS})
    assert any(report.counts(backend, "native")["lost"] for backend in BACKENDS)  # the check can see a loss


@needs_corpora
@pytest.mark.slow
async def test_all_functions_of_bfcl_reach_every_stack_whole(record_property: Any) -> None:
    tools = bfcl_tools()
    assert len(tools) > 1_600
    report = await check_tools(tools, backends=BACKENDS, handlings=["unified"])
    assert len(report.tools) == len(tools) * len(BACKENDS)
    for backend in BACKENDS:
        assert report.counts(backend, "unified") == NOTHING
    record_property("bfcl_functions", len(tools))
    print(len(tools), sum(row.keywords for row in report.tools) // len(BACKENDS))


@needs_corpora
@pytest.mark.slow
@pytest.mark.parametrize(("file", "operations"), [("petstore.openapi.yaml", 19), ("discord.openapi.json", 242)])
async def test_every_openapi_operation_reaches_every_stack_whole(file: str, operations: int, tmp_path: Path) -> None:
    place = tmp_path / "catalogue.yaml"
    source = {"file": str(CORPORA / "openapi" / file), "base_url": "https://api.example.com"}
    place.write_text(json.dumps({"tools": [{"openapi": source}]}))
    with load_catalogue(place) as catalogue:
        assert len(catalogue.tools) == operations
        report = await check_tools(catalogue.tools, backends=BACKENDS, handlings=["unified"])
    for backend in BACKENDS:
        assert report.counts(backend, "unified") == NOTHING


def test_what_a_source_leaves_out_is_named_with_the_reason(tmp_path: Path) -> None:
    gone = {"get": {"operationId": "bad", "parameters": [{"$ref": "#/components/parameters/Gone"}]}}
    good = {"get": {"operationId": "good", "responses": {}}}
    document = {"openapi": "3.1.0", "servers": [{"url": "https://a.example"}], "paths": {"/bad": gone, "/good": good}}
    (tmp_path / "api.json").write_text(json.dumps(document))
    (tmp_path / "tools.yaml").write_text("tools: [{openapi: api.json}]")
    shown = CliRunner().invoke(app, ["tools", "check", str(tmp_path / "tools.yaml"), "--backends", "custom"])
    assert shown.exit_code == 0
    assert "bad: left out: " in shown.output
    printed = CliRunner().invoke(
        app, ["tools", "check", str(tmp_path / "tools.yaml"), "--backends", "custom", "--json"]
    )
    left_out = json.loads(printed.stdout)["left_out"]
    assert list(left_out) == ["bad"]
    assert "'components' is not there" in left_out["bad"]
