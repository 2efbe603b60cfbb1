"""The rate limiter before a server."""

from __future__ import annotations

import asyncio

import pytest

from unified_agents.errors import RateLimitError
from unified_agents.wire.rate_limiter import AdaptiveRateLimiter


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_nothing_is_held_back_before_the_first_refusal() -> None:
    limiter = AdaptiveRateLimiter(clock=Clock())
    assert not any([(await limiter.acquire()).waited for _ in range(1000)])
    assert limiter.window == float("inf")


async def test_a_refusal_halves_the_window_once_for_all_that_were_under_way() -> None:
    clock = Clock()
    limiter = AdaptiveRateLimiter(clock=clock)
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
    limiter = AdaptiveRateLimiter(clock=clock)
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
    limiter = AdaptiveRateLimiter(clock=Clock())
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


async def test_after_a_wait_that_is_too_long_one_request_finds_out() -> None:
    clock = Clock()
    limiter = AdaptiveRateLimiter(max_wait=60.0, clock=clock)
    (await limiter.acquire()).release(RateLimitError("go away", retry_after=31_536_000.0))
    with pytest.raises(
        RateLimitError, match="not asked: the model's server asked to wait for 31536000 seconds"
    ) as not_asked:
        await limiter.acquire()
    assert not_asked.value.final
    clock.now = 60.0
    trial = await limiter.acquire()
    others = [asyncio.create_task(limiter.acquire()) for _ in range(5)]
    await asyncio.sleep(0)
    assert not any(other.done() for other in others)
    trial.release(RateLimitError("go away", retry_after=31_536_000.0))
    assert all(isinstance(end, RateLimitError) for end in await asyncio.gather(*others, return_exceptions=True))
    clock.now = 120.0
    (await limiter.acquire()).release(None)
    await limiter.acquire()


async def test_a_newcomer_does_not_overtake_one_that_was_just_woken() -> None:
    limiter = AdaptiveRateLimiter(clock=Clock())
    (await limiter.acquire()).release(RateLimitError("slow down"))
    first = await limiter.acquire()
    order: list[str] = []

    async def ask(name: str) -> None:
        permit = await limiter.acquire()
        order.append(name)
        await asyncio.sleep(0)
        permit.release(RateLimitError("slow down"))

    waiting = [asyncio.create_task(ask(name)) for name in ("b", "c")]
    await asyncio.sleep(0)
    first.release(RateLimitError("slow down"))
    await ask("newcomer")
    await asyncio.gather(*waiting)
    assert order == ["b", "c", "newcomer"]


async def test_a_place_in_the_line_is_given_back_by_who_is_cancelled() -> None:
    limiter = AdaptiveRateLimiter(clock=Clock())
    (await limiter.acquire()).release(RateLimitError("slow down"))
    first = await limiter.acquire()
    woken, next_one = asyncio.create_task(limiter.acquire()), asyncio.create_task(limiter.acquire())
    await asyncio.sleep(0)
    first.release(None)
    woken.cancel()  # it has its place already, and does not know
    with pytest.raises(asyncio.CancelledError):
        await woken
    await asyncio.wait_for(next_one, 5)
