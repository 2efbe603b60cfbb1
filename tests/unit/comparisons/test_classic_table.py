"""The rows of the classic comparison: each has a figure of the run, or says that it was not measured."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support import EVERY_BACKEND
from unified_agents import ConfigError
from unified_agents.registry import load_backend
from unified_agents.result import Exchange
from unified_agents_comparisons.analysis.tracing_rows import tracing_rows
from unified_agents_comparisons.execution.abilities import Abilities, abilities_of, code_lines
from unified_agents_comparisons.loading import load_suite
from unified_agents_comparisons.native_tracing.score import TracingScore
from unified_agents_comparisons.records import CallSummary, Cell
from unified_agents_comparisons.report.classic_table import classic_table
from unified_agents_comparisons.report.markdown import render
from unified_agents_comparisons.report.summary import Summary
from unified_agents_comparisons.retrieval import reached

MakeCell = Callable[..., Cell]
OFFERED = {
    "protocols": {"unified": ("chat_completions", "responses")},
    "variants": ("tool_calling",),
    "capabilities": ("tools", "streaming"),
    "program_lines": 9,
    "library_lines": 7,
}
DOCUMENT = "Ferry\n\nIt leaves at 7 – “sharp”."


def score(**changes: int) -> TracingScore:
    counts = dict.fromkeys(("model_calls", "model_calls_seen", "requests", "tools", "tools_seen", "traces"), 1)
    tokens = dict.fromkeys(("input_tokens", "output_tokens", "input_tokens_seen", "output_tokens_seen"), 5)
    return TracingScore(**counts | tokens | {"errors": 0, "errors_seen": 0, "orphans": 0} | changes)


RowsOf = Callable[..., dict[str, Any]]


@pytest.fixture
def rows_of(make_summary: Callable[..., Summary]) -> RowsOf:
    def rows(cells: list[Cell], **changes: Any) -> dict[str, Any]:
        return {row.key: row for row in classic_table(make_summary(cells, **changes), cells)}

    return rows


def test_each_row_has_its_figure(make_cell: MakeCell, rows_of: RowsOf) -> None:
    call = CallSummary(name="add", arguments="{}", ok=True, reached=True)
    cells = [
        make_cell("one", trace_shape="invoke_agent(chat, execute_tool add, chat)", tool_calls=(call,), cpu_seconds=0.5),
        make_cell("two", trace_shape="invoke_agent(chat, chat)", tool_calls=(call,), documents=(1, 2)),
        make_cell("three", passed=False, documents=(1, 1), cpu_seconds=9.0, tracing=score(errors=1)),
        make_cell("four", "c", tracing=score()),
    ]
    rows = rows_of(cells, abilities={"b": Abilities.model_validate(OFFERED)}, tracing=tracing_rows(cells))
    assert {key: row.values for key, row in rows.items()} == {
        "use": ("7 / 9", ""),
        "flexibility": ("2 protocols, 1 loop, streaming", ""),
        "retrieval": ("2/3", ""),
        "tools": (),
        "performance": ("10.0 ms", "10.0 ms"),
        "cpu": ("500.0 ms", ""),
        "debugging": ("1/2", ""),
        "own_tracing": ("0/1", "1/1"),
    }
    assert rows["retrieval"].figures == ((2, 3), (0, 0))


def test_markdown_has_the_rows_of_each_side_and_takes_a_name_as_text(
    make_cell: MakeCell, make_summary: Callable[..., Summary]
) -> None:
    name = "b | <b> [x](http://evil.test)"
    cells = [make_cell("one", name, documents=(1, 2)), make_cell("two", "c", overhead=0.02)]
    made = make_summary(cells, versions={}, abilities={"c": Abilities.model_validate(OFFERED)})
    _, found, text = render(made, cells).partition("## The classic comparison\n")
    assert found
    head, ruler, first, second = [line for line in text.partition("\n## ")[0].splitlines() if line.startswith("|")]
    assert ruler == "|---|---|" + "--:|" * 8
    rows = [[value.strip() for value in re.split(r"(?<!\\)\|", line)[1:-1]] for line in (head, first, second)]
    assert dict(zip(*rows[:2], strict=True)) == {
        "backend": r"b \| \<b\> \[x\](http:\//evil.test)",
        "handling": "unified",
        "Ease of use": "not measured",
        "Flexibility": "not measured",
        "Retrieval": "1/2",
        "Tools": "not measured",
        "Performance": "10.0 ms",
        "CPU": "not measured",
        "Debugging": "not measured",
        "Own tracing": "not measured",
    }
    of_other = dict(zip(rows[0], rows[2], strict=True))
    assert (of_other["Ease of use"], of_other["Retrieval"], of_other["Performance"]) == (
        "7 / 9",
        "not measured",
        "20.0 ms",
    )
    assert "- Performance: median overhead of a run that passed\n" in text


def test_nothing_is_claimed_that_was_not_measured(make_cell: MakeCell, rows_of: RowsOf) -> None:
    rows = rows_of([make_cell()])
    assert [key for key, row in rows.items() if row.values] == ["performance"]


@pytest.mark.parametrize(
    ("content", "count"),
    [
        (f"The notes say: {DOCUMENT}", 1),
        (json.dumps({"result": DOCUMENT}), 1),
        (json.dumps([{"text": DOCUMENT}], ensure_ascii=False), 1),
        (DOCUMENT[:-1], 0),
        (DOCUMENT.replace("\n\n", " "), 0),
        ("{" + DOCUMENT, 1),
    ],
)
def test_a_document_counts_where_it_reached_the_model_in_full(
    content: str, count: int, make_result: Callable[..., Any]
) -> None:
    body = json.dumps({"messages": [{"role": "user", "content": "?"}, {"role": "tool", "content": content}]})
    exchange = Exchange(step=1, attempt=1, received="", sent=body, status=200, answered="{}", returned="{}")
    torn = exchange.model_copy(update={"sent": body[:-1]})
    assert reached(make_result(exchanges=(torn, exchange)), [DOCUMENT, "another"]) == count


def test_a_task_that_needs_unknown_documents_is_refused(write_suite: Callable[..., Path], tmp_path: Path) -> None:
    task = {"id": "one", "question": "?", "documents": ["a"], "expect": {"output": "x"}}
    with pytest.raises(ConfigError, match="task 'one' needs documents, and the suite names none"):
        load_suite(str(write_suite(tasks=[task])))
    write_suite(tasks=[task], documents="notes:read")
    (tmp_path / "suite" / "notes.py").write_text("other = 1\n")
    with pytest.raises(ConfigError, match="its module 'notes' has no 'read'"):
        load_suite(str(tmp_path / "suite" / "suite.yaml"))


def test_lines_of_code_are_counted_without_comments_and_the_text_on_top() -> None:
    assert code_lines('"""Says\n\nmuch."""\n\n# a word\nimport os\n\n\ndef f():\n    """Is read by a model."""\n') == 3
    assert code_lines("x = 1\n") == 1


@pytest.mark.parametrize("backend", EVERY_BACKEND)
def test_every_backend_tells_what_it_offers(backend: str) -> None:
    found = abilities_of(load_backend(backend))
    assert len(found.protocols["unified"]) == 4
    assert found.library_lines < 10
    assert (found.program_lines is None) is (backend == "custom")
    assert Abilities.model_validate_json(found.model_dump_json()) == found
