"""Every number of a comparison's summary, computed from `cells.jsonl` by other means than the report's own."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
import yaml
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest, norm, t as student
from typer.testing import CliRunner

import unified_agents_comparisons
from unified_agents_comparisons.cli import compare_command

pytestmark = pytest.mark.slow

Z = 1.959963984540054
ALPHA = 0.05
MARGIN = 0.05
DRAWS = 20_000
CHANCE = 0.018
"""How far the share of resamples beyond the end of an interval may be from 2.5 %, by chance."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    app = typer.Typer()
    app.command()(compare_command)
    out = tmp_path_factory.mktemp("numbers") / "out"
    options = ("--backends", "custom", "--tasks", "[motw]*-*", "--repeats", "4")
    done = CliRunner().invoke(app, ["quickstart", "--out", str(out), *options])
    assert done.exit_code == 0, done.output
    return out


@pytest.fixture(scope="module")
def cells(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "cells.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def summary(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return found


@pytest.fixture(scope="module")
def sources() -> dict[str, str]:
    suite = Path(unified_agents_comparisons.__file__).parent / "suites" / "quickstart" / "suite.yaml"
    return {
        task["id"]: task.get("source") or f"task {task['id']}" for task in yaml.safe_load(suite.read_text())["tasks"]
    }


def of_side(cells: Iterable[dict[str, Any]], backend: str, handling: str) -> list[dict[str, Any]]:
    return [cell for cell in cells if (cell["backend"], cell["handling"]) == (backend, handling)]


def wilson(passed: int, total: int) -> tuple[float, float]:
    share, bound = passed / total, 1 + Z * Z / total
    half = Z * math.sqrt(share * (1 - share) / total + Z * Z / (4 * total * total)) / bound
    middle = (share + Z * Z / (2 * total)) / bound
    return max(0.0, middle - half), min(1.0, middle + half)


def clustered(values: Sequence[float], clusters: Sequence[str]) -> tuple[float, float]:
    """Return the ends of the interval of a mean whose errors are correlated within clusters."""
    mean, sums = sum(values) / len(values), defaultdict(float)
    for value, cluster in zip(values, clusters, strict=True):
        sums[cluster] += value - mean
    count = len(sums)
    error = math.sqrt(sum(one * one for one in sums.values()) * count / (count - 1)) / len(values)
    half = float(student.ppf(0.975, count - 1)) * error
    return max(0.0, mean - half), min(1.0, mean + half)


def holm(values: Sequence[float]) -> list[float]:
    order = sorted(range(len(values)), key=lambda at: values[at])
    adjusted, least = [0.0] * len(values), 0.0
    for rank, at in enumerate(order):
        least = max(least, min(1.0, values[at] * (len(values) - rank)))
        adjusted[at] = least
    return adjusted


def assert_ends(drawn: Any, interval: dict[str, float]) -> None:
    """Check that 2.5 % of what was drawn are below an interval, and as many above; it may be drawn many times."""
    assert np.mean(drawn < interval["low"]) <= 0.025 + CHANCE
    assert np.mean(drawn <= interval["low"]) >= 0.025 - CHANCE
    assert np.mean(drawn > interval["high"]) <= 0.025 + CHANCE
    assert np.mean(drawn >= interval["high"]) >= 0.025 - CHANCE


def assert_median(values: Sequence[float], interval: dict[str, float]) -> None:
    assert interval["estimate"] == pytest.approx(float(np.median(values)))
    drawn = np.median(np.random.default_rng(7).choice(values, (DRAWS, len(values))), axis=1)
    assert_ends(drawn, interval)


def test_the_figures_of_each_side(
    cells: list[dict[str, Any]], summary: dict[str, Any], sources: dict[str, str]
) -> None:
    assert [(one["backend"], one["handling"]) for one in summary["groups"]] == [
        ("custom", "unified"),
        ("custom", "native"),
    ]
    for group in summary["groups"]:
        own = of_side(cells, group["backend"], group["handling"])
        passed = [cell for cell in own if cell["passed"]]
        share = len(passed) / len(own)
        assert (group["passed"], group["total"], group["infrastructure"]) == (len(passed), len(own), 0)
        assert group["pass_rate"]["estimate"] == share
        assert (group["pass_rate"]["low"], group["pass_rate"]["high"]) == pytest.approx(wilson(len(passed), len(own)))
        ends = clustered([float(cell["passed"]) for cell in own], [sources[cell["task"]] for cell in own])
        if share < 1:
            assert (group["clustered"]["low"], group["clustered"]["high"]) == pytest.approx(ends)
        else:
            assert group["clustered"] is None
        assert group["timed"] == len(passed)
        totals = sorted(cell["seconds"]["total"] for cell in passed)
        assert group["p95"] == totals[math.ceil(0.95 * len(totals)) - 1]
        assert_median(totals, group["seconds"])
        assert_median([cell["seconds"]["overhead"] for cell in passed], group["overhead"])
        first = [cell["time_to_first_token"] for cell in passed if cell["time_to_first_token"] is not None]
        assert_median(first, group["first_token"])
        for name in ("requests", "retries"):
            assert group[name] == sum(cell[name] for cell in own)
        assert group["request_bytes"] == sum(sum(cell["request_bytes"]) for cell in own)
        for name, value in group["usage"].items():
            known = [cell["usage"][name] for cell in own if cell["usage"][name] is not None]
            assert value == (sum(known) if known else None)
        assert (group["cost"], group["unpriced"]) == (None, sum(cell["requests"] > 0 for cell in own))
        of_task = Counter(cell["task"] for cell in passed)
        tasks = {cell["task"] for cell in own}
        for one in group["consistency"]:
            chances = [math.comb(of_task[task], one["k"]) / math.comb(4, one["k"]) for task in tasks]
            missed = [math.comb(4 - of_task[task], one["k"]) / math.comb(4, one["k"]) for task in tasks]
            assert one["all"] == pytest.approx(np.mean(chances))
            assert one["any"] == pytest.approx(1 - np.mean(missed))
        assert [one["k"] for one in group["consistency"]] == [1, 2, 4]


def logarithms(pairs: Iterable[tuple[dict[str, Any], dict[str, Any]]], metric: str) -> dict[str, list[float]]:
    found: dict[str, list[float]] = defaultdict(list)
    for one, other in pairs:
        if one["passed"] and other["passed"]:
            found[one["task"]].append(math.log(one["seconds"][metric] / other["seconds"][metric]))
    return found


def signs_p(values: Any, weights: Any) -> float:
    """Return how often random signs give a weighted sum that is as far from 0."""
    drawn = np.random.default_rng(8).choice([-1.0, 1.0], (DRAWS, len(values))) @ (values * weights)
    return float(np.mean(np.abs(drawn) >= abs(float(values @ weights)) * (1 - 1e-12)))


def rates_p_alike(left: int, right: int, total: int) -> float:
    """Return the p-value of two one-sided score tests (Miettinen and Nurminen), by search for the likeliest rates."""

    def one_sided(difference: float) -> float:
        def cost(rate: float) -> float:
            other = rate + difference
            pairs = ((left, other), (right, rate))
            return -sum(
                some * math.log(max(p, 1e-300)) + (total - some) * math.log(max(1 - p, 1e-300)) for some, p in pairs
            )

        low, high = max(0.0, -difference), min(1.0, 1 - difference)
        rate = float(minimize_scalar(cost, bounds=(low, high), method="bounded", options={"xatol": 1e-12}).x)
        other = rate + difference
        variance = (rate * (1 - rate) + other * (1 - other)) / (total - 0.5)
        return (left - right - difference * total) / total / math.sqrt(variance)

    return max(float(norm.sf(one_sided(-MARGIN))), float(norm.cdf(one_sided(MARGIN))))


def test_the_tests_of_the_sides(cells: list[dict[str, Any]], summary: dict[str, Any]) -> None:
    assert [test["metric"] for test in summary["tests"]] == ["passed", "total", "overhead"]
    theirs = {(cell["task"], cell["repeat"]): cell for cell in of_side(cells, "custom", "native")}
    pairs = [(cell, theirs[cell["task"], cell["repeat"]]) for cell in of_side(cells, "custom", "unified")]
    total = len(pairs)
    ps, alike, informative = [], [], []
    for test in summary["tests"]:
        assert (test["left"], test["right"]) == (["custom", "unified"], ["custom", "native"])
        effect = test["effect"]
        if test["metric"] == "passed":
            left, right = (sum(pair[at]["passed"] for pair in pairs) for at in (0, 1))
            alone = [sum(a["passed"] > b["passed"] for a, b in pairs), sum(a["passed"] < b["passed"] for a, b in pairs)]
            assert (test["pairs"], effect["estimate"]) == (total, pytest.approx((left - right) / total))
            (low1, high1), (low2, high2) = wilson(left, total), wilson(right, total)
            below = math.hypot(left / total - low1, high2 - right / total)
            above = math.hypot(high1 - left / total, right / total - low2)
            ends = (effect["estimate"] - below, effect["estimate"] + above)
            assert (effect["low"], effect["high"]) == pytest.approx(ends)
            ps.append(binomtest(alone[0], sum(alone)).pvalue)
            assert test["p"] == pytest.approx(ps[-1])
            alike.append(rates_p_alike(left, right, total))
            informative.append(sum(alone))
            continue
        by_task = logarithms(pairs, test["metric"])
        values = np.array([value for some in by_task.values() for value in some])
        weights = np.array([1 / len(some) for some in by_task.values() for _ in some])
        assert (test["tasks"], test["pairs"]) == (len(by_task), len(values))
        assert effect["estimate"] == pytest.approx(
            math.expm1(float(np.mean([np.mean(some) for some in by_task.values()])))
        )
        subsets = np.random.default_rng(9).random((DRAWS, len(values))) < 0.5
        assert_ends(np.expm1(subsets @ (values * weights) / (subsets @ weights)), effect)
        assert test["p"] == pytest.approx(signs_p(values, weights), abs=0.02)
        ps.append(test["p"])
        error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
        bound, free = math.log1p(MARGIN), len(values) - 1
        mean = float(values.mean())
        alike.append(max(student.sf((mean + bound) / error, free), student.cdf((mean - bound) / error, free)))
        informative.append(len(values))
    assert all(2.0 ** (1 - count) <= ALPHA for count in informative), "each of them can show something"
    for test, p, p_alike in zip(summary["tests"], holm(ps), holm(alike), strict=True):
        assert test["p_adjusted"] == pytest.approx(p)
        assert test["p_alike"] == pytest.approx(p_alike, rel=1e-4, abs=1e-9)
        assert test["shown"] == (p < ALPHA)
        direction = "more" if test["effect"]["estimate"] > 0 else "less"
        assert test["conclusion"] == (direction if p < ALPHA else "alike" if p_alike < ALPHA else "inconclusive")


def test_what_became_of_the_schemas(cells: list[dict[str, Any]], summary: dict[str, Any]) -> None:
    for side in summary["schemas"]:
        own = [cell for cell in of_side(cells, side["backend"], side["handling"]) if cell["repeat"] == 0]
        tools = [tool for cell in own for tool in cell["schemas"]]
        assert side["tools"] == len(tools) > 0
        assert side["whole"] == sum(not tool["lost"] and not tool["added"] for tool in tools)
        assert side["keywords"] == sum(tool["keywords"] for tool in tools)
        for what in ("lost", "added"):
            assert sum(side[what].values()) == sum(len(tool[what]) for tool in tools)


def test_the_counts_of_the_whole(cells: list[dict[str, Any]], summary: dict[str, Any]) -> None:
    tasks = {cell["task"] for cell in cells}
    assert (summary["cells"], summary["tasks"], summary["repeats"]) == (len(cells), len(tasks), 4)
    assert summary["ok"] is all(cell["passed"] for cell in of_side(cells, "custom", "unified"))
    failed = {cell["task"] for cell in cells if not cell["passed"]}
    assert {one["task"] for one in summary["outcomes"] if one["differs"]} >= failed
