"""Environment variables in the files of agents and catalogues."""

from __future__ import annotations

from pathlib import Path

import pytest

from unified_agents import ConfigError, ToolSource, load_config
from unified_agents.config import load_tools


def write(folder: Path, text: str) -> Path:
    path = folder / "agent.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_environment_variables_stand_for_their_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL", "qwen3")
    monkeypatch.setenv("HOST", "127.0.0.1:9")
    monkeypatch.setenv("STEPS", "7")
    monkeypatch.setenv("EMPTY", "")
    path = write(
        tmp_path,
        """\
model: {name: "${MODEL}", base_url: "http://${HOST}/v1"}
instructions: "Say $${MODEL}, $5 and ${EMPTY}${MODEL}."
limits: {max_steps: "${STEPS}"}
tools: [{mcp: {command: [serve, "${MODEL}"]}}]
""",
    )
    config = load_config(path)
    assert (config.model.name, config.model.base_url) == ("qwen3", "http://127.0.0.1:9/v1")
    assert config.instructions == "Say ${MODEL}, $5 and qwen3."
    assert config.limits.max_steps == 7
    [source] = load_tools(path)
    assert isinstance(source, ToolSource)
    assert isinstance(source.mcp, dict)
    assert source.mcp["command"] == ["serve", "qwen3"]


def test_what_a_variable_holds_is_not_looked_at_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTER", "${INNER}")
    assert load_config(write(tmp_path, "model: openai:${OUTER}")).model.name == "${INNER}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: openai:${NOT_SET}", "agent.yaml: model: the environment variable NOT_SET is not set"),
        ("tools: [{python: x}, '${NOT_SET}:add']", "agent.yaml: tools.1: the environment variable NOT_SET is not set"),
        ("model: openai:${NOT_SET:-x}", r"model: write \${NAME} for an environment variable, or \$\${ for the text"),
        ("model: openai:${}", r"model: write \${NAME}"),
    ],
)
def test_a_variable_that_is_not_set_is_named(text: str, message: str, tmp_path: Path) -> None:
    for read in (load_config, load_tools):
        with pytest.raises(ConfigError, match=message) as caught:
            read(write(tmp_path, text))
        assert "\n" not in str(caught.value)
