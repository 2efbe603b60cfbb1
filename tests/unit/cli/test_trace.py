"""`unified-agents trace`, and the waterfall of a span tree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from unified_agents import create_agent, tool
from unified_agents.cli.commands import app
from unified_agents.scripted.model import Script, ScriptedModel
from unified_agents.tracing.conventions import OPERATION
from unified_agents.tracing.spans import Span
from unified_agents.tracing.summary import EventType, summarise_trace

HOSTILE = "x\x1b[31m\x1b]8;;http://evil.test\x07\u202e\n<b>"


def a_tree() -> Span:
    chat = Span("chat script", 0.0, 0.5, {OPERATION: "chat"}, events=[("retry", 0.2, {})])
    slow = Span("execute_tool add", 0.5, 2.0, {OPERATION: "execute_tool"}, error="tool_error")
    return Span("invoke_agent", 0.0, 4.0, {OPERATION: "invoke_agent"}, children=[chat, slow, Span("chat script", 2.0)])


def show(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["trace", *map(str, arguments)])


def test_the_waterfall_has_a_bar_for_each_span() -> None:
    lines = str(a_tree()).splitlines()
    assert [line.split("█")[0].rstrip() for line in lines] == [
        "invoke_agent",
        "  chat script",
        "  execute_tool add",
        "  chat script",
    ]
    assert [line.count("█") for line in lines] == [40, 5, 15, 20]
    first = lines[0].index("█")
    assert [line.index("█") - first for line in lines] == [0, 0, 5, 20]
    assert lines[1].endswith("0.500 s, retry at 0.200 s")
    assert lines[2].endswith("1.500 s, error: tool_error")
    assert lines[3].endswith("not ended")
    assert str(Span("alone", 0.0)) == f"alone  █{' ' * 39}  not ended"


def test_a_hostile_name_moves_no_cursor() -> None:
    tree = Span(
        "invoke_agent", 0.0, 1.0, children=[Span(HOSTILE, 0.0, 1.0, error=HOSTILE, events=[(HOSTILE, 0.1, {})])]
    )
    assert len(str(tree).splitlines()) == 2
    assert not {"\x1b", "\x07", "\u202e"} & set(str(tree))
    assert "<b>" not in tree._repr_html_()
    assert "&lt;b&gt;" in tree._repr_html_()


def test_a_tree_comes_back_as_it_was() -> None:
    assert Span.from_dict(json.loads(json.dumps(a_tree().to_dict()))) == a_tree()
    with pytest.raises(ValueError, match="no span"):
        Span.from_dict({"name": "x"})
    deep: dict[str, Any] = a_tree().to_dict()
    for _ in range(200):
        deep = a_tree().to_dict() | {"children": [deep]}
    with pytest.raises(ValueError, match="too deep"):
        Span.from_dict(deep)


def test_the_summary_counts_by_type() -> None:
    tree = a_tree()
    tree.children[1].events += [("coerced", 0.6, {"paths": ("a",)}), ("retry", 0.7, {"seconds": 0.5})]
    tree.children[2].events.append(("retry", 2.1, {"seconds": 0.25}))
    summary = summarise_trace(tree)
    assert [(one.name, one.count, one.seconds, one.errors) for one in summary.types] == [
        ("invoke_agent", 1, 4.0, 0),
        ("execute_tool add", 1, 1.5, 1),
        ("chat", 2, 0.5, 0),
    ]
    assert summary.events == (EventType("retry", 3, 0.75), EventType("coerced", 1, None))
    assert [span.name for span in summary.slowest] == ["execute_tool add", "chat script", "chat script"]


def test_the_command_draws_a_run(tmp_path: Path) -> None:
    @tool
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    script = {"answers": [{"tool_calls": [{"name": "add", "arguments": {"a": 1, "b": 2}}]}, {"text": "3"}]}
    result = create_agent(backend="custom", model=ScriptedModel(Script.model_validate(script)), tools=[add]).run_sync(
        "1+2?"
    )
    path = tmp_path / "run.json"
    path.write_text(json.dumps(result.to_dict()))
    done = show(path)
    assert done.exit_code == 0, done.output
    for what in ("invoke_agent", "execute_tool add", "█", "overhead", "unknown: the model has no price"):
        assert what in done.stdout
    path.write_text(json.dumps({"cell": {}, "result": result.to_dict()}))
    values = json.loads(show(path, "--json").stdout)
    assert {one["name"]: one["count"] for one in values["types"]}["chat"] == 2
    assert values["seconds"]["total"] > 0
    html = result._repr_html_()
    assert "completed: 3" in html
    assert "execute_tool add" in html


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"trace": {}}', '{"trace": 5}'])
def test_what_is_no_run_is_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(text)
    done = show(path)
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 1
    assert show(tmp_path / "nothing").exit_code == 2
