"""A run that is killed at a point of its journal goes on in another process, and keeps the promise."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from crash_checker import violations
from crash_runs import CALLS, OUTPUT, POINTS, STEPS, CrashedRun, at_commit
from ship_of_theseus import Leg, sail, undisturbed, voyage
from support import BACKENDS, PAIRS
from warm_parents import Parents, warm_parents

SEED = 12


@pytest.fixture(scope="module")
def parents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parents]:
    with warm_parents(tmp_path_factory.mktemp("crashes")) as started:
        yield started


def check(parents: Parents, name: str, first: str, second: str, point: int) -> None:
    run = CrashedRun(parents, f"{name}-{first}-{second}-{point}")
    assert run.go(first, "begun", at_commit(point)) is None
    rows = run.rows()
    if not rows:
        return  # it was killed before the run was on record, so there is nothing to go on with
    in_flight = run.in_flight()
    outcome = run.go(second, "resumed")
    assert outcome is not None
    assert run.violations() == []
    assert run.suspended == bool(in_flight)
    assert (outcome["status"], outcome["output"]) == ("completed", OUTPUT)
    results = [message["content"] for message in outcome["messages"] if message["role"] == "tool"]
    assert results == [f'{{"done":{number}}}' for number in CALLS]


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_a_killed_run_goes_on(parents: Parents, first: str, second: str) -> None:
    points = random.Random(f"{SEED} {first} {second}").sample(range(POINTS), 3)
    for point in points:
        check(parents, "some", first, second, point)


@pytest.mark.proof
@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_a_run_that_is_killed_at_any_point_goes_on(parents: Parents, first: str, second: str) -> None:
    for point in range(POINTS):
        check(parents, "any", first, second, point)


@pytest.fixture(scope="module")
def undisturbed_ship(parents: Parents) -> tuple[dict[str, Any], dict[int, set[str]]]:
    return undisturbed(parents)


@pytest.mark.parametrize("seed", range(5))
def test_a_run_goes_on_in_another_framework_after_each_step(parents: Parents, undisturbed_ship: Any, seed: int) -> None:
    """One step of each is driven by a process that has imported nothing before."""
    legs = voyage(seed, BACKENDS, cold=[2 * seed + 1])
    assert all(leg.backend != following.backend for leg, following in pairwise(legs))
    assert {leg.backend for leg in legs} == set(BACKENDS)
    sail(parents, f"ship-{seed}", legs, *undisturbed_ship)


def test_a_ship_that_is_another_is_told_from_it(parents: Parents, undisturbed_ship: Any) -> None:
    whole, asked = undisturbed_ship
    legs = [Leg("custom", "end 1"), Leg("custom", None)]
    with pytest.raises(AssertionError):
        sail(parents, "other-words", legs, {**whole, "output": "All is lost."}, asked)
    with pytest.raises(AssertionError):
        sail(parents, "other-requests", legs, whole, {**asked, 3: {"other"}})
    with pytest.raises(AssertionError, match="was not reached"):
        sail(parents, "other-moment", [Leg("custom", "end 99")], whole, asked)


def test_the_last_point_is_the_last(parents: Parents) -> None:
    run = CrashedRun(parents, "whole")
    with pytest.raises(AssertionError, match="was not reached"):
        run.go("custom", "begun", at_commit(POINTS))
    assert [row["row"] for row in run.rows()].count("tool_end") == len(CALLS)


def legal() -> list[dict[str, Any]]:
    """A run without a crash."""
    events: list[dict[str, Any]] = []
    for step, calls in enumerate(STEPS):
        events.append({"event": "model", "step": step})
        events += [{"event": kind, "call": call, "key": f"k{call}"} for kind in ("start", "end") for call in calls]
    return [*events, {"event": "model", "step": len(STEPS)}, {"event": "over", "status": "completed"}]


def test_the_checker_passes_what_is_legal() -> None:
    assert violations(legal(), CALLS, 5) == []


START_1, END_1 = {"event": "start", "call": 1, "key": "k1"}, {"event": "end", "call": 1, "key": "k1"}
CRASH = {"event": "crash"}


@pytest.mark.parametrize(
    ("planted", "words"),
    [
        ([START_1], "ran twice in one process"),
        ([CRASH, {"event": "finished", "call": 1}, START_1, END_1], "is finished, and ran again"),
        ([CRASH, START_1, END_1], "ran again unasked"),
        ([END_1], "had not begun"),
        ([CRASH, {"event": "answered", "step": 0}, {"event": "model", "step": 0}], "was in the journal"),
        ([{"event": "model", "step": 0}], "were repeated over 0 crashes"),
        ([{"event": "start", "call": 3, "key": "k1"}], "have one key"),
        ([CRASH, {"event": "start", "call": 3, "key": "other"}], "has two keys"),
        ([{"event": "asked", "call": 3}], "suspended over call 3"),
        ([{"event": "asked", "call": 1}], "suspended over call 1"),
        ([{"event": "over", "status": "failed"}], "ended as failed"),
    ],
)
def test_the_checker_finds_what_is_planted(planted: list[dict[str, Any]], words: str) -> None:
    events = legal()
    assert any(words in line for line in violations([*events[:-1], *planted, events[-1]], CALLS, 5))


@pytest.mark.parametrize("missing", [1, 4, 8])
def test_the_checker_misses_a_call_that_never_ran(missing: int) -> None:
    events = [event for event in legal() if event.get("call") != missing]
    assert violations(events, CALLS, 5) == [f"the run is completed without call {missing}"]


def test_the_checker_misses_a_result_that_nothing_made() -> None:
    events = [event for event in legal() if event.get("call") != 8]
    planted = [CRASH, {"event": "finished", "call": 8}]
    assert "call 8 is finished in the journal, and never ran" in violations([*planted, *events], CALLS, 5)
