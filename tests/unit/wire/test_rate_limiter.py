"""What stands before a server: the pace that it bears, and the circuit to it."""

from __future__ import annotations

import asyncio

import pytest

from unified_agents.config import ModelPolicy
from unified_agents.errors import BadRequestError, NetworkError, RateLimitError, ServerError
from unified_agents.wire.circuit_breaker import Breaker
from unified_agents.wire.rate_limiter import RateGate


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_nothing_is_held_back_before_the_first_refusal() -> None:
    gate = RateGate(Clock())
    assert not any([(await gate.enter()).waited for _ in range(1000)])
    assert gate.window == float("inf")


async def test_a_refusal_halves_the_window_once_for_all_that_were_under_way() -> None:
    clock = Clock()
    gate = RateGate(clock)
    entered = [await gate.enter() for _ in range(16)]
    clock.now = 1.0
    for moment in entered:
        gate.leave(moment, RateLimitError("slow down"))
    assert gate.window == 8
    clock.now = 2.0
    gate.leave(await gate.enter(), RateLimitError("slow down"))
    assert gate.window == 1.0 or gate.window < 8


async def test_success_opens_it_again_and_waiters_go_in_their_order() -> None:
    clock = Clock()
    gate = RateGate(clock)
    entered = [await gate.enter() for _ in range(4)]
    clock.now = 1.0
    gate.leave(entered[0], RateLimitError("slow down"))
    assert gate.window == 2
    order: list[int] = []

    async def visitor(number: int) -> None:
        moment = await gate.enter()
        order.append(number)
        gate.leave(moment, None)

    waiting = [asyncio.create_task(visitor(number)) for number in range(5)]
    await asyncio.sleep(0)
    assert order == []  # three are under way, and two may be
    for moment in entered[1:]:
        gate.leave(moment, None)
    await asyncio.gather(*waiting)
    assert order == [0, 1, 2, 3, 4]
    assert gate.window > 2


async def test_who_is_cancelled_while_waiting_takes_no_place() -> None:
    gate = RateGate(Clock())
    first, second = await gate.enter(), await gate.enter()
    gate.leave(first, RateLimitError("slow down"))
    assert gate.window == 1
    gone, stays = asyncio.create_task(gate.enter()), asyncio.create_task(gate.enter())
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait([gone])
    gate.leave(second, None)
    await asyncio.wait_for(stays, 5)


async def test_who_is_cancelled_when_its_turn_has_come_hands_it_on() -> None:
    gate = RateGate()
    first, second = await gate.enter(), await gate.enter()
    first.leave(RateLimitError("slow down"))
    gone, stays = asyncio.create_task(gate.enter()), asyncio.create_task(gate.enter())
    await asyncio.sleep(0)
    second.leave(RateLimitError("slow down", retry_after=0.05))  # its turn has come, and it must wait on
    for _ in range(3):
        await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait([gone])
    (await asyncio.wait_for(stays, 5)).leave(None)


def broken(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        breaker.check()
        breaker.note(ServerError("dead"))


def test_the_circuit_opens_after_so_many_failures_in_a_row() -> None:
    clock = Clock()
    breaker = Breaker(ModelPolicy(breaker_failures=3, breaker_seconds=10), clock)
    broken(breaker, 3)
    with pytest.raises(ServerError, match="not asked") as refused:
        breaker.check()
    assert refused.value.final
    clock.now = 10.0
    breaker.check()  # one request finds out
    with pytest.raises(ServerError):
        breaker.check()
    breaker.note(None)
    breaker.check()


def test_a_success_between_and_other_errors_keep_it_closed() -> None:
    breaker = Breaker(ModelPolicy(breaker_failures=3), Clock())
    broken(breaker, 2)
    breaker.note(None)
    broken(breaker, 2)
    breaker.note(BadRequestError("x"))  # the server answers
    broken(breaker, 2)
    breaker.note(RateLimitError("x"))
    breaker.check()
    broken(breaker, 2)
    breaker.note(NetworkError("x"))
    with pytest.raises(NetworkError):
        breaker.check()
