"""The retry engine: how long it waits, what it tries again, and what it raises in the end."""

from __future__ import annotations

import math

import pytest

from unified_agents.config import ModelPolicy
from unified_agents.retry.engine import retry, wait_seconds

EXACT = ModelPolicy(wait_initial=0.5, wait_max=3.0, jitter=0.0, retry_after_max=10.0)


@pytest.mark.parametrize(("failures", "seconds"), [(1, 0.5), (2, 1.0), (3, 2.0), (4, 3.0), (5000, 3.0)])
def test_the_backoff_doubles_up_to_its_bound(failures: int, seconds: float) -> None:
    assert wait_seconds(EXACT, failures) == seconds


def test_jitter_is_added_to_the_backoff() -> None:
    policy = EXACT.model_copy(update={"jitter": 0.25})
    waits = [wait_seconds(policy, 1) or 0.0 for _ in range(100)]
    assert len(set(waits)) > 1
    assert all(0.5 <= seconds <= 0.75 for seconds in waits)


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [(0.0, 0.0), (7.0, 7.0), (10.0, 10.0), (10.1, None), (math.inf, None), (-1.0, 0.0), (math.nan, 0.5)],
)
def test_a_wait_that_is_asked_for_takes_the_place_of_the_backoff(asked: float, seconds: float | None) -> None:
    assert wait_seconds(EXACT, 1, asked) == seconds


async def trace_of_retries(*outcomes: Exception | str, attempts: int = 3) -> tuple[list[object], str | Exception]:
    """What happened after a first attempt that failed with the first outcome, and how it ended."""
    first, *rest = outcomes
    happened: list[object] = []

    async def attempt(number: int) -> str:
        happened.append(number)
        outcome = rest[number - 2]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def sleep(seconds: float) -> None:
        happened.append(f"slept {seconds}")

    def next_wait(error: ValueError, failures: int) -> float | None:
        return failures / 2 if failures < attempts else None

    def before_wait(error: ValueError, failures: int, seconds: float) -> None:
        happened.append((str(error), failures, seconds))

    assert isinstance(first, ValueError)
    try:
        return happened, await retry(
            ValueError, first, attempt, next_wait=next_wait, before_wait=before_wait, sleep=sleep
        )
    except Exception as error:
        return happened, error


async def test_each_wait_is_told_before_it_is_waited() -> None:
    happened, end = await trace_of_retries(ValueError("a"), ValueError("b"), "done")
    assert end == "done"
    assert happened == [("a", 1, 0.5), "slept 0.5", 2, ("b", 2, 1.0), "slept 1.0", 3]


async def test_the_last_error_is_raised_when_it_is_given_up() -> None:
    last = ValueError("c")
    happened, end = await trace_of_retries(ValueError("a"), ValueError("b"), last, "never")
    assert end is last
    assert happened.count("slept 0.5") == 1
    assert 4 not in happened


async def test_nothing_is_tried_when_the_first_error_is_given_up() -> None:
    first = ValueError("a")
    assert await trace_of_retries(first, "never", attempts=1) == ([], first)


async def test_another_kind_of_error_is_raised_at_once() -> None:
    other = KeyError("other")
    happened, end = await trace_of_retries(ValueError("a"), other, "never")
    assert end is other
    assert happened[-1] == 2
