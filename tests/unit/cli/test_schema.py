"""The JSON Schemas of YAML files accept what the library accepts, and nothing misspelt."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from unified_agents.cli.schema import FILES, file_schema

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = [
    pytest.param(body, id=f"{page.name}-{number}")
    for page in PAGES
    for number, body in enumerate(re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL))
]
SUITES = sorted((ROOT / "comparisons/unified_agents_comparisons/suites").glob("*/suite.yaml"))


@pytest.fixture(scope="module")
def validators() -> dict[str, Any]:
    return {file: jsonschema_rs.validator_for(file_schema(file)) for file in FILES}


@pytest.mark.parametrize("text", BLOCKS)
def test_every_yaml_block_of_the_docs_fits(text: str, validators: dict[str, Any]) -> None:
    found = yaml.safe_load(text)
    if "models" in found:
        assert [error.message for error in validators["prices"].iter_errors(found)] == []
        return
    values = {"model": "openai:gpt-5-mini"} | found
    assert [error.message for error in validators["agent"].iter_errors(values)] == []
    if "tools" in values:
        assert validators["catalogue"].is_valid({"tools": values["tools"]})


@pytest.mark.parametrize("path", SUITES, ids=lambda path: path.parent.name)
def test_every_shipped_suite_fits(path: Path, validators: dict[str, Any]) -> None:
    values = yaml.safe_load(path.read_text())
    assert [error.message for error in validators["suite"].iter_errors(values)] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"backned": "custom"},
        {"model": "gpt-5"},
        {"model": {"name": "m", "nam": 3}},
        {"limits": {"max_stepz": 3}},
        {"tools": [{"mcp": {"comand": ["x"]}}]},
        {"handling": "nativ"},
    ],
)
def test_what_does_not_fit_is_found(wrong: dict[str, Any], validators: dict[str, Any]) -> None:
    assert not validators["agent"].is_valid({"model": "openai:m"} | wrong)


@pytest.mark.parametrize(
    "right",
    [
        {"model": {"name": "m", "fallback": ["openai:other", {"name": "x"}], "tool_result_parts": True}},
        {"tools": ["a:b", {"openapi": "shop.yaml"}, {"openapi": {"file": "x.yaml"}}, {"python": "m", "include": "a*"}]},
    ],
)
def test_short_forms_fit(right: dict[str, Any], validators: dict[str, Any]) -> None:
    found = [error.message for error in validators["agent"].iter_errors({"model": "openai:m"} | right)]
    assert found == []


def test_keys_are_described() -> None:
    schema = file_schema("agent")
    source = schema["$defs"]["ToolSource"]["properties"]
    assert "leave out" in source["exclude"]["description"]
    assert "leave out" not in source["include"]["description"]
    assert schema["properties"]["handling"]["description"].startswith("`unified`")
    assert "seconds" in schema["$defs"]["Limits"]["properties"]["timeout"]["description"].lower()
