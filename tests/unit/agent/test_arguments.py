"""The arguments of `create_agent`, of a run and of a file's model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from unified_agents import (
    AgentConfig,
    ConfigError,
    Event,
    ModelConfig,
    Script,
    ScriptedModel,
    create_agent,
)
from unified_agents.agent.backend_agent import BackendAgent


def scripted(*answers: dict[str, Any]) -> ScriptedModel:
    return ScriptedModel(Script.model_validate({"answers": answers or [{"text": "Done."}]}))


def settings(agent: object) -> Any:
    assert isinstance(agent, BackendAgent)
    return agent._settings


def test_every_group_of_settings_may_be_a_mapping() -> None:
    found = settings(
        create_agent(
            {"model": "openai:x", "name": "of a mapping"},
            model=scripted(),
            model_parameters={"temperature": 0},
            tool_policy={"attempts": 1},
            selector={"k": 2},
            limits={"max_steps": 3},
        )
    )
    assert found.name == "of a mapping"
    assert found.model.parameters.temperature == 0
    assert found.tool_policy.attempts == 1
    assert found.limits.max_steps == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"config": {"model": "openai:x", "backned": "custom"}},
            "config: backned: unknown key",
        ),
        ({"model_parameters": {"temprature": 0}}, "model_parameters: temprature: unknown key"),
        ({"tool_policy": {"attempts": 0}}, "tool_policy: attempts: must be at least 1"),
        ({"selector": {"k": 0}}, "selector: k: must be at least 1"),
    ],
)
def test_a_mapping_that_does_not_fit_is_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        create_agent(**{"model": scripted()} | arguments)


class AsyncListener:
    async def __call__(self, event: Event) -> None:
        raise AssertionError("never awaited")


async def _listen(event: Event) -> None:
    raise AssertionError("never awaited")


@pytest.mark.parametrize("listener", [_listen, AsyncListener()])
async def test_an_async_listener_is_refused(listener: Any) -> None:
    async with create_agent(model=scripted()) as agent:
        with pytest.raises(ConfigError, match=r"on_event: give a plain function; .*agent\.stream") as caught:
            await agent.run("x", on_event=listener)
    assert "\n" not in str(caught.value)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "agent.yaml"
    path.write_text(
        """\
model:
  name: small
  base_url: http://127.0.0.1:9/v1
  timeout: 7
  parameters: {temperature: 0}
  price: {input: 1, output: 2}
""",
        encoding="utf-8",
    )
    return path


def test_another_name_of_a_model_keeps_its_server_and_its_settings(file: Path) -> None:
    found = settings(create_agent(file, model="openai:large")).model
    assert (found.name, found.base_url, found.timeout) == ("large", "http://127.0.0.1:9/v1", 7)
    assert found.parameters.temperature == 0
    assert found.price is None, "the price is that of the other model"
    assert settings(create_agent(file, model="openai:small")).model.price is not None


def test_another_provider_takes_nothing_over(file: Path, tmp_path: Path) -> None:
    (tmp_path / "answers.yaml").write_text("answers: [{text: Done.}]", encoding="utf-8")
    found = settings(create_agent(file, model=f"script:{tmp_path / 'answers.yaml'}")).model
    assert (found.provider, found.base_url, found.timeout) == ("script", None, ModelConfig(name="x").timeout)


def test_a_whole_model_replaces_that_of_the_file(file: Path) -> None:
    other = ModelConfig(name="large", base_url="http://127.0.0.1:8/v1")
    assert settings(create_agent(file, model=other)).model == other


async def test_an_agent_is_closed_at_the_end_of_its_block() -> None:
    async with create_agent(AgentConfig(model=ModelConfig(name="x", base_url="http://127.0.0.1:9/v1"))) as agent:
        assert repr(agent) == "<Agent 'agent' on custom, unified, model openai:x, 0 tools>"
    with pytest.raises(Exception, match="the agent is closed"):
        await agent.run("x")


async def test_results_and_traces_read_well() -> None:
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    call = {"tool_calls": [{"name": "add", "arguments": {"a": 1, "b": 2}}]}
    async with create_agent(model=scripted(call, {"text": "long " * 500}), tools=[add]) as agent:
        result = await agent.run("x", run_id="my-run")
    for text in (repr(result), str(result), f"{result}"):
        assert text.startswith("<RunResult completed on custom: 'long long")
        assert "\n" not in text
        assert len(text) < 200
    lines = str(result.trace).splitlines()
    assert [re.sub(r" +[^ ]+ +\d+\.\d{3} s$", "", line) for line in lines] == [
        "invoke_agent agent",
        "  chat script",
        "  execute_tool add",
        "  chat script",
    ]
    attributes = result.trace.attributes
    assert attributes["unified_agents.backend"] == "custom"
    assert attributes["unified_agents.handling"] == "unified"
    assert attributes["unified_agents.run_id"] == result.run_id == "my-run"


async def test_log_lines_say_of_which_run_they_are(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> str:
        """Fail."""
        raise ValueError("x")

    caplog.set_level("INFO", "unified_agents")
    call = {"tool_calls": [{"name": "broken", "arguments": {}}]}
    async with create_agent(model=scripted(call, {"text": "Done."}), tools=[broken]) as agent:
        await agent.run("x", run_id="my-run")
    assert [record.getMessage() for record in caplog.records] == [
        "run started: my-run on custom",
        "tool call failed: tool_error (broken, run my-run on custom)",
        "run ended: completed (run my-run on custom)",
    ]
