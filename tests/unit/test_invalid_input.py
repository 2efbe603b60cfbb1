"""Invalid input from Python and from files is refused in one line that says what to give instead."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support import scripted_model
from unified_agents import (
    Agent,
    AgentConfig,
    Bm25Selector,
    ConfigError,
    Limits,
    McpServerConfig,
    Message,
    ModelConfig,
    ModelParameters,
    OpenApiConfig,
    RunEnded,
    RunResult,
    Script,
    ScriptedModel,
    SelectConfig,
    ToolPolicy,
    UnifiedAgentsError,
    UnsupportedCapabilityError,
    create_agent,
    load_openapi,
    tool,
)
from unified_agents.cli.main import main
from unified_agents.config import load_config


def model(*answers: dict[str, Any]) -> ScriptedModel:
    return scripted_model(*(answers or [{"text": "Done."}]))


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def one_line(caught: pytest.ExceptionInfo[Any]) -> str:
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    return text


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        ({"config": 3}, "config: give a YAML file's path"),
        ({"config": ["agent.yaml"]}, "config: give a YAML file's path, an AgentConfig, or a mapping"),
        ({"backend": 3}, 'backend: give a name, such as "custom", not 3'),
        ({"backend": ""}, "unknown backend ''"),
        ({"model": 3}, 'model: give "provider:name"'),
        ({"instructions": 3}, "instructions: give text, not 3"),
        ({"instructions": b"x"}, "instructions: give text"),
        ({"tools": add}, r"tools: give a list, such as tools=\[search\], not function"),
        ({"tools": tool(add)}, "tools: give a list"),
        ({"tools": "my_tools:add"}, "tools: give a list"),
        ({"tools": {"add": add}}, "tools: give a list"),
        ({"tools": 3}, "tools: give a list"),
        ({"tools": McpServerConfig(command=("npx",))}, "tools: give a list"),
        ({"tools": [3]}, "3 is no tool"),
        ({"limits": 3}, r"limits: give Limits\(…\)"),
        ({"limits": {"max_stepz": 1}}, "limits: max_stepz: unknown key; did you mean 'max_steps'"),
        ({"handling": "nativ"}, "handling: give 'unified' or 'native', not 'nativ'"),
        ({"handling": []}, "handling: give 'unified' or 'native'"),
        ({"name": 3}, "name: give text"),
        ({"model_parameters": 3}, r"model_parameters: give ModelParameters\(…\)"),
        (
            {"output_type": 3},
            "output_type: give a type such as a pydantic model, its module:Name, or a JSON Schema, not 3",
        ),
        ({"output_type": {"type": "objec"}}, "output_type is no valid JSON Schema"),
        ({"selector": "bm25"}, r"selector: give a SelectConfig\(…\)"),
        ({"tool_policy": 3}, r"tool_policy: give ToolPolicy\(…\)"),
        ({"tool_references": "yes"}, "tool_references: give True or False"),
        ({"coercion": "loose"}, "coercion: give 'strict' or 'lenient'"),
        ({"variant": "reactt"}, "variant: give 'tool_calling' or 'react', not 'reactt'"),
    ],
)
def test_an_argument_of_a_wrong_type(arguments: dict[str, Any], remedy: str) -> None:
    with pytest.raises(ConfigError, match=remedy) as caught:
        create_agent(**{"model": model()} | arguments)
    one_line(caught)


@pytest.mark.parametrize(
    "given",
    [
        {"model": {"name": "x", "api_key": "sk-live-SECRET"}},
        {"model": {"name": "x", "api_key_env": "sk-live-SECRET"}},
        {"model": {"name": "x", "provider": "sk-live-SECRET", "timeout": "sk-live-SECRET"}},
        {"tools": {"set_env": "sk-live-SECRET"}},
        {"tools": [{"mcp": {"command": "sk-live-SECRET", "env": ["KEY=sk-live-SECRET"]}}]},
        {"limits": ["sk-live"]},
    ],
)
def test_what_may_hold_a_secret_is_not_shown(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        create_agent(**({"model": model()} | given))
    assert "sk-live" not in one_line(caught)


async def test_a_description_that_cannot_be_sent_names_its_tool() -> None:
    agent = create_agent(model=model(), tools=[tool(add, description="half a pair: \ud83d")])
    with pytest.raises(ConfigError, match="tool 'add' cannot be sent as JSON"):
        await agent.run("q")


def test_arguments_of_the_right_types_are_taken() -> None:
    assert create_agent(
        AgentConfig(model=ModelConfig(name="x", base_url="http://127.0.0.1:1/v1")),
        backend="custom",
        model=model(),
        instructions="",
        tools=(functools.partial(add, b=1), tool(add, name="other")),
        limits={"max_steps": 3},
        handling="unified",
        name="a",
        model_parameters=ModelParameters(temperature=0),
        output_type=list[int],
        selector=SelectConfig(k=1),
        tool_policy=ToolPolicy(),
        tool_references=False,
        variant="tool_calling",
    )
    assert create_agent(model=model(), selector=Bm25Selector(k=1), tools=(part for part in [add]))


@pytest.mark.parametrize(
    ("task", "options", "remedy"),
    [
        (None, {}, "the task: give a text, or a list of messages, not None"),
        (42, {}, "the task: give a text"),
        (b"x", {}, "the task: give a text"),
        ({"role": "user", "content": "x"}, {}, "the task: give a text, or a list of messages"),
        ("message", {}, "the task: give a text, or a list of messages"),
        ([], {}, "the task has no messages"),
        (["hi"], {}, "message 1 of the task: give a Message, or a dict with role and content, not 'hi'"),
        ([{"role": "user", "content": "x"}, None], {}, "message 2 of the task"),
        ([{"role": "nobody", "content": "x"}], {}, "not a Chat Completions message"),
        ("x", {"limits": {"max_steps": 1}}, r"limits: give Limits\(…\)"),
        ("x", {"run_id": 3}, "run_id: give text, not 3"),
        ("x", {"on_event": 3}, "on_event: give a function"),
    ],
)
async def test_a_run_of_what_is_no_task(task: Any, options: dict[str, Any], remedy: str) -> None:
    agent = create_agent(model=model())
    task = Message(role="user", content="x") if task == "message" else task
    with pytest.raises(ConfigError, match=remedy) as caught:
        await agent.run(task, **options)
    one_line(caught)
    assert (await agent.run([{"role": "user", "content": "x"}], limits=Limits(max_steps=1))).status == "completed"


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Limits(max_stepz=1), "Limits: max_stepz: unknown key; did you mean 'max_steps'?"),
        (
            lambda: Limits(max_steps=0, timeout=-1),
            "Limits: max_steps: must be at least 1; timeout: must be more than 0",
        ),
        (
            lambda: ModelConfig(name="x", parameters={"temprature": 1}),
            "ModelConfig: parameters.temprature: unknown key; did you mean 'temperature'?",
        ),
        (lambda: AgentConfig(model="x"), "AgentConfig: model: model 'x': write provider:name"),
        (lambda: McpServerConfig(comand=["npx"]), "McpServerConfig: comand: unknown key; did you mean 'command'?"),
        (lambda: OpenApiConfig(openapi="https://x/y.yaml"), "OpenApiConfig: openapi: must be a file"),
    ],
)
def test_settings_that_do_not_fit(make: Callable[[], object], told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        make()
    one_line(caught)


def test_settings_that_fit_are_what_was_said() -> None:
    assert Limits(max_steps=1).max_steps == 1
    assert ModelConfig(name="x", fallback=({"name": "y"},)).fallback[0] == ModelConfig(name="y")
    assert Limits(max_steps=1).model_copy(update={"max_steps": 2}) == Limits.model_validate({"max_steps": 2})


REPEATED = """\
model: script:answers.yaml
limits:
  max_steps: 3
  timeout: 5
  max_steps: 4
"""


def test_a_key_that_stands_twice(tmp_path: Path) -> None:
    path = tmp_path / "agent.yaml"
    path.write_text(REPEATED, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"line 5, column 3.*the key 'max_steps' stands in line 3 already") as caught:
        create_agent(path)
    one_line(caught)
    path.write_text(REPEATED.replace("max_steps: 4", "max_tool_calls: 4"), encoding="utf-8")
    assert load_config(path).limits == Limits(max_steps=3, timeout=5, max_tool_calls=4)


def test_a_key_that_stands_twice_in_a_script(tmp_path: Path) -> None:
    path = tmp_path / "answers.yaml"
    path.write_text("answers:\n  - text: one\n    text: two\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"line 3, column 5.*'text' stands in line 2 already"):
        Script.load(path)


def test_a_key_that_is_merged_in_may_be_given_again(tmp_path: Path) -> None:
    path = tmp_path / "agent.yaml"
    path.write_text("model: script:a.yaml\nlimits:\n  <<: {max_steps: 3}\n  max_steps: 4\n", encoding="utf-8")
    assert load_config(path).limits.max_steps == 4


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("[" * 3_000, "nested too deeply", id="open"),
        pytest.param("[" * 3_000 + "]" * 3_000, "nested too deeply", id="lists"),
        pytest.param("model: " + "{a: " * 3_000 + "1" + "}" * 3_000, "nested too deeply", id="mappings"),
        pytest.param("name: 2026-02-30", "not valid YAML: day ", id="a day that is none"),
    ],
)
def test_a_file_that_cannot_be_built(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "agent.yaml"
    path.write_text(text, encoding="utf-8")
    for read in (load_config, create_agent, Script.load):
        with pytest.raises(ConfigError, match=rf"agent\.yaml: .*{told}") as caught:
            read(path)
        one_line(caught)


def test_what_yaml_itself_makes_of_a_value_holds(tmp_path: Path) -> None:
    path = tmp_path / "agent.yaml"
    path.write_text(f"model: script:a.yaml\noutput_type: {'{a: ' * 20}yes{'}' * 20}\n", encoding="utf-8")
    kind: Any = load_config(path).output_type
    for _ in range(20):
        kind = kind["a"]
    assert kind is True


@pytest.mark.parametrize("port", ["99999", "-1"])
def test_a_port_that_is_none(
    port: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mcp")
    (tmp_path / "my_served_tools.py").write_text(
        "from unified_agents import tool\n@tool\ndef one() -> int:\n    return 1\n", encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "sys.argv",
        ["unified-agents", "tools", "serve", "my_served_tools", "--transport", "http", f"--port={port}"],
    )
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert told == (
        f"unified-agents: cannot listen on 127.0.0.1:{port}: a port is a number from 0 to 65535; give another --port\n"
    )


async def _follow(agent: Agent) -> None:
    async for _ in agent.stream("x"):  # type: ignore[attr-defined]  # the mistake
        pass


async def test_a_stream_that_is_not_entered() -> None:
    with pytest.raises(UnifiedAgentsError, match=r"async with agent\.stream\(…\) as events") as caught:
        await _follow(create_agent(model=model()))
    one_line(caught)


async def test_a_stream_that_is_left_at_once_is_cancelled() -> None:
    ran: list[int] = []

    class Counting:
        def reply(self, request: Any, key: str = "") -> Any:
            ran.append(1)
            return model().reply(request, key)

        def forget(self, key: str) -> None:
            return None

    async with create_agent(model=Counting()) as agent:
        async with agent.stream("x") as events:
            assert events.result is None
        result = events.result
    assert result is not None
    assert result.status == "cancelled"
    assert result.errors[-1].kind == "cancelled"
    assert result.trace.end is not None
    assert result.trace.error == "cancelled"
    assert ran == []
    assert isinstance([event async for event in events][-1], RunEnded)


async def test_a_stream_that_is_left_early_has_its_result() -> None:
    started = asyncio.Event()

    async def hang() -> None:
        started.set()
        await asyncio.Event().wait()

    asked = {"tool_calls": [{"name": "hang", "arguments": {}}]}
    agent = create_agent(model=model(asked, {"text": "Done."}), tools=[hang])
    async with agent.stream("x") as events:
        await started.wait()
    assert _status(events.result) == "cancelled"
    assert events.result is not None
    assert all(span.end is not None for span in events.result.trace.walk())


async def test_a_stream_is_entered_once() -> None:
    agent = create_agent(model=model())
    before = asyncio.all_tasks()
    entered = agent.stream("q")
    async with entered:
        with pytest.raises(UnifiedAgentsError, match="a stream is entered once"):
            await entered.__aenter__()
    assert asyncio.all_tasks() == before
    await agent.aclose()


def test_an_agent_is_closed_in_code_that_is_not_asynchronous() -> None:
    with create_agent(model=model()) as agent:
        assert agent.run_sync("q").status == "completed"
    with pytest.raises(UnifiedAgentsError, match="closed"):
        agent.run_sync("q")
    agent.close()


async def test_an_agent_is_not_closed_by_code_that_its_loop_waits_for() -> None:
    agent = create_agent(model=model())
    with pytest.raises(UnsupportedCapabilityError, match=r"await agent\.aclose\(\) there"):
        agent.close()
    with pytest.raises(UnsupportedCapabilityError, match="use `async with` there"), agent:
        pass
    await asyncio.gather(agent.aclose(), agent.aclose())


async def test_a_stream_to_its_end_is_no_cancel() -> None:
    async with create_agent(model=model()).stream("x") as events:
        async for _ in events:
            pass
    assert _status(events.result) == "completed"


def _status(result: RunResult | None) -> str:
    assert result is not None
    return result.status


async def test_react_takes_a_tools_own_name() -> None:
    ran: list[int] = []

    def query(n: int) -> int:
        ran.append(n)
        return n

    answers = [{"tool_calls": [{"name": "db.query", "arguments": {"n": 1}}]}, {"text": "one"}]
    script = Script.model_validate({"answers": answers}).in_text()
    agent = create_agent(model=ScriptedModel(script), tools=[tool(query, name="db.query")], variant="react")
    result = await agent.run("x")
    assert (ran, result.output) == ([1], "one")


@pytest.mark.parametrize("name", ["langchan", "nobody"])
def test_the_contract_of_an_unknown_backend_fails_once(name: str) -> None:
    testing = pytest.importorskip("unified_agents.testing")
    with pytest.raises(pytest.Collector.CollectError, match=f"the contract: unknown backend '{name}'") as caught:
        type("TestIt", (testing.BackendContract,), {"backend": name})
    one_line(caught)
    assert type("TestIt", (testing.BackendContract,), {"backend": "custom"})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("model: script:none.yaml", r"model: script: .*none.yaml: cannot be read: No such file"),
        (
            "model: script:s.yaml\ntools: [{openapi: none.yaml}]",
            r"tools: entry 1: openapi: there is no file .*none.yaml",
        ),
        ("model: script:s.yaml\ntools: [{openapi: {file: none.yaml}}]", r"tools: entry 1: openapi: there is no file"),
        (
            "model: script:s.yaml\ntools: [{mcp_file: none.json}]",
            r"tools: entry 1: mcp_file: there is no file .*none.json",
        ),
    ],
)
def test_a_file_that_is_missing_is_told_with_the_key_that_names_it(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "agent.yaml").write_text(text)
    (tmp_path / "s.yaml").write_text("answers: [{text: done}]")
    with pytest.raises(ConfigError, match=told):
        create_agent(tmp_path / "agent.yaml")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: ScriptedModel({"answers": []}), r"ScriptedModel: give a Script, by Script.load\(…\) .*, not dict"),
        (lambda: ScriptedModel("answers.yaml"), r"not str"),
        (lambda: load_openapi({"openapi": "3.1.0"}), r"load_openapi: give an OpenApiConfig\(…\), or a file, not dict"),
        (lambda: load_openapi("none.yaml"), r"none.yaml: cannot be read: No such file"),
        (lambda: load_openapi("https://a.example/openapi.json"), r"documents are not fetched"),
    ],
)
def test_what_is_no_script_and_no_document(make: Callable[[], object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        make()
