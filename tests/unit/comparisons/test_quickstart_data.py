"""The quickstart suite: its tools do what they say, and its expectations are what its oracles and tools give."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Iterator
from contextvars import Context, copy_context
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from unified_agents.errors import InvalidInputError
from unified_agents.scripted.model import Script
from unified_agents.tools.definition import Tool
from unified_agents.tools.results import to_text
from unified_agents_comparisons.suites.quickstart import tools
from unified_agents_comparisons.suites.quickstart.scratch import SCRATCH, scratch_file

FOLDER = files("unified_agents_comparisons.suites.quickstart")
SUITE = yaml.safe_load((FOLDER / "suite.yaml").read_text(encoding="utf-8"))
TASKS: dict[str, dict[str, Any]] = {task["id"]: task for task in SUITE["tasks"]}
TOOLS: dict[str, Tool] = {name: value for name, value in vars(tools).items() if isinstance(value, Tool)}


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "scratch"
    folder.mkdir()
    token = SCRATCH.set(folder)
    yield folder
    SCRATCH.reset(token)


async def call(name: str, /, **arguments: Any) -> Any:
    """Call a tool as a run would: validate the JSON, then run the function."""
    return await call_json(name, json.dumps(arguments))


async def call_json(name: str, arguments: str) -> Any:
    result = TOOLS[name].handler(**TOOLS[name].validate(arguments))
    return await result if inspect.isawaitable(result) else result


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("40 + 2", 42),
        ("7 // 2 + 7 % 2", 4),
        ("-2 ** 2", -4),
        ("9 / 2", 4.5),
        ("0.1 + 0.2", 0.3),
        ("sqrt(16) + abs(-1) + max(1, 2) + min(3, 4)", 10),
        ("round(2.345, 1)", 2.3),
        (" (1 + 2) * 3 ", 9),
    ],
)
async def test_calculate_gives_whole_numbers_as_integers(expression: str, value: float) -> None:
    result = await call("calculate", expression=expression)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "1 +",
        "1; 2",
        "1 / 0",
        "0 ** -1",
        "'a' * 9",
        "True + 1",
        "1j * 1j",
        "sqrt(-1)",
        "(-8) ** 0.5",
        "9 ** 9 ** 9",
        "10 ** 16",
        "1e15 ** 64.0",
        "1e999",
        "2 ** -65",
        "round(5, -1000000000)",
        "f'{1:>1000000000}'",
        "[1][0]",
        "(1).real",
        "x",
        "1 if 1 else 2",
        "abs(1, x=2)",
        "__import__('os')",
        "(" * 60 + "1",
        "1" * 121,
    ],
)
async def test_calculate_refuses_what_is_no_bounded_arithmetic(expression: str) -> None:
    with pytest.raises(ValueError, match=r"arithmetic|beyond|zero|characters|digits|math domain|nonnegative"):
        await call("calculate", expression=expression)


@pytest.mark.parametrize(
    ("value", "source", "target", "converted"),
    [
        (42.195, "km", "mi", 26.2188),
        (10, "lb", "kg", 4.5359),
        (5, "gal", "l", 18.9271),
        (3, "ft", "m", 0.9144),
        (2, "kg", "g", 2000.0),
    ],
)
async def test_convert_units(value: float, source: str, target: str, converted: float) -> None:
    assert await call("convert_units", value=value, source=source, target=target) == converted


async def test_convert_units_refuses_two_kinds_and_unknown_units() -> None:
    with pytest.raises(ValueError, match="units of one kind"):
        await call("convert_units", value=1, source="kg", target="km")
    with pytest.raises(InvalidInputError):
        await call("convert_units", value=1, source="stone", target="kg")


async def test_days_between_counts_leap_days_and_backwards() -> None:
    assert await call("days_between", start="2028-02-28", end="2028-03-01") == 2
    assert await call("days_between", start="2026-03-01", end="2026-02-28") == -1
    with pytest.raises(InvalidInputError):
        await call("days_between", start="2026-02-30", end="2026-03-01")


async def test_convert_currency_takes_the_fixed_rates_and_euros_by_default() -> None:
    assert await call("convert_currency", amount=125, source="USD") == 100.0
    assert await call("convert_currency", amount=1, source="GBP", target="JPY") == 200.0
    with pytest.raises(ValueError, match="choose one of EUR"):
        await call("convert_currency", amount=1, source="XXX")


async def test_live_rate_fails_as_documented() -> None:
    assert await call("live_rate", source="USD", target="GBP") == 0.64
    with pytest.raises(ConnectionError, match="PLN"):
        await call("live_rate", source="EUR", target="PLN")


async def test_query_database_gives_json_and_bounds_the_rows() -> None:
    counts = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) SELECT i FROM n"
    exact = json.loads(await call("query_database", sql=counts.format(20)))
    more = json.loads(await call("query_database", sql=counts.format(21)))
    assert (exact["count"], exact["truncated"]) == (20, False)
    assert (more["count"], more["truncated"], more["rows"][-1]) == (20, True, {"i": 20})
    assert json.loads(await call("query_database", sql="SELECT x'0aff' AS b"))["rows"] == [{"b": "0aff"}]


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "DELETE FROM orders",
        "UPDATE products SET price = 0",
        "DROP TABLE orders",
        "CREATE TABLE t (a)",
        "ATTACH DATABASE 'other.sqlite' AS other",
        "PRAGMA journal_mode = DELETE",
        "SELECT 1; SELECT 2",
        "SELECT no_such_column FROM products",
        "SELECT load_extension('x')",
        "SELECT length(zeroblob(1000000000))",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n",
    ],
)
async def test_query_database_only_reads_and_always_ends(sql: str) -> None:
    with pytest.raises(ValueError, match="SELECT statement"):
        await call("query_database", sql=sql)
    assert await call("list_files") == []
    assert json.loads(await call("query_database", sql="SELECT count(*) AS n FROM orders"))["rows"] == [{"n": 10}]


async def test_check_stock_gives_an_object_or_none() -> None:
    lamp = {"name": "desk lamp", "price": 48.5, "quantity": 7, "shelf": "A2"}
    assert await call("check_stock", product="Desk Lamp") == lamp
    assert await call("check_stock", product="x' OR '1'='1") is None


async def test_price_order_adds_delivery_below_80() -> None:
    def order(product: str, quantity: int) -> dict[str, Any]:
        return {"customer": "Ada", "lines": [{"product": product, "quantity": quantity}]}

    assert await call("price_order", order=order("match tin", 2)) == 11.3
    assert await call("price_order", order=order("harbour lamp", 2)) == 128.0
    with pytest.raises(LookupError, match="gramophone"):
        await call("price_order", order=order("gramophone", 1))
    for quantity in (0, 101):
        with pytest.raises(InvalidInputError):
            await call("price_order", order=order("match tin", quantity))


async def test_read_sensor_takes_time_and_lets_others_run_meanwhile() -> None:
    readings = [asyncio.ensure_future(call("read_sensor", place=place)) for place in tools.SENSORS]
    await asyncio.sleep(0)
    assert not any(reading.done() for reading in readings)
    assert await asyncio.gather(*readings) == list(tools.SENSORS.values())
    with pytest.raises(LookupError, match="store"):
        await call("read_sensor", place="cellar")


async def test_files_are_written_read_and_listed(scratch: Path) -> None:
    assert await call("list_files") == []
    assert await call("write_file", name="b/c.txt", text="Grüße\r\n☕") == "8 characters written to b/c.txt"
    await call("write_file", name="a.txt", text="old")
    await call("write_file", name="a.txt", text="new")
    assert await call("list_files") == ["a.txt", "b/c.txt"]
    assert await call("read_file", name="b/c.txt") == "Grüße\r\n☕"
    assert (scratch / "a.txt").read_text() == "new"


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "", " ", ".", "a\\..\\x", "x\0", "out/x", "out"])
async def test_files_outside_the_folder_are_refused(name: str, scratch: Path) -> None:
    (scratch.parent / "x").write_text("secret")
    (scratch / "out").symlink_to(scratch.parent)
    for refused in (call("read_file", name=name), call("write_file", name=name, text="t")):
        with pytest.raises(ValueError, match="give a relative path"):
            await refused
    assert (scratch.parent / "x").read_text() == "secret"


async def test_files_are_bounded_and_must_exist(scratch: Path) -> None:
    with pytest.raises(ValueError, match="at most"):
        await call("write_file", name="a.txt", text="ü" * 50_001)
    (scratch / "big.txt").write_bytes(b"x" * 100_001)
    with pytest.raises(ValueError, match="larger"):
        await call("read_file", name="big.txt")
    with pytest.raises(FileNotFoundError, match=r"no\.txt"):
        await call("read_file", name="no.txt")


def test_without_a_scratch_folder_the_error_says_what_to_do() -> None:
    with pytest.raises(RuntimeError, match="set SCRATCH"):
        Context().run(scratch_file, "a.txt")
    assert copy_context().run(scratch_file, "a.txt").name == "a.txt"


async def test_search_documents_finds_the_best_whole_document() -> None:
    shipped = {entry.read_text(encoding="utf-8").strip() for entry in (FOLDER / "data" / "documents").iterdir()}
    assert len(shipped) == 12
    assert (await call("search_documents", words="Ferry TIMETABLE")).startswith("Ferry timetable\n\nThe ferry Solveig")
    assert all([await call("search_documents", words=text.partition("\n")[0]) == text for text in shipped])
    with pytest.raises(LookupError, match="other words"):
        await call("search_documents", words="zeppelin")
    with pytest.raises(LookupError):
        await call("search_documents", words="")


async def test_count_text_summarise_and_repeat() -> None:
    assert await call("count_text", text="Zoë's 2 lamps,\nlit", unit="words") == 4
    assert await call("count_text", text="Zoë's 2 lamps,\nlit", unit="letters") == 12
    assert await call("summarise", values=[1, 2, 6], measure="mean") == 3.0
    assert await call("summarise", values=[6, 1, 2], measure="median") == 2.0
    assert await call("repeat", text="a b", times=10) == "a b " * 9 + "a b"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("repeat", {"text": "a", "times": 0}),
        ("repeat", {"text": "a", "times": 11}),
        ("repeat", {"text": "a", "times": "3"}),
        ("repeat", {"text": 3, "times": 3}),
        ("summarise", {"values": [], "measure": "mean"}),
        ("summarise", {"values": [1] * 1001, "measure": "mean"}),
        ("summarise", {"values": [1], "measure": "mode"}),
        ("count_text", {"text": "a", "unit": "lines"}),
    ],
)
async def test_declared_bounds_are_held(name: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        await call(name, **arguments)


def test_every_tool_is_described_for_the_model() -> None:
    assert 10 <= len(TOOLS) <= 16
    assert {tool.is_async for tool in TOOLS.values()} == {True, False}
    for tool in TOOLS.values():
        assert tool.description
        assert all(schema.get("description") for schema in tool.parameters["properties"].values()), tool.name


def resolved(value: Any, results: list[list[str]]) -> Any:
    """A value of an oracle, with what it takes from the tools' results."""
    if isinstance(value, list):
        return [resolved(item, results) for item in value]
    if not isinstance(value, dict):
        return value
    if "$result" in value:
        where = value["$result"]
        found = as_json(results[where["step"]][where["index"]])
        for part in where.get("path", "").split("/")[1:]:
            found = found[int(part)] if isinstance(found, list) else found[part]
        return found
    if "$template" in value:
        texts = [as_text(resolved(item, results)) for item in value["values"]]
        return value["$template"].format(*texts)
    return {key: resolved(item, results) for key, item in value.items()}


def as_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


async def played(task: dict[str, Any], altered: int | None = None) -> tuple[list[dict[str, Any]], str]:
    """What comes of a task by its oracle and the real tools: the calls and the answer.

    Args:
        task: The task.
        altered: Which of all calls has its result replaced before the model reads it.
    """
    calls: list[dict[str, Any]] = []
    results: list[list[str]] = []
    for answer in task["oracle"]["answers"][:-1]:
        told = []
        for asked in answer["tool_calls"]:
            arguments = resolved(asked["arguments"], results)
            ok, content = await tried(task, asked["name"], arguments)
            told.append("altered" if len(calls) == altered else content)
            calls.append({"name": asked["name"], "arguments": arguments, "ok": ok})
        results.append(told)
    return calls, resolved(task["oracle"]["answers"][-1]["text"], results)


async def tried(task: dict[str, Any], name: str, arguments: Any) -> tuple[bool, str]:
    if name not in task["tools"]:
        return False, "no such tool"
    try:
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        return True, to_text(await call_json(name, text))
    except (ValueError, LookupError, OSError) as error:
        return False, str(error)


def read_back(task: dict[str, Any], folder: Path) -> dict[str, str]:
    return {name: (folder / name).read_bytes().decode() for name in task["expect"].get("files", {})}


def results_of(task: dict[str, Any]) -> list[int]:
    return [number for number, expected in enumerate(task["expect"]["tool_calls"]) if expected["ok"]]


@pytest.mark.parametrize("name", TASKS)
async def test_expectations_are_what_oracle_and_tools_give(name: str, scratch: Path) -> None:
    task = TASKS[name]
    calls, output = await played(task)
    assert output.strip() == task["expect"]["output"].strip()
    assert calls == task["expect"]["tool_calls"]
    assert read_back(task, scratch) == task["expect"].get("files", {})


@pytest.mark.parametrize(("name", "number"), [(name, number) for name in TASKS for number in results_of(TASKS[name])])
async def test_an_altered_result_shows(name: str, number: int) -> None:
    task = TASKS[name]
    try:
        calls, output = await played(task, altered=number)
    except (TypeError, KeyError, IndexError):
        return  # the oracle finds no value where the result was
    assert (calls, output) != (task["expect"]["tool_calls"], task["expect"]["output"])


@pytest.mark.parametrize("name", TASKS)
def test_no_answer_after_a_result_is_a_constant(name: str) -> None:
    answers = TASKS[name]["oracle"]["answers"]
    if results_of(TASKS[name]):
        assert "$result" in json.dumps(answers[-1]["text"])
    assert all("tool_calls" in answer for answer in answers[:-1])


def test_the_suite_is_whole() -> None:
    assert len(TASKS) == len(SUITE["tasks"]) >= 32
    assert {name for task in TASKS.values() for name in task["tools"]} == set(TOOLS)
    for task in TASKS.values():
        Script.model_validate(task["oracle"])
        assert "\n" not in task["description"] + task.get("differs_native", "")
    module, _, variable = SUITE["scratch"].partition(":")
    assert (module, variable) == (scratch_file.__module__, "SCRATCH")
    assert SUITE["tools"] == tools.__name__


def test_the_suite_shows_at_least_five_differences() -> None:
    different = {name for name, task in TASKS.items() if "differs_native" in task}
    assert {
        "eight-sensors-in-one-delta",
        "number-as-a-string",
        "missing-file",
        "broken-json",
        "missing-argument",
    } <= different
    assert len(TASKS) - len(different) >= 20
