"""The one layer of retries."""

from __future__ import annotations

import pytest

from unified_agents.config import ModelPolicy
from unified_agents.errors import (
    AuthenticationError,
    BadRequestError,
    BadResponseError,
    ModelError,
    ModelTimeoutError,
    NetworkError,
    RateLimitError,
    ServerError,
)
from unified_agents.wire.retries import retry_model_call

QUICK = ModelPolicy(wait_initial=0.001, wait_max=0.004, jitter=0.001)


async def attempts_until_it_stands(error: ModelError, policy: ModelPolicy = QUICK) -> tuple[int, list[float]]:
    tried, waits = 1, []

    async def attempt(number: int) -> str:
        nonlocal tried
        tried = number
        raise error

    with pytest.raises(type(error)) as raised:
        await retry_model_call(policy, error, attempt, lambda _error, _number, wait: waits.append(wait))
    assert raised.value is error
    return tried, waits


@pytest.mark.parametrize(
    ("error", "requests"),
    [
        (RateLimitError("x"), 4),
        (NetworkError("x"), 4),
        (ServerError("x"), 4),
        (ModelTimeoutError("x"), 2),
        (BadResponseError("x"), 2),
        (AuthenticationError("x"), 1),
        (BadRequestError("x"), 1),
    ],
)
async def test_each_kind_has_its_number_of_requests(error: ModelError, requests: int) -> None:
    tried, waits = await attempts_until_it_stands(error)
    assert tried == requests
    assert len(waits) == requests - 1


async def test_waits_grow_and_have_a_bound() -> None:
    _, waits = await attempts_until_it_stands(ServerError("x"))
    assert [round(wait - 0.0005, 3) for wait in waits] == pytest.approx([0.001, 0.002, 0.004], abs=0.001)


async def test_the_server_is_obeyed_up_to_a_bound() -> None:
    _, waits = await attempts_until_it_stands(RateLimitError("x", retry_after=0.003))
    assert waits == [0.003] * 3
    tried, _ = await attempts_until_it_stands(RateLimitError("x", retry_after=61))
    assert tried == 1


async def test_an_attempt_that_succeeds_ends_it() -> None:
    async def attempt(number: int) -> int:
        if number == 2:
            raise ServerError("again")
        return number

    assert await retry_model_call(QUICK, ServerError("first"), attempt, lambda *_: None) == 3


async def test_what_is_no_model_error_goes_through() -> None:
    async def attempt(number: int) -> int:
        raise KeyError(number)

    with pytest.raises(KeyError):
        await retry_model_call(QUICK, ServerError("first"), attempt, lambda *_: None)


def test_the_default_ends_in_under_eight_seconds() -> None:
    policy = ModelPolicy()
    most = sum(min(policy.wait_max, policy.wait_initial * 2**n) + policy.jitter for n in range(3))
    assert most < 8
