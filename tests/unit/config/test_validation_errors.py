"""What settings that do not fit are told: our words, one line, and the remedy; Python and YAML alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from support import ROOT
from unified_agents import (
    AgentConfig,
    ConfigError,
    McpConnection,
    McpServerConfig,
    ModelConfig,
    OpenApiConfig,
    ToolSource,
    create_agent,
    load_catalogue,
    open_catalogue,
)
from unified_agents.config import load_config, parse_config

MODEL = "model: script:answers.yaml\n"
OPENAPI = ROOT / "examples/shop.openapi.yaml"


def _done() -> str:
    """Say that it is done."""
    return "done"


def one_line(caught: pytest.ExceptionInfo[Any]) -> str:
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    for words in ("function-", "literal[", "Input should", "Field required", "Tuple", "dict["):
        assert words not in text
    return text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (MODEL + "tools: [{pyhton: mytools}]", "tools: entry 1: pyhton: unknown key; did you mean 'python'?"),
        (MODEL + "tools: mytools:boom", "tools: give a list, such as [my_package.tools:search]"),
        (MODEL + "tools: [5]", "tools.0: give text or a mapping of keys"),
        ("model: 5", "model: give provider:name, such as openai:gpt-5-mini, or a mapping of keys"),
        ("backend: custom", "model: is missing; give it, such as openai:gpt-5-mini"),
        ("", "the file is empty"),
        ("# nothing yet\n", "the file is empty"),
        (MODEL + "output_type: 5", "output_type: give text or a mapping of keys"),
        (MODEL + "handling: natve", "handling: give 'unified' or 'native'; did you mean 'native'?"),
        (MODEL + "limits: {timeout: 0}", "limits.timeout: must be more than 0"),
        (MODEL + "limits: {max_steps: ten}", "limits.max_steps: give a whole number"),
        (MODEL + "max_steps: 3", "max_steps: unknown key; put it under limits"),
        (MODEL + "timeout: 3", "timeout: unknown key; put it under model or limits"),
        ("model: {name: x, parameters: {temp: 0}}", "model.parameters.temp: unknown key; did you mean 'temperature'?"),
        ("model: {name: x, temperature: 0}", "model.temperature: unknown key; put it under parameters"),
        (
            "model: {name: x, policy: {attempts: {nework: 3}}}",
            "model.policy.attempts.nework: give 'rate_limit', 'network', 'server', 'timeout' or 'bad_response'; "
            "did you mean 'network'?",
        ),
        ("model: {name: x, faults: {kinds: [htm]}}", "model.faults.kinds.0: did you mean 'html'?"),
        ("model: {name: x, fallback: [{nam: y}]}", "model.fallback.0.nam: unknown key; did you mean 'name'?"),
    ],
)
def test_a_file_that_does_not_fit(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "agent.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert told in one_line(caught)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("mcp: {command: ls -l}", "tools: mcp: command is no line of a shell: give a list such as [npx, my-server]"),
        ("mcp: {url: x}", "tools: mcp: url: must be an http or https URL"),
        ("mcp: 5", "mcp: give a mapping of keys"),
        ("openapi: {}", "tools: openapi: openapi: is missing"),
    ],
)
def test_a_source_that_does_not_fit(entry: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "catalogue.yaml"
    path.write_text(f"tools: [{{{entry}}}]", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_catalogue(path)
    assert told in one_line(caught)


class _Text(BaseModel):
    model_config = ConfigDict(extra="forbid")
    contains: tuple[str, ...]


class _Pattern(BaseModel):
    model_config = ConfigDict(extra="forbid")
    regex: str = Field(min_length=1)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")
    output: str | _Text | _Pattern = ""
    word: Literal["one"] | Literal["two", "three"] = "one"
    words: tuple[Literal["one", "two"], ...] = Field(default=("one",), min_length=1)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"output": 5}, "x: output: give text or a mapping of keys"),
        ({"output": {"regx": "a"}}, "x: output.regx: unknown key; did you mean 'regex'?"),
        ({"output": {"contains": 5}}, "x: output.contains: give a list"),
        ({"output": {"regex": ""}}, "x: output.regex: must not be empty"),
        ({"word": "thre"}, "x: word: give 'one', 'two' or 'three'; did you mean 'three'?"),
        ({"words": ["nonsense"]}, "x: words.0: give 'one' or 'two'"),
        ({"words": []}, "x: words: must not be empty"),
        ({"backend": "custom"}, "x: backend: unknown key; it belongs in an agent's file"),
        ({"zzz": 1}, "x: zzz: unknown key; known keys: output, word, words"),
    ],
)
def test_of_a_union_only_what_was_meant_is_told(values: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(_File, values, "x")
    assert one_line(caught) == told
    assert parse_config(_File, {"output": {"regex": "a"}, "words": ["two"]}, "x").output == _Pattern(regex="a")


async def test_a_connection_is_no_entry() -> None:
    connection = McpConnection(McpServerConfig(command=("true",)))
    with pytest.raises(
        ConfigError, match=r"give the config of the McpConnection, or what `await connection\.open\(\)`"
    ) as caught:
        create_agent(model="script:answers.yaml", tools=[connection])
    one_line(caught)


@pytest.mark.parametrize(
    "entry",
    [
        {"openapi": str(OPENAPI), "prefix": "m_"},
        {"openapi": OpenApiConfig(openapi=OPENAPI), "prefix": "m_"},
        ToolSource(openapi=OpenApiConfig(openapi=OPENAPI), prefix="m_"),
        ToolSource(openapi={"openapi": str(OPENAPI)}, prefix="m_"),
    ],
)
def test_an_entry_in_python_is_what_it_is_in_a_file(entry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_KEY", "k")
    with open_catalogue([entry]) as catalogue:
        assert {tool.name for tool in catalogue.tools} == {"m_find_order", "m_place_order"}


def test_an_mcp_server_in_python_is_what_it_is_in_a_file() -> None:
    server = {"command": ["/no/such/program"]}
    told = set()
    for entry in ({"mcp": server}, {"mcp": McpServerConfig(**server)}, ToolSource(mcp=McpServerConfig(**server))):  # type: ignore[arg-type]
        with pytest.raises(ConfigError) as caught:
            create_agent(model="script:answers.yaml", tools=[entry])
        told.add(one_line(caught))
    assert len(told) == 1
    assert "/no/such/program" in told.pop()


def test_settings_of_another_source() -> None:
    with pytest.raises(
        ConfigError, match=r"tools: mcp: give McpServerConfig\(…\), or a mapping of its keys, not OpenApi"
    ):
        open_catalogue([ToolSource(mcp=OpenApiConfig(openapi=OPENAPI))])


def test_an_entry_in_python_that_does_not_fit() -> None:
    with pytest.raises(ConfigError, match=r"^tools: entry 2: pyhton: unknown key; did you mean 'python'\?$") as caught:
        open_catalogue([_done, {"pyhton": "x"}])
    one_line(caught)


def test_a_model_in_python_is_what_it_is_in_a_file(tmp_path: Path) -> None:
    script = tmp_path / "answers.yaml"
    script.write_text("answers: [{text: Done.}]", encoding="utf-8")
    agent = create_agent(model={"provider": "script", "name": str(script)})
    assert agent.run_sync("x").output == "Done."
    with pytest.raises(
        ConfigError, match=r"^model: parameters\.temp: unknown key; did you mean 'temperature'"
    ) as caught:
        create_agent(model={"name": "x", "parameters": {"temp": 0}})
    one_line(caught)


def test_a_key_is_never_taken_for_its_variable() -> None:
    with pytest.raises(ConfigError, match="api_key_env: must be the name of an environment variable") as caught:
        ModelConfig(name="x", api_key_env="sk-live-SECRET")
    assert "SECRET" not in one_line(caught)
    assert ModelConfig(name="x", api_key_env="MY_KEY").key_variable == "MY_KEY"
    assert AgentConfig(model=ModelConfig(name="x")).model.name == "x"
