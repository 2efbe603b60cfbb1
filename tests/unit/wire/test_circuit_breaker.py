"""The circuit breaker before a server that fails many times in a row."""

from __future__ import annotations

import asyncio

import pytest

from unified_agents.config import ModelPolicy
from unified_agents.errors import BadRequestError, ModelTimeoutError, NetworkError, RateLimitError, ServerError
from unified_agents.wire.circuit_breaker import Admission, CircuitBreaker


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def broken(breaker: CircuitBreaker, times: int) -> None:
    for _ in range(times):
        breaker.record(await breaker.admit(patience=0), ServerError("dead"))


async def test_the_circuit_opens_after_so_many_failures_in_a_row() -> None:
    clock = Clock()
    breaker = CircuitBreaker(ModelPolicy(breaker_failures=3, breaker_seconds=10), clock)
    await broken(breaker, 3)
    with pytest.raises(ServerError, match="not asked") as refused:
        await breaker.admit(patience=0)
    assert refused.value.final
    clock.now = 10.0
    trial = await breaker.admit(patience=0)  # one request finds out
    with pytest.raises(ServerError):
        await breaker.admit(patience=0)
    breaker.record(trial, None)
    await breaker.admit(patience=0)


async def test_a_success_between_and_other_errors_keep_it_closed() -> None:
    breaker = CircuitBreaker(ModelPolicy(breaker_failures=3), Clock())
    for answer in (None, BadRequestError("x"), RateLimitError("x")):  # the server answers
        await broken(breaker, 2)
        breaker.record(await breaker.admit(patience=0), answer)
    await broken(breaker, 2)
    breaker.record(await breaker.admit(patience=0), NetworkError("x"))
    with pytest.raises(NetworkError):
        await breaker.admit(patience=0)


async def test_failures_of_requests_that_were_under_way_together_count_as_one() -> None:
    breaker = CircuitBreaker(ModelPolicy(breaker_failures=3))
    for _ in range(2):
        together = [await breaker.admit(patience=0) for _ in range(50)]
        for admission in together:
            breaker.record(admission, ServerError("dead"))
    await broken(breaker, 1)
    with pytest.raises(ServerError, match="the last 3 requests"):
        await breaker.admit(patience=0)


async def test_further_attempts_of_calls_that_began_together_count_once_however_they_are_spread() -> None:
    breaker = CircuitBreaker(ModelPolicy(breaker_failures=4))
    for admission in [breaker.admit_at_once() for _ in range(50)]:
        assert admission is not None
        breaker.record(admission, ServerError("restarting"))
    for failures in (1, 2):
        for _ in range(50):
            admission = breaker.admit_at_once(failures)
            assert admission is not None
            breaker.record(admission, ServerError("restarting"))
    assert breaker.admit_at_once(3) is not None


async def test_a_dead_server_is_noticed_by_the_attempts_of_one_call_after_another() -> None:
    breaker = CircuitBreaker(ModelPolicy(breaker_failures=6))
    for failures in (0, 1, 2, 3, 0, 1):
        admission = breaker.admit_at_once(failures)
        assert admission is not None
        breaker.record(admission, ServerError("dead"))
    assert breaker.admit_at_once(2) is None


def open_circuit(seconds: float) -> CircuitBreaker:
    return CircuitBreaker(ModelPolicy(breaker_failures=1, breaker_seconds=seconds))


async def held_back(breaker: CircuitBreaker, number: int, patience: float = 5.0) -> list[asyncio.Task[Admission]]:
    tasks = [asyncio.create_task(breaker.admit(failures, patience=patience)) for failures in range(number)]
    await asyncio.sleep(0)
    return tasks


async def trial_of(tasks: list[asyncio.Task[Admission]]) -> Admission:
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    (task,) = done
    assert task is tasks[-1]  # the one that has failed most often is nearest to being given up
    return task.result()


async def test_held_requests_go_out_when_the_trial_succeeds() -> None:
    breaker = open_circuit(0.05)
    await broken(breaker, 1)
    tasks = await held_back(breaker, 20)
    breaker.record(await trial_of(tasks), None)
    assert all(admission.waited for admission in await asyncio.gather(*tasks))


async def test_held_requests_fail_when_the_trial_fails() -> None:
    breaker = open_circuit(0.05)
    await broken(breaker, 1)
    tasks = await held_back(breaker, 20)
    failure = ServerError("still dead")
    breaker.record(await trial_of(tasks), failure)
    errors = [end for end in await asyncio.gather(*tasks, return_exceptions=True) if isinstance(end, ServerError)]
    assert len(errors) == 19
    assert all(error.final and "still dead" in str(error) for error in errors)
    assert failure.final  # the trial's own call is not tried again either


@pytest.mark.parametrize("end", [ModelTimeoutError("slow"), asyncio.CancelledError()])
async def test_a_trial_that_finds_nothing_out_is_followed_by_another(end: BaseException) -> None:
    breaker = open_circuit(0.05)
    await broken(breaker, 1)
    tasks = await held_back(breaker, 3)
    breaker.record(await trial_of(tasks), end)
    breaker.record(await trial_of(tasks[:-1]), None)
    await asyncio.gather(*tasks)


async def test_a_request_is_held_back_within_its_own_time() -> None:
    breaker = open_circuit(0.05)
    await broken(breaker, 1)
    first, second = await held_back(breaker, 2, patience=0.2)
    await second  # the trial, which does not end
    with pytest.raises(ServerError, match="not asked"):
        await first


async def test_a_request_that_is_cancelled_while_it_is_held_back_keeps_nobody_else_back() -> None:
    breaker = open_circuit(0.05)
    await broken(breaker, 1)
    tasks = await held_back(breaker, 3)
    tasks[-1].cancel()
    breaker.record(await trial_of(tasks[:-1]), None)
    await tasks[0]
