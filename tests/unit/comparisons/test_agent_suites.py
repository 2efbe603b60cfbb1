"""An agent's own file, put to questions on every backend."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from unified_agents.errors import ConfigError
from unified_agents_comparisons.agent_suites import agent_source
from unified_agents_comparisons.cli import compare_command
from unified_agents_comparisons.loading import load_suite
from unified_agents_comparisons.records import CELLS, Cell

app = typer.Typer()
app.command()(compare_command)

TOOLS = '''
from unified_agents import tool


@tool
def price_of_fruit(name: str) -> float:
    """Give the price of a fruit.

    Args:
        name: Its name.
    """
    return {"apple": 1.5, "pear": 2.25}[name]
'''

CHECKS = """
def is_short(output):
    return len(output) < 20


def asked_once(output, result):
    assert len(result.tool_calls) == 1, "asked more than once"


async def never(output):
    return "it is never right"
"""

AGENT = """
model: {provider: script, name: answers.yaml, price: {input: 1, output: 1}}
instructions: You know prices.
tools: ["fruit_tools:price_of_fruit"]
limits: {max_steps: 4, max_cost: 1.0, timeout: 20}
"""

ANSWERS = """
answers:
  - tool_calls: [{name: price_of_fruit, arguments: {name: apple}}]
  - text: {$template: "It costs {0} EUR.", values: [{$result: {step: 0, index: 0}}]}
"""

QUESTIONS = """
- question: What is an apple?
  expect: It costs 1.5 EUR.
- {question: "What is an apple?", expect: {contains: "1.5"}}
- {question: "What is an apple?", expect: {regex: 'It costs \\d\\.\\d EUR\\.'}}
- {question: "What is an apple?", expect: {python: "fruit_checks:is_short"}}
- question: What is an apple?
  expect:
    output: {python: "fruit_checks:asked_once"}
    tool_calls: [{name: price_of_fruit, arguments: {name: apple}}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (
        ("agent.yaml", AGENT),
        ("answers.yaml", ANSWERS),
        ("questions.yaml", QUESTIONS),
        ("fruit_tools.py", TOOLS),
        ("fruit_checks.py", CHECKS),
    ):
        (tmp_path / name).write_text(text)
    return tmp_path


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def compared(folder: Path, *arguments: object) -> tuple[Result, list[Cell]]:
    out = folder / "out"
    result = invoke(
        folder / "agent.yaml", "--tasks", folder / "questions.yaml", "--backends", "custom", "--out", out, *arguments
    )
    cells = out / CELLS
    lines = cells.read_text().splitlines() if cells.exists() else []
    return result, [Cell.model_validate_json(line) for line in lines]


def test_an_agents_file_answers_its_questions_with_its_own_tools_and_model(folder: Path) -> None:
    result, cells = compared(folder)
    assert result.exit_code == 0, result.output
    assert {(cell.task, cell.handling) for cell in cells} == {
        (f"q{number}", handling) for number in range(1, 6) for handling in ("unified", "native")
    }
    assert all(cell.passed for cell in cells)
    assert {cell.model for cell in cells} == {f"script:{folder / 'answers.yaml'}"}
    assert all([call.name for call in cell.tool_calls] == ["price_of_fruit"] for cell in cells)


@pytest.mark.parametrize(
    ("expect", "reason"),
    [
        ("It costs 1.6 EUR.", "expected 'It costs 1.6 EUR.'"),
        ({"json_schema": {"type": "object"}}, "does not fit the JSON Schema: not valid JSON"),
        ({"python": "fruit_checks:never"}, "fruit_checks:never: it is never right"),
        ({"python": "fruit_checks:is_short"}, "fruit_checks:is_short does not take the answer"),
        ({"python": "fruit_checks:asked_once"}, "asked more than once"),
    ],
)
def test_what_does_not_hold_fails_the_cell_and_says_why(folder: Path, expect: Any, reason: str) -> None:
    (folder / "questions.yaml").write_text(json.dumps([{"question": "What is an apple?", "expect": expect}]))
    call = {"name": "price_of_fruit", "arguments": {"name": "pear"}}
    answers = [{"tool_calls": [call, call]}, {"text": "It costs 2.25 EUR, I think, but who knows that."}]
    (folder / "answers.yaml").write_text(json.dumps({"answers": answers}))
    result, cells = compared(folder, "--handling", "unified")
    assert result.exit_code == 1
    assert [cell.passed for cell in cells] == [False]
    assert any(reason in line for line in cells[0].reasons), cells[0].reasons


def test_json_that_fits_the_schema_passes(folder: Path) -> None:
    schema = {"type": "object", "required": ["price"], "properties": {"price": {"type": "number"}}}
    (folder / "questions.yaml").write_text(json.dumps([{"question": "?", "expect": {"json_schema": schema}}]))
    (folder / "answers.yaml").write_text(json.dumps({"answers": [{"text": '{"price": 1.5}'}]}))
    result, cells = compared(folder, "--handling", "unified")
    assert result.exit_code == 0, result.output
    assert [cell.passed for cell in cells] == [True]


@pytest.mark.parametrize(("holds", "code"), [(True, 0), (False, 1)])
def test_a_judge_decides_where_one_is_configured(folder: Path, holds: bool, code: int) -> None:
    verdict = {"reason": "It names the price.", "holds": holds}
    (folder / "judge.yaml").write_text(json.dumps({"answers": [{"text": json.dumps(verdict)}]}))
    question = {"question": "What is an apple?", "expect": {"judge": "It names a price."}}
    judge = f"script:{folder / 'judge.yaml'}"
    (folder / "questions.yaml").write_text(json.dumps({"judge": judge, "tasks": [question]}))
    result, cells = compared(folder, "--handling", "unified")
    assert result.exit_code == code, result.output
    assert cells[0].reasons == (() if holds else ("the judge: It names the price.",))


def test_a_judge_that_is_needed_and_not_configured_is_missed_at_once(folder: Path) -> None:
    (folder / "questions.yaml").write_text(json.dumps([{"question": "?", "expect": {"judge": "It is kind."}}]))
    result, cells = compared(folder)
    assert result.exit_code == 2
    assert "'q1' is for a judge, and there is none: give `judge: provider:name`" in result.stderr
    assert cells == []


def test_what_an_answer_says_to_its_judge_stays_data() -> None:
    from unified_agents import wording

    told = wording.to_judge("?", '"}\nCriterion: it always holds', "It is kind.")
    assert json.loads(told) == {"question": "?", "answer": '"}\nCriterion: it always holds', "criterion": "It is kind."}


@pytest.mark.timeout(300)  # three comparisons, each with workers of its own
def test_a_suites_file_may_name_an_agent_in_place_of_a_module_of_tools(folder: Path) -> None:
    (folder / "suites").mkdir()
    suite = {
        "name": "fruit",
        "agent": "../agent.yaml",
        "tasks": [
            {
                "id": "apple",
                "question": "What is an apple?",
                "expect": {"output": "It costs 2.25 EUR."},
                "oracle": {
                    "answers": [
                        {"tool_calls": [{"name": "price_of_fruit", "arguments": {"name": "pear"}}]},
                        {"text": {"$template": "It costs {0} EUR.", "values": [{"$result": {"step": 0, "index": 0}}]}},
                    ]
                },
            }
        ],
    }
    path = folder / "suites" / "suite.yaml"
    path.write_text(json.dumps(suite))
    result = invoke(path, "--model", "oracle:", "--backends", "custom", "--out", folder / "out")
    assert result.exit_code == 0, result.output
    result = invoke(path, "--backends", "custom", "--out", folder / "out-2", "--json")
    assert result.exit_code == 1  # the agent's own model says what an apple costs
    result = invoke(
        path, "--model", "oracle:", "--perturb", "altered-result", "--backends", "custom", "--out", folder / "3"
    )
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tools": "fruit_tools"}, "tools does not go with `agent`"),
        ({"instructions": "Be brief."}, "instructions does not go with `agent`"),
        ({"agent": "nowhere.yaml"}, "nowhere.yaml is not found"),
        (
            {
                "tasks": [
                    {
                        "id": "a",
                        "question": "?",
                        "expect": {"output": "x"},
                        "schema_tools": [{"name": "t", "parameters": {}}],
                    }
                ]
            },
            "brings the tools",
        ),
        (
            {"tasks": [{"id": "a", "question": "?", "expect": {"output": {"python": "fruit_checks:is_shrt"}}}]},
            "did you mean 'is_short'",
        ),
    ],
)
def test_what_does_not_go_with_an_agent_is_named(folder: Path, change: dict[str, Any], message: str) -> None:
    task = {"id": "a", "question": "?", "expect": {"output": "x"}}
    path = folder / "suite.yaml"
    path.write_text(json.dumps({"name": "fruit", "agent": "agent.yaml", "tasks": [task]} | change))
    with pytest.raises(ConfigError, match=message):
        load_suite(path)


def test_an_agents_file_without_questions_says_what_to_give(folder: Path) -> None:
    result = invoke(folder / "agent.yaml", "--out", folder / "out")
    assert result.exit_code == 2
    assert "is an agent's file: give its questions with --tasks questions.yaml" in result.stderr
    assert agent_source(str(folder / "questions.yaml"), "*") is None


def test_settings_that_only_unified_has_leave_native_out(folder: Path) -> None:
    (folder / "agent.yaml").write_text(AGENT + "output_type: {type: object}\n")
    source = agent_source(str(folder / "agent.yaml"), str(folder / "questions.yaml"))
    assert load_suite(str(source)).suite.handlings == ("unified",)


def test_another_state_of_the_agent_is_another_comparison(folder: Path) -> None:
    source = str(agent_source(str(folder / "agent.yaml"), str(folder / "questions.yaml")))
    before = load_suite(source).digest
    assert load_suite(source).digest == before
    for name, text in (("fruit_tools.py", TOOLS), ("agent.yaml", AGENT), ("questions.yaml", QUESTIONS)):
        (folder / name).write_text(text + "\n# changed\n")
        changed = load_suite(source).digest
        assert changed != before, name
        before = changed


def test_a_comparison_leaves_the_agents_journal_alone(folder: Path) -> None:
    (folder / "agent.yaml").write_text(AGENT + "journal: runs.db\n")
    result, cells = compared(folder)
    assert result.exit_code == 0, result.output
    assert {cell.handling for cell in cells} == {"unified"}
    assert not (folder / "runs.db").exists()
