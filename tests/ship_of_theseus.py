"""The ship of Theseus: a run of twelve steps, each driven by another framework, and killed in every one of them.

Each framework resumes the run, finishes what the one before it left of its step, and is killed at a moment of its own
step or on the way to the next. The last one ends the run.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crash_runs import OUTPUT, CrashedRun, Plan
from warm_parents import Parents

SHIP = Plan(
    ((1, 2), (3,), (4, 5, 6), (7,), (8,), (9, 10), (11,), (12, 13, 14), (15,), (16, 17), (18,)),
    frozenset({2, 5, 7, 10, 12, 15, 18}),
)
LENGTH = len(SHIP.steps) + 1


@dataclass(frozen=True)
class Leg:
    """What one framework does of the voyage.

    Attributes:
        backend: The framework.
        moment: When it is killed; None where it ends the run.
        is_cold: Whether its process has imported nothing before.
    """

    backend: str
    moment: str | None
    is_cold: bool = False


def voyage(seed: int, backends: Sequence[str], cold: Sequence[int] = ()) -> list[Leg]:
    """Return the legs of a permutation: no framework drives two steps in a row, and all of them drive some.

    Args:
        seed: The permutation's number.
        backends: The frameworks, two at least.
        cold: The steps that a cold process drives.
    """
    chance = random.Random(f"ship {seed}")
    order: list[str] = []
    while len(order) < LENGTH:
        following = chance.sample(backends, len(backends))
        if not order or following[0] != order[-1]:
            order += following
    moments = [chance.choice(_moments(step)) for step in range(LENGTH - 1)]
    return [
        Leg(backend, moment, step in cold)
        for step, (backend, moment) in enumerate(zip(order, [*moments, None], strict=False))
    ]


def _moments(step: int) -> list[str]:
    """Return the moments of a step at which its process may die: the last is on the way to the next step."""
    found: list[str] = []
    for index, number in enumerate(SHIP.steps[step]):
        place = f"{step}/{index}"
        found += [f"before tool_start {place}", f"after tool_start {place}", f"start {number}", f"end {number}"]
        found += [f"before tool_end {place}", f"after tool_end {place}"]
    return [*found, f"asked {step + 1}"]


def undisturbed(parents: Parents) -> tuple[dict[str, Any], dict[int, set[str]]]:
    """Return the outcome of the run that nothing befell, and what its model was asked in each step."""
    run = CrashedRun(parents, "undisturbed", SHIP)
    outcome = run.go("custom", "begun")
    assert outcome is not None
    assert run.violations() == []
    assert (outcome["status"], outcome["output"]) == ("completed", OUTPUT)
    return outcome, _asked(run)


def sail(
    parents: Parents, name: str, legs: Sequence[Leg], whole: Mapping[str, Any], asked: Mapping[int, set[str]]
) -> None:
    """Carry out a permutation, and check that nothing tells it from the run that nothing befell.

    Args:
        parents: The processes that do it.
        name: The name of its files.
        legs: What each framework does.
        whole: The outcome of the other run.
        asked: What the model was asked in the other run, by step.
    """
    run = CrashedRun(parents, name, SHIP)
    outcome = None
    for number, leg in enumerate(legs):
        outcome = run.go(leg.backend, ("begun", "resumed")[number % 2], leg.moment, is_cold=leg.is_cold)
        assert (outcome is None) == (leg.moment is not None)
    assert run.violations() == []
    assert outcome == whole
    assert _asked(run) == asked


def _asked(run: CrashedRun) -> dict[int, set[str]]:
    found: dict[int, set[str]] = defaultdict(set)
    for event in run.events():
        if event["event"] == "model":
            found[event["step"]].add(event["asked"])
    return found
