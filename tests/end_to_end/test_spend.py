"""What runs and comparisons cost by a file of prices: in a result, in cells, the summary, reports and progress."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from support import run_program

PRICES = """
currency: EUR
models:
  oracle: {input: 10, output: 20}
  m: {input: 1000000, output: 2000000}
"""


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    path = tmp_path / "prices.yaml"
    path.write_text(PRICES)
    return path


def compare(out: Path, *options: object) -> str:
    chosen = ("--backends", "custom", "--handling", "unified", "--tasks", "add-two-*", "--repeats", 2, "--out", out)
    done = run_program("compare", "quickstart", *chosen, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_comparison_tells_its_spend_everywhere(tmp_path: Path, prices: Path) -> None:
    out = tmp_path / "out"
    shown = compare(out, "--prices", prices, "--csv", tmp_path / "cells.csv")
    cells = [json.loads(line) for line in (out / "cells.jsonl").read_text().splitlines()]
    assert cells
    for cell in cells:
        usage = cell["usage"]
        assert cell["cost"] == pytest.approx((usage["input_tokens"] * 10 + usage["output_tokens"] * 20) / 1e6)
    total = sum(cell["cost"] for cell in cells)
    summary = json.loads((out / "summary.json").read_text())
    [group] = summary["groups"]
    assert (summary["currency"], group["unpriced"]) == ("EUR", 0)
    assert group["cost"] == pytest.approx(total)
    assert f"{total:.6g} EUR" in (out / "report.md").read_text()
    assert f"{total:.6g} EUR" in shown
    with (tmp_path / "cells.csv").open() as file:
        assert sum(float(row["cost"]) for row in csv.DictReader(file)) == pytest.approx(total)


def test_progress_tells_of_the_spend_in_ci(tmp_path: Path, prices: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    assert " EUR spent" in compare(tmp_path / "out", "--prices", prices)


def test_without_a_price_the_spend_is_unknown(tmp_path: Path, prices: Path) -> None:
    prices.write_text("models: {other: {input: 1, output: 1}}")
    compare(tmp_path / "out", "--prices", prices)
    [group] = json.loads((tmp_path / "out" / "summary.json").read_text())["groups"]
    assert (group["cost"], group["unpriced"]) == (None, group["total"])
    assert "| unknown |" in (tmp_path / "out" / "report.md").read_text()


def test_a_file_of_prices_that_is_wrong_ends_the_command_before_a_cell(tmp_path: Path, prices: Path) -> None:
    prices.write_text("models: {oracle: {in: 1}}")
    done = run_program("compare", "quickstart", "--prices", prices, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "models.oracle" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_run_is_priced_by_the_file_where_its_model_has_no_price(tmp_path: Path, prices: Path) -> None:
    answers = [{"text": "done", "usage": {"prompt_tokens": 3, "completion_tokens": 1}}]
    (tmp_path / "m").write_text(json.dumps({"answers": answers}))
    agent = tmp_path / "agent.yaml"
    for own, cost in (("", None), ("\n  price: {input: 7000000, output: 0}", 21.0)):
        agent.write_text(f"model:\n  provider: script\n  name: {tmp_path}/m{own}")
        found = json.loads(run_program("run", agent, "Go.", "--json", "--prices", prices).stdout)
        assert found["cost"] == cost
    prices.write_text('models: {"*/m": {input: 1000000, output: 2000000}}')
    agent.write_text(f"model:\n  provider: script\n  name: {tmp_path}/m")
    found = json.loads(run_program("run", agent, "Go.", "--json", "--prices", prices).stdout)
    assert found["cost"] == 5.0
