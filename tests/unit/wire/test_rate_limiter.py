"""The rate limiter and the circuit breaker that stand before a server."""

from __future__ import annotations

import asyncio

import pytest

from unified_agents.config import ModelPolicy
from unified_agents.errors import BadRequestError, NetworkError, RateLimitError, ServerError
from unified_agents.wire.circuit_breaker import CircuitBreaker
from unified_agents.wire.rate_limiter import AdaptiveRateLimiter


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_nothing_is_held_back_before_the_first_refusal() -> None:
    limiter = AdaptiveRateLimiter(Clock())
    assert not any([(await limiter.acquire()).waited for _ in range(1000)])
    assert limiter.window == float("inf")


async def test_a_refusal_halves_the_window_once_for_all_that_were_under_way() -> None:
    clock = Clock()
    limiter = AdaptiveRateLimiter(clock)
    permits = [await limiter.acquire() for _ in range(16)]
    clock.now = 1.0
    for permit in permits:
        permit.release(RateLimitError("slow down"))
    assert limiter.window == 8
    clock.now = 2.0
    (await limiter.acquire()).release(RateLimitError("slow down"))
    assert limiter.window == 1.0 or limiter.window < 8


async def test_success_opens_it_again_and_waiters_go_in_their_order() -> None:
    clock = Clock()
    limiter = AdaptiveRateLimiter(clock)
    permits = [await limiter.acquire() for _ in range(4)]
    clock.now = 1.0
    permits[0].release(RateLimitError("slow down"))
    assert limiter.window == 2
    order: list[int] = []

    async def visitor(number: int) -> None:
        permit = await limiter.acquire()
        order.append(number)
        permit.release(None)

    waiting = [asyncio.create_task(visitor(number)) for number in range(5)]
    await asyncio.sleep(0)
    assert order == []  # three are under way, and two may be
    for permit in permits[1:]:
        permit.release(None)
    await asyncio.gather(*waiting)
    assert order == [0, 1, 2, 3, 4]
    assert limiter.window > 2


async def test_who_is_cancelled_while_waiting_takes_no_place() -> None:
    limiter = AdaptiveRateLimiter(Clock())
    first, second = await limiter.acquire(), await limiter.acquire()
    first.release(RateLimitError("slow down"))
    assert limiter.window == 1
    gone, stays = asyncio.create_task(limiter.acquire()), asyncio.create_task(limiter.acquire())
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait([gone])
    second.release(None)
    await asyncio.wait_for(stays, 5)


async def test_who_is_cancelled_when_its_turn_has_come_hands_it_on() -> None:
    limiter = AdaptiveRateLimiter()
    first, second = await limiter.acquire(), await limiter.acquire()
    first.release(RateLimitError("slow down"))
    gone, stays = asyncio.create_task(limiter.acquire()), asyncio.create_task(limiter.acquire())
    await asyncio.sleep(0)
    second.release(RateLimitError("slow down", retry_after=0.05))  # its turn has come, and it must wait on
    for _ in range(3):
        await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait([gone])
    (await asyncio.wait_for(stays, 5)).release(None)


def broken(breaker: CircuitBreaker, times: int) -> None:
    for _ in range(times):
        breaker.check()
        breaker.record(ServerError("dead"))


def test_the_circuit_opens_after_so_many_failures_in_a_row() -> None:
    clock = Clock()
    breaker = CircuitBreaker(ModelPolicy(breaker_failures=3, breaker_seconds=10), clock)
    broken(breaker, 3)
    with pytest.raises(ServerError, match="not asked") as refused:
        breaker.check()
    assert refused.value.final
    clock.now = 10.0
    breaker.check()  # one request finds out
    with pytest.raises(ServerError):
        breaker.check()
    breaker.record(None)
    breaker.check()


def test_a_success_between_and_other_errors_keep_it_closed() -> None:
    breaker = CircuitBreaker(ModelPolicy(breaker_failures=3), Clock())
    broken(breaker, 2)
    breaker.record(None)
    broken(breaker, 2)
    breaker.record(BadRequestError("x"))  # the server answers
    broken(breaker, 2)
    breaker.record(RateLimitError("x"))
    breaker.check()
    broken(breaker, 2)
    breaker.record(NetworkError("x"))
    with pytest.raises(NetworkError):
        breaker.check()
